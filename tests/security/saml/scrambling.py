"""Random changes of a signed response: of its tree, of its octets, of its base64.

A Step is a name and three numbers, which say where and what, modulo what there is. So every list of steps fits every
document, and hypothesis can make a failing list shorter.
"""

import base64
import copy
from collections.abc import Callable, Sequence
from typing import TypeVar

from lxml import etree

from tests.fakes.saml import NS
from tests.security.saml.corpus import EVIL

Step = tuple[str, int, int, int]
Any_ = TypeVar("Any_")
XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"
ATTRIBUTES = ["ID", "Id", "id", XML_ID, f"{{{NS['samlp']}}}ID", f"{{{NS['saml']}}}ID", "AssertionID", "Version", XSI]
ATTRIBUTES += [
    "IssueInstant",
    "Destination",
    "InResponseTo",
    "Recipient",
    "NotOnOrAfter",
    "NotBefore",
    "Format",
    "Method",
]
ATTRIBUTES += ["Name", "NameQualifier", "SPNameQualifier", "SessionIndex", "URI", "Algorithm", "Type", "Value"]
VALUES = ["", " ", "_evil", "_assertion", "_response", "#_assertion", "#_response", "#_evil", "#", EVIL, "1.1", "urn:x"]
VALUES += ["2099-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "email", "saml:AssertionType", "\u00a0", "\U0001f600"]
TAGS = [f"{{{NS['saml']}}}{local}" for local in ("Assertion", "EncryptedAssertion", "Advice", "Subject", "NameID")]
TAGS += [f"{{{NS['saml']}}}{local}" for local in ("Issuer", "Attribute", "AttributeValue", "BaseID", "EncryptedID")]
TAGS += [
    f"{{{NS['samlp']}}}{local}" for local in ("Response", "Extensions", "Status", "StatusDetail", "ArtifactResponse")
]
TAGS += [
    f"{{{NS['ds']}}}{local}" for local in ("Signature", "Object", "SignedInfo", "KeyInfo", "Manifest", "Reference")
]
TAGS += ["Assertion", "{urn:x}Assertion", "{urn:oasis:names:tc:SAML:1.0:assertion}Assertion", "NameID", "x"]
SCRAPS = [
    b"<!--x-->",
    b"<?x y?>",
    b"<![CDATA[x]]>",
    b"]]>",
    b"&amp;",
    b"&#x41;",
    b"&#0;",
    b"&a;",
    b"\x00",
    b"\xff",
    b" ",
]
SCRAPS += [b"<!DOCTYPE a>", b'<?xml version="1.0" encoding="UTF-7"?>', b"</saml:NameID><saml:NameID>", b"\t"]
SCRAPS += [
    b"\r\n",
    b' xmlns:saml="urn:x"',
    b' ID="_evil"',
    b"<saml:NameID>",
    b"/>",
    b"<",
    b">",
    b'"',
    b"\xef\xbb\xbf",
    b"a",
]


def pick(found: Sequence[Any_], at: int) -> Any_:
    return found[at % len(found)]


def elements(root: etree._Element) -> list[etree._Element]:
    return list(root.iter(etree.Element))


def _place(root: etree._Element, node: etree._Element, at: int, how: int) -> None:
    """Put ``node`` before, after, or into an element; never beside the root."""
    target = pick(elements(root), at)
    if how % 4 == 0 or target is root:
        target.append(node)
    elif how % 4 == 1:
        target.insert(0, node)
    elif how % 4 == 2:
        target.addprevious(node)
    else:
        target.addnext(node)


def _part(root: etree._Element, at: int) -> etree._Element | None:
    """Return any element but the root."""
    found = elements(root)[1:]
    return pick(found, at) if found else None


def _remove(node: etree._Element) -> None:
    parent = node.getparent()
    if parent is not None:
        parent.remove(node)


def duplicate(root: etree._Element, a: int, b: int, c: int) -> None:
    _place(root, copy.deepcopy(pick(elements(root), a)), b, c)


def move(root: etree._Element, a: int, b: int, c: int) -> None:
    node = _part(root, a)
    if node is not None:
        _remove(node)
        _place(root, node, b, c)


def delete(root: etree._Element, a: int, b: int, c: int) -> None:
    node = _part(root, a)
    if node is not None:
        _remove(node)


def swap(root: etree._Element, a: int, b: int, c: int) -> None:
    first, second = _part(root, a), _part(root, b)
    if first is None or second is None or first in [*second.iter()] or second in [*first.iter()]:
        return
    marker = etree.Element("marker")
    first.getparent().replace(first, marker)
    second.getparent().replace(second, first)
    marker.getparent().replace(marker, second)


def rename(root: etree._Element, a: int, b: int, c: int) -> None:
    pick(elements(root), a).tag = pick(TAGS, b)


def wrap(root: etree._Element, a: int, b: int, c: int) -> None:
    node = _part(root, a)
    if node is not None:
        wrapper = etree.Element(pick(TAGS, b))
        node.getparent().replace(node, wrapper)
        wrapper.append(node)


def unwrap(root: etree._Element, a: int, b: int, c: int) -> None:
    node = _part(root, a)
    if node is not None:
        for child in list(node):
            node.addprevious(child)
        _remove(node)


def attribute(root: etree._Element, a: int, b: int, c: int) -> None:
    here = [value for node in elements(root) for value in node.attrib.values()]
    pick(elements(root), a).set(pick(ATTRIBUTES, b), pick([*VALUES, *here], c))


def bare(root: etree._Element, a: int, b: int, c: int) -> None:
    """Take an attribute away."""
    having = [node for node in elements(root) if node.attrib]
    if having:
        node = pick(having, a)
        node.attrib.pop(pick(list(node.attrib), b))


def same_id(root: etree._Element, a: int, b: int, c: int) -> None:
    """Give one element the ID of another."""
    owners = [node for node in elements(root) if node.get("ID")]
    if owners:
        pick(elements(root), a).set(pick(ATTRIBUTES[:7], c), pick(owners, b).get("ID") or "")


def text(root: etree._Element, a: int, b: int, c: int) -> None:
    here = [node.text for node in elements(root) if node.text]
    pick(elements(root), a).text = pick([*VALUES, *here], b)


def tail(root: etree._Element, a: int, b: int, c: int) -> None:
    node = _part(root, a)
    if node is not None:
        node.tail = pick(VALUES, b)


def cdata(root: etree._Element, a: int, b: int, c: int) -> None:
    """Write a text as CDATA, which canonicalization makes a text again."""
    having = [node for node in elements(root) if node.text and not len(node)]
    if having:
        node = pick(having, a)
        node.text = etree.CDATA(node.text)


def remark(root: etree._Element, a: int, b: int, c: int) -> None:
    """Put a comment or a processing instruction into the middle of a text."""
    node = pick(elements(root), a)
    said, made = node.text or "", etree.Comment("x") if c % 2 else etree.ProcessingInstruction("x", "y")
    at = b % (len(said) + 1)
    node.text, made.tail = said[:at], said[at:]
    node.insert(0, made)


def evil_twin(root: etree._Element, a: int, b: int, c: int) -> None:
    """Copy the assertion, or the response, for another person, and put the copy somewhere."""
    kinds = [f"{{{NS['saml']}}}Assertion", f"{{{NS['samlp']}}}Response"]
    found = [node for node in elements(root) if node.tag == kinds[a % 7 == 0]]
    if not found:
        return
    twin = copy.deepcopy(found[0])
    for name in twin.iter(f"{{{NS['saml']}}}NameID"):
        name.text = EVIL
    if a % 2:
        twin.set("ID", "_evil")
    if a % 3:
        for signature in list(twin.iter(f"{{{NS['ds']}}}Signature")):
            _remove(signature)
    if c % 5 == 0 and found[0] is not root:  # it takes the place, and has the signed one inside
        found[0].getparent().replace(found[0], twin)
        pick(elements(twin), b).append(found[0])
    else:
        _place(root, twin, b, c)


def prefixes(root: etree._Element, a: int, b: int, c: int) -> None:
    """Declare a prefix that is declared already, once more and for something else or for the same."""
    node = pick(elements(root), a)
    namespaces = [*NS.values(), "urn:x"]
    made = etree.Element(node.tag, node.attrib, {pick(["saml", "samlp", "ds", "x", None], b): pick(namespaces, c)})
    made.text = node.text
    if node is not root:
        made.tail = node.tail
        made.extend(list(node))
        node.getparent().replace(node, made)


TREES: dict[str, Callable[[etree._Element, int, int, int], None]] = {
    found.__name__: found
    for found in (duplicate, move, delete, swap, rename, wrap, unwrap, attribute, bare, same_id, text, tail, cdata)
}
TREES |= {found.__name__: found for found in (remark, evil_twin, prefixes)}


def on_tree(root: etree._Element, steps: Sequence[Step]) -> etree._Element:
    """Return ``root`` after ``steps``; what lxml cannot hold is left out."""
    for name, *numbers in steps:
        try:
            TREES[name](root, *numbers)
        except (ValueError, TypeError):
            continue
    return root


def on_octets(octets: bytes, steps: Sequence[Step]) -> bytes:
    for name, a, b, c in steps:
        at, other = a % (len(octets) + 1), b % (len(octets) + 1)
        first, last = min(at, other), max(at, other)
        if name == "insert":
            octets = octets[:at] + pick(SCRAPS, b) + octets[at:]
        elif name == "flip" and octets:
            at %= len(octets)
            octets = octets[:at] + bytes([octets[at] ^ (1 << c % 8)]) + octets[at + 1 :]
        elif name == "cut":
            octets = octets[:first] + octets[min(last, first + c % 200) :]
        elif name == "repeat":
            octets = octets[:last] + octets[first : first + c % 2000] + octets[last:]
        elif name == "reference" and octets[at : at + 1].isalnum():
            octets = octets[:at] + f"&#x{octets[at]:x};".encode() + octets[at + 1 :]
    return octets


OCTETS = ["insert", "flip", "cut", "repeat", "reference"]


def on_base64(said: str, steps: Sequence[Step]) -> str:
    for name, a, b, _ in steps:
        at = a % (len(said) + 1)
        if name == "insert":
            said = said[:at] + pick(["=", "A", " ", "\n", "-", "%", "\x00", "é"], b) + said[at:]
        elif name == "flip":
            said = said[:at] + chr(65 + b % 26) + said[at + 1 :]
        elif name == "cut":
            said = said[:at] + said[at + 1 + b % 8 :]
    return said


def encoded(root: etree._Element) -> str:
    return base64.b64encode(etree.tostring(root)).decode()
