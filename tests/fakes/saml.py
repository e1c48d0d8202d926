"""A SAML 2.0 identity provider for tests, made of lxml and xmlsec alone, so that it shares nothing with pysaml2.

A Message is an honest response with every value open to change. It is written, signed and encrypted as
saml-core-2.0, XML Signature 1.1 and XML Encryption 1.1 say, and ``mutate`` may put its hands in between.
"""

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Self

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from lxml import etree

NS = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "xenc": "http://www.w3.org/2001/04/xmlenc#",
}
DECLARED = " ".join(f'xmlns:{prefix}="{NS[prefix]}"' for prefix in ("samlp", "saml"))
IDP, AUDIENCE = "https://idp.example.test/metadata", "urn:amazon:cognito:sp:local_Test1"
ACS, SLO = "https://corp.auth.example.test/saml2/idpresponse", "https://corp.auth.example.test/saml2/logout"
REQUEST_ID = "_dd0a3436-bc64-4679-a0c2-cb4454f04184"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
T = xmlsec.constants


@dataclass(frozen=True)
class Pair:
    """A key pair and its certificate."""

    pem: bytes
    certificate: str
    """Base64 of the DER."""

    @property
    def certificate_pem(self) -> bytes:
        body = "\n".join(self.certificate[i : i + 64] for i in range(0, len(self.certificate), 64))
        return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n".encode()


@cache
def pair(name: str, kind: str = "RSA", days: int = 3650) -> Pair:
    """Return a key pair, made once per test process."""
    key: Any
    if kind == "RSA":
        key = rsa.generate_private_key(65537, 2048)
    elif kind == "weak":
        key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - refused by what is tested
    else:
        key = ec.generate_private_key(getattr(ec, kind)())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=4000))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(pem, base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode())


def at(offset: float = 0.0) -> str:
    """Return the moment so many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=offset)).strftime("%Y-%m-%dT%H:%M:%SZ")


def element(text: str | bytes) -> etree._Element:
    return etree.fromstring(text)


def deflated(octets: bytes) -> str:
    """Return a message as the HTTP-Redirect binding has it (saml-bindings-2.0 3.4.4.1)."""
    made = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(made.compress(octets) + made.flush()).decode()


def find(root: etree._Element, path: str) -> etree._Element:
    found = root.find(path, NS)
    if found is None:
        raise LookupError(path)
    return found


def sign(
    node: etree._Element,
    key: xmlsec.Key,
    *,
    method: Any = T.TransformRsaSha256,
    digest: Any = T.TransformSha256,
    c14n: Any = T.TransformExclC14N,
    uri: str | None = None,
    certificate: str = "",
    prepare: Callable[[etree._Element], object] = lambda signature: None,
) -> etree._Element:
    """Sign ``node`` with an enveloped signature where SAML's schema wants it: after Issuer.

    ``prepare`` changes the signature before its values are computed, so that they fit what it did.
    """
    signature = xmlsec.template.create(node, c14n, method, ns="ds")
    node.insert(1, signature)
    reference = xmlsec.template.add_reference(signature, digest, uri=f"#{node.get('ID')}" if uri is None else uri)
    xmlsec.template.add_transform(reference, T.TransformEnveloped)
    xmlsec.template.add_transform(reference, c14n)
    prepare(signature)
    context = xmlsec.SignatureContext()
    context.key = key
    context.register_id(node, "ID")
    context.sign(signature)
    if certificate:
        info = etree.SubElement(signature, f"{{{NS['ds']}}}KeyInfo")
        data = etree.SubElement(info, f"{{{NS['ds']}}}X509Data")
        etree.SubElement(data, f"{{{NS['ds']}}}X509Certificate").text = certificate
    return signature


def set_beside(root: etree._Element) -> None:
    """Move the encrypted key out of EncryptedData, and leave a pointer to it (saml-core-2.0 errata E43)."""
    data = find(root, "saml:EncryptedAssertion/xenc:EncryptedData")
    info = find(data, "ds:KeyInfo")
    find(root, "saml:EncryptedAssertion").append(find(info, "xenc:EncryptedKey"))
    kind = "http://www.w3.org/2001/04/xmlenc#EncryptedKey"
    etree.SubElement(info, f"{{{NS['ds']}}}RetrievalMethod", URI="#_ek", Type=kind)


@cache
def private(of: Pair) -> xmlsec.Key:
    return xmlsec.Key.from_memory(of.pem, T.KeyDataFormatPem)


@cache
def recipient(of: Pair) -> xmlsec.KeysManager:
    """Return what encrypts for a key pair. Making one costs 25 ms, for the system's authorities."""
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(of.certificate_pem, T.KeyDataFormatCertPem))
    return manager


def encrypt(
    assertion: etree._Element,
    to: Pair,
    *,
    method: Any = T.TransformAes256Gcm,
    size: int = 256,
    transport: Any = T.TransformRsaOaep,
    sha256: bool = False,
    plain: bytes | None = None,
) -> etree._Element:
    """Put an EncryptedAssertion in the place of ``assertion``, or of ``plain``, and return it."""
    parent = assertion.getparent()
    wrapper = etree.Element(f"{{{NS['saml']}}}EncryptedAssertion")
    parent.replace(assertion, wrapper)
    data = xmlsec.template.encrypted_data_create(wrapper, method, type=T.TypeEncElement, ns="xenc")
    xmlsec.template.encrypted_data_ensure_cipher_value(data)
    info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds")
    key = xmlsec.template.add_encrypted_key(info, transport, id="_ek")
    if sha256:
        found = find(key, "xenc:EncryptionMethod")
        found.set("Algorithm", "http://www.w3.org/2009/xmlenc11#rsa-oaep")
        etree.SubElement(found, f"{{{NS['ds']}}}DigestMethod", Algorithm="http://www.w3.org/2001/04/xmlenc#sha256")
        mgf = "http://www.w3.org/2009/xmlenc11#"
        etree.SubElement(found, f"{{{mgf}}}MGF", Algorithm=f"{mgf}mgf1sha256")
    xmlsec.template.encrypted_data_ensure_cipher_value(key)
    context = xmlsec.EncryptionContext(recipient(to))
    kind = T.KeyDataDes if method is T.TransformDes3Cbc else T.KeyDataAes
    context.key = xmlsec.Key.generate(kind, size, T.KeyDataTypeSession)
    wrapper.append(context.encrypt_binary(data, plain or etree.tostring(assertion)))
    return wrapper


@dataclass
class Message:
    """A response, honest until told otherwise. A value of None leaves its attribute or element out."""

    issuer: str | None = IDP
    response_issuer: str | None = IDP
    audience: str | None = AUDIENCE
    destination: str | None = ACS
    recipient: str | None = ACS
    in_response_to: str | None = REQUEST_ID
    assertion_id: str = "_assertion"
    confirmation_in_response_to: str | None = REQUEST_ID
    name_id: str | None = "ada@example.test"
    attributes: dict[str, list[str]] = field(default_factory=lambda: {"email": ["ada@example.test"]})
    status: str = "urn:oasis:names:tc:SAML:2.0:status:Success"
    version: str = "2.0"
    assertion_version: str = "2.0"
    method: str | None = BEARER
    response_issued: float = 0
    issued: float = 0
    not_before: float | None = -30
    not_on_or_after: float | None = 300
    confirmation_not_on_or_after: float | None = 300
    session_not_on_or_after: float | None = None
    conditions: bool = True
    statement: bool = True
    sign_response: bool = False
    sign_assertion: bool = True
    signer: Pair = field(default_factory=lambda: pair("idp"))
    signing: dict[str, Any] = field(default_factory=dict)
    encryption: dict[str, Any] | None = None
    encrypt_to: Pair = field(default_factory=lambda: pair("pool"))
    before: Callable[[etree._Element], object] = lambda root: None
    """Changes what is going to be signed."""
    inside: Callable[[etree._Element], object] = lambda root: None
    """Changes a signed assertion that is going to be encrypted."""
    ciphered: Callable[[etree._Element], object] = lambda root: None
    """Changes what is encrypted, before the response is signed."""
    after: Callable[[etree._Element], object] = lambda root: None
    """Changes what was signed."""

    def plain(self) -> etree._Element:
        return element(self.plain_text())

    def plain_text(self) -> str:
        def optional(name: str, value: object) -> str:
            return "" if value is None else f' {name}="{value}"'

        def when(name: str, offset: float | None) -> str:
            return "" if offset is None else f' {name}="{at(offset)}"'

        def issuer(value: str | None) -> str:
            return "" if value is None else f"<saml:Issuer>{value}</saml:Issuer>"

        restriction = (
            ""
            if self.audience is None
            else f"<saml:AudienceRestriction><saml:Audience>{self.audience}</saml:Audience></saml:AudienceRestriction>"
        )
        within = when("NotBefore", self.not_before) + when("NotOnOrAfter", self.not_on_or_after)
        confirmed = (
            when("NotOnOrAfter", self.confirmation_not_on_or_after)
            + optional("Recipient", self.recipient)
            + optional("InResponseTo", self.confirmation_in_response_to)
        )
        confirmation = (
            ""
            if self.method is None
            else f'<saml:SubjectConfirmation Method="{self.method}"><saml:SubjectConfirmationData{confirmed}/>'
            "</saml:SubjectConfirmation>"
        )
        values = "".join(
            f'<saml:Attribute Name="{name}">'
            + "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in found)
            + "</saml:Attribute>"
            for name, found in self.attributes.items()
        )
        return (
            f'<samlp:Response {DECLARED} ID="_response" Version="{self.version}" '
            f'IssueInstant="{at(self.response_issued)}"{optional("Destination", self.destination)}'
            f"{optional('InResponseTo', self.in_response_to)}>{issuer(self.response_issuer)}"
            f'<samlp:Status><samlp:StatusCode Value="{self.status}"/></samlp:Status>'
            f'<saml:Assertion ID="{self.assertion_id}" Version="{self.assertion_version}" '
            f'IssueInstant="{at(self.issued)}">'
            f"{issuer(self.issuer)}<saml:Subject>"
            + ("" if self.name_id is None else f"<saml:NameID>{self.name_id}</saml:NameID>")
            + f"{confirmation}</saml:Subject>"
            + (f"<saml:Conditions{within}>{restriction}</saml:Conditions>" if self.conditions else "")
            + (
                f'<saml:AuthnStatement AuthnInstant="{at()}" SessionIndex="_session1"'
                f"{when('SessionNotOnOrAfter', self.session_not_on_or_after)}><saml:AuthnContext>"
                "<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
                "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
                if self.statement
                else ""
            )
            + (f"<saml:AttributeStatement>{values}</saml:AttributeStatement>" if values else "")
            + "</saml:Assertion></samlp:Response>"
        )

    def tree(self) -> etree._Element:
        root = self.plain()
        self.before(root)
        key = self.signing.get("key") or private(self.signer)
        how = {name: value for name, value in self.signing.items() if name != "key"}
        assertion = root.find("saml:Assertion", NS)
        if self.sign_assertion and assertion is not None:
            sign(assertion, key, **how)
        root = element(etree.tostring(root))  # lxml does not find by name what libxmlsec1 made
        self.inside(root)
        if self.encryption is not None:
            encrypt(find(root, "saml:Assertion"), self.encrypt_to, **self.encryption)
            root = element(etree.tostring(root))
            self.ciphered(root)
        if self.sign_response:
            sign(root, key, **how)
        root = element(etree.tostring(root))
        self.after(root)
        return root

    def xml(self) -> bytes:
        return etree.tostring(self.tree())

    def encoded(self) -> str:
        return base64.b64encode(self.xml()).decode()

    def changed(self, **values: Any) -> Self:
        for name, value in values.items():
            setattr(self, name, value)
        return self


def metadata(*certificates: str, entity_id: str = IDP, more: str = "", attributes: str = "") -> str:
    """Return an IdP's metadata with these certificates."""
    keys = "".join(
        f'<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{found}</ds:X509Certificate>'
        "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        for found in certificates or (pair("idp").certificate,)
    )
    binding = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"
    return (
        f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="{NS["ds"]}" '
        f'entityID="{entity_id}"><md:IDPSSODescriptor protocolSupportEnumeration="{NS["samlp"]}"{attributes}>{keys}'
        f'{more or f"""<md:SingleSignOnService Binding="{binding}Redirect" Location="https://idp.example.test/sso"/>"""}'
        "</md:IDPSSODescriptor></md:EntityDescriptor>"
    )
