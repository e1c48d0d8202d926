"""The console's page of scheduled jobs: last run, next run, result, lag; and running one now."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import cleanup, jobs
from accounts.models import AuditEvent, JobRun, UserPool
from tests import console

LIST = "/admin/accounts/jobrun/"


@pytest.fixture
def root(pool: UserPool) -> Client:
    return console.browser(console.operator(superuser=True))


def run_of(name: str = "purge_expired") -> JobRun:
    return JobRun.objects.get(name=name)


def page(run: JobRun, *more: str) -> str:
    return "/".join([f"{LIST}{run.pk}", *(more or ("change",)), ""])


def test_every_job_is_listed_with_what_it_did_and_when_it_is_due(root: Client) -> None:
    JobRun.objects.filter(name="purge_expired").update(
        started_at=timezone.now() - timedelta(hours=3),
        finished_at=timezone.now(),
        succeeded_at=timezone.now(),
        result={"AuthorizationCode": 7, "RefreshToken": 0},
    )
    JobRun.objects.filter(name="rotate_signing_keys").update(started_at=timezone.now(), failure="OperationalError")
    text = root.get(LIST).content.decode()
    for job in jobs.scheduled():
        assert f"{job.words[:1].upper()}{job.words[1:]}" in text
    for words in ("late", "failed", "never ran", "AuthorizationCode 7"):
        assert words in text
    assert "RefreshToken 0" not in text
    detail = root.get(page(run_of("rotate_signing_keys"))).content.decode()
    assert "OperationalError" in detail


def test_a_job_that_the_schedule_no_longer_has_is_not_shown(root: Client) -> None:
    JobRun.objects.create(name="a_former_job")
    assert "a_former_job" not in root.get(LIST).content.decode()


def test_a_job_is_run_now_by_who_may_and_that_is_in_the_audit_trail(root: Client) -> None:
    looker = console.browser(console.operator("view_jobrun", name="looker"))
    assert looker.get(LIST).status_code == 200
    assert looker.post(page(run_of(), "run_now")).status_code == 403
    assert run_of().started_at is None
    assert root.get(page(run_of(), "run_now")).status_code == 200
    assert run_of().started_at is None, "a GET runs nothing"
    response = root.post(page(run_of(), "run_now"), follow=True)
    assert "Done: nothing to do." in response.content.decode()
    assert run_of().succeeded_at is not None
    assert list(AuditEvent.objects.values_list("action", flat=True)) == ["run job"]


def test_a_failure_is_said_without_its_words(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("postgres://userpool:secret@db")

    monkeypatch.setattr(cleanup, "purge_expired", fail)
    text = root.post(page(run_of(), "run_now"), follow=True).content.decode()
    assert "The job failed: RuntimeError." in text
    assert "secret" not in text
    assert run_of().failure == "RuntimeError"


def test_a_job_that_a_worker_is_at_is_not_begun_and_that_is_said(root: Client) -> None:
    JobRun.objects.filter(name="purge_expired").update(
        started_at=timezone.now(), running_until=timezone.now() + jobs.LEASE
    )
    text = root.post(page(run_of(), "run_now"), follow=True).content.decode()
    assert "A worker is at it already; nothing was begun." in text
    assert run_of().finished_at is None
