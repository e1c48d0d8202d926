"""Counting: windows, what processes tell one another, and a Redis that is away.

W 1.4 (Cognito's quotas: requests per second per address, per app client, per domain). Issue 5: shared through Redis,
per process without it; Redis away: sign-ins and tokens go on. Clocks are set by hand, and Redis' windows are long.
"""

import logging
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Barrier, Thread
from typing import Any

import pytest
from django.conf import settings as configured

from accounts import rate_limits, shared_counts
from accounts.rate_limits import Limiter
from accounts.shared_counts import SharedCounts
from tests import services
from tests.needs import needs_redis
from tests.services import free_port, redis_server


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def long_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So long that no machine is too slow for a test."""
    monkeypatch.setattr(rate_limits, "WINDOW", 600.0)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine is no Redis that hangs."""
    monkeypatch.setattr(shared_counts, "TIMEOUT", 10.0)


def allowed(limiter: Limiter, times: int, limit: int, shared: SharedCounts | None = None, key: str = "k") -> int:
    return sum(limiter.hit(key, limit, shared) for _ in range(times))


def test_a_window_holds_the_limit_and_the_next_one_begins_anew() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    assert allowed(limiter, 10, limit=3) == 3
    clock.now += 0.999
    assert allowed(limiter, 10, limit=3) == 0
    clock.now += 0.001
    assert allowed(limiter, 10, limit=3) == 3


def test_keys_do_not_know_one_another_and_a_refusal_is_noted_once_a_window() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    allowed(limiter, 3, limit=2, key="a")
    assert (limiter.full("a", 2), limiter.full("b", 2), limiter.full("a", 3)) == (True, False, False)
    assert allowed(limiter, 3, limit=2, key="b") == 2
    assert [limiter.first_refusal("a"), limiter.first_refusal("a"), limiter.first_refusal("never")] == [1, 0, 0]
    clock.now += 1
    assert not limiter.full("a", 2)
    allowed(limiter, 3, limit=2, key="a")
    assert limiter.first_refusal("a")


def test_a_million_addresses_take_no_more_memory_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_COUNTS", 1000)
    limiter = Limiter(Clock())
    for n in range(20_000):
        assert limiter.hit(f"a{n}", 1, None)
    assert len(limiter) == 1000
    assert not limiter.hit("a19999", 1, None)  # the newest are known still


def test_threads_of_one_process_together_get_the_limit() -> None:
    limiter, barrier = Limiter(Clock()), Barrier(8)
    passed: list[int] = []

    def hammer() -> None:
        barrier.wait()
        passed.append(allowed(limiter, 200, limit=500))

    threads = [Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 500


# --- shared through Redis


@needs_redis
@pytest.mark.usefixtures("long_windows", "patient")
@pytest.mark.parametrize(("limit", "processes"), [(10, 2), (300, 2), (300, 4), (7, 3)])
def test_processes_together_get_the_limit_and_a_twentieth_more_for_each_at_most(limit: int, processes: int) -> None:
    """What each has not told yet is the overrun; of a small limit it tells every request, and there is none."""
    limiters = [Limiter() for _ in range(processes)]
    shared = [SharedCounts(configured.REDIS_URL) for _ in range(processes)]  # connections of their own
    passed = sum(
        limiter.hit("k", limit, counts) for _ in range(limit) for limiter, counts in zip(limiters, shared, strict=True)
    )
    assert limit <= passed <= limit + processes * (limit // 20)
    assert allowed(Limiter(), 100, limit, shared[0]) <= max(limit // 20, 0)  # one that comes later learns of it


@needs_redis
@pytest.mark.usefixtures("long_windows", "patient")
def test_only_who_asks_often_costs_a_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, trips = SharedCounts(configured.REDIS_URL), []
    add = shared.add
    monkeypatch.setattr(shared, "add", lambda *given: trips.append(given) or add(*given))
    limiter = Limiter()
    allowed(limiter, 14, 300, shared)
    assert trips == []
    assert allowed(limiter, 1000, 300, shared) == 286
    assert [amount for _, amount, _ in trips] == [15] * 20  # and none for what is refused


@needs_redis
@pytest.mark.usefixtures("long_windows", "patient")
def test_a_window_ends_for_all_when_redis_says_so() -> None:
    """The window is the one of the first who told; machines whose clocks differ share it all the same."""
    early, late = Clock(), Clock()
    late.now += 5_000_000
    shared = SharedCounts(configured.REDIS_URL)
    first, second = Limiter(early), Limiter(late)
    assert allowed(first, 10, 10, shared) == 10
    assert allowed(second, 10, 10, shared) == 0
    shared.forget("rate:k")  # it ended
    assert allowed(second, 10, 10, shared) == 0  # known to last
    late.now += 600.1
    assert allowed(second, 10, 10, shared) == 10


@needs_redis
@pytest.mark.usefixtures("long_windows", "patient")
def test_who_comes_late_into_a_window_leaves_it_with_the_others() -> None:
    clock, shared = Clock(), SharedCounts(configured.REDIS_URL)
    shared.add("rate:k", 5, 200)  # somebody else's window, with less time left than one of our own has
    limiter = Limiter(clock)
    assert allowed(limiter, 10, 10, shared) == 5
    shared.forget("rate:k")
    clock.now += 201
    assert allowed(limiter, 10, 10, shared) == 10


@needs_redis
@pytest.mark.usefixtures("patient")
def test_no_count_stands_for_ever_and_none_falls_below_nought() -> None:
    shared = SharedCounts(configured.REDIS_URL)
    assert shared.add("k", 3, 600) is not None
    count, left = shared.add("k", -5, 1) or (None, 0.0)
    assert count == 0
    assert 0 < left <= 600
    shared.forget("k")
    count, left = shared.add("k", -5, 100) or (None, 0.0)
    assert count == 0
    assert 0 < left <= 100
    assert shared._client.ttl("userpool:k") > 0


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield int(listener.getsockname()[1])


@pytest.fixture(params=["nobody listens", "it never answers"])
def absent(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a Redis that is away."""
    if request.param == "nobody listens":
        yield f"redis://127.0.0.1:{free_port()}/0"
        return
    with silent() as port:
        yield f"redis://127.0.0.1:{port}/0"


def test_without_redis_every_process_allows_the_limit(absent: str, caplog: pytest.LogCaptureFixture) -> None:
    shared, asked = SharedCounts(absent), []
    execute = shared._client.connection_pool.get_connection
    shared._client.connection_pool.get_connection = lambda *a, **b: asked.append(1) or execute(*a, **b)
    with caplog.at_level(logging.WARNING):
        assert allowed(Limiter(Clock()), 100, 40, shared) == 40
        assert allowed(Limiter(Clock()), 100, 40, shared) == 40
    assert len(asked) == 1  # it is left alone for a while, whoever asks
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        "Redis is away: each process counts by itself"
    ]


def test_after_the_pause_one_request_looks_whether_redis_is_back(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    shared, answers = SharedCounts(absent, clock), []
    pool = shared._client.connection_pool
    connect = pool.get_connection

    def get_connection(*given: Any, **named: Any) -> Any:
        answers.append(shared.add("another request, meanwhile", 1, 1) if len(answers) else "first")
        return connect(*given, **named)

    monkeypatch.setattr(pool, "get_connection", get_connection)
    assert [shared.add("k", 1, 1), shared.add("k", 1, 1)] == [None, None]
    clock.now += shared_counts.PAUSE
    assert [shared.add("k", 1, 1), shared.add("k", 1, 1)] == [None, None]
    assert answers == ["first", None]


@needs_redis
@pytest.mark.usefixtures("long_windows", "patient")
def test_a_redis_that_dies_and_comes_back_is_used_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing fails meanwhile, and what was counted meanwhile is told afterwards."""
    program = shutil.which("redis-server")
    assert program
    monkeypatch.setattr(shared_counts, "PAUSE", 0.0)
    limiter = Limiter()
    port = free_port()
    monkeypatch.setattr(services, "free_port", lambda: port)  # it comes back where it was
    with redis_server(program) as url:
        shared = SharedCounts(url)
        assert allowed(limiter, 5, 20, shared) == 5
        assert (shared.add("rate:k", 0, 600) or (0, 0))[0] == 5
    with caplog.at_level(logging.WARNING):
        assert allowed(limiter, 5, 20, shared) == 5
    with redis_server(program):
        with caplog.at_level(logging.WARNING):
            assert allowed(limiter, 20, 20, shared) == 10
        assert (shared.add("rate:k", 0, 600) or (0, 0))[0] == 15  # five of before the restart are gone with it
    words = [record.getMessage().split(" (")[0] for record in caplog.records if record.name == "userpool.redis"]
    assert words == ["Redis is away: each process counts by itself", "Redis is back"]


def test_without_redis_url_there_is_nothing_shared(settings: Any) -> None:
    settings.REDIS_URL = ""
    assert shared_counts.shared() is None
