"""Lock-out after failed sign-ins, per user and per address.

From the fifth failure on, a name is blocked for 2^(n-5) seconds, 15 minutes at most (Cognito's rule, W 12). An address
may fail more often, because an office shares one. An attempt is counted before the password is looked at, so that a
burst of parallel guesses is counted whole, and taken back when the password was right.
"""

from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from django.db import transaction

from accounts import clock, opaque
from accounts.models import UserPool
from accounts.statements import change, fetch, time_param

FREE_FAILURES = {"user": 5, "address": 50}
LONGEST_BLOCK = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=1)


class Blocked(Exception):
    """Too many failures; nothing was tried."""


def network(address: str) -> str:
    """Return what is counted for ``address``: of IPv6 the /64, for whoever has one address there has them all."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or ip_network((int(parsed), 64), strict=False))
    return str(parsed)


def _key(kind: str, value: str) -> str:
    if kind == "address":
        value = network(value)
    return opaque.digest(f"{kind}\0{value}")


# An attempt is counted unless the row is blocked: no row comes back then. Concurrent attempts wait for the row.
_COUNT = """INSERT INTO accounts_signinthrottle (user_pool_id, key, failures, updated_at) VALUES (%s, %s, 1, %s)
    ON CONFLICT (user_pool_id, key) DO UPDATE SET updated_at = excluded.updated_at,
        failures = CASE WHEN accounts_signinthrottle.updated_at < %s THEN 1
                        ELSE accounts_signinthrottle.failures + 1 END
    WHERE accounts_signinthrottle.blocked_until IS NULL OR accounts_signinthrottle.blocked_until <= %s
    RETURNING failures"""
_FORGET = "DELETE FROM accounts_signinthrottle WHERE user_pool_id = %s AND key = %s"
_TAKE_BACK = """UPDATE accounts_signinthrottle SET failures = failures - 1, blocked_until = NULL
    WHERE user_pool_id = %s AND key = %s AND failures > 0"""
_BLOCK = "UPDATE accounts_signinthrottle SET blocked_until = %s WHERE user_pool_id = %s AND key = %s"


def count_attempts(pool: UserPool, address: str, user_value: str) -> list[str]:
    """Count one attempt from ``address`` at ``user_value``; raise Blocked while either is locked out.

    Return which of the two it locks out, unless it turns out to be right: "address", "user". A blocked address does
    not count against the user: it would lock out whom it cannot try any more.
    """
    with transaction.atomic():
        counts = {"address": count(pool, "address", address)}
        if counts["address"]:
            counts["user"] = count(pool, "user", user_value)
    if not all(counts.values()):
        raise Blocked
    return [kind for kind, failures in counts.items() if failures >= FREE_FAILURES[kind]]


def count(pool: UserPool, kind: str, value: str) -> int:
    """Count one attempt of ``value`` (``kind``: user or address) and return how many there were of late.

    0, and nothing counted, while it is blocked.
    """
    now, key = clock.now(), _key(kind, value)
    now_param = time_param(now)
    row = fetch(_COUNT, (pool.pk, key, now_param, time_param(now - FORGOTTEN_AFTER), now_param))
    if row is None:
        return 0
    failures = int(row[0])
    over = failures - FREE_FAILURES[kind]
    if over >= 0:
        until = now + min(timedelta(seconds=2 ** min(over, 10)), LONGEST_BLOCK)
        change(_BLOCK, (time_param(until), pool.pk, key))
    return failures


def succeeded(pool: UserPool, user_value: str, address: str) -> None:
    """Forget the failures of the user, and take the attempt back from the address.

    Only the attempt: who owns one account must not be able to clear the count by signing in to it.
    """
    with transaction.atomic():  # the address first, as count_attempts: the other order would be a deadlock
        change(_TAKE_BACK, (pool.pk, _key("address", address)))
        change(_FORGET, (pool.pk, _key("user", user_value)))
