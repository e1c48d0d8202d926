"""What is read at a scrape rather than counted: the jobs, what waits to be deleted, what expires, Redis, the version.

Two statements of SQL, and a third every five minutes; their answers are given again meanwhile, however many ask. The
jobs are known by their rows (accounts/jobs.py), so a worker or a cron job needs no endpoint of its own. A database or a
Redis that is away is told of, and costs the scrape nothing else.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from math import inf
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from django.db import Error, connection
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, IntegerField, QuerySet
from django.db.models.functions import Cast
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts import cleanup, jobs
from accounts.models import JobRun, SamlKey, SigningKey
from accounts.statements import time_value

KEPT, DATES_KEPT = 10.0, 300.0  # seconds; the dates look at every pool, and change by days
BOUND = 10_000
"""How many rows of each kind of the backlog are counted: more means the same, and costs more."""
REDIS_TIMEOUT = 0.5  # seconds

_lock = threading.Lock()
_kept: dict[str, tuple[float, list[Metric]]] = {}


def collected() -> list[Metric]:
    """Return what there is to tell, at most KEPT seconds old; raise nothing for a database or a Redis that is away."""
    with _lock:  # of several scrapes at once, one asks
        return _remembered("all", KEPT, lambda: chain(_version(), _database(), _redis()))


def forget() -> None:
    """Forget what was read."""
    _kept.clear()


def _remembered(name: str, seconds: float, read: Callable[[], Iterable[Metric]]) -> list[Metric]:
    kept = _kept.get(name)
    if kept is None or kept[0] <= time.monotonic():
        kept = _kept[name] = (time.monotonic() + seconds, list(read()))
    return kept[1]


def _version() -> Iterator[Metric]:
    found = GaugeMetricFamily("userpool_build_info", "The version that runs.", labels=["version"])
    found.add_metric([settings.VERSION], 1)
    yield found


def _database() -> Iterator[Metric]:
    try:
        found = [*_jobs(), *_backlog(), *_remembered("dates", DATES_KEPT, _dates)]
    except Error:
        found = []
    yield GaugeMetricFamily("userpool_database_up", "Whether the database answers.", value=float(bool(found)))
    yield from found


def _jobs() -> Iterator[Metric]:
    """One statement. The rows of jobs that there are no more are left out.

    The label is not ``job``: Prometheus gives that name to what it scrapes, and would rename ours.
    """
    families = {
        name: GaugeMetricFamily(f"userpool_job_{name}", words, labels=["name"])
        for name, words in {
            "overdue_seconds": "Time since the job was due; +Inf if it never ran.",
            "last_success_timestamp_seconds": "When it last did all that it had to; 0 for never.",
            "last_duration_seconds": "How long its newest run took.",
            "failed": "Whether its newest run failed.",
        }.items()
    }
    runs = {run.name: run for run in JobRun.objects.all()}
    for job in jobs.scheduled():
        run = runs.get(job.name) or JobRun(name=job.name)
        late = (timezone.now() - job.due_after(run.started_at)).total_seconds() if run.started_at else inf
        families["overdue_seconds"].add_metric([job.name], max(late, 0.0))
        succeeded = run.succeeded_at.timestamp() if run.succeeded_at else 0.0
        families["last_success_timestamp_seconds"].add_metric([job.name], succeeded)
        families["failed"].add_metric([job.name], float(bool(run.failure)))
        if run.started_at and run.finished_at:
            took = (run.finished_at - run.started_at).total_seconds()
            families["last_duration_seconds"].add_metric([job.name], took)
    yield from families.values()


def _backlog() -> Iterator[Metric]:
    """One statement: what waits to be deleted, kind by kind."""
    waiting = list(cleanup.backlog(BOUND))
    counts = _scalars([("SELECT COUNT(*) FROM ({}) AS waiting", rows.values("pk")) for _, rows in waiting])
    backlog: dict[str, int] = {}
    for (name, _), count in zip(waiting, counts, strict=True):
        backlog[name] = backlog.get(name, 0) + count
    words = "Rows that may be deleted, counted up to a bound."
    family = GaugeMetricFamily("userpool_cleanup_backlog_rows", words, labels=["table"])
    for name, count in backlog.items():
        family.add_metric([name], count)
    yield family


def _dates() -> Iterator[Metric]:
    """One statement: the soonest date of each kind that somebody has to heed."""
    in_use = SamlKey.objects.filter(activated_at__isnull=False, retired_at=None)
    soonest = {
        "userpool_saml_certificate_expiry_timestamp_seconds": (
            "When the first certificate of a SAML key in use expires.",
            in_use.order_by("not_after").values("not_after"),
        ),
        "userpool_signing_key_rotation_due_timestamp_seconds": (
            "When the first signing key is due for rotation.",
            _rotations().order_by("due").values("due"),
        ),
    }
    moments = _scalars([("{}", rows[:1]) for _, rows in soonest.values()])
    for (name, (words, _)), moment in zip(soonest.items(), moments, strict=True):
        found: datetime | None = time_value(moment)
        if found is not None:
            yield GaugeMetricFamily(name, words, value=found.timestamp())


def _rotations() -> QuerySet[Any]:
    """The keys that sign until they have a successor, with the moment at which one is ``due``."""
    days = Cast("user_pool__key_rotation_days", IntegerField())  # SQLite multiplies no other kind
    period = ExpressionWrapper(days * timedelta(days=1), DurationField())
    due = ExpressionWrapper(F("not_before") + period, DateTimeField())
    return SigningKey.objects.filter(not_after=None, user_pool__key_rotation_days__gt=0).annotate(due=due)


def _scalars(parts: list[tuple[str, QuerySet[Any]]]) -> tuple[Any, ...]:
    """Return the value of each part, in one statement: a text with a place for the query, and the query."""
    columns: list[str] = []
    params: list[Any] = []
    for text, rows in parts:
        sql, values = rows.query.sql_with_params()
        columns.append(f"({text.format(sql)})")
        params += values
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)}", params)
        found: tuple[Any, ...] = cursor.fetchone()
        return found


def _redis() -> Iterator[Metric]:
    if not settings.REDIS_URL:
        return
    try:
        length: Any = _client(settings.REDIS_URL).llen(current_app.conf.task_default_queue)
    except redis.RedisError:
        length = None
    yield GaugeMetricFamily("userpool_redis_up", "Whether Redis answers.", value=float(length is not None))
    if length is not None:
        yield GaugeMetricFamily("userpool_task_queue_length", "Tasks that wait for a worker.", value=length)


@lru_cache(maxsize=1)
def _client(url: str) -> redis.Redis:
    """A client that gives up soon: by itself it would try four times, and wait in between."""
    return redis.Redis.from_url(
        url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
