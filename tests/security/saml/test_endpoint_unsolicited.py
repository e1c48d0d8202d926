"""Sign-ins that nobody here asked for: where they may lead, and what has to hold for them.

saml-profiles-2.0 4.1.5, W 8.4, RFC 9700 4.11 (open redirects).
"""

from typing import Any

import pytest
from django.test import Client

from accounts import directory
from accounts.models import (
    AppClient,
    IdentityProvider,
    SignInSession,
    UserPool,
)
from tests import factories
from tests.fakes.saml import pair
from tests.fakes.saml_browser import answering, leave, nobody_asked, post, relay
from tests.security.saml.at_pool import (
    BASE,
    browser_at,
    last_refusal,
    nobody_came_in,
    refused,
)
from tests.wire.helpers import on_error_page, sent_to_app, set_values

pytestmark = pytest.mark.django_db


def test_an_unsolicited_assertion_is_of_one_use(http: Client, pool: UserPool, saml_only: AppClient) -> None:
    text = nobody_asked(pool, BASE).encoded()
    assert "code" in sent_to_app(post(http, text, relay(saml_only)))
    refused(post(browser_at(pool), text, relay(saml_only)), "replayed", state="")
    assert SignInSession.objects.count() == 1


def test_an_assertion_of_a_sign_in_is_not_one_that_nobody_asked_for(
    http: Client, pool: UserPool, query: dict[str, str], saml_only: AppClient
) -> None:
    """A stolen answer, before it was used, sent as the provider's own idea."""
    stolen = answering(leave(http, query), pool, BASE)
    refused(post(browser_at(pool), stolen, relay(saml_only)), "in_response_to", state="")


def test_an_assertion_that_nobody_asked_for_answers_no_request(
    http: Client, pool: UserPool, query: dict[str, str], saml_only: AppClient
) -> None:
    refused(post(http, nobody_asked(pool, BASE), leave(http, query).relay_state), "in_response_to")


def test_a_provider_that_may_not_begin_does_not(
    http: Client, pool: UserPool, saml_only: AppClient, provider: IdentityProvider
) -> None:
    set_values(provider, provider_details=provider.provider_details | {"IDPInit": "false"})
    refused(post(http, nobody_asked(pool, BASE), relay(saml_only)), "unsolicited_off", state="")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"in_response_to": "_foreign"}, "in_response_to"),
        ({"in_response_to": ""}, "in_response_to"),
        ({"confirmation_in_response_to": "_foreign"}, "confirmation_in_response_to"),
        ({"signer": pair("stranger")}, "assertion_signature"),
        ({"sign_assertion": False}, "not_signed"),
        ({"audience": "urn:amazon:cognito:sp:other"}, "audience"),
        ({"issued": -430}, "too_old"),
    ],
)
def test_what_nobody_asked_for_has_to_keep_the_rules(
    http: Client, pool: UserPool, saml_only: AppClient, values: dict[str, Any], reason: str
) -> None:
    response = post(http, nobody_asked(pool, BASE, **values), relay(saml_only))
    refused(response, reason, state="")
    nobody_came_in(response)


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example.test/"},
        {"redirect_uri": "https://app.example.test/callback@evil.example.test"},
        {"redirect_uri": "javascript:alert(1)"},
        {"client_id": "7exampleclient23456789abcd"},
        {"client_id": ""},
        {"client_id": "x" * 5000},
    ],
)
def test_relay_state_leads_nowhere_but_to_an_app(
    http: Client, pool: UserPool, saml_only: AppClient, other_pool: UserPool, changes: dict[str, str]
) -> None:
    """An unregistered address, or a client of another pool, is told here (RFC 9700 4.11)."""
    response = post(http, nobody_asked(pool, BASE), relay(saml_only, **changes))
    on_error_page(http, response)
    nobody_came_in(response)
    last_refusal("relay_state")


@pytest.mark.parametrize(
    "said",
    [
        "=",
        "a=b",
        "client_id=%00&redirect_uri=x",
        "client_id=%ff",
        "client_id=ä",
        "&=" * 100,
        "client_id=a&client_id=b",
        "x=" + "y" * 20_000,
        "client_id=%0d%0aSet-Cookie:a=b",
    ],
)
def test_relay_state_that_is_no_request_is_told_here(
    http: Client, pool: UserPool, saml_only: AppClient, said: str
) -> None:
    response = post(http, nobody_asked(pool, BASE), said)
    on_error_page(http, response)
    nobody_came_in(response)


def test_relay_state_named_twice_for_one_thing_is_refused(http: Client, pool: UserPool, saml_only: AppClient) -> None:
    """The provider of one sign-in, the redirect_uri of another."""
    response = post(http, nobody_asked(pool, BASE), relay(saml_only) + "&redirect_uri=https://evil.example.test/")
    assert "evil" not in response["Location"]
    nobody_came_in(response)


def test_the_provider_that_relay_state_names_has_to_have_signed(
    http: Client, pool: UserPool, saml_only: AppClient, second: IdentityProvider
) -> None:
    saml_only.identity_providers.add(second)
    set_values(second, provider_details=second.provider_details | {"IDPInit": "true"})
    refused(post(http, nobody_asked(pool, BASE), relay(saml_only, "Second")), "response_issuer", state="")


def test_an_app_with_another_way_to_sign_in_takes_none(
    http: Client, pool: UserPool, saml_only: AppClient, provider: IdentityProvider
) -> None:
    """W 8.4: nothing ties such a response to the browser, so it must not sit beside what does."""
    set_values(saml_only, cognito_sign_in=True)
    refused(post(http, nobody_asked(pool, BASE), relay(saml_only)), "client_not_saml_only", state="")
    set_values(saml_only, cognito_sign_in=False)
    saml_only.identity_providers.add(factories.make_oidc_provider(pool, "Oidc"))
    directory.forget()
    refused(post(http, nobody_asked(pool, BASE), relay(saml_only)), "client_not_saml_only", state="")
