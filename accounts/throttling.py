"""Lock-out after failed sign-ins, per user and per address.

From the fifth failure on, a name is blocked for 2^(n-5) seconds, 15 minutes at most (Cognito's rule, W 12). An address
may fail more often, because an office shares one. An attempt is counted before the password is looked at, so that a
burst of parallel guesses is counted whole, and taken back when the password was right.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import opaque
from accounts.models import SignInThrottle, UserPool

FREE_FAILURES = {"user": 5, "address": 50}
LONGEST_BLOCK = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=1)


class Blocked(Exception):
    """Too many failures; nothing was tried."""


def _key(kind: str, value: str) -> str:
    return opaque.digest(f"{kind}\0{value}")


def count_attempt(pool: UserPool, kind: str, value: str) -> None:
    """Count one attempt of ``value`` (``kind``: user or address); raise Blocked while it is locked out."""
    now = timezone.now()
    with transaction.atomic():
        row, _ = SignInThrottle.objects.select_for_update().get_or_create(
            user_pool=pool, key=_key(kind, value), defaults={"updated_at": now}
        )
        if row.blocked_until is not None and row.blocked_until > now:
            raise Blocked
        row.failures = 1 if row.updated_at < now - FORGOTTEN_AFTER else row.failures + 1
        over = row.failures - FREE_FAILURES[kind]
        row.blocked_until = now + min(timedelta(seconds=2 ** min(over, 10)), LONGEST_BLOCK) if over >= 0 else None
        row.updated_at = now
        row.save(update_fields=["failures", "blocked_until", "updated_at"])


def succeeded(pool: UserPool, user_value: str, address: str) -> None:
    """Forget the failures of the user, and take the attempt back from the address.

    Only the attempt: who owns one account must not be able to clear the count by signing in to it.
    """
    SignInThrottle.objects.filter(user_pool=pool, key=_key("user", user_value)).delete()
    SignInThrottle.objects.filter(user_pool=pool, key=_key("address", address), failures__gt=0).update(
        failures=F("failures") - 1, blocked_until=None
    )
