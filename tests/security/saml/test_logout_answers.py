"""Answers to a sign-out that began here: only the provider's own leads back to the app (saml-core-2.0 3.7.2, W 8.5)."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from lxml import etree

from accounts.models import AppClient, IdentityProvider, UserPool
from tests import factories
from tests.fakes.saml import find
from tests.fakes.saml_browser import Logout, Request, by_post, post_logout
from tests.security.saml.at_pool import BASE, last_refusal, sign_in_honestly
from tests.security.saml.logouts import HERE, SIGNATURES, Values, comment, stranger
from tests.security.test_logs import Listener, heard  # noqa: F401 - a fixture
from tests.wire.helpers import on_error_page

pytestmark = pytest.mark.django_db


def signing_out(browser: Client, client: AppClient) -> Request:
    """Sign out and return the request that goes to the provider."""
    fields = {"client_id": client.client_id, "logout_uri": factories.LOGOUT}
    return by_post(browser.get("/logout?" + urlencode(fields)))


def answer_to(request: Request, **values: Any) -> Logout:
    honest = {"destination": HERE, "kind": "LogoutResponse", "in_response_to": request.id, "not_on_or_after": None}
    return Logout(**honest | values)


def failed(root: etree._Element) -> None:
    find(root, "samlp:Status/samlp:StatusCode").set("Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")


ANSWERS: dict[str, tuple[str, Values]] = {
    **{name: ("logout_signature", values) for name, values in SIGNATURES.items()},
    "a status that was changed": ("logout_signature", {"after": failed}),
    "another Issuer": ("logout_issuer", {"issuer": "https://evil.example.test"}),
    "no Issuer": ("logout_issuer", {"issuer": None}),
    "another Destination": ("logout_destination", {"destination": f"{BASE}/saml2/idpresponse"}),
    "no Destination": ("logout_destination", {"destination": None}),
    "issued long ago": ("logout_too_old", {"issued": -400}),
    "issued later": ("logout_too_old", {"issued": 90}),
    "for another request": ("logout_in_response_to", {"in_response_to": "_other"}),
    "for no request": ("logout_in_response_to", {"in_response_to": None}),
    "Version 1.1": ("logout_malformed", {"version": "1.1"}),
    "a request": ("logout_malformed", {"kind": "LogoutRequest", "in_response_to": None}),
    "a comment": ("logout_malformed", {"after": comment}),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_not_the_providers_leads_nowhere(name: str, ada: Client, app_client: AppClient) -> None:
    """And spends nothing: the honest one, later, is taken."""
    reason, values = ANSWERS[name]
    request = signing_out(ada, app_client)
    response = post_logout(ada, answer_to(request, **values).encoded(), request.relay_state, "SAMLResponse")
    assert on_error_page(ada, response) == "sign_out_unconfirmed"
    last_refusal(reason)
    done = post_logout(ada, answer_to(request), request.relay_state)
    assert (done.status_code, done["Location"]) == (302, factories.LOGOUT)
    again = post_logout(ada, answer_to(request), request.relay_state)
    assert on_error_page(ada, again) == "sign_out_unconfirmed"


def test_an_answer_to_another_sign_out_is_none(
    ada: Client, pool: UserPool, app_client: AppClient, provider: IdentityProvider
) -> None:
    """RelayState of one, InResponseTo of the other: both are ours."""
    first = signing_out(ada, app_client)
    other = stranger()
    sign_in_honestly(other, pool, app_client)
    second = signing_out(other, app_client)
    response = post_logout(ada, answer_to(second), first.relay_state)
    assert on_error_page(ada, response) == "sign_out_unconfirmed"
    last_refusal("logout_in_response_to")


@pytest.mark.parametrize("state", ["", "x" * 43, "https://evil.example.test/", "x" * 5000])
def test_an_answer_without_a_sign_out_leads_nowhere(state: str, ada: Client, app_client: AppClient) -> None:
    """No open redirect: the address is ours, and stands in a row."""
    request = signing_out(ada, app_client)
    response = post_logout(ada, answer_to(request), state)
    assert on_error_page(ada, response) == "sign_out_unconfirmed"


def test_an_answer_to_a_sign_out_of_another_pool_leads_nowhere(
    ada: Client, app_client: AppClient, other_pool: UserPool
) -> None:
    request = signing_out(ada, app_client)
    elsewhere = Client(headers={"host": "other.auth.example.test"})
    message = answer_to(request, destination="https://other.auth.example.test/saml2/logout")
    assert on_error_page(elsewhere, post_logout(elsewhere, message, request.relay_state)) == "sign_out_unconfirmed"
