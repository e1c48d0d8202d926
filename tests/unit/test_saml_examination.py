"""The console's "test configuration" of a SAML provider: its metadata, read now, held against the settings.

saml-metadata-2.0 2.4.3 (what an identity provider publishes), W 8.1 (certificates), 8.2 (requests) and 8.5 (sign-out).
"""

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import AuthEvent, IdentityProvider, ProviderDocument, UserPool
from accounts.models.events import Outcome
from accounts.provider_examination import Verdict, examine
from tests import factories
from tests.fakes import saml
from tests.fakes.server import FakeServer, Reply

pytestmark = pytest.mark.django_db
BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"
SSO = f'<md:SingleSignOnService Binding="{BINDING}POST" Location="https://idp.example.test/post"/>'
SLO = f'<md:SingleLogoutService Binding="{BINDING}Redirect" Location="https://idp.example.test/slo"/>'
GOOD = saml.pair("idp").certificate
EXPIRED, SOON = saml.pair("expired", days=-1).certificate, saml.pair("soon", days=20).certificate


def provider(pool: UserPool, document: str = "", **details: str) -> IdentityProvider:
    return factories.make_oidc_provider(
        pool,
        provider_type="SAML",
        provider_details={"MetadataFile": document or saml.metadata()} | details,
        attribute_mapping={"email": "mail", "name": "NameID"},
    )


def findings(row: IdentityProvider) -> dict[str, tuple[Verdict, str]]:
    found = examine(row)
    assert len({one.what for one in found}) == len(found)
    return {one.what: (one.verdict, one.words) for one in found}


def bad(row: IdentityProvider) -> dict[str, str]:
    return {what: words for what, (verdict, words) in findings(row).items() if verdict == Verdict.BAD}


@pytest.fixture
def web(settings: Settings) -> Iterator[FakeServer]:
    """Where a provider publishes its metadata."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    with FakeServer() as running:
        running.misbehave("/metadata", Reply(saml.metadata()))
        yield running


def published(pool: UserPool, web: FakeServer) -> IdentityProvider:
    details = {"MetadataURL": f"{web.base}/metadata"}
    return factories.make_oidc_provider(pool, provider_type="SAML", provider_details=details)


def test_of_a_good_provider_there_is_nothing_bad_to_say(pool: UserPool) -> None:
    found = findings(provider(pool))
    assert list(found) == [
        "Settings", "Metadata", "Certificates", "Sign-in", "Requests", "Sign-out", "Encryption", "Registration",
    ]  # fmt: skip
    assert saml.IDP in found["Metadata"][1]
    assert "HTTP-Redirect to https://idp.example.test/sso" in found["Sign-in"][1]
    assert {verdict for verdict, _ in found.values()} == {Verdict.GOOD, Verdict.NOTE}


@pytest.mark.parametrize(
    ("certificates", "verdict", "words"),
    [
        ((GOOD,), Verdict.GOOD, "1 for signing"),
        ((EXPIRED,), Verdict.BAD, "Every signing certificate has expired"),
        ((EXPIRED, GOOD), Verdict.NOTE, "Of 2 signing certificates 1 expired and 0 will"),
        ((SOON, GOOD), Verdict.NOTE, "Of 2 signing certificates 0 expired and 1 will"),
        ((SOON,), Verdict.NOTE, "Of 1 signing certificates 0 expired and 1 will"),
    ],
)
def test_certificates_are_looked_at(pool: UserPool, certificates: Any, verdict: Verdict, words: str) -> None:
    found = findings(provider(pool, saml.metadata(*certificates)))["Certificates"]
    assert found[0] == verdict
    assert words in found[1]


@pytest.mark.parametrize(
    ("document", "details", "what", "verdict", "words"),
    [
        (saml.metadata(more=SSO), {}, "Sign-in", Verdict.GOOD, "HTTP-POST to https://idp.example.test/post"),
        ("", {"RequestSigningAlgorithm": "rsa-sha256"}, "Requests", Verdict.GOOD, "Signed with RSA-SHA256"),
        (
            saml.metadata(attributes=' WantAuthnRequestsSigned="true"'),
            {},
            "Requests",
            Verdict.NOTE,
            "the metadata asks for it",
        ),
        ("", {}, "Requests", Verdict.GOOD, "Not signed"),
        ("", {}, "Sign-out", Verdict.NOTE, "Neither offered nor switched on"),
        ("", {"IDPSignout": "true"}, "Sign-out", Verdict.BAD, "offers no sign-out"),
        (saml.metadata(more=SSO + SLO), {}, "Sign-out", Verdict.NOTE, "switched off"),
        (
            saml.metadata(more=SSO + SLO),
            {"IDPSignout": "true"},
            "Sign-out",
            Verdict.GOOD,
            "HTTP-Redirect to https://idp.example.test/slo",
        ),
        ("", {"EncryptedResponses": "true"}, "Encryption", Verdict.GOOD, "Required"),
        ("", {}, "Encryption", Verdict.GOOD, "Not required"),
        (saml.metadata(attributes=' validUntil="2020-01-02T03:04:05Z"'), {}, "Valid until", Verdict.NOTE, "2020-01-02"),
    ],
)
def test_what_a_sign_in_would_do_is_said(
    pool: UserPool, document: str, details: dict[str, str], what: str, verdict: Verdict, words: str
) -> None:
    found = findings(provider(pool, document, **details))[what]
    assert found[0] == verdict
    assert words in found[1]


def test_what_is_mapped_and_never_came_is_said(pool: UserPool) -> None:
    row = provider(pool)
    assert "Attribute mapping" not in findings(row)
    for claims, missing in (("department, mail", False), ("department", True)):
        AuthEvent.objects.all().delete()
        steps = [{"step": "response verified", "claims": claims}]
        AuthEvent.objects.create(user_pool=pool, provider=row, outcome=Outcome.SUCCEEDED, steps=steps)
        assert ("Attribute mapping" in findings(row)) is missing
    verdict, words = findings(row)["Attribute mapping"]
    assert (verdict, words) == (Verdict.NOTE, "Mapped, and in none of the last sign-ins: mail.")


def test_a_document_that_cannot_be_used_is_told_by_its_mistake(pool: UserPool) -> None:
    found = bad(provider(pool, "<x/>"))
    assert list(found) == ["Metadata"]
    assert "not SAML 2.0 metadata" in found["Metadata"]


# --- by its URL


def test_metadata_is_fetched_now_and_kept(pool: UserPool, web: FakeServer) -> None:
    row = published(pool, web)
    assert not bad(row)
    web.misbehave("/metadata", Reply(saml.metadata(entity_id="urn:renamed")))
    assert "urn:renamed" in findings(row)["Metadata"][1]
    assert len(web.called("/metadata")) == 2
    kept = ProviderDocument.objects.get()
    assert (kept.kind, "urn:renamed" in kept.body, kept.failure) == ("saml", True, "")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Reply(b"", 404), "It answered with an error (404)."),
        (Reply("<html/>"), "not SAML 2.0 metadata"),
        (Reply(saml.metadata().encode("utf-16")), "not UTF-8"),
        (Reply(saml.metadata() + " " * 1024 * 1024), "too large"),
        (Reply(saml.metadata().replace("https://idp.example.test/sso", "javascript:alert(1)")), "not a web address"),
    ],
)
def test_what_cannot_be_had_is_said_and_leaves_the_good_copy(
    pool: UserPool, web: FakeServer, answer: Reply, words: str
) -> None:
    row = published(pool, web)
    examine(row)
    web.misbehave("/metadata", answer)
    found = bad(row)
    assert list(found) == ["Metadata"]
    assert f"{web.base}/metadata: " in found["Metadata"]
    assert words in found["Metadata"]
    assert saml.IDP in ProviderDocument.objects.get().body


def test_a_private_address_is_not_called(pool: UserPool, web: FakeServer, settings: Settings) -> None:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = False
    row = published(pool, web)
    row.provider_details = {"MetadataURL": "https://127.0.0.1/metadata"}
    assert "private network" in bad(row)["Metadata"]
    assert web.calls == []
