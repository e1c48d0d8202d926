"""What is done about signatures beside refusing the corpus: where keys come from, and what does not matter."""

from typing import Any

import pytest
from django.utils import timezone
from lxml import etree
from saml2.sigver import SignatureError

from federation.errors import SamlFailed
from federation.upstream.saml import response as saml_response
from federation.upstream.saml.crypto import InProcessCrypto
from federation.upstream.saml.reading import Read
from tests.fakes import saml, saml_pool
from tests.fakes.saml import NS, Message, element, find, pair
from tests.security.saml import comments, signatures
from tests.security.saml.corpus import ADA, DS, honest, hostile, reason


def test_a_comment_does_not_cut_a_name_id_short() -> None:
    """pysaml2 would read the whole name, too."""
    case = next(case for case in comments.CASES if case.name == "comment that ends the NameID")
    parsed, _ = saml_response._by_pysaml2(saml_pool.client(), hostile(case), saml_pool.expected())
    assert parsed.name_id.text == "admin@example.test.evil.example"


@pytest.mark.parametrize("form", ["response", "assertion"])
def test_what_key_info_says_is_not_looked_at(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyInfo is not signed; with a good signature it is no reason to refuse, and none to go anywhere."""
    info = f'<ds:KeyInfo xmlns:ds="{NS["ds"]}"><ds:RetrievalMethod URI="http://127.0.0.1:9/key"/></ds:KeyInfo>'

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing is to be fetched")

    monkeypatch.setattr("socket.socket.connect", refuse)
    message = honest(form, after=lambda root: find(root, ".//ds:Signature").append(element(info)))
    assert saml_pool.read(message).name_id == ADA


def test_a_stranger_whose_certificate_has_the_providers_name_is_a_stranger() -> None:
    assert reason(Message(signer=pair("idp", "SECP256R1"), signing={"method": saml.T.TransformEcdsaSha256})) == (
        "assertion_signature"
    )


def test_a_key_that_left_the_metadata_signs_no_more() -> None:
    metadata = saml.metadata(pair("next").certificate)
    assert saml_pool.read(Message(signer=pair("next")), metadata=metadata).name_id == ADA
    assert reason(Message(), metadata=metadata) == "assertion_signature"


def test_the_refusal_of_a_signature_says_no_more_than_that() -> None:
    with pytest.raises(SamlFailed) as caught:
        saml_pool.read(Message(signer=pair("stranger")))
    assert caught.value.detail == "pysaml2: SignatureError"
    assert caught.value.__cause__ is None


def test_white_space_in_base64_of_a_signature_changes_nothing() -> None:
    def spread(root: Any) -> None:
        for local in ("SignatureValue", "DigestValue"):
            found = find(root, f".//{DS}{local}")
            text = "".join((found.text or "").split())
            found.text = " \n".join(text[at : at + 20] for at in range(0, len(text), 20))

    assert reason(Message(after=spread)) == "assertion_signature"  # DigestValue is signed
    assert saml_pool.read(Message(signing={"prepare": lambda _: None})).name_id == ADA


# --- each by itself: what pysaml2 would ask for never gets that far ---------------------------------------------------

ASSERTION, RESPONSE = f"{NS['saml']}:Assertion", f"{NS['samlp']}:Response"


def verify(message: Message, name: str = ASSERTION, of: str = "_assertion") -> bool:
    return InProcessCrypto().validate_signature(message.xml(), pair("idp").certificate_pem.decode(), "pem", name, of)


def another_signature(signature: etree._Element) -> None:
    """Have the provider sign with a second signature beside its own."""
    signature.addnext(etree.Element(f"{DS}Signature"))


@pytest.mark.parametrize(
    ("values", "name", "of"),
    [
        ({}, RESPONSE, "_assertion"),
        ({}, ASSERTION, "_response"),
        ({}, ASSERTION, ""),
        ({"signing": {"prepare": another_signature}}, ASSERTION, "_assertion"),
        ({"signing": {"prepare": signatures.signed_object}}, ASSERTION, "_assertion"),
        ({"signing": {"prepare": signatures.signed_twice_over}}, ASSERTION, "_assertion"),
        ({"signing": {"uri": ""}}, ASSERTION, "_assertion"),
    ],
)
def test_a_good_signature_of_another_kind_is_none(values: dict[str, Any], name: str, of: str) -> None:
    assert verify(Message())
    with pytest.raises(SignatureError):
        verify(Message(**values), name, of)


def test_what_is_covered_is_known_by_its_name_and_its_id() -> None:
    root = Message().tree()
    assertion = find(root, "saml:Assertion")

    def signed(*covered: tuple[str, str]) -> bool:
        return Read(root, assertion, frozenset(covered), None, saml_pool.expected(), timezone.now()).signed

    named, response = str(assertion.tag), str(root.tag)
    assert signed((named, "_assertion"))
    assert signed((response, "_response"))
    assert not signed((named, "_other"), (response, "_assertion"), ("x", "_assertion"), (named, "_response"))
