"""The issuer's documents: ``/.well-known/openid-configuration`` and ``/.well-known/jwks.json``.

OpenID Connect Discovery 3, RFC 8414, RFC 9207, RFC 7517. Cognito's keys with Cognito's values, and the standard ones
beside them (https://docs.aws.amazon.com/cognito/latest/developerguide/federation-endpoints.html). They are kept as
bytes for as long as the directory keeps the pool.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags

from accounts import directory, signing
from accounts.middleware import pool_of
from accounts.models import UserPool
from accounts.rules import OIDC_SCOPES
from federation import claims, responses
from federation.views.base import machine_endpoint

MAX_AGE = 300


def configuration(pool: UserPool) -> dict[str, Any]:
    """Return the discovery document of ``pool``."""
    domain, issuer = pool.base_url, pool.issuer
    return {
        "authorization_endpoint": f"{domain}/oauth2/authorize",
        "end_session_endpoint": f"{domain}/logout",
        "id_token_signing_alg_values_supported": [pool.signing_algorithm],
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "response_types_supported": ["code", "token"],
        "revocation_endpoint": f"{domain}/oauth2/revoke",
        "scopes_supported": list(OIDC_SCOPES),
        "subject_types_supported": ["public"],
        "token_endpoint": f"{domain}/oauth2/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "userinfo_endpoint": f"{domain}/oauth2/userInfo",
        # what Cognito leaves out
        "authorization_response_iss_parameter_supported": True,
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": False,
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", *_attribute_claims()],
        "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "client_credentials"],
        "prompt_values_supported": ["none", "login", "select_account", "consent"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "response_modes_supported": ["query", "fragment", "form_post"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    }


def _attribute_claims() -> list[str]:
    return [*claims.EMAIL, *claims.PHONE, *claims.PROFILE, *claims.ADDRESS]


@machine_endpoint("GET", "HEAD")
def openid_configuration(request: HttpRequest) -> HttpResponse:
    """GET <issuer>/.well-known/openid-configuration."""
    return _document(request, "configuration", configuration)


@machine_endpoint("GET", "HEAD")
def jwks(request: HttpRequest) -> HttpResponse:
    """GET <issuer>/.well-known/jwks.json."""
    return _document(request, "jwks", lambda pool: {"keys": signing.published_jwks(pool)})


def _document(request: HttpRequest, name: str, build: Callable[[UserPool], dict[str, Any]]) -> HttpResponse:
    pool = pool_of(request)

    def load() -> tuple[bytes, str]:
        body = json.dumps(build(pool), separators=(",", ":")).encode()
        return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'

    body, etag = directory.remember((name, pool.pk), load)
    asked = request.META.get("HTTP_IF_NONE_MATCH", "")
    known = [tag.removeprefix("W/") for tag in parse_etags(asked)] if asked else []
    fresh = etag in known or "*" in known
    response = HttpResponseNotModified() if fresh else HttpResponse(body, content_type=responses.JSON)
    response["ETag"] = etag
    response["Cache-Control"] = f"public, max-age={MAX_AGE}"
    return response
