"""Imports that meet: several workers at one job, two jobs with the same people, sign-ups meanwhile, a killed worker.

Nobody is imported twice, no row is lost, and the counts are true. On PostgreSQL, a connection for each.
"""

import io
import json
import os
import signal
from typing import Any

import pytest
from django.db import IntegrityError, connections

from accounts import registration
from accounts.models import PoolUser, UserImportJob, UserImportPart, UserPool
from accounts.userimport import receive, work
from tests import factories
from tests.security.test_races import at_once

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
PEOPLE = 120


@pytest.fixture
def pool() -> UserPool:
    """A pool whose users sign in by e-mail address as well."""
    return factories.make_pool(alias_attributes=["email"])


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "PART_ROWS", 10)


def started(pool: UserPool, numbers: Any) -> UserImportJob:
    people = [
        {"Username": f"user{n}", "Attributes": [{"Name": "email", "Value": f"u{n}@example.test"},
                                                {"Name": "email_verified", "Value": "true"}]}
        for n in numbers
    ]  # fmt: skip
    job = receive.receive(pool, io.BytesIO(json.dumps(people).encode()), name="race", actor="opal")
    work.start(job, "opal")
    return job


def test_several_workers_at_one_job_import_each_row_once(pool: UserPool) -> None:
    job = started(pool, range(PEOPLE))
    decided = at_once(lambda _: work.run()["rows"], 4)
    job.refresh_from_db()
    assert sum(decided) == PEOPLE
    assert (job.status, job.imported_users, job.skipped_users, job.failed_users) == ("Succeeded", PEOPLE, 0, 0)
    assert PoolUser.objects.count() == PEOPLE


def test_two_jobs_and_sign_ups_that_want_the_same_names_end_with_one_user_each(pool: UserPool) -> None:
    one, other = started(pool, range(PEOPLE)), started(pool, reversed(range(PEOPLE)))

    def act(number: int) -> int:
        if number < 2:
            done = 0
            while (found := UserImportJob.objects.get(pk=(one, other)[number].pk)).status in work.RUNNING:
                done += work.step(found.pk)
            return done
        signed_up = 0
        for n in range(number, PEOPLE, 7):
            user = registration.new_user(pool, f"user{n}", {"email": f"u{n}@example.test", "email_verified": "true"})
            user.set_unusable_password()
            try:
                user.save()
                signed_up += 1
            except IntegrityError:
                pass
        return signed_up

    results = at_once(act, 4)
    assert all(isinstance(result, int) for result in results), results
    one.refresh_from_db()
    other.refresh_from_db()
    assert (one.done, other.done, one.status, other.status) == (PEOPLE, PEOPLE, "Succeeded", "Succeeded")
    assert one.imported_users + other.imported_users + results[2] + results[3] == PEOPLE
    assert PoolUser.objects.count() == PEOPLE


def test_a_worker_killed_in_a_part_is_followed_by_the_next_at_once(pool: UserPool) -> None:
    job = started(pool, range(30))
    assert work.step(job.pk) == 10
    connections.close_all()  # a child must not share a connection
    child = os.fork()
    if child == 0:
        work._count = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        work.step(job.pk)
        os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert (PoolUser.objects.count(), UserImportPart.objects.count()) == (10, 2)
    assert work.run() == {"rows": 20, "unfinished": 0}
    job.refresh_from_db()
    assert (job.status, job.imported_users, PoolUser.objects.count()) == ("Succeeded", 30, 30)
