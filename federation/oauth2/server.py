"""The engine: oauthlib with exactly three grants and two response types, built for one request of one pool.

Views call these functions; nothing of oauthlib comes out of them. A refusal is an OAuthError with a text of ours, or
a HostedPageError while the client and its redirect_uri are not proven.
"""

import json
from dataclasses import dataclass
from typing import Any

from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors as engine_errors
from oauthlib.oauth2.rfc6749 import utils
from oauthlib.oauth2.rfc6749.grant_types import ClientCredentialsGrant, RefreshTokenGrant

from accounts.models import AppClient, UserPool
from federation import errors, tokens
from federation.oauth2.grants import CodeGrant, TokenGrant
from federation.oauth2.validator import PoolValidator
from federation.parameters import Parameters

GRANTS = {
    "authorization_code": CodeGrant,
    "refresh_token": RefreshTokenGrant,
    "client_credentials": ClientCredentialsGrant,
}
TWO_METHODS = "Client credentials came in two ways."  # RFC 6749 2.3 and 5.2: one method a request
_BY_CODE: dict[str, type[errors.OAuthError]] = {
    refusal.code: refusal
    for refusal in (
        errors.InvalidRequest,
        errors.InvalidClient,
        errors.InvalidGrant,
        errors.UnauthorizedClient,
        errors.UnsupportedGrantType,
        errors.UnsupportedResponseType,
        errors.InvalidScope,
    )
}
_DESCRIPTIONS = {
    engine_errors.MissingResponseTypeError: "response_type is missing.",
    engine_errors.MissingCodeChallengeError: "code_challenge is missing; this client requires PKCE.",
    engine_errors.UnsupportedCodeChallengeMethodError: "code_challenge_method must be S256.",
}


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the engine proved of an authorization request."""

    client: AppClient
    redirect_uri: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """What it refused, and where the app may be told. The client and the redirect_uri are proven."""

    client: AppClient
    redirect_uri: str
    error: errors.OAuthError


class _TokenHandler:
    """Stands where oauthlib has its BearerToken: mints a whole token set from the grant that was proven."""

    def __init__(self, validator: PoolValidator) -> None:
        self.validator = validator
        self.answer: dict[str, Any] = {}

    def create_token(self, request: Any, refresh_token: bool = False, **_: Any) -> dict[str, Any]:
        validator = self.validator
        if validator.grant is None:
            minted = tokens.mint_machine(validator.pool, request.client, " ".join(request.scopes))
        else:
            minted = tokens.mint(validator.pool, request.client, validator.grant, validator.refresh_token)
        self.answer = minted.as_response()
        return {}  # the engine would only write it as JSON, for us to read and write again


def _translate(error: Any) -> errors.OAuthError:
    refusal = _BY_CODE.get(error.error, errors.InvalidRequest)
    return refusal(_DESCRIPTIONS.get(type(error), ""))


def authorization(pool: UserPool, parameters: Parameters) -> Authorization | Refused:
    """Check an authorization request: client, redirect_uri, response_type, PKCE, scopes, in this order.

    Raise HostedPageError when the client or the redirect_uri does not hold.
    """
    validator = PoolValidator(pool)
    request = Request("", body=list(parameters.values.items()))
    request.scopes = utils.scope_to_list(request.scope)
    handler = TokenGrant(validator) if request.response_type == "token" else CodeGrant(validator)
    client_id = parameters.get("client_id")
    try:
        handler.validate_authorization_request(request)
    except engine_errors.FatalClientError as error:
        code = "redirect_mismatch" if validator.client is not None else "invalid_client"
        raise errors.HostedPageError(code, client_id) from error
    except engine_errors.OAuth2Error as error:
        if validator.client is None or not request.redirect_uri:
            raise errors.HostedPageError("invalid_request", client_id) from error
        return Refused(validator.client, request.redirect_uri, _translate(error))
    return Authorization(request.client, request.redirect_uri, tuple(request.scopes))


def token(pool: UserPool, parameters: Parameters, authorization_header: str) -> dict[str, Any]:
    """Return the members of the answer to a token request; raise TokenRefused.

    RFC 6749 4.1.3, 4.4.2 and 6; token-endpoint page.
    """
    validator = PoolValidator(pool, authorization_header)
    if parameters.repeated:
        raise TokenRefused(errors.InvalidRequest(), None)
    grant_type = parameters.get("grant_type")
    if not grant_type:
        raise TokenRefused(errors.InvalidRequest("grant_type is missing."), None)
    if grant_type not in GRANTS:
        raise TokenRefused(errors.UnsupportedGrantType(), None)
    if authorization_header and parameters.get("client_secret"):
        raise TokenRefused(errors.InvalidRequest(TWO_METHODS), None)
    values = {name: value for name, value in parameters.values.items() if name not in _IGNORED.get(grant_type, ())}
    request = Request("", http_method="POST", body=list(values.items()))
    request.scopes = utils.scope_to_list(request.scope)
    handler = GRANTS[grant_type](validator)
    minting = _TokenHandler(validator)
    _, body, status = handler.create_token_response(request, minting)
    if status != 200:
        refusal = _BY_CODE.get(json.loads(body)["error"], errors.InvalidRequest)
        raise TokenRefused(refusal(), validator.client, validator.why, validator.refused_user)
    return minting.answer


# On refresh Cognito ignores ``scope`` (W 4.2): the grant keeps the scopes that it has.
_IGNORED = {"refresh_token": ("scope", "redirect_uri", "code"), "client_credentials": ("redirect_uri", "code")}


class TokenRefused(Exception):
    """A refusal at a client-authenticated endpoint, with the client as far as it is known (for its dialect)."""

    def __init__(
        self, error: errors.OAuthError, client: AppClient | None, why: str = "", user: int | None = None
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.client = client
        self.why = why if isinstance(error, errors.InvalidGrant | errors.InvalidClient) and why else error.code
        """The reason in one word, for operators."""
        self.user = user


def authenticated_client(pool: UserPool, parameters: Parameters, authorization_header: str) -> AppClient:
    """Return the client that sends this request, authenticated as at the token endpoint.

    Raise InvalidClient, or InvalidRequest for two methods at once.
    """
    if authorization_header and parameters.get("client_secret"):
        raise errors.InvalidRequest(TWO_METHODS)
    validator = PoolValidator(pool, authorization_header)
    request = Request("", http_method="POST", body=list(parameters.values.items()))
    if validator.client_authentication_required(request):
        proven = validator.authenticate_client(request)
    else:
        proven = validator.authenticate_client_id(request.client_id or "", request)
    if not proven or validator.client is None:
        raise errors.InvalidClient
    return validator.client
