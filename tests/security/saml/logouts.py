"""Sign-out messages that are not the provider's, or not as SAML and this server accept them.

saml-core-2.0 3.7, saml-profiles-2.0 4.4. Each is an honest message with one change.
"""

import copy
from typing import Any

from django.http import HttpResponse
from django.test import Client
from lxml import etree

from accounts.models import AppClient, SignInSession, UsedSamlMessage
from tests.fakes.saml import NS, T, find, pair
from tests.security.saml import signatures
from tests.security.saml.at_pool import BASE, last_refusal
from tests.security.saml.corpus import DS, EVIL
from tests.security.saml.signatures import hmac_key
from tests.security.test_logs import Listener, heard  # noqa: F401 - a fixture
from tests.wire.helpers import ask, on_error_page, query_of

HERE = f"{BASE}/saml2/logout"
Values = dict[str, Any]


def stranger() -> Client:
    """Somebody's browser without a cookie: a provider's page posts from another site."""
    return Client(headers={"host": "demo.auth.example.test"})


def changed_name(root: etree._Element) -> None:
    find(root, "saml:NameID").text = EVIL


def strip(root: etree._Element) -> None:
    root.remove(find(root, "ds:Signature"))


def empty_signature(root: etree._Element) -> None:
    find(root, "ds:Signature").clear()


def comment(root: etree._Element) -> None:
    find(root, "saml:Issuer").append(etree.Comment("x"))


def moved_in(root: etree._Element) -> None:
    """Move the signature one level down."""
    made = etree.Element(f"{{{NS['samlp']}}}Extensions")
    made.append(find(root, "ds:Signature"))
    root.insert(1, made)


def in_extensions(root: etree._Element) -> None:
    """XSW: the signed message stands inside of an evil one that has its signature."""
    signed = copy.deepcopy(root)
    strip(signed)
    made = etree.Element(f"{{{NS['samlp']}}}Extensions")
    made.append(signed)
    root.insert(2, made)
    root.set("ID", "_evil")


def signed_in_extensions(root: etree._Element) -> None:
    """XSW: the signed message, whole, inside of an unsigned one."""
    signed = copy.deepcopy(root)
    strip(root)
    made = etree.Element(f"{{{NS['samlp']}}}Extensions")
    made.append(signed)
    root.insert(1, made)
    root.set("ID", "_evil")


def in_object(root: etree._Element) -> None:
    signed = copy.deepcopy(root)
    strip(signed)
    etree.SubElement(find(root, "ds:Signature"), f"{DS}Object").append(signed)
    root.set("ID", "_evil")


SIGNATURES: dict[str, Values] = {
    "unsigned": {"signed": False},
    "signature removed": {"after": strip},
    "signature emptied": {"after": empty_signature},
    "signature moved": {"after": moved_in},
    "other key": {"signer": pair("stranger")},
    "other key, its certificate in KeyInfo": {
        "signer": pair("stranger"),
        "signing": {"certificate": pair("stranger").certificate},
    },
    "our own key": {"signer": pair("pool signing")},
    "HMAC": {"signing": {"key": hmac_key(), "method": T.TransformHmacSha256}},
    "SHA-1": {"signing": {"method": T.TransformRsaSha1, "digest": T.TransformSha1}},
    "inclusive canonicalization": {"signing": {"c14n": T.TransformInclC14N}},
    "reference to the document": {"signing": {"uri": ""}},
    "two references": {"signing": {"prepare": signatures.signed_twice_over}},
    "an object": {"signing": {"prepare": signatures.signed_object}},
    "signed message in Extensions": {"after": in_extensions},
    "signed whole in Extensions": {"after": signed_in_extensions},
    "signed message in an Object": {"after": in_object},
}
RULES: list[tuple[str, str, Values]] = [
    ("another Issuer", "logout_unknown", {"issuer": "https://evil.example.test"}),
    ("no Issuer", "logout_unknown", {"issuer": None}),
    (
        "Destination of another pool",
        "logout_destination",
        {"destination": "https://other.auth.example.test/saml2/logout"},
    ),
    ("Destination of responses", "logout_destination", {"destination": f"{BASE}/saml2/idpresponse"}),
    ("no Destination", "logout_destination", {"destination": None}),
    ("expired", "logout_too_old", {"not_on_or_after": -90}),
    ("issued long ago", "logout_too_old", {"issued": -400}),
    ("issued later", "logout_too_old", {"issued": 90}),
    ("Version 1.1", "logout_malformed", {"version": "1.1"}),
    ("no NameID", "logout_unsupported", {"name_id": None}),
    ("an empty NameID", "logout_unsupported", {"name_id": " "}),
    ("an empty SessionIndex", "logout_malformed", {"indexes": ("_session1", "")}),
    ("too many SessionIndexes", "logout_malformed", {"indexes": tuple(f"_{number}" for number in range(101))}),
    ("a comment", "logout_malformed", {"after": comment}),
    ("a date that is none", "logout_malformed", {"before": lambda root: root.set("IssueInstant", "today")}),
]


def refused(response: HttpResponse, reason: str) -> None:
    assert on_error_page(stranger(), response) == "sign_out_refused"
    last_refusal(reason)
    assert SignInSession.objects.count() == 1
    assert not UsedSamlMessage.objects.filter(digest="").exists()


def is_in(browser: Client, client: AppClient) -> bool:
    return "code=" in ask(browser, query_of(client, identity_provider="Corp"))["Location"]
