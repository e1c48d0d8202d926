"""What a sign-in through a provider costs: statements, rows, and calls to the provider. Counted, never timed.

The aim: one row written before the redirect, none of it left after five minutes; nothing about the tokens stored; and
the provider's documents fetched once per cache age, whoever signs in.
"""

from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts import cleanup, pauses, tasks
from accounts.models import AppClient, AuthEvent, SignInRequest, UserPool
from tests import factories
from tests.fakes import saml_browser
from tests.fakes.browser import at_provider, come_back, through
from tests.fakes.oidc import OidcIdp
from tests.wire.helpers import ask, query_of, sent_to_app
from tests.wire.test_cost import Cost, counted

pytestmark = pytest.mark.django_db
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def query(pool: UserPool, app_client: AppClient, idp: OidcIdp) -> dict[str, str]:
    """A request that leads to the provider."""
    provider = factories.make_oidc_provider(pool)
    provider.provider_details["oidc_issuer"] = idp.issuer
    provider.save()
    app_client.identity_providers.add(provider)
    return query_of(app_client, identity_provider="Corp")


def cost_of_return(http: Client, url: str) -> Cost:
    with counted() as cost:
        sent_to_app(come_back(http, url))
    return cost


def test_the_way_out_writes_one_row(http: Client, query: dict[str, str]) -> None:
    ask(http, query)  # warm: the discovery document is there
    other = Client(headers={"host": "demo.auth.example.test"})
    with counted() as cost:
        response = ask(other, query)
    assert response.status_code == 302
    assert (len(cost.statements), cost.rows) == (1, {"accounts_signinrequest": 1}), cost.statements


def test_a_user_who_is_known_costs_one_row_of_each_kind(http: Client, query: dict[str, str]) -> None:
    through(http, query)
    browser = Client(headers={"host": "demo.auth.example.test"})
    cost = cost_of_return(browser, at_provider(ask(browser, query)))
    assert cost.rows == {
        "accounts_signinrequest": 1,  # spent
        "accounts_pooluser": 1,  # last_login
        "accounts_signinsession": 1,
        "accounts_authorizationcode": 1,
        "accounts_authevent": 1,
    }
    # find the pause, spend it, find the identity, lock the user, and one for each of the four rows that follow
    assert len(cost.statements) == 8, cost.statements


def test_a_new_user_costs_a_few_rows_more_once(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    through(http, query)
    idp.user = {"sub": "grace", "email": "grace@corp.example.test"}
    browser = Client(headers={"host": "demo.auth.example.test"})
    cost = cost_of_return(browser, at_provider(ask(browser, query)))
    made = {name: count for name, count in cost.rows.items() if name in ("accounts_linkedidentity", "accounts_group")}
    assert made == {"accounts_linkedidentity": 1}  # the group is there from the first user
    assert cost.rows["accounts_pooluser_groups"] == 1
    assert len(cost.statements) <= 20, cost.statements


def test_an_assertion_costs_one_row_more_so_that_it_is_of_one_use(
    http: Client, pool: UserPool, app_client: AppClient
) -> None:
    saml_browser.register(pool, app_client, name="Partner")
    query, base = query_of(app_client, identity_provider="Partner"), "https://demo.auth.example.test"
    sent_to_app(saml_browser.sign_in(http, query, pool, base))
    browser = Client(headers={"host": "demo.auth.example.test"})
    with counted() as out:
        request = saml_browser.leave(browser, query)
    assert (len(out.statements), out.rows) == (1, {"accounts_signinrequest": 1}), out.statements
    message = saml_browser.answering(request, pool, base).encoded()
    with counted() as cost:
        sent_to_app(saml_browser.post(browser, message, request.relay_state))
    assert cost.rows["accounts_usedsamlmessage"] == 1
    assert len(cost.statements) == 9, cost.statements


def test_the_documents_are_fetched_once_for_everybody(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    for number in range(5):
        idp.user = {"sub": f"user{number}", "email": f"user{number}@corp.example.test"}
        through(Client(headers={"host": "demo.auth.example.test"}), query)
    assert len(idp.called("/token")) == 5
    assert (len(idp.called(DISCOVERY)), len(idp.called("/jwks"))) == (1, 1)


@pytest.mark.parametrize("finished", [False, True], ids=["given up", "finished"])
def test_nothing_of_the_pause_is_left_after_five_minutes(
    http: Client, query: dict[str, str], finished: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    response: HttpResponse = ask(http, query)
    if finished:
        come_back(http, at_provider(response))
    assert SignInRequest.objects.count() == 1
    later = timezone.now() + pauses.LIFETIME
    monkeypatch.setattr(timezone, "now", lambda: later)
    tasks.purge_paused_sign_ins()
    assert SignInRequest.objects.count() == 0
    assert AuthEvent.objects.count() == int(finished)  # the record of it stays, for a while
    monkeypatch.setattr(timezone, "now", lambda: later + timedelta(days=31))
    cleanup.purge_expired()
    assert AuthEvent.objects.count() == 0
