"""Hosts that failed several times in a row are left alone for a moment: each further caller hears of it at once.

Per process, in memory. After the moment one caller finds out whether the host is back, while the others still hear at
once that it is not.
"""

import threading
import time
from dataclasses import dataclass

from federation.upstream.fetching import FetchFailed

FAILURES = 3
MOMENT = 10.0  # seconds
MAX_HOSTS = 10_000


@dataclass(slots=True)
class _Record:
    failures: int = 0
    until: float = 0.0


_records: dict[str, _Record] = {}
_lock = threading.Lock()


def require_answering(host: str) -> None:
    """Raise FetchFailed while ``host`` is suspended."""
    with _lock:
        record = _records.get(host)
        if record is None or record.failures < FAILURES:
            return
        now = time.monotonic()
        if now < record.until:
            raise FetchFailed("suspended", host)
        record.until = now + MOMENT  # this caller tries; should it fail, or never come back, the others wait on


def failed(host: str) -> None:
    """Count a call to which ``host`` gave no answer at all."""
    with _lock:
        while host not in _records and len(_records) >= MAX_HOSTS:
            del _records[next(iter(_records))]
        record = _records.setdefault(host, _Record())
        record.failures += 1
        record.until = time.monotonic() + MOMENT


def answered(host: str) -> None:
    """Forget the failures of ``host``; an error that it answers with is an answer."""
    with _lock:
        _records.pop(host, None)


def forget() -> None:
    """Forget every failure."""
    with _lock:
        _records.clear()
