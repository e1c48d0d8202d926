"""All tables. Every row but an Operator's belongs to one user pool."""

from accounts.models.audit import AuditEvent
from accounts.models.clients import AppClient, AppClientSecret
from accounts.models.codes import AuthorizationCode
from accounts.models.keys import SigningKey
from accounts.models.operators import Operator
from accounts.models.pools import ResourceServer, UserPool, UserPoolDomain
from accounts.models.providers import IdentityProvider
from accounts.models.refresh_tokens import RefreshToken
from accounts.models.sessions import SignInSession, SignInThrottle
from accounts.models.users import Group, LinkedIdentity, PoolUser, SignInAlias

__all__ = [
    "AppClient",
    "AppClientSecret",
    "AuditEvent",
    "AuthorizationCode",
    "Group",
    "IdentityProvider",
    "LinkedIdentity",
    "Operator",
    "PoolUser",
    "RefreshToken",
    "ResourceServer",
    "SignInAlias",
    "SignInSession",
    "SignInThrottle",
    "SigningKey",
    "UserPool",
    "UserPoolDomain",
]
