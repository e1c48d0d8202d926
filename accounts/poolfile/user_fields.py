"""The table of UserType as ListUsers and AdminGetUser print it, and what only Userpool's files have.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserType.html
Userpool's own fields: Sub, Password, PasswordHash, Groups and Identities.
"""

import json
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from accounts import rules
from accounts.models import PoolUser
from accounts.models.users import MAX_IDENTITIES, UserStatus
from accounts.poolfile.fields import Field, Kind, kept
from accounts.poolfile.problems import Problem, join
from accounts.poolfile.values import Anything, Choice, Flag, ListOf, Number, Object, Text

_ATTRIBUTE = Object({"Name": Text(32, 1), "Value": Text(2048)}, ("Name",))
_IDENTITY = Object(
    {
        "ProviderName": Text(32, 1),
        "UserId": Text(512, 1),
        "ProviderAttributeName": Text(256),
        "Issuer": Text(1024),
        "Primary": Flag(),
        "DateCreated": Number(0, 10**14),
    },
    ("ProviderName", "UserId"),
)

USER = Kind(
    section="Users",
    singular="User",
    key="Username",
    fields=(
        Field("Username", Text(128, 1, rules.PRINTABLE), required=True),
        Field("Sub", Text(64, 1, rules.PRINTABLE)),
        Field("Attributes", ListOf(_ATTRIBUTE, 100), also="UserAttributes"),
        Field("Enabled", Flag()),
        Field("UserStatus", Choice(tuple(UserStatus.values))),
        Field("Password", Text(256, 1)),
        Field("PasswordHash", Text(1024, 1)),
        Field("Groups", ListOf(Text(128, 1), 100)),
        Field("Identities", ListOf(_IDENTITY, MAX_IDENTITIES)),
        kept("MFAOptions", ListOf(Anything(), 10)),
        kept("PreferredMfaSetting", Text(131)),
        kept("UserMFASettingList", ListOf(Text(131), 10)),
    ),
    read_only=frozenset({"UserCreateDate", "UserLastModifiedDate", "UserPoolId"}),
)


def identity_wire(link: Any) -> dict[str, Any]:
    """Return a LinkedIdentity as a file has it."""
    found = {"ProviderName": link.provider.provider_name, "UserId": link.subject}
    if link.claim:
        found["ProviderAttributeName"] = link.claim
    if link.issuer:
        found["Issuer"] = link.issuer
    return found | {"Primary": link.primary, "DateCreated": _milliseconds(link.date_created)}


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def wire(user: PoolUser) -> dict[str, Any]:
    """Return ``user`` as a file has it; groups and identities should be prefetched. The hash is in Django's form."""
    return wire_of_row(user) | {
        "Groups": sorted(group.group_name for group in user.groups.all()),
        "Identities": [identity_wire(link) for link in user.identities.all()],
    }


def wire_of_row(user: PoolUser) -> dict[str, Any]:
    """Return what the user's own row says."""
    found: dict[str, Any] = {
        "Username": user.username,
        "Sub": user.sub,
        "Attributes": [{"Name": name, "Value": value} for name, value in sorted(user.attributes.items())],
        "Enabled": user.enabled,
        "UserStatus": user.status,
    }
    if user.has_usable_password():
        found["PasswordHash"] = user.password
    return user.other_fields | found


def normalise(values: dict[str, Any], path: str) -> list[Problem]:
    """Turn Attributes into a map, and the attributes sub and identities into Sub and Identities; return problems."""
    problems: list[Problem] = []
    attributes: dict[str, str] = {}
    for number, entry in enumerate(values.get("Attributes") or []):
        name, where = entry["Name"], join(join(path, "Attributes"), number)
        if name in attributes:
            problems.append(Problem(where, f"{name} is listed twice."))
        attributes[name] = entry.get("Value") or ""
    if "sub" in attributes:
        sub = attributes.pop("sub")
        if values.setdefault("Sub", sub) != sub:
            problems.append(Problem(join(path, "Sub"), "differs from the attribute sub."))
    if "identities" in attributes:
        try:
            values.setdefault("Identities", _parse_identities(attributes.pop("identities")))
        except ValidationError as error:
            problems += [Problem(join(path, "Attributes"), f"identities: {message}") for message in error.messages]
    if "Attributes" in values:
        values["Attributes"] = attributes
    if values.get("Password") and values.get("PasswordHash"):
        problems.append(Problem(join(path, "PasswordHash"), "give Password or PasswordHash, not both."))
    return problems


def _parse_identities(text: str) -> list[dict[str, Any]]:
    """The attribute is a JSON string (W 11.2)."""
    try:
        found = json.loads(text)
        identities = [
            {
                "ProviderName": entry["providerName"],
                "UserId": entry["userId"],
                "Issuer": entry.get("issuer") or "",
                "Primary": entry.get("primary") in (True, "true"),
                "DateCreated": int(entry["dateCreated"]),
            }
            for entry in found
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValidationError("not the JSON that Cognito keeps there.") from error
    if problems := list(ListOf(_IDENTITY, MAX_IDENTITIES).problems(identities, "")):
        raise ValidationError([str(problem) for problem in problems])
    return identities
