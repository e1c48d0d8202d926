"""The secrets of a journey, gathered on the wire, and the lines of the log that hold one.

RFC 6749 10.3 to 10.5, RFC 9700 4.3 and saml-sec-consider-2.0 7.1.1: codes, tokens, passwords and assertions leak
through logs. What is secret is known by its name wherever it travels (query, form, cookie, header, JSON, hidden field,
redirect), so a new journey needs no line here. Every value is looked for as it is, as it stands in a URL, and as the
digest by which a database would be searched for it; and nothing that looks like a signed token may be in a log at all.

tests/flows/watched.py gathers in a server process and the fixture in tests/flows/conftest.py in this one.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from lxml import etree

from accounts import opaque

SECRETS_FILE = "USERPOOL_TEST_SECRETS"
"""The setting that tells a server process where to write down the secrets that pass."""
NAMES = frozenset(
    {
        *("code", "state", "nonce", "code_verifier", "proof", "_csrf", "csrfmiddlewaretoken"),
        *("access_token", "id_token", "refresh_token", "id_token_hint", "token"),
        *("client_secret", "client_assertion", "assertion"),
        *("password", "password1", "password2", "new_password", "confirm_password", "old_password"),
        *("SAMLResponse", "SAMLRequest", "RelayState", "Signature"),
        *("email", "phone_number"),
    }
)
# shorter ones are words, and stand in a log by chance
SHORTEST = 8
JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}")
HIDDEN_FIELD = re.compile(r'name="([^"]+)"[^>]* value="([^"]*)"')
ASSERTED = ("SignatureValue", "NameID", "AttributeValue", "CipherValue")


def of_fields(pairs: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Yield the secrets among names and values; a message of SAML gives away what is in it as well."""
    for name, value in pairs:
        if name not in NAMES or not isinstance(value, str):
            continue
        yield value
        if name.startswith("SAML"):
            yield from of_message(value)
        elif name == "RelayState":
            yield from of_url(f"?{value}")


def of_url(url: str) -> Iterator[str]:
    """Yield the secrets in the query and the fragment of ``url``."""
    parts = urlsplit(url)
    for encoded in (parts.query, parts.fragment):
        yield from of_fields(parse_qsl(encoded))


def of_message(encoded: str) -> Iterator[str]:
    """Yield what must not be read of a SAML message: who it is about, and what proves it."""
    try:
        root = etree.fromstring(base64.b64decode(encoded))
    except (ValueError, etree.XMLSyntaxError):
        return  # by the redirect binding, or broken on purpose
    for element in root.iter("{*}*"):
        if etree.QName(element).localname in ASSERTED:
            yield from (element.text or "").split("\n")


def of_json(value: Any) -> Iterator[str]:
    """Yield the secrets in a JSON document, at any depth."""
    if isinstance(value, dict):
        yield from of_fields(value.items())
        for inner in value.values():
            yield from of_json(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from of_json(inner)


def of_headers(headers: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the secrets in the headers of a request or an answer."""
    for name, value in headers:
        match name.lower():
            case "authorization":
                scheme, _, credentials = value.partition(" ")
                yield credentials
                if scheme.lower() == "basic":
                    try:
                        yield base64.b64decode(credentials).decode().partition(":")[2]
                    except ValueError:
                        continue
            case "cookie":
                yield from (pair.partition("=")[2] for pair in value.split("; "))
            case "set-cookie":
                yield value.partition(";")[0].partition("=")[2]
            case "location":
                yield from of_url(value)


def of_body(content_type: str, body: bytes) -> Iterator[str]:
    """Yield the secrets in the body of a request or an answer."""
    kind, text = content_type.partition(";")[0].strip().lower(), body.decode("utf-8", "replace")
    if kind == "application/x-www-form-urlencoded":
        yield from of_fields(parse_qsl(text))
    elif kind == "application/json":
        try:
            yield from of_json(json.loads(text))
        except ValueError:
            return
    elif kind == "text/html":
        fields = [(name, html.unescape(value)) for name, value in HIDDEN_FIELD.findall(text)]
        yield from of_fields(fields)


def of_exchange(
    environ: Mapping[str, Any], sent: bytes, headers: Iterable[tuple[str, str]], body: bytes
) -> Iterator[str]:
    """Yield the secrets of one request (its WSGI environment, and the body) and of its answer."""
    named = [(key[5:].replace("_", "-"), str(value)) for key, value in environ.items() if key.startswith("HTTP_")]
    yield from of_fields(parse_qsl(str(environ.get("QUERY_STRING", ""))))
    yield from of_headers(named)
    yield from of_body(str(environ.get("CONTENT_TYPE", "")), sent)
    headers = list(headers)
    yield from of_headers(headers)
    kinds = [value for name, value in headers if name.lower() == "content-type"]
    yield from of_body(kinds[0] if kinds else "", body)


def leaks(text: str, secrets: Iterable[str]) -> list[str]:
    """Return the lines of ``text`` that hold one of ``secrets``, or a signed token, with what they hold."""
    found = {match[0] for match in JWT.finditer(text)}
    for value in secrets:
        if len(value) >= SHORTEST:
            found |= {form for form in (value, quote(value, safe=""), opaque.digest(value)) if form in text}
    if not found:
        return []
    return [
        f"{[form[:24] for form in found if form in line]} in: {line[:400]}"
        for line in text.splitlines()
        if any(form in line for form in found)
    ]
