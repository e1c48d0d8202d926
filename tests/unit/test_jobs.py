"""The scheduled jobs: each is on record, takes turns, and runs without Celery as well.

Issue 5: idempotent, safe on two workers, visible (last run, next run, result, lag); without Redis by cron or in one
process. When a crontab is due, Celery says: https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html
"""

import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from celery import current_app
from celery.schedules import crontab
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import jobs, tasks
from accounts.admin.jobs import state
from accounts.models import JobRun
from tests import factories
from tests.needs import needs_postgresql
from tests.security.test_races import at_once

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def run_of(name: str = "purge_expired") -> JobRun:
    return JobRun.objects.get(name=name)


def job(name: str = "purge_expired") -> jobs.Job:
    found = jobs.by_name(name)
    assert found is not None
    return found


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("accounts.cleanup.purge_expired", fail)


def test_every_job_of_the_schedule_is_recorded_and_has_a_row() -> None:
    """A migration makes the rows, so that a job that never ran is seen as well."""
    current_app.loader.import_default_modules()
    names = {found.name for found in jobs.scheduled()}
    assert names == set(JobRun.objects.values_list("name", flat=True))
    assert len(names) == len(settings.CELERY_BEAT_SCHEDULE)
    for found in jobs.scheduled():
        assert hasattr(current_app.tasks[found.task].run, "__wrapped__"), found.task


def test_a_run_is_written_down() -> None:
    before = timezone.now()
    counted = tasks.purge_expired()
    run = run_of()
    assert run.result == counted
    assert run.started_at is not None
    assert before <= run.started_at <= timezone.now()
    assert run.succeeded_at == run.started_at
    assert run.finished_at is not None
    assert (run.running_until, run.failure) == (None, "")
    assert state(run) == "done"


def test_a_count_alone_is_a_result_too() -> None:
    factories.make_pool()
    tasks.rotate_signing_keys()
    assert run_of("rotate_signing_keys").result == {"count": 0}


@pytest.mark.usefixtures("failing")
def test_a_failure_is_written_down_raised_and_over_with_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError):
        tasks.purge_expired()
    run = run_of()
    assert (run.failure, run.succeeded_at, run.running_until) == ("RuntimeError", None, None)
    assert state(run) == "failed"
    monkeypatch.setattr("accounts.cleanup.purge_expired", lambda: {"AuthorizationCode": 1})
    tasks.purge_expired()
    assert (run_of().failure, run_of().result) == ("", {"AuthorizationCode": 1})


def test_what_runs_elsewhere_is_left_alone_until_its_lease_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr("accounts.cleanup.purge_expired", lambda: calls.append(1) or {})
    JobRun.objects.filter(name="purge_expired").update(
        started_at=timezone.now(), running_until=timezone.now() + jobs.LEASE
    )
    assert tasks.purge_expired() is None
    assert (calls, state(run_of())) == ([], "running")
    JobRun.objects.update(running_until=timezone.now() - MINUTE)  # its worker was killed
    tasks.purge_expired()
    assert calls == [1]


def test_a_run_that_outlived_its_lease_does_not_speak_for_its_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow() -> dict[str, int]:
        JobRun.objects.update(started_at=timezone.now(), running_until=timezone.now() + MINUTE)  # another began
        return {"AuthorizationCode": 7}

    monkeypatch.setattr("accounts.cleanup.purge_expired", slow)
    tasks.purge_expired()
    run = run_of()
    assert (run.result, run.finished_at) == ({}, None)
    assert state(run) == "running"


@pytest.mark.parametrize(
    ("ago", "expected"), [(timedelta(), "done"), (timedelta(hours=3), "late"), (None, "never ran")]
)
def test_late_is_an_hourly_job_that_did_not_begin_for_three(ago: timedelta | None, expected: str) -> None:
    started = None if ago is None else timezone.now() - ago
    JobRun.objects.filter(name="purge_expired").update(started_at=started, finished_at=started)
    assert state(run_of()) == expected


def test_when_a_job_is_due_its_crontab_says() -> None:
    every = jobs.Job("x", "x.x", "x", crontab(minute=7))
    began = timezone.now().replace(minute=10, second=0, microsecond=0) - timedelta(hours=5)
    due = every.due_after(began)
    assert abs(due - (began + timedelta(minutes=57))) < timedelta(seconds=2)


def test_cron_runs_what_is_due_and_nothing_twice() -> None:
    call_command("run_jobs")
    first = {run.name: run.started_at for run in JobRun.objects.all()}
    assert None not in first.values()
    JobRun.objects.filter(name="purge_expired").update(started_at=timezone.now() - timedelta(hours=2))
    call_command("run_jobs")
    again = {run.name: run.started_at for run in JobRun.objects.all()}
    changed = {name for name in first if first[name] != again[name]}
    assert "purge_expired" in changed
    a_minute_turned = {"purge_paused_sign_ins", "refresh_oidc_discovery", "send_mail", "alert_operators"}
    assert changed <= {"purge_expired", *a_minute_turned}


def test_cron_runs_a_named_job_whether_due_or_not_and_knows_the_names() -> None:
    call_command("run_jobs", "purge_expired")
    first = run_of().started_at
    call_command("run_jobs", "purge_expired")
    assert run_of().started_at != first
    with pytest.raises(CommandError, match="no job nonsense"):
        call_command("run_jobs", "nonsense")


@pytest.mark.usefixtures("failing")
def test_one_failure_does_not_keep_the_other_jobs_from_running_and_is_told() -> None:
    with pytest.raises(CommandError, match=r"Failed: purge_expired\."):
        call_command("run_jobs", stdout=StringIO())
    assert run_of("rotate_signing_keys").succeeded_at is not None


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_has_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    left = threading.Semaphore(0)
    calls: list[int] = []

    def slow() -> dict[str, int]:
        calls.append(1)
        for _ in range(7):  # until all the others have found the turn taken
            left.acquire(timeout=20)
        return {"AuthorizationCode": 1}

    monkeypatch.setattr("accounts.cleanup.purge_expired", slow)
    jobs.ensure_rows()

    def work(number: int) -> Any:
        found = tasks.purge_expired()
        if found is None:
            left.release()
        return found

    results = at_once(work, 8)
    assert calls == [1]
    assert sorted(results, key=str) == sorted([None] * 7 + [{"AuthorizationCode": 1}], key=str)


def test_the_schedule_holds_for_ever_and_stops_when_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, Callable[..., None]] = {}
    monkeypatch.setattr("signal.signal", lambda number, handler: handlers.__setitem__(number, handler))
    rounds: list[int] = []

    def due() -> list[jobs.Job]:
        rounds.append(1)
        if len(rounds) == 2:
            handlers[15](15, None)
        return []

    monkeypatch.setattr(jobs, "due", due)
    monkeypatch.setattr("accounts.management.commands.run_jobs.TICK", 0)
    call_command("run_jobs", "--forever")
    assert len(rounds) == 2
