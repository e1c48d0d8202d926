"""What tokens and userInfo say of a user: pure functions of the client, the grant and the user.

AWS pages using-the-id-token, using-the-access-token, userinfo-endpoint; OpenID Connect Core 5.1 and 5.4; RFC 9068.
Attributes are kept as strings; here they get the type that the wire has for them.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from accounts.attributes import STANDARD_ATTRIBUTES
from accounts.models import AppClient, UserPool
from accounts.models.grants import Grant, Subject
from federation.dialects import rules

EMAIL = ("email", "email_verified")
PHONE = ("phone_number", "phone_number_verified")
ADDRESS = ("address",)
PROFILE = (
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
)
BY_SCOPE = {"email": EMAIL, "phone": PHONE, "profile": PROFILE, "address": ADDRESS}
BOOLEANS = tuple(name for name, kind in STANDARD_ATTRIBUTES.items() if kind == "Boolean")
NEVER = ("sub", "identities")


def unreadable_scope(client: AppClient, scopes: Iterable[str]) -> str:
    """Return the first scope of which the client cannot read every attribute; empty if there is none.

    Cognito answers the code exchange with invalid_grant then (token-endpoint page, which names email). Where
    ``profile`` means every readable attribute, there is none that the client could lack.
    """
    if client.read_attributes is None:
        return ""
    readable, names = set(client.read_attributes), dict(BY_SCOPE)
    if rules(client.dialect).profile_gives_all:
        del names["profile"]
    return next((scope for scope in scopes if not set(names.get(scope, ())) <= readable), "")


def released(client: AppClient, subject: Subject, scopes: Iterable[str]) -> dict[str, str]:
    """Return the attributes that ``scopes`` open to ``client``, never more than it may read."""
    dialect, wanted = rules(client.dialect), set(scopes)
    if "openid" not in wanted:
        return {}
    attributes = {name: value for name, value in subject.attributes.items() if name not in NEVER}
    if client.read_attributes is not None:
        attributes = {name: value for name, value in attributes.items() if name in client.read_attributes}
    alone = not wanted & set(BY_SCOPE)
    if (alone and dialect.openid_alone_gives_all) or ("profile" in wanted and dialect.profile_gives_all):
        return attributes
    open_names = {name for scope in wanted for name in BY_SCOPE.get(scope, ())}
    custom = "profile" in wanted
    return {
        name: value
        for name, value in attributes.items()
        if name in open_names or (custom and name.startswith("custom:"))
    }


def _typed(attributes: dict[str, str], boolean_strings: bool = False, plain: bool = False) -> dict[str, Any]:
    """Give standard attributes their JSON type; ``plain`` leaves address and updated_at the strings they are."""
    typed: dict[str, Any] = dict(attributes)
    for name in BOOLEANS:
        if name in typed and not boolean_strings:
            typed[name] = typed[name] == "true"
    if not plain:
        if "address" in typed:
            typed["address"] = {"formatted": typed["address"]}
        if re.fullmatch("-?[0-9]{1,18}", typed.get("updated_at", "")):
            typed["updated_at"] = int(typed["updated_at"])
    return typed


def username(pool: UserPool, subject: Subject) -> str:
    """The username on the wire: lower-cased in a pool that ignores case (W 13)."""
    return subject.username if pool.case_sensitive else subject.username.lower()


def identities(subject: Subject, as_strings: bool = True) -> list[dict[str, Any]]:
    """The ``identities`` claim. In tokens ``primary`` and ``dateCreated`` are strings (W 11.2)."""
    listed = []
    for link in subject.identities:
        created, primary = _milliseconds(link["dateCreated"]), bool(link["primary"])
        listed.append(
            {
                "userId": link["userId"],
                "providerName": link["providerName"],
                "providerType": link["providerType"],
                "issuer": link["issuer"] or None,
                "primary": str(primary).lower() if as_strings else primary,
                "dateCreated": str(created) if as_strings else created,
            }
        )
    return listed


def _milliseconds(value: Any) -> int:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def groups(subject: Subject) -> dict[str, Any]:
    """``cognito:groups`` for either token; absent without a group."""
    return {"cognito:groups": [group["name"] for group in subject.groups]} if subject.groups else {}


def roles(subject: Subject) -> dict[str, Any]:
    """``cognito:roles`` and ``cognito:preferred_role`` (ID token only).

    The preferred role is that of the group with the lowest precedence; with several such groups and different roles
    there is none (user-groups page).
    """
    with_role = [group for group in subject.groups if group["role"]]
    if not with_role:
        return {}
    found: dict[str, Any] = {"cognito:roles": list(dict.fromkeys(group["role"] for group in with_role))}
    ranked = [group for group in with_role if group["precedence"] is not None]
    if ranked:
        lowest = min(group["precedence"] for group in ranked)
        preferred = {group["role"] for group in ranked if group["precedence"] == lowest}
    else:
        preferred = {group["role"] for group in with_role}
    if len(preferred) == 1:
        found["cognito:preferred_role"] = preferred.pop()
    return found


def id_token_claims(pool: UserPool, client: AppClient, grant: Grant, at_hash: str) -> dict[str, Any]:
    """The claims of an ID token but those that every token has (tokens.py adds iss, iat, exp, jti)."""
    subject = grant.subject
    found = _typed(released(client, subject, grant.scopes))
    found |= {
        "at_hash": at_hash,
        "sub": subject.sub,
        "cognito:username": username(pool, subject),
        "aud": client.client_id,
        "event_id": grant.event_id,
        "token_use": "id",
        "auth_time": grant.auth_time,
    }
    found |= groups(subject) | roles(subject)
    if subject.identities:
        found["identities"] = identities(subject)
    if grant.nonce:
        found["nonce"] = grant.nonce
    return found


def access_token_claims(pool: UserPool, client: AppClient, grant: Grant) -> dict[str, Any]:
    """The claims of a user's access token."""
    found: dict[str, Any] = {
        "sub": grant.subject.sub,
        "client_id": client.client_id,
        "event_id": grant.event_id,
        "token_use": "access",
        "scope": grant.scope,
        "auth_time": grant.auth_time,
        "username": username(pool, grant.subject),
        "version": 2,
    }
    return found | groups(grant.subject) | _audience(client, grant.resource)


def machine_token_claims(client: AppClient, scope: str, now: int) -> dict[str, Any]:
    """The claims of a client_credentials token: the subject is the client, there is no user."""
    found: dict[str, Any] = {
        "sub": client.client_id,
        "client_id": client.client_id,
        "token_use": "access",
        "scope": scope,
        "auth_time": now,
        "version": 2,
    }
    return found | _audience(client, "")


def _audience(client: AppClient, resource: str) -> dict[str, str]:
    if resource:
        return {"aud": resource}
    return {"aud": client.client_id} if rules(client.dialect).rfc9068 else {}


def userinfo_claims(pool: UserPool, client: AppClient, subject: Subject, scopes: Iterable[str]) -> dict[str, Any]:
    """The body of the userInfo endpoint: ``sub`` and ``username`` always."""
    dialect = rules(client.dialect)
    attributes = released(client, subject, scopes)
    found = _typed(attributes, dialect.boolean_strings, plain=dialect.boolean_strings)
    found |= {"sub": subject.sub, "username": username(pool, subject)}
    if subject.identities:
        found["identities"] = json.dumps(identities(subject, as_strings=False), separators=(",", ":"))
    return found
