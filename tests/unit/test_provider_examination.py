"""The console's "test configuration": what is fetched, and what is said of it, through the console's own entry.

OpenID Connect Discovery 1.0 sections 3 and 4.3 (what a document must say), RFC 7517 (keys), W 7.2 and 7.3; Sign in with
Apple, "Creating a client secret" (a .p8 file holds an EC P-256 key).
"""

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import OctKey
from pytest_django import Settings

from accounts.models import IdentityProvider, ProviderDocument, UserPool
from accounts.provider_examination import Finding, Verdict, examine
from federation.upstream import capacity, social
from tests import factories
from tests.fakes.oidc import OidcIdp, key
from tests.fakes.server import FakeServer, Handler, Reply

pytestmark = pytest.mark.django_db
WELL_KNOWN = "/.well-known/openid-configuration"


@pytest.fixture
def corp(pool: UserPool, idp: OidcIdp) -> IdentityProvider:
    provider = factories.make_oidc_provider(pool)
    provider.provider_details["oidc_issuer"] = idp.issuer
    provider.save()
    return provider


def findings(provider: IdentityProvider, verdict: Verdict | None = None) -> dict[str, str]:
    """What was looked at, and the words; only what has this verdict."""
    found = examine(provider)
    names = [one.what for one in found]
    assert len(set(names)) == len(names)
    return {one.what: one.words for one in found if verdict in (None, one.verdict)}


def bad(provider: IdentityProvider) -> dict[str, str]:
    return findings(provider, Verdict.BAD)


def given_urls(idp: FakeServer, **changes: str) -> dict[str, str]:
    names = ("authorize_url", "token_url", "attributes_url", "jwks_uri")
    return {name: f"{idp.base}/{'jwks' if name == 'jwks_uri' else name}" for name in names} | changes


# --- good


def test_of_a_good_provider_there_is_nothing_bad_to_say(corp: IdentityProvider, idp: OidcIdp) -> None:
    found = examine(corp)
    assert [one.what for one in found] == [
        "Settings", "Discovery", "Keys", "Client authentication", "PKCE", "Credentials",
    ]  # fmt: skip
    assert {one.what: one.verdict for one in found} == dict.fromkeys((one.what for one in found), Verdict.GOOD) | {
        "Credentials": Verdict.NOTE
    }
    words = {one.what: one.words for one in found}
    assert idp.issuer in words["Discovery"]
    assert "RS256 (1)" in words["Keys"]
    assert "client_secret_post" in words["Client authentication"]
    assert [call.path for call in idp.calls] == [WELL_KNOWN, "/jwks"], "no sign-in is made"


@pytest.mark.parametrize(
    ("metadata", "what", "words"),
    [
        ({"token_endpoint_auth_methods_supported": ["client_secret_basic"]}, "Client authentication", "_basic"),
        ({"token_endpoint_auth_methods_supported": None}, "Client authentication", "client_secret_post"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE", "does not offer S256"),
        ({"code_challenge_methods_supported": None}, "PKCE", "does not offer S256"),
        ({"userinfo_endpoint": None}, "userInfo", "no userInfo endpoint"),
        ({"claims_supported": ["sub", "name"]}, "Attribute mapping", "email"),
    ],
)
def test_what_is_particular_is_said_and_is_not_bad(
    corp: IdentityProvider, idp: OidcIdp, metadata: dict[str, Any], what: str, words: str
) -> None:
    idp.metadata = metadata
    assert words in findings(corp)[what]
    assert not bad(corp)


def test_claims_that_the_provider_lists_are_not_spoken_of(corp: IdentityProvider, idp: OidcIdp) -> None:
    idp.metadata = {"claims_supported": ["sub", "email"]}
    assert "Attribute mapping" not in findings(corp)


def test_an_issuer_with_a_slash_at_the_end_is_the_same(corp: IdentityProvider, idp: OidcIdp) -> None:
    """Cognito's form has none; the document's name is shown, for it is what tokens will say."""
    idp.metadata = {"issuer": f"{idp.issuer}/"}
    assert f"{idp.issuer}/." in findings(corp)["Discovery"]


# --- bad


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"client_secret": ""}, "client_secret: missing."),
        ({"authorize_scopes": "email"}, "authorize_scopes: openid is required."),
        ({"oidc_issuer": "nowhere"}, "oidc_issuer"),
        ({"attributes_request_method": "PUT"}, "GET or POST"),
        ({"token_url": "https://idp.example.test/token"}, "all four URLs"),
        ({"surprise": "x"}, "surprise: no such key"),
    ],
)
def test_settings_that_are_wrong_are_named_and_nobody_is_called(
    corp: IdentityProvider, idp: OidcIdp, change: dict[str, str], words: str
) -> None:
    corp.provider_details |= change
    found = examine(corp)
    assert [(one.what, one.verdict) for one in found] == [("Settings", Verdict.BAD)]
    assert words in found[0].words
    assert idp.calls == []


def test_every_wrong_setting_is_a_finding(corp: IdentityProvider) -> None:
    corp.provider_details = {"client_id": "x"}
    assert len(examine(corp)) == 4


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"issuer": "https://evil.example.test"}, "another issuer's: https://evil.example.test"),
        ({"issuer": None}, "another issuer's"),
        ({"issuer": ["x"]}, "another issuer's"),
        ({"authorization_endpoint": None}, "authorization_endpoint is missing"),
        ({"token_endpoint": ""}, "token_endpoint is missing"),
        ({"token_endpoint": 7}, "token_endpoint is missing"),
        ({"jwks_uri": None}, "jwks_uri is missing"),
        ({"jwks_uri": "/jwks"}, "jwks_uri: The address is not a URL"),
        ({"token_endpoint": "ftp://idp.example.test/"}, "token_endpoint: The address is not a URL"),
        ({"token_endpoint": "https://user:password@idp.example.test/"}, "token_endpoint: The address is not a URL"),
        ({"userinfo_endpoint": "javascript:alert(1)"}, "userinfo_endpoint: The address is not a URL"),
        ({"authorization_endpoint": "https://idp.example.test/#x"}, "authorization_endpoint has a fragment"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "HS256, none"),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, "private_key_jwt"),
        ({"response_types_supported": ["id_token"]}, "code flow"),
    ],
)
def test_what_is_wrong_with_a_discovery_document_is_said(
    corp: IdentityProvider, idp: OidcIdp, metadata: dict[str, Any], words: str
) -> None:
    idp.metadata = metadata
    found = bad(corp)
    assert list(found) == ["Discovery"]
    assert words in found["Discovery"]
    assert f"{idp.issuer}{WELL_KNOWN}" in found["Discovery"]


def test_endpoints_that_are_not_https_are_said_to_be_that(
    corp: IdentityProvider, idp: OidcIdp, settings: Settings
) -> None:
    corp.provider_details |= given_urls(idp) | {"token_url": "http://idp.example.test/token"}
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = False
    assert "not https" in bad(corp)["Endpoints"]


def hang_up(handler: Handler) -> None:
    handler.close_connection = True


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (Reply({"error": "x"}, 503), "It answered with an error (503)."),
        (Reply(b"<html>"), "The answer is not a JSON object."),
        (Reply(b"[]"), "The answer is not a JSON object."),
        (Reply('{"keys": []}'.encode("utf-16")), "The answer is not a JSON object."),
        (Reply(b'{"x": "' + b"x" * 600_000 + b'"}'), "The answer is too large."),
        (Reply({}, headers={"Content-Encoding": "gzip"}), "The answer is compressed"),
        (Reply(b"", 302, {"Location": "http://x:y@z/"}), "The address is not a URL."),
        (hang_up, ""),
    ],
)
@pytest.mark.parametrize(("path", "what"), [(WELL_KNOWN, "Discovery"), ("/jwks", "Keys")])
def test_what_cannot_be_fetched_is_said_with_its_address_and_the_cause(
    corp: IdentityProvider, idp: OidcIdp, path: str, what: str, behaviour: Any, words: str
) -> None:
    idp.misbehave(path, behaviour)
    found = bad(corp)
    assert list(found) == [what]
    assert f"{idp.base}{path}: " in found[what]
    assert words in found[what]


def test_a_private_address_is_said_to_be_one(corp: IdentityProvider, settings: Settings) -> None:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = False
    corp.provider_details["oidc_issuer"] = "https://127.0.0.1"
    assert "private network" in bad(corp)["Discovery"]
    corp.provider_details["oidc_issuer"] = "http://127.0.0.1"
    assert "not https" in bad(corp)["Discovery"]


@pytest.mark.parametrize(
    "published",
    [
        [],
        [{"kty": "oct", "k": "c2VjcmV0"}],
        [{"kty": "RSA", "use": "enc"}],
        [OctKey.generate_key(256).as_dict()],
        [key("p256", "P-256").as_dict(private=False)],  # and the document announces RS256 only
    ],
)
def test_keys_that_verify_nothing_are_said_to_be_that(
    corp: IdentityProvider, idp: OidcIdp, published: list[Any]
) -> None:
    idp.misbehave("/jwks", Reply({"keys": published}))
    assert "no key that could verify RS256" in bad(corp)["Keys"]


def test_the_keys_are_counted_by_algorithm(corp: IdentityProvider, idp: OidcIdp) -> None:
    idp.metadata = {"id_token_signing_alg_values_supported": ["RS256", "ES256", "ES384", "HS256"]}
    idp.published = [key(), key("p256", "P-256")]
    assert findings(corp)["Keys"].endswith("RS256 (1), ES256 (1).")


def test_with_four_urls_discovery_is_not_asked(corp: IdentityProvider, idp: OidcIdp) -> None:
    corp.provider_details |= given_urls(idp)
    found = examine(corp)
    assert Finding("Discovery", found[1].words, Verdict.NOTE) == found[1]
    assert [call.path for call in idp.calls] == ["/jwks"]
    assert not bad(corp)


# --- the kept copies


def kept(provider: IdentityProvider) -> dict[str, Any]:
    rows = ProviderDocument.objects.filter(provider=provider)
    return {row.kind: json.loads(row.body) if row.body else None for row in rows}


def test_what_is_good_replaces_what_was_kept(corp: IdentityProvider, idp: OidcIdp) -> None:
    examine(corp)
    idp.rotate("two")
    idp.metadata = {"claims_supported": ["email"]}
    examine(corp)
    assert [entry["kid"] for entry in kept(corp)["jwks"]["keys"]] == ["one", "two"]
    assert kept(corp)["discovery"]["claims_supported"] == ["email"]
    assert len(idp.called("/jwks")) == 2, "nothing was taken from the copy of a moment ago"
    assert set(ProviderDocument.objects.values_list("claimed_until", "failure")) == {(None, "")}


def test_what_fails_leaves_the_kept_copies_alone(corp: IdentityProvider, idp: OidcIdp) -> None:
    examine(corp)
    before = kept(corp)
    idp.misbehave("/jwks", Reply(b"", 500))
    assert bad(corp)
    idp.misbehave(WELL_KNOWN, Reply(b"", 500))
    assert bad(corp)
    assert kept(corp) == before


def test_a_document_that_cannot_be_used_does_not_replace_one_that_can(corp: IdentityProvider, idp: OidcIdp) -> None:
    examine(corp)
    before = kept(corp)
    idp.metadata = {"issuer": "https://evil.example.test"}
    assert bad(corp)
    assert kept(corp) == before


# --- social providers


def social_provider(pool: UserPool, name: str, **details: str) -> IdentityProvider:
    usual = {"client_id": "c", "client_secret": "s", "authorize_scopes": "openid email"}
    return factories.make_oidc_provider(pool, name, provider_type=name, provider_details=usual | details)


def apple(pool: UserPool, private_key: str) -> IdentityProvider:
    details = {"client_id": "c", "team_id": "t", "key_id": "k", "private_key": private_key, "authorize_scopes": "email"}
    return factories.make_oidc_provider(
        pool, "SignInWithApple", provider_type="SignInWithApple", provider_details=details
    )


def pem(private_key: Any) -> str:
    plain = serialization.NoEncryption()
    return str(private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode())


def public_pem(private_key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private_key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


@pytest.fixture
def redirected_jwks(idp: OidcIdp, monkeypatch: pytest.MonkeyPatch) -> OidcIdp:
    """Google's and Apple's keys, from the fake."""
    monkeypatch.setattr(social, "GOOGLE", replace(social.GOOGLE, jwks_uri=f"{idp.base}/jwks"))
    monkeypatch.setattr(social, "APPLE", replace(social.APPLE, jwks_uri=f"{idp.base}/jwks"))
    return idp


def test_of_google_the_keys_are_fetched(pool: UserPool, redirected_jwks: OidcIdp) -> None:
    provider = social_provider(pool, "Google")
    assert "RS256 (1)" in findings(provider)["Keys"]
    assert not bad(provider)
    redirected_jwks.misbehave("/jwks", Reply(b"", 500))
    assert "(500)" in bad(provider)["Keys"]


@pytest.mark.parametrize("name", ["Facebook", "LoginWithAmazon"])
def test_of_a_provider_that_publishes_nothing_that_is_said(pool: UserPool, name: str) -> None:
    found = examine(social_provider(pool, name))
    assert [(one.what, one.verdict) for one in found] == [
        ("Settings", Verdict.GOOD), ("Provider", Verdict.NOTE), ("Credentials", Verdict.NOTE),
    ]  # fmt: skip
    assert name in found[1].words


@pytest.mark.parametrize("bare", [False, True], ids=["the .p8 file", "what stands between its first and last line"])
def test_apples_private_key_is_looked_at(pool: UserPool, redirected_jwks: OidcIdp, bare: bool) -> None:
    """Configurations made for Cognito have the key without the lines around it."""
    key = pem(ec.generate_private_key(ec.SECP256R1()))
    provider = apple(pool, "".join(key.splitlines()[1:-1]) if bare else key)
    assert findings(provider, Verdict.GOOD).keys() >= {"Private key", "Keys"}
    assert not bad(provider)


@pytest.mark.parametrize(
    "private_key",
    [
        "no key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "ünicode",
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(rsa.generate_private_key(65537, 2048)),
        public_pem(ec.generate_private_key(ec.SECP256R1())),
    ],
    ids=["words", "broken", "unicode", "P-384", "Ed25519", "RSA", "public"],
)
def test_another_key_than_apples_is_said_to_be_one(pool: UserPool, redirected_jwks: OidcIdp, private_key: str) -> None:
    found = bad(apple(pool, private_key))
    assert list(found) == ["Private key"]
    assert ".p8" in found["Private key"]
    assert private_key not in found["Private key"]


# --- secrets


def test_no_finding_repeats_a_secret(corp: IdentityProvider, idp: OidcIdp) -> None:
    corp.provider_details["client_secret"] = "s3cret"
    assert "s3cret" not in str(examine(corp))
    corp.provider_details["surprise"] = "s3cret"
    assert "s3cret" not in str(examine(corp))
    assert "s3cret" not in str(idp.calls)


def test_without_a_free_thread_nobody_is_called(corp: IdentityProvider, idp: OidcIdp, settings: Settings) -> None:
    """The places that sign-ins wait in are for operators as well (federation/upstream/capacity.py)."""
    settings.USERPOOL_UPSTREAM_CONCURRENCY = 1
    with capacity.place(corp.pk):
        assert "Try again" in bad(corp)["Provider"]
    assert not idp.calls
    assert not bad(corp)
