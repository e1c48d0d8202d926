"""Kept database connections that died while nobody used them, found without asking the database.

A web process keeps a connection for each thread, for as long as it lives. When PostgreSQL is restarted all of them are
dead, and each would cost somebody a failed request. Django's CONN_HEALTH_CHECKS would find out by a round trip before
every request; the operating system knows already: an idle connection with something to read has been told to go.
A connection whose other end vanished without a word looks alive here; DATABASE_HEALTH_CHECKS is for that.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC
"""

import select
from typing import Any

import psycopg
from django.core.signals import request_started
from django.db import connections


def connect() -> None:
    """Look before every request."""
    request_started.connect(drop_dead, dispatch_uid="dead-connections")


def drop_dead(**_: Any) -> None:
    """Close this thread's connections to PostgreSQL that the server has ended; the next query opens new ones."""
    for connection in connections.all(initialized_only=True):
        raw = connection.connection
        if isinstance(raw, psycopg.Connection) and not connection.in_atomic_block and _has_been_told(raw):
            connection.close()


def _has_been_told(raw: "psycopg.Connection[Any]") -> bool:
    poll = select.poll()
    try:
        poll.register(raw.fileno(), select.POLLIN)
    except psycopg.OperationalError:
        return True  # it is closed
    return bool(poll.poll(0))
