"""The scheduled jobs: whether anybody runs them at all. Which of them failed or is late is accounts/findings.py's."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Max
from django.utils import timezone

from accounts import jobs
from accounts.doctor import standing
from accounts.doctor.findings import Finding, Scope, warning, wrong
from accounts.models import JobRun

LONG = timedelta(days=1)
"""So long without a job, keys and tables suffer."""
RUN = (
    "Run a Celery worker and one beat, or python manage.py run_jobs by cron every minute, or python manage.py run_jobs "
    "--forever in one process."
)


def scheduled_jobs(scope: Scope) -> Iterator[Finding]:
    """Look at whether jobs run; if they do, at each of them."""
    now = timezone.now()
    names = [job.name for job in jobs.scheduled()]
    newest = JobRun.objects.filter(name__in=names).aggregate(newest=Max("started_at"))["newest"]
    if newest is None:
        make = wrong if _age(now) > LONG else warning
        yield make("jobs", f"None of the {len(names)} scheduled jobs has ever run: no worker, no beat, no cron.", RUN)
    elif newest < now - LONG:
        yield wrong("jobs", f"No job has begun since {newest:%Y-%m-%d %H:%M} UTC.", RUN)
    else:
        yield from standing.jobs(scope)


def _age(now: datetime) -> timedelta:
    """Return how long ago the tables were made."""
    first = MigrationRecorder.Migration.objects.filter(app="accounts").order_by("applied").first()
    return now - first.applied if first is not None else timedelta()
