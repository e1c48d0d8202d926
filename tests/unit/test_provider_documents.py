"""Discovery documents and JWKS: fetched once, kept, shared between processes, and good enough while a provider is down.

OpenID Connect Discovery 1.0 section 4 and RFC 7517 say what they are; how old a copy may be is ours
(federation/upstream/documents.py: a fresh copy serves without asking, a usable one when asking fails).
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts import directory
from accounts import documents as rows
from accounts.models import IdentityProvider, ProviderDocument, UserPool
from federation.upstream import documents
from federation.upstream.documents import DISCOVERY, JWKS, LEASE, RETRY, Kind, document
from federation.upstream.fetching import BadDocument, FetchFailed
from federation.upstream.http import MAX_BODY, Exchange
from tests import factories
from tests.fakes.server import FakeServer, Handler, Reply
from tests.needs import needs_postgresql

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
PATH = "/keys"


@pytest.fixture
def fake(settings: Settings) -> Iterator[FakeServer]:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    with FakeServer() as running:
        running.routes[PATH] = lambda call: Reply({"version": len(running.called(PATH))})
        yield running


@pytest.fixture
def corp(pool: UserPool) -> IdentityProvider:
    return factories.make_oidc_provider(pool)


def anything(body: str) -> None:
    """Finds every document usable."""


def unusable(body: str) -> None:
    raise BadDocument("It is another issuer's.")


def version(provider: IdentityProvider, fake: FakeServer, kind: Kind = JWKS, **options: Any) -> int:
    """Which edition of the document is served: the fake numbers them."""
    with Exchange() as exchange:
        found = document(provider, kind, fake.base + PATH, exchange, **{"judge": anything} | options)
        return int(json.loads(found.body)["version"])


def cause(provider: IdentityProvider, fake: FakeServer, **options: Any) -> str:
    with pytest.raises(FetchFailed) as caught:
        version(provider, fake, **options)
    return caught.value.cause


def calls(fake: FakeServer) -> int:
    return len(fake.called(PATH))


def age(by: timedelta, *names: str) -> None:
    """Let time pass for the row."""
    row = ProviderDocument.objects.get()
    for name in names or ("fetched_at", "failed_at", "claimed_until"):
        if (moment := getattr(row, name)) is not None:
            setattr(row, name, moment - by)
    row.save()
    directory.forget()


def error(handler: Handler) -> None:
    handler.reply(Reply({"error": "server_error"}, 500))


# --- a copy


def test_a_document_is_fetched_once_and_serves_while_it_is_fresh(corp: IdentityProvider, fake: FakeServer) -> None:
    for _ in range(3):
        assert version(corp, fake) == 1
    age(JWKS.fresh - SECOND)
    assert version(corp, fake) == 1
    age(2 * SECOND)
    assert version(corp, fake) == 2
    assert calls(fake) == 2


def test_a_fresh_copy_costs_no_statement_for_five_seconds(
    corp: IdentityProvider, fake: FakeServer, django_assert_num_queries: Any
) -> None:
    version(corp, fake)
    version(corp, fake)
    with django_assert_num_queries(0):
        version(corp, fake)


def test_each_kind_and_each_provider_has_a_copy_of_its_own(corp: IdentityProvider, fake: FakeServer) -> None:
    other = factories.make_oidc_provider(corp.user_pool, "Other")
    assert [version(corp, fake), version(corp, fake, DISCOVERY), version(other, fake)] == [1, 2, 3]
    assert [version(corp, fake), version(corp, fake, DISCOVERY), version(other, fake)] == [1, 2, 3]


def test_a_document_goes_with_its_provider(corp: IdentityProvider, fake: FakeServer) -> None:
    version(corp, fake)
    corp.delete()
    assert not ProviderDocument.objects.exists()


def test_a_document_belongs_to_the_address_that_it_came_from(corp: IdentityProvider, fake: FakeServer) -> None:
    version(corp, fake)
    fake.routes["/new"] = lambda call: Reply({"version": 100})
    with Exchange() as exchange:
        assert json.loads(document(corp, JWKS, f"{fake.base}/new", exchange, judge=anything).body) == {"version": 100}
    row = ProviderDocument.objects.get()
    assert (row.url, row.body) == (f"{fake.base}/new", '{"version": 100}')


def test_when_the_new_address_fails_the_old_copy_does_not_stand_in(corp: IdentityProvider, fake: FakeServer) -> None:
    """Its keys are another issuer's."""
    version(corp, fake)
    with Exchange() as exchange, pytest.raises(FetchFailed):
        document(corp, JWKS, f"{fake.base}/nowhere", exchange, judge=anything)
    row = ProviderDocument.objects.get()
    assert (row.url, row.body, row.fetched_at, row.failure) == (f"{fake.base}/nowhere", "", None, "status")
    assert version(corp, fake) == 2, "and the way back is a new fetch"


# --- failures


def hang_up(handler: Handler) -> None:
    handler.close_connection = True


FAILURES: list[tuple[Callable[[Handler], None] | Reply, tuple[str, ...]]] = [
    (Reply({"error": "x"}, 500), ("status",)),
    (Reply({"version": 9}, 404), ("status",)),
    (Reply({"version": 9}, 201), ("status",)),
    (Reply(b"<html>"), ("not_json",)),
    (Reply([{"version": 9}]), ("not_json",)),
    (Reply('{"version": 9, "x": "\u00e9"}'.encode("latin-1")), ("not_json",)),
    (Reply('{"version": 9}'.encode("utf-16")), ("not_json",)),
    (Reply('{"version": 9}'.encode("utf-32-be")), ("not_json",)),
    (Reply(b'{"version": 9, "x": "' + b"x" * MAX_BODY + b'"}'), ("too_large",)),
    (Reply({"version": 9}, headers={"Content-Encoding": "gzip"}), ("encoded",)),
    (Reply(b"", 302, {"Location": PATH}), ("redirected",)),
    (hang_up, ("connection", "protocol")),
]


@pytest.mark.parametrize(("behaviour", "causes"), FAILURES)
def test_a_stale_copy_serves_while_the_provider_fails(
    corp: IdentityProvider,
    fake: FakeServer,
    behaviour: Callable[[Handler], None] | Reply,
    causes: tuple[str, ...],
) -> None:
    version(corp, fake)
    age(JWKS.fresh + SECOND)
    fake.misbehave(PATH, behaviour)
    assert version(corp, fake) == 1
    row = ProviderDocument.objects.get()
    assert row.failure in causes
    assert row.claimed_until is None, "the turn is given back"
    before = calls(fake)
    assert version(corp, fake) == 1
    assert calls(fake) == before, "nobody asks again for a moment"
    age(RETRY, "failed_at")
    fake.misbehaviours.clear()
    assert version(corp, fake) == before + 1
    assert ProviderDocument.objects.get().failure == ""


@pytest.mark.parametrize(("behaviour", "causes"), FAILURES)
def test_without_a_copy_a_failure_is_told_and_nobody_asks_again_for_a_moment(
    corp: IdentityProvider,
    fake: FakeServer,
    behaviour: Callable[[Handler], None] | Reply,
    causes: tuple[str, ...],
) -> None:
    fake.misbehave(PATH, behaviour)
    assert cause(corp, fake) in causes
    before = calls(fake)
    assert cause(corp, fake) in causes
    assert calls(fake) == before
    age(RETRY)
    cause(corp, fake)
    assert calls(fake) > before


@pytest.mark.parametrize("kind", [DISCOVERY, JWKS])
def test_a_copy_that_is_too_old_does_not_stand_in(corp: IdentityProvider, fake: FakeServer, kind: Kind) -> None:
    version(corp, fake, kind)
    fake.misbehave(PATH, error)
    age(kind.usable - SECOND)
    assert version(corp, fake, kind) == 1
    age(RETRY + 2 * SECOND)
    assert cause(corp, fake, kind=kind) == "status"


def test_nul_is_not_stored(corp: IdentityProvider, fake: FakeServer) -> None:
    """JSON forbids U+0000 in clear, and PostgreSQL has no place for it."""
    fake.misbehave(PATH, Reply(b'{"version": 9, "x": "\x00"}'))
    assert cause(corp, fake) == "not_json"


def test_whatever_goes_wrong_the_turn_is_given_back(corp: IdentityProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Exchange):
        def get(self, *_: Any, **__: Any) -> Any:
            raise MemoryError

    with pytest.raises(MemoryError), Broken() as exchange:
        document(corp, JWKS, "https://idp.example.test/keys", exchange, judge=anything)
    assert ProviderDocument.objects.get().claimed_until is None


# --- turns


def claim(provider: IdentityProvider, fake: FakeServer, lease: timedelta = LEASE) -> bool:
    return rows.claim(provider, JWKS.name, fake.base + PATH, lease)


def test_one_has_the_turn_until_it_ends(corp: IdentityProvider, fake: FakeServer) -> None:
    url = fake.base + PATH
    assert claim(corp, fake)
    assert not claim(corp, fake)
    rows.store(corp, JWKS.name, url, "{}")
    assert claim(corp, fake)
    rows.failed(corp, JWKS.name, url, "timeout")
    assert claim(corp, fake)
    age(LEASE)
    assert claim(corp, fake), "the lease has lapsed"
    assert rows.claim(corp, JWKS.name, f"{fake.base}/new", LEASE), "a turn at another address is no turn at this one"


def during(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], None]) -> list[int]:
    """Let another process do ``steps``, one at each pause in which this one waits for it."""
    waited: list[int] = []

    def sleep(_: float) -> None:
        assert len(waited) < len(steps), "waits on though there is nothing to wait for"
        steps[len(waited)]()
        waited.append(1)

    monkeypatch.setattr(documents, "time", SimpleNamespace(sleep=sleep))
    return waited


def test_who_finds_the_turn_taken_waits_and_takes_what_was_stored(
    corp: IdentityProvider, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert claim(corp, fake)
    url = fake.base + PATH
    waited = during(monkeypatch, lambda: None, lambda: rows.store(corp, JWKS.name, url, '{"version": 7}'))
    assert version(corp, fake) == 7
    assert (len(waited), calls(fake)) == (2, 0)


def test_when_the_other_process_fails_the_waiting_one_does_not_ask_again(
    corp: IdentityProvider, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert claim(corp, fake)
    during(monkeypatch, lambda: rows.failed(corp, JWKS.name, fake.base + PATH, "tls"))
    assert cause(corp, fake) == "tls"
    assert calls(fake) == 0


def test_when_the_other_process_dies_its_turn_lapses(
    corp: IdentityProvider, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert claim(corp, fake)
    during(monkeypatch, lambda: age(LEASE))
    assert version(corp, fake) == 1


def test_with_an_old_copy_nobody_waits_for_another_process(
    corp: IdentityProvider, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    version(corp, fake)
    age(JWKS.fresh + SECOND)
    assert claim(corp, fake)
    during(monkeypatch)
    assert version(corp, fake) == 1
    assert calls(fake) == 1


def test_nobody_waits_beyond_the_deadline(
    corp: IdentityProvider, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert claim(corp, fake)
    with Exchange() as exchange:
        during(monkeypatch, lambda: setattr(exchange, "deadline", 0.0))
        with pytest.raises(FetchFailed) as caught:
            document(corp, JWKS, fake.base + PATH, exchange, judge=anything)
    assert caught.value.cause == "timeout"
    assert calls(fake) == 0


def test_a_provider_that_is_deleted_meanwhile_has_no_document(
    corp: IdentityProvider, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "store", lambda *_: ProviderDocument.objects.all().delete())
    assert cause(corp, fake) == "connection"


# --- newer than


def test_a_newer_copy_is_fetched_when_the_present_one_is_older_than_asked(
    corp: IdentityProvider, fake: FakeServer
) -> None:
    cooldown = timedelta(seconds=30)
    assert version(corp, fake) == 1
    age(cooldown - SECOND)
    assert version(corp, fake, newer_than=cooldown) == 1, "made-up key ids must not make us call"
    age(2 * SECOND)
    assert version(corp, fake, newer_than=cooldown) == 2
    assert version(corp, fake, newer_than=cooldown) == 2
    assert calls(fake) == 2


def test_where_a_newer_copy_was_asked_for_the_old_one_is_no_answer(corp: IdentityProvider, fake: FakeServer) -> None:
    version(corp, fake)
    age(timedelta(minutes=1))
    fake.misbehave(PATH, error)
    assert cause(corp, fake, newer_than=timedelta(seconds=30)) == "status"
    assert version(corp, fake) == 1, "for everybody else it is"


# --- all at once


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_of_fifty_who_need_it_at_once_one_fetches(corp: IdentityProvider, fake: FakeServer) -> None:
    barrier = Barrier(50)

    def ask(_: int) -> int:
        try:
            barrier.wait(60)
            return version(corp, fake)
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as threads:
        assert set(threads.map(ask, range(50))) == {1}
    assert calls(fake) == 1


def test_a_document_is_younger_than_its_age() -> None:
    now = timezone.now()
    assert rows.younger_than(now, SECOND)
    assert not rows.younger_than(now - SECOND, SECOND)
    assert not rows.younger_than(None, SECOND)


def test_a_document_that_cannot_be_used_replaces_no_good_one(
    corp: IdentityProvider, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert version(corp, fake) == 1
    ProviderDocument.objects.update(fetched_at=timezone.now() - JWKS.fresh)
    directory.forget()
    assert version(corp, fake, judge=unusable) == 1
    assert len(fake.called(PATH)) == 2
    assert ProviderDocument.objects.get().failure == "unusable"
    # and once it is mended, the next who asks after a moment gets it
    ProviderDocument.objects.update(failed_at=timezone.now() - RETRY)
    assert version(corp, fake) == 3


def test_a_first_document_that_cannot_be_used_is_not_kept(corp: IdentityProvider, fake: FakeServer) -> None:
    assert cause(corp, fake, judge=unusable) == "unusable"
    assert not ProviderDocument.objects.get().body
    assert cause(corp, fake) == "unusable", "for a moment nobody asks again"
    ProviderDocument.objects.update(failed_at=timezone.now() - RETRY)
    assert version(corp, fake) == 2
