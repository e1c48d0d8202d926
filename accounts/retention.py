"""How long a pool keeps what happened in it: its events, and its audit trail (accounts/cleanup.py runs this).

Both are in the order of time by their primary key, so what is too old is found at the beginning of an index and
nothing is read beyond the first row that stays. The counts by hour outlive the events that they were made from.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, IntegerField, Min, QuerySet
from django.db.models.functions import Cast

from accounts.models import AuditEvent, AuthEvent, EventCount, UserPool

COUNTS_KEPT = timedelta(days=400)
# what concerns no pool, or one that is gone: operators, deletions
AUDIT_KEPT = timedelta(days=365)


def purge(now: datetime, batch: int) -> dict[str, int]:
    """Delete what each pool keeps no longer, ``batch`` rows at a time, and return the counts by model name."""
    counts = {"AuthEvent": 0, "AuditEvent": 0, "EventCount": 0}
    pools: set[str] = set()
    for pool_id, events, audit in UserPool.objects.values_list("pk", "event_retention_days", "audit_retention_days"):
        pools.add(pool_id)
        counts["AuthEvent"] += _oldest(AuthEvent.objects.filter(user_pool=pool_id), now - timedelta(days=events), batch)
        if audit:
            rows = AuditEvent.objects.filter(user_pool=pool_id)
            counts["AuditEvent"] += _oldest(rows, now - timedelta(days=audit), batch)
    for pool_id in AuditEvent.objects.filter(at__lte=now - AUDIT_KEPT).values_list("user_pool", flat=True).distinct():
        if pool_id not in pools:
            counts["AuditEvent"] += _oldest(AuditEvent.objects.filter(user_pool=pool_id), now - AUDIT_KEPT, batch)
    counts["EventCount"] += _by_hour(now - COUNTS_KEPT)
    return counts


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


def _oldest(rows: QuerySet[Any], until: datetime, batch: int) -> int:
    total = 0
    while True:
        first = rows.order_by("id").values_list("id", "at")[:batch]
        old = [key for key, at in first if at <= until]
        if old:
            rows.filter(pk__in=old).delete()
            total += len(old)
        if len(old) < batch:
            return total


def _by_hour(until: datetime) -> int:
    """Delete a day of the counts at a time, and return how many rows went."""
    total = 0
    while (first := EventCount.objects.filter(hour__lte=until).aggregate(first=Min("hour"))["first"]) is not None:
        end = min(first + timedelta(days=1), until)
        total += EventCount.objects.filter(hour__lte=end).delete()[0]
    return total
