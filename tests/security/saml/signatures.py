"""Signatures that are not the provider's, or not as SAML and this server accept them.

XML Signature 1.1, saml-core 5.4; McIntosh and Austel 2005; CVE-2009-0217 (HMAC truncation), CVE-2025-29774 and 29775
(two SignedInfo, comments in a digest), "The Fragile Lock" (Fedotkin 2025: void canonicalization, attribute pollution).
Those named "the provider's own" are good signatures of the provider, only of a kind that is not accepted.
"""

import base64
import copy
import hashlib

import xmlsec
from lxml import etree

from tests.fakes.saml import NS, Message, T, element, find, pair
from tests.security.saml.corpus import (
    ASSERTION_SIGNATURE,
    DS,
    EVIL,
    RESPONSE_SIGNATURE,
    Case,
    Change,
    Values,
    set_name_id,
)

KEY = "saml-core 5.4 and XML Signature 10.1: the provider's key from its metadata, whatever KeyInfo says"
ALGORITHM = "RFC 9231 and NIST SP 800-131A: SHA-2, asymmetric, chosen by us"
PROFILE = "saml-core 5.4.2 to 5.4.4: one reference, to the ID of the element, enveloped and exclusive c14n only"
COVERED = "XML Signature 3.2: digest and signature are computed over what is there"
XSLT = '<x:stylesheet version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform"/>'
XPATH = f'<ds:XPath xmlns:ds="{NS["ds"]}">true()</ds:XPath>'
XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
DSIG, MORE = "http://www.w3.org/2000/09/xmldsig#", "http://www.w3.org/2001/04/xmldsig-more#"
FILTER = (
    '<f:XPath xmlns:f="http://www.w3.org/2002/06/xmldsig-filter2" Filter="intersect">//*[local-name()="X"]</f:XPath>'
)


def hmac_key() -> xmlsec.Key:
    return xmlsec.Key.from_binary_data(T.KeyDataHmac, pair("idp").certificate_pem)


def reference(uri: str | None) -> Change:
    def change(root: etree._Element) -> None:
        found = find(root, ".//ds:Reference")
        found.attrib.pop("URI")
        if uri is not None:
            found.set("URI", uri)

    return change


def tamper_attribute(root: etree._Element) -> None:
    find(root, ".//saml:AttributeValue").text = EVIL


def second_signature(root: etree._Element) -> None:
    signature = find(root, ".//ds:Signature")
    signature.addnext(copy.deepcopy(signature))


def second(path: str) -> Change:
    def change(root: etree._Element) -> None:
        found = find(root, f".//ds:{path}")
        found.addnext(copy.deepcopy(found))

    return change


def first_signed_info_evil(root: etree._Element) -> None:
    """CVE-2025-29774: one SignedInfo is verified, the other one's digest compared."""
    found = find(root, ".//ds:SignedInfo")
    evil = copy.deepcopy(found)
    find(evil, ".//ds:DigestValue").text = "AAAA"
    found.addprevious(evil)


def with_object(root: etree._Element) -> None:
    etree.SubElement(find(root, ".//ds:Signature"), f"{DS}Object")


def polluted(attribute: str) -> Change:
    """Give a second element the ID of what is signed, in an attribute that some reader takes for an ID."""

    def change(root: etree._Element) -> None:
        signed = find(root, ".//ds:Signature").getparent()
        find(root, ".//saml:AuthnStatement").set(attribute, signed.get("ID") or "")

    return change


def renamed_id(root: etree._Element) -> None:
    """Let the ID stand in an attribute of the protocol's namespace, beside another one that is unsigned."""
    signed = find(root, ".//ds:Signature").getparent()
    signed.set(f"{{{NS['samlp']}}}ID", signed.get("ID") or "")
    signed.set("ID", "_evil")


def transform(algorithm: str, inner: str = "") -> Change:
    def change(root: etree._Element) -> None:
        found = element(f'<ds:Transform xmlns:ds="{NS["ds"]}" Algorithm="{algorithm}">{inner}</ds:Transform>')
        find(root, ".//ds:Transforms").insert(0, found)

    return change


def made(signature: etree._Element, local: str) -> etree._Element:
    """Find an element that libxmlsec1 made, which lxml does not find by its name."""
    return next(element for element in signature.iter() if element.tag == f"{DS}{local}")


def signed_transform(algorithm: str, inner: str = "") -> Values:
    """Have the provider sign with one more transform."""

    def prepare(signature: etree._Element) -> None:
        text = f'<ds:Transform xmlns:ds="{NS["ds"]}" Algorithm="{algorithm}">{inner}</ds:Transform>'
        made(signature, "Transforms").append(element(text))

    return {"signing": {"prepare": prepare}}


def signed_twice_over(signature: etree._Element) -> None:
    """Let the signature refer to the same element by two references."""
    found = made(signature, "Reference")
    found.addnext(copy.deepcopy(found))


def signed_object(signature: etree._Element) -> None:
    etree.SubElement(signature, f"{DS}Object")


def algorithm(path: str, value: str) -> Change:
    def change(root: etree._Element) -> None:
        find(root, f".//ds:{path}").set("Algorithm", value)

    return change


def text_of(path: str, value: str) -> Change:
    def change(root: etree._Element) -> None:
        find(root, f".//ds:{path}").text = value

    return change


def truncated(root: etree._Element) -> None:
    """CVE-2009-0217: an HMAC of zero bits is always right."""
    method = find(root, ".//ds:SignatureMethod")
    method.set("Algorithm", f"{MORE}hmac-sha256")
    etree.SubElement(method, f"{DS}HMACOutputLength").text = "0"
    find(root, ".//ds:SignatureValue").text = ""


def void(root: etree._Element) -> None:
    """Canonicalization fails on a relative namespace; who takes that for nothing computes the digest of nothing."""
    set_name_id(root)
    find(root, ".//saml:AttributeValue").append(element('<x xmlns="relative"/>'))
    find(root, ".//ds:DigestValue").text = base64.b64encode(hashlib.sha256().digest()).decode()


def digest_of_nothing(root: etree._Element) -> None:
    set_name_id(root)
    find(root, ".//ds:DigestValue").text = base64.b64encode(hashlib.sha256().digest()).decode()


def later(change: Change) -> Values:
    return {"after": change}


BAD: dict[str, tuple[str, Values | Change]] = {
    "other key": (KEY, {"signer": pair("stranger")}),
    "other key, its certificate in KeyInfo": (
        KEY,
        {"signer": pair("stranger"), "signing": {"certificate": pair("stranger").certificate}},
    ),
    "other key, the provider's certificate in KeyInfo": (
        KEY,
        {"signer": pair("stranger"), "signing": {"certificate": pair("idp").certificate}},
    ),
    "key of an elliptic curve": (
        KEY,
        {"signer": pair("stranger EC", "SECP256R1"), "signing": {"method": T.TransformEcdsaSha256}},
    ),
    "HMAC keyed with the public certificate": (
        ALGORITHM,
        {"signing": {"key": hmac_key(), "method": T.TransformHmacSha256}},
    ),
    "HMAC of zero bits": (ALGORITHM, truncated),
    "the provider's own RSA with SHA-1": (ALGORITHM, {"signing": {"method": T.TransformRsaSha1}}),
    "the provider's own digest of SHA-1": (ALGORITHM, {"signing": {"digest": T.TransformSha1}}),
    "the provider's own SHA-1 altogether": (
        ALGORITHM,
        {"signing": {"method": T.TransformRsaSha1, "digest": T.TransformSha1}},
    ),
    "digest of RIPEMD-160": (ALGORITHM, algorithm("DigestMethod", "http://www.w3.org/2001/04/xmlenc#ripemd160")),
    "RSA with MD5": (ALGORITHM, algorithm("SignatureMethod", f"{MORE}rsa-md5")),
    "digest of MD5": (ALGORITHM, algorithm("DigestMethod", f"{MORE}md5")),
    "no algorithm": (ALGORITHM, algorithm("SignatureMethod", "")),
    "the provider's own inclusive canonicalization": (PROFILE, {"signing": {"c14n": T.TransformInclC14N}}),
    "the provider's own canonicalization 1.1": (PROFILE, {"signing": {"c14n": T.TransformInclC14N11}}),
    "the provider's own reference to the document": (PROFILE, {"signing": {"uri": ""}}),
    "the provider's own two references": (PROFILE, {"signing": {"prepare": signed_twice_over}}),
    "the provider's own object": (PROFILE, {"signing": {"prepare": signed_object}}),
    "the provider's own third transform": (PROFILE, signed_transform("http://www.w3.org/2001/10/xml-exc-c14n#")),
    "the provider's own XSLT": (PROFILE, signed_transform("http://www.w3.org/TR/1999/REC-xslt-19991116", XSLT)),
    "the provider's own XPath": (PROFILE, signed_transform("http://www.w3.org/TR/1999/REC-xpath-19991116", XPATH)),
    "the provider's own XPath filter": (PROFILE, signed_transform("http://www.w3.org/2002/06/xmldsig-filter2", FILTER)),
    "reference to the whole document": (PROFILE, reference("")),
    "reference to the web": (PROFILE, reference("http://127.0.0.1:9/x")),
    "reference to a file": (PROFILE, reference("file:///etc/passwd")),
    "reference to another element": (PROFILE, reference("#_response2")),
    "reference by XPointer": (PROFILE, reference("#xpointer(/)")),
    "reference without URI": (PROFILE, reference(None)),
    "two references": (PROFILE, second("Reference")),
    "two signatures": (PROFILE, second_signature),
    "two SignedInfo": (PROFILE, second("SignedInfo")),
    "two SignedInfo, the first of them evil": (PROFILE, first_signed_info_evil),
    "two values of the signature": (PROFILE, second("SignatureValue")),
    "two digests": (COVERED, second("DigestValue")),
    "an object in the signature": (PROFILE, with_object),
    "the ID twice, as xml:id": (PROFILE, polluted(XML_ID)),
    "the ID twice, as id": (PROFILE, polluted("id")),
    "the ID twice, as Id of the protocol": (PROFILE, polluted(f"{{{NS['samlp']}}}Id")),
    "the ID of another namespace": (PROFILE, renamed_id),
    "XSLT": (PROFILE, transform("http://www.w3.org/TR/1999/REC-xslt-19991116", XSLT)),
    "XPath": (PROFILE, transform("http://www.w3.org/TR/1999/REC-xpath-19991116", XPATH)),
    "XPath filter": (PROFILE, transform("http://www.w3.org/2002/06/xmldsig-filter2", FILTER)),
    "base64 transform": (PROFILE, transform(f"{DSIG}base64")),
    "NameID changed": (COVERED, set_name_id),
    "attribute changed": (COVERED, tamper_attribute),
    "digest of nothing": (COVERED, digest_of_nothing),
    "no digest": (COVERED, text_of("DigestValue", "")),
    "no value of the signature": (COVERED, text_of("SignatureValue", "")),
    "void canonicalization": (COVERED, void),
}


# pysaml2 refuses the document before it comes to the signature
UNREAD = {("no algorithm", "assertion")}


def values_of(change: Values | Change) -> Values:
    return change if isinstance(change, dict) else later(change)


def _case(name: str, form: str) -> Case:
    offends, change = BAD[name]
    values = dict(values_of(change))
    if form == "encrypted" and "after" in values:
        values["inside"] = values.pop("after")
    where, words = ("response", RESPONSE_SIGNATURE) if form == "response" else ("assertion", ASSERTION_SIGNATURE)
    reason = "not_understood" if (name, form) in UNREAD else f"{where}_signature"
    return Case(name, form, reason, offends, values, words=words)


def _own_key(message: Message) -> Values:
    return {"signer": message.encrypt_to}


CASES = [
    *[_case(name, form) for form in ("response", "assertion", "encrypted") for name in BAD],
    Case("our own key", "response", "response_signature", KEY, _own_key, words=RESPONSE_SIGNATURE),
    Case("our own key", "assertion", "assertion_signature", KEY, _own_key, words=ASSERTION_SIGNATURE),
    Case("our own key", "encrypted", "assertion_signature", KEY, _own_key, words=ASSERTION_SIGNATURE),
]
