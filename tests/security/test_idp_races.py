"""Many sign-ins through one provider at once: who fetches, who is made, who gets the code.

Issue 3 (discovery and JWKS at most once under 50 concurrent sign-ins); design D2.4 (a state is spent by one UPDATE,
before anything is sent) and W 11.4 (an identity belongs to one user; a first sign-in never errors because a link was
just made). On PostgreSQL, with a thread and a connection for every browser; the provider is a fake on a socket.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.utils import timezone

from accounts import directory, linking, signing
from accounts.linking import LinkRefused
from accounts.models import (
    AppClient,
    AuthEvent,
    AuthorizationCode,
    Group,
    IdentityProvider,
    LinkedIdentity,
    PoolUser,
    ProviderDocument,
    SignInRequest,
    SignInSession,
    UserPool,
)
from federation.upstream import keys
from tests import factories
from tests.fakes.browser import at_provider, come_back, register
from tests.fakes.oidc import OidcIdp
from tests.fakes.server import Handler
from tests.security.steps import redeem
from tests.security.test_races import MANY, at_once, browser, waiting_for_a_lock
from tests.wire.helpers import ask, query_of, sent_to_app

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
DISCOVERY = "/.well-known/openid-configuration"
SOME = 20


@pytest.fixture
def pool() -> UserPool:
    return factories.make_pool("demo", id="eu-west-1_Demo00001")


@pytest.fixture
def client(pool: UserPool) -> AppClient:
    return factories.make_client(pool, client_id="1exampleclient23456789abcd")


@pytest.fixture
def idp(settings: Any) -> Iterator[OidcIdp]:
    """A provider; places enough for everybody, for it is not the queue that is tried here."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    settings.USERPOOL_UPSTREAM_CONCURRENCY = 2 * MANY
    with OidcIdp() as running:
        yield running


@pytest.fixture
def provider(idp: OidcIdp, pool: UserPool, client: AppClient) -> IdentityProvider:
    return register(idp, pool, client)


@pytest.fixture
def query(client: AppClient, pool: UserPool, provider: IdentityProvider) -> dict[str, str]:
    """A request that leads to the provider. No thread begins with reading configuration."""
    directory.pool_by_host("demo.auth.example.test")
    directory.app_client(pool, client.client_id)
    signing.active_key(pool, "id")
    return query_of(client, identity_provider="Corp")


def forget_documents() -> None:
    """As in a process, and a deployment, that has never called the provider."""
    ProviderDocument.objects.all().delete()
    directory.forget()


def answered(results: list[Any]) -> list[HttpResponse]:
    """Return the answers; whoever got an exception instead fails the test with it."""
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def codes(responses: list[Any]) -> list[str]:
    """Return the code that each was sent to the app with."""
    found = [sent_to_app(response) for response in answered(responses)]
    assert all("code" in fields for fields in found), Counter(fields.get("error_description") for fields in found)
    return [fields["code"] for fields in found]


def outcomes(responses: list[Any]) -> Counter[str]:
    """Count the answers: ``code``, the error at the app, or the hosted page."""

    def outcome(response: HttpResponse) -> str:
        if response["Location"].startswith("/error?"):
            return "page"
        fields = sent_to_app(response)
        return "code" if "code" in fields else fields["error_description"]

    return Counter(outcome(response) for response in answered(responses))


def test_fifty_first_sign_ins_fetch_each_document_once(query: dict[str, str], idp: OidcIdp, pool: UserPool) -> None:
    """The whole journey of fifty people at once, from a cold cache: nobody fails, and nobody is somebody else."""
    idp.by_hint = True
    browsers = [browser() for _ in range(MANY)]

    def go(number: int) -> HttpResponse:
        hinted = query | {"login_hint": f"person{number}", "state": f"state {number}"}
        return come_back(browsers[number], at_provider(ask(browsers[number], hinted)))

    found = codes(at_once(go))
    assert len(set(found)) == MANY
    assert (len(idp.called(DISCOVERY)), len(idp.called("/jwks"))) == (1, 1)
    assert len(idp.called("/token")) == MANY
    assert set(PoolUser.objects.values_list("username", flat=True)) == {f"corp_person{n}" for n in range(MANY)}
    assert Group.objects.get().users.count() == MANY
    for code, person in zip(found, range(MANY), strict=True):
        issued = AuthorizationCode.objects.select_related("user").get(user__username=f"corp_person{person}")
        assert redeem(browser(), query["client_id"], code).status_code == 200
        issued.refresh_from_db()
        assert issued.consumed_at is not None  # the code in this browser was this person's


def test_fifty_ways_out_and_fifty_ways_back_from_a_cold_cache_fetch_once_each(
    query: dict[str, str], idp: OidcIdp
) -> None:
    """Both documents are wanted by everybody at the same moment."""
    idp.by_hint = True
    browsers = [browser() for _ in range(MANY)]
    sent = answered(at_once(lambda n: ask(browsers[n], query | {"login_hint": f"person{n}"})))
    assert len(idp.called(DISCOVERY)) == 1
    backs = [at_provider(response) for response in sent]
    forget_documents()
    codes(at_once(lambda n: come_back(browsers[n], backs[n])))
    assert (len(idp.called(DISCOVERY)), len(idp.called("/jwks"))) == (2, 1)


def test_fifty_tokens_under_a_new_key_fetch_the_set_once(
    query: dict[str, str], idp: OidcIdp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Core 10.1.1: rotation while fifty sign-ins are under way."""
    idp.by_hint = True
    codes([come_back(one := browser(), at_provider(ask(one, query | {"login_hint": "first"})))])
    browsers = [browser() for _ in range(MANY)]
    backs = [at_provider(ask(browsers[n], query | {"login_hint": f"person{n}"})) for n in range(MANY)]
    idp.rotate("rotated under load")
    ProviderDocument.objects.update(fetched_at=timezone.now() - 2 * keys.COOLDOWN)
    directory.forget()
    codes(at_once(lambda n: come_back(browsers[n], backs[n])))
    assert len(idp.called("/jwks")) == 2


def test_a_document_that_cannot_be_had_is_asked_for_once(query: dict[str, str], idp: OidcIdp) -> None:
    """The others hear of the failure and do not try it each for themselves."""
    idp.misbehave(DISCOVERY, lambda handler: handler.send_error(500))
    browsers = [browser() for _ in range(MANY)]
    assert outcomes(at_once(lambda n: ask(browsers[n], query))) == {"Error in calling openid configuration": MANY}
    assert len(idp.called(DISCOVERY)) == 1


def test_twenty_first_sign_ins_of_one_person_make_one_user(query: dict[str, str], idp: OidcIdp) -> None:
    """Twenty tabs or devices: the unique rows decide, the losers find what the winner made."""
    browsers = [browser() for _ in range(SOME)]
    backs = [at_provider(ask(one, query)) for one in browsers]
    assert len(set(codes(at_once(lambda n: come_back(browsers[n], backs[n]), SOME)))) == SOME
    user = PoolUser.objects.get()
    assert LinkedIdentity.objects.get().user == user
    assert Group.objects.get().users.get() == user
    assert SignInSession.objects.filter(user=user).count() == SOME
    assert Counter(AuthEvent.objects.values_list("outcome", flat=True)) == {"succeeded": SOME}


def test_an_answer_that_comes_twenty_times_at_once_gives_one_code(query: dict[str, str], idp: OidcIdp) -> None:
    """RFC 6749 10.12, 10.5: a double click, a prefetch, an attacker; the code is presented once."""
    one = browser()
    back = at_provider(ask(one, query))
    cookies = {name: morsel.value for name, morsel in one.cookies.items()}

    def present(number: int) -> HttpResponse:
        tab = browser()
        tab.cookies.load(cookies)
        return come_back(tab, back)

    assert outcomes(at_once(present, SOME)) == {"code": 1, "page": SOME - 1}
    assert len(idp.called("/token")) == 1
    assert (AuthorizationCode.objects.count(), SignInSession.objects.count()) == (1, 1)
    assert SignInRequest.objects.get().consumed_at is not None
    reasons = Counter(AuthEvent.objects.values_list("reason", flat=True))
    assert reasons.pop("") == 1
    assert set(reasons) == {"state_replayed"}


def test_twenty_tabs_of_one_browser_leave_the_sessions_that_they_were_told_of(query: dict[str, str]) -> None:
    """Different states of one browser do not lock each other out."""
    one = browser()
    backs = [at_provider(ask(one, query)) for _ in range(SOME)]
    cookies = {name: morsel.value for name, morsel in one.cookies.items()}

    def present(number: int) -> HttpResponse:
        tab = browser()
        tab.cookies.load(cookies)
        return come_back(tab, backs[number])

    codes(at_once(present, SOME))
    assert PoolUser.objects.count() == 1


# --- an operator's link beside the first sign-in (W 11.4)


def link_at_once(query: dict[str, str], user: PoolUser, provider: IdentityProvider, claim: str, value: str) -> Any:
    """Let an operator link the identity while its first sign-in comes back; return what each got."""
    one = browser()
    back = at_provider(ask(one, query))
    acts = [lambda: come_back(one, back), lambda: linking.link(user, provider, value, claim)]
    return at_once(lambda number: acts[number](), 2)


@pytest.mark.parametrize(("claim", "value"), [("", "ada"), ("email", "ada@corp.example.test")])
@pytest.mark.parametrize("turn", range(5))
def test_a_link_beside_the_first_sign_in_leaves_one_owner(
    pool: UserPool, query: dict[str, str], provider: IdentityProvider, claim: str, value: str, turn: int
) -> None:
    """Whoever wins, the person gets in, the identity has one owner, and only the operator may hear of a refusal."""
    local = factories.make_user(pool, "local", None)
    response, linked = link_at_once(query, local, provider, claim, value)
    [code] = codes([response])
    if isinstance(linked, Exception):
        assert isinstance(linked, LinkRefused), linked
    owner = LinkedIdentity.objects.get(provider=provider, claim="", subject="ada").user
    assert AuthorizationCode.objects.get().user == owner
    assert redeem(browser(), query["client_id"], code).status_code == 200
    if not claim:
        assert (owner == local) == (not isinstance(linked, Exception))
    assert PoolUser.objects.count() == (1 if owner == local else 2)


def at_the_last_moment(idp: OidcIdp, act: Any) -> None:
    """Do ``act`` while the provider still thinks about userInfo: after everything but the look for the user."""

    def behaviour(handler: Handler) -> None:
        idp.misbehaviours.pop("/userinfo")
        thread = threading.Thread(target=act)
        thread.start()
        thread.join(60)
        handler.reply(idp.userinfo(handler.call))

    idp.misbehave("/userinfo", behaviour)


@pytest.mark.parametrize(("claim", "value"), [("", "ada"), ("email", "ada@corp.example.test")])
def test_a_link_that_was_just_made_takes_the_first_sign_in(
    pool: UserPool, query: dict[str, str], provider: IdentityProvider, idp: OidcIdp, claim: str, value: str
) -> None:
    """The order is certain here: the sign-in is on its way when the link is committed."""
    local = factories.make_user(pool, "local", None)

    def link() -> None:
        linking.link(local, provider, value, claim)
        connection.close()

    one = browser()
    back = at_provider(ask(one, query))
    at_the_last_moment(idp, link)
    codes([come_back(one, back)])
    assert AuthorizationCode.objects.get().user == local
    assert PoolUser.objects.count() == 1


def test_a_link_that_is_being_made_is_waited_for(
    pool: UserPool, query: dict[str, str], provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link has its row and no commit yet: the sign-in finds no link, makes a user, and must take it back."""

    local = factories.make_user(pool, "local", None)
    one = browser()
    back = at_provider(ask(one, query))
    written = threading.Event()

    def operator() -> None:
        with transaction.atomic():
            linking.link(local, provider, "ada")
            written.set()
            deadline = time.monotonic() + 20
            while not waiting_for_a_lock() and time.monotonic() < deadline:
                time.sleep(0.01)

    def person() -> HttpResponse:
        assert written.wait(30)
        return come_back(one, back)

    acts = [person, operator]
    response, linked = at_once(lambda number: acts[number](), 2)
    assert linked is None
    codes([response])
    assert AuthorizationCode.objects.get().user == local
    assert PoolUser.objects.count() == 1


def test_a_user_who_is_disabled_while_the_provider_answers_stays_out(
    query: dict[str, str], provider: IdentityProvider, idp: OidcIdp
) -> None:
    first = browser()
    codes([come_back(first, at_provider(ask(first, query)))])

    def disable() -> None:
        PoolUser.objects.update(enabled=False)
        connection.close()

    other = browser()
    back = at_provider(ask(other, query))
    at_the_last_moment(idp, disable)
    assert outcomes([come_back(other, back)]) == {"User is disabled.": 1}


def test_a_provider_that_is_deleted_while_it_answers_makes_no_user(
    query: dict[str, str], provider: IdentityProvider, idp: OidcIdp
) -> None:
    """The sign-in ends in an error at the app, and nothing of it stays behind."""

    def delete() -> None:
        IdentityProvider.objects.all().delete()
        connection.close()

    one = browser()
    back = at_provider(ask(one, query))
    at_the_last_moment(idp, delete)
    response = come_back(one, back)
    assert sent_to_app(response)["error"] == "invalid_request"
    attempt = AuthEvent.objects.get()
    assert (attempt.reason, attempt.provider, attempt.provider_name) == ("provider_deleted", None, "Corp")
    assert (PoolUser.objects.count(), SignInSession.objects.count(), AuthorizationCode.objects.count()) == (0, 0, 0)
