"""Prepared text for the statements of the token path.

There the ORM's building of a query costs more than an RSA signature, so each read is one SQL text, written beside its
model with ``{placeholders}`` for what PostgreSQL and SQLite spell differently, and completed once per process.
"""

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor

_DIALECTS = {
    "postgresql": {
        "agg": "jsonb_agg",
        "obj": "jsonb_build_object",
        "lock": "FOR UPDATE OF {}",
        "true": "TRUE",
    },
    "sqlite": {"agg": "json_group_array", "obj": "json_object", "lock": "", "true": "1"},
}


@cache
def _complete(text: str, vendor: str, lock: str) -> str:
    words = dict(_DIALECTS[vendor])
    words["lock"] = words["lock"].format(lock) if lock else ""
    return text.format(**words)


def _cursor() -> Any:
    """A cursor whose statements stay prepared on PostgreSQL, where planning one costs five times its running.

    Django's own cursor puts the parameters into the text, so that every statement is a new one. The connection, its
    health check, its transaction and the record of its queries are Django's as ever.
    """
    if connection.vendor != "postgresql" or not settings.DATABASE_PREPARED_STATEMENTS:
        return connection.cursor()
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    cursor: Any = ServerBindingCursor(connection.connection)  # type: ignore[call-arg] # psycopg.Cursor takes one
    return connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)


def fetch(text: str, params: tuple[Any, ...], lock: str = "") -> tuple[Any, ...] | None:
    """Return the first row of ``text``, or None. ``lock`` names the table alias whose row is held until COMMIT."""
    with _cursor() as cursor:
        cursor.execute(_complete(text, connection.vendor, lock), params)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def change(text: str, params: tuple[Any, ...]) -> int:
    """Run ``text`` and return how many rows it changed."""
    with _cursor() as cursor:
        cursor.execute(_complete(text, connection.vendor, ""), params)
        return int(cursor.rowcount)


@cache
def _insertion(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"  # noqa: S608 - names of tables and columns, none from outside


def insert(table: str, values: dict[str, Any]) -> None:
    """Insert one row. The names are the program's own; times may be datetimes. No signal is sent."""
    params = [time_param(value) if isinstance(value, datetime) else value for value in values.values()]
    with _cursor() as cursor:
        cursor.execute(_insertion(table, tuple(values)), params)


def time_param(moment: datetime) -> Any:
    """Return ``moment`` as the database of this process takes it."""
    return connection.ops.adapt_datetimefield_value(moment)


def time_value(value: Any) -> datetime | None:
    """Return a time column of a raw row: aware, in UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    result: datetime | None = value
    return result


def json_value(value: Any) -> Any:
    """Return a JSON column of a raw row; an aggregate over no rows is an empty list."""
    return json.loads(value) if isinstance(value, str | bytes) else (value or [])
