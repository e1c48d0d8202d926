"""Sign-ins and refusals over time, for the console's first page: read from the counts by hour, in two statements.

accounts/event_counts.py makes them; what happened since its last run is not in here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, QuerySet, Sum

from accounts.models import EventCount, JobRun
from accounts.models.events import EventType, Outcome

HOUR = timedelta(hours=1)
REASONS = 8


@dataclass(frozen=True, slots=True)
class Span:
    """How far back to look, and how wide a column is."""

    words: str
    length: timedelta
    column: timedelta


SPANS = {
    "day": Span("24 hours", timedelta(hours=24), HOUR),
    "week": Span("7 days", timedelta(days=7), 6 * HOUR),
    "month": Span("30 days", timedelta(days=30), 24 * HOUR),
}


@dataclass(slots=True)
class Column:
    """What happened from ``start`` until the next column."""

    start: datetime
    succeeded: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """How often something was refused, and why."""

    event_type: str
    provider_name: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Activity:
    """A span of time at one pool, or at all of them."""

    columns: list[Column]
    reasons: list[Reason]
    """The most frequent refusals, the most frequent first."""
    totals: dict[str, int]
    """By event type; ``refused`` for all refusals of sign-ins."""
    counted_at: datetime | None


def read(span: Span, now: datetime, user_pool: str = "") -> Activity:
    """Return what happened in ``span`` until ``now``."""
    end = now.replace(minute=0, second=0, microsecond=0) + HOUR
    start = end - span.length
    rows = EventCount.objects.filter(hour__gte=start, hour__lt=end)
    if user_pool:
        rows = rows.filter(user_pool=user_pool)
    columns = [Column(start + n * span.column) for n in range(span.length // span.column)]
    totals = dict.fromkeys([*EventType.values, "refused"], 0)
    for hour, kind, outcome, count in rows.values_list("hour", "event_type", "outcome").annotate(sum=Sum("count")):
        if kind != EventType.SIGN_IN:
            totals[kind] += count
            continue
        column = columns[(hour - start) // span.column]
        if outcome == Outcome.REFUSED:
            totals["refused"] += count
            column.refused += count
        else:
            totals[kind] += count
            column.succeeded += count
    counted_at = JobRun.objects.filter(name="count_events").values_list("succeeded_at", flat=True).first()
    return Activity(columns, _reasons(rows), totals, counted_at)


def _reasons(rows: QuerySet[EventCount]) -> list[Reason]:
    found = rows.filter(outcome=Outcome.REFUSED).values_list("event_type", "provider_name", "reason")
    most = found.annotate(sum=Sum("count")).order_by(F("sum").desc(), "event_type", "reason")[:REASONS]
    return [Reason(*row) for row in most]
