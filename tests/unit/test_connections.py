"""A kept connection that PostgreSQL has ended costs nobody a request.

https://www.postgresql.org/docs/current/protocol-flow.html: the server says why it ends a connection, and hangs up.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.core.signals import request_started
from django.db import OperationalError, close_old_connections, connection
from django.test.utils import CaptureQueriesContext

from accounts import connections, jobs
from accounts.management.commands import run_jobs
from tests.needs import needs_postgresql

pytestmark = [needs_postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    connection.close()
    yield
    connection.close()


def ask() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def end(pid: int) -> None:
    """End a connection from another one, and wait until it is gone."""
    settings = connection.settings_dict
    target = {"host": settings["HOST"], "port": settings["PORT"] or None, "user": settings["USER"]}
    target |= {"password": settings["PASSWORD"] or None, "dbname": settings["NAME"]}
    with psycopg.connect(**{name: value for name, value in target.items() if value}, autocommit=True) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchone() == (True,)


def test_a_request_after_the_end_of_its_connection_gets_a_new_one() -> None:
    first = ask()
    end(first)
    request_started.send(sender=object)
    assert ask() != first


def test_without_that_the_request_would_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_has_been_told", lambda raw: False)
    end(ask())
    request_started.send(sender=object)
    with pytest.raises(OperationalError):
        ask()


def test_a_connection_that_lives_is_kept_and_is_not_asked() -> None:
    first = ask()
    with CaptureQueriesContext(connection) as queries:
        connections.drop_dead()
    assert len(queries) == 0
    assert ask() == first


def test_one_that_was_closed_here_is_no_error() -> None:
    ask()
    connection.connection.close()
    connections.drop_dead()
    assert ask()


def test_nothing_is_taken_away_inside_a_transaction() -> None:
    ask()
    connection.in_atomic_block = True
    try:
        connection.connection.close()
        connections.drop_dead()
        assert connection.connection is not None
    finally:
        connection.in_atomic_block = False
        close_old_connections()


def test_jobs_that_run_for_ever_outlive_their_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """README, "In production": ``manage.py run_jobs --forever`` in one process."""
    rounds: list[str] = []
    stop: list[Any] = []

    def due() -> list[jobs.Job]:
        rounds.append("asked")
        if len(rounds) == 1:
            end(ask())
        if len(rounds) == 3:
            stop[0](15, None)
        ask()  # fails in the first round
        rounds[-1] = "answered"
        return []

    monkeypatch.setattr(run_jobs, "TICK", 0)
    monkeypatch.setattr(run_jobs.signal, "signal", lambda number, handler: stop.append(handler))
    monkeypatch.setattr(jobs, "due", due)
    call_command("run_jobs", "--forever")
    assert rounds == ["asked", "answered", "answered"]
