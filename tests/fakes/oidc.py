"""An OpenID Provider for what honest ones never do. It speaks OpenID Connect Core 1.0 and Discovery 1.0 over HTTP, with
joserfc's signatures; each part of an answer can be replaced.
"""

import base64
import hashlib
import json
import secrets
import time
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from tests.fakes.server import Call, FakeServer, Reply

Key = RSAKey | ECKey | OKPKey | OctKey
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "HS256", "none"]
_keys: dict[str, Key] = {}


def key(name: str = "one", kind: str = "RSA") -> Key:
    """Return a key pair, made once per test process: an RSA pair takes long."""
    if name not in _keys:
        parameters: dict[str, Any] = {"kid": name, "use": "sig"}
        match kind:
            case "RSA":
                _keys[name] = RSAKey.generate_key(2048, parameters)
            case "weak RSA":
                with warnings.catch_warnings(action="ignore"):  # that it is weak
                    _keys[name] = RSAKey.generate_key(1024, parameters)
            case "Ed25519":
                _keys[name] = OKPKey.generate_key("Ed25519", parameters)
            case _:
                _keys[name] = ECKey.generate_key(kind, parameters)
    return _keys[name]


def signed(payload: str, header: dict[str, Any], by: Key) -> str:
    """Return ``payload`` as a JWS, be it claims or not."""
    registry = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    return jws.serialize_compact(header, payload.encode(), by, registry=registry)


class OidcIdp(FakeServer):
    """An OpenID Provider with one client and one user, or with one for each login_hint."""

    client_id = "userpool"
    client_secret = "upstream-secret"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.issuer = self.base
        self.key: Key = key()
        self.alg = "RS256"
        self.published: list[Key] = [self.key]
        self.metadata: dict[str, Any] = {}
        """Laid over the discovery document; None takes a member out."""
        self.claims: dict[str, Any] = {}
        """Laid over the claims of the ID token; None takes one out."""
        self.header: dict[str, Any] = {}
        self.user: dict[str, Any] = {"sub": "ada", "email": "ada@corp.example.test", "email_verified": True}
        """What userInfo says."""
        self.by_hint = False
        """Whether login_hint is the ``sub`` of who signs in."""
        self.bearers: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, Any] = {}
        """Laid over the token response; None takes a member out."""
        self.answer: dict[str, str] = {}
        """Laid over the authorization response; an empty value takes a parameter out."""
        self.forge: Callable[[dict[str, Any], dict[str, Any]], str] | None = None
        """Makes the ID token of claims and header in another way."""
        self.grants: dict[str, dict[str, str]] = {}
        self.routes = {
            "/.well-known/openid-configuration": self.discovery,
            "/authorize": self.authorize,
            "/token": self.token,
            "/userinfo": self.userinfo,
            "/jwks": self.jwks,
        }

    def discovery(self, call: Call) -> Reply:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "userinfo_endpoint": f"{self.base}/userinfo",
            "jwks_uri": f"{self.base}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.alg],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }
        return Reply({name: value for name, value in (document | self.metadata).items() if value is not None})

    def authorize(self, call: Call) -> Reply:
        """Sign the one user in at once and send the browser back (Core 3.1.2.5)."""
        code = secrets.token_urlsafe(16)
        self.grants[code] = call.query
        fields = {"code": code, "state": call.query["state"]} | self.answer
        sent = urlencode({name: value for name, value in fields.items() if value})
        return Reply(status=302, headers={"Location": f"{call.query['redirect_uri']}?{sent}"})

    def token(self, call: Call) -> Reply:
        asked = self.grants.pop(call.form.get("code", ""), None)
        if asked is None or not self.fits(asked, call.form):
            return Reply({"error": "invalid_grant", "error_description": "The code is not known."}, 400)
        access_token = secrets.token_urlsafe(16)
        user = self.user
        if self.by_hint:
            user = self.bearers[access_token] = self.user | {"sub": asked["login_hint"]}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.client_id,
            "sub": user["sub"],
            "iat": now,
            "exp": now + 300,
            "nonce": asked.get("nonce"),
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.alg, "kid": self.key.kid} | self.header
        header = {name: value for name, value in header.items() if value is not None}
        make = self.forge or self.signed
        answer = {"access_token": access_token, "token_type": "Bearer", "id_token": make(claims, header)} | self.tokens
        return Reply({name: value for name, value in answer.items() if value is not None})

    @staticmethod
    def fits(asked: dict[str, str], form: dict[str, str]) -> bool:
        """Whether the code is redeemed by who asked for it (RFC 6749 4.1.3, RFC 7636 4.6)."""
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return asked.get("code_challenge", challenge) == challenge and (
            asked.get("redirect_uri", form["redirect_uri"]) == form["redirect_uri"]
        )

    def signed(self, claims: dict[str, Any], header: dict[str, Any]) -> str:
        return signed(json.dumps(claims), header, self.key)

    def userinfo(self, call: Call) -> Reply:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            return Reply({"error": "invalid_token"}, 401)
        return Reply(self.bearers.get(token, self.user))

    def jwks(self, call: Call) -> Reply:
        return Reply(KeySet(self.published).as_dict(private=False))

    def rotate(self, name: str, kind: str = "RSA") -> None:
        """Sign with another key from now on, and publish both."""
        self.key = key(name, kind)
        self.published = [*self.published, self.key]
