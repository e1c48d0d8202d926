"""The in-process cache of configuration: how old, how many, and what clears it.

Design D6: bounded age (5 s), cleared at once by a write of the same process, bounded in size; what is not there is
remembered as well. Nothing of a transaction that is rolled back may be seen.
"""

import sys
import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts import directory, signing
from accounts.models import AppClient, IdentityProvider, UserPool, UserPoolDomain
from tests import factories

HOST = "demo.auth.example.test"


class Clock:
    """Stands for the time module inside the directory."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(directory, "time", fake)
    return fake


def statements(action: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        action()
    return len(captured)


LOOKUPS: dict[str, Callable[[UserPool], object]] = {
    "pool by id": lambda pool: directory.pool_by_id(pool.pk),
    "pool by prefix domain": lambda pool: directory.pool_by_host(HOST),
    "client": lambda pool: directory.app_client(pool, "1exampleclient23456789abcd"),
    "keys": lambda pool: directory.signing_keys(pool),
    "no such pool": lambda pool: directory.pool_by_id("eu-west-1_Nobody001"),
    "no such host": lambda pool: directory.pool_by_host("nobody.auth.example.test"),
    "no such client": lambda pool: directory.app_client(pool, "nobody"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("lookup", LOOKUPS.values(), ids=LOOKUPS)
def test_an_answer_is_kept_for_five_seconds_and_not_longer(
    lookup: Callable[[UserPool], object], clock: Clock, pool: UserPool, app_client: AppClient
) -> None:
    assert statements(lambda: lookup(pool)) > 0
    clock.now += 4.9
    assert statements(lambda: lookup(pool)) == 0
    clock.now += 0.1
    assert statements(lambda: lookup(pool)) > 0
    assert directory.MAX_AGE <= 5


@pytest.mark.django_db
def test_reading_an_entry_does_not_make_it_younger(clock: Clock, pool: UserPool) -> None:
    directory.pool_by_id(pool.pk)
    for _ in range(4):
        clock.now += 1.2
        assert statements(lambda: directory.pool_by_id(pool.pk)) == 0
    clock.now += 0.3
    assert statements(lambda: directory.pool_by_id(pool.pk)) > 0


@pytest.mark.django_db
@pytest.mark.parametrize("pool_id", ["x" * 56, "eu\x00west_1", "a" * 100_000])
def test_an_id_that_cannot_be_is_neither_asked_for_nor_kept(pool_id: str, pool: UserPool) -> None:
    directory.forget()
    for lookup in (
        lambda: directory.pool_by_id(pool_id),
        lambda: directory.app_client(pool, pool_id * 3),
        lambda: directory.app_client(pool, ""),
    ):
        assert statements(lookup) == 0
        assert lookup() is None
    assert not directory._entries


@pytest.mark.django_db
def test_a_client_is_found_in_its_own_pool_only(pool: UserPool, app_client: AppClient) -> None:
    other = factories.make_pool()
    found = directory.app_client(pool, app_client.client_id)
    assert found is not None
    assert directory.app_client(other, app_client.client_id) is None
    assert directory.app_client(pool, app_client.client_id.upper()) is None


def rename_pool(pool: UserPool, client: AppClient, provider: IdentityProvider) -> None:
    pool.name = "renamed"
    pool.save()


def rename_domain(pool: UserPool, client: AppClient, provider: IdentityProvider) -> None:
    UserPoolDomain.objects.get(user_pool=pool).delete()


def edit_client(pool: UserPool, client: AppClient, provider: IdentityProvider) -> None:
    client.redirect_uris = "https://elsewhere.example.test/"
    client.save()


def add_secret(pool: UserPool, client: AppClient, provider: IdentityProvider) -> None:
    client.add_secret()


def delete_client(pool: UserPool, client: AppClient, provider: IdentityProvider) -> None:
    client.delete()


def add_resource_server(pool: UserPool, client: AppClient, provider: IdentityProvider) -> None:
    factories.make_resource_server(pool)


def edit_provider(pool: UserPool, client: AppClient, provider: IdentityProvider) -> None:
    provider.idp_identifiers = ["corp.example.test"]
    provider.save()


def give_provider(pool: UserPool, client: AppClient, provider: IdentityProvider) -> None:
    client.identity_providers.add(provider)


def give_provider_from_the_other_side(pool: UserPool, client: AppClient, provider: IdentityProvider) -> None:
    provider.app_clients.add(client)


def rotate_keys(pool: UserPool, client: AppClient, provider: IdentityProvider) -> None:
    signing.rotate(pool, at_once=True)


WRITES = [
    rename_pool,
    rename_domain,
    edit_client,
    add_secret,
    delete_client,
    add_resource_server,
    edit_provider,
    give_provider,
    give_provider_from_the_other_side,
    rotate_keys,
]


def seen(pool_id: str) -> tuple[object, ...]:
    """Everything that the directory says of a pool and its client, as plain values."""
    pool, by_host = directory.pool_by_id(pool_id), directory.pool_by_host(HOST)
    assert pool is not None
    client = directory.app_client(pool, "1exampleclient23456789abcd")
    return (
        pool.name,
        by_host and by_host.name,
        [server.identifier for server in pool.resource_servers.all()],
        [provider.idp_identifiers for provider in pool.identity_providers.all()],
        client and (client.callback_urls, client.secret_digests, [found.provider_name for found in client.providers]),
        [key.kid for key in directory.signing_keys(pool)],
    )


@pytest.fixture
def provider(pool: UserPool) -> IdentityProvider:
    return factories.make_oidc_provider(pool)


Write = Callable[[UserPool, AppClient, IdentityProvider], None]


@pytest.mark.django_db
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_a_write_of_this_process_is_seen_at_once(
    write: Write, pool: UserPool, app_client: AppClient, provider: IdentityProvider
) -> None:
    before = seen(pool.pk)
    assert statements(lambda: seen(pool.pk)) == 0
    write(pool, app_client, provider)
    assert seen(pool.pk) != before


@pytest.mark.django_db
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_a_write_is_seen_inside_its_transaction_and_forgotten_with_it(
    write: Write, pool: UserPool, app_client: AppClient, provider: IdentityProvider
) -> None:
    before = seen(pool.pk)
    with transaction.atomic():
        write(pool, app_client, provider)
        assert seen(pool.pk) != before
        assert statements(lambda: seen(pool.pk)) == 0  # what the transaction reads again costs nothing either
        transaction.set_rollback(True)
    assert seen(pool.pk) == before


@pytest.mark.django_db(transaction=True)
def test_a_write_is_seen_after_its_commit() -> None:
    pool = factories.make_pool("demo")
    assert directory.pool_by_id(pool.pk) is not None
    with transaction.atomic():
        rename = UserPool.objects.get(pk=pool.pk)
        rename.name = "renamed"
        rename.save()
    found = directory.pool_by_id(pool.pk)
    assert found is not None
    assert found.name == "renamed"
    assert statements(lambda: directory.pool_by_id(pool.pk)) == 0


def test_a_value_that_was_read_before_a_write_is_not_kept_after_it() -> None:
    def load() -> str:
        directory.forget()  # another thread wrote while this one was reading
        return "old"

    assert directory.remember("slow", load) == "old"
    assert directory.remember("slow", lambda: "new") == "new"


def test_a_failed_look_up_is_not_kept() -> None:
    def fail() -> str:
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError):
        directory.remember("key", fail)
    assert directory.remember("key", lambda: "there") == "there"


def test_the_oldest_entries_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MAX_ENTRIES", 3)
    for number in range(10):
        directory.remember(number, lambda: number)  # noqa: B023 - called at once
    assert list(directory._entries) == [7, 8, 9]


def test_a_renewed_entry_is_a_young_one(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(directory, "MAX_ENTRIES", 2)
    directory.remember("a", lambda: 1)
    clock.now += 3
    directory.remember("b", lambda: 1)
    clock.now += 3
    directory.remember("a", lambda: 2)  # too old: read again
    directory.remember("c", lambda: 1)
    assert list(directory._entries) == ["a", "c"]


@pytest.mark.django_db
def test_made_up_names_fill_no_memory(monkeypatch: pytest.MonkeyPatch, pool: UserPool) -> None:
    monkeypatch.setattr(directory, "MAX_ENTRIES", 50)
    for number in range(200):
        assert directory.app_client(pool, f"nobody{number}") is None
        assert directory.pool_by_host(f"nobody{number}.test") is None
    assert len(directory._entries) <= 50


def test_a_full_cache_serves_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MAX_ENTRIES", 20)
    problems: list[BaseException] = []

    def ask(offset: int) -> None:
        try:
            for number in range(3000):
                key = (offset * 7 + number) % 97
                assert directory.remember(key, lambda: key) == key  # noqa: B023 - called at once
                if number % 500 == 0:
                    directory.forget()
        except BaseException as problem:  # noqa: BLE001 - a thread's failure is reported by the test
            problems.append(problem)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ask, args=(offset,)) for offset in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert problems == []
    assert len(directory._entries) <= 20
