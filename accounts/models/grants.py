"""What a token is minted from: a user as tokens describe one, and the scopes that the user granted.

These are values, not tables: an authorization code (codes.py) and a refresh token (refresh_tokens.py) each lead to one.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from accounts.models.users import PoolUser
from accounts.statements import json_value

# What tokens say of a user, in one column list: the ORM would need three statements.
SUBJECT_COLUMNS = """u.id, u.sub, u.username, u.attributes,
    (SELECT {agg}({obj}('name', g.group_name, 'role', g.role_arn, 'precedence', g.precedence))
       FROM accounts_pooluser_groups m JOIN accounts_group g ON g.id = m.group_id WHERE m.pooluser_id = u.id),
    (SELECT {agg}({obj}('userId', i.subject, 'providerName', p.provider_name, 'providerType', p.provider_type,
                        'issuer', i.issuer, 'primary', i."primary", 'dateCreated', i.date_created))
       FROM accounts_linkedidentity i JOIN accounts_identityprovider p ON p.id = i.provider_id
      WHERE i.user_id = u.id)"""


def new_id() -> str:
    """Return a UUID for origin_jti, event_id or jti."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Subject:
    """A user as tokens describe one. Groups hold ``name``, ``role``, ``precedence``; attributes are strings."""

    pk: int
    sub: str
    username: str
    attributes: dict[str, str] = field(repr=False)
    groups: list[dict[str, Any]]
    identities: list[dict[str, Any]] = field(repr=False)

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Self:
        pk, sub, username, attributes, groups, identities = row
        return cls(pk, sub, username, json_value(attributes), json_value(groups), json_value(identities))

    @classmethod
    def of(cls, user: PoolUser) -> Self:
        """Return the subject that ``user`` is; two statements."""
        groups = user.groups.values_list("group_name", "role_arn", "precedence")
        identities = user.identities.select_related("provider")
        return cls(
            user.pk,
            user.sub,
            user.username,
            user.attributes,
            [{"name": name, "role": role, "precedence": precedence} for name, role, precedence in groups],
            [
                {
                    "userId": link.subject,
                    "providerName": link.provider.provider_name,
                    "providerType": link.provider.provider_type,
                    "issuer": link.issuer,
                    "primary": link.primary,
                    "dateCreated": link.date_created,
                }
                for link in identities
            ],
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token is minted from: who, for which scopes, signed in at which moment."""

    subject: Subject
    scope: str
    since: datetime
    origin_jti: str
    event_id: str
    nonce: str = ""
    resource: str = ""

    @property
    def scopes(self) -> list[str]:
        return self.scope.split()

    @property
    def auth_time(self) -> int:
        """The claim: epoch seconds. The exact moment is kept, to compare with a sign-out of the same second."""
        return int(self.since.timestamp())
