"""What is no response at all: sizes, encodings, entities, other messages.

OWASP's cheat sheets on XXE and SAML; saml-bindings-2.0 3.5.4 (base64, no DEFLATE); XML 1.0.
"""

import zlib
from collections.abc import Callable
from functools import cache

from lxml import etree

from tests.fakes.saml import NS, Message
from tests.security.saml.corpus import EVIL, Case, assertion_of, encoded

Text = Callable[[Message], str]
DTD = "saml-core 1.3.1 needs none, OWASP XXE: no document type"
XML = "XML 1.0: well-formed"
BASE64 = "saml-bindings 3.5.4, RFC 4648 3.3: base64 and nothing else"
UTF8 = "XML 1.0 4.3.3: UTF-8, and saml-bindings 3.5.4: never deflated"
LIMIT = "W 8.3: 100,000 characters, and our own limits"
OTHER = "saml-profiles 4.1.4.2: a Response"
TOP = b"<!DOCTYPE samlp:Response>"
LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
QUADRATIC = f'<!ENTITY a "{"x" * 30_000}">'


@cache
def bomb() -> bytes:
    deflated = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflated.compress(b"<a>" + b" " * 50_000_000) + deflated.flush()


def with_doctype(inner: str, refer: str = "") -> Text:
    """Put a document type in front; ``refer`` becomes the NameID."""

    def text(message: Message) -> str:
        body = referring(message, refer) if refer else message.xml()
        return encoded(f"<!DOCTYPE samlp:Response [{inner}]>".encode() + body)

    return text


def referring(message: Message, entity: str) -> bytes:
    return message.xml().replace(b"<saml:NameID>ada@example.test", f"<saml:NameID>{entity}".encode())


def octets(change: Callable[[bytes], bytes]) -> Text:
    """Return a case in which the document is changed as octets."""
    return lambda message: encoded(change(message.xml()))


def always(text: str | bytes) -> Text:
    return lambda _: text if isinstance(text, str) else encoded(text)


def deep_inside(message: Message) -> str:
    return encoded(message.changed(attributes={"x": ["<x>" * 300 + "</x>" * 300]}).plain_text())


def many_attributes(message: Message) -> str:
    said = " ".join(f'a{number}=""' for number in range(4000)).encode()
    return encoded(message.xml().replace(b"<saml:Subject>", b"<saml:Subject " + said + b">"))


def many_namespaces(message: Message) -> str:
    """Canonicalization looks for each of them at each element."""
    said = "".join(f'<a{number}:x xmlns:a{number}="urn:{number}">' for number in range(250))
    ends = "".join(f"</a{number}:x>" for number in reversed(range(250)))
    return message.changed(attributes={"x": [said + ends]}, signer=message.encrypt_to).encoded()


def many_declarations(message: Message) -> str:
    """Each used once, at one element."""
    said = " ".join(f'xmlns:a{number}="a{number}" a{number}:b=""' for number in range(2000)).encode()
    return encoded(message.xml().replace(b"<saml:Subject>", b"<saml:Subject " + said + b">"))


def within_value(inside: str) -> Text:
    """Put elements into an attribute's value, as many as are let through: a stranger signs nothing."""
    return lambda message: encoded(
        message.xml().replace(b"<saml:AttributeValue>", f"<saml:AttributeValue>{inside}".encode())
    )


DOCUMENTS: dict[str, tuple[str, str, Text]] = {
    "internal entity": ("dtd", DTD, with_doctype(f'<!ENTITY a "{EVIL}">', "&a;")),
    "external entity": ("dtd", DTD, with_doctype('<!ENTITY a SYSTEM "file:///etc/passwd">', "&a;")),
    "parameter entity": ("dtd", DTD, with_doctype('<!ENTITY % a SYSTEM "http://127.0.0.1:9/x"> %a;')),
    "billion laughs": ("dtd", DTD, with_doctype(f'<!ENTITY a0 "ha">{LAUGHS}', "&a9;")),
    "quadratic blow-up": ("dtd", DTD, with_doctype(QUADRATIC, "&a;" * 5_000)),
    "document type alone": ("dtd", DTD, octets(lambda said: TOP + said)),
    "document type from outside": (
        "dtd",
        DTD,
        octets(lambda said: b'<!DOCTYPE samlp:Response SYSTEM "http://127.0.0.1:9/x">' + said),
    ),
    "default attributes": ("dtd", DTD, with_doctype('<!ATTLIST saml:Assertion ID ID "_assertion">')),
    "undeclared entity": ("not_xml", XML, lambda message: encoded(referring(message, "&a;"))),
    "too large": ("too_large", LIMIT, always("A" * 100_001)),
    "20 megabytes": ("too_large", LIMIT, always("A" * 20_000_000)),
    "as large as may be": ("not_xml", XML, always("A" * 100_000)),
    "deep": ("not_xml", XML, always(b"<a>" * 9_000)),
    "deep inside": ("not_xml", LIMIT, deep_inside),
    "many elements": ("too_many_elements", LIMIT, always(b"<a>" + b"<b/>" * 3000 + b"</a>")),
    "many attributes": ("too_many_attributes", LIMIT, many_attributes),
    "many namespaces": ("assertion_signature", LIMIT, many_namespaces),
    "many declarations": ("too_many_attributes", LIMIT, many_declarations),
    "as many elements as may be": ("assertion_signature", LIMIT, within_value("<x/>" * 2900)),
    "as many values as may be": (
        "assertion_signature",
        LIMIT,
        within_value("</saml:AttributeValue><saml:AttributeValue>" * 1600),
    ),
    "not base64": ("not_base64", BASE64, always("<samlp:Response/>")),
    "base64 with a stray letter": ("not_base64", BASE64, always("QUJD*A==")),
    "base64 of the web": ("not_base64", BASE64, always("_-_-")),
    "base64 that was cut": ("not_base64", BASE64, lambda message: f"{message.encoded().rstrip('=')[:400]}A"),
    "base64 outside of ASCII": ("not_base64", BASE64, always("ä" * 8)),
    "NUL": ("not_base64", BASE64, always("\x00")),
    "nothing": ("not_xml", XML, always("")),
    "white space": ("not_xml", XML, always(" \r\n")),
    "not XML": ("not_xml", XML, always(b"SAML")),
    "JSON": ("not_xml", XML, always(b'{"a": 1}')),
    "two roots": ("not_xml", XML, octets(lambda said: said * 2)),
    "half a response": ("not_xml", XML, octets(lambda said: said[: len(said) // 2])),
    "an attribute twice": (
        "not_xml",
        XML,
        octets(lambda said: said.replace(b'ID="_response"', b'ID="_a" ID="_response"')),
    ),
    "NUL inside": ("not_xml", XML, octets(lambda said: said.replace(b"ada@", b"a\x00da@"))),
    "NUL as a reference": ("not_xml", XML, octets(lambda said: said.replace(b"ada@", b"a&#0;da@"))),
    "not UTF-8": ("not_utf8", UTF8, octets(lambda said: said.replace(b"ada@", b"\xff\xfe@"))),
    "overlong UTF-8": ("not_utf8", UTF8, octets(lambda said: said.replace(b"ada@", b"\xc1\xa1da@"))),
    "UTF-16": ("not_utf8", UTF8, octets(lambda said: said.decode().encode("utf-16"))),
    "surrogates": ("not_utf8", UTF8, octets(lambda said: b"\xed\xa0\x80" + said)),
    "deflated": ("not_utf8", UTF8, octets(lambda said: zlib.compress(said)[2:-4])),
    "deflate bomb": ("not_utf8", UTF8, lambda _: encoded(bomb())),
    "another message": (
        "not_a_response",
        OTHER,
        always(f'<samlp:LogoutResponse xmlns:samlp="{NS["samlp"]}"/>'.encode()),
    ),
    "HTML": ("not_a_response", OTHER, always(b"<html/>")),
    "an assertion alone": (
        "not_a_response",
        OTHER,
        lambda message: encoded(etree.tostring(assertion_of(message.tree()))),
    ),
    "an empty response": ("version", OTHER, always(f'<samlp:Response xmlns:samlp="{NS["samlp"]}"/>'.encode())),
    "a response of another namespace": (
        "not_a_response",
        OTHER,
        octets(lambda said: said.replace(NS["samlp"].encode(), b"urn:oasis:names:tc:SAML:1.0:protocol")),
    ),
}
# bodies that are refused before anybody looks for the sign-in that they are about
ON_PAGE = {"20 megabytes", "NUL"}
CASES = [
    Case(name, "assertion", reason, offends, text=text, endpoint="page" if name in ON_PAGE else "")
    for name, (reason, offends, text) in DOCUMENTS.items()
]
