"""The counts by hour behind the dashboard: made from the events, never added to, and they outlive them.

A job may come late, twice or on two workers (celery/userguide/tasks: a message is delivered at least once).
"""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts import cleanup, event_counts, tasks
from accounts.models import AuthEvent, EventCount, JobRun, UserPool
from accounts.models.events import EventType, Outcome
from tests import factories

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def at(moment: datetime, pool: UserPool, number: int = 1, **values: Any) -> None:
    defaults: dict[str, Any] = {"event_type": EventType.SIGN_IN, "outcome": Outcome.SUCCEEDED}
    for _ in range(number):
        row = AuthEvent.objects.create(user_pool=pool, **defaults | values)
        AuthEvent.objects.filter(pk=row.pk).update(at=moment)


def counts() -> list[tuple[Any, ...]]:
    rows = EventCount.objects.order_by("hour", "user_pool__name", "reason", "provider_name")
    return [(row.hour, row.user_pool.name, row.provider_name, row.outcome, row.reason, row.count) for row in rows]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_to(moment: datetime) -> None:
        monkeypatch.setattr(timezone, "now", lambda: moment)

    set_to(NOON + HOUR / 2)
    return set_to


def test_events_are_counted_by_the_hour_the_pool_and_what_they_were(pool: UserPool, clock: Any) -> None:
    other = factories.make_pool(name="poor other")
    at(NOON - HOUR, pool, 2)
    at(NOON - timedelta(microseconds=1), pool, provider_name="Corp")
    at(NOON, pool, outcome=Outcome.REFUSED, reason="incorrect")
    at(NOON + HOUR / 4, other, 3)
    assert event_counts.count() == 7
    assert counts() == [
        (NOON - HOUR, pool.name, "", "succeeded", "", 2),
        (NOON - HOUR, pool.name, "Corp", "succeeded", "", 1),
        (NOON, pool.name, "", "refused", "incorrect", 1),
        (NOON, "poor other", "", "succeeded", "", 3),
    ]


def test_counting_twice_is_counting_once(pool: UserPool, clock: Any) -> None:
    at(NOON, pool, 5)
    for _ in range(3):
        tasks.count_events()
    assert [row[-1] for row in counts()] == [5]


def test_a_late_job_counts_the_hours_between_and_no_others(pool: UserPool, clock: Any) -> None:
    at(NOON - 30 * HOUR, pool)
    tasks.count_events()
    EventCount.objects.all().delete()  # to see what is counted again
    at(NOON + 2 * HOUR, pool)
    at(NOON + 26 * HOUR, pool, 2)
    clock(NOON + 26 * HOUR + HOUR / 2)
    tasks.count_events()
    assert [(row[0], row[-1]) for row in counts()] == [(NOON + 2 * HOUR, 1), (NOON + 26 * HOUR, 2)]


def test_an_hour_is_counted_again_for_ten_minutes_after_its_end(pool: UserPool, clock: Any) -> None:
    """A transaction that began in it may end after it."""
    clock(NOON + timedelta(minutes=59))
    tasks.count_events()
    at(NOON + timedelta(minutes=59), pool)
    clock(NOON + HOUR + timedelta(minutes=5))
    tasks.count_events()
    assert [row[-1] for row in counts()] == [1]


def test_counts_outlive_their_events_and_go_after_400_days(pool: UserPool, clock: Any) -> None:
    at(NOON, pool, 3)
    tasks.count_events()
    clock(NOON + 31 * DAY)
    tasks.count_events()
    cleanup.purge_expired()
    assert not AuthEvent.objects.exists()
    assert [row[-1] for row in counts()] == [3]
    clock(NOON + 400 * DAY - HOUR)
    cleanup.purge_expired()
    assert EventCount.objects.count() == 1
    clock(NOON + 400 * DAY)
    cleanup.purge_expired()
    assert not EventCount.objects.exists()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_end_at_the_same_counts(pool: UserPool) -> None:
    now = timezone.now()
    at(now, pool, 4)
    JobRun.objects.all().delete()
    together, failures = Barrier(4), []

    def work() -> None:
        try:
            together.wait()
            for _ in range(10):
                event_counts.count()
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)
        finally:
            connection.close()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(EventCount.objects.values_list("count", flat=True)) == 4
