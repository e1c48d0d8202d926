"""Userpool as a relying party of any OpenID Provider: OpenID Connect Core 1.0 section 3.1, discovery, PKCE.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-oidc-flow.html (W 7.2). Stricter than
Cognito: our own nonce is always sent and never leaks into the app's token, HMAC-signed tokens are refused, ``iss``
of RFC 9207 is checked, userInfo must speak of the same subject.
"""

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from accounts import provider_details
from accounts.linking import ExternalIdentity
from accounts.models import IdentityProvider
from accounts.provider_details import OidcDetails
from federation.errors import UpstreamFailed
from federation.upstream import discovery, id_token, keys
from federation.upstream.base import SignIn
from federation.upstream.code_flow import CodeFlow, basic_credentials, mapped_claims, new_verifier
from federation.upstream.discovery import Endpoints
from federation.upstream.http import Exchange
from federation.upstream.id_token import Expected, VerifiedIdToken


class OidcUpstream(CodeFlow):
    """An OpenID Provider that discovery describes, or four URLs."""

    says_login_hint = True

    def __init__(self, provider: IdentityProvider) -> None:
        super().__init__(provider)
        self.details: Any = provider_details.parse(provider.provider_type, provider.provider_details)
        self._endpoints: Endpoints | None = None

    # --- what a provider with endpoints of its own replaces -----------------------------------------------------------

    def endpoints(self, exchange: Exchange) -> Endpoints:
        if self._endpoints is None:
            details: OidcDetails = self.details
            self._endpoints = discovery.endpoints(self.provider, details, exchange)
        return self._endpoints

    def client_secret(self) -> str:
        return str(self.details.client_secret)

    def issued_by(self, endpoints: Endpoints, issuer: Any) -> bool:
        """Whether ``issuer`` is this provider's."""
        return endpoints.issued(issuer)

    def more_claims(
        self, signin: SignIn, claims: VerifiedIdToken, access_token: str, endpoints: Endpoints, exchange: Exchange
    ) -> dict[str, Any]:
        """Return what userInfo adds; raise UpstreamFailed when it speaks of somebody else (Core 5.3.2)."""
        if not endpoints.attributes_url:
            return {}
        url = endpoints.attributes_url
        if self.details.attributes_url_add_attributes:  # the URL ends where a comma list begins (W 7.3)
            url += quote(",".join(mapped_claims(self.provider)), safe=",")
        found = self.profile(signin, url, access_token, exchange, self.details.attributes_request_method)
        if found.get("sub") != claims["sub"]:
            raise UpstreamFailed("userinfo_subject", "Bad userinfo subject")
        return found

    # --- the flow -----------------------------------------------------------------------------------------------------

    def authorization(self, signin: SignIn, exchange: Exchange) -> tuple[str, dict[str, str]]:
        endpoints = self.endpoints(exchange)
        signin.kept["nonce"] = secrets.token_urlsafe(32)
        own = {
            "client_id": self.details.client_id,
            "scope": self.details.authorize_scopes,
            "nonce": signin.kept["nonce"],
        }
        if endpoints.pkce:
            own |= new_verifier(signin)
        if signin.login_hint and self.says_login_hint:
            own["login_hint"] = signin.login_hint
        if signin.max_age is not None:
            own["max_age"] = str(signin.max_age)
            signin.kept["max_age"] = signin.max_age
        return endpoints.authorize_url, own

    def check_issuer(self, signin: SignIn, exchange: Exchange) -> None:
        """RFC 9207 2.4: an answer of another provider, sent on to us, must not be redeemed at this one."""
        endpoints, issuer = self.endpoints(exchange), signin.answer.get("iss")
        if (issuer and not self.issued_by(endpoints, issuer)) or (endpoints.says_iss and not issuer):
            raise UpstreamFailed("answer_issuer", "Bad issuer in the response")

    def token_request(self, signin: SignIn, exchange: Exchange) -> tuple[str, dict[str, str], dict[str, str]]:
        endpoints, client_id = self.endpoints(exchange), self.details.client_id
        if endpoints.basic_auth:
            return endpoints.token_url, {}, basic_credentials(client_id, self.client_secret())
        return endpoints.token_url, {"client_id": client_id, "client_secret": self.client_secret()}, {}

    def identity(self, signin: SignIn, tokens: Mapping[str, Any], exchange: Exchange) -> ExternalIdentity:
        endpoints = self.endpoints(exchange)
        token, access_token = tokens.get("id_token"), str(tokens["access_token"])
        if not token:
            raise id_token.refuse("missing")
        expected = Expected(
            issuer=lambda issuer: self.issued_by(endpoints, issuer),
            client_id=self.details.client_id,
            algorithms=endpoints.algorithms,
            nonce=signin.kept["nonce"],
            begun=signin.begun,
            access_token=access_token,
            max_age=signin.kept.get("max_age"),
        )
        claims = id_token.verified(
            token,
            expected,
            lambda alg, kid: keys.verification_keys(self.provider, endpoints.jwks_uri, alg, kid, exchange),
        )
        signin.steps.subject = claims["sub"]
        signin.steps.note("ID token verified", claims=", ".join(sorted(claims))[:300])
        more = self.more_claims(signin, claims, access_token, endpoints, exchange)
        # an ID token is signed, and its claims win (W 7.2)
        merged = {"access_token": access_token, "id_token": token} | more | claims
        return ExternalIdentity(self.provider, claims["sub"], merged, self.issuer_shown(endpoints))

    def issuer_shown(self, endpoints: Endpoints) -> str:
        """Return the issuer for the ``identities`` claim (W 11.2)."""
        return endpoints.issuer
