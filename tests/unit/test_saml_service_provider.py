"""What a pool is as a SAML service provider (W 8.1), and what has to be there for it: libraries, levels of logs."""

import ast
import copy
import importlib.util
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from lxml import etree
from saml2.sigver import DecryptError, SignatureError
from saml2.xmldsig import SIG_RSA_SHA1, SIG_RSA_SHA256

from accounts import checks
from federation.upstream.saml import checks as saml_checks
from federation.upstream.saml import config as saml_config
from federation.upstream.saml import schema as saml_schema
from federation.upstream.saml.crypto import InProcessCrypto
from federation.upstream.saml.keys import PrivateKey, RedirectSigner
from tests.fakes import saml, saml_pool
from tests.fakes.saml import Message, pair

ASSERTION = f"{saml.NS['saml']}:Assertion"
PEM = pair("idp").certificate_pem.decode()


def config(**options: Any) -> Any:
    return saml_config.configuration(saml.AUDIENCE, saml.ACS, saml.SLO, **{"unsolicited": False} | options)


def test_the_entity_id_is_cognitos() -> None:
    assert saml_config.entity_id("local_Test1") == saml.AUDIENCE


def test_a_configuration_is_made_once_for_each_address_and_variant() -> None:
    assert config() is config()
    assert config() is not config(unsolicited=True)
    assert [found.getattr("allow_unsolicited", "sp") for found in (config(), config(unsolicited=True))] == [False, True]


def test_the_client_signs_with_sha_256_and_wants_something_signed() -> None:
    client = saml_pool.client()
    assert client.signing_algorithm == SIG_RSA_SHA256
    assert client.want_assertions_or_response_signed
    assert client.config.accepted_time_diff == 60


def test_a_signer_is_nobody_elses() -> None:
    one, two = (RedirectSigner(PrivateKey(pair(name).pem)) for name in ("pool", "other pool"))
    first, second = one.get_signer(SIG_RSA_SHA256), two.get_signer(SIG_RSA_SHA256)
    assert first is not None
    assert second is not None
    assert first is not second
    assert (first.key, second.key) == (one.key, two.key)
    assert one.get_signer(SIG_RSA_SHA1) is None


def test_a_key_that_is_not_rsa_is_refused() -> None:
    with pytest.raises(ValueError, match="RSA"):
        RedirectSigner(PrivateKey(pair("curve", "SECP256R1").pem))


def test_what_was_verified_is_remembered_and_what_was_not_is_not() -> None:
    crypto, text = InProcessCrypto(), Message().xml()
    assert crypto.validate_signature(text, PEM, "pem", ASSERTION, "_assertion")
    assert [node.get("ID") for node in crypto.verified] == ["_assertion"]
    crypto = InProcessCrypto()
    with pytest.raises(SignatureError):
        crypto.validate_signature(text, pair("stranger").certificate_pem.decode(), "pem", ASSERTION, "_assertion")
    assert crypto.verified == []


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        (ASSERTION, ""),
        (ASSERTION, "_response"),
        (ASSERTION, "_nobody"),
        (f"{saml.NS['samlp']}:Response", "_assertion"),
        ("urn:x:Assertion", "_assertion"),
    ],
)
def test_a_signature_is_looked_for_in_the_expected_element_only(name: str, identity: str) -> None:
    with pytest.raises(SignatureError):
        InProcessCrypto().validate_signature(Message().xml(), PEM, "pem", name, identity)


@pytest.mark.parametrize("case", ["the whole document", "two good signatures"])
def test_a_good_signature_of_another_form_than_samls_is_none(case: str) -> None:
    """saml-core-2.0 5.4.2. xmlsec itself is content with these; no other rule stands in front of it here."""
    root, key = Message(sign_assertion=False).tree(), saml.private(pair("idp"))
    saml.sign(root, key, uri="" if case == "the whole document" else None)
    if case == "two good signatures":
        saml.sign(root, key)
    text = saml.etree.tostring(root)
    with pytest.raises(SignatureError):
        InProcessCrypto().validate_signature(text, PEM, "pem", f"{saml.NS['samlp']}:Response", "_response")


def test_a_document_type_reaches_neither_verification_nor_decryption() -> None:
    text, key = b"<!DOCTYPE x>" + Message(encryption={}).xml(), PrivateKey(pair("pool").pem)
    with pytest.raises(SignatureError):
        InProcessCrypto().validate_signature(text, PEM, "pem", ASSERTION, "_assertion")
    with pytest.raises(DecryptError):
        InProcessCrypto().decrypt(text, key)
    with pytest.raises(SignatureError):
        InProcessCrypto().sign_statement(text.decode(), ASSERTION, key, "_assertion")


def test_only_one_document_is_decrypted_for_a_message() -> None:
    crypto, key = InProcessCrypto(), PrivateKey(pair("pool").pem)
    text = Message(encryption={}).xml()
    assert crypto.decrypt(text, key) == crypto.decrypt(text, key)
    with pytest.raises(DecryptError):
        crypto.decrypt(Message(encryption={}).xml(), key)


def test_what_is_not_encrypted_is_not_decrypted() -> None:
    with pytest.raises(DecryptError):
        InProcessCrypto().decrypt(Message().xml(), PrivateKey(pair("pool").pem))


# --- the installation -------------------------------------------------------------------------------------------------


def test_libraries_that_cannot_be_loaded_together_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "userpool.E007" not in [found.id for found in run_checks()]

    class XmlsecError(Exception):
        pass

    def mismatch(name: str) -> None:
        if name == "xmlsec":
            raise XmlsecError("lxml & xmlsec libxml2 library version mismatch")

    monkeypatch.setattr(checks, "import_module", mismatch)
    (found,) = [found for found in run_checks() if found.id == "userpool.E007"]
    assert "version mismatch" in found.msg
    assert "requirements.txt" in (found.hint or "")


@pytest.mark.parametrize("name", ["saml2", "saml2.response", "djangosaml2", "djangosaml2.views"])
def test_the_toolkits_own_lines_are_not_logged(name: str) -> None:
    assert logging.getLogger(name).getEffectiveLevel() == logging.CRITICAL


def test_commands_do_not_wait_for_the_toolkit() -> None:
    """Loading pysaml2 takes two thirds of a second: what every command imports must not."""
    code = (
        "import django; django.setup(); from django.core.management import call_command; call_command('check');"
        "import sys; sys.exit('saml2' in sys.modules)"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": ""}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_every_check_is_in_the_table() -> None:
    """A check that nobody calls would be read as one that is made."""

    tree = ast.parse(Path(saml_checks.__file__).read_text())
    named = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    assert set(named) - {"check"} == {check.__name__ for check in saml_checks.CHECKS}


def test_messages_are_judged_by_the_schemas_of_saml() -> None:
    """saml-schema-assertion-2.0.xsd and saml-schema-protocol-2.0.xsd, by libxml2; eight threads at once."""
    good, bad = Message(), Message(before=lambda root: saml.find(root, "saml:Assertion").set("unknown", "x"))

    def judged(number: int) -> bool:
        root = (bad if number % 2 else good).tree()
        return saml_schema.is_valid(saml.find(root, "saml:Assertion")) is not bool(number % 2)

    with ThreadPoolExecutor(8) as pool:
        assert not any(not right for right in pool.map(judged, range(64)))
    assert saml_schema.is_valid(Message(encryption={}).tree())
    assert not saml_schema.is_valid(Message(version="2.0", before=lambda root: root.attrib.pop("ID")).tree())


def test_a_schema_leads_nowhere_but_to_the_packaged_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(saml_schema.SCHEMAS, "urn:more", "../../../../etc/passwd")
    monkeypatch.delitem(saml_schema.SCHEMAS, "http://www.w3.org/2001/04/xmlenc#")
    with pytest.raises((etree.XMLSchemaParseError, OSError)):
        saml_schema._compiled()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_signature_has_one_or_two_transforms_and_is_enveloped(count: int) -> None:
    """saml-core-2.0 5.4.4; pysaml2 says the same."""

    def change(root: etree._Element) -> None:
        transforms = saml.find(root, ".//ds:Transforms")
        enveloped, c14n = transforms
        for found in (enveloped, c14n):
            transforms.remove(found)
        transforms.extend([[], [c14n], [enveloped, c14n, copy.deepcopy(c14n)]][{0: 0, 1: 1, 3: 2}[count]])

    text = Message(after=change).xml()
    with pytest.raises(SignatureError, match="enveloped"):
        InProcessCrypto().validate_signature(text, PEM, "pem", ASSERTION, "_assertion")


def test_the_schemas_are_compiled_before_any_message_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one thread: libxml2 sets its types up at the first compilation, and two of those at once end the process by a
    segmentation fault (seen with fifty first sign-ins at once).
    """
    spec = importlib.util.spec_from_file_location("a_fresh_copy", saml_schema.__file__)
    assert spec is not None
    assert spec.loader is not None
    fresh: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    monkeypatch.delattr(fresh.etree, "XMLSchema")
    assert not fresh.is_valid(etree.fromstring("<a/>"))
