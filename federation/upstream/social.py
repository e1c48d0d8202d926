"""Google, Facebook, Login with Amazon and Sign in with Apple: their endpoints as data, their peculiarities beside them.

W 7.3, API_IdentityProviderType, and the providers' own pages:
https://developers.google.com/identity/openid-connect,
https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow,
https://developers.facebook.com/docs/graph-api/guides/versioning,
https://developer.amazon.com/docs/login-with-amazon/authorization-code-grant.html,
https://developer.apple.com/documentation/signinwithapplerestapi
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from django.http import HttpRequest
from jwcrypto import jwk, jwt

from accounts import clock, provider_details
from accounts.linking import ExternalIdentity
from accounts.models import IdentityProvider
from accounts.provider_details import AppleDetails, SocialDetails
from federation import responses
from federation.errors import UpstreamFailed
from federation.upstream import people
from federation.upstream.base import SignIn
from federation.upstream.code_flow import CodeFlow, mapped_claims, new_verifier, relayed
from federation.upstream.discovery import Endpoints
from federation.upstream.http import Answer, Exchange
from federation.upstream.id_token import VerifiedIdToken
from federation.upstream.oidc import OidcUpstream

GOOGLE = Endpoints(
    issuer="https://accounts.google.com",
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    token_url="https://www.googleapis.com/oauth2/v4/token",  # noqa: S106 - an address
    jwks_uri="https://www.googleapis.com/oauth2/v3/certs",
    attributes_url="https://people.googleapis.com/v1/people/me?personFields=",
    algorithms=("RS256",),
    pkce=True,
)
APPLE = Endpoints(
    issuer="https://appleid.apple.com",
    authorize_url="https://appleid.apple.com/auth/authorize",
    token_url="https://appleid.apple.com/auth/token",  # noqa: S106 - an address
    jwks_uri="https://appleid.apple.com/auth/keys",
    algorithms=("RS256",),
)
FACEBOOK = {
    "authorize_url": "https://www.facebook.com/{version}/dialog/oauth",
    "token_url": "https://graph.facebook.com/{version}/oauth/access_token",
    "attributes_url": "https://graph.facebook.com/{version}/me?fields=",
}
# Cognito's example (W 7.3), over since September 2025: Graph serves a call to a version that has gone in the oldest one
# that is left, and says nothing of it, so an old ``api_version`` stops nobody
FACEBOOK_VERSION = "v17.0"
AMAZON = {
    "authorize_url": "https://www.amazon.com/ap/oa",
    "token_url": "https://api.amazon.com/auth/o2/token",
    "attributes_url": "https://api.amazon.com/user/profile",
}
APPLE_SECRET_SECONDS = 300
TOKENS = ("access_token", "id_token")  # mappable like claims (W 11.3), and nothing that a profile has


def _noted(signin: SignIn, found: dict[str, Any], *members: str) -> dict[str, Any]:
    """Return ``found``; note these members of an error of the Google or Graph APIs, which is an object.

    Its message is for nobody's record: Graph's quotes the access token that it does not like.
    """
    error = found.get("error")
    if isinstance(error, dict):
        said = [str(error[member]) for member in members if isinstance(error.get(member), str | int)]
        signin.steps.note("the API refused", relayed(" ".join(said)))
    return found


class GoogleUpstream(OidcUpstream):
    """OpenID Connect with known endpoints, and the People API for what an ID token does not say."""

    says_login_hint = False

    def endpoints(self, exchange: Exchange) -> Endpoints:
        return GOOGLE

    def issued_by(self, endpoints: Endpoints, issuer: Any) -> bool:
        return issuer in (endpoints.issuer, endpoints.issuer.removeprefix("https://"))  # Google documents both

    def issuer_shown(self, endpoints: Endpoints) -> str:
        return ""

    def token_error(self, status: int, code: str, description: str) -> str:
        return f"Google Error - {status} {code}".strip()

    def _read(self, answer: Answer, what: str, signin: SignIn) -> dict[str, Any]:
        return _noted(signin, super()._read(answer, what, signin), "status", "code")

    def more_claims(
        self, signin: SignIn, claims: VerifiedIdToken, access_token: str, endpoints: Endpoints, exchange: Exchange
    ) -> dict[str, Any]:
        wanted = [name for name in mapped_claims(self.provider) if name in people.FIELDS]
        if not wanted:
            return {}
        person = self.profile(signin, endpoints.attributes_url + ",".join(wanted), access_token, exchange)
        if person.get("resourceName", f"people/{claims['sub']}") != f"people/{claims['sub']}":
            raise UpstreamFailed("userinfo_subject", "Bad userinfo subject")
        return people.claims(person, wanted)


class AppleUpstream(OidcUpstream):
    """OpenID Connect without userInfo; the client secret is a JWT; the name comes once, in the form, unsigned."""

    says_login_hint = False
    cancelled = ("access_denied", "user_cancelled_authorize")

    def endpoints(self, exchange: Exchange) -> Endpoints:
        return APPLE

    def issuer_shown(self, endpoints: Endpoints) -> str:
        return ""

    def authorization(self, signin: SignIn, exchange: Exchange) -> tuple[str, dict[str, str]]:
        endpoint, own = super().authorization(signin, exchange)
        return endpoint, own | {"response_mode": "form_post"}  # required when name or email is asked for

    def client_secret(self) -> str:
        """Return a secret of five minutes: a JWT of the team, signed with its key (ES256)."""
        details: AppleDetails = self.details
        now = int(clock.now().timestamp())
        claims = {
            "iss": details.team_id,
            "iat": now,
            "exp": now + APPLE_SECRET_SECONDS,
            "aud": APPLE.issuer,
            "sub": details.client_id,
        }
        token = jwt.JWT(header={"alg": "ES256", "kid": details.key_id}, claims=claims)
        try:
            token.make_signed_token(apple_key(details.private_key))
        except ValueError as error:
            words = "SignInWithApple Error - the private key is unusable"
            raise UpstreamFailed("private_key_unusable", words) from error
        return str(token.serialize())

    def more_claims(
        self, signin: SignIn, claims: VerifiedIdToken, access_token: str, endpoints: Endpoints, exchange: Exchange
    ) -> dict[str, Any]:
        return _apple_name(signin.answer.get("user"))


def apple_key(text: str) -> jwk.JWK:
    """Return the key of a .p8 file; raise ValueError for anything but an EC P-256 private key.

    Cognito takes only what stands between the file's first and last line, so configurations made for it have no more.
    """
    try:
        der = base64.b64decode(re.sub(r"-----[A-Z ]+-----|\s", "", text), validate=True)
        key = load_der_private_key(der, password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("not a private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not an EC P-256 private key")
    return jwk.JWK.from_pyca(key)


def _apple_name(field: str) -> dict[str, Any]:
    """Return the name that Apple sends at the first sign-in only. The browser brings it: it proves nothing."""
    try:
        name = json.loads(field).get("name") if field else None
    except (ValueError, AttributeError, RecursionError):
        return {}
    if not isinstance(name, dict):
        return {}
    found = {key: name[key][:256] for key in ("firstName", "middleName", "lastName") if isinstance(name.get(key), str)}
    whole = " ".join(found[key] for key in ("firstName", "middleName", "lastName") if found.get(key))
    return found | ({"name": whole} if whole else {})


class PlainOAuthUpstream(CodeFlow):
    """A provider without ID tokens: who it is, its profile endpoint says over TLS."""

    subject_claim = ""

    def __init__(self, provider: IdentityProvider) -> None:
        super().__init__(provider)
        details = provider_details.parse(provider.provider_type, provider.provider_details)
        assert isinstance(details, SocialDetails)  # noqa: S101 - parse decides by the type, and so does the registry
        self.details = details

    def url(self, name: str) -> str:
        raise NotImplementedError

    def profile_url(self, access_token: str) -> str:
        return self.url("attributes_url")

    def authorization(self, signin: SignIn, exchange: Exchange) -> tuple[str, dict[str, str]]:
        return self.url("authorize_url"), {
            "client_id": self.details.client_id,
            "scope": self.details.authorize_scopes,
        }

    def token_request(self, signin: SignIn, exchange: Exchange) -> tuple[str, dict[str, str], dict[str, str]]:
        form = {"client_id": self.details.client_id, "client_secret": self.details.client_secret}
        return self.url("token_url"), form, {}

    def identity(self, signin: SignIn, tokens: Mapping[str, Any], exchange: Exchange) -> ExternalIdentity:
        access_token = str(tokens["access_token"])
        claims = self.profile(signin, self.profile_url(access_token), access_token, exchange)
        subject = claims.get(self.subject_claim)
        if not isinstance(subject, str) or not subject:
            raise UpstreamFailed("userinfo_subject", "Bad userinfo subject")
        signin.steps.subject = subject
        return ExternalIdentity(self.provider, subject, {"access_token": access_token} | claims)


class AmazonUpstream(PlainOAuthUpstream):
    """Login with Amazon."""

    subject_claim = "user_id"

    def url(self, name: str) -> str:
        return AMAZON[name]

    def authorization(self, signin: SignIn, exchange: Exchange) -> tuple[str, dict[str, str]]:
        endpoint, own = super().authorization(signin, exchange)
        return endpoint, own | new_verifier(signin)

    def token_error(self, status: int, code: str, description: str) -> str:
        return f"LoginWithAmazon Error - {status} {code} {description}".strip()


class FacebookUpstream(PlainOAuthUpstream):
    """Facebook: comma-separated scopes, the code is redeemed by GET, and the Graph API is told which fields to send."""

    token_method = "GET"  # noqa: S105 - an HTTP method
    scope_separator = ","
    subject_claim = "id"

    def url(self, name: str) -> str:
        return FACEBOOK[name].format(version=quote(self.details.api_version or FACEBOOK_VERSION, safe=""))

    def complete(self, request: HttpRequest, signin: SignIn) -> ExternalIdentity:
        # what the person denies comes as ``error``, what the dialog itself refuses as ``error_code`` and its message
        if signin.answer.get("error_code") and not signin.answer.get("error"):
            code, words = (relayed(signin.answer.get(name)) for name in ("error_code", "error_message"))
            signin.steps.note("answered with an error", error=code, description=words)
            raise UpstreamFailed("provider_error", f"Facebook Error - {code} {words}".strip())
        return super().complete(request, signin)

    def _read(self, answer: Answer, what: str, signin: SignIn) -> dict[str, Any]:
        return _noted(signin, super()._read(answer, what, signin), "type", "code", "error_subcode")

    def profile_url(self, access_token: str) -> str:
        fields = dict.fromkeys(["id", *(name for name in mapped_claims(self.provider) if name not in TOKENS)])
        # for apps that require it, and an attacker's access token is then no use (Graph API, Securing Graph API Calls)
        secret = self.details.client_secret.encode()
        proof = hmac.new(secret, access_token.encode(), hashlib.sha256).hexdigest()
        url = self.url("attributes_url") + quote(",".join(fields), safe=",")
        return responses.with_query(url, {"appsecret_proof": proof})
