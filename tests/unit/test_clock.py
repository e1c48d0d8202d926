"""Processes whose clocks differ agree upon the database's.

RFC 6749 4.1.2: a code is short-lived, and that by one clock. RFC 9700 4.14.2: a retry in time is no reuse.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.signals import request_started
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts import clock, jobs
from accounts.models import AppClient, AuthorizationCode, PoolUser, RefreshToken, UserPool
from accounts.models.grants import Grant, Subject, new_id
from tests import factories

TRUE_NOW = timezone.now


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    yield
    clock._offset, clock._due = timedelta(), 0.0


def wrong_by(monkeypatch: pytest.MonkeyPatch, error: timedelta) -> None:
    """Be a process whose clock is ahead by ``error``, which has compared it as far as it does."""
    monkeypatch.setattr(timezone, "now", lambda: TRUE_NOW() + error)
    clock.measure()


def close(moment: datetime) -> bool:
    return abs(moment - TRUE_NOW()) < timedelta(seconds=5)


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("minutes", [-600, -6, 6, 600])
def test_a_clock_that_is_wrong_is_set_right_by_the_databases(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    wrong_by(monkeypatch, timedelta(minutes=minutes))
    assert close(clock.now())
    monkeypatch.setattr(timezone, "now", TRUE_NOW)
    clock.measure()  # somebody has set the machine's clock
    assert close(clock.now())


@pytest.mark.postgresql
@pytest.mark.django_db
def test_a_clock_that_keeps_time_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_by(monkeypatch, timedelta(milliseconds=200))
    assert clock._offset == timedelta()


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_code_of_one_process_is_fresh_at_another_whose_clock_is_minutes_off(
    monkeypatch: pytest.MonkeyPatch, app_client: AppClient, user: PoolUser, minutes: int
) -> None:
    values = {"redirect_uri": factories.CALLBACK, "scope": "openid", "auth_time": clock.now()}
    code = AuthorizationCode.issue(app_client=app_client, user=user, **values)
    wrong_by(monkeypatch, timedelta(minutes=minutes))
    presented = AuthorizationCode.present(code, app_client)
    assert presented is not None
    assert presented.live


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_retry_at_a_process_whose_clock_is_minutes_off_is_no_theft(
    monkeypatch: pytest.MonkeyPatch, pool: UserPool, user: PoolUser, minutes: int
) -> None:
    client = factories.make_client(pool, refresh_token_rotation=True, retry_grace_period_seconds=60)
    token = RefreshToken.open(Grant(Subject.of(user), "openid", clock.now(), new_id(), new_id(), "", ""), client)
    first = RefreshToken.present(token, client)
    assert first is not None
    successor = RefreshToken.rotate(first, token)
    wrong_by(monkeypatch, timedelta(minutes=minutes))
    again = RefreshToken.present(token, client)
    assert again is not None
    assert (again.live, again.reused, again.replaced_by) == (True, False, successor)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_process_compares_before_a_request_once_a_minute(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.USERPOOL_CLOCK_SECONDS = 60
    seen: list[str] = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        for _ in range(5):
            request_started.send(sender=None, environ={})
        assert seen == ["SELECT clock_timestamp()"]
        monkeypatch.setattr(clock, "_due", 0.0)
        clock.keep()
    assert len(seen) == 2


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_changes_nothing(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.USERPOOL_CLOCK_SECONDS = 60
    monkeypatch.setattr(clock, "_offset", timedelta(minutes=3))

    def away(*_: Any) -> None:
        raise DatabaseError

    with connection.execute_wrapper(away):
        clock.keep()
    assert clock._offset == timedelta(minutes=3)


@pytest.mark.django_db
def test_sqlite_is_asked_nothing(settings: Any, django_assert_num_queries: Any) -> None:
    if connection.vendor == "postgresql":
        pytest.skip("on SQLite")
    settings.USERPOOL_CLOCK_SECONDS = 60
    with django_assert_num_queries(0):
        clock.keep()


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("minutes", [-60, 60])
def test_a_worker_whose_clock_is_wrong_takes_nobodys_turn(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """A lease of half an hour is one by every worker's clock: of a job, and of a mail that is being sent."""
    assert jobs._claim("purge_expired", clock.now(), jobs.LEASE)
    wrong_by(monkeypatch, timedelta(minutes=minutes))
    assert jobs.recorded(purge_expired)() is None


def purge_expired() -> int:
    return 1
