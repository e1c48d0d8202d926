"""The right response in the wrong place: another state, browser, provider or pool.

saml-profiles-2.0 4.1.4.5, W 8.3, RFC 9700 4.7 (login CSRF).
"""

from typing import Any

import pytest
from django.test import Client

from accounts.models import (
    AppClient,
    IdentityProvider,
    PoolUser,
    SignInSession,
    UsedSamlMessage,
    UserPool,
)
from federation.upstream.saml import pool as service_provider
from tests.fakes.saml import pair
from tests.fakes.saml_browser import answering, leave, post
from tests.security.saml.at_pool import (
    BASE,
    OTHER_BASE,
    PATH,
    SECOND,
    browser_at,
    last_refusal,
    lost,
    refused,
    sign_in_honestly,
)
from tests.wire.helpers import on_error_page, query_of, sent_to_app

pytestmark = pytest.mark.django_db


# --- used before ------------------------------------------------------------------------------------------------------


def test_an_assertion_that_was_used_is_refused_under_a_new_state(
    http: Client, pool: UserPool, query: dict[str, str]
) -> None:
    """Whoever got hold of a response cannot bring it along with a sign-in of their own."""
    request = leave(http, query)
    message = answering(request, pool, BASE)
    used = message.encoded()
    sent_to_app(post(http, used, request.relay_state))
    attacker = browser_at(pool)
    refused(post(attacker, used, leave(attacker, query).relay_state), "in_response_to")
    assert SignInSession.objects.count() == 1


def test_an_assertion_that_answers_a_new_request_and_was_used_is_refused(
    http: Client, pool: UserPool, app_client: AppClient, provider: IdentityProvider
) -> None:
    """Even a provider that signs the same assertion ID again."""
    sign_in_honestly(http, pool, app_client, assertion_id="_same")
    other = browser_at(pool)
    request = leave(other, query_of(app_client, identity_provider="Corp"))
    refused(post(other, answering(request, pool, BASE, assertion_id="_same"), request.relay_state), "replayed")


def test_a_response_is_of_one_use_in_the_same_browser(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    request = leave(http, query)
    text = answering(request, pool, BASE).encoded()
    sent_to_app(post(http, text, request.relay_state))
    assert on_error_page(http, post(http, text, request.relay_state)) == "sign_in_lost"
    last_refusal("state_replayed")


def test_a_refused_response_spends_the_state_and_not_the_assertion(
    http: Client, pool: UserPool, query: dict[str, str]
) -> None:
    """One state is one try: nobody may look for a response that fits."""
    request = leave(http, query)
    good = answering(request, pool, BASE).encoded()
    refused(post(http, answering(request, pool, BASE, audience="urn:other"), request.relay_state), "audience")
    lost(http, post(http, good, request.relay_state), "sign_in_lost", "state_replayed")
    assert not UsedSamlMessage.objects.exists()


def test_pysaml2_is_asked_to_look_at_in_response_to_as_well(
    http: Client, pool: UserPool, query: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It believes any once it may take answers that nobody asked for, so that here it may not."""
    made: list[bool] = []
    client = service_provider.client

    def noted(*arguments: Any, **options: Any) -> Any:
        found = client(*arguments, **options)
        made.append(found.config.getattr("allow_unsolicited", "sp"))
        return found

    monkeypatch.setattr(service_provider, "client", noted)
    request = leave(http, query)
    sent_to_app(post(http, answering(request, pool, BASE), request.relay_state))
    assert made == [False, False]


# --- another browser, provider, pool ----------------------------------------------------------------------------------


def test_a_response_brought_by_another_browser_is_refused(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    """RFC 9700 4.7: the attacker's own response, posted by the victim's browser."""
    request = leave(http, query)
    text = answering(request, pool, BASE).encoded()
    victim = browser_at(pool)
    lost(victim, post(victim, text, request.relay_state), "sign_in_lost", "state_foreign")
    leave(victim, query)  # with a cookie of its own
    lost(victim, post(victim, text, request.relay_state), "sign_in_lost", "state_foreign")


def test_another_providers_response_is_refused(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str], second: IdentityProvider
) -> None:
    by_second: dict[str, Any] = {"issuer": SECOND, "response_issuer": SECOND, "signer": pair("second")}
    for values, reason in (
        (by_second, "response_issuer"),
        (by_second | {"response_issuer": None}, "response_issuer"),
        ({"signer": pair("second")}, "assertion_signature"),
        ({"issuer": SECOND}, "assertion_issuer"),
    ):
        request = leave(http, query)
        refused(post(http, answering(request, pool, BASE, **values), request.relay_state), reason)
    request = leave(http, query_of(app_client, identity_provider="Second"))
    refused(post(http, answering(request, pool, BASE), request.relay_state), "response_issuer")
    sign_in_honestly(http, pool, app_client, "Second", **by_second)


def test_two_providers_with_one_name_id_are_two_people(
    http: Client, pool: UserPool, app_client: AppClient, second: IdentityProvider
) -> None:
    sign_in_honestly(http, pool, app_client)
    sign_in_honestly(
        browser_at(pool), pool, app_client, "Second", issuer=SECOND, response_issuer=SECOND, signer=pair("second")
    )
    assert PoolUser.objects.count() == 2


def test_another_pools_response_is_refused(
    http: Client, pool: UserPool, query: dict[str, str], other_pool: UserPool
) -> None:
    """The same provider, the same key, and a person who may sign in there."""
    request = leave(http, query)
    for_other = answering(request, other_pool, OTHER_BASE)
    refused(post(http, for_other, request.relay_state), "destination")
    request = leave(http, query)
    refused(post(http, answering(request, other_pool, BASE), request.relay_state), "audience")
    request = leave(http, query)
    sent = answering(request, pool, BASE, destination=None, recipient=f"{OTHER_BASE}{PATH}")
    refused(post(http, sent, request.relay_state), "recipient")


def test_a_state_of_another_pool_is_none_here(
    http: Client, pool: UserPool, query: dict[str, str], other_pool: UserPool
) -> None:
    request = leave(http, query)
    elsewhere = browser_at(other_pool)
    elsewhere.cookies = http.cookies
    response = post(elsewhere, answering(request, pool, BASE), request.relay_state)
    lost(elsewhere, response, "invalid_relay_state", "state_unknown")


def test_an_assertion_encrypted_for_another_pool_is_refused(
    http: Client, pool: UserPool, query: dict[str, str], other_pool: UserPool
) -> None:
    request = leave(http, query)
    sent = answering(request, pool, BASE, encryption={}, encrypt_to=pair("other pool"))
    refused(post(http, sent, request.relay_state), "decryption")
