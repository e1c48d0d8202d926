"""What a dead identity provider may cost: hosts that are left alone for a moment, and threads that may wait.

No specification asks for it; the rules are those of the two modules (design: a dead IdP costs a bounded time and never
a worker pool).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from types import SimpleNamespace

import pytest
from pytest_django import Settings

from federation.errors import Busy
from federation.upstream import capacity, suspension
from federation.upstream.fetching import FetchFailed

HOST, OTHER = "idp.example.test", "other.example.test"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    found = Clock()
    monkeypatch.setattr(suspension, "time", SimpleNamespace(monotonic=found.monotonic))
    suspension.forget()
    yield found
    suspension.forget()


def suspended(host: str = HOST) -> bool:
    try:
        suspension.require_answering(host)
    except FetchFailed as failed:
        return (failed.cause, failed.host) == ("suspended", host)
    return False


def fail(times: int, host: str = HOST) -> None:
    for _ in range(times):
        suspension.failed(host)


# --- suspension


def test_the_third_failure_in_a_row_suspends_a_host_and_no_other(clock: Clock) -> None:
    fail(2)
    assert not suspended()
    fail(1)
    assert suspended()
    assert not suspended(OTHER)


def test_an_answer_between_failures_starts_the_count_again(clock: Clock) -> None:
    fail(2)
    suspension.answered(HOST)
    fail(2)
    assert not suspended()


def test_failures_count_for_as_long_as_no_answer_comes(clock: Clock) -> None:
    fail(2)
    clock.now += 3600
    fail(1)
    assert suspended()


def test_after_the_moment_exactly_one_caller_tries(clock: Clock) -> None:
    fail(suspension.FAILURES)
    clock.now += suspension.MOMENT - 0.001
    assert suspended()
    clock.now += 0.001
    assert [suspended() for _ in range(4)] == [False, True, True, True]


def test_of_many_threads_one_tries(clock: Clock) -> None:
    fail(suspension.FAILURES)
    clock.now += suspension.MOMENT
    barrier = Barrier(8)

    def ask(_: int) -> bool:
        barrier.wait(60)
        return suspended()

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(ask, range(8))) == [False] + [True] * 7


def test_when_the_one_fails_the_others_wait_on(clock: Clock) -> None:
    fail(suspension.FAILURES)
    clock.now += suspension.MOMENT
    assert not suspended()
    clock.now += 3
    fail(1)
    clock.now += suspension.MOMENT - 0.001
    assert suspended(), "counted from the failure"
    clock.now += 0.001
    assert not suspended()


def test_when_the_one_never_comes_back_another_tries_after_a_moment(clock: Clock) -> None:
    fail(suspension.FAILURES)
    clock.now += suspension.MOMENT
    assert not suspended()
    clock.now += suspension.MOMENT
    assert not suspended()


def test_when_the_one_gets_an_answer_everybody_may_call(clock: Clock) -> None:
    fail(suspension.FAILURES)
    clock.now += suspension.MOMENT
    assert not suspended()
    suspension.answered(HOST)
    assert not any(suspended() for _ in range(4))


def test_made_up_hosts_do_not_fill_the_memory(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspension, "MAX_HOSTS", 3)
    for number in range(10):
        fail(suspension.FAILURES, f"host{number}")
    assert [suspended(f"host{number}") for number in range(10)] == [False] * 7 + [True] * 3


# --- capacity


def places(*providers: int) -> list[bool]:
    """Whether each of these calls, all at once, finds a place."""
    found = []
    with ExitStack() as held:
        for provider in providers:
            try:
                held.enter_context(capacity.place(provider))
            except Busy:
                found.append(False)
            else:
                found.append(True)
    return found


@pytest.mark.parametrize(
    ("total", "providers", "expected"),
    [
        (3, [1, 1, 1], [True, True, False]),  # one place is kept for another provider
        (3, [1, 1, 2], [True, True, True]),
        (3, [1, 1, 2, 2], [True, True, True, False]),
        (3, [1, 2, 3, 4], [True, True, True, False]),
        (3, [1, 1, 1, 2, 1], [True, True, False, True, False]),
        (1, [1], [True]),  # or nobody could call
        (1, [1, 2], [True, False]),
        (2, [1, 1, 2], [True, False, True]),
    ],
)
def test_so_many_may_wait_and_all_but_one_for_the_same_provider(
    settings: Settings, total: int, providers: list[int], expected: list[bool]
) -> None:
    settings.USERPOOL_UPSTREAM_CONCURRENCY = total
    assert places(*providers) == expected
    assert places(*providers) == expected, "all places are free again"


def test_a_place_is_given_back_when_the_call_fails(settings: Settings) -> None:
    settings.USERPOOL_UPSTREAM_CONCURRENCY = 1
    for _ in range(3):
        with pytest.raises(FetchFailed), capacity.place(1):
            raise FetchFailed("timeout")
    assert places(1) == [True]
    assert not capacity._held, "and nothing is left of it"


def test_who_found_no_place_gives_none_back(settings: Settings) -> None:
    settings.USERPOOL_UPSTREAM_CONCURRENCY = 1
    with capacity.place(1):
        for _ in range(3):
            assert places(1, 2) == [False, False]
    assert places(1) == [True]


def test_of_many_threads_so_many_find_a_place(settings: Settings) -> None:
    settings.USERPOOL_UPSTREAM_CONCURRENCY = 4
    asked, held = Barrier(16), Barrier(16)

    def ask(number: int) -> bool:
        asked.wait(60)
        try:
            with capacity.place(number):
                held.wait(60)
        except Busy:
            held.wait(60)
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(ask, range(16))) == 4
