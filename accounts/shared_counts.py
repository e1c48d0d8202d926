"""Counts that every web process sees: kept in Redis, each for a while.

Redis may be away, or hang. Then the answer is None at once, and the caller goes by what its own process has counted.
One request finds out, within TIMEOUT; Redis is not asked again for PAUSE, and then by one request only.
"""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger("userpool.redis")
TIMEOUT = 0.1
"""Seconds to connect in, and again to be answered in."""
PAUSE = 5.0
"""Seconds for which a Redis that failed is left alone."""

# One statement at the server: a count never stands without an end. The end is Redis' affair, so that machines whose
# clocks differ still count in the same window. Nothing falls below nought: what is taken back may have ended before.
_ADD = """local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if count < 0 then redis.call('SET', KEYS[1], 0, 'KEEPTTL') count = 0 end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) left = tonumber(ARGV[2]) end
return {count, left}"""


class SharedCounts:
    """Counts at the Redis of ``url``."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        client = redis.Redis.from_url(
            url,
            socket_connect_timeout=TIMEOUT,
            socket_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),  # the library's own would try ten times
        )
        self._client = client
        self._script: Any = client.register_script(_ADD)
        self._clock = clock
        self._away = False
        self._ask_again_at = 0.0

    def add(self, key: str, amount: int, seconds: float) -> tuple[int, float] | None:
        """Add ``amount`` to the count of ``key``, which begins with this call and ends after ``seconds`` if it is new.

        Return the count and the seconds that are left of it; None while Redis is away.
        """
        answer = self._asked(lambda: self._script([f"userpool:{key}"], [amount, max(int(seconds * 1000), 1)]))
        return None if answer is None else (int(answer[0]), int(answer[1]) / 1000)

    def forget(self, key: str) -> None:
        """Let ``key`` begin anew."""
        self._asked(lambda: self._client.delete(f"userpool:{key}"))

    def _asked(self, ask: Callable[[], Any]) -> Any:
        now = self._clock()
        if now < self._ask_again_at:
            return None
        if self._away:
            self._ask_again_at = now + PAUSE  # the others do without while this one looks whether it is back
        try:
            answer = ask()
        except (redis.RedisError, OSError) as error:
            self._ask_again_at = self._clock() + PAUSE
            if not self._away:
                self._away = True
                log.warning("Redis is away: each process counts by itself (%s)", type(error).__name__)
            return None
        if self._away:
            self._away, self._ask_again_at = False, 0.0
            log.warning("Redis is back")
        return answer


@lru_cache(maxsize=4)
def _at(url: str) -> SharedCounts:
    return SharedCounts(url)


def shared() -> SharedCounts | None:
    """Return the counts of this deployment; None where there is no Redis."""
    return _at(settings.REDIS_URL) if settings.REDIS_URL else None


def forget() -> None:
    """Drop the connections, and whether Redis was away."""
    _at.cache_clear()
