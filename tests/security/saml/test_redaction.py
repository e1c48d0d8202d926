"""What operators see of a refused message: its shape, and no value of it, wherever somebody put one."""

from collections.abc import Callable

import pytest
from lxml import etree

from federation.upstream.saml import redaction
from tests.fakes import saml
from tests.fakes.saml import NS, element, find
from tests.security.saml.corpus import ADA, Change, encoded, honest, set_on

SECRET = "a-secret-of-ada"


def in_text(path: str) -> Change:
    def change(root: etree._Element) -> None:
        find(root, path).text = SECRET

    return change


def in_tail(root: etree._Element) -> None:
    find(root, ".//saml:NameID").tail = SECRET


def in_tail_of_a_comment(root: etree._Element) -> None:
    found = find(root, ".//saml:NameID")
    found.append(etree.Comment("x"))
    found[0].tail = SECRET


def within(make: Callable[[], etree._Element]) -> Change:
    return lambda root: find(root, ".//saml:NameID").append(make())


PLACES: dict[str, Change] = {
    "NameID": in_text(".//saml:NameID"),
    "AttributeValue": in_text(".//saml:AttributeValue"),
    "beside an element": in_tail,
    "after a comment": in_tail_of_a_comment,
    "a comment": within(lambda: etree.Comment(SECRET)),
    "a processing instruction": within(lambda: etree.ProcessingInstruction("x", SECRET)),
    "another element": within(lambda: element(f'<x xmlns="urn:x">{SECRET}</x>')),
    "an attribute of another element": within(lambda: element(f'<x xmlns="urn:x" y="{SECRET}"/>')),
    "an attribute of another namespace": set_on(".//saml:NameID", f"{{{NS['samlp']}}}ID", SECRET),
    "NameQualifier": set_on(".//saml:NameID", "NameQualifier", SECRET),
    "SPProvidedID": set_on(".//saml:NameID", "SPProvidedID", SECRET),
    "SessionIndex": set_on(".//saml:AuthnStatement", "SessionIndex", SECRET),
    "the status message": lambda root: find(root, "samlp:Status").append(
        element(f'<samlp:StatusMessage xmlns:samlp="{NS["samlp"]}">{SECRET}</samlp:StatusMessage>')
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_value_is_replaced_by_its_length(place: str) -> None:
    root = honest("both", before=PLACES[place]).tree()
    assert SECRET in etree.tostring(root).decode()
    shown = redaction.of_message(encoded(etree.tostring(root)))
    assert SECRET not in shown
    assert f"[{len(SECRET)} characters]" in shown
    assert ADA not in shown


def test_what_was_encrypted_is_shown_likewise() -> None:
    message = honest("encrypted").encoded()
    decrypted = honest("assertion").tree()
    shown = redaction.of_message(message, decrypted)
    assert f"[{len(ADA)} characters]" in shown
    assert ADA not in shown
    ciphered = saml.find(element(saml.base64.b64decode(message)), ".//xenc:CipherValue").text or ""
    assert ciphered[:40] not in shown


def test_the_copy_is_bounded() -> None:
    message = honest("assertion", attributes={"groups": ["g"] * 900}).encoded()
    assert len(redaction.of_message(message)) <= redaction.MAX_SHOWN
