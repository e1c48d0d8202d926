"""A SAML message without what it says of a person: the shape by which an operator sees what is wrong with it.

What stays is listed; everything else is replaced by its length. The message may be anybody's, so its size is bounded.
"""

import copy
from collections.abc import Iterator

from lxml import etree

from federation.upstream.saml import xml
from federation.upstream.saml.xml import BadXml, name

MAX_SHOWN = 20_000  # characters
MAX_VALUE = 300
ATTRIBUTES = {
    *("ID", "Version", "IssueInstant", "Destination", "Recipient", "InResponseTo", "Consent"),
    *("NotBefore", "NotOnOrAfter", "SessionNotOnOrAfter", "AuthnInstant", "Method", "Format", "Name", "NameFormat"),
    *("FriendlyName", "Algorithm", "URI", "Value", "Type", "Count"),
}
TEXTS = {
    *(name("saml", local) for local in ("Issuer", "Audience", "AuthnContextClassRef", "AuthnContextDeclRef")),
}


def of_message(message: str, decrypted: etree._Element | None = None) -> str:
    """Return the message of a form field, redacted, and after it what was encrypted in it; raise BadXml."""
    shown = of_element(xml.parse_message(xml.decode(message)))
    if decrypted is not None:
        shown += f"\n\n<!-- decrypted -->\n{of_element(decrypted)}"
    return shown[:MAX_SHOWN]


def of_element(root: etree._Element) -> str:
    shown = copy.deepcopy(root)
    for element in _all(shown):
        if not isinstance(element.tag, str):  # comments, processing instructions
            element.text = _length(element.text)
        else:
            for attribute, value in element.attrib.items():
                element.set(attribute, value[:MAX_VALUE] if attribute in ATTRIBUTES else _length(value) or "")
            told = (element.text or "").strip()
            element.text = told[:MAX_VALUE] if element.tag in TEXTS else _length(told)
        element.tail = _length(element.tail)
    etree.indent(shown)
    return etree.tostring(shown, encoding="unicode")


def _all(root: etree._Element) -> Iterator[etree._Element]:
    for number, element in enumerate(list(root.iter())):
        if number >= xml.MAX_ELEMENTS:
            raise BadXml("too_many_elements", "The message has too many elements.")
        yield element


def _length(text: str | None) -> str | None:
    told = (text or "").strip()
    return f"[{len(told)} characters]" if told else None
