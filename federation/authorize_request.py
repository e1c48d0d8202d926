"""An authorization request, parsed once and proven, in the order of W 3.2.

OpenID Connect Core 3.1.2.1, RFC 7636, RFC 8707, RFC 9207, and the AWS page of the authorization endpoint. It is parsed
again from its query on every page of the sign-in: a pause on our own pages lives in the URL and nothing in it is
trusted the second time. Ignored: ``claims``, ``display``, ``registration``.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from accounts.models import AppClient, IdentityProvider, UserPool
from federation import errors
from federation.dialects import rules
from federation.oauth2 import server
from federation.parameters import MAX_QUERY, Parameters
from federation.responses import Target

MODES = ("query", "fragment", "form_post")
PROMPTS = frozenset({"none", "login", "select_account", "consent"})
# what the hosted pages hand on from one to the next
CARRIED = (
    "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "identity_provider", "idp_identifier",
    "code_challenge", "code_challenge_method", "lang", "ui_locales", "login_hint", "prompt", "resource", "acr_values",
    "max_age", "response_mode", "id_token_hint",
)  # fmt: skip
LIMITS = {"state": 8_192, "nonce": 2_048, "resource": 1_024}


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """A proven authorization request. ``max_age`` is in seconds, None when not asked for."""

    pool: UserPool
    client: AppClient
    target: Target
    response_type: str
    scopes: tuple[str, ...]
    nonce: str
    code_challenge: str
    resource: str
    prompt: frozenset[str]
    max_age: int | None
    login_hint: str
    id_token_hint: str
    provider: IdentityProvider | None
    """The provider that the request names; None when it names none, or COGNITO."""
    names_cognito: bool
    """Whether it names COGNITO: only a session of the pool's own users will do."""
    query: str
    """The request as the query of /login and of the next authorize."""

    @property
    def scope(self) -> str:
        return " ".join(self.scopes)

    def query_with(self, **changes: str) -> str:
        """Return the query with parameters added, replaced, or taken out (an empty value)."""
        values = dict(parse_qsl(self.query)) | changes
        return urlencode({name: value for name, value in values.items() if value})


class RefusedRequest(Exception):
    """A refusal that the app may be told of: its client and redirect_uri are proven."""

    def __init__(self, error: errors.OAuthError, target: Target) -> None:
        super().__init__(str(error))
        self.error = error
        self.target = target


def parse(pool: UserPool, parameters: Parameters) -> AuthorizeRequest:
    """Return the proven request; HostedPageError until client and redirect_uri are proven, RefusedRequest after."""
    if parameters.repeated & {"client_id", "redirect_uri"}:
        raise errors.HostedPageError("invalid_request")
    proven = server.authorization(pool, parameters)
    target = _target(pool, proven.client, proven.redirect_uri, parameters)
    try:
        if isinstance(proven, server.Refused):
            raise proven.error
        return _parse_rest(pool, proven, target, parameters)
    except errors.UnsupportedResponseType as error:
        known = rules(proven.client.dialect).unsupported_response_type
        raise RefusedRequest(error if known else errors.InvalidRequest(error.description), target) from error
    except errors.OAuthError as error:
        raise RefusedRequest(error, target) from error


def _target(pool: UserPool, client: AppClient, redirect_uri: str, parameters: Parameters) -> Target:
    implicit = parameters.get("response_type") == "token"
    default = "fragment" if implicit else "query"
    mode = parameters.get("response_mode", default)
    # tokens never travel in a query (OAuth 2.0 Multiple Response Types 3): an error about it does, safely
    usable = mode in MODES and not (implicit and mode == "query") and "response_mode" not in parameters.repeated
    state = "" if "state" in parameters.repeated else parameters.get("state")
    return Target(redirect_uri, state[: LIMITS["state"]], mode if usable else default, pool.issuer, client.client_id)


def _parse_rest(
    pool: UserPool, proven: server.Authorization, target: Target, parameters: Parameters
) -> AuthorizeRequest:
    client = proven.client
    if parameters.repeated:
        resource_only = parameters.repeated == {"resource"}
        raise errors.InvalidTarget() if resource_only else errors.InvalidRequest("A parameter is repeated.")
    if {"request", "request_uri"} & set(parameters.values) and rules(client.dialect).refuses_request_objects:
        raise errors.RequestNotSupported
    for name, limit in LIMITS.items():
        if len(parameters.get(name)) > limit:
            raise errors.InvalidRequest(f"{name} is too long.")
    if parameters.get("response_mode", target.mode) != target.mode:
        raise errors.InvalidRequest("response_mode is not supported for this response_type.")
    provider, names_cognito = _provider(client, parameters)
    query = urlencode({name: parameters.get(name) for name in CARRIED if parameters.get(name)})
    if len(query) > MAX_QUERY:  # what came in raw grows when it is encoded again; /login could not read it back
        raise errors.InvalidRequest("The request is too large.")
    return AuthorizeRequest(
        pool=pool,
        client=client,
        target=target,
        response_type=parameters.get("response_type"),
        scopes=proven.scopes,
        nonce=parameters.get("nonce"),
        code_challenge=parameters.get("code_challenge"),
        resource=_resource(parameters.get("resource")),
        prompt=_prompt(parameters.get("prompt")),
        max_age=_max_age(parameters.get("max_age")),
        login_hint=parameters.get("login_hint")[:2048],
        id_token_hint=parameters.get("id_token_hint"),
        provider=provider,
        names_cognito=names_cognito,
        query=query,
    )


def _prompt(value: str) -> frozenset[str]:
    """Core 3.1.2.1: ``none`` stands alone. Unknown values are refused; of those known, only none and login act here."""
    prompts = frozenset(value.split())
    if not prompts <= PROMPTS:
        raise errors.InvalidRequest("prompt has an unknown value.")
    if "none" in prompts and len(prompts) > 1:
        raise errors.InvalidRequest("prompt=none cannot be combined.")
    return prompts


def _max_age(value: str) -> int | None:
    if not value:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise errors.InvalidRequest("max_age is not a number of seconds.")
    return int(value)


def _resource(value: str) -> str:
    """RFC 8707 2: an absolute URI without a fragment. Cognito: https, http on localhost, or a custom scheme."""
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        hostname = parts.hostname
    except ValueError as error:
        raise errors.InvalidTarget from error
    if not parts.scheme or not (parts.netloc or parts.path) or "#" in value or any(c.isspace() for c in value):
        raise errors.InvalidTarget
    if parts.scheme in ("http", "https") and not hostname:
        raise errors.InvalidTarget
    if parts.scheme == "http" and hostname not in ("localhost", "127.0.0.1", "::1"):
        raise errors.InvalidTarget
    return value


def _provider(client: AppClient, parameters: Parameters) -> tuple[IdentityProvider | None, bool]:
    """Return the provider that identity_provider or idp_identifier names; names are case-sensitive (W 13)."""
    name, identifier = parameters.get("identity_provider"), parameters.get("idp_identifier")
    if name == "COGNITO":
        if not client.cognito_sign_in:
            raise errors.InvalidRequest("identity_provider is not one of this client's.")
        return None, True
    if name:
        found = [provider for provider in client.providers if provider.provider_name == name]
    elif identifier:
        found = [provider for provider in client.providers if identifier in provider.idp_identifiers]
    else:
        return None, False
    if not found:
        raise errors.InvalidRequest("The identity provider is not one of this client's.")
    return found[0], False
