"""The scheduled jobs: which there are, when each is due, and the record of its newest run.

A job may be begun by Celery's beat, by cron (``manage.py run_jobs``), or by an operator, on any number of machines: who
begins it takes a turn by one conditional UPDATE, and who finds it taken leaves. A run that died gives its turn back
when the lease ends. Every job is idempotent, so late, twice or half is never wrong.
"""

import functools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts import clock
from accounts.models import JobRun

log = logging.getLogger("userpool.jobs")
LEASE = timedelta(minutes=30)
LATE = timedelta(minutes=10)
"""How long after it was due a job is called late: a worker may be busy with another."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job of the schedule: ``name`` is its task's last word, ``words`` say what it does."""

    name: str
    task: str
    words: str
    schedule: Any

    def due_after(self, moment: datetime) -> datetime:
        """Return when the job is due next after a run that began at ``moment``."""
        left: timedelta = self.schedule.remaining_estimate(moment)
        return timezone.now() + left


def scheduled() -> Iterator[Job]:
    """Yield the jobs of CELERY_BEAT_SCHEDULE."""
    for words, entry in settings.CELERY_BEAT_SCHEDULE.items():
        yield Job(entry["task"].rpartition(".")[2], entry["task"], words, entry["schedule"])


def by_name(name: str) -> Job | None:
    return next((job for job in scheduled() if job.name == name), None)


def recorded(function: Callable[[], Any], lease: timedelta = LEASE) -> Callable[[], Any]:
    """Make a job of ``function``: it takes its turn, and what came of it is written down.

    What it returns is its result: a count, or counts by name. None when another worker has the turn. ``lease`` is how
    long a worker that was killed keeps the turn.
    """
    name = function.__name__

    @functools.wraps(function)
    def run() -> Any:
        clock.keep()
        started = clock.now()
        if not _claim(name, started, lease):
            log.info("job is running elsewhere", extra={"job": name})
            return None
        began = time.monotonic()
        try:
            result = function()
        except Exception as error:
            _finish(name, started, failure=type(error).__name__)
            log.exception("job failed", extra={"job": name})
            raise
        counted = result if isinstance(result, dict) else {"count": result}
        _finish(name, started, result=counted, succeeded_at=started)
        log.info("job done", extra={"job": name, "result": counted, "seconds": round(time.monotonic() - began, 3)})
        return result

    return run


def run_now(job: Job) -> bool:
    """Run ``job`` in this process; False when another has the turn. Raise what it raises, once that is written down."""
    current_app.loader.import_default_modules()
    return current_app.tasks[job.task].run() is not None


def due() -> list[Job]:
    """Return the jobs that are due: never run, or last begun before their newest moment."""
    begun = dict(JobRun.objects.values_list("name", "started_at"))
    now = clock.now()
    return [job for job in scheduled() if (at := begun.get(job.name)) is None or job.due_after(at) <= now]


def is_late(job: Job, run: JobRun, now: datetime) -> bool:
    """Whether the job should have begun LATE ago."""
    return run.started_at is None or job.due_after(run.started_at) + LATE <= now


def ensure_rows(**_: Any) -> None:
    """Make a row for every job of the schedule (post_migrate), so that one that never ran is seen as well."""
    for job in scheduled():
        JobRun.objects.get_or_create(name=job.name)


def _claim(name: str, now: datetime, lease: timedelta) -> bool:
    JobRun.objects.get_or_create(name=name)
    free = JobRun.objects.filter(Q(running_until__isnull=True) | Q(running_until__lte=now), name=name)
    return bool(free.update(started_at=now, finished_at=None, running_until=now + lease))


def _finish(name: str, started: datetime, **values: Any) -> None:
    """Write down how the run ended, unless its lease was over and another one has begun."""
    mine = JobRun.objects.filter(name=name, started_at=started)
    mine.update(finished_at=clock.now(), running_until=None, **{"failure": "", **values})
