"""Signature wrapping: what was signed is still there, and what is read is something else.

Somorovsky et al., "On Breaking SAML: Be Whoever You Want to Be" (XSW 1 to 8), and every other place where SAML's
schema lets foreign elements in. The evil copy has another NameID and, for "new", another ID.
"""

import copy
from collections.abc import Callable

from lxml import etree

from tests.fakes import saml
from tests.fakes.saml import NS, Message, find
from tests.security.saml.corpus import (
    ASSERTION_SIGNATURE,
    DS,
    Case,
    assertion_of,
    encoded,
    set_name_id,
)

ONE = "saml-core 3.3.3, saml-profiles 4.1.4.2, and Somorovsky et al. 2012: what is read must be what was signed"
Wrapping = Callable[[etree._Element, str], etree._Element]


def evil_copy(node: etree._Element, identity: str) -> etree._Element:
    evil = copy.deepcopy(node)
    if identity == "new":
        evil.set("ID", "_evil")
    set_name_id(evil)
    return evil


def without_signature(node: etree._Element) -> etree._Element:
    for signature in node.findall("ds:Signature", NS):
        node.remove(signature)
    return node


def extensions(root: etree._Element, *children: etree._Element) -> None:
    made = etree.Element(f"{{{NS['samlp']}}}Extensions")
    made.extend(children)
    root.insert(1, made)


def xsw1(root: etree._Element, identity: str) -> etree._Element:
    """The evil response has the signature, which has the signed response inside."""
    evil = evil_copy(root, identity)
    find(evil, "ds:Signature").append(without_signature(copy.deepcopy(root)))
    return evil


def xsw2(root: etree._Element, identity: str) -> etree._Element:
    """The signed response stands before the signature, which is detached from it."""
    evil = evil_copy(root, identity)
    find(evil, "ds:Signature").addprevious(without_signature(copy.deepcopy(root)))
    return evil


def xsw3(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion comes first."""
    signed = assertion_of(root)
    signed.addprevious(without_signature(evil_copy(signed, identity)))
    return root


def xsw4(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion has the signed one as its child."""
    signed = assertion_of(root)
    evil = without_signature(evil_copy(signed, identity))
    root.replace(signed, evil)
    evil.append(signed)
    return root


def xsw5(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion keeps the signature, the signed one follows without it."""
    signed = assertion_of(root)
    root.replace(signed, evil_copy(signed, identity))
    root.append(without_signature(signed))
    return root


def xsw6(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion keeps the signature, which has the signed assertion inside."""
    signed = assertion_of(root)
    evil = evil_copy(signed, identity)
    root.replace(signed, evil)
    find(evil, "ds:Signature").append(without_signature(signed))
    return root


def xsw7(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion hides in Extensions, whose content no schema looks at."""
    extensions(root, without_signature(evil_copy(assertion_of(root), identity)))
    return root


def xsw8(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion keeps the signature, whose Object holds the signed one."""
    signed = assertion_of(root)
    evil = evil_copy(signed, identity)
    root.replace(signed, evil)
    etree.SubElement(find(evil, "ds:Signature"), f"{DS}Object").append(without_signature(signed))
    return root


def evil_last(root: etree._Element, identity: str) -> etree._Element:
    signed = assertion_of(root)
    signed.addnext(without_signature(evil_copy(signed, identity)))
    return root


def signed_in_extensions(root: etree._Element, identity: str) -> etree._Element:
    signed = assertion_of(root)
    root.replace(signed, evil_copy(signed, identity))
    extensions(root, without_signature(signed))
    return root


def signed_in_status_detail(root: etree._Element, identity: str) -> etree._Element:
    """StatusDetail is lax about its content, and stands before the assertion."""
    signed = assertion_of(root)
    root.replace(signed, without_signature(evil_copy(signed, identity)))
    etree.SubElement(find(root, "samlp:Status"), f"{{{NS['samlp']}}}StatusDetail").append(signed)
    return root


def _signed_inside(root: etree._Element, identity: str, path: str, wrapper: str = "") -> etree._Element:
    signed = assertion_of(root)
    evil = evil_copy(signed, identity)
    root.replace(signed, evil)
    place = find(evil, path)
    if wrapper:
        place = etree.SubElement(place, wrapper)
    place.append(without_signature(signed))
    return root


def signed_in_advice(root: etree._Element, identity: str) -> etree._Element:
    signed = assertion_of(root)
    evil = evil_copy(signed, identity)
    root.replace(signed, evil)
    advice = etree.Element(f"{{{NS['saml']}}}Advice")
    advice.append(without_signature(signed))
    find(evil, "saml:Conditions").addnext(advice)
    return root


def signed_in_key_info(root: etree._Element, identity: str) -> etree._Element:
    return _signed_inside(root, identity, "ds:Signature", f"{DS}KeyInfo")


def signed_in_attribute(root: etree._Element, identity: str) -> etree._Element:
    """An AttributeValue may hold anything."""
    return _signed_inside(root, identity, ".//saml:AttributeValue")


def signed_in_confirmation(root: etree._Element, identity: str) -> etree._Element:
    """And so may SubjectConfirmationData."""
    return _signed_inside(root, identity, ".//saml:SubjectConfirmationData")


def response_in_response(root: etree._Element, identity: str) -> etree._Element:
    evil = without_signature(evil_copy(root, identity))
    extensions(evil, root)
    return evil


def response_in_status_detail(root: etree._Element, identity: str) -> etree._Element:
    evil = without_signature(evil_copy(root, identity))
    etree.SubElement(find(evil, "samlp:Status"), f"{{{NS['samlp']}}}StatusDetail").append(root)
    return evil


OF_RESPONSES = [xsw1, xsw2]
OF_ASSERTIONS = [xsw6, xsw8, signed_in_key_info]
OF_BOTH = [xsw3, xsw4, xsw5, xsw7, evil_last, signed_in_extensions, signed_in_status_detail, signed_in_advice]
OF_BOTH += [signed_in_attribute, signed_in_confirmation, response_in_response, response_in_status_detail]
ENCRYPTED = [xsw4, xsw6, xsw8, signed_in_advice, signed_in_key_info, signed_in_attribute, signed_in_confirmation]


def wrapped(wrap: Wrapping, identity: str) -> Callable[[Message], str]:
    return lambda message: encoded(etree.tostring(wrap(message.tree(), identity)))


def _case(wrap: Wrapping, identity: str, form: str) -> Case:
    name = wrap.__name__.upper() if wrap.__name__.startswith("xsw") else wrap.__name__.replace("_", " ")
    name = f"{name}, {identity} ID"
    if form == "encrypted":  # anybody can encrypt for the pool, so an unsigned response may hold anything
        inside = {"inside": lambda root: wrap(root, identity)}
        return Case(name, form, "assertion_count", ONE, inside, words=ASSERTION_SIGNATURE)
    return Case(name, form, "assertion_count", ONE, text=wrapped(wrap, identity))


def _two_signed(root: etree._Element) -> None:
    """Two assertions of the provider, each with a good signature: which of them is meant?"""
    second = without_signature(copy.deepcopy(assertion_of(root)))
    second.set("ID", "_second")
    root.append(second)
    saml.sign(second, saml.private(saml.pair("idp")))


def _not_really_encrypted(root: etree._Element) -> None:
    wrapper = etree.Element(f"{{{NS['saml']}}}EncryptedAssertion")
    signed = assertion_of(root)
    root.replace(signed, wrapper)
    wrapper.append(signed)


CASES = [
    *[
        _case(wrap, identity, form)
        for form, wraps in (
            ("response", OF_RESPONSES + OF_BOTH),
            ("assertion", OF_ASSERTIONS + OF_BOTH),
            ("encrypted", ENCRYPTED),
        )
        for wrap in wraps
        for identity in ("same", "new")
    ],
    Case("two signed assertions", "assertion", "assertion_count", ONE, {"after": _two_signed}),
    Case("plain in EncryptedAssertion", "assertion", "assertion_count", ONE, {"after": _not_really_encrypted}),
]
