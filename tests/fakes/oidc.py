"""An OpenID Provider for what honest ones never do. It speaks OpenID Connect Core 1.0 and Discovery 1.0 over HTTP, with
joserfc's signatures; each part of an answer can be replaced.
"""

import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from joserfc import jws, jwt
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
                _keys[name] = RSAKey.generate_key(1024, parameters)
            case "Ed25519":
                _keys[name] = OKPKey.generate_key("Ed25519", parameters)
            case _:
                _keys[name] = ECKey.generate_key(kind, parameters)
    return _keys[name]


class OidcIdp(FakeServer):
    """An OpenID Provider with one client and one user."""

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
        if asked is None:
            return Reply({"error": "invalid_grant", "error_description": "The code is not known."}, 400)
        access_token = secrets.token_urlsafe(16)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.client_id,
            "sub": self.user["sub"],
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

    def signed(self, claims: dict[str, Any], header: dict[str, Any]) -> str:
        return jwt.encode(
            header, claims, self.key, registry=jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        )

    def userinfo(self, call: Call) -> Reply:
        if not call.headers.get("authorization", "").startswith("Bearer "):
            return Reply({"error": "invalid_token"}, 401)
        return Reply(self.user)

    def jwks(self, call: Call) -> Reply:
        return Reply(KeySet(self.published).as_dict(private=False))

    def rotate(self, name: str, kind: str = "RSA") -> None:
        """Sign with another key from now on, and publish both."""
        self.key = key(name, kind)
        self.published = [*self.published, self.key]
