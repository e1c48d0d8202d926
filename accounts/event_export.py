"""Events and the audit trail of a pool as a file: JSON lines that are exact, or CSV for a spreadsheet.

In CSV a cell that a spreadsheet would take for a formula gets an apostrophe before it: client ids and subjects are
what strangers sent.
"""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from accounts import event_words
from accounts.models import AuditEvent, AuthEvent, UserPool

FORMATS = {"jsonl": "application/jsonl; charset=utf-8", "csv": "text/csv; charset=utf-8"}
EVENT_FIELDS = (
    "at", "event_type", "outcome", "reason", "error", "description", "provider_name", "client_id", "user__sub",
    "user__username", "subject", "address", "request_id", "steps",
)  # fmt: skip
AUDIT_FIELDS = ("at", "actor", "action", "target_type", "target_id", "target_name", "changes", "request_id")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
CHUNK = 2000


def events(pool: UserPool, since: datetime | None, until: datetime | None, event_type: str = "") -> QuerySet[Any]:
    """Return the events of ``pool`` from ``since`` to before ``until``, the oldest first."""
    rows = _between(AuthEvent.objects.filter(user_pool=pool), since, until)
    return (rows.filter(event_type=event_type) if event_type else rows).values(*EVENT_FIELDS)


def changes(pool: UserPool, since: datetime | None, until: datetime | None) -> QuerySet[Any]:
    """Return the audit trail of ``pool`` from ``since`` to before ``until``, the oldest first."""
    return _between(AuditEvent.objects.filter(user_pool=pool.pk), since, until).values(*AUDIT_FIELDS)


def lines(rows: QuerySet[Any], file_format: str) -> Iterator[str]:
    """Yield ``rows`` as the lines of a file, a few thousand at a time from the database."""
    found = (_plain(row) for row in rows.iterator(chunk_size=CHUNK))
    return _csv(found) if file_format == "csv" else (json.dumps(row, ensure_ascii=False) + "\n" for row in found)


def _between(rows: QuerySet[Any], since: datetime | None, until: datetime | None) -> QuerySet[Any]:
    if since is not None:
        rows = rows.filter(at__gte=since)
    if until is not None:
        rows = rows.filter(at__lt=until)
    return rows.order_by("id")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name.replace("user__", "user_"): value for name, value in row.items()}
    shown["at"] = row["at"].isoformat()
    if "reason" in row:
        shown["reason_words"] = event_words.why(row["reason"])
    return shown


def _csv(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for number, row in enumerate(rows):
        if number == 0:
            writer.writerow(row)
        writer.writerow([_cell(value) for value in row.values()])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(FORMULA) else text
