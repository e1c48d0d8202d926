"""Encryption that cannot or may not be undone, and what an unsigned sender hides in it.

XML Encryption 1.1, saml-core 6; Jager and Somorovsky, "How To Break XML Encryption" (2011); Bleichenbacher 1998.
"""

import base64
import copy
from typing import Any

from lxml import etree

from tests.fakes import saml
from tests.fakes.saml import NS, Message, T, element, find, pair
from tests.security.saml.corpus import ASSERTION_SIGNATURE, Case, Change, Values, assertion_of, encoded
from tests.security.saml.wrappings import evil_copy, without_signature

DATA = ".//xenc:EncryptedData/xenc:CipherData"
WEAK = "XML Encryption 1.1 5.5 and Bleichenbacher 1998: RSA-OAEP and AES only"
BROKEN = "XML Encryption 1.1 4.4: one key, one ciphertext that decrypts"
WHOLE = "saml-core 2.3.4: what is encrypted here is the one assertion"
REQUIRED = "W 8.3: an assertion in clear where encryption is required"


def set_method(path: str, value: str) -> Change:
    def change(root: etree._Element) -> None:
        find(root, f".//{path}/xenc:EncryptionMethod").set("Algorithm", value)

    return change


def cut(root: etree._Element) -> None:
    found = find(root, f"{DATA}/xenc:CipherValue")
    found.text = encoded(base64.b64decode(found.text or "")[:-20])


def flipped(root: etree._Element) -> None:
    """Change one bit of the first block."""
    found = find(root, f"{DATA}/xenc:CipherValue")
    octets = bytearray(base64.b64decode(found.text or ""))
    octets[18] ^= 1
    found.text = encoded(bytes(octets))


def garbage(root: etree._Element) -> None:
    find(root, f"{DATA}/xenc:CipherValue").text = "!!!"


def by_reference(root: etree._Element) -> None:
    data = find(root, DATA)
    data.clear()
    etree.SubElement(data, f"{{{NS['xenc']}}}CipherReference", URI="http://127.0.0.1:9/x")


def both_ways(root: etree._Element) -> None:
    etree.SubElement(find(root, DATA), f"{{{NS['xenc']}}}CipherReference", URI="file:///etc/passwd")


def without_key(root: etree._Element) -> None:
    found = find(root, ".//ds:KeyInfo")
    found.remove(find(found, "xenc:EncryptedKey"))


def key_twice(root: etree._Element) -> None:
    found = find(root, ".//xenc:EncryptedKey")
    found.addnext(copy.deepcopy(found))


CBC = {"method": T.TransformAes128Cbc, "size": 128}
BAD: dict[str, tuple[str, Values]] = {
    "RSA 1.5": (WEAK, {"encryption": {"transport": T.TransformRsaPkcs1}}),
    "3DES": (WEAK, {"encryption": {"method": T.TransformDes3Cbc, "size": 192}}),
    "another pool's key": (BROKEN, {"encrypt_to": pair("other pool")}),
    "cut ciphertext, CBC": (BROKEN, {"encryption": CBC, "ciphered": cut}),
    "cut ciphertext, GCM": (BROKEN, {"ciphered": cut}),
    "flipped bit, GCM": (BROKEN, {"ciphered": flipped}),
    "garbage": (BROKEN, {"ciphered": garbage}),
    "ciphertext by reference": (BROKEN, {"ciphered": by_reference}),
    "ciphertext by value and by reference": (BROKEN, {"ciphered": both_ways}),
    "no key": (BROKEN, {"ciphered": without_key}),
    "two keys": (BROKEN, {"ciphered": key_twice}),
    "unknown method": (WEAK, {"ciphered": set_method("xenc:EncryptedData", "urn:x")}),
    "key wrap": (WEAK, {"ciphered": set_method("xenc:EncryptedKey", "http://www.w3.org/2001/04/xmlenc#kw-aes256")}),
}


def add_encrypted(root: etree._Element) -> None:
    """Put an unsigned assertion, encrypted for the pool, beside the signed one."""
    evil = without_signature(evil_copy(assertion_of(root), "new"))
    assertion_of(root).addprevious(evil)
    saml.encrypt(evil, pair("pool"))


def encrypt_name_id(root: etree._Element) -> None:
    made = saml.encrypt(find(root, ".//saml:NameID"), pair("pool"))
    made.tag = f"{{{NS['saml']}}}EncryptedID"


def in_extensions(root: etree._Element) -> None:
    made = etree.Element(f"{{{NS['samlp']}}}Extensions")
    etree.SubElement(made, f"{{{NS['xenc']}}}EncryptedData")
    root.insert(1, made)


def two_inside(message: Message) -> str:
    """Encrypt an evil assertion and the signed one, as one text."""
    signed = assertion_of(message.changed(encryption=None).tree())
    evil = without_signature(evil_copy(signed, "new"))
    plain = etree.tostring(evil) + etree.tostring(signed)
    return message.changed(encryption={"plain": plain}).encoded()


def wrapped_inside(message: Message) -> str:
    """Encrypt an element that has the signed assertion inside."""
    signed = etree.tostring(assertion_of(message.changed(encryption=None).tree()))
    return message.changed(encryption={"plain": b"<x>" + signed + b"</x>"}).encoded()


def encrypted_again(message: Message) -> str:
    """Encrypt what is encrypted already."""
    root = element(message.xml())
    inner = etree.tostring(find(root, "saml:EncryptedAssertion/xenc:EncryptedData"))
    return message.changed(encryption={"plain": inner}).encoded()


def second_data(root: etree._Element) -> None:
    data = find(root, "saml:EncryptedAssertion/xenc:EncryptedData")
    data.addnext(copy.deepcopy(data))


def one_level_down(root: etree._Element) -> None:
    data = find(root, "saml:EncryptedAssertion/xenc:EncryptedData")
    made = etree.Element("x")
    data.getparent().replace(data, made)
    made.append(data)


def nothing_inside(root: etree._Element) -> None:
    found = find(root, "saml:EncryptedAssertion")
    found.remove(find(found, "xenc:EncryptedData"))


PLAIN: dict[str, Any] = {
    "text": "not xml",
    "another element": "<a/>",
    "a document type": "<!DOCTYPE a><a/>",
    "half an element": "<a>",
    "a NUL": "\x00",
    "an entity": "&x;",
    "octets that are no UTF-8": b"\xff\xfe<\x00a\x00",
}


def _in_place_of_an_assertion(plain: str | bytes) -> Values:
    octets = plain.encode() if isinstance(plain, str) else plain
    return {"sign_assertion": False, "encryption": {"plain": octets}}


CASES = [
    *[
        Case(name, form, "decryption", offends, values, words=ASSERTION_SIGNATURE)
        for form in ("encrypted", "all")
        for name, (offends, values) in BAD.items()
    ],
    *[
        Case(
            f"ciphertext of {name}",
            "encrypted",
            "decryption",
            WHOLE,
            _in_place_of_an_assertion(plain),
            words=ASSERTION_SIGNATURE,
        )
        for name, plain in PLAIN.items()
    ],
    Case(
        "unsigned and encrypted, beside a signed one", "assertion", "assertion_count", WHOLE, {"after": add_encrypted}
    ),
    Case("ciphertext of two assertions", "encrypted", "decryption", WHOLE, text=two_inside, words=ASSERTION_SIGNATURE),
    Case(
        "ciphertext of a ciphertext", "encrypted", "decryption", WHOLE, text=encrypted_again, words=ASSERTION_SIGNATURE
    ),
    Case("ciphertext of an assertion in something", "encrypted", "assertion_count", WHOLE, text=wrapped_inside),
    *[
        Case(name, form, "encrypted_parts", WHOLE, {"ciphered": change})
        for form in ("encrypted", "sealed")
        for name, change in (
            ("two EncryptedData", second_data),
            ("EncryptedData one level down", one_level_down),
            ("no EncryptedData", nothing_inside),
        )
    ],
    Case("too many elements inside", "encrypted", "decryption", WHOLE, {"attributes": {"x": ["<x/>" * 3000]}}),
    Case("encrypted NameID", "assertion", "encrypted_parts", WHOLE, {"before": encrypt_name_id}),
    Case("encrypted NameID inside", "encrypted", "assertion_count", WHOLE, {"before": encrypt_name_id}),
    Case("encrypted data in Extensions", "assertion", "encrypted_parts", WHOLE, {"after": in_extensions}),
    Case("encrypted data in Extensions", "encrypted", "encrypted_parts", WHOLE, {"ciphered": in_extensions}),
    *[
        Case("not encrypted", form, "not_encrypted", REQUIRED, {}, provider={"encrypted": True})
        for form in ("assertion", "response", "both")
    ],
]
