"""The table of UserPoolClientType. Userpool's own fields: ClientSecrets, RequirePKCE and Dialect.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolClientType.html
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from accounts import rules
from accounts.models import AppClient
from accounts.models.clients import Dialect
from accounts.poolfile.fields import EMPTY_IS_NULL, LINES, Field, Kind, kept, words
from accounts.poolfile.pool_fields import READ_ONLY
from accounts.poolfile.problems import Problem, Refused, join
from accounts.poolfile.values import Anything, Choice, Flag, ListOf, MapOf, Number, Object, Text

SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
USUAL_UNITS = {"AccessToken": "hours", "IdToken": "hours", "RefreshToken": "days"}
TOKENS = {
    "AccessToken": "access_token_validity",
    "IdToken": "id_token_validity",
    "RefreshToken": "refresh_token_validity",
}
NO_REFRESH_VALIDITY = timedelta(days=30)

_UNIT = Choice(tuple(SECONDS))
_URLS = ListOf(Text(1024, 1, rules.PRINTABLE), 100)
_SECRET = Text(64, 24, rules.CLIENT_SECRET)


def _unit(client: AppClient, token: str) -> str:
    """The unit in which the validity is a whole number: the client's own, or the next finer one."""
    period = getattr(client, TOKENS[token]).total_seconds()
    own = (client.token_validity_units or {}).get(token) or USUAL_UNITS[token]
    finer = [own, *(unit for unit in ("hours", "minutes") if SECONDS[unit] < SECONDS[own]), "seconds"]
    return next(unit for unit in finer if period % SECONDS[unit] == 0)


def _get_validity(token: str) -> Callable[[AppClient], int]:
    def get(client: AppClient) -> int:
        return int(getattr(client, TOKENS[token]).total_seconds()) // SECONDS[_unit(client, token)]

    return get


def _put_validity(token: str) -> Callable[[AppClient, Any, str], None]:
    def put(client: AppClient, value: int | None, path: str) -> None:
        if value is None:
            period = AppClient._meta.get_field(TOKENS[token]).get_default()
        elif value == 0:  # of the refresh token: the others begin at 1
            period = NO_REFRESH_VALIDITY
        else:
            unit = (client.token_validity_units or {}).get(token) or USUAL_UNITS[token]
            seconds = value * SECONDS[unit]
            if seconds > 10 * 365 * 86400:
                raise Refused.at(path, f"{value} {unit} is longer than any token may live.")
            period = timedelta(seconds=seconds)
        setattr(client, TOKENS[token], period)

    return put


def _get_units(client: AppClient) -> dict[str, str]:
    return {token: _unit(client, token) for token in TOKENS}


def _put_units(client: AppClient, value: dict[str, str], path: str) -> None:
    client.token_validity_units = {token: unit for token, unit in value.items() if unit}


def _get_rotation(client: AppClient) -> dict[str, Any]:
    if not client.refresh_token_rotation:
        return {"Feature": "DISABLED"}
    return {"Feature": "ENABLED", "RetryGracePeriodSeconds": client.retry_grace_period_seconds}


def _put_rotation(client: AppClient, value: dict[str, Any], path: str) -> None:
    client.refresh_token_rotation = value["Feature"] == "ENABLED"
    client.retry_grace_period_seconds = value.get("RetryGracePeriodSeconds") or 0


def _get_providers(client: AppClient) -> list[str]:
    wanted = getattr(client, "wanted_providers", None)
    if wanted is None:
        wanted = client.identity_providers.all() if client.pk else []
    names = sorted(provider.provider_name for provider in wanted)
    return ["COGNITO"] * client.cognito_sign_in + names


def _put_providers(client: AppClient, value: list[str], path: str) -> None:
    """Note the providers on the client; the writer stores them once the client has a row."""
    known = {provider.provider_name: provider for provider in client.user_pool.identity_providers.all()}
    problems = [
        Problem(join(path, number), f"{name!r} is not one of {', '.join(['COGNITO', *known])}.")
        for number, name in enumerate(value)
        if name != "COGNITO" and name not in known
    ]
    if problems:
        raise Refused(problems)
    client.cognito_sign_in = "COGNITO" in value
    client.wanted_providers = [known[name] for name in value if name != "COGNITO"]


def _get_secrets(client: AppClient) -> list[str]:
    wanted: list[str] | None = getattr(client, "wanted_secrets", None)
    if wanted is not None:
        return wanted
    return [secret.secret for secret in client.secrets.all()] if client.pk else []


def _put_secrets(client: AppClient, value: list[str], path: str) -> None:
    client.wanted_secrets = value


def _leave(client: AppClient, value: str | None, path: str) -> None:
    """A client is found by its id, or made with it; what is left out was generated."""


def _attributes(value: list[str] | None) -> list[str] | None:
    return sorted(value) if value is not None else None


CLIENT = Kind(
    section="UserPoolClients",
    singular="UserPoolClient",
    key="ClientId",
    fields=(
        Field("ClientName", Text(128, 1, rules.NAME), "name", required=True),
        Field("ClientId", Text(128, 1, rules.CLIENT_ID), get=lambda client: client.client_id, put=_leave),
        Field("ClientSecret", _SECRET),
        Field("GenerateSecret", Flag()),
        Field("ClientSecrets", ListOf(_SECRET, 2, unique=False), default=[], get=_get_secrets, put=_put_secrets),
        Field("CallbackURLs", _URLS, "redirect_uris", default=[], **LINES),
        Field("LogoutURLs", _URLS, "post_logout_redirect_uris", default=[], **LINES),
        Field("DefaultRedirectURI", Text(1024, 1, rules.PRINTABLE), "default_redirect", default="", **EMPTY_IS_NULL),
        Field("AllowedOAuthFlowsUserPoolClient", Flag(), "allowed_oauth_flows_user_pool_client", default=False),
        Field("AllowedOAuthFlows", ListOf(Choice(rules.FLOWS), 3), "allowed_oauth_flows", default=[]),
        Field("AllowedOAuthScopes", ListOf(Text(256, 1, rules.SCOPE), 50), "allowed_oauth_scopes", default=[]),
        Field(
            "SupportedIdentityProviders",
            ListOf(Text(32, 1), 1000),
            default=[],
            get=_get_providers,
            put=_put_providers,
        ),
        Field("TokenValidityUnits", Object(dict.fromkeys(TOKENS, _UNIT)), default={}, get=_get_units, put=_put_units),
        *(
            Field(f"{token}Validity", Number(low, high), get=_get_validity(token), put=_put_validity(token))
            for token, low, high in (("AccessToken", 1, 86400), ("IdToken", 1, 86400), ("RefreshToken", 0, 315360000))
        ),
        Field(
            "RefreshTokenRotation",
            Object(
                {"Feature": Choice(("ENABLED", "DISABLED")), "RetryGracePeriodSeconds": Number(0, 60)}, ("Feature",)
            ),
            default={"Feature": "DISABLED"},
            get=_get_rotation,
            put=_put_rotation,
        ),
        Field(
            "PreventUserExistenceErrors",
            Choice(("LEGACY", "ENABLED")),
            "prevent_user_existence_errors",
            default="LEGACY",
            **words("ENABLED", "LEGACY"),
        ),
        Field("EnableTokenRevocation", Flag(), "enable_token_revocation", default=True),
        Field("ReadAttributes", ListOf(Text(2048, 1)), "read_attributes", to_wire=_attributes),
        Field("WriteAttributes", ListOf(Text(2048, 1)), "write_attributes", to_wire=_attributes),
        Field("RequirePKCE", Flag(), "require_pkce", default=False),
        Field("Dialect", Choice(tuple(Dialect.values)), "dialect", default="cognito"),
        kept("ExplicitAuthFlows", ListOf(Text(131, 1))),
        kept("AnalyticsConfiguration", MapOf(Anything())),
        kept("EnablePropagateAdditionalUserContextData", Flag()),
        kept("AuthSessionValidity", Number(3, 15)),
    ),
    read_only=READ_ONLY | {"ClientType"},
)
WIRE_NAMES = (
    CLIENT.wire_names | {"client_id": "ClientId"} | {attr: f"{token}Validity" for token, attr in TOKENS.items()}
)
