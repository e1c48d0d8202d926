"""The grants of the engine: oauthlib's, with what Cognito's dialect and RFC 9700 ask of them.

PKCE is S256 only. A code is spent when everything about the exchange has been checked and before anything is minted,
inside one transaction: a worker that dies leaves either a usable code or a complete grant.
"""

from typing import Any

from django.db import transaction
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError
from oauthlib.oauth2.rfc6749.grant_types import AuthorizationCodeGrant, ImplicitGrant
from oauthlib.oauth2.rfc6749.grant_types.authorization_code import code_challenge_method_s256


class CodeGrant(AuthorizationCodeGrant):
    """The authorization code grant (RFC 6749 4.1, RFC 7636)."""

    _code_challenge_methods = {"S256": code_challenge_method_s256}

    def validate_authorization_request(self, request: Any) -> Any:
        """Validate; a challenge and its method come together or not at all."""
        result = super().validate_authorization_request(request)
        if bool(request.code_challenge) != bool(request.code_challenge_method):
            raise InvalidRequestError(request=request)
        if request.code_challenge and not 43 <= len(request.code_challenge) <= 128:
            raise InvalidRequestError(request=request)
        return result

    def create_token_response(self, request: Any, token_handler: Any) -> Any:
        with transaction.atomic():
            return super().create_token_response(request, token_handler)

    def validate_token_request(self, request: Any) -> None:
        """Validate and spend the code. The engine would take an omitted redirect_uri for the default one (W 4.2)."""
        if not request.redirect_uri:
            raise InvalidRequestError(request=request)
        super().validate_token_request(request)
        if not self.request_validator.spend_code(request):
            raise InvalidGrantError(request=request)


class TokenGrant(ImplicitGrant):
    """``response_type=token``, for validation only: what it answers is minted like any other token set."""

    response_types = ["token"]
