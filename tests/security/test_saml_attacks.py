"""Hostile SAML responses: each is an honest one with one named change, and each is refused for a reason of its own.

Signature wrapping after Somorovsky et al., "On Breaking SAML: Be Whoever You Want to Be" (XSW 1 to 8); XML attacks
after the OWASP cheat sheets on XXE and SAML; the rest are the rules of saml-core-2.0, saml-profiles-2.0 4.1.4 and
W 8.3, each broken once. ``test_the_honest_ones_are_accepted`` runs what they were made from.
"""

import base64
import copy
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import xmlsec
from lxml import etree

from federation.errors import SamlFailed, ServerError
from federation.upstream.saml import response as saml_response
from tests.fakes import saml, saml_pool
from tests.fakes.saml import NS, Message, T, element, find, pair

DS = f"{{{NS['ds']}}}"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
EVIL = "admin@example.test"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
INVALID = "Invalid SAML response received: "
SIGNATURE_TEXTS = (
    f"{INVALID}SAML Response signature is invalid.",
    f"{INVALID}SAML Assertion signature is invalid.",
)


def refused(message: Message | str, **options: Any) -> SamlFailed:
    with pytest.raises(SamlFailed) as caught:
        saml_pool.read(message, **options)
    failed = caught.value
    assert failed.description.startswith(INVALID)
    assert failed.code == "server_error"
    error: BaseException | None = failed
    while error is not None:
        for secret in (EVIL, "ada@example.test", "PRIVATE KEY"):
            assert secret not in f"{error!r} {getattr(error, 'detail', '')}"
        error = error.__cause__ or error.__context__
    return failed


def reason(message: Message | str, **options: Any) -> str:
    return refused(message, **options).reason


def encoded(octets: bytes | str) -> str:
    return base64.b64encode(octets.encode() if isinstance(octets, str) else octets).decode()


def assertion_of(root: etree._Element) -> etree._Element:
    return find(root, "saml:Assertion")


def set_name_id(node: etree._Element, value: str = EVIL) -> None:
    find(node, ".//saml:NameID").text = value


@pytest.mark.parametrize("encryption", [None, {}])
@pytest.mark.parametrize(("response", "assertion"), [(True, False), (False, True), (True, True)])
def test_the_honest_ones_are_accepted(response: bool, assertion: bool, encryption: dict[str, Any] | None) -> None:
    message = Message(sign_response=response, sign_assertion=assertion, encryption=encryption)
    assert saml_pool.read(message).name_id == "ada@example.test"


# --- signature wrapping -----------------------------------------------------------------------------------------------
# ``evil`` is a copy of what was signed, with another NameID and, for "new", another ID.


def evil_copy(node: etree._Element, identity: str) -> etree._Element:
    evil = copy.deepcopy(node)
    if identity == "new":
        evil.set("ID", "_evil")
    set_name_id(evil)
    return evil


def without_signature(node: etree._Element) -> etree._Element:
    for signature in node.findall("ds:Signature", NS):
        node.remove(signature)
    return node


def extensions(root: etree._Element, *children: etree._Element) -> None:
    made = etree.Element(f"{{{NS['samlp']}}}Extensions")
    made.extend(children)
    root.insert(1, made)


def xsw1(root: etree._Element, identity: str) -> etree._Element:
    """The evil response has the signature, which has the signed response inside."""
    evil = evil_copy(root, identity)
    find(evil, "ds:Signature").append(without_signature(copy.deepcopy(root)))
    return evil


def xsw2(root: etree._Element, identity: str) -> etree._Element:
    """The signed response stands before the signature, which is detached from it."""
    evil = evil_copy(root, identity)
    find(evil, "ds:Signature").addprevious(without_signature(copy.deepcopy(root)))
    return evil


def xsw3(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion comes first."""
    honest = assertion_of(root)
    honest.addprevious(without_signature(evil_copy(honest, identity)))
    return root


def xsw4(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion has the signed one as its child."""
    honest = assertion_of(root)
    evil = without_signature(evil_copy(honest, identity))
    root.replace(honest, evil)
    evil.append(honest)
    return root


def xsw5(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion keeps the signature, the signed one follows without it."""
    honest = assertion_of(root)
    root.replace(honest, evil_copy(honest, identity))
    root.append(without_signature(honest))
    return root


def xsw6(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion keeps the signature, which has the signed assertion inside."""
    honest = assertion_of(root)
    evil = evil_copy(honest, identity)
    root.replace(honest, evil)
    find(evil, "ds:Signature").append(without_signature(honest))
    return root


def xsw7(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion hides in Extensions, whose content no schema looks at."""
    extensions(root, without_signature(evil_copy(assertion_of(root), identity)))
    return root


def xsw8(root: etree._Element, identity: str) -> etree._Element:
    """The evil assertion keeps the signature, whose Object holds the signed one."""
    honest = assertion_of(root)
    evil = evil_copy(honest, identity)
    root.replace(honest, evil)
    etree.SubElement(find(evil, "ds:Signature"), f"{DS}Object").append(without_signature(honest))
    return root


def signed_in_extensions(root: etree._Element, identity: str) -> etree._Element:
    honest = assertion_of(root)
    root.replace(honest, evil_copy(honest, identity))
    extensions(root, without_signature(honest))
    return root


def signed_in_advice(root: etree._Element, identity: str) -> etree._Element:
    honest = assertion_of(root)
    evil = evil_copy(honest, identity)
    root.replace(honest, evil)
    advice = etree.Element(f"{{{NS['saml']}}}Advice")
    advice.append(without_signature(honest))
    find(evil, "saml:Conditions").addnext(advice)
    return root


def response_in_response(root: etree._Element, identity: str) -> etree._Element:
    evil = without_signature(evil_copy(root, identity))
    extensions(evil, root)
    return evil


WRAPPINGS = [xsw1, xsw2, xsw3, xsw4, xsw5, xsw6, xsw7, xsw8, signed_in_extensions, signed_in_advice]
WRAPPINGS += [response_in_response]
Wrapping = Callable[[etree._Element, str], etree._Element]


def wrapped(wrap: Wrapping, identity: str, *, whole: bool) -> bytes:
    """Wrap a response in which the response, or the assertion, is signed."""
    return etree.tostring(wrap(Message(sign_response=whole, sign_assertion=not whole).tree(), identity))


WRAPPED = [
    pytest.param(wrap, identity, whole, id=f"{wrap.__name__}-{identity}-{'response' if whole else 'assertion'}")
    for wrap in WRAPPINGS
    for identity in ("same", "new")
    for whole in (True, False)
    if whole or wrap not in (xsw1, xsw2)
    if not whole or wrap not in (xsw6, xsw8)
]


@pytest.mark.parametrize(("wrap", "identity", "whole"), WRAPPED)
def test_a_wrapped_signature_is_refused_for_the_second_assertion(wrap: Wrapping, identity: str, whole: bool) -> None:
    assert reason(encoded(wrapped(wrap, identity, whole=whole))) == "assertion_count"


@pytest.mark.parametrize(("wrap", "identity", "whole"), WRAPPED)
def test_a_wrapped_signature_would_gain_nothing_without_our_checks(wrap: Wrapping, identity: str, whole: bool) -> None:
    """The line behind: pysaml2 with our cryptography refuses as well, or reads the honest assertion."""
    client = saml_pool.client()
    message = encoded(wrapped(wrap, identity, whole=whole))
    parsed, _ = saml_response._by_pysaml2(client, message, saml_pool.expected())
    assert parsed is None or parsed.name_id is None or parsed.name_id.text == "ada@example.test"


@pytest.mark.parametrize("identity", ["same", "new"])
@pytest.mark.parametrize("wrap", [xsw4, xsw6, xsw8, signed_in_advice])
def test_wrapping_inside_of_what_is_encrypted_is_refused_without_saying_why(wrap: Wrapping, identity: str) -> None:
    """Anybody can encrypt for the pool, so an unsigned response may hold anything."""
    message = Message(inside=lambda root: wrap(root, identity), encryption={})
    failed = refused(message)
    assert (failed.reason, failed.description) == ("assertion_count", SIGNATURE_TEXTS[1])
    parsed, _ = saml_response._by_pysaml2(saml_pool.client(), message.encoded(), saml_pool.expected())
    assert parsed is None


# --- signatures -------------------------------------------------------------------------------------------------------


def strip(root: etree._Element) -> None:
    for signature in root.findall(".//ds:Signature", NS):
        signature.getparent().remove(signature)


def hmac_key() -> xmlsec.Key:
    return xmlsec.Key.from_binary_data(T.KeyDataHmac, pair("idp").certificate_pem)


def reference(uri: str | None) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        found = find(root, ".//ds:Reference")
        found.attrib.pop("URI")
        if uri is not None:
            found.set("URI", uri)

    return change


def tamper(root: etree._Element) -> None:
    set_name_id(root)


def tamper_attribute(root: etree._Element) -> None:
    find(root, ".//saml:AttributeValue").text = EVIL


def second_signature(root: etree._Element) -> None:
    signature = find(root, ".//ds:Signature")
    signature.addnext(copy.deepcopy(signature))


def second_reference(root: etree._Element) -> None:
    found = find(root, ".//ds:Reference")
    found.addnext(copy.deepcopy(found))


def with_object(root: etree._Element) -> None:
    etree.SubElement(find(root, ".//ds:Signature"), f"{DS}Object")


def moved_up(root: etree._Element) -> None:
    root.insert(1, find(root, "saml:Assertion/ds:Signature"))


def moved_down(root: etree._Element) -> None:
    find(root, "saml:Assertion/saml:Subject").append(find(root, "saml:Assertion/ds:Signature"))


def other_owner(root: etree._Element) -> None:
    find(root, "saml:Assertion").set("{http://www.w3.org/XML/1998/namespace}id", "_assertion")


def transform(algorithm: str, inner: str = "") -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        found = element(f'<ds:Transform xmlns:ds="{NS["ds"]}" Algorithm="{algorithm}">{inner}</ds:Transform>')
        find(root, ".//ds:Transforms").insert(0, found)

    return change


def algorithm(path: str, value: str) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        find(root, f".//ds:{path}").set("Algorithm", value)

    return change


XSLT = '<x:stylesheet version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform"/>'
XPATH = f'<ds:XPath xmlns:ds="{NS["ds"]}">true()</ds:XPath>'
BAD_SIGNATURES: dict[str, dict[str, Any]] = {
    "other key": {"signer": pair("stranger")},
    "other key, its certificate in KeyInfo": {
        "signer": pair("stranger"),
        "signing": {"certificate": pair("stranger").certificate},
    },
    "other key, our provider's certificate in KeyInfo": {
        "signer": pair("stranger"),
        "signing": {"certificate": pair("idp").certificate},
    },
    "our own key": {"signer": pair("pool")},
    "HMAC keyed with the public certificate": {"signing": {"key": hmac_key(), "method": T.TransformHmacSha256}},
    "RSA with SHA-1": {"signing": {"method": T.TransformRsaSha1}},
    "digest of SHA-1": {"signing": {"digest": T.TransformSha1}},
    "SHA-1 altogether": {"signing": {"method": T.TransformRsaSha1, "digest": T.TransformSha1}},
    "digest of RIPEMD-160": {"after": algorithm("DigestMethod", "http://www.w3.org/2001/04/xmlenc#ripemd160")},
    "RSA with MD5": {"after": algorithm("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5")},
    "digest of MD5": {"after": algorithm("DigestMethod", "http://www.w3.org/2001/04/xmldsig-more#md5")},
    "no algorithm": {"after": algorithm("SignatureMethod", "")},
    "inclusive canonicalization": {"signing": {"c14n": T.TransformInclC14N}},
    "reference to the whole document": {"after": reference("")},
    "reference to the web": {"after": reference("http://127.0.0.1:9/x")},
    "reference to a file": {"after": reference("file:///etc/passwd")},
    "reference to another element": {"after": reference("#_response2")},
    "reference by XPointer": {"after": reference("#xpointer(/)")},
    "reference without URI": {"after": reference(None)},
    "two references": {"after": second_reference},
    "two signatures": {"after": second_signature},
    "an object in the signature": {"after": with_object},
    "the ID twice": {"after": other_owner},
    "XSLT": {"after": transform("http://www.w3.org/TR/1999/REC-xslt-19991116", XSLT)},
    "XPath": {"after": transform("http://www.w3.org/TR/1999/REC-xpath-19991116", XPATH)},
    "base64 transform": {"after": transform("http://www.w3.org/2000/09/xmldsig#base64")},
    "NameID changed": {"after": tamper},
    "attribute changed": {"after": tamper_attribute},
}


@pytest.mark.parametrize("whole", [True, False], ids=["response", "assertion"])
@pytest.mark.parametrize("case", BAD_SIGNATURES)
def test_a_signature_that_is_not_the_providers_is_refused(case: str, whole: bool) -> None:
    failed = refused(Message(sign_response=whole, sign_assertion=not whole, **BAD_SIGNATURES[case]))
    assert failed.reason == ("response_signature" if whole else "assertion_signature")
    assert failed.description == SIGNATURE_TEXTS[0 if whole else 1]


@pytest.mark.parametrize("case", BAD_SIGNATURES)
def test_an_encrypted_assertion_with_such_a_signature_is_refused(case: str) -> None:
    values = dict(BAD_SIGNATURES[case])
    if "after" in values:
        values["inside"] = values.pop("after")
    failed = refused(Message(encryption={}, **values))
    assert (failed.reason, failed.description) == ("assertion_signature", SIGNATURE_TEXTS[1])


@pytest.mark.parametrize("case", ["other key", "SHA-1 altogether", "NameID changed"])
def test_a_good_signature_of_the_response_does_not_excuse_a_bad_one_of_the_assertion(case: str) -> None:
    values = dict(BAD_SIGNATURES[case])

    def change(root: etree._Element) -> None:
        values.get("after", lambda _: None)(root)
        saml.sign(root, saml.private(pair("idp")))

    message = Message(**values | {"after": change})
    assert reason(message) == "assertion_signature"


def test_a_bad_signature_of_the_response_is_not_excused_by_a_good_one_of_the_assertion() -> None:
    def change(root: etree._Element) -> None:
        root.set("IssueInstant", saml.at(-20))

    assert reason(Message(sign_response=True, after=change)) == "response_signature"


@pytest.mark.parametrize("encryption", [None, {}])
def test_nothing_signed_is_refused(encryption: dict[str, Any] | None) -> None:
    assert reason(Message(sign_assertion=False, encryption=encryption)) == "not_signed"
    assert reason(Message(sign_response=True, after=strip)) == "not_signed"


@pytest.mark.parametrize("move", [moved_up, moved_down])
def test_a_signature_that_was_moved_is_refused(move: Callable[[etree._Element], None]) -> None:
    assert reason(Message(after=move)) in ("response_signature", "not_signed")


def test_a_comment_does_not_cut_a_name_id_short() -> None:
    """CVE-2017-11427 and its kind: exclusive canonicalization leaves comments out, so the signature stays good."""

    def comment(root: etree._Element) -> None:
        found = find(root, ".//saml:NameID")
        found.text = "admin@example.test"
        found.append(etree.Comment("x"))
        found[0].tail = ".evil.example"

    message = Message(name_id="admin@example.test.evil.example", after=comment)
    assert reason(message) == "comments"
    parsed, _ = saml_response._by_pysaml2(saml_pool.client(), message.encoded(), saml_pool.expected())
    assert parsed.name_id.text == "admin@example.test.evil.example"


@pytest.mark.parametrize(
    "path", [".//saml:NameID", ".//saml:AttributeValue", ".//saml:Issuer", ".//saml:Audience", "."]
)
@pytest.mark.parametrize("make", [lambda: etree.Comment("x"), lambda: etree.ProcessingInstruction("x", "y")])
@pytest.mark.parametrize("encryption", [None, {}])
def test_comments_and_processing_instructions_are_refused(
    path: str, make: Callable[[], etree._Element], encryption: dict[str, Any] | None
) -> None:
    def put(root: etree._Element) -> None:
        (root if path == "." else find(assertion_of(root), path)).append(make())

    name = "before" if path != "." or encryption is None else "after"
    assert reason(Message(encryption=encryption, **{name: put})) == "comments"


# --- encryption -------------------------------------------------------------------------------------------------------


def set_method(path: str, value: str) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        find(root, f".//{path}/xenc:EncryptionMethod").set("Algorithm", value)

    return change


def cut(root: etree._Element) -> None:
    found = find(root, ".//xenc:EncryptedData/xenc:CipherData/xenc:CipherValue")
    found.text = encoded(base64.b64decode(found.text or "")[:-20])


def garbage(root: etree._Element) -> None:
    find(root, ".//xenc:EncryptedData/xenc:CipherData/xenc:CipherValue").text = "!!!"


def by_reference(root: etree._Element) -> None:
    data = find(root, ".//xenc:EncryptedData/xenc:CipherData")
    data.clear()
    etree.SubElement(data, f"{{{NS['xenc']}}}CipherReference", URI="http://127.0.0.1:9/x")


def without_key(root: etree._Element) -> None:
    found = find(root, ".//ds:KeyInfo")
    found.remove(find(found, "xenc:EncryptedKey"))


def key_twice(root: etree._Element) -> None:
    found = find(root, ".//xenc:EncryptedKey")
    found.addnext(copy.deepcopy(found))


BAD_CIPHERS: dict[str, dict[str, Any]] = {
    "RSA 1.5": {"encryption": {"transport": T.TransformRsaPkcs1}},
    "3DES": {"encryption": {"method": T.TransformDes3Cbc, "size": 192}},
    "another pool's key": {"encryption": {}, "encrypt_to": pair("other pool")},
    "cut ciphertext, CBC": {"encryption": {"method": T.TransformAes128Cbc, "size": 128}, "ciphered": cut},
    "cut ciphertext, GCM": {"encryption": {}, "ciphered": cut},
    "garbage": {"encryption": {}, "ciphered": garbage},
    "ciphertext by reference": {"encryption": {}, "ciphered": by_reference},
    "no key": {"encryption": {}, "ciphered": without_key},
    "two keys": {"encryption": {}, "ciphered": key_twice},
    "unknown method": {"encryption": {}, "ciphered": set_method("xenc:EncryptedData", "urn:x")},
    "key wrap": {
        "encryption": {},
        "ciphered": set_method("xenc:EncryptedKey", "http://www.w3.org/2001/04/xmlenc#kw-aes256"),
    },
}


@pytest.mark.parametrize("signed", [True, False], ids=["signed response", "unsigned response"])
@pytest.mark.parametrize("case", BAD_CIPHERS)
def test_what_cannot_or_may_not_be_decrypted_is_refused(case: str, signed: bool) -> None:
    failed = refused(Message(sign_response=signed, **BAD_CIPHERS[case]))
    assert (failed.reason, failed.description) == ("decryption", SIGNATURE_TEXTS[1])


def test_what_is_wrong_inside_of_an_unsigned_ciphertext_is_told_to_nobody() -> None:
    """Answers that differ would decrypt AES-CBC for an attacker (Jager and Somorovsky 2011)."""
    changes: list[dict[str, Any]] = [
        {"audience": "other"},
        {"name_id": None},
        {"issued": -9999},
        {"signer": pair("stranger")},
        {"sign_assertion": False},
        *[values for values in BAD_CIPHERS.values() if values.get("encrypt_to") or values.get("ciphered") is cut],
    ]
    texts = {
        refused(Message(**{"encryption": {}} | {"signer": pair("stranger")} | values)).description for values in changes
    }
    assert texts == {SIGNATURE_TEXTS[1]}


@pytest.mark.parametrize("text", ["not xml", "<a/>", "<!DOCTYPE a><a/>", "<a>", "\x00", "&x;"])
def test_a_ciphertext_of_something_else_is_refused(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    message = Message(sign_assertion=False, encryption={"plain": text.encode()})
    assert refused(message).description == SIGNATURE_TEXTS[1]
    assert capfd.readouterr() == ("", "")


def test_an_unsigned_assertion_that_is_encrypted_for_us_is_refused_beside_a_signed_one_too() -> None:
    def add(root: etree._Element) -> None:
        evil = without_signature(evil_copy(assertion_of(root), "new"))
        assertion_of(root).addprevious(evil)
        saml.encrypt(evil, pair("pool"))

    assert reason(Message(after=add)) == "assertion_count"


def test_an_assertion_that_is_not_encrypted_is_refused_where_encryption_is_required() -> None:
    with pytest.raises(SamlFailed) as caught:
        saml_pool.read(Message(), saml_pool.expected(encrypted=True))
    assert caught.value.reason == "not_encrypted"


def encrypt_name_id(root: etree._Element) -> None:
    name = find(root, ".//saml:NameID")
    parent = name.getparent()
    made = saml.encrypt(name, pair("pool"))
    made.tag = f"{{{NS['saml']}}}EncryptedID"
    assert parent is not None


def test_encrypted_parts_of_an_assertion_are_refused() -> None:
    assert reason(Message(before=encrypt_name_id)) in ("encrypted_parts", "assertion_count")
    assert reason(Message(before=encrypt_name_id, encryption={})) in ("encrypted_parts", "assertion_count")


# --- rules ------------------------------------------------------------------------------------------------------------


def second(path: str) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        found = find(assertion_of(root), path)
        found.addnext(copy.deepcopy(found))

    return change


def without(path: str) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        found = find(root, path)
        found.getparent().remove(found)

    return change


def condition(text: str) -> Callable[[etree._Element], None]:
    return lambda root: find(root, ".//saml:Conditions").append(element(text))


def audiences(root: etree._Element) -> None:
    restriction = f'<saml:AudienceRestriction xmlns:saml="{NS["saml"]}"><saml:Audience>urn:other</saml:Audience>'
    find(root, ".//saml:Conditions").append(element(f"{restriction}</saml:AudienceRestriction>"))


def set_on(path: str, name: str, value: str | None) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        found = root if path == "." else find(root, path)
        if value is None:
            found.attrib.pop(name, None)
        else:
            found.set(name, value)

    return change


def confirmed_from_later(root: etree._Element) -> None:
    find(root, ".//saml:SubjectConfirmationData").set("NotBefore", saml.at(90))


OLD = -10_000
SAML = f'xmlns:saml="{NS["saml"]}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
RULES: list[tuple[str, dict[str, Any]]] = [
    ("audience", {"audience": "urn:amazon:cognito:sp:local_Other1"}),
    ("audience", {"audience": None}),
    ("audience", {"audience": ""}),
    ("audience", {"audience": saml.AUDIENCE.upper()}),
    ("audience", {"before": audiences}),
    ("conditions", {"conditions": False}),
    ("conditions", {"before": condition(f'<saml:Condition {SAML} xsi:type="saml:OneTimeUseType"/>')}),
    ("destination", {"destination": "https://other.auth.example.test/saml2/idpresponse"}),
    ("destination", {"destination": saml.AUDIENCE}),
    ("destination", {"destination": f"{saml.ACS}/"}),
    ("destination", {"destination": ""}),
    ("destination", {"destination": None, "sign_response": True}),
    ("recipient", {"recipient": "https://other.auth.example.test/saml2/idpresponse"}),
    ("recipient", {"recipient": saml.AUDIENCE}),
    ("recipient", {"recipient": None}),
    ("response_issuer", {"response_issuer": "https://evil.example.test"}),
    ("response_issuer", {"response_issuer": None}),
    ("assertion_issuer", {"issuer": "https://evil.example.test"}),
    ("assertion_issuer", {"issuer": None, "sign_assertion": False, "sign_response": True}),
    ("assertion_issuer", {"before": set_on(".//saml:Assertion/saml:Issuer", "Format", "urn:x")}),
    ("in_response_to", {"in_response_to": "_other"}),
    ("in_response_to", {"in_response_to": None}),
    ("in_response_to", {"in_response_to": ""}),
    ("confirmation_in_response_to", {"confirmation_in_response_to": "_other"}),
    ("confirmation_in_response_to", {"confirmation_in_response_to": None}),
    ("conditions_expired", {"not_before": None, "not_on_or_after": -90}),
    ("conditions_early", {"not_before": 90}),
    ("conditions_never", {"not_before": 50, "not_on_or_after": 50}),
    ("confirmation_expired", {"confirmation_not_on_or_after": -90}),
    ("confirmation_endless", {"confirmation_not_on_or_after": None}),
    ("confirmation_early", {"before": confirmed_from_later}),
    ("not_bearer", {"method": "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"}),
    ("not_bearer", {"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}),
    ("not_bearer", {"method": "urn:x"}),
    ("not_bearer", {"method": None}),
    ("confirmation_data", {"before": without(".//saml:SubjectConfirmationData")}),
    ("session_over", {"session_not_on_or_after": -90}),
    ("authn_statement", {"statement": False}),
    ("authn_statement", {"before": second("saml:AuthnStatement")}),
    ("subject", {"before": second("saml:Subject")}),
    ("subject", {"before": without(".//saml:Subject")}),
    ("name_id", {"name_id": None}),
    ("name_id", {"name_id": ""}),
    ("name_id", {"name_id": " "}),
    ("name_id", {"name_id": "x" * 1025}),
    ("name_id", {"name_id": "<x xmlns='urn:x'>y</x>"}),
    ("name_id", {"before": second("saml:Subject/saml:NameID")}),
    ("too_old", {"issued": -400}),
    ("too_old", {"issued": OLD}),
    ("not_yet_issued", {"issued": 90}),
    ("response_too_old", {"response_issued": OLD, "issued": OLD}),
    ("not_yet_issued", {"response_issued": 90}),
    ("not_yet_issued", {"before": set_on(".//saml:Assertion", "IssueInstant", None)}),
    ("time_invalid", {"before": set_on(".//saml:Assertion", "IssueInstant", "yesterday")}),
    ("time_invalid", {"before": set_on(".//saml:Conditions", "NotOnOrAfter", "2026-13-01T00:00:00Z")}),
    ("time_invalid", {"before": set_on(".//saml:SubjectConfirmationData", "NotOnOrAfter", "99999-01-01T00:00:00Z")}),
    ("status", {"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"}),
    ("status", {"status": ""}),
    ("status", {"before": without("samlp:Status")}),
    ("status", {"status": "urn:oasis:names:tc:SAML:2.0:status:Requester", "before": without("saml:Assertion")}),
    ("version", {"version": "1.1"}),
    ("version", {"version": "3.0"}),
    ("version", {"version": "x"}),
    ("version", {"assertion_version": "1.1"}),
    ("assertion_count", {"before": second(".")}),
    ("assertion_count", {"before": without("saml:Assertion")}),
    ("assertion_id", {"before": set_on("saml:Assertion", "ID", ""), "sign_assertion": False, "sign_response": True}),
    ("characters", {"attributes": {"name": ["Ada \U0001f600"]}}),
]


@pytest.mark.parametrize("whole", [True, False], ids=["response", "assertion"])
@pytest.mark.parametrize(("wanted", "values"), RULES)
def test_every_rule_has_a_reason_of_its_own(wanted: str, values: dict[str, Any], whole: bool) -> None:
    signed = {"sign_response": whole, "sign_assertion": not whole}
    assert reason(Message(**signed | values)) == wanted


OF_THE_RESPONSE = ("response_", "in_response_to", "destination", "status", "version", "assertion_count", "assertion_id")
ENCRYPTED_RULES = [case for case in RULES if not case[0].startswith(OF_THE_RESPONSE)]


@pytest.mark.parametrize(("wanted", "values"), ENCRYPTED_RULES)
def test_the_rules_hold_for_what_was_encrypted(wanted: str, values: dict[str, Any]) -> None:
    signed = {"sign_response": True, "sign_assertion": False}
    assert reason(Message(**signed | values | {"encryption": {}})) == wanted


@pytest.mark.parametrize("recipient", ["https://other.auth.example.test/saml2/idpresponse", saml.AUDIENCE])
def test_pysaml2_is_asked_to_look_at_the_recipient_as_well(recipient: str) -> None:
    """It does with conv_info only, and then lets our entity id pass unless conv_info says otherwise."""
    message = Message(recipient=recipient).encoded()
    parsed, error = saml_response._by_pysaml2(saml_pool.client(), message, saml_pool.expected())
    assert (parsed, type(error).__name__) == (None, "VerificationError")


def test_a_far_future_is_no_overflow() -> None:
    message = Message(before=set_on(".//saml:SubjectConfirmationData", "NotOnOrAfter", "9999-12-31T23:59:59Z"))
    found = saml_pool.read(message)
    assert found.not_on_or_after < datetime.now(UTC) + timedelta(minutes=7)


def test_an_assertion_older_than_the_request_is_refused() -> None:
    asked = saml_pool.expected(begun=datetime.now(UTC))
    assert saml_pool.read(Message(issued=-50, response_issued=-50), asked)
    with pytest.raises(SamlFailed) as caught:
        saml_pool.read(Message(issued=-90, response_issued=0), asked)
    assert caught.value.reason == "too_old"


NOBODY_ASKED: dict[str, Any] = {"in_response_to": None, "confirmation_in_response_to": None}


@pytest.mark.parametrize(
    ("wanted", "values"),
    [
        ("in_response_to", {"in_response_to": saml.REQUEST_ID}),
        ("in_response_to", {"in_response_to": ""}),
        ("confirmation_in_response_to", {"confirmation_in_response_to": saml.REQUEST_ID}),
        ("too_old", {"issued": -430, "response_issued": 0}),
        ("audience", {"audience": "urn:other"}),
        ("recipient", {"recipient": "https://other.example.test/"}),
        ("assertion_signature", {"signer": pair("stranger")}),
        ("not_signed", {"sign_assertion": False}),
    ],
)
def test_a_sign_in_that_the_provider_began_has_to_keep_the_rules(wanted: str, values: dict[str, Any]) -> None:
    assert reason(Message(**NOBODY_ASKED | values), unsolicited=True) == wanted
    assert saml_pool.read(Message(**NOBODY_ASKED, issued=-400, response_issued=-400), unsolicited=True)


def test_a_response_that_nobody_asked_for_is_refused_as_an_answer() -> None:
    assert reason(Message(**NOBODY_ASKED)) == "in_response_to"


def test_another_pools_and_another_providers_response_is_refused() -> None:
    other = {
        "audience": "urn:amazon:cognito:sp:local_Other1",
        "acs": "https://other.auth.example.test/saml2/idpresponse",
    }
    with pytest.raises(SamlFailed) as caught:
        saml_pool.read(Message(), saml_pool.expected(audience=other["audience"], acs_url=other["acs"]), **other)
    assert caught.value.reason == "destination"
    elsewhere = saml.metadata(pair("idp").certificate, entity_id="https://second.example.test")
    with pytest.raises(SamlFailed) as caught:
        saml_pool.read(Message(), saml_pool.expected(issuer="https://second.example.test"), metadata=elsewhere)
    assert caught.value.reason == "response_issuer"


# --- documents --------------------------------------------------------------------------------------------------------


def with_doctype(inner: str, body: bytes | None = None) -> str:
    return encoded(f"<!DOCTYPE samlp:Response [{inner}]>".encode() + (body or Message().xml()))


def referring(entity: str) -> bytes:
    return Message().xml().replace(b"<saml:NameID>ada@example.test", f"<saml:NameID>{entity}".encode())


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
DEFLATED = zlib.compressobj(9, zlib.DEFLATED, -15)
BOMB = DEFLATED.compress(b"<a>" + b" " * 50_000_000) + DEFLATED.flush()
DOCUMENTS: dict[str, tuple[str, str]] = {
    "internal entity": ("dtd", with_doctype(f'<!ENTITY a "{EVIL}">', referring("&a;"))),
    "external entity": ("dtd", with_doctype('<!ENTITY a SYSTEM "file:///etc/passwd">', referring("&a;"))),
    "parameter entity": ("dtd", with_doctype('<!ENTITY % a SYSTEM "http://127.0.0.1:9/x"> %a;')),
    "billion laughs": ("dtd", with_doctype(f'<!ENTITY a0 "ha">{LAUGHS}', referring("&a9;"))),
    "document type alone": ("dtd", encoded(b"<!DOCTYPE samlp:Response>" + Message().xml())),
    "default attributes": ("dtd", with_doctype('<!ATTLIST saml:Assertion ID ID "_assertion">')),
    "undeclared entity": ("not_xml", encoded(referring("&a;"))),
    "too large": ("too_large", "A" * 100_001),
    "20 megabytes": ("too_large", "A" * 20_000_000),
    "as large as may be": ("not_xml", "A" * 100_000),
    "deep": ("not_xml", encoded(b"<a>" * 9_000)),
    "many elements": ("too_many_elements", encoded(b"<a>" + b"<b/>" * 3000 + b"</a>")),
    "deep inside": (
        "not_xml",
        encoded(Message(attributes={"x": ["<x>" * 300 + "</x>" * 300]}, sign_assertion=False).plain_text()),
    ),
    "not base64": ("not_base64", "<samlp:Response/>"),
    "base64 with a stray letter": ("not_base64", "QUJD*A=="),
    "base64 of the web": ("not_base64", "_-_-"),
    "base64 outside of ASCII": ("not_base64", "ä" * 8),
    "NUL": ("not_base64", "\x00"),
    "nothing": ("not_xml", ""),
    "white space": ("not_xml", " \r\n"),
    "not XML": ("not_xml", encoded("SAML")),
    "JSON": ("not_xml", encoded('{"a": 1}')),
    "two roots": ("not_xml", encoded(Message().xml() * 2)),
    "NUL inside": ("not_xml", encoded(Message().xml().replace(b"ada@", b"a\x00da@"))),
    "not UTF-8": ("not_utf8", encoded(Message().xml().replace(b"ada@", b"\xff\xfe@"))),
    "UTF-16": ("not_utf8", encoded(Message().xml().decode().encode("utf-16"))),
    "surrogates": ("not_utf8", encoded(b"\xed\xa0\x80" + Message().xml())),
    "deflated": ("not_utf8", encoded(zlib.compress(Message().xml())[2:-4])),
    "deflate bomb": ("not_utf8", encoded(BOMB)),
    "another message": ("not_a_response", encoded(f'<samlp:LogoutResponse xmlns:samlp="{NS["samlp"]}"/>')),
    "HTML": ("not_a_response", encoded("<html/>")),
    "an assertion alone": ("not_a_response", encoded(etree.tostring(assertion_of(Message().tree())))),
    "an empty response": ("version", encoded(f'<samlp:Response xmlns:samlp="{NS["samlp"]}"/>')),
    "a response of another namespace": (
        "not_a_response",
        encoded(Message().xml().replace(NS["samlp"].encode(), b"urn:oasis:names:tc:SAML:1.0:protocol")),
    ),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_what_is_no_message_is_refused(case: str, capfd: pytest.CaptureFixture[str]) -> None:
    wanted, text = DOCUMENTS[case]
    assert reason(text) == wanted
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("step", range(0, 2000, 61))
def test_a_response_that_was_cut_off_or_scrambled_anywhere_is_refused(step: int) -> None:
    octets = Message(sign_response=True).xml()
    at = step * len(octets) // 2000
    assert reason(encoded(octets[:at]))
    assert reason(encoded(octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]))


@pytest.mark.parametrize("encryption", [None, {}])
def test_no_schema_looks_at_a_strangers_document(
    encryption: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validating costs seconds for what is made for that; only who has the provider's key can ask for it."""
    calls: list[object] = []
    monkeypatch.setattr("saml2.sigver.validate_doc_with_schema", calls.append)
    assert reason(Message(encryption=encryption, signer=pair("stranger"))) == "assertion_signature"
    assert calls == []
    assert saml_pool.read(Message(encryption=encryption))
    assert calls != []


def test_too_many_elements_are_refused_inside_of_a_ciphertext_too() -> None:
    many = Message(attributes={"x": ["<x/>" * 3000]}, encryption={})
    assert reason(many) == "decryption"


def test_a_person_in_a_thousand_groups_comes_in() -> None:
    assert len(saml_pool.read(Message(attributes={"groups": ["g"] * 1000})).attributes["groups"]) == 1000


def test_pysaml2_may_raise_whatever_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: Any, **__: Any) -> None:
        raise RecursionError

    monkeypatch.setattr("saml2.client.Saml2Client.parse_authn_request_response", explode)
    assert reason(Message()) == "assertion_signature"
    monkeypatch.setattr("saml2.client.Saml2Client.create_authn_request", explode)
    with pytest.raises(ServerError):
        saml_response.build_request(saml_pool.client(), "_1", "state", sign=True)


def test_a_reading_that_differs_from_pysaml2s_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = saml_response._by_pysaml2

    def other(*arguments: Any) -> Any:
        parsed, error = found(*arguments)
        parsed.name_id.text = EVIL
        return parsed, error

    monkeypatch.setattr(saml_response, "_by_pysaml2", other)
    assert reason(Message()) == "refused"


def test_nothing_of_an_assertion_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for message in (Message(), Message(audience="other"), Message(signer=pair("stranger")), Message(encryption={})):
        try:
            saml_pool.read(message)
        except SamlFailed:
            continue
    assert caplog.text == ""
