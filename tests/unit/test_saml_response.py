"""Honest SAML responses are read, and requests for them are made: saml-profiles-2.0 4.1, W 8.2 and 8.3.

The provider is tests/fakes/saml.py, which is written with lxml and xmlsec and shares no code with pysaml2.
"""

import base64
import os
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import xmlsec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from tests.fakes import saml, saml_pool
from tests.fakes.saml import Message, T, pair

NOBODY_ASKED: dict[str, Any] = {"in_response_to": None, "confirmation_in_response_to": None}


# --- what is read -----------------------------------------------------------------------------------------------------

SIGNED = [(True, False), (False, True), (True, True)]
ENCRYPTIONS = [
    (T.TransformAes128Cbc, 128),
    (T.TransformAes192Cbc, 192),
    (T.TransformAes256Cbc, 256),
    (T.TransformAes128Gcm, 128),
    (T.TransformAes192Gcm, 192),
    (T.TransformAes256Gcm, 256),
]


@pytest.mark.parametrize(("response", "assertion"), SIGNED)
def test_a_signature_of_either_the_response_or_the_assertion_will_do(response: bool, assertion: bool) -> None:
    found = saml_pool.read(Message(sign_response=response, sign_assertion=assertion))
    assert (found.name_id, found.assertion_id, found.session_index) == ("ada@example.test", "_assertion", "_session1")


@pytest.mark.parametrize(("response", "assertion"), SIGNED)
@pytest.mark.parametrize("sha256", [False, True])
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(("method", "size"), ENCRYPTIONS)
def test_an_encrypted_assertion_is_read(
    method: Any, size: int, beside: bool, sha256: bool, response: bool, assertion: bool
) -> None:
    message = Message(sign_response=response, sign_assertion=assertion)
    message.encryption = {"method": method, "size": size, "sha256": sha256}
    if beside:
        message.ciphered = saml.set_beside
    found = saml_pool.read(message, saml_pool.expected(encrypted=True))
    assert (found.name_id, found.attributes) == ("ada@example.test", {"email": "ada@example.test"})


@pytest.mark.parametrize(
    ("method", "digest", "kind"),
    [
        (T.TransformRsaSha256, T.TransformSha256, "RSA"),
        (T.TransformRsaSha384, T.TransformSha384, "RSA"),
        (T.TransformRsaSha512, T.TransformSha512, "RSA"),
        (T.TransformEcdsaSha256, T.TransformSha256, "SECP256R1"),
        (T.TransformEcdsaSha384, T.TransformSha384, "SECP384R1"),
    ],
)
def test_sha_2_with_rsa_and_with_ecdsa_is_accepted(method: Any, digest: Any, kind: str) -> None:
    signer = pair(f"idp {kind}", kind)
    message = Message(signer=signer, signing={"method": method, "digest": digest})
    assert saml_pool.read(message, metadata=saml.metadata(signer.certificate)).name_id == "ada@example.test"


def test_every_certificate_of_the_metadata_may_have_signed() -> None:
    both = saml.metadata(pair("idp").certificate, pair("next").certificate)
    for name in ("idp", "next"):
        assert saml_pool.read(Message(signer=pair(name)), metadata=both).name_id == "ada@example.test"


def test_the_pools_former_key_still_decrypts() -> None:
    message = Message(encryption={}, encrypt_to=pair("former"))
    assert saml_pool.read(message, pool_keys=saml_pool.keys("pool", "former")).name_id == "ada@example.test"


def test_attributes_keep_the_providers_names_and_all_their_values() -> None:
    claims = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
    attributes = {claims: ["ada@example.test"], "groups": ["a", "b"], "urn:oid:2.5.4.42": ["Ädá"], "none": []}
    found = saml_pool.read(Message(attributes=attributes)).attributes
    assert found == {claims: "ada@example.test", "groups": ["a", "b"], "urn:oid:2.5.4.42": "Ädá"}


def test_a_name_id_keeps_its_case_and_everything_that_a_sign_out_must_repeat() -> None:
    """saml-core-2.0 3.3.4: a NameID matches when its Format and qualifiers do; W 8.3: case counts."""
    found = saml_pool.read(Message(name_id="AdA"))
    assert (found.name_id, found.name_id_format, found.name_qualifier, found.sp_name_qualifier) == ("AdA", "", "", "")

    def qualified(root: Any) -> None:
        values = {"Format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", "NameQualifier": "q"}
        saml.find(root, ".//saml:NameID").attrib.update(values | {"SPNameQualifier": "s"})

    found = saml_pool.read(Message(before=qualified))
    assert found.name_id_format.endswith(":persistent")
    assert (found.name_qualifier, found.sp_name_qualifier) == ("q", "s")


def test_a_sign_in_that_the_provider_began_is_read_without_in_response_to() -> None:
    assert saml_pool.read(Message(**NOBODY_ASKED), unsolicited=True).name_id == "ada@example.test"


def test_an_assertion_is_to_be_remembered_until_it_is_dead_here() -> None:
    now = datetime.now(UTC)
    soon = saml_pool.read(Message(confirmation_not_on_or_after=100)).not_on_or_after
    late = saml_pool.read(Message(confirmation_not_on_or_after=10**8)).not_on_or_after
    assert abs(soon - (now + timedelta(seconds=160))) < timedelta(seconds=5)
    assert abs(late - (now + timedelta(minutes=6))) < timedelta(seconds=5)


CLOCKS = [
    {"not_before": 50},
    {"not_before": None, "not_on_or_after": -50},
    {"confirmation_not_on_or_after": -50},
    {"issued": 50, "response_issued": 50},
    {"session_not_on_or_after": -50},
]


@pytest.mark.parametrize("clock", CLOCKS)
def test_clocks_may_differ_by_a_minute(clock: dict[str, Any]) -> None:
    assert saml_pool.read(Message(**clock)).name_id == "ada@example.test"


def test_line_breaks_in_base64_and_a_declaration_of_another_encoding_change_nothing() -> None:
    octets = b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-16'?>\n" + Message(sign_response=True).xml()
    assert saml_pool.read(base64.encodebytes(octets).decode()).name_id == "ada@example.test"


# --- this process, its threads and its files --------------------------------------------------------------------------


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on any temporary file, and on any program."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a file or a process is not needed")

    for module, name in (("tempfile", "NamedTemporaryFile"), ("subprocess", "Popen")):
        monkeypatch.setattr(f"{module}.{name}", refuse)
        monkeypatch.setattr(f"saml2.sigver.{name}", refuse)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")


@pytest.mark.usefixtures("no_files")
def test_no_program_is_run_and_no_file_is_written() -> None:
    assert os.environ["PATH"] == "/nonexistent"
    assert saml_pool.read(Message(sign_response=True, encryption={})).name_id == "ada@example.test"
    for metadata in (saml.metadata(), saml.metadata(more=POST_ONLY)):
        saml_pool.saml_response.build_request(saml_pool.client(metadata=metadata), "_1", "state", sign=True)


def test_keys_show_nothing_of_themselves() -> None:
    keys = saml_pool.keys()
    assert "PRIVATE" not in repr(keys)
    assert keys.signing.rsa is saml_pool.keys().signing.rsa


def test_eight_threads_with_two_pools_keep_their_keys_apart() -> None:
    messages = {
        name: Message(encryption={}, sign_response=True, encrypt_to=pair(name), name_id=name).encoded()
        for name in ("pool", "other pool")
    }
    start = Barrier(8)

    def work(number: int) -> bool:
        name = list(messages)[number % 2]
        start.wait()
        for _ in range(10):
            keys = saml_pool.keys(name)
            assert saml_pool.read(messages[name], pool_keys=keys).name_id == name
            for metadata in (saml.metadata(), saml.metadata(more=POST_ONLY)):
                client = saml_pool.client(pool_keys=keys, metadata=metadata)
                made = saml_pool.saml_response.build_request(client, "_1", "state", sign=True)
                if made.form:
                    verify_form(made.form["SAMLRequest"], name)
                else:
                    verify_query(made.url, name)
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(8)))


# --- requests ---------------------------------------------------------------------------------------------------------

POST_ONLY = (
    '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" '
    'Location="https://idp.example.test/post"/>'
)


def public(name: str) -> Any:
    return load_pem_private_key(pair(name).pem, None).public_key()


def verify_query(url: str, name: str = "pool") -> None:
    """saml-bindings-2.0 3.4.4.1: the signature is over the query as it was sent, in this order."""
    query = urlsplit(url).query
    signed, _, _ = query.partition("&Signature=")
    assert [part.partition("=")[0] for part in signed.split("&")] == ["SAMLRequest", "RelayState", "SigAlg"]
    assert parse_qs(query)["SigAlg"] == ["http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"]
    signature = base64.b64decode(parse_qs(query)["Signature"][0])
    public(name).verify(signature, signed.encode(), padding.PKCS1v15(), SHA256())


def verify_form(text: str, name: str = "pool") -> etree._Element:
    root = etree.fromstring(base64.b64decode(text))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(pair(name).certificate_pem, T.KeyDataFormatCertPem)
    context.register_id(root, "ID")
    context.verify(saml.find(root, "ds:Signature"))
    return root


def request_in(url: str) -> etree._Element:
    return etree.fromstring(zlib.decompress(base64.b64decode(parse_qs(urlsplit(url).query)["SAMLRequest"][0]), -15))


def build(metadata: str = "", **options: Any) -> Any:
    client = saml_pool.client(metadata=metadata)
    return saml_pool.saml_response.build_request(client, saml.REQUEST_ID, "state", **{"sign": False} | options)


def test_a_request_says_who_asks_and_where_the_answer_goes() -> None:
    made = build()
    root = request_in(made.url)
    assert made.url.startswith("https://idp.example.test/sso?SAMLRequest=")
    assert made.form == {}
    assert parse_qs(urlsplit(made.url).query)["RelayState"] == ["state"]
    assert "Signature" not in made.url
    assert root.tag == f"{{{saml.NS['samlp']}}}AuthnRequest"
    names = ("ID", "Version", "Destination", "AssertionConsumerServiceURL", "ProtocolBinding", "ForceAuthn")
    assert [root.get(name) for name in names] == [
        saml.REQUEST_ID,
        "2.0",
        "https://idp.example.test/sso",
        saml.ACS,
        "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        None,
    ]
    assert root.findtext("saml:Issuer", namespaces=saml.NS) == saml.AUDIENCE


def test_a_redirected_request_is_signed_in_its_query() -> None:
    made = build(sign=True)
    verify_query(made.url)
    with pytest.raises(InvalidSignature):
        verify_query(made.url.replace("RelayState=state", "RelayState=other"))


def test_a_posted_request_is_signed_inside() -> None:
    made = build(saml.metadata(more=POST_ONLY), sign=True)
    root = verify_form(made.form["SAMLRequest"])
    assert (made.url, made.form["RelayState"], root.get("ID")) == (
        "https://idp.example.test/post",
        "state",
        saml.REQUEST_ID,
    )
    algorithms = {found.get("Algorithm") for found in root.iter() if found.get("Algorithm")}
    assert not any("sha1" in algorithm for algorithm in algorithms)


def test_a_provider_that_wants_signed_requests_gets_them() -> None:
    verify_query(build(saml.metadata(attributes=' WantAuthnRequestsSigned="true"')).url)


@pytest.mark.parametrize("metadata", ["", saml.metadata(more=POST_ONLY)])
def test_prompt_login_becomes_force_authn(metadata: str) -> None:
    made = build(metadata, force_authn=True)
    root = etree.fromstring(base64.b64decode(made.form["SAMLRequest"])) if made.form else request_in(made.url)
    assert root.get("ForceAuthn") == "true"


def test_a_redirect_keeps_the_query_of_the_providers_address() -> None:
    location = '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{}"/>'
    made = build(saml.metadata(more=location.format("https://idp.example.test/sso?tenant=1&amp;x=2")))
    assert made.url.startswith("https://idp.example.test/sso?tenant=1&x=2&SAMLRequest=")
