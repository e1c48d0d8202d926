"""What an operator sees of a refused SAML message: its shape, and nothing that it says of a person.

Design D2.6 and the house's rule that nothing secret is in a record; the names of elements are those of saml-core-2.0.
"""

import pytest
from lxml import etree

from federation.errors import SamlFailed
from federation.upstream.saml import redaction
from federation.upstream.saml.redaction import MAX_SHOWN
from federation.upstream.saml.xml import BadXml
from tests.fakes import saml, saml_pool
from tests.fakes.saml import NS, Message

SECRETS = ("ada@example.test", "Lovelace", "_session1", "secret-in-a-comment", "tail-text")


def shown(message: Message) -> etree._Element:
    return etree.fromstring(redaction.of_message(message.encoded()))


def test_the_shape_stays_and_the_values_go() -> None:
    def hide(root: etree._Element) -> None:
        subject = saml.find(root, ".//saml:Subject")
        subject.append(etree.Comment("secret-in-a-comment"))
        saml.find(root, ".//saml:NameID").tail = "tail-text"
        saml.find(root, ".//saml:NameID").set("SPProvidedID", "Lovelace")

    message = Message(attributes={"email": ["ada@example.test"], "sn": ["Lovelace"]}, before=hide)
    text = redaction.of_message(message.encoded())
    for secret in SECRETS:
        assert secret not in text, secret
    root = etree.fromstring(text)
    assert [element.tag for element in root.iter(etree.Element)] == [
        element.tag for element in message.tree().iter(etree.Element)
    ]
    assert saml.find(root, "saml:Assertion/saml:Issuer").text == saml.IDP
    assert saml.find(root, ".//saml:Audience").text == saml.AUDIENCE
    assert saml.find(root, ".//saml:SubjectConfirmationData").get("Recipient") == saml.ACS
    assert [one.get("Name") for one in root.iter(f"{{{NS['saml']}}}Attribute")] == ["email", "sn"]
    assert saml.find(root, ".//saml:NameID").text == "[16 characters]"
    assert saml.find(root, ".//saml:AuthnStatement").get("SessionIndex") == "[9 characters]"


def test_neither_a_signature_nor_a_certificate_nor_a_cipher_text_is_shown() -> None:
    message = Message(signing={"certificate": saml.pair("idp").certificate}, encryption={})
    root = shown(message)
    for local in ("ds:SignatureValue", "xenc:CipherValue", "ds:X509Certificate", "ds:DigestValue"):
        prefix, _, name = local.partition(":")
        for found in root.iter(f"{{{NS[prefix]}}}{name}"):
            assert (found.text or "").endswith(" characters]")
    assert [*root.iter(f"{{{NS['xenc']}}}CipherValue")]


def test_what_was_encrypted_is_shown_as_well_without_its_values() -> None:
    client = saml_pool.client()
    message = Message(encryption={}, audience="urn:other").encoded()
    with pytest.raises(SamlFailed):
        saml_pool.saml_response.read(client, message, saml_pool.expected())
    text = redaction.of_message(message, client.crypto.decrypted)
    assert "urn:other" in text
    assert "ada@example.test" not in text


def test_it_is_bounded_whatever_comes() -> None:
    message = Message(attributes={f"name{number}": ["x" * 20] for number in range(500)})
    assert len(redaction.of_message(message.encoded())) == MAX_SHOWN
    long = shown(Message(audience="a" * 5000))
    assert len(saml.find(long, ".//saml:Audience").text or "") == redaction.MAX_VALUE


@pytest.mark.parametrize("message", ["", "%", "bm8gWE1M", "PCFET0NUWVBFIHggW10+PHgvPg=="])
def test_what_is_no_message_is_not_shown(message: str) -> None:
    with pytest.raises(BadXml):
        redaction.of_message(message)


def test_the_message_itself_is_not_changed() -> None:
    root = Message().tree()
    before = etree.tostring(root)
    redaction.of_element(root)
    assert etree.tostring(root) == before
