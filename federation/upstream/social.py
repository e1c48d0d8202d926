"""Google, Facebook, Login with Amazon and Sign in with Apple: their endpoints as data, their peculiarities beside them.

W 7.3, API_IdentityProviderType, and the providers' own pages:
https://developers.google.com/identity/openid-connect, https://developers.google.com/people/api/rest/v1/people/get,
https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow,
https://developer.amazon.com/docs/login-with-amazon/authorization-code-grant.html,
https://developer.apple.com/documentation/sign_in_with_apple
"""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from jwcrypto import jwk, jwt
from jwcrypto.common import JWException

from accounts import provider_details
from accounts.linking import ExternalIdentity
from accounts.models import IdentityProvider
from accounts.provider_details import AppleDetails, SocialDetails
from federation import responses
from federation.errors import UpstreamFailed
from federation.upstream.base import SignIn
from federation.upstream.code_flow import CodeFlow
from federation.upstream.discovery import Endpoints
from federation.upstream.http import Exchange
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
    algorithms=("RS256", "ES256"),
)
FACEBOOK = {
    "authorize_url": "https://www.facebook.com/{version}/dialog/oauth",
    "token_url": "https://graph.facebook.com/{version}/oauth/access_token",
    "attributes_url": "https://graph.facebook.com/{version}/me?fields=",
}
FACEBOOK_VERSION = "v17.0"
AMAZON = {
    "authorize_url": "https://www.amazon.com/ap/oa",
    "token_url": "https://api.amazon.com/auth/o2/token",
    "attributes_url": "https://api.amazon.com/user/profile",
}
APPLE_SECRET_SECONDS = 300
# what the People API knows beside the claims of an ID token: each is a list of entries, one of them the primary one
PEOPLE_FIELDS = frozenset(
    {
        "addresses", "ageRanges", "biographies", "birthdays", "calendarUrls", "clientData", "coverPhotos",
        "emailAddresses", "events", "externalIds", "genders", "imClients", "interests", "locales", "locations",
        "memberships", "metadata", "miscKeywords", "names", "nicknames", "occupations", "organizations",
        "phoneNumbers", "photos", "relations", "sipAddresses", "skills", "urls", "userDefined",
    }
)  # fmt: skip
PEOPLE_VALUES = ("value", "displayName", "formattedValue", "url", "name")


def mapped_claims(provider: IdentityProvider) -> list[str]:
    """Return the provider's names that its mapping asks for, in order (attributes_url_add_attributes)."""
    mapping: Mapping[str, str] = provider.attribute_mapping
    return list(dict.fromkeys(claim for attribute, claim in mapping.items() if attribute != "username"))


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

    def more_claims(
        self, signin: SignIn, claims: VerifiedIdToken, access_token: str, endpoints: Endpoints, exchange: Exchange
    ) -> dict[str, Any]:
        wanted = [name for name in mapped_claims(self.provider) if name in PEOPLE_FIELDS]
        if not wanted:
            return {}
        person = self.profile(signin, endpoints.attributes_url + ",".join(wanted), access_token, exchange)
        if person.get("resourceName", f"people/{claims['sub']}") != f"people/{claims['sub']}":
            raise UpstreamFailed("userinfo_subject", "Bad userinfo subject")
        return {name: value for name in wanted if (value := _primary(person.get(name))) is not None}


def _primary(entries: Any) -> Any:
    """Return the value of the entry that is marked as the primary one, else of the first."""
    found = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    chosen = next((e for e in found if isinstance(e.get("metadata"), dict) and e["metadata"].get("primary")), None)
    entry = chosen or (found[0] if found else None)
    if entry is None:
        return None
    date = entry.get("date")
    if isinstance(date, dict) and all(isinstance(date.get(part), int) for part in ("year", "month", "day")):
        return f"{date['year']:04}-{date['month']:02}-{date['day']:02}"
    for name in PEOPLE_VALUES:
        if isinstance(entry.get(name), str):
            return entry[name]
    return {name: value for name, value in entry.items() if name != "metadata"}


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
        # required by Apple when name or email is asked for; max_age is not known there
        return endpoint, {name: value for name, value in own.items() if name != "max_age"} | {
            "response_mode": "form_post"
        }

    def client_secret(self) -> str:
        """Return a secret of five minutes: a JWT of the team, signed with its key (ES256)."""
        details: AppleDetails = self.details
        now = int(time.time())
        claims = {
            "iss": details.team_id,
            "iat": now,
            "exp": now + APPLE_SECRET_SECONDS,
            "aud": APPLE.issuer,
            "sub": details.client_id,
        }
        try:
            key = jwk.JWK.from_pem(details.private_key.encode())
            token = jwt.JWT(header={"alg": "ES256", "kid": details.key_id}, claims=claims)
            token.make_signed_token(key)
        except (JWException, ValueError, TypeError) as error:
            raise UpstreamFailed(
                "private_key_unusable", "SignInWithApple Error - the private key is unusable"
            ) from error
        return str(token.serialize())

    def more_claims(
        self, signin: SignIn, claims: VerifiedIdToken, access_token: str, endpoints: Endpoints, exchange: Exchange
    ) -> dict[str, Any]:
        return _apple_name(signin.answer.get("user"))


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

    def token_error(self, status: int, code: str, description: str) -> str:
        return f"LoginWithAmazon Error - {status} {code} {description}".strip()


class FacebookUpstream(PlainOAuthUpstream):
    """Facebook: comma-separated scopes, the code is redeemed by GET, and the Graph API is told which fields to send."""

    token_method = "GET"  # noqa: S105 - an HTTP method
    scope_separator = ","
    subject_claim = "id"

    def url(self, name: str) -> str:
        return FACEBOOK[name].format(version=quote(self.details.api_version or FACEBOOK_VERSION, safe=""))

    def profile_url(self, access_token: str) -> str:
        fields = dict.fromkeys(["id", *(name for name in mapped_claims(self.provider) if name != "access_token")])
        # for apps that require it, and an attacker's access token is then no use (Graph API, Securing Graph API Calls)
        secret = self.details.client_secret.encode()
        proof = hmac.new(secret, access_token.encode(), hashlib.sha256).hexdigest()
        url = self.url("attributes_url") + quote(",".join(fields), safe=",")
        return responses.with_query(url, {"appsecret_proof": proof})
