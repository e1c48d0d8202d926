"""The tables of UserPoolType, ResourceServerType, GroupType and IdentityProviderType.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolType.html and its neighbours.
Userpool's own fields: SigningAlgorithm, KeyRotationDays,
EventRetentionDays and AuditRetentionDays of a UserPool.
"""

from typing import Any

from accounts import rules
from accounts.models import UserPool
from accounts.models.pools import SigningAlgorithm
from accounts.models.providers import ProviderType
from accounts.passwords import RANGES, WIRE_NAMES, PasswordPolicy
from accounts.poolfile import schema
from accounts.poolfile.fields import EMPTY_IS_NULL, Field, Kind, kept, words
from accounts.poolfile.values import Anything, Choice, Flag, ListOf, MapOf, Number, Object, Text

POOL_ID = Text(55, 1, rules.POOL_ID)
READ_ONLY = frozenset({"UserPoolId", "LastModifiedDate", "CreationDate"})

_PASSWORD_POLICY = Object({name: Number(*RANGES[name]) if name in RANGES else Flag() for name in WIRE_NAMES})
_FACTORS = Choice(("PASSWORD", "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"))
_MESSAGE = Text(20000, 6)


def _get_policies(pool: UserPool) -> dict[str, Any]:
    return {"PasswordPolicy": pool.policy.to_wire()} | pool.other_fields.get("Policies", {})


def _put_policies(pool: UserPool, value: dict[str, Any], path: str) -> None:
    if "PasswordPolicy" in value:
        pool.password_policy = PasswordPolicy.parse(value["PasswordPolicy"] or {}).to_wire()
    others = {name: inner for name, inner in value.items() if name != "PasswordPolicy" and inner is not None}
    if others:
        pool.other_fields = pool.other_fields | {"Policies": pool.other_fields.get("Policies", {}) | others}


def _put_case(pool: UserPool, value: dict[str, Any], path: str) -> None:
    pool.case_sensitive = value["CaseSensitive"]


POOL = Kind(
    section="UserPool",
    singular="UserPool",
    key="Id",
    fields=(
        Field("Id", POOL_ID),
        Field("Name", Text(128, 1, rules.NAME), "name", also="PoolName", required=True),
        Field("Domain", Text(63, 1, rules.DOMAIN_PREFIX)),
        Field("CustomDomain", Text(253, 1)),
        Field(
            "UsernameAttributes", ListOf(Choice(rules.VERIFIABLE)), "username_attributes", default=[], immutable=True
        ),
        Field("AliasAttributes", ListOf(Choice(rules.ALIASES)), "alias_attributes", default=[], immutable=True),
        Field(
            "UsernameConfiguration",
            Object({"CaseSensitive": Flag()}, required=("CaseSensitive",)),
            default={"CaseSensitive": True},
            immutable=True,
            get=lambda pool: {"CaseSensitive": pool.case_sensitive},
            put=_put_case,
        ),
        Field("AutoVerifiedAttributes", ListOf(Choice(rules.VERIFIABLE)), "auto_verified_attributes", default=[]),
        Field(
            "Policies",
            Object(
                {
                    "PasswordPolicy": _PASSWORD_POLICY,
                    "SignInPolicy": Object({"AllowedFirstAuthFactors": ListOf(_FACTORS, 5)}, open=True),
                },
                open=True,
            ),
            default={"PasswordPolicy": {}},
            get=_get_policies,
            put=_put_policies,
        ),
        Field(
            "SchemaAttributes",
            ListOf(Object({"Name": Text(32, 1)}, ("Name",), open=True), 100),
            default=[],
            also="Schema",
            get=schema.get,
            put=schema.put,
        ),
        Field(
            "DeletionProtection",
            Choice(("ACTIVE", "INACTIVE")),
            "deletion_protection",
            default="INACTIVE",
            **words("ACTIVE", "INACTIVE"),
        ),
        Field("SigningAlgorithm", Choice(tuple(SigningAlgorithm.values)), "signing_algorithm", default="RS256"),
        Field("KeyRotationDays", Number(0, 36500), "key_rotation_days", default=90),
        Field("EventRetentionDays", Number(1, 3650), "event_retention_days", default=30),
        Field("AuditRetentionDays", Number(0, 3650), "audit_retention_days", default=365),
        kept("MfaConfiguration", Choice(("OFF", "ON", "OPTIONAL"))),
        kept("LambdaConfig", MapOf(Anything())),
        kept("SmsVerificationMessage", Text(140, 6)),
        kept("EmailVerificationMessage", _MESSAGE),
        kept("EmailVerificationSubject", Text(140, 1)),
        kept("VerificationMessageTemplate", MapOf(Anything())),
        kept("SmsAuthenticationMessage", Text(140, 6)),
        kept("UserAttributeUpdateSettings", MapOf(Anything())),
        kept("DeviceConfiguration", MapOf(Anything())),
        kept("EmailConfiguration", MapOf(Anything())),
        kept("SmsConfiguration", MapOf(Anything())),
        kept("UserPoolTags", MapOf(Text(256), key=Text(128, 1))),
        kept("AdminCreateUserConfig", MapOf(Anything())),
        kept("UserPoolAddOns", MapOf(Anything())),
        kept("DcrConfiguration", MapOf(Anything())),
        kept("AccountRecoverySetting", MapOf(Anything())),
        kept("UserPoolTier", Choice(("LITE", "ESSENTIALS", "PLUS"))),
        kept("KeyConfiguration", MapOf(Anything())),
        kept("IssuerConfiguration", MapOf(Anything())),
        kept("AcrConfiguration", MapOf(Anything(), 4)),
    ),
    read_only=READ_ONLY
    | {"Arn", "Status", "EstimatedNumberOfUsers", "SmsConfigurationFailure", "EmailConfigurationFailure"},
    keyed=("schema_attributes", "password_policy"),
)

_SCOPE = Object(
    {"ScopeName": Text(256, 1, rules.SCOPE_NAME), "ScopeDescription": Text(256, 1)}, ("ScopeName", "ScopeDescription")
)
RESOURCE_SERVER = Kind(
    section="ResourceServers",
    singular="ResourceServer",
    key="Identifier",
    fields=(
        Field("Identifier", Text(256, 1, rules.SCOPE), "identifier", required=True, immutable=True),
        Field("Name", Text(256, 1, rules.NAME_256), "name", required=True),
        Field("Scopes", ListOf(_SCOPE, 100), "scopes", default=[]),
        kept("ManagedBy", Text(256)),
    ),
    read_only=frozenset({"UserPoolId"}),
)

GROUP = Kind(
    section="Groups",
    singular="Group",
    key="GroupName",
    fields=(
        Field("GroupName", Text(128, 1, rules.PRINTABLE), "group_name", required=True, immutable=True),
        Field("Description", Text(2048), "description", default="", **EMPTY_IS_NULL),
        Field("RoleArn", Text(2048, 20, rules.ROLE_ARN), "role_arn", default="", **EMPTY_IS_NULL),
        Field("Precedence", Number(0, 2**31 - 1), "precedence"),
    ),
    read_only=READ_ONLY,
)

IDENTITY_PROVIDER = Kind(
    section="IdentityProviders",
    singular="IdentityProvider",
    key="ProviderName",
    fields=(
        Field("ProviderName", Text(32, 1), "provider_name", required=True, immutable=True),
        Field("ProviderType", Choice(tuple(ProviderType.values)), "provider_type", required=True, immutable=True),
        Field("ProviderDetails", MapOf(Text(1024 * 1024)), "provider_details", required=True),
        Field("AttributeMapping", MapOf(Text(131072, 1), key=Text(32, 1)), "attribute_mapping", default={}),
        Field("IdpIdentifiers", ListOf(Text(40, 1, rules.IDP_IDENTIFIER), 50), "idp_identifiers", default=[]),
        kept("AcrMapping", MapOf(Text(2048), 4)),
    ),
    read_only=READ_ONLY,
    keyed=("provider_details", "attribute_mapping"),
)
