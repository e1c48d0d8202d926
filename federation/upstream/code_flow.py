"""The code flow as every OAuth 2.0 provider speaks it (RFC 6749 4.1), with the places where they differ left open.

RFC 7636 (PKCE), RFC 9207 (the issuer in the answer: which provider is it that answers?), RFC 9700 4.4. What a provider
says in an error is relayed in Cognito's form (W 3.8), clipped and without anything that a URL could not carry.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from django.http import HttpRequest, HttpResponse

from accounts.linking import ExternalIdentity, IdentityRefused
from accounts.models import IdentityProvider
from accounts.provider_details import CALLBACK
from federation import responses
from federation.errors import AccessDenied, OAuthError, UpstreamFailed
from federation.upstream import refusals
from federation.upstream.base import SignIn
from federation.upstream.fetching import FetchFailed
from federation.upstream.http import Answer, Exchange

MAX_CODE = 4096
MAX_RELAYED = 200
# what RFC 6749 4.1.2.1 allows in error_description, and nothing that a page could take for markup
UNSAFE = re.compile(r"[^A-Za-z0-9 .,:;_()/'@=+*-]")


class CodeFlow:
    """A provider with an authorization endpoint and a token endpoint."""

    protocol = "oauth2"
    calls_out = True
    token_method = "POST"  # noqa: S105 - an HTTP method
    scope_separator = " "
    cancelled: tuple[str, ...] = ("access_denied",)
    """The provider's codes for a person who said no."""

    def __init__(self, provider: IdentityProvider) -> None:
        self.provider = provider

    @property
    def name(self) -> str:
        return self.provider.provider_name

    # --- what differs -------------------------------------------------------------------------------------------------

    def authorization(self, signin: SignIn, exchange: Exchange) -> tuple[str, dict[str, str]]:
        """Return the authorization endpoint, and the parameters that are this provider's own."""
        raise NotImplementedError

    def token_request(self, signin: SignIn, exchange: Exchange) -> tuple[str, dict[str, str], dict[str, str]]:
        """Return the token endpoint, the form without what every code exchange has, and headers."""
        raise NotImplementedError

    def identity(self, signin: SignIn, tokens: Mapping[str, Any], exchange: Exchange) -> ExternalIdentity:
        """Return who it is, from the token response."""
        raise NotImplementedError

    def check_issuer(self, signin: SignIn, exchange: Exchange) -> None:
        """Raise UpstreamFailed when the answer names another issuer; most providers name none."""

    def token_error(self, status: int, code: str, description: str) -> str:
        """Return the words for a refused code exchange."""
        return f"{self.name} Error - {status} error getting token"

    # --- what is the same ---------------------------------------------------------------------------------------------

    def begin(self, request: HttpRequest, signin: SignIn) -> HttpResponse:
        with Exchange() as exchange:
            endpoint, own = self.authorization(signin, exchange)
        signin.kept["callback"] = signin.base_url + CALLBACK
        query = {
            "client_id": own.pop("client_id"),
            "redirect_uri": signin.kept["callback"],
            "response_type": "code",
            "scope": self.scope_separator.join(own.pop("scope").replace(",", " ").split()),
            "state": signin.state,
            **own,
        }
        if signin.prompt:
            query["prompt"] = " ".join(sorted(signin.prompt))
        signin.steps.note("sent to the provider")
        return responses.redirect(responses.with_query(endpoint, query))

    def complete(self, request: HttpRequest, signin: SignIn) -> ExternalIdentity:
        with Exchange() as exchange:
            self.check_issuer(signin, exchange)
            if signin.answer.get("error"):
                raise self._relayed(signin)
            code = signin.answer.get("code")
            if not code or len(code) > MAX_CODE:
                raise UpstreamFailed("code_missing", f"{self.name} Error - no code in the response")
            signin.steps.note("answered with a code")
            return self.identity(signin, self._redeem(signin, code, exchange), exchange)

    def refusal(self, refused: IdentityRefused) -> OAuthError:
        return UpstreamFailed(refused.reason, refusals.words(refused))

    def _relayed(self, signin: SignIn) -> OAuthError:
        """Return the provider's own refusal, which came by the browser: its words may be anybody's."""
        code, words = relayed(signin.answer.get("error")), relayed(signin.answer.get("error_description"))
        signin.steps.note("answered with an error", error=code, description=words)
        if code in self.cancelled:
            return AccessDenied(words)
        return UpstreamFailed("provider_error", f"{self.name} Error - {code} {words}".strip())

    def _redeem(self, signin: SignIn, code: str, exchange: Exchange) -> dict[str, Any]:
        endpoint, form, headers = self.token_request(signin, exchange)
        form |= {"grant_type": "authorization_code", "code": code, "redirect_uri": signin.kept["callback"]}
        if verifier := signin.kept.get("code_verifier"):
            form["code_verifier"] = verifier
        try:
            if self.token_method == "GET":  # noqa: S105 - an HTTP method
                answer = exchange.get(responses.with_query(endpoint, form), headers, purpose="token")
            else:
                answer = exchange.post(endpoint, form, headers, purpose="token")
        except FetchFailed as failure:
            signin.steps.note("token endpoint failed", failure.words, host=failure.host)
            raise self._unreachable(failure, "token", "Timeout occurred in calling IdP token endpoint") from failure
        tokens = self._read(answer, "token", signin)
        token = tokens.get("access_token")
        if answer.status != 200 or not isinstance(token, str) or not token.isascii() or not token.isprintable():
            sent = (code, *(form.get(name, "") for name in ("client_secret", "code_verifier")))
            error, words = (relayed(tokens.get(name), *sent) for name in ("error", "error_description"))
            signin.steps.note("token endpoint refused", words, status=answer.status, error=error)
            if answer.status == 200 and not error:
                raise UpstreamFailed("token_response", "Bad token response")
            raise UpstreamFailed("token_error", self.token_error(answer.status, error, words))
        signin.steps.note(
            "token endpoint answered", status=200, host=answer.host, members=", ".join(sorted(tokens))[:200]
        )
        return tokens

    def profile(
        self, signin: SignIn, url: str, access_token: str, exchange: Exchange, method: str = "GET"
    ) -> dict[str, Any]:
        """Return what the provider's userInfo or profile endpoint says."""
        bearer = {"Authorization": f"Bearer {access_token}"}
        try:
            if method == "POST":
                answer = exchange.post(url, {}, bearer, purpose="userinfo")
            else:
                answer = exchange.get(url, bearer, purpose="userinfo")
        except FetchFailed as failure:
            signin.steps.note("userInfo failed", failure.words, host=failure.host)
            raise self._unreachable(failure, "userinfo", "Read timed out") from failure
        claims = self._read(answer, "userinfo", signin)
        if answer.status != 200:
            signin.steps.note("userInfo refused", status=answer.status, host=answer.host)
            raise UpstreamFailed("userinfo_error", f"{self.name} Error - {answer.status} error getting user info")
        signin.steps.note("userInfo answered", host=answer.host, claims=", ".join(sorted(claims))[:300])
        return claims

    def _read(self, answer: Answer, what: str, signin: SignIn) -> dict[str, Any]:
        try:
            return answer.json()
        except FetchFailed as failure:
            if answer.status != 200:
                return {}  # an error page is an error whatever its form
            signin.steps.note(f"{what} answer unreadable", failure.words, host=answer.host)
            raise UpstreamFailed(f"{what}_not_json", f"Bad {what} response") from failure

    @staticmethod
    def _unreachable(failure: FetchFailed, what: str, late: str) -> UpstreamFailed:
        broken = {"redirected": f"Bad {what} response", "too_large": f"Bad {what} response"}
        words = late if failure.cause == "timeout" else broken.get(failure.cause, "Connection reset")
        return UpstreamFailed(f"{what}_{failure.cause}", words)


def mapped_claims(provider: IdentityProvider) -> list[str]:
    """Return the provider's names that its mapping asks for, each once (attributes_url_add_attributes)."""
    mapping: Mapping[str, str] = provider.attribute_mapping
    return list(dict.fromkeys(claim for attribute, claim in mapping.items() if attribute != "username"))


def relayed(value: Any, *secrets_sent: str) -> str:
    """Return a provider's words as they may go to an app and into a record, without what we sent if it echoes that."""
    if not isinstance(value, str):
        return ""
    for secret in filter(None, secrets_sent):
        value = value.replace(secret, "...")
    return UNSAFE.sub(" ", value)[:MAX_RELAYED].strip()


def new_verifier(signin: SignIn) -> dict[str, str]:
    """Make a PKCE verifier, keep it, and return the parameters that go with it (RFC 7636 4.2 and 4.3)."""
    verifier = secrets.token_urlsafe(32)
    signin.kept["code_verifier"] = verifier
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return {"code_challenge": challenge, "code_challenge_method": "S256"}


def basic_credentials(client_id: str, secret: str) -> dict[str, str]:
    """Return the header of client_secret_basic: both parts form-encoded first (RFC 6749 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
