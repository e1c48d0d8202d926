"""How many requests a second a pool takes: of one address, for one app client, and in all (Cognito's quotas, W 1.4).

Every process counts by itself, and tells Redis only when it has counted a twentieth of a limit: one trip pays for
fifteen requests of three hundred, and who asks less often costs none. The answer says what all processes have counted
and when the window ends. So a second can hold more than the limit by a twentieth for each process, and no more;
without Redis each process allows the limit. A library for this (limits) was tried: its memory starts a thread every
ten milliseconds, knows no bound, and costs five times as much.

An address that is refused is not counted at its client or its pool, so that it takes nothing from others. Whoever
names a client counts against it, as at Cognito: it is not known yet who asks. Only clients that exist are counted. The
counts of a process are bounded: when there are too many, the one that began first goes.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

from accounts import directory, shared_counts, throttling
from accounts.models import UserPool
from accounts.shared_counts import SharedCounts

log = logging.getLogger("userpool.limits")
WINDOW = 1.0
MAX_COUNTS = 50_000
PARTS = 20
"""A process reports when it has counted this part of a limit."""

_network = lru_cache(maxsize=10_000)(throttling.network)


@dataclass(slots=True)
class _Count:
    """One window of one key. The clock is the process's own."""

    ends: float
    own: int = 0
    unreported: int = 0
    elsewhere: int = 0
    refused: bool = False


class Limiter:
    """Counts of one process, in agreement with those of the others as far as ``shared`` is there."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, _Count] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._counts)

    def hit(self, key: str, limit: int, shared: SharedCounts | None) -> bool:
        """Count one request of ``key``; False, and nothing counted, when its window is full."""
        now = self._clock()
        with self._lock:
            count = self._counts.get(key)
            if count is None or count.ends <= now:
                count = self._begun(key, now)
            if count.own + count.elsewhere >= limit:
                return False
            count.own += 1
            count.unreported += 1
            if shared is None or count.unreported * PARTS < limit:
                return True
            told, count.unreported = count.unreported, 0
        return self._reported(key, count, limit, told, shared)

    def full(self, key: str, limit: int) -> bool:
        """Whether ``key`` would be refused, as far as this process knows."""
        count = self._counts.get(key)
        return count is not None and count.own + count.elsewhere >= limit and count.ends > self._clock()

    def first_refusal(self, key: str) -> bool:
        """Whether this is the first refusal of the window: the one that goes into the log."""
        with self._lock:
            count = self._counts.get(key)
            first = count is not None and not count.refused
            if count is not None:
                count.refused = True
        return first

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._counts.clear()

    def _begun(self, key: str, now: float) -> _Count:
        self._counts.pop(key, None)  # a dict keeps the place of a key that it has: the oldest must stay first
        while len(self._counts) >= MAX_COUNTS:
            del self._counts[next(iter(self._counts))]
        count = self._counts[key] = _Count(now + WINDOW)
        return count

    def _reported(self, key: str, count: _Count, limit: int, told: int, shared: SharedCounts) -> bool:
        """Tell Redis of ``told`` requests, this one the last; whether it was within the limit of all processes."""
        answer = shared.add(f"rate:{key}", told, count.ends - self._clock())
        with self._lock:
            if answer is None:
                count.unreported += told
                return True
            total, left = answer
            # two answers may overtake one another: the count of a window only grows
            count.elsewhere = max(count.elsewhere, total - (count.own - count.unreported))
            count.ends = self._clock() + left
        return total <= limit


# two, so that no number of addresses displaces a pool's count
_addresses, _tenants = Limiter(), Limiter()


def forget() -> None:
    """Begin anew."""
    _addresses.forget()
    _tenants.forget()


@dataclass(frozen=True, slots=True)
class Over:
    """Whose limit a request is over."""

    kind: str
    """address, client or pool."""
    client_id: str
    first: bool
    """Whether it is the first that this process refuses in the window: a flood must not become one of records."""


def refused(pool: UserPool, address: str, client_ids: Callable[[], list[str]]) -> Over | None:
    """Count a request at ``pool``; return what is over its limit, or None.

    ``client_ids`` is asked for what the request may name as its app client, and only when it matters.
    """
    shared = shared_counts.shared()
    if (limit := settings.USERPOOL_RATE_LIMIT_ADDRESS) and address:
        key = f"address:{pool.pk}:{_network(address)}"
        if not _addresses.hit(key, limit, shared):
            return _over("address", _addresses, key, pool)
    pool_key, pool_limit = f"pool:{pool.pk}", settings.USERPOOL_RATE_LIMIT_POOL
    # looked at before the client is looked up, which asks the database for one that does not exist
    if pool_limit and _tenants.full(pool_key, pool_limit):
        return _over("pool", _tenants, pool_key, pool)
    if limit := settings.USERPOOL_RATE_LIMIT_CLIENT:
        found = (directory.app_client(pool, client_id) for client_id in client_ids())
        client = next((client for client in found if client is not None), None)
        if client is not None and not _tenants.hit(key := f"client:{pool.pk}:{client.client_id}", limit, shared):
            return _over("client", _tenants, key, pool, client.client_id)
    if pool_limit and not _tenants.hit(pool_key, pool_limit, shared):
        return _over("pool", _tenants, pool_key, pool)
    return None


def _over(kind: str, limiter: Limiter, key: str, pool: UserPool, client_id: str = "") -> Over:
    first = limiter.first_refusal(key)
    if first:
        log.warning("over the rate limit: %s", key, extra={"pool": pool.pk})
    return Over(kind, client_id, first)
