"""Google, Facebook, Login with Amazon and Apple, each as its own documentation describes it, over HTTP.

https://developers.google.com/identity/openid-connect, https://developers.google.com/people/api/rest/v1/people/get,
https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow,
https://developers.facebook.com/docs/graph-api/guides/error-handling,
https://developer.amazon.com/docs/login-with-amazon/authorization-code-grant.html,
https://developer.apple.com/documentation/signinwithapplerestapi

What the real one refuses, a fake refuses. It stands at the real paths: only the hosts of federation/upstream/social.py
are put aside. Each has one app and one person, who agrees at once.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from accounts.models import AppClient, IdentityProvider, UserPool
from federation.upstream import social
from tests import factories
from tests.fakes.browser import fields_of
from tests.fakes.oidc import key, signed
from tests.fakes.server import Call, FakeServer, Reply

GOOGLE_ISSUER, APPLE_ISSUER = "https://accounts.google.com", "https://appleid.apple.com"
SIX_MONTHS = 15_777_000  # seconds; Apple's number
# what personFields may have (people.get), and what fields may have (Graph API, User)
PEOPLE_FIELDS = {
    "addresses", "ageRanges", "biographies", "birthdays", "calendarUrls", "clientData", "coverPhotos",
    "emailAddresses", "events", "externalIds", "genders", "imClients", "interests", "locales", "locations",
    "memberships", "metadata", "miscKeywords", "names", "nicknames", "occupations", "organizations", "phoneNumbers",
    "photos", "relations", "sipAddresses", "skills", "urls", "userDefined",
}  # fmt: skip
FACEBOOK_FIELDS = {
    "id", "about", "age_range", "birthday", "email", "first_name", "gender", "hometown", "languages", "last_name",
    "link", "location", "middle_name", "name", "name_format", "picture", "short_name",
}  # fmt: skip


@dataclass(frozen=True)
class Landing:
    """Where a provider sends the browser: the fields, and whether a form carries them."""

    path: str
    fields: dict[str, str]
    posted: bool = False


class Refused(Exception):
    """A fake says no with this reply."""

    def __init__(self, body: Any, status: int = 400) -> None:
        self.reply = Reply(body, status)
        super().__init__(str(body))


class SocialProvider(FakeServer):
    """What the four have in common: codes for one app and one person."""

    provider_type: ClassVar[str]
    subject: ClassVar[str]
    scopes: ClassVar[str]
    client_id = "app-registered-upstream"
    client_secret = "upstream-secret-of-the-app"
    mapping: ClassVar[dict[str, str]] = {"email": "email", "name": "name"}
    authorize_path: ClassVar[str]
    token_path: ClassVar[str]
    profile_path: ClassVar[str] = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.user: dict[str, Any] = {}
        """What the person's profile has."""
        self.answer: dict[str, str] = {}
        """Laid over the answer that the browser carries; an empty value takes a field out."""
        self.grants: dict[str, dict[str, str]] = {}
        """What was asked at the authorization endpoint, by code."""
        self.issued: list[str] = []
        """Every code and token that was handed out."""
        self.access_tokens: set[str] = set()
        self.routes = {self.authorize_path: self.guarded(self.authorize), self.token_path: self.guarded(self.token)}
        if self.profile_path:
            self.routes[self.profile_path] = self.guarded(self.profile)

    # --- set up -------------------------------------------------------------------------------------------------------

    @property
    def details(self) -> dict[str, str]:
        """ProviderDetails as an operator writes them."""
        return {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "authorize_scopes": self.scopes,
        }

    def here(self, url: str) -> str:
        """Return the real ``url`` with this server in place of its host."""
        parts = urlsplit(url)
        return f"{self.base}{parts.path}" + (f"?{parts.query}" if parts.query else "")

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let Userpool call this server where it would call the real one."""
        raise NotImplementedError

    def register(self, pool: UserPool, *clients: AppClient, **values: Any) -> IdentityProvider:
        """Make this the provider of its type at ``pool``; ``details`` are laid over its ProviderDetails."""
        details = {**self.details, **values.pop("details", {})}
        values = {"attribute_mapping": self.mapping} | values
        provider = factories.make_oidc_provider(
            pool, self.provider_type, provider_type=self.provider_type, provider_details=details, **values
        )
        for client in clients:
            client.identity_providers.add(provider)
        return provider

    # --- the browser --------------------------------------------------------------------------------------------------

    def visit(self, url: str) -> Landing:
        """Open the provider's page at ``url`` and follow it back."""
        answer = httpx.get(url)
        assert answer.status_code == 302, answer.text
        location = answer.headers["Location"]
        parts = urlsplit(location)
        return Landing(parts.path, fields_of(location))

    # --- the provider -------------------------------------------------------------------------------------------------

    @staticmethod
    def guarded(route: Any) -> Any:
        def run(call: Call) -> Reply:
            try:
                return route(call)
            except Refused as refused:
                return refused.reply

        return run

    def check_authorization(self, asked: dict[str, str]) -> None:
        """Refuse on a page of the provider's own what no redirect may answer; the browser never comes back."""
        if asked.get("client_id") != self.client_id:
            raise Refused("The OAuth client was not found.")
        if not asked.get("redirect_uri", "").startswith("https://"):
            raise Refused("redirect_uri_mismatch")
        if asked.get("response_type") != "code":
            raise Refused("unsupported_response_type")

    def authorize(self, call: Call) -> Reply:
        self.check_authorization(call.query)
        fields = self.agreed(call.query) | {"state": call.query["state"]} | self.answer
        return self.sent_back(call.query["redirect_uri"], {name: value for name, value in fields.items() if value})

    def agreed(self, asked: dict[str, str]) -> dict[str, str]:
        """Return the fields of an answer to ``asked``: the person has agreed."""
        code = secrets.token_urlsafe(24)
        self.grants[code] = asked
        self.issued.append(code)
        return {"code": code}

    def sent_back(self, redirect_uri: str, fields: dict[str, str]) -> Reply:
        return Reply(status=302, headers={"Location": f"{redirect_uri}?{urlencode(fields)}"})

    def token(self, call: Call) -> Reply:
        raise NotImplementedError

    def profile(self, call: Call) -> Reply:
        raise NotImplementedError

    def spent(self, form: dict[str, str]) -> dict[str, str] | None:
        """Return what the code in ``form`` was asked with, once, if its redirect_uri and PKCE verifier fit."""
        asked = self.grants.pop(form.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri"):
            return None
        if challenge := asked.get("code_challenge"):
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != challenge:
                return None
        return asked

    def new_access_token(self) -> str:
        token = secrets.token_urlsafe(24)
        self.access_tokens.add(token)
        self.issued.append(token)
        return token

    def bearer_of(self, call: Call) -> str:
        """Return the access token of a call, empty when it has none of ours."""
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" and token in self.access_tokens else ""


class Signs:
    """Of a provider with ID tokens."""

    issued: list[str]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.claims: dict[str, Any] = {}
        """Laid over the claims of the ID token; None takes one out."""
        self.alg, self.key = "RS256", key()

    def id_token(self, claims: dict[str, Any], access_token: str) -> str:
        now = int(time.time())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        at_hash = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
        claims = {"iat": now, "exp": now + 600, "at_hash": at_hash} | claims | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        token = signed(json.dumps(claims), {"alg": self.alg, "kid": self.key.kid}, self.key)
        self.issued.append(token)
        return token

    def jwks(self, call: Call) -> Reply:
        return Reply(KeySet([self.key]).as_dict(private=False))


def google_api_error(code: int, status: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status}}


class Google(Signs, SocialProvider):
    """Google: OpenID Connect, and the People API."""

    provider_type = "Google"
    subject = "110169484474386276334"
    scopes = "email profile openid"
    authorize_path, token_path, profile_path = "/o/oauth2/v2/auth", "/oauth2/v4/token", "/v1/people/me"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.user = {"email": "ada@gmail.example.test", "email_verified": True, "name": "Ada Lovelace"}
        self.person: dict[str, Any] = {"resourceName": f"people/{self.subject}", "etag": "%EgUBAgMJLhoEAQIFBw=="}
        self.routes["/oauth2/v3/certs"] = self.jwks

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        names = ("authorize_url", "token_url", "jwks_uri", "attributes_url")
        urls = {name: self.here(getattr(social.GOOGLE, name)) for name in names}
        monkeypatch.setattr(social, "GOOGLE", replace(social.GOOGLE, **urls))

    def check_authorization(self, asked: dict[str, str]) -> None:
        super().check_authorization(asked)
        if "openid" not in asked.get("scope", "").split(" "):
            raise Refused("invalid_scope")
        if bad := set(asked.get("prompt", "").split()) - {"none", "login", "consent", "select_account"}:
            raise Refused(f"Invalid parameter value for prompt: Invalid prompt: {bad}")
        if asked.get("code_challenge") and asked.get("code_challenge_method") != "S256":
            raise Refused("Invalid code_challenge_method")

    def agreed(self, asked: dict[str, str]) -> dict[str, str]:
        more = {"iss": GOOGLE_ISSUER, "scope": asked["scope"], "authuser": "0", "prompt": "none"}
        return super().agreed(asked) | more

    def token(self, call: Call) -> Reply:
        if call.method != "POST":
            raise Refused({"error": "invalid_request"}, 404)
        if (call.form.get("client_id"), call.form.get("client_secret")) != (self.client_id, self.client_secret):
            raise Refused({"error": "invalid_client", "error_description": "Unauthorized"}, 401)
        if call.form.get("grant_type") != "authorization_code":
            raise Refused({"error": "unsupported_grant_type", "error_description": "Invalid grant_type"})
        asked = self.spent(call.form)
        if asked is None:
            raise Refused({"error": "invalid_grant", "error_description": "Bad Request"})
        access_token = self.new_access_token()
        who = {"iss": GOOGLE_ISSUER, "azp": self.client_id, "aud": self.client_id, "sub": self.subject}
        id_token = self.id_token(who | self.user | {"nonce": asked.get("nonce")}, access_token)
        body = {"access_token": access_token, "expires_in": 3599, "scope": asked["scope"], "token_type": "Bearer"}
        return Reply(body | {"id_token": id_token})

    def profile(self, call: Call) -> Reply:
        if not self.bearer_of(call):
            message = "Request had invalid authentication credentials."
            raise Refused(google_api_error(401, "UNAUTHENTICATED", message), 401)
        wanted = [name for name in call.query.get("personFields", "").split(",") if name]
        if not wanted:
            raise Refused(google_api_error(400, "INVALID_ARGUMENT", "personFields mask is required."))
        if bad := [name for name in wanted if name not in PEOPLE_FIELDS]:
            message = f'Invalid personFields mask path: "{bad[0]}".'
            raise Refused(google_api_error(400, "INVALID_ARGUMENT", message))
        shown = {"resourceName", "etag", *wanted}
        return Reply({name: value for name, value in self.person.items() if name in shown})


class Facebook(SocialProvider):
    """Facebook Login and the Graph API of one version."""

    provider_type = "Facebook"
    subject = "10223456789012345"
    scopes = "public_profile, email"

    def __init__(self, version: str = "v17.0", **options: Any) -> None:
        self.authorize_path = f"/{version}/dialog/oauth"
        self.token_path = f"/{version}/oauth/access_token"
        self.profile_path = f"/{version}/me"
        super().__init__(**options)
        picture = {"height": 50, "is_silhouette": False, "url": "https://scontent.example.test/ada.jpg", "width": 50}
        self.user = {
            "id": self.subject,
            "email": "ada@fb.example.test",
            "name": "Ada Lovelace",
            "picture": {"data": picture},
        }

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(social, "FACEBOOK", {name: self.here(url) for name, url in social.FACEBOOK.items()})

    @staticmethod
    def graph_error(code: int, message: str) -> Refused:
        error = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "AbCdEfGhIjKlMnOpQrStUvW"}
        return Refused({"error": error})

    def check_authorization(self, asked: dict[str, str]) -> None:
        super().check_authorization(asked)
        if not re.fullmatch(r"[a-z_]+(,[a-z_]+)*", asked.get("scope", "")):
            raise Refused(f"Invalid Scopes: {asked.get('scope')}")

    def sent_back(self, redirect_uri: str, fields: dict[str, str]) -> Reply:
        return Reply(status=302, headers={"Location": f"{redirect_uri}?{urlencode(fields)}#_=_"})

    def token(self, call: Call) -> Reply:
        given = call.query | call.form  # both methods are taken
        if given.get("client_id") != self.client_id:
            raise self.graph_error(101, "Error validating application. Cannot get application info.")
        if given.get("client_secret") != self.client_secret:
            raise self.graph_error(1, "Error validating client secret.")
        if self.spent(given) is None:
            raise self.graph_error(100, "Invalid verification code format.")
        return Reply({"access_token": self.new_access_token(), "token_type": "bearer", "expires_in": 5183944})

    def profile(self, call: Call) -> Reply:
        token = self.bearer_of(call)
        if not token:
            raise self.graph_error(190, f"Malformed access token {call.headers.get('authorization', '')}")
        proof = hmac.new(self.client_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(call.query.get("appsecret_proof", ""), proof):
            raise self.graph_error(100, "Invalid appsecret_proof provided in the API argument")
        wanted = [name for name in call.query.get("fields", "").split(",") if name]
        if bad := [name for name in wanted if name not in FACEBOOK_FIELDS]:
            raise self.graph_error(100, f"(#100) Tried accessing nonexisting field ({bad[0]}) on node type (User)")
        return Reply({name: value for name, value in self.user.items() if name in {"id", *wanted}})


class Amazon(SocialProvider):
    """Login with Amazon: the authorization code grant, and the customer profile."""

    provider_type = "LoginWithAmazon"
    subject = "amzn1.account.K2LI23KL2LK2"
    scopes = "profile postal_code"
    mapping: ClassVar[dict[str, str]] = {"email": "email", "name": "name", "zoneinfo": "postal_code"}
    authorize_path, token_path, profile_path = "/ap/oa", "/auth/o2/token", "/user/profile"
    by_scope: ClassVar[dict[str, tuple[str, ...]]] = {
        "profile": ("user_id", "email", "name"),
        "profile:user_id": ("user_id",),
        "postal_code": ("user_id", "postal_code"),
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.user = {
            "user_id": self.subject,
            "email": "ada@amazon.example.test",
            "name": "Ada Lovelace",
            "postal_code": "98101",
        }
        self.granted: dict[str, list[str]] = {}

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(social, "AMAZON", {name: self.here(url) for name, url in social.AMAZON.items()})

    def check_authorization(self, asked: dict[str, str]) -> None:
        super().check_authorization(asked)
        if not set(asked.get("scope", "").split(" ")) <= set(self.by_scope):
            raise Refused("invalid_scope")

    def token(self, call: Call) -> Reply:
        if call.method != "POST":
            raise Refused({"error": "invalid_request", "error_description": "The HTTP method must be POST."}, 405)
        for name in ("grant_type", "client_id", "client_secret", "code", "redirect_uri"):
            if not call.form.get(name):
                words = f"The request is missing a required parameter : {name}"
                raise Refused({"error": "invalid_request", "error_description": words})
        if (call.form["client_id"], call.form["client_secret"]) != (self.client_id, self.client_secret):
            raise Refused({"error": "invalid_client", "error_description": "Client authentication failed"}, 401)
        asked = self.spent(call.form)
        if asked is None:
            words = "The request has an invalid grant parameter : code"
            raise Refused({"error": "invalid_grant", "error_description": words})
        access_token = self.new_access_token()
        self.granted[access_token] = asked["scope"].split(" ")
        refresh = secrets.token_urlsafe(24)
        self.issued.append(refresh)
        body = {"access_token": access_token, "refresh_token": refresh, "token_type": "bearer", "expires_in": 3600}
        return Reply(body)

    def profile(self, call: Call) -> Reply:
        token = self.bearer_of(call)
        if not token:
            words = "The access token provided is expired, revoked, malformed or invalid for other reasons."
            raise Refused({"error": "invalid_token", "error_description": words})
        shown = {name for scope in self.granted[token] for name in self.by_scope[scope]}
        return Reply({name: value for name, value in self.user.items() if name in shown})


class Apple(Signs, SocialProvider):
    """Sign in with Apple: the answer is a form, and the client proves itself with a JWT."""

    provider_type = "SignInWithApple"
    subject = "001234.0a1b2c3d4e5f60718293a4b5c6d7e8f9.0123"
    scopes = "email name"
    client_id = "test.example.userpool.signin"
    team_id, key_id = "TEAM123456", "KEY1234567"
    mapping: ClassVar[dict[str, str]] = {
        "email": "email",
        "email_verified": "email_verified",
        "name": "name",
        "given_name": "firstName",
        "family_name": "lastName",
    }
    authorize_path, token_path = "/auth/authorize", "/auth/token"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.registered = ECKey.generate_key("P-256")
        self.user = {"email": "ada@privaterelay.example.test", "email_verified": "true", "is_private_email": "true"}
        self.person: dict[str, Any] = {
            "name": {"firstName": "Ada", "lastName": "Lovelace"},
            "email": "ada@privaterelay.example.test",
        }
        """The form's ``user``: sent when the person agrees for the first time, and never again."""
        self.known = False
        self.routes["/auth/keys"] = self.jwks

    @property
    def private_key(self) -> str:
        """The .p8 file that a developer downloads: PKCS #8 in PEM."""
        found = self.registered.raw_value
        return found.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def details(self) -> dict[str, str]:
        return {
            "client_id": self.client_id,
            "team_id": self.team_id,
            "key_id": self.key_id,
            "private_key": self.private_key,
            "authorize_scopes": self.scopes,
        }

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        urls = {name: self.here(getattr(social.APPLE, name)) for name in ("authorize_url", "token_url", "jwks_uri")}
        monkeypatch.setattr(social, "APPLE", replace(social.APPLE, **urls))

    def visit(self, url: str) -> Landing:
        """Open Apple's page at ``url``; its script sends the form that it holds."""
        page = httpx.get(url)
        assert page.status_code == 200, page.text
        sent = json.loads(page.text)
        return Landing(urlsplit(sent["action"]).path, sent["fields"], posted=True)

    def check_authorization(self, asked: dict[str, str]) -> None:
        super().check_authorization(asked)
        scopes = set(asked.get("scope", "").split(" "))
        if not scopes <= {"", "name", "email", "openid"}:
            raise Refused("invalid_scope")
        if scopes & {"name", "email"} and asked.get("response_mode") != "form_post":
            raise Refused("response_mode must be form_post when name or email scope is requested.")

    def agreed(self, asked: dict[str, str]) -> dict[str, str]:
        first, self.known = not self.known, True
        more = {"user": json.dumps(self.person)} if first and "name" in asked["scope"].split(" ") else {}
        return super().agreed(asked) | more

    def sent_back(self, redirect_uri: str, fields: dict[str, str]) -> Reply:
        # the page itself is of no interest here, only what its form has
        return Reply({"action": redirect_uri, "fields": fields})

    def check_secret(self, secret: str) -> None:
        """Refuse a client secret unless it is as "Creating a client secret" says."""
        try:
            token = jwt.decode(secret, self.registered, algorithms=["ES256"])
            registry = jwt.JWTClaimsRegistry(
                iss={"essential": True, "value": self.team_id},
                sub={"essential": True, "value": self.client_id},
                aud={"essential": True, "value": APPLE_ISSUER},
                iat={"essential": True},
                exp={"essential": True},
            )
            registry.validate(token.claims)
        except (JoseError, ValueError) as error:
            raise Refused({"error": "invalid_client"}) from error
        if token.header.get("kid") != self.key_id or token.claims["exp"] > time.time() + SIX_MONTHS:
            raise Refused({"error": "invalid_client"})

    def token(self, call: Call) -> Reply:
        if call.method != "POST" or call.form.get("client_id") != self.client_id:
            raise Refused({"error": "invalid_client"})
        self.issued.append(call.form.get("client_secret", ""))
        self.check_secret(call.form.get("client_secret", ""))
        if call.form.get("grant_type") != "authorization_code":
            raise Refused({"error": "unsupported_grant_type"})
        asked = self.spent(call.form)
        if asked is None:
            words = "The code has expired or has been revoked."
            raise Refused({"error": "invalid_grant", "error_description": words})
        access_token, refresh = self.new_access_token(), secrets.token_urlsafe(24)
        self.issued.append(refresh)
        who = {"iss": APPLE_ISSUER, "aud": self.client_id, "sub": self.subject, "nonce_supported": True}
        more = {"nonce": asked.get("nonce"), "auth_time": int(time.time())}
        id_token = self.id_token(who | self.user | more, access_token)
        body = {"access_token": access_token, "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh}
        return Reply(body | {"id_token": id_token})
