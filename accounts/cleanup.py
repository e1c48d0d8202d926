"""Deletes rows that time has made useless, in bounded batches (accounts/batches.py).

A row stays while it is evidence. A consumed code is how a replay is noticed, until it would have expired anyway. A
revoked or ended grant is what userInfo and revocation are asked about, until the last access token minted from it
is dead. Nothing else depends on this job: expired rows are refused everywhere, and running it late, twice or on two
workers at once changes nothing but the size of the tables.

The sessions of the console, which are Django's, go with the rest. How long events and the audit trail are kept is each
pool's own (accounts/retention.py).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.contrib.sessions.models import Session
from django.db.models import Q, QuerySet

from accounts import batches, clock, retention
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
    """Yield what may go, one queryset for each index that finds it, in the order of that index."""
    ended = now - LONGEST_ACCESS_TOKEN
    yield AuthorizationCode.objects.filter(expires_at__lte=now).order_by("expires_at")
    yield RefreshToken.objects.filter(expires_at__lte=ended).order_by("expires_at")
    yield RefreshToken.objects.filter(revoked_at__lte=ended).order_by("revoked_at")
    yield SignInSession.objects.filter(expires_at__lte=now, name_id="").order_by("expires_at")
    yield SignInSession.objects.filter(expires_at__lte=now - SAML_SESSIONS_KEPT).order_by("expires_at")
    yield UsedSamlMessage.objects.filter(expires_at__lte=now).order_by("expires_at")
    yield SignOutRequest.objects.filter(expires_at__lte=now).order_by("expires_at")
    yield SignInThrottle.objects.filter(
        Q(blocked_until__isnull=True) | Q(blocked_until__lte=now), updated_at__lte=now - THROTTLE_IDLE
    ).order_by("updated_at")
    yield SigningKey.objects.filter(expires_at__lte=now).order_by("expires_at")
    mail = OutgoingMail.objects.filter(next_attempt_at__isnull=True, created_at__lte=now - MAIL_KEPT)
    yield mail.order_by("created_at")
    yield Alert.objects.filter(over_at__lte=now - ALERTS_KEPT).order_by("over_at")
    yield Session.objects.filter(expire_date__lte=now).order_by("expire_date")
    yield _paused(now)


def _paused(now: datetime) -> QuerySet[Any]:
    return SignInRequest.objects.filter(expires_at__lte=now).order_by("expires_at")


def purge_paused(batch: int = 1000) -> int:
    """Delete the sign-ins that no provider answered in time, and return how many: they are written by anybody."""
    return batches.delete(_paused(clock.now()), batch)


def purge_expired(batch: int = 1000, limit: int | None = None) -> dict[str, int]:
    """Delete useless rows, ``batch`` at a time and ``limit`` of each kind at most; return the counts by model name.

    Each batch is a transaction of its own, so that no lock is held for long and an interrupted run keeps its work.
    """
    deleted: dict[str, int] = {}
    now = clock.now()
    for rows in _useless(now):
        name = rows.model.__name__
        left = limit - deleted.get(name, 0) if limit is not None else None
        deleted[name] = deleted.get(name, 0) + batches.delete(rows, batch, left)
    return deleted | retention.purge(now, batch)


def backlog(bound: int) -> Iterator[tuple[str, QuerySet[Any]]]:
    """Yield what may go now, the oldest first and ``bound`` rows of each kind at most, with the name of its model.

    Nothing is read yet.
    """
    now = clock.now()
    for rows in _useless(now):
        yield rows.model.__name__, rows[:bound]
    yield "AuthEvent", retention.backlog(now, bound)
