"""All tables. Every row but an Operator's belongs to one user pool."""

from accounts.models.alerts import Alert
from accounts.models.audit import AuditEvent
from accounts.models.clients import AppClient, AppClientSecret
from accounts.models.codes import AuthorizationCode
from accounts.models.documents import ProviderDocument
from accounts.models.events import AuthEvent, EventCount
from accounts.models.jobs import JobRun
from accounts.models.keys import SigningKey
from accounts.models.mail import OutgoingMail
from accounts.models.operators import Operator
from accounts.models.pools import ResourceServer, UserPool, UserPoolDomain
from accounts.models.providers import IdentityProvider
from accounts.models.refresh_tokens import RefreshToken
from accounts.models.saml import SamlKey, SignOutRequest, UsedSamlMessage
from accounts.models.sessions import SignInSession, SignInThrottle
from accounts.models.sign_in_requests import SignInRequest
from accounts.models.user_imports import UserImportJob, UserImportPart, UserImportProblem
from accounts.models.users import FormerIdentity, Group, LinkedIdentity, PoolUser, SignInAlias

__all__ = [
    "Alert",
    "AppClient",
    "AppClientSecret",
    "AuditEvent",
    "AuthEvent",
    "AuthorizationCode",
    "EventCount",
    "FormerIdentity",
    "Group",
    "IdentityProvider",
    "JobRun",
    "LinkedIdentity",
    "Operator",
    "OutgoingMail",
    "PoolUser",
    "ProviderDocument",
    "RefreshToken",
    "ResourceServer",
    "SamlKey",
    "SignInAlias",
    "SignInRequest",
    "SignInSession",
    "SignInThrottle",
    "SignOutRequest",
    "SigningKey",
    "UsedSamlMessage",
    "UserImportJob",
    "UserImportPart",
    "UserImportProblem",
    "UserPool",
    "UserPoolDomain",
]
