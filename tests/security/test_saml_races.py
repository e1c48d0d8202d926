"""One assertion, one request to sign out, one first key, taken by many at the same moment.

saml-profiles-2.0 4.1.4.5 (an assertion is of one use), saml-core-2.0 3.7 (single logout), design D2.4 (what is of one
use is spent by one statement). On PostgreSQL, with a thread and a connection for every browser.
"""

from collections import Counter
from typing import Any

import pytest
from django.http import HttpResponse

from accounts import directory, events, saml_keys, signing
from accounts.models import (
    AppClient,
    AuthEvent,
    AuthorizationCode,
    LinkedIdentity,
    PoolUser,
    RefreshToken,
    SamlKey,
    SignInSession,
    UsedSamlMessage,
    UserPool,
)
from accounts.models.saml import KeyUse
from tests import factories
from tests.fakes.saml import metadata
from tests.fakes.saml_browser import (
    Logout,
    answering,
    endpoints,
    leave,
    nobody_asked,
    post,
    post_logout,
    register,
    relay,
)
from tests.security.steps import redeem
from tests.security.test_idp_races import answered
from tests.security.test_races import MANY, at_once, browser
from tests.wire.helpers import query_of, sent_to_app

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
BASE = "https://demo.auth.example.test"


@pytest.fixture
def pool() -> UserPool:
    found = factories.make_pool("demo", id="eu-west-1_Demo00001")
    events.forget_early()
    for use in KeyUse.values:
        saml_keys.active(found, use)
    return found


@pytest.fixture
def client(pool: UserPool) -> AppClient:
    found = factories.make_client(pool, client_id="1exampleclient23456789abcd", cognito_sign_in=False)
    document = metadata(more=endpoints(slo="POST"))
    register(pool, found, document=document, IDPInit="true", IDPSignout="true")
    directory.pool_by_host("demo.auth.example.test")
    directory.app_client(pool, found.client_id)
    signing.active_key(pool, "id")
    return found


def outcomes(responses: list[Any]) -> Counter[str]:
    def outcome(response: HttpResponse) -> str:
        if response["Location"].startswith("/error?"):
            return "page"
        fields = sent_to_app(response)
        return "code" if "code" in fields else fields["error_description"]

    return Counter(outcome(response) for response in answered(responses))


def test_an_assertion_that_nobody_asked_for_signs_in_once(pool: UserPool, client: AppClient) -> None:
    message, said = nobody_asked(pool, BASE).encoded(), relay(client)
    found = outcomes(at_once(lambda _: post(browser(), message, said)))
    assert found == {"code": 1, "Invalid SAML response received: The assertion was used before.": MANY - 1}
    assert (UsedSamlMessage.objects.count(), SignInSession.objects.count(), PoolUser.objects.count()) == (1, 1, 1)
    assert AuthorizationCode.objects.count() == 1


def test_a_response_that_is_posted_many_times_signs_in_once(pool: UserPool, client: AppClient) -> None:
    """The very same browser, as when somebody presses reload."""
    here = browser()
    request = leave(here, query_of(client, identity_provider="Corp"))
    message = answering(request, pool, BASE).encoded()
    cookies = {name: morsel.value for name, morsel in here.cookies.items()}

    def again(_: int) -> HttpResponse:
        tab = browser()
        for name, value in cookies.items():
            tab.cookies[name] = value
        return post(tab, message, request.relay_state)

    assert outcomes(at_once(again)) == {"code": 1, "page": MANY - 1}
    assert SignInSession.objects.count() == 1


def test_many_first_sign_ins_make_one_user(pool: UserPool, client: AppClient) -> None:
    """Different assertions about one person, at once."""
    messages = [nobody_asked(pool, BASE).encoded() for _ in range(20)]
    said = relay(client)
    assert outcomes(at_once(lambda number: post(browser(), messages[number], said), 20)) == {"code": 20}
    assert (PoolUser.objects.count(), LinkedIdentity.objects.count(), SignInSession.objects.count()) == (1, 1, 20)


def test_a_request_to_sign_out_is_taken_once(pool: UserPool, client: AppClient) -> None:
    sent_to_app(post(browser(), nobody_asked(pool, BASE), relay(client)))
    message = Logout(f"{BASE}/saml2/logout").encoded()
    found = answered(at_once(lambda _: post_logout(browser(), message, kind="SAMLRequest"), 20))
    assert Counter(response.status_code for response in found) == {200: 1, 302: 19}
    assert AuthEvent.objects.filter(event_type="SignOut", outcome="succeeded").count() == 1


def test_a_code_that_is_redeemed_while_the_provider_signs_out_leaves_no_grant(
    pool: UserPool, client: AppClient
) -> None:
    """Whichever comes first: either the code is dead, or the grant is revoked."""
    for number in range(8):
        code = sent_to_app(post(browser(), nobody_asked(pool, BASE), relay(client)))["code"]
        message = Logout(f"{BASE}/saml2/logout", id=f"_logout{number}").encoded()

        def act(turn: int, code: str = code, message: str = message) -> HttpResponse:
            if turn:
                return post_logout(browser(), message, kind="SAMLRequest")
            return redeem(browser(), client, code)

        answered(at_once(act, 2))
        assert not RefreshToken.objects.filter(revoked_at__isnull=True).exists()
        assert not AuthorizationCode.objects.filter(consumed_at__isnull=True).exists()
        assert not SignInSession.objects.exists()


def test_many_who_need_the_first_key_make_one(pool: UserPool) -> None:
    SamlKey.objects.all().delete()
    directory.forget()
    found = answered(at_once(lambda _: saml_keys.active(pool, KeyUse.SIGNING), 8))
    assert len({key.pk for key in found}) == SamlKey.objects.count() == 1
