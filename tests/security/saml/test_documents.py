"""Documents that are read or refused whatever they hold: cut off, scrambled, large, and pysaml2's own surprises."""

from typing import Any

import pytest

from federation.errors import SamlFailed, ServerError
from federation.upstream.saml import response as saml_response
from federation.upstream.saml import xml
from federation.upstream.saml.xml import BadXml
from tests.fakes import saml_pool
from tests.fakes.saml import Message, pair
from tests.security.saml.corpus import EVIL, encoded, reason


@pytest.mark.parametrize("step", range(0, 2000, 61))
def test_a_response_that_was_cut_off_or_scrambled_anywhere_is_refused(step: int) -> None:
    octets = Message(sign_response=True).xml()
    at = step * len(octets) // 2000
    assert reason(encoded(octets[:at]))
    assert reason(encoded(octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]))


def test_a_person_in_a_thousand_groups_comes_in() -> None:
    assert len(saml_pool.read(Message(attributes={"groups": ["g"] * 1000})).attributes["groups"]) == 1000


def test_a_value_with_elements_inside_is_the_whole_of_its_text() -> None:
    attributes = {"x": ["<x xmlns='urn:x'>Ada <y>King</y></x> Lovelace"]}
    assert saml_pool.read(Message(attributes=attributes)).attributes == {"x": "Ada King Lovelace"}


def test_pysaml2_may_raise_whatever_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: Any, **__: Any) -> None:
        raise RecursionError

    monkeypatch.setattr("saml2.client.Saml2Client.parse_authn_request_response", explode)
    assert reason(Message()) == "not_understood"
    monkeypatch.setattr("saml2.client.Saml2Client.create_authn_request", explode)
    with pytest.raises(ServerError):
        saml_response.build_request(saml_pool.client(), "_1", "state", sign=True)


def test_a_reading_that_differs_from_pysaml2s_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = saml_response._by_pysaml2

    def other(*arguments: Any) -> Any:
        parsed, error = found(*arguments)
        parsed.name_id.text = EVIL
        return parsed, error

    monkeypatch.setattr(saml_response, "_by_pysaml2", other)
    assert reason(Message()) == "refused"


def test_nothing_of_an_assertion_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for message in (Message(), Message(audience="other"), Message(signer=pair("stranger")), Message(encryption={})):
        try:
            saml_pool.read(message)
        except SamlFailed:
            continue
    assert caplog.text == ""


def test_an_element_has_fifty_attributes_and_declarations_at_most() -> None:
    """libxml2 compares each with each, so what fits into a message would cost seconds (CWE-407)."""
    fifty = " ".join(f'a{number}=""' for number in range(50))
    spaces = " ".join(f'xmlns:a{number}="urn:{number}"' for number in range(50))
    for within in (f"<x {fifty}/>", f"<x {spaces}/>"):
        xml.parse_message(within)
    for beyond in (f'<x {fifty} more=""/>', f'<x><y {spaces} xmlns:more="urn:more"/></x>'):
        with pytest.raises(BadXml) as caught:
            xml.parse_message(beyond)
        assert caught.value.reason == "too_many_attributes"
    apart = "".join(f'<y xmlns:a="urn:{number}" a:b=""/>' for number in range(500))
    assert len(xml.parse_message(f"<x>{apart}</x>")) == 500
