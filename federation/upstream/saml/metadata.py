"""What one identity provider publishes of itself: SAML 2.0 metadata (saml-metadata-2.0-os), read into a frozen value.

An EntityDescriptor with an IDPSSODescriptor, or an EntitiesDescriptor in which exactly one entity has one. What is
not read: the signature of the document (it is trusted for how it came: https, or an operator's file), cacheDuration,
attributes, organisation, contacts, and bindings beside HTTP-Redirect and HTTP-POST.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from federation.upstream.fetching import BadDocument
from federation.upstream.saml import xml
from federation.upstream.saml.xml import PROTOCOL, BadXml, name

MAX_METADATA = 1024 * 1024
MAX_CERTIFICATE = 4096  # characters (W 8.1)
MAX_CERTIFICATES = 20
MAX_ENTITY_ID = 1024  # saml-metadata 2.2.1
MAX_LOCATION = 2048
MIN_RSA = 2048  # bits
REDIRECT, POST = (f"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{word}" for word in ("Redirect", "POST"))
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that the provider may sign with. Its dates are for operators: what counts is that it is listed."""

    pem: str = field(repr=False)
    fingerprint: str
    """SHA-256 of the DER, in hexadecimal."""
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class IdpMetadata:
    """One identity provider. Locations are by binding, REDIRECT or POST."""

    entity_id: str
    sso: Mapping[str, str]
    slo: Mapping[str, str]
    """Where a LogoutRequest goes."""
    slo_response: Mapping[str, str]
    """Where a LogoutResponse goes: ResponseLocation, or where the requests go."""
    certificates: tuple[Certificate, ...]
    valid_until: datetime | None
    """The earliest of all that the document says."""
    wants_signed_requests: bool


@lru_cache(maxsize=256)
def parse(text: str) -> IdpMetadata:
    """Return the provider that ``text`` describes; raise BadDocument, in words for an operator."""
    if len(text) > MAX_METADATA or len(text.encode(errors="replace")) > MAX_METADATA:
        raise BadDocument("The metadata is larger than 1 MiB.")
    try:
        root = xml.parse(xml.without_declaration(text.removeprefix("\ufeff")))
        entity, role = _provider(root)
        above = [entity, role, *entity.iterancestors()]
        moments = [moment for element in above if (moment := xml.moment(element.get("validUntil")))]
    except BadXml as error:
        raise BadDocument(f"The metadata cannot be read. {error}") from error
    entity_id = entity.get("entityID") or ""
    if not entity_id.strip() or len(entity_id) > MAX_ENTITY_ID:
        raise BadDocument("The metadata has no entityID, or one of more than 1024 characters.")
    sso, slo = _locations(role, "SingleSignOnService"), _locations(role, "SingleLogoutService")
    if not sso:
        raise BadDocument("The metadata offers sign-in by neither the HTTP-Redirect nor the HTTP-POST binding.")
    return IdpMetadata(
        entity_id=entity_id.strip(),
        sso=sso,
        slo=slo,
        slo_response=MappingProxyType({**slo, **_locations(role, "SingleLogoutService", "ResponseLocation")}),
        certificates=_certificates(role),
        valid_until=min(moments, default=None),
        wants_signed_requests=(role.get("WantAuthnRequestsSigned") or "").strip() in ("true", "1"),
    )


def _provider(root: etree._Element) -> tuple[etree._Element, etree._Element]:
    if root.tag not in (name("md", "EntityDescriptor"), name("md", "EntitiesDescriptor")):
        raise BadDocument("This is not SAML 2.0 metadata: neither an EntityDescriptor nor an EntitiesDescriptor.")
    found = [
        (entity, role)
        for entity in root.iter(name("md", "EntityDescriptor"))
        for role in entity.findall(name("md", "IDPSSODescriptor"))
        if PROTOCOL in (role.get("protocolSupportEnumeration") or "").split()
    ]
    if not found:
        raise BadDocument("The metadata describes no SAML 2.0 identity provider.")
    if len(found) > 1:
        raise BadDocument(f"The metadata describes {len(found)} identity providers. Give that of one.")
    return found[0]


def _locations(role: etree._Element, service: str, attribute: str = "Location") -> Mapping[str, str]:
    found: dict[str, str] = {}
    for element in role.findall(name("md", service)):
        binding, location = element.get("Binding") or "", (element.get(attribute) or "").strip()
        if binding not in (REDIRECT, POST) or binding in found or not location:
            continue
        if not _is_address(location):
            raise BadDocument(f"The metadata has a {service} whose {attribute} is not a web address.")
        found[binding] = location
    return MappingProxyType(found)


def _is_address(location: str) -> bool:
    """Whether a browser may be sent there: never to javascript: or data:, of which metadata could well speak."""
    if len(location) > MAX_LOCATION or re.search(r"[\x00-\x20\x7f\\\"<>]", location):
        return False
    try:
        parts = urlsplit(location)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.username and not parts.fragment
    except ValueError:
        return False


def _certificates(role: etree._Element) -> tuple[Certificate, ...]:
    """Return those for signing, each once; the first of an X509Data, for what follows it is a chain of authorities."""
    found: dict[str, Certificate] = {}
    trouble = ""
    for descriptor in role.findall(name("md", "KeyDescriptor")):
        if descriptor.get("use", "signing") != "signing":
            continue
        for data in descriptor.findall(f"{name('ds', 'KeyInfo')}/{name('ds', 'X509Data')}"):
            first = data.find(name("ds", "X509Certificate"))
            if first is None:
                continue
            try:
                certificate = _certificate(xml.content(first))
            except BadDocument as error:
                trouble = trouble or error.message
                continue
            found[certificate.fingerprint] = certificate
    if not found:
        raise BadDocument(trouble or "The metadata has no certificate for signing.")
    if len(found) > MAX_CERTIFICATES:
        raise BadDocument(f"The metadata has more than {MAX_CERTIFICATES} certificates for signing.")
    return tuple(found.values())


def _certificate(text: str) -> Certificate:
    text = "".join(text.split())
    if len(text) > MAX_CERTIFICATE:
        raise BadDocument(f"A certificate in the metadata is longer than {MAX_CERTIFICATE} characters.")
    try:
        read = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
        key = read.public_key()
        not_before, not_after = read.not_valid_before_utc, read.not_valid_after_utc
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as error:
        raise BadDocument("A certificate in the metadata cannot be read.") from error
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA:
            raise BadDocument(f"A certificate in the metadata has an RSA key of less than {MIN_RSA} bits.")
    elif not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, CURVES)):
        raise BadDocument("A certificate in the metadata has a key that is neither RSA nor of a NIST curve.")
    pem = read.public_bytes(Encoding.PEM).decode()
    return Certificate(pem, read.fingerprint(SHA256()).hex(), not_before, not_after)
