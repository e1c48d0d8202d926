"""XML signatures and XML encryption for pysaml2, in this process: libxmlsec1 by the xmlsec wheel, no binary, no files.

XML Signature 1.1 and XML Encryption 1.1 as saml-core-2.0 section 5.4 and 6 narrow them, and narrower: SHA-2 with RSA
or ECDSA, one enveloped signature directly in the element that it signs, one reference to that element's ID, which
nothing else in the document has. KeyInfo is never consulted: the provider's certificates come from its metadata.
Decryption is AES (CBC or GCM) under RSA-OAEP; RSA 1.5 and 3DES are refused before anything is decrypted. Encrypting
is not ours. Canonicalization is exclusive, which is what SAML recommends and all that pysaml2 takes.

client.py puts it into pysaml2's client.
"""

import base64
import binascii
import secrets
from typing import Any

import xmlsec
from lxml import etree
from saml2.sigver import CryptoBackend, DecryptError, SignatureError

from federation.upstream.saml import xml
from federation.upstream.saml.keys import PrivateKey, certificate_key
from federation.upstream.saml.xml import BadXml, name

T = xmlsec.constants
SIGNATURES = (
    *(T.TransformRsaSha224, T.TransformRsaSha256, T.TransformRsaSha384, T.TransformRsaSha512),
    *(T.TransformEcdsaSha224, T.TransformEcdsaSha256, T.TransformEcdsaSha384, T.TransformEcdsaSha512),
)
DIGESTS = (T.TransformSha224, T.TransformSha256, T.TransformSha384, T.TransformSha512)
CANONICAL = (T.TransformExclC14N, T.TransformExclC14NWithComments)
IN_SIGNATURE = [name("ds", "SignedInfo"), name("ds", "SignatureValue"), name("ds", "KeyInfo")]

AES = {
    t.href
    for t in (
        *(T.TransformAes128Cbc, T.TransformAes192Cbc, T.TransformAes256Cbc),
        *(T.TransformAes128Gcm, T.TransformAes192Gcm, T.TransformAes256Gcm),
    )
}
OAEP = {"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p", "http://www.w3.org/2009/xmlenc11#rsa-oaep"}
TRANSFORM = f"{name('ds', 'Transforms')}/{name('ds', 'Transform')}"
METHOD, KEY = name("xenc", "EncryptionMethod"), name("xenc", "EncryptedKey")


class InProcessCrypto(CryptoBackend):
    """Verifies, signs and decrypts; remembers what it verified, so that nothing else need be believed. One a message.

    Whatever is wrong with a document is a SignatureError or a DecryptError: the first is what pysaml2 expects, the
    second makes it try the next key.
    """

    def __init__(self) -> None:
        super().__init__()
        self.verified: list[etree._Element] = []
        """The elements that a signature was found good for, in the order of verification."""
        self.decrypted: etree._Element | None = None
        """The root of the document in which something was decrypted: of the only one."""
        self._ciphertext, self._plaintext = "", ""
        self._located: dict[tuple[str | bytes, str, str], tuple[etree._Element, etree._Element] | None] = {}
        self._good: dict[tuple[str | bytes, ...], etree._Element] = {}

    @property
    def version(self) -> str:
        return "1.3.0"  # of libxmlsec1; pysaml2 asks to know which options the binary has

    def validate_signature(
        self, signedtext: str | bytes, cert_file: str, cert_type: str, node_name: str, node_id: str
    ) -> bool:
        """Return True; raise SignatureError. ``cert_file`` is a certificate in PEM."""
        self.verify(signedtext, cert_file, node_name, node_id)
        return True

    def verify(self, signedtext: str | bytes, certificate: str, node_name: str, node_id: str) -> etree._Element:
        """Return the element that was signed; raise SignatureError. ``certificate`` is in PEM."""
        question = (signedtext, certificate, node_name, node_id)
        if question in self._good:  # pysaml2 asks again for each thing that it reads
            return self._good[question]
        try:
            node, signature = self._signed(signedtext, node_name, node_id)
            context = xmlsec.SignatureContext()
            for transform in (*SIGNATURES, *CANONICAL):
                context.enable_signature_transform(transform)
            for transform in (*DIGESTS, *CANONICAL, T.TransformEnveloped):
                context.enable_reference_transform(transform)
            context.key = certificate_key(certificate)
            context.register_id(node, "ID")
            context.verify(signature)
        except (BadXml, xmlsec.Error) as error:
            raise SignatureError(str(error)) from error
        self.verified.append(node)
        self._good[question] = node
        return node

    def _signed(self, text: str | bytes, node_name: str, node_id: str) -> tuple[etree._Element, etree._Element]:
        """Return the element and its signature; raise BadXml. Once a message, however many certificates are tried."""
        place = (text, node_name, node_id)
        if place not in self._located:
            self._located[place] = None
            node = _only(_parsed(text), node_name, node_id)
            self._located[place] = node, _only_signature(node, node_id)
        found = self._located[place]
        if found is None:
            raise BadXml("signature", "there is none to verify")
        return found

    def sign_statement(self, statement: Any, node_name: str, key_file: PrivateKey, node_id: str) -> str:
        """Fill in the signature that pysaml2 prepared in the element and return the document."""
        try:
            root = _parsed(statement if isinstance(statement, bytes) else str(statement))
            node = _only(root, node_name, node_id)
            context = xmlsec.SignatureContext()
            context.key = key_file.xmlsec
            context.register_id(node, "ID")
            context.sign(_only_signature(node, node_id))
        except (BadXml, xmlsec.Error) as error:
            raise SignatureError(str(error)) from error
        return etree.tostring(root, encoding="unicode")

    def decrypt(self, enctext: str | bytes, key_file: PrivateKey) -> str:
        """Return the document with its one EncryptedData decrypted; raise DecryptError.

        Once a message: pysaml2 comes again with the same document, and an attacker with a layer below.
        """
        enctext = enctext.decode() if isinstance(enctext, bytes) else enctext
        if self.decrypted is not None:
            if enctext != self._ciphertext:
                raise DecryptError("something was decrypted in this message already")
            return self._plaintext
        try:
            root = _parsed(enctext)
            data = next(root.iter(name("xenc", "EncryptedData")), None)
            if data is None:
                raise BadXml("decryption", "nothing is encrypted")
            _require(data, AES)
            wrapped = _encrypted_key(data)
            _require(wrapped, OAEP)
            session_key = _decrypted(wrapped, key_file.xmlsec)
            plain = xml.as_text(_decrypted(data, xmlsec.Key.from_binary_data(T.KeyDataAes, session_key)))
            xml.parse_message(plain)
            text = _put_in(root, data, plain)
            self.decrypted = xml.parse_message(text)
        except (BadXml, xmlsec.Error, etree.LxmlError, ValueError) as error:
            raise DecryptError("cannot be decrypted") from error
        self._ciphertext, self._plaintext = enctext, text
        return text


def _parsed(text: str | bytes) -> etree._Element:
    text = xml.as_text(text) if isinstance(text, bytes) else xml.without_declaration(text)
    return xml.parse_message(text)


def _only(root: etree._Element, node_name: str, node_id: str) -> etree._Element:
    """Return the element of this name and ID; raise BadXml when anything else in the document has the ID as well."""
    namespace, _, local = node_name.rpartition(":")
    owners = [
        (element, attribute)
        for element in root.iter(etree.Element)
        for attribute, value in element.attrib.items()
        if str(attribute).rpartition("}")[2].lower() == "id" and value == node_id  # ID, Id, xml:id
    ]
    if not node_id or len(owners) != 1 or owners[0][0].tag != f"{{{namespace}}}{local}" or owners[0][1] != "ID":
        raise BadXml("signature", "the ID is not that of one element of the expected name")
    return owners[0][0]


def _only_signature(node: etree._Element, node_id: str) -> etree._Element:
    found = node.findall(name("ds", "Signature"))
    if len(found) != 1:
        raise BadXml("signature", "not exactly one signature in the element")
    parts = [child.tag for child in found[0].iterchildren(etree.Element)]
    if parts not in (IN_SIGNATURE, IN_SIGNATURE[:2]):
        raise BadXml("signature", "more in the signature than SAML has in one")
    references = found[0].findall(f"{name('ds', 'SignedInfo')}/{name('ds', 'Reference')}")
    if [reference.get("URI") for reference in references] != [f"#{node_id}"]:
        raise BadXml("signature", "it does not refer to the element that it is in, and to nothing else")
    transforms = [found.get("Algorithm") for found in references[0].iterfind(TRANSFORM)]
    if not 0 < len(transforms) < 3 or T.TransformEnveloped.href not in transforms:
        raise BadXml("signature", "not an enveloped signature, canonicalized once")
    return found[0]


def _encrypted_key(data: etree._Element) -> etree._Element:
    """Return the one EncryptedKey, inside EncryptedData's KeyInfo or beside EncryptedData (saml-core errata E43)."""
    beside = data.getparent()
    inside = data.findall(f"{name('ds', 'KeyInfo')}/{KEY}")
    found = inside or ([] if beside is None else beside.findall(KEY))
    if len(found) != 1:
        raise BadXml("decryption", "not exactly one encrypted key")
    return found[0]


def _require(encrypted: etree._Element, algorithms: set[str]) -> None:
    methods = [method.get("Algorithm") for method in encrypted.findall(METHOD)]
    if len(methods) != 1 or methods[0] not in algorithms:
        raise BadXml("decryption", "not an encryption algorithm that is accepted")
    values = encrypted.findall(f"{name('xenc', 'CipherData')}/*")
    if len(values) != 1 or values[0].tag != name("xenc", "CipherValue"):
        raise BadXml("decryption", "no cipher value")
    try:
        base64.b64decode("".join(xml.content(values[0]).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadXml("decryption", "the cipher value is not base64") from error


def _decrypted(element: etree._Element, key: xmlsec.Key) -> bytes:
    """Return the plaintext. libxmlsec1 would parse an element itself, and print what it does not like on stderr."""
    element.attrib.pop("Type", None)
    context = xmlsec.EncryptionContext()
    context.key = key  # given, so that libxmlsec1 looks for none in KeyInfo
    found: Any = context.decrypt(element)
    if not isinstance(found, bytes):
        raise BadXml("decryption", "not octets")
    return found


def _put_in(root: etree._Element, place: etree._Element, plain: str) -> str:
    """Return the document with ``plain`` in ``place``, to the letter: lxml would change prefixes, which are signed."""
    marker = f"decrypted-{secrets.token_hex(16)}"
    place.getparent().replace(place, etree.Element(marker))
    before, _, after = etree.tostring(root, encoding="unicode").partition(f"<{marker}/>")
    return before + plain + after
