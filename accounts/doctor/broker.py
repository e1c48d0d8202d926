"""Redis and the Celery workers behind it. Sign-ins and tokens do without both; the jobs and the shared cache do not.

https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html asks for ``noeviction``: under any
other policy Redis may throw a task away.
"""

import time
from collections.abc import Iterator
from typing import Any

import redis
from celery import current_app
from django.conf import settings

from accounts.doctor.database import compared
from accounts.doctor.findings import Finding, Scope, count, told, warning, wrong

PATIENCE = 2.0  # seconds
MANY = 1000


def redis_server(scope: Scope) -> Iterator[Finding]:
    """Look at whether Redis answers, its policy, its clock, what waits in it, and who takes that out."""
    if not settings.REDIS_URL:
        yield Finding("Redis", "Not configured: the jobs run in the process that is told to, by cron or by hand.")
        return
    client: Any = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=None
    )
    with client:
        before = time.time()
        try:
            seconds, micros = client.time()
        except (redis.RedisError, OSError, ValueError) as error:
            yield wrong(
                "Redis",
                f"It does not answer: {told(error)}. Sign-ins go on; the jobs wait, and what processes share is not "
                "shared.",
                "See that it runs and that REDIS_URL names it.",
            )
            return
        clock = compared("clock", "Redis", seconds + micros / 1e6, before, time.time())
        yield from _memory(client)
        yield clock
        yield from _queue(client)
    yield from _workers()


def _memory(client: Any) -> Iterator[Finding]:
    try:
        version = client.info("server").get("redis_version", "?")
        memory = client.info("memory")
    except redis.RedisError as error:
        yield Finding("Redis", f"It answers, and tells nothing of itself ({told(error)}).")
        return
    policy, limit = memory.get("maxmemory_policy", ""), int(memory.get("maxmemory", 0))
    if policy and policy != "noeviction" and limit:
        yield warning(
            "Redis",
            f"Version {version}. Its policy is {policy}: when memory is short it throws tasks away.",
            "Set maxmemory-policy to noeviction.",
        )
    else:
        yield Finding("Redis", f"Version {version}; it throws nothing away.")


def _queue(client: Any) -> Iterator[Finding]:
    try:
        waiting = int(client.llen(current_app.conf.task_default_queue))
    except redis.RedisError:
        return
    if waiting > MANY:
        yield warning("queue", f"{waiting:,} tasks wait.", "Run more Celery workers, or see what holds them up.")
    else:
        yield Finding("queue", f"{count(waiting, 'task')} waiting.")


def _workers() -> Iterator[Finding]:
    try:
        answers = current_app.control.ping(timeout=PATIENCE / 2) or []
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, no worker was heard
        answers, said = [], f" ({told(error)})"
    else:
        said = ""
    if answers:
        names = sorted(name for answer in answers for name in answer)
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield Finding("workers", f"{count(len(names), 'worker')} answered: {shown}.")
    else:
        yield warning(
            "workers",
            f"No Celery worker answered within a second{said}.",
            "Start one (celery --app userpool worker), unless cron runs the jobs or it was busy; ask again then.",
        )
