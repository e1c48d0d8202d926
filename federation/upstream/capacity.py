"""How many threads of this process may wait for identity providers at once.

A provider that does not answer holds a thread until the deadline. Only USERPOOL_UPSTREAM_CONCURRENCY threads may be
held so, and all but one of them by the same provider; who finds no place is asked to come again in a moment and holds
none. So a dead provider slows its own users down, and token calls and other sign-ins go on.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from federation.errors import Busy

_held: Counter[int] = Counter()
_lock = threading.Lock()


@contextmanager
def place(provider_id: int) -> Iterator[None]:
    """Hold a place for a call to this provider; raise Busy when there is none."""
    total = settings.USERPOOL_UPSTREAM_CONCURRENCY
    with _lock:
        if _held.total() >= total or _held[provider_id] >= max(1, total - 1):
            raise Busy
        _held[provider_id] += 1
    try:
        yield
    finally:
        with _lock:
            _held[provider_id] -= 1
            if not _held[provider_id]:
                del _held[provider_id]
