"""Fetching what a provider publishes, once for everybody who needs it.

The copy in the database serves until it is too old. Then one thread of one process fetches; the others take the old
copy if there is one that is not ancient, or wait for the new one. After a failure nobody asks again for a moment.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from accounts import documents
from accounts.models import IdentityProvider, ProviderDocument
from federation.upstream.fetching import CAUSES, BadDocument, FetchFailed
from federation.upstream.http import MAX_BODY, Exchange

LEASE = timedelta(seconds=15)
RETRY = timedelta(seconds=10)
POLL = 0.1  # seconds
XML = "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.9"

Judge = Callable[[str], object]
_turns: dict[tuple[int, str], threading.Lock] = {}
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of document: how old a copy is read without asking, and how old one still does when asking fails."""

    name: str
    fresh: timedelta
    usable: timedelta
    is_json: bool = True
    limit: int = MAX_BODY
    purpose: str = ""
    """What a call for it is counted under; by itself the name."""


DISCOVERY = Kind("discovery", timedelta(hours=1), timedelta(days=1))
JWKS = Kind("jwks", timedelta(minutes=15), timedelta(hours=6))
# W 8.1. The last good copy stays: a provider whose metadata cannot be read just now still signs people in
METADATA = Kind("saml", timedelta(hours=6), timedelta(days=3650), is_json=False, limit=1024 * 1024, purpose="metadata")


def document(
    provider: IdentityProvider,
    kind: Kind,
    url: str,
    exchange: Exchange,
    *,
    judge: Judge,
    newer_than: timedelta | None = None,
) -> ProviderDocument:
    """Return the document at ``url``; raise FetchFailed when it cannot be had and there is no copy to go by.

    ``judge`` raises BadDocument for what cannot be used, and no good copy is given up for that. ``newer_than`` asks for
    a copy of less than this age: for a key that the present one does not have.
    """
    wanted = kind.fresh if newer_than is None else newer_than
    found = documents.read(provider, kind.name, url)
    if found is not None and documents.younger_than(found.fetched_at, wanted):
        return found
    old = found if found is not None and documents.younger_than(found.fetched_at, kind.usable) else None
    if newer_than is not None:
        old = None
    with _turn(provider.pk, kind.name, 0.0 if old else exchange.left) as mine:
        if not mine:
            if old is not None:
                return old
            raise FetchFailed("timeout")
        return _fetched(provider, kind, url, exchange, wanted, old, judge)


def _fetched(
    provider: IdentityProvider,
    kind: Kind,
    url: str,
    exchange: Exchange,
    wanted: timedelta,
    old: ProviderDocument | None,
    judge: Judge,
) -> ProviderDocument:
    while True:
        found = documents.read(provider, kind.name, url, fresh=True)
        if found is not None and documents.younger_than(found.fetched_at, wanted):
            return found
        if found is not None and documents.younger_than(found.failed_at, RETRY):
            if old is not None:
                return old
            raise FetchFailed(found.failure if found.failure in CAUSES else "connection")
        if documents.claim(provider, kind.name, url, LEASE):
            break
        if old is not None:
            return old
        if not exchange.left:
            raise FetchFailed("timeout")
        time.sleep(POLL)  # another process is fetching it
    try:
        body = fetch(kind, url, exchange, judge)
    except FetchFailed as failure:
        documents.failed(provider, kind.name, url, failure.cause)
        if old is not None:
            return old
        raise
    except BaseException:
        documents.failed(provider, kind.name, url, "connection")
        raise
    documents.store(provider, kind.name, url, body)
    stored = documents.read(provider, kind.name, url, fresh=True)
    if stored is None:
        raise FetchFailed("connection")  # the provider was deleted, or given another address, at this very moment
    return stored


def fetch(kind: Kind, url: str, exchange: Exchange, judge: Judge) -> str:
    """Return the document at ``url`` as it is now; raise FetchFailed, or BadDocument of ``judge``."""
    headers = {} if kind.is_json else {"Accept": XML}
    answer = exchange.get(url, headers, purpose=kind.purpose or kind.name, follow=True, limit=kind.limit)
    if answer.status != 200:
        raise FetchFailed("status", answer.host, answer.status)
    if kind.is_json:
        answer.json()
    try:
        body = answer.body.decode()  # JSON is UTF-8 (RFC 8259 8.1); of XML nothing else is read here
    except UnicodeDecodeError as error:
        raise BadDocument("The document is not UTF-8.") from error
    if "\x00" in body:
        raise FetchFailed("not_json", answer.host) if kind.is_json else BadDocument("The document is not text.")
    judge(body)
    return body


@contextmanager
def _turn(provider_id: int, kind: str, patience: float) -> Iterator[bool]:
    """Let one thread of this process in at a time; yield whether this one got in."""
    with _guard:
        lock = _turns.setdefault((provider_id, kind), threading.Lock())
    mine = lock.acquire(timeout=patience) if patience else lock.acquire(blocking=False)
    try:
        yield mine
    finally:
        if mine:
            lock.release()
