"""Deleting many rows without anybody noticing: in bounded batches, each a transaction of its own.

PostgreSQL leaves what is deleted in the table and its indexes until the next vacuum. Whoever looks for the next batch
from the beginning walks over all that went before, again and again: a million rows would cost a thousand such walks. So
each batch is looked for from where the last one ended, in the order of the index that finds it.

After a full batch the work rests for as long as it took: it never has more than half a core of the database, and what
it writes reaches replicas and the disk in time.
"""

import time
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

LONGEST_REST = 1.0
"""Seconds: a batch that waited for something else is no reason to wait as long again."""


def delete(rows: QuerySet[Any], batch: int, limit: int | None = None) -> int:
    """Delete ``rows``, at most ``batch`` at a time and ``limit`` in all, and return how many went.

    They must be ordered by the one column whose index finds them; without it the planner reads the table instead.
    """
    (by,) = rows.query.order_by
    total, left = 0, rows
    while limit is None or total < limit:
        began = time.monotonic()
        size = batch if limit is None else min(batch, limit - total)
        found = list(left.values_list("pk", by)[:size])
        # the condition stands again: a row may have come back to life since it was read (a throttle does)
        _, counted = rows.filter(pk__in=[key for key, _ in found]).delete()
        total += counted.get(rows.model._meta.label, 0)
        if len(found) < size:
            break
        left = rows.filter(**{f"{by}__gte": found[-1][1]})
        _rest(began)
    return total


def delete_oldest(rows: QuerySet[Any], until: datetime, batch: int, at: str = "at") -> int:
    """Delete those of ``rows`` whose column ``at`` is not after ``until``, and return how many went.

    For ``rows`` in the order of their primary key that were written in the order of time, so that the old ones come
    first: one batch is read beyond them, for one that a fast clock wrote must not shield those behind it.
    """
    total, last = 0, 0
    while True:
        began = time.monotonic()
        found = list(rows.filter(pk__gt=last).values_list("pk", at)[:batch])
        old = [key for key, moment in found if moment <= until]
        if old:
            rows.filter(pk__in=old).delete()
            total += len(old)
        if not old or len(found) < batch:
            return total
        last = found[-1][0]
        _rest(began)


def _rest(began: float) -> None:
    time.sleep(min(time.monotonic() - began, LONGEST_REST))
