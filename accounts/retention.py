"""How long a pool keeps what happened in it: its events, and its audit trail (accounts/cleanup.py runs this).

Events are in the order of time by their primary key, so what is too old is found at the beginning of an index and
nothing is read beyond the first row that stays. The counts by hour outlive the events they were made from. Django's
own history of the console is kept as long as the audit trail of what concerns no pool.
"""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db.models import (
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    QuerySet,
)
from django.db.models.functions import Cast

from accounts import batches
from accounts.models import AuditEvent, AuthEvent, EventCount, UserPool

COUNTS_KEPT = timedelta(days=400)
# what concerns no pool, or one that is gone: operators, deletions
AUDIT_KEPT = timedelta(days=365)


def purge(now: datetime, batch: int) -> dict[str, int]:
    """Delete what each pool keeps no longer, ``batch`` rows at a time, and return the counts by model name."""
    counts = {"AuthEvent": 0, "AuditEvent": 0}
    for pool_id, events, audit in UserPool.objects.values_list("pk", "event_retention_days", "audit_retention_days"):
        counts["AuthEvent"] += batches.delete_oldest(of_pool(pool_id), now - timedelta(days=events), batch)
        if audit:
            trail = AuditEvent.objects.filter(user_pool=pool_id, at__lte=now - timedelta(days=audit))
            counts["AuditEvent"] += batches.delete(trail.order_by("at"), batch)
    of_no_pool = ~Exists(UserPool.objects.filter(pk=OuterRef("user_pool")))
    trail = AuditEvent.objects.filter(of_no_pool, at__lte=now - AUDIT_KEPT)
    counts["AuditEvent"] += batches.delete(trail.order_by("at"), batch)
    hours = EventCount.objects.filter(hour__lte=now - COUNTS_KEPT)
    counts["EventCount"] = batches.delete(hours.order_by("hour"), batch)
    counts["LogEntry"] = batches.delete_oldest(LogEntry.objects.order_by("pk"), now - AUDIT_KEPT, batch, "action_time")
    return counts


def of_pool(pool_id: str) -> QuerySet[AuthEvent]:
    """Return the events of a pool in the order of their making, by the pool's own index.

    That is why the pool is a range: told that it is one, PostgreSQL may walk through all events by primary key instead,
    past those that another pool keeps for years.
    """
    events = AuthEvent.objects.filter(user_pool__gte=pool_id, user_pool__lte=pool_id)
    return events.order_by("-user_pool_id", "pk")


def backlog(now: datetime, bound: int) -> QuerySet[Any]:
    """Return the events that may go by now, among the ``bound`` oldest of all pools. Nothing is read yet.

    Where some pools keep events for long and others do not, there may be more behind those; to look pool by pool would
    cost a statement for each.
    """
    oldest = AuthEvent.objects.order_by("at").values("pk")[:bound]
    days = Cast("user_pool__event_retention_days", IntegerField())  # SQLite multiplies no other kind
    period = ExpressionWrapper(days * timedelta(days=1), DurationField())
    kept_until = ExpressionWrapper(F("at") + period, DateTimeField())
    return (
        AuthEvent.objects.filter(pk__in=oldest).annotate(kept_until=kept_until).filter(kept_until__lte=now).order_by()
    )
