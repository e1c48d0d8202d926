"""An identity provider's metadata is read or refused in words: saml-metadata-2.0-os, W 8.1."""

from datetime import UTC, datetime
from typing import Any

import pytest

from federation.upstream.fetching import BadDocument
from federation.upstream.saml import metadata as saml_metadata
from federation.upstream.saml.metadata import MAX_METADATA, POST, REDIRECT
from tests.fakes import saml
from tests.fakes.saml import metadata, pair

MD = 'xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"'


def service(name: str, binding: str, location: str, response: str = "") -> str:
    more = f' ResponseLocation="{response}"' if response else ""
    return f'<md:{name} Binding="{binding}" Location="{location}"{more}/>'


SSO = service("SingleSignOnService", REDIRECT, "https://idp.example.test/sso")


def words(text: str) -> str:
    with pytest.raises(BadDocument) as caught:
        saml_metadata.parse(text)
    return caught.value.words


def test_one_provider_is_read() -> None:
    more = (
        service("SingleLogoutService", REDIRECT, "https://idp.example.test/slo", "https://idp.example.test/slo-done")
        + service("SingleLogoutService", POST, "https://idp.example.test/slo-post")
        + service("SingleLogoutService", "urn:oasis:names:tc:SAML:2.0:bindings:SOAP", "https://idp.example.test/soap")
        + SSO
        + service("SingleSignOnService", POST, "https://idp.example.test/sso-post")
        + service("SingleSignOnService", POST, "https://idp.example.test/second")
    )
    found = saml_metadata.parse(metadata(more=more, attributes=' WantAuthnRequestsSigned="1"'))
    assert found.entity_id == saml.IDP
    assert found.sso == {REDIRECT: "https://idp.example.test/sso", POST: "https://idp.example.test/sso-post"}
    assert found.slo == {REDIRECT: "https://idp.example.test/slo", POST: "https://idp.example.test/slo-post"}
    assert found.slo_response == found.slo | {REDIRECT: "https://idp.example.test/slo-done"}
    assert found.wants_signed_requests
    assert found.valid_until is None


def test_all_certificates_for_signing_are_read_each_once_and_those_for_encryption_are_not() -> None:
    one, two, other = (pair(name).certificate for name in ("idp", "next", "third"))
    text = (
        metadata(one, two, one, other).replace('"signing"', '"encryption"', 4).replace('"encryption"', '"signing"', 3)
    )
    found = saml_metadata.parse(text).certificates
    wanted = [pair(name).certificate_pem for name in ("idp", "next")]
    assert [certificate.pem.encode() for certificate in found] == wanted
    assert all(certificate.not_before < datetime.now(UTC) < certificate.not_after for certificate in found)


def test_a_key_without_a_use_is_for_signing_and_line_breaks_in_a_certificate_do_not_matter() -> None:
    broken = "\n  ".join(pair("idp").certificate[i : i + 64] for i in range(0, 2000, 64))
    assert saml_metadata.parse(metadata(broken).replace(' use="signing"', "")).certificates


def test_the_authorities_behind_a_certificate_may_not_sign() -> None:
    one, authority = pair("idp").certificate, pair("authority").certificate
    chain = f"</ds:X509Certificate><ds:X509Certificate>{authority}</ds:X509Certificate>"
    found = saml_metadata.parse(metadata(one).replace("</ds:X509Certificate>", chain, 1)).certificates
    assert [certificate.fingerprint for certificate in found] == [
        certificate.fingerprint for certificate in saml_metadata.parse(metadata(one)).certificates
    ]


def test_an_expired_certificate_is_read_with_its_dates() -> None:
    (found,) = saml_metadata.parse(metadata(pair("expired", days=-1).certificate)).certificates
    assert found.not_after < datetime.now(UTC)


def test_the_earliest_end_counts() -> None:
    inner = metadata(attributes=' validUntil="2031-01-02T03:04:05Z"')
    text = f'<md:EntitiesDescriptor {MD} validUntil="2030-01-02T03:04:05.678Z">{inner}</md:EntitiesDescriptor>'
    assert saml_metadata.parse(text).valid_until == datetime(2030, 1, 2, 3, 4, 5, 678000, UTC)


def test_one_provider_among_service_providers_is_found() -> None:
    other = f'<md:EntityDescriptor entityID="sp"><md:SPSSODescriptor protocolSupportEnumeration="{saml.NS["samlp"]}"/>'
    text = f"<md:EntitiesDescriptor {MD}>{other}</md:EntityDescriptor>{metadata()}</md:EntitiesDescriptor>"
    assert saml_metadata.parse(f"\ufeff<?xml version='1.0' encoding='UTF-8'?>\n{text}").entity_id == saml.IDP


def test_a_text_is_read_once() -> None:
    assert saml_metadata.parse(metadata()) is saml_metadata.parse(metadata())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read. The document is not well-formed"),
        ("{}", "cannot be read. The document is not well-formed"),
        ("<html/>", "not SAML 2.0 metadata"),
        ("\ud800", "cannot be read. The document is not well-formed"),
        (f"<!DOCTYPE x []>{metadata()}", "has a document type"),
        (f"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>{metadata()}", "has a document type"),
        (metadata() + " " * MAX_METADATA, "larger than 1 MiB"),
        (metadata() + "é" * (MAX_METADATA // 2), "larger than 1 MiB"),
        (metadata().replace("IDPSSODescriptor", "SPSSODescriptor"), "no SAML 2.0 identity provider"),
        (metadata().replace(saml.NS["samlp"], "urn:oasis:names:tc:SAML:1.1:protocol"), "no SAML 2.0 identity provider"),
        (f"<md:EntitiesDescriptor {MD}>{metadata()}{metadata()}</md:EntitiesDescriptor>", "describes 2 identity"),
        (metadata(entity_id=""), "no entityID"),
        (metadata(entity_id="x" * 1025), "no entityID"),
        (metadata(more=service("SingleSignOnService", "urn:other", "https://idp.example.test/")), "neither"),
        (metadata(more=service("SingleSignOnService", POST, "javascript:alert(1)")), "not a web address"),
        (metadata(more=service("SingleSignOnService", POST, "https://a b/")), "not a web address"),
        (metadata(more=service("SingleSignOnService", POST, "https:///x")), "not a web address"),
        (metadata(more=service("SingleSignOnService", POST, "https://[x/")), "not a web address"),
        (metadata(more=service("SingleSignOnService", POST, "https://u:p@idp.example.test/")), "not a web address"),
        (metadata(more=SSO + service("SingleLogoutService", POST, "data:x")), "not a web address"),
        (metadata().replace("X509Certificate", "X509SubjectName"), "no certificate for signing"),
        (metadata("!!!"), "cannot be read"),
        (metadata("aGVsbG8="), "cannot be read"),
        (metadata("A" * 4097), "longer than 4096"),
        (metadata(pair("weak", "weak").certificate), "less than 2048 bits"),
        (metadata(pair("k1", "SECP256K1").certificate), "neither RSA nor of a NIST curve"),
        (metadata(attributes=' validUntil="tomorrow"'), "not a date and time"),
        ("<a>" * 300 + "</a>" * 300, "not well-formed"),
    ],
)
def test_what_cannot_be_used_is_said_in_words(text: str, said: str) -> None:
    assert said in words(text)


def test_too_many_certificates_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saml_metadata, "MAX_CERTIFICATES", 1)
    assert "more than 1 certificates" in words(metadata(pair("next").certificate, pair("third").certificate))


@pytest.mark.parametrize("name", ["sso", "entity_id"])
def test_what_was_read_cannot_be_changed(name: str) -> None:
    found: Any = saml_metadata.parse(metadata())
    with pytest.raises((AttributeError, TypeError)):
        setattr(found, name, {})
    with pytest.raises(TypeError):
        found.sso["x"] = "y"
