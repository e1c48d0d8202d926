"""Whatever is done to a signed response: it is refused, or it says what its provider signed. Nothing else is raised.

hypothesis makes the changes, the same ones at every run; a change that survives is one that XML or SAML allows.
"""

import base64
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from federation.errors import SamlFailed
from federation.upstream.saml import logout, redaction
from federation.upstream.saml.response import SamlIdentity
from federation.upstream.saml.xml import BadXml
from tests.fakes import saml, saml_pool
from tests.fakes.saml import element
from tests.fakes.saml_browser import Logout
from tests.security.saml import scrambling
from tests.security.saml.corpus import honest
from tests.security.saml.scrambling import Step

same_each_time = settings(
    derandomize=True, database=None, deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)
numbers = st.integers(0, 2**16)


def steps(*names: str) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.tuples(st.sampled_from(names), numbers, numbers, numbers), min_size=1, max_size=5)


@cache
def signed(form: str) -> bytes:
    return honest(form).xml()


@cache
def meant(form: str) -> SamlIdentity:
    return saml_pool.read(base64.b64encode(signed(form)).decode())


def refused_or_honest(text: str, form: str) -> None:
    try:
        found = saml_pool.read(text)
    except SamlFailed:
        return
    assert found == meant(form)


@pytest.mark.parametrize("form", ["assertion", "response", "both", "encrypted", "sealed"])
@same_each_time
@given(steps=steps(*scrambling.TREES))
def test_a_tree_that_was_changed(form: str, steps: list[Step]) -> None:
    root = scrambling.on_tree(element(signed(form)), steps)
    refused_or_honest(scrambling.encoded(root), form)


@same_each_time
@given(steps=steps(*scrambling.TREES))
def test_a_tree_that_was_changed_before_it_was_encrypted(steps: list[Step]) -> None:
    """Anybody can encrypt for the pool."""
    root = scrambling.on_tree(element(signed("assertion")), steps)
    for assertion in root.findall("saml:Assertion", saml.NS):
        saml.encrypt(assertion, saml.pair("pool"))
    refused_or_honest(scrambling.encoded(root), "assertion")


@pytest.mark.parametrize("form", ["assertion", "response", "sealed"])
@same_each_time
@given(steps=steps(*scrambling.OCTETS))
def test_octets_that_were_changed(form: str, steps: list[Step]) -> None:
    octets = scrambling.on_octets(signed(form), steps)
    refused_or_honest(base64.b64encode(octets).decode(), form)


@cache
def sign_out() -> bytes:
    return etree.tostring(Logout(saml.SLO, indexes=("_session1", "_session2")).tree())


@same_each_time
@given(steps=steps(*scrambling.TREES), octets=steps(*scrambling.OCTETS), as_octets=st.booleans())
def test_a_request_to_sign_out_that_was_changed(steps: list[Step], octets: list[Step], as_octets: bool) -> None:
    if as_octets:
        changed = scrambling.on_octets(sign_out(), octets)
    else:
        changed = etree.tostring(scrambling.on_tree(element(sign_out()), steps))
    try:
        found = logout.read_request(saml_pool.client(), base64.b64encode(changed).decode(), saml.SLO)
    except SamlFailed:
        return
    assert found == logout.read_request(saml_pool.client(), base64.b64encode(sign_out()).decode(), saml.SLO)


@same_each_time
@given(steps=steps(*scrambling.TREES))
def test_what_operators_see_of_a_message_can_be_made_of_every_one(steps: list[Step]) -> None:
    message = scrambling.encoded(scrambling.on_tree(element(signed("assertion")), steps))
    with suppress(BadXml):
        assert len(redaction.of_message(message)) <= redaction.MAX_SHOWN


@same_each_time
@given(steps=steps("insert", "flip", "cut"))
def test_base64_that_was_changed(steps: list[Step]) -> None:
    refused_or_honest(scrambling.on_base64(base64.b64encode(signed("assertion")).decode(), steps), "assertion")


@same_each_time
@given(octets=st.binary(max_size=300), text=st.text(max_size=300))
def test_what_is_no_message_at_all(octets: bytes, text: str) -> None:
    for said in (
        base64.b64encode(octets).decode(),
        text,
        base64.b64encode(text.encode(errors="surrogatepass")).decode(),
    ):
        with pytest.raises(SamlFailed):
            saml_pool.read(said)


def test_the_honest_ones_are_still_read() -> None:
    """And what changes nothing that counts is let through: comments beside the root, another way to write a text."""
    for form in ("assertion", "response"):
        octets = signed(form)
        for same in (octets, b"<!--x-->" + octets, octets + b"\n", octets.replace(b"ada@", b"&#x61;da@")):
            assert saml_pool.read(base64.b64encode(same).decode()) == meant(form)
        root = element(octets)
        name = saml.find(root, ".//saml:NameID")
        name.text = etree.CDATA(name.text)
        assert saml_pool.read(scrambling.encoded(root)) == meant(form)
