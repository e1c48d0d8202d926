"""How long a pool keeps its events and its audit trail: its own affair, one pool's never another's."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import cleanup, retention
from accounts.models import AuditEvent, AuthEvent, EventCount, UserPool
from tests import console, factories

pytestmark = pytest.mark.django_db
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def event(pool: UserPool, age: timedelta) -> None:
    row = AuthEvent.objects.create(user_pool=pool, outcome="succeeded")
    AuthEvent.objects.filter(pk=row.pk).update(at=timezone.now() - age)


def change(pool_id: str, age: timedelta, name: str = "") -> None:
    row = AuditEvent.objects.create(user_pool=pool_id, actor=name or "ada", action="changed", target_type="x")
    AuditEvent.objects.filter(pk=row.pk).update(at=timezone.now() - age)


def left(model: Any, pool_id: str) -> int:
    return int(model.objects.filter(user_pool=pool_id).count())


def test_each_pool_keeps_its_events_as_long_as_it_says(pool: UserPool) -> None:
    short = factories.make_pool(name="short", event_retention_days=1)
    for one in (pool, short):
        for age in (30 * DAY + SECOND, 30 * DAY - SECOND * 60, 2 * DAY, DAY - SECOND * 60):
            event(one, age)
    assert cleanup.purge_expired()["AuthEvent"] == 4
    assert (left(AuthEvent, pool.pk), left(AuthEvent, short.pk)) == (3, 1)
    assert cleanup.purge_expired()["AuthEvent"] == 0


def test_the_audit_trail_is_kept_for_a_year_or_as_the_pool_says_or_for_ever(pool: UserPool) -> None:
    short = factories.make_pool(name="short", audit_retention_days=7)
    for_ever = factories.make_pool(name="for ever", audit_retention_days=0)
    for pool_id in (pool.pk, short.pk, for_ever.pk, "", "eu-west-1_Deleted01"):
        for age in (4000 * DAY, 366 * DAY, 364 * DAY, 6 * DAY):
            change(pool_id, age)
    assert cleanup.purge_expired()["AuditEvent"] == 2 + 3 + 0 + 2 + 2
    found = {one: left(AuditEvent, one) for one in (pool.pk, short.pk, for_ever.pk, "", "eu-west-1_Deleted01")}
    assert list(found.values()) == [2, 1, 4, 2, 2]


def test_many_go_in_batches_and_one_look_finds_nothing(pool: UserPool) -> None:
    AuthEvent.objects.bulk_create(AuthEvent(user_pool=pool, outcome="succeeded") for _ in range(25))
    AuthEvent.objects.update(at=timezone.now() - 40 * DAY)
    with CaptureQueriesContext(connection) as queries:
        assert retention.purge(timezone.now(), batch=10)["AuthEvent"] == 25
    deletions = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
    assert len(deletions) == 3
    event(pool, DAY)
    with CaptureQueriesContext(connection) as queries:
        retention.purge(timezone.now(), batch=10)
    assert sum("accounts_authevent" in query["sql"] for query in queries) == 1


def test_one_that_a_fast_clock_wrote_shields_nobody(pool: UserPool) -> None:
    for age in (-DAY, 31 * DAY, 31 * DAY, DAY, 31 * DAY):
        event(pool, age)
    assert retention.purge(timezone.now(), batch=2)["AuthEvent"] == 3
    assert left(AuthEvent, pool.pk) == 2


def test_the_backlog_is_counted_no_further_than_it_matters(pool: UserPool) -> None:
    factories.make_pool(name="empty")
    for age in (40 * DAY, 31 * DAY, DAY):
        event(pool, age)
    assert retention.backlog(timezone.now(), 100).count() == 2
    assert retention.backlog(timezone.now(), 1).count() == 1
    UserPool.objects.update(event_retention_days=35)
    assert retention.backlog(timezone.now(), 100).count() == 1


def test_djangos_own_history_of_the_console_is_kept_for_a_year(pool: UserPool) -> None:
    operator = console.operator()
    for age in (400 * DAY, 366 * DAY, 364 * DAY):
        row = LogEntry.objects.log_actions(operator.pk, [pool], CHANGE, "x", single_object=True)
        LogEntry.objects.filter(pk=row.pk).update(action_time=timezone.now() - age)
    assert cleanup.purge_expired(batch=1)["LogEntry"] == 2
    assert LogEntry.objects.count() == 1


def test_the_counts_by_hour_go_after_400_days(pool: UserPool) -> None:
    for age in (402 * DAY, 401 * DAY, 399 * DAY):
        hour = (timezone.now() - age).replace(minute=0, second=0, microsecond=0)
        EventCount.objects.create(user_pool=pool, hour=hour, event_type="SignIn", outcome="succeeded", count=1)
    assert cleanup.purge_expired(batch=1)["EventCount"] == 2
    assert EventCount.objects.count() == 1
