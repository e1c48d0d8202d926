"""The time that all processes agree upon: the database's.

A code that lives for five minutes, a retry within the grace of a rotation, a session, the ``iat`` of a token: each is
written by one process and judged by another. A machine whose clock is wrong by minutes would refuse what is fresh, and
take a retry for theft. So a process compares its clock with PostgreSQL's once a minute and adds the difference. One
that keeps time within half a second is left alone. With SQLite there is one machine, and nothing to compare.
"""

import logging
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.core.signals import request_started
from django.db import Error, connection
from django.utils import timezone

log = logging.getLogger("userpool.clock")
TOLERATED = timedelta(seconds=0.5)
"""A comparison is not more exact than this on a busy network."""
TOLD = timedelta(seconds=10)
_offset = timedelta()
_due = 0.0


def connect() -> None:
    """Compare before a request, when it is time to."""
    request_started.connect(keep, dispatch_uid="clock")


def now() -> datetime:
    """Return the present moment, aware, by the clock of the database as far as this process knows it."""
    return timezone.now() + _offset


def keep(**_: object) -> None:
    """Compare the clocks if that was not done for a minute. A database that is away changes nothing."""
    global _due
    if not settings.USERPOOL_CLOCK_SECONDS or time.monotonic() < _due:
        return
    _due = time.monotonic() + settings.USERPOOL_CLOCK_SECONDS
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        try:
            measure()
        except Error:
            log.warning("the clock could not be compared with the database's")


def measure() -> timedelta:
    """Compare with the clock of the database, and return what is added to this process's from now on."""
    global _offset
    before = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        theirs: datetime = cursor.fetchone()[0]
    found = theirs - (before + (timezone.now() - before) / 2)
    if abs(found) > TOLD and abs(_offset) <= TOLD:
        log.error("this machine's clock is wrong", extra={"seconds": round(-found.total_seconds(), 1)})
    _offset = found if abs(found) > TOLERATED else timedelta()
    return _offset
