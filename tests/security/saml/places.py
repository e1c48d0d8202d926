"""Signatures that are good somewhere else: removed, moved, or of another element than the one that is read."""

from lxml import etree

from tests.fakes import saml
from tests.fakes.saml import NS, find, pair
from tests.security.saml.corpus import Case, Values
from tests.security.saml.signatures import BAD, PROFILE, XML_ID, later, values_of


def strip(root: etree._Element) -> None:
    for signature in root.findall(".//ds:Signature", NS):
        signature.getparent().remove(signature)


def moved_up(root: etree._Element) -> None:
    root.insert(1, find(root, "saml:Assertion/ds:Signature"))


def moved_down(root: etree._Element) -> None:
    find(root, "saml:Assertion/saml:Subject").append(find(root, "saml:Assertion/ds:Signature"))


def moved_to_extensions(root: etree._Element) -> None:
    made = etree.Element(f"{{{NS['samlp']}}}Extensions")
    made.append(find(root, "saml:Assertion/ds:Signature"))
    root.insert(1, made)


def hidden(root: etree._Element) -> None:
    """Let the assertion, which is signed, stand where none belongs."""
    made = etree.Element(f"{{{NS['samlp']}}}Extensions")
    made.append(find(root, "saml:Assertion"))
    root.insert(1, made)


def second_response(root: etree._Element) -> None:
    """Put a response without an assertion into the response."""
    made = etree.Element(f"{{{NS['samlp']}}}Extensions")
    etree.SubElement(made, f"{{{NS['samlp']}}}Response", ID="_evil")
    root.insert(1, made)


def id_elsewhere(attribute: str) -> Values:
    """Let an element of the unsigned response have the assertion's ID as well."""

    def change(root: etree._Element) -> None:
        made = etree.Element(f"{{{NS['samlp']}}}Extensions")
        signed = find(root, "saml:Assertion").get("ID") or ""
        etree.SubElement(made, "{urn:x}x").set(attribute, signed)
        root.insert(1, made)

    return later(change)


def other_namespace(root: etree._Element) -> None:
    find(root, ".//ds:Signature").tag = "{http://www.w3.org/2000/09/xmldsig}Signature"


def again_over(name: str) -> Values:
    """Spoil the assertion's signature and have the provider sign the response around it."""
    values = dict(values_of(BAD[name][1]))

    def change(root: etree._Element) -> None:
        values.get("after", lambda _: None)(root)
        saml.sign(root, saml.private(pair("idp")))

    return values | {"after": change}


def response_touched(root: etree._Element) -> None:
    root.set("IssueInstant", saml.at(-20))


SIGNED = "saml-profiles 4.1.4.2, saml-profiles 4.1.3.5: a POST response has to be signed"
EVERY = "saml-core 5.4: a signature that is there has to be good"
CASES = [
    *[
        Case(f"{name}, in a signed response", "assertion", "assertion_signature", EVERY, again_over(name))
        for name in ("other key", "the provider's own SHA-1 altogether", "NameID changed", "digest of nothing")
    ],
    Case("response changed around a signed assertion", "both", "response_signature", EVERY, later(response_touched)),
    *[
        Case("nothing is signed", form, "not_signed", SIGNED, {"sign_response": False, "sign_assertion": False})
        for form in ("assertion", "encrypted")
    ],
    *[
        Case("signatures removed", form, "not_signed", SIGNED, later(strip))
        for form in ("assertion", "response", "both")
    ],
    Case("signature moved up", "assertion", "response_signature", PROFILE, later(moved_up)),
    Case("signature moved down", "assertion", "not_signed", PROFILE, later(moved_down)),
    Case("signature moved to Extensions", "assertion", "not_signed", PROFILE, later(moved_to_extensions)),
    Case("assertion in Extensions", "assertion", "assertion_count", SIGNED, later(hidden)),
    Case("assertion in Extensions", "response", "assertion_count", SIGNED, {"before": hidden}),
    *[
        Case(f"the ID twice, outside, as {name}", "assertion", "assertion_signature", PROFILE, id_elsewhere(attribute))
        for name, attribute in {"ID": "ID", "Id": "Id", "id": "id", "xml:id": XML_ID}.items()
    ],
    Case("empty response in Extensions", "assertion", "assertion_count", SIGNED, later(second_response)),
    Case("empty response in Extensions", "response", "assertion_count", SIGNED, {"before": second_response}),
    Case("signature of another namespace", "assertion", "not_signed", SIGNED, later(other_namespace)),
]
