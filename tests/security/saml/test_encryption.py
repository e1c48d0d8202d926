"""What an encrypted assertion tells nobody, and what is asked of it all the same."""

import base64
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.fakes import saml_pool
from tests.fakes.saml import NS, Message, find, pair
from tests.security.saml import ciphers
from tests.security.saml.corpus import ASSERTION_SIGNATURE, reason, refused


def test_what_is_wrong_inside_of_an_unsigned_ciphertext_is_told_to_nobody() -> None:
    """Answers that differ would decrypt AES-CBC for an attacker (Jager and Somorovsky 2011)."""
    bad = [values for _, values in ciphers.BAD.values()]
    changes: list[dict[str, Any]] = [
        {"audience": "other"},
        {"name_id": None},
        {"issued": -9999},
        {"signer": pair("stranger")},
        {"sign_assertion": False},
        *[values for values in bad if values.get("encrypt_to") or values.get("ciphered") is ciphers.cut],
    ]
    texts = {
        refused(Message(**{"encryption": {}} | {"signer": pair("stranger")} | values)).description for values in changes
    }
    assert texts == {ASSERTION_SIGNATURE}


def test_a_provider_that_signed_is_told_what_is_wrong_inside() -> None:
    """It can see its own plaintext."""
    signed = Message(sign_response=True, encryption={}, audience="other")
    assert refused(signed).description != ASSERTION_SIGNATURE


def test_an_encrypted_assertion_is_read_by_the_pool_that_it_is_for_and_by_no_other() -> None:
    message = Message(sign_response=True, encryption={}, encrypt_to=pair("other pool")).encoded()
    assert reason(message) == "decryption"
    assert saml_pool.read(message, pool_keys=saml_pool.keys("other pool")).name_id == "ada@example.test"


@pytest.mark.parametrize("encryption", [None, {}])
def test_no_schema_looks_at_a_strangers_document(
    encryption: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validating costs seconds for what is made for that; only who has the provider's key can ask for it."""
    calls: list[object] = []
    monkeypatch.setattr("federation.upstream.saml.schema.is_valid", lambda element: not calls.append(element))
    assert reason(Message(encryption=encryption, signer=pair("stranger"))) == "assertion_signature"
    assert calls == []
    assert saml_pool.read(Message(encryption=encryption))
    assert calls != []


def test_a_ciphertext_is_not_fetched_from_a_file(tmp_path: Path) -> None:
    """XML Encryption 3.3.1, CipherReference: it would decrypt, if anybody went there."""
    there = tmp_path / "ciphertext"

    def change(root: etree._Element) -> None:
        data = find(root, ciphers.DATA)
        there.write_bytes(base64.b64decode(find(data, "xenc:CipherValue").text or ""))
        data.clear()
        etree.SubElement(data, f"{{{NS['xenc']}}}CipherReference", URI=there.as_uri())

    assert reason(Message(encryption={}, ciphered=change)) == "decryption"
