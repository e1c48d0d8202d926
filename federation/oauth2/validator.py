"""The engine's questions, answered from our tables.

oauthlib asks in a fixed order; the toolkit's OAuth2Validator answers from its own models. This subclass answers from
ours, for one pool and one request: what was looked up once is kept here, so that a question asked twice costs nothing.
Texts of refusals are made elsewhere (server.py); here a refusal is False or one of oauthlib's exceptions.
"""

import base64
import binascii
import logging
from typing import Any
from urllib.parse import unquote_plus

from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2.rfc6749 import errors

from accounts import directory, metrics
from accounts.models import AppClient, AuthorizationCode, RefreshToken, UserPool
from accounts.models.codes import PresentedCode
from accounts.models.grants import Grant
from accounts.rules import SYSTEM_SCOPES
from federation import claims, tokens
from federation.dialects import rules

log = logging.getLogger("userpool.token")

FLOW_OF_RESPONSE_TYPE = {"code": "code", "token": "implicit"}
FLOW_OF_GRANT_TYPE = {
    "authorization_code": "code",
    "refresh_token": "code",
    "client_credentials": "client_credentials",
}
NEEDS_OPENID = frozenset({"email", "phone", "profile"})


class PoolValidator(OAuth2Validator):
    """Answers for ``pool``. ``authorization`` is the Authorization header as it came."""

    def __init__(self, pool: UserPool, authorization: str = "") -> None:
        super().__init__()
        self.pool = pool
        self.authorization = authorization
        self.client: AppClient | None = None
        self.code: PresentedCode | None = None
        self.grant: Grant | None = None
        self.presented: Grant | None = None
        self.refresh_token = ""
        self.why = ""
        """Why it was refused, for operators; the app hears no more than the error code."""

    def _refuse(self, why: str) -> bool:
        self.why = why
        return False

    @property
    def refused_user(self) -> int | None:
        """The user whose code or refresh token was presented, if it was one."""
        grant = self.code.grant if self.code else self.presented
        return grant.subject.pk if grant else None

    # --- the client

    def _load_application(self, client_id: str, request: Any) -> AppClient | None:
        """Return the client of this pool, and leave it on the request as the toolkit expects."""
        if self.client is None or self.client.client_id != client_id:
            self.client = directory.app_client(self.pool, client_id)
        request.client = self.client
        return self.client

    def client_authentication_required(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Anybody who sends credentials has them checked, public clients included (W 4.1)."""
        if self.authorization or request.client_secret:
            return True
        client = self._load_application(request.client_id or "", request)
        return client is not None and client.is_confidential

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Basic or body; a request with both was refused before (server.py)."""
        if self.authorization:
            candidates = basic_credentials(self.authorization)
            if request.client_id:
                candidates = [found for found in candidates if found[0] == request.client_id]
        else:
            candidates = [(request.client_id or "", request.client_secret or "")]
        for client_id, secret in candidates:
            client = self._load_application(client_id, request)
            if client is not None and client.secret_matches(secret):
                request.client_id = client.client_id
                return True
        return self._refuse("client_secret" if self.client else "client_unknown")

    def authenticate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        client = self._load_application(client_id or "", request)
        if client is None or client.is_confidential:
            return self._refuse("client_secret" if client else "client_unknown")
        return True

    def validate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        return self._load_application(client_id, request) is not None

    def validate_redirect_uri(self, client_id: str, redirect_uri: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        return bool(request.client.redirect_uri_allowed(redirect_uri))

    def get_default_redirect_uri(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> str | None:
        return request.client.default_redirect_uri or None

    def validate_response_type(self, client_id: str, response_type: str, client: Any, request: Any, *_: Any) -> bool:
        flow = FLOW_OF_RESPONSE_TYPE.get(response_type)
        if flow is None:
            raise errors.UnsupportedResponseTypeError(request=request)
        return bool(client.allows_flow(flow) and client.supported_identity_providers)

    def validate_grant_type(self, client_id: str, grant_type: str, client: Any, request: Any, *_: Any) -> bool:
        """A client whose OAuth switch is off gets invalid_grant (W 4.5), one without the flow unauthorized_client."""
        if not client.allowed_oauth_flows_user_pool_client:
            raise errors.InvalidGrantError(request=request)
        return bool(client.allows_flow(FLOW_OF_GRANT_TYPE[grant_type]))

    def is_pkce_required(self, client_id: str, request: Any) -> bool:
        return bool(request.client.require_pkce)

    # --- scopes

    def get_default_scopes(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:
        return self._active(request.client)

    def validate_scopes(self, client_id: str, scopes: list[str], client: Any, request: Any, *_: Any) -> bool:
        """Keep what the client may have; the dialect says whether anything else is an error.

        A scope of the client whose resource server was deleted is inactive: it is dropped without a word (W 3.5).
        """
        dialect = rules(client.dialect)
        wanted = list(dict.fromkeys(scopes))
        allowed, active = set(client.allowed_oauth_scopes), set(self._active(client))
        if dialect.refuses_foreign_scopes:
            if not set(wanted) <= allowed:
                return False
            if NEEDS_OPENID & set(wanted) and "openid" not in wanted:
                return False
        request.scopes = [scope for scope in wanted if scope in active]
        return bool(request.scopes)

    def _active(self, client: AppClient) -> list[str]:
        """The scopes of ``client`` that exist."""
        existing = {
            *SYSTEM_SCOPES,
            *(name for server in self.pool.resource_servers.all() for name in server.scope_names),
        }
        if rules(client.dialect).knows_address:
            existing.add("address")
        return [scope for scope in client.allowed_oauth_scopes if scope in existing]

    # --- the code

    def validate_code(self, client_id: str, code: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Look the code up, its row locked. One that was used already betrays a thief: its grant is revoked."""
        self.code = AuthorizationCode.present(code, client)
        if self.code is None:
            return self._refuse("code_unknown")
        if self.code.consumed:
            revoked = RefreshToken.revoke_origin(self.code.grant.origin_jti, client)
            metrics.grants_revoked("code_replayed", revoked)
            return self._refuse("code_replayed")
        if not self.code.live:
            return self._refuse("code_over")
        if claims.unreadable_scope(client, self.code.grant.scopes):
            return self._refuse("scope_unreadable")
        if request.code_verifier and not self.code.code_challenge:
            return self._refuse("challenge_missing")  # RFC 9700 4.8.2: it was taken out of the authorization request
        self.why = "code_verifier"  # what the engine looks at next
        self.grant = self.code.grant
        request.scopes = self.grant.scopes
        request.user = self.grant.subject
        return True

    def get_code_challenge(self, code: str, request: Any) -> str | None:
        return (self.code.code_challenge if self.code else "") or None

    def get_code_challenge_method(self, code: str, request: Any) -> str:
        return "S256"

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, client: Any, request: Any, *_: Any
    ) -> bool:
        """Compare with the redirect_uri of the authorization request; invalid_grant otherwise (RFC 6749 5.2)."""
        if self.code is None or self.code.redirect_uri != redirect_uri:
            self.why = "redirect_uri_differs"
            raise errors.InvalidGrantError(request=request)
        return True

    def spend_code(self, request: Any) -> bool:
        """Spend the code and store the grant; False when somebody else spent it."""
        if self.code is None or not AuthorizationCode.spend(self.code):
            return self._refuse("code_replayed")
        self.refresh_token = tokens.open_grant(request.client, self.code.grant)
        return True

    # --- the refresh token

    def validate_refresh_token(self, refresh_token: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Look the family up and, where the client rotates, replace the token before anything is minted."""
        presented = RefreshToken.present(refresh_token, client)
        if presented is not None and presented.current and presented.live and client.refresh_token_rotation:
            self.refresh_token = RefreshToken.rotate(presented, refresh_token)
            if not self.refresh_token:  # a concurrent request was first: this token is a retired one now
                presented = RefreshToken.present(refresh_token, client)
        if presented is None:
            return self._refuse("refresh_token_unknown")
        self.presented = presented.grant
        if presented.reused:
            metrics.grants_revoked("refresh_token_reused", RefreshToken.revoke(pk=presented.pk))
            return self._refuse("refresh_token_reused")
        if not presented.live:
            return self._refuse("refresh_token_over")
        if not (presented.current or presented.replaced_by):
            return self._refuse("refresh_key_gone" if presented.in_grace else "refresh_token_over")
        self.refresh_token = self.refresh_token or presented.replaced_by
        self.grant = presented.grant
        request.user = presented.grant.subject
        return True

    def get_original_scopes(self, refresh_token: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:
        return self.grant.scopes if self.grant else []

    # --- what the engine would store or cache, and we do not

    def save_token(self, token: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        """Tokens are never stored; the grant was, when the code was spent."""

    def invalidate_authorization_code(self, client_id: str, code: str, request: Any, *args: Any, **kwargs: Any) -> None:
        """The code was spent before anything was minted."""


def basic_credentials(header: str) -> list[tuple[str, str]]:
    """Return the (client id, secret) pairs that a Basic header may mean; empty when it is not one.

    RFC 6749 2.3.1 has both form-encoded before they are joined. Many clients skip that, and ids and secrets may hold
    a plus sign, so the raw reading is tried as well.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return []
    client_id, colon, secret = text.partition(":")
    if not colon:
        return []
    return list(dict.fromkeys([(unquote_plus(client_id), unquote_plus(secret)), (client_id, secret)]))
