"""``/.well-known/openid-configuration`` and ``/.well-known/jwks.json`` on the issuer.

AWS pages federation-endpoints, using-tokens-verifying-a-jwt (W 2.1, 2.2); OpenID Connect Discovery 3 and 4; RFC 8414 2;
RFC 7517; RFC 9110 13.1.2.
"""

import base64
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import signing
from accounts.models import SigningKey, UserPool, UserPoolDomain
from tests import factories

pytestmark = pytest.mark.django_db
CONFIGURATION = "/.well-known/openid-configuration"
JWKS = "/.well-known/jwks.json"
ISSUER = "https://id.example.test/eu-west-1_Demo00001"
DOMAIN = "https://demo.auth.example.test"


@pytest.fixture
def issuer() -> Client:
    """A browser at the host of the issuers."""
    return Client(headers={"host": "id.example.test"})


@pytest.fixture
def path(pool: UserPool) -> str:
    return f"/{pool.pk}"


def test_the_document_has_cognitos_keys_with_cognitos_values(issuer: Client, path: str) -> None:
    """W 2.1: the key set of a captured document, and its values."""
    response = issuer.get(path + CONFIGURATION)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json;charset=UTF-8"
    body = response.json()
    cognito = {
        "authorization_endpoint": f"{DOMAIN}/oauth2/authorize",
        "end_session_endpoint": f"{DOMAIN}/logout",
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": ISSUER,
        "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
        "response_types_supported": ["code", "token"],
        "revocation_endpoint": f"{DOMAIN}/oauth2/revoke",
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
        "token_endpoint": f"{DOMAIN}/oauth2/token",
        "userinfo_endpoint": f"{DOMAIN}/oauth2/userInfo",
    }
    assert {name: body[name] for name in cognito} == cognito
    assert {"client_secret_basic", "client_secret_post"} <= set(body["token_endpoint_auth_methods_supported"])


def test_the_document_has_the_standard_keys_as_well(issuer: Client, path: str) -> None:
    """Discovery 3, RFC 8414 2, RFC 9207 3, RP-Initiated Logout 2.1; what is announced is what there is (W 3.1)."""
    body = issuer.get(path + CONFIGURATION).json()
    expected = {
        "code_challenge_methods_supported": ["S256"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "client_credentials"],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }
    assert {name: body[name] for name in expected} == expected
    assert {"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "email", "email_verified"} <= set(
        body["claims_supported"]
    )
    assert not {"introspection_endpoint", "registration_endpoint", "device_authorization_endpoint"} & set(body)
    assert all(value not in (None, [], "") for value in body.values())  # RFC 8414 3.2


def test_a_custom_domain_is_advertised_and_leaves_the_issuer_alone(issuer: Client, pool: UserPool) -> None:
    """W 1.1: with both, discovery names the custom domain; ``iss`` never changes."""
    UserPoolDomain.objects.create(user_pool=pool, domain="login.shop.example", is_custom=True)
    body = issuer.get(f"/{pool.pk}{CONFIGURATION}").json()
    assert body["authorization_endpoint"] == "https://login.shop.example/oauth2/authorize"
    assert body["issuer"] == ISSUER


def test_a_pool_without_a_domain_is_served_under_its_issuer(issuer: Client, pool: UserPool) -> None:
    """D5: without a domain a pool's base is the issuer."""
    for domain in pool.domains.all():
        domain.delete()
    body = issuer.get(f"/{pool.pk}{CONFIGURATION}").json()
    assert body["token_endpoint"] == f"{ISSUER}/oauth2/token"


def test_an_es256_pool_says_so(issuer: Client) -> None:
    pool = factories.make_pool(signing_algorithm="ES256")
    body = issuer.get(f"/{pool.pk}{CONFIGURATION}").json()
    assert body["id_token_signing_alg_values_supported"] == ["ES256"]
    keys = issuer.get(f"/{pool.pk}{JWKS}").json()["keys"]
    for key in keys:
        assert set(key) == {"alg", "crv", "kid", "kty", "use", "x", "y"}
        assert (key["alg"], key["kty"], key["crv"], key["use"]) == ("ES256", "EC", "P-256", "sig")


@pytest.mark.parametrize("pool_id", ["eu-west-1_Nobody001", "eu-west-1_demo00001", "_", "eu-west-1_Demo00001x"])
@pytest.mark.parametrize("document", [CONFIGURATION, JWKS])
def test_an_unknown_pool_is_a_clean_404(issuer: Client, pool: UserPool, pool_id: str, document: str) -> None:
    response = issuer.get(f"/{pool_id}{document}")
    assert response.status_code == 404
    assert b"demo" not in response.content


# --- keys (W 2.2)


def test_there_are_two_keys_of_which_only_the_public_half_is_shown(issuer: Client, path: str) -> None:
    """W 2.2: two keys of RSA 2048, RS256; kid is padded standard base64 of 32 bytes. RFC 7518 6.3: n and e."""
    response = issuer.get(path + JWKS)
    assert response["Content-Type"] == "application/json;charset=UTF-8"
    assert set(response.json()) == {"keys"}
    keys = response.json()["keys"]
    assert len(keys) == 2
    for key in keys:
        assert set(key) == {"alg", "e", "kid", "kty", "n", "use"}
        assert (key["alg"], key["e"], key["kty"], key["use"]) == ("RS256", "AQAB", "RSA", "sig")
        assert len(key["kid"]) == 44
        assert len(base64.b64decode(key["kid"], validate=True)) == 32
        assert re.fullmatch(r"[A-Za-z0-9_-]{342}", key["n"])
        modulus = int.from_bytes(base64.urlsafe_b64decode(key["n"] + "=="), "big")
        assert modulus.bit_length() == 2048
    assert len({key["kid"] for key in keys}) == 2
    assert len({key["n"] for key in keys}) == 2


def test_two_pools_share_no_key(issuer: Client, path: str) -> None:
    other = factories.make_pool()
    kids = [{key["kid"] for key in issuer.get(p + JWKS).json()["keys"]} for p in (path, f"/{other.pk}")]
    assert not kids[0] & kids[1]


def test_a_successor_is_published_before_it_signs_and_the_old_key_until_its_tokens_are_dead(
    issuer: Client, pool: UserPool, path: str
) -> None:
    """D2.9: the next key is published well before it signs; the old one stays until its last token is dead."""
    old = {key["kid"] for key in issuer.get(path + JWKS).json()["keys"]}
    for row in SigningKey.objects.filter(user_pool=pool):
        row.not_before = timezone.now() - timedelta(days=pool.key_rotation_days)
        row.save()
    made = signing.rotate(pool)
    assert {row.token_use for row in made} == {"id", "access"}
    published = {key["kid"] for key in issuer.get(path + JWKS).json()["keys"]}
    assert published == old | {row.kid for row in made}
    assert {signing.active_key(pool, use).kid for use in ("id", "access")} == old
    assert all(row.not_before - timezone.now() > timedelta(hours=1) for row in made)
    for row in SigningKey.objects.filter(user_pool=pool, kid__in=old):
        assert row.expires_at is not None
        assert row.not_after is not None
        assert row.expires_at - row.not_after >= timedelta(hours=1)
        row.not_before, row.not_after = timezone.now() - timedelta(days=9), timezone.now() - timedelta(days=2)
        row.expires_at = timezone.now() - timedelta(seconds=1)
        row.save()
    assert {key["kid"] for key in issuer.get(path + JWKS).json()["keys"]} == {row.kid for row in made}


# --- caching (RFC 9110 13.1.2, RFC 9111)


@pytest.mark.parametrize("document", [CONFIGURATION, JWKS])
def test_the_documents_may_be_cached_and_asked_for_again(issuer: Client, path: str, document: str) -> None:
    first = issuer.get(path + document)
    etag = first["ETag"]
    assert re.fullmatch(r'(W/)?"[^"]+"', etag)
    assert re.fullmatch(r"public, max-age=[1-9][0-9]*", first["Cache-Control"])
    for condition in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = issuer.get(path + document, headers={"if-none-match": condition})
        assert (again.status_code, again.content) == (304, b""), condition
        assert again["ETag"] == etag
        assert again["Cache-Control"] == first["Cache-Control"]
        assert again["Access-Control-Allow-Origin"] == "*"
    for condition in ('"other"', etag[:-2] + '"', "", "x"):
        assert issuer.get(path + document, headers={"if-none-match": condition}).status_code == 200
    head = issuer.head(path + document)
    assert (head.status_code, head.content, head["ETag"]) == (200, b"", etag)


def test_a_change_of_the_keys_changes_the_etag(issuer: Client, pool: UserPool, path: str) -> None:
    etag = issuer.get(path + JWKS)["ETag"]
    signing.rotate(pool, at_once=True)
    assert issuer.get(path + JWKS, headers={"if-none-match": etag}).status_code == 200
