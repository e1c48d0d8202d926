"""XML as SAML 2.0 messages and metadata may use it: UTF-8, without a document type, of bounded depth and size.

Two parsers read every message (pysaml2's and lxml), and an attack on SAML is nearly always a difference between two
readings. So both get the same text: base64 decoded strictly (HTTP POST binding, saml-bindings-2.0 3.5.4), never
inflated, decoded from UTF-8, and without the XML declaration, which could ask for another encoding.
"""

import base64
import binascii
import re
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from lxml import etree

ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"
ENCRYPTION = "http://www.w3.org/2001/04/xmlenc#"
NAMESPACES = {"saml": ASSERTION, "samlp": PROTOCOL, "md": METADATA, "ds": SIGNATURE, "xenc": ENCRYPTION}
MAX_MESSAGE = 100_000  # characters of base64 (W 8.3)
MAX_ATTRIBUTES = 50  # of an element, and as many namespaces: libxml2 compares each with each
MAX_ELEMENTS = 3000  # of a message: a thousand groups are a thousand; pysaml2 takes 30 microseconds for each, and more

_SAFE: dict[str, Any] = {
    "encoding": "utf-8",
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
}
DECLARATION = re.compile(r"\s*<\?xml\s[^>]*\?>")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")


class BadXml(ValueError):
    """Not a document that is read here. ``reason`` is a word for operators, the message is one sentence."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


def name(prefix: str, local: str) -> str:
    """Return an element's name as lxml spells it."""
    return f"{{{NAMESPACES[prefix]}}}{local}"


def decode(message: str, limit: int = MAX_MESSAGE) -> str:
    """Return the XML text of a message that came by HTTP POST; raise BadXml."""
    if len(message) > limit:
        raise BadXml("too_large", "The message is too large.")
    try:
        # encoders of MIME put line breaks into base64; nothing else beside its alphabet is let through
        octets = base64.b64decode(re.sub(r"[ \t\r\n]", "", message), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadXml("not_base64", "The message is not base64.") from error
    return as_text(octets)


def as_text(octets: bytes) -> str:
    """Return UTF-8 octets as the text that both parsers read; raise BadXml."""
    text = None
    with suppress(UnicodeDecodeError):  # which quotes the whole document, so nothing is chained to it
        text = octets.decode("utf-8-sig")
    if text is None:
        raise BadXml("not_utf8", "The document is not UTF-8.")
    return without_declaration(text)


def without_declaration(text: str) -> str:
    found = DECLARATION.match(text)
    return text[found.end() :] if found else text


def parse_message(text: str) -> etree._Element:
    """Return the root element of a message, which is small; raise BadXml."""
    root = parse(text)
    if sum(1 for _ in root.iter()) > MAX_ELEMENTS:
        raise BadXml("too_many_elements", "The message has too many elements.")
    crowded = any(len(element.attrib) > MAX_ATTRIBUTES for element in root.iter(etree.Element))
    if crowded or (text.count("xmlns") > MAX_ATTRIBUTES and _declares_too_much(text)):
        raise BadXml("too_many_attributes", "An element of the message has too many attributes.")
    return root


def _declares_too_much(text: str) -> bool:
    """Whether an element declares too many namespaces, which lxml does not count without listing them."""
    declared = 0
    for event, _ in etree.iterparse(BytesIO(text.encode()), ("start-ns", "start"), **_SAFE):
        declared = declared + 1 if event == "start-ns" else 0
        if declared > MAX_ATTRIBUTES:
            return True
    return False


def parse(text: str) -> etree._Element:
    """Return the root element; raise BadXml. Entities are not resolved, nothing is fetched, no DTD is read."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadXml("dtd", "The document has a document type.")
    parser = etree.XMLParser(**_SAFE)
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadXml("not_xml", "The document is not well-formed XML.") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadXml("dtd", "The document has a document type.")
    return root


def content(element: etree._Element | None) -> str:
    """Return the whole text of an element: ``text`` alone would end at the first comment."""
    return "" if element is None else "".join(str(piece) for piece in element.itertext()).strip()


def moment(value: str | None) -> datetime | None:
    """Return an xs:dateTime, which is UTC where it does not say (saml-core 1.3.3); raise BadXml; None without one."""
    if value is None:
        return None
    try:
        if not MOMENT.fullmatch(value.strip()):
            raise ValueError(value[:40])
        found = datetime.fromisoformat(value.strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise BadXml("time_invalid", "A moment is not a date and time.") from error
