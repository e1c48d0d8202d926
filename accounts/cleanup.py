"""Deletes rows that time has made useless, in bounded batches by primary key.

A row stays while it is evidence. A consumed code is how a replay is noticed, until it would have expired anyway. A
revoked or ended grant is what userInfo and revocation are asked about, until the last access token minted from it
is dead. Nothing else depends on this job: expired rows are refused everywhere, and running it late, twice or on two
workers at once changes nothing but the size of the tables.

How long events and the audit trail are kept is each pool's own (accounts/retention.py).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from accounts import clock, retention
from accounts.models import (
    Alert,
    AuthorizationCode,
    OutgoingMail,
    RefreshToken,
    SigningKey,
    SignInRequest,
    SignInSession,
    SignInThrottle,
    SignOutRequest,
    UsedSamlMessage,
)

# Cognito's bound of AccessTokenValidity: no access token outlives its grant by more
LONGEST_ACCESS_TOKEN = timedelta(hours=24)
THROTTLE_IDLE = timedelta(days=1)
MAIL_KEPT = timedelta(days=7)
ALERTS_KEPT = timedelta(days=30)
# so long a sign-out at a SAML provider still finds what was granted in a session (sessions.end_at_provider)
SAML_SESSIONS_KEPT = timedelta(days=30)


def _useless(now: datetime) -> Iterator[QuerySet[Any]]:
    """Yield what may go, one queryset for each index that finds it."""
    ended = now - LONGEST_ACCESS_TOKEN
    yield AuthorizationCode.objects.filter(expires_at__lte=now)
    yield RefreshToken.objects.filter(expires_at__lte=ended)
    yield RefreshToken.objects.filter(revoked_at__lte=ended)
    yield SignInSession.objects.filter(expires_at__lte=now, name_id="")
    yield SignInSession.objects.filter(expires_at__lte=now - SAML_SESSIONS_KEPT)
    yield UsedSamlMessage.objects.filter(expires_at__lte=now)
    yield SignOutRequest.objects.filter(expires_at__lte=now)
    yield SignInThrottle.objects.filter(
        Q(blocked_until__isnull=True) | Q(blocked_until__lte=now), updated_at__lte=now - THROTTLE_IDLE
    )
    yield SigningKey.objects.filter(expires_at__lte=now)
    yield OutgoingMail.objects.filter(next_attempt_at__isnull=True, created_at__lte=now - MAIL_KEPT)
    yield Alert.objects.filter(over_at__lte=now - ALERTS_KEPT)
    yield _paused(now)


def _paused(now: datetime) -> QuerySet[Any]:
    return SignInRequest.objects.filter(expires_at__lte=now)


def purge_paused(batch: int = 1000) -> int:
    """Delete the sign-ins that no provider answered in time, and return how many: they are written by anybody."""
    return _purge(_paused(clock.now()), batch, None)


def purge_expired(batch: int = 1000, limit: int | None = None) -> dict[str, int]:
    """Delete useless rows, ``batch`` at a time and ``limit`` of each kind at most; return the counts by model name.

    Each batch is a transaction of its own, so that no lock is held for long and an interrupted run keeps its work.
    """
    deleted: dict[str, int] = {}
    now = clock.now()
    for rows in _useless(now):
        name = rows.model.__name__
        left = limit - deleted.get(name, 0) if limit is not None else None
        deleted[name] = deleted.get(name, 0) + _purge(rows, batch, left)
    return deleted | retention.purge(now, batch)


def backlog(bound: int) -> Iterator[tuple[str, QuerySet[Any]]]:
    """Yield what may go now, the oldest first and ``bound`` rows of each kind at most, with the name of its model.

    Nothing is read yet. The order is that of the index: without one, a database that expects many such rows reads the
    whole table in search of them.
    """
    now = clock.now()
    for rows in _useless(now):
        conditions: list[Any] = list(rows.query.where.children)
        column = next(found.lhs.target.name for found in conditions if getattr(found, "lookup_name", "") == "lte")
        yield rows.model.__name__, rows.order_by(column)[:bound]
    yield "AuthEvent", retention.backlog(now, bound)


def _purge(rows: QuerySet[Any], batch: int, limit: int | None) -> int:
    total = 0
    while limit is None or total < limit:
        size = batch if limit is None else min(batch, limit - total)
        keys = list(rows.order_by().values_list("pk", flat=True)[:size])
        # the condition stands again: a row may have come back to life since it was read (a throttle does)
        _, counted = rows.filter(pk__in=keys).delete()
        total += counted.get(rows.model._meta.label, 0)
        if len(keys) < size:
            break
    return total
