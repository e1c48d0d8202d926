"""Hostile messages at ``/saml2/logout``: nobody is signed out, and nothing is answered, but by the provider's word.

saml-core-2.0 3.7, saml-profiles-2.0 4.4, saml-bindings-2.0 3.5, W 8.5. Each is an honest message with one change; the
honest one is taken in the same run. pysaml2 alone believes unsigned ones.
"""

import base64
from collections.abc import Callable

import pytest
from django.test import Client
from lxml import etree

from accounts.models import AppClient, IdentityProvider, SignInSession, UserPool
from tests.fakes import saml
from tests.fakes.saml import NS, element, find, metadata, pair
from tests.fakes.saml_browser import Logout, by_post, endpoints, post_logout
from tests.security.saml.at_pool import SECOND, last_refusal, saml_provider, sign_in_honestly, told_in
from tests.security.saml.documents import LAUGHS, bomb
from tests.security.saml.logouts import HERE, RULES, SIGNATURES, Values, changed_name, is_in, refused, stranger
from tests.security.test_logs import Listener, heard  # noqa: F401 - a fixture
from tests.wire.helpers import on_error_page, set_values

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_request_that_the_provider_did_not_sign_signs_nobody_out(
    name: str,
    ada: Client,
    app_client: AppClient,
    heard: Listener,  # noqa: F811 - the fixture
) -> None:
    refused(post_logout(stranger(), Logout(**{"destination": HERE} | SIGNATURES[name])), "logout_signature")
    for line in heard.lines:
        assert told_in(line) == [], line[:300]
    assert is_in(ada, app_client)
    answer = by_post(post_logout(stranger(), Logout(HERE)), "SAMLResponse")
    assert answer.root.get("InResponseTo") == "_logout1"
    assert not is_in(ada, app_client)


@pytest.mark.parametrize(("name", "reason", "values"), RULES, ids=[rule[0] for rule in RULES])
def test_a_signed_request_that_breaks_a_rule_signs_nobody_out(
    name: str, reason: str, values: Values, ada: Client, app_client: AppClient
) -> None:
    refused(post_logout(stranger(), Logout(**{"destination": HERE} | values)), reason)
    assert is_in(ada, app_client)


def test_a_name_that_was_changed_after_it_was_signed_signs_nobody_out(ada: Client, app_client: AppClient) -> None:
    refused(post_logout(stranger(), Logout(HERE, after=changed_name)), "logout_signature")


DOCUMENTS: dict[str, tuple[str, Callable[[], str]]] = {
    "a document type": ("logout_malformed", lambda: _with_doctype("")),
    "entities": ("logout_malformed", lambda: _with_doctype(f'<!ENTITY a0 "ha">{LAUGHS}')),
    "an external entity": ("logout_malformed", lambda: _with_doctype('<!ENTITY a SYSTEM "file:///etc/passwd">')),
    "not base64": ("logout_malformed", lambda: "<samlp:LogoutRequest/>"),
    "not XML": ("logout_malformed", lambda: base64.b64encode(b"SAML").decode()),
    "a deflate bomb": ("logout_malformed", lambda: base64.b64encode(bomb()).decode()),
    "too large": ("logout_malformed", lambda: "A" * 100_001),
    "a response": ("logout_malformed", lambda: saml.Message(destination=HERE, sign_response=True).encoded()),
    "a logout response": (
        "logout_malformed",
        lambda: Logout(HERE, kind="LogoutResponse", in_response_to="_x").encoded(),
    ),
    "HTML": ("logout_unknown", lambda: base64.b64encode(b"<html/>").decode()),
}


def _with_doctype(inner: str) -> str:
    said = etree.tostring(Logout(HERE).tree())
    return base64.b64encode(f"<!DOCTYPE samlp:LogoutRequest [{inner}]>".encode() + said).decode()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_no_request_signs_nobody_out(name: str, ada: Client, app_client: AppClient) -> None:
    reason, text = DOCUMENTS[name]
    refused(post_logout(stranger(), text(), kind="SAMLRequest"), reason)
    assert is_in(ada, app_client)


def test_a_request_is_of_one_use(ada: Client, pool: UserPool, app_client: AppClient) -> None:
    text = Logout(HERE).encoded()
    by_post(post_logout(stranger(), text, kind="SAMLRequest"), "SAMLResponse")
    sign_in_honestly(stranger(), pool, app_client)
    response = post_logout(stranger(), text, kind="SAMLRequest")
    assert on_error_page(stranger(), response) == "sign_out_refused"
    assert SignInSession.objects.count() == 1


@pytest.mark.parametrize(
    "values",
    [
        {"name_id": "bob@example.test"},
        {"name_id": "ADA@example.test"},
        {"name_id": "ada@example.test.evil.example"},
        {"indexes": ("_session2",)},
        {"indexes": ("_session", "_session11")},
    ],
)
def test_a_request_for_somebody_else_ends_nobody_elses_session(
    values: Values, ada: Client, app_client: AppClient
) -> None:
    by_post(post_logout(stranger(), Logout(HERE, **values)), "SAMLResponse")
    assert is_in(ada, app_client)


def test_a_provider_signs_nobody_out_who_came_through_another(
    ada: Client, pool: UserPool, app_client: AppClient
) -> None:
    """Of the same pool, with the same NameID; under its own name, and under the other's."""
    document = metadata(pair("second").certificate, entity_id=SECOND, more=endpoints(slo="POST"))
    saml_provider(pool, app_client, name="Second", document=document)
    by_post(post_logout(stranger(), Logout(HERE, issuer=SECOND, signer=pair("second"))), "SAMLResponse")
    assert is_in(ada, app_client)
    refused(post_logout(stranger(), Logout(HERE, signer=pair("second"))), "logout_signature")
    refused(post_logout(stranger(), Logout(HERE, issuer=SECOND)), "logout_signature")
    assert is_in(ada, app_client)


def test_a_request_to_one_pool_ends_no_session_of_another(
    ada: Client, app_client: AppClient, other_pool: UserPool
) -> None:
    """The same provider and key serve both pools; the message is for one of them."""
    elsewhere = Client(headers={"host": "other.auth.example.test"})
    base = "https://other.auth.example.test"
    sign_in_honestly(elsewhere, other_pool, other_pool.app_clients.get(), base=base)
    assert on_error_page(elsewhere, post_logout(elsewhere, Logout(HERE))) == "sign_out_refused"
    last_refusal("logout_destination")
    assert SignInSession.objects.count() == 2
    by_post(post_logout(elsewhere, Logout(f"{base}/saml2/logout")), "SAMLResponse")
    assert SignInSession.objects.get().user.user_pool_id == "eu-west-1_Demo00001"
    assert is_in(ada, app_client)


def test_what_the_provider_says_of_where_to_go_is_not_its_relay_state(ada: Client, app_client: AppClient) -> None:
    """The answer goes to the address in the metadata; RelayState only comes back, and is no markup in our page."""
    response = post_logout(stranger(), Logout(HERE), '"><script>alert(1)</script>')
    answer = by_post(response, "SAMLResponse")
    assert answer.url == "https://idp.example.test/slo"
    assert answer.relay_state == '"><script>alert(1)</script>'
    assert b"<script>alert" not in response.content


def test_a_provider_without_sign_out_is_not_asked_and_still_believed_when_it_signs(
    ada: Client, app_client: AppClient, provider: IdentityProvider
) -> None:
    document = metadata(more=endpoints())
    set_values(provider, provider_details={"MetadataFile": document})
    response = post_logout(stranger(), Logout(HERE))
    assert response.status_code == 200
    assert not is_in(ada, app_client)


def test_an_encrypted_name_signs_nobody_out(ada: Client, app_client: AppClient) -> None:
    def encrypt(root: etree._Element) -> None:
        saml.encrypt(find(root, "saml:NameID"), pair("pool")).tag = f"{{{NS['saml']}}}EncryptedID"

    refused(post_logout(stranger(), Logout(HERE, before=encrypt)), "logout_unsupported")


def test_two_names_sign_nobody_out(ada: Client, app_client: AppClient) -> None:
    def twice(root: etree._Element) -> None:
        name = find(root, "saml:NameID")
        name.addnext(element(f'<saml:NameID xmlns:saml="{NS["saml"]}">bob@example.test</saml:NameID>'))

    refused(post_logout(stranger(), Logout(HERE, before=twice)), "logout_unsupported")
