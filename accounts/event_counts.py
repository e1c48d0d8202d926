"""Events counted by the hour, for the console's dashboard: what a month of them is like must not be counted anew.

A run counts the present hour again, and the hours since the last run that nobody has counted: a job that comes late,
twice or on two workers ends at the same numbers. The events of an hour may vanish later; their count stays.
"""

from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Count, Min
from django.db.models.functions import TruncHour

from accounts import clock
from accounts.models import AuthEvent, EventCount, JobRun

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SETTLED = timedelta(minutes=10)
"""So long after its end an hour is counted again: a transaction that began in it may have ended since."""
KINDS = ("user_pool_id", "event_type", "outcome", "provider_name", "reason")


def count() -> int:
    """Count the hours that are not settled, and return how many events they had."""
    now = clock.now()
    start, end = _first(now), _hour_of(now) + HOUR
    counted = 0
    while start < end:
        stop = min(start + DAY, end)
        counted += _count(start, stop)
        start = stop
    return counted


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _first(now: datetime) -> datetime:
    """Return the first hour to count: that of the last run that did all, or where events begin."""
    last = JobRun.objects.filter(name="count_events").values_list("succeeded_at", flat=True).first()
    if last is None:
        last = AuthEvent.objects.aggregate(first=Min("at"))["first"] or now
    return _hour_of(min(last, now) - SETTLED)


def _count(start: datetime, stop: datetime) -> int:
    events = AuthEvent.objects.filter(at__gte=start, at__lt=stop)
    found = events.annotate(hour=TruncHour("at", tzinfo=UTC)).values("hour", *KINDS).annotate(count=Count("pk"))
    with transaction.atomic():
        rows = [EventCount(**row) for row in found.order_by()]
        EventCount.objects.filter(hour__gte=start, hour__lt=stop).delete()
        # another worker may have counted the same meanwhile
        EventCount.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    return sum(row.count for row in rows)
