"""Recording what happens at sign-in: the rows of accounts/models/events.py, and a line of the log for each.

A step is a name, words, and small facts: a status, a host, milliseconds, names of claims. Whoever notes one gives no
value that an IdP or a browser sent beyond that; what is noted all the same is clipped, and a fact whose name is a
secret's is masked. A username that nobody has is never kept: people type passwords there.
"""

import json
import logging
import time
from collections import deque
from contextvars import ContextVar
from typing import Any

from django.db import IntegrityError, connection

from accounts import audit, clock, metrics, tracing
from accounts.models import AuthEvent, IdentityProvider, PoolUser, UserPool
from accounts.models.events import EventType, Outcome
from accounts.statements import insert

log = logging.getLogger("userpool.events")
MAX_STEPS = 40
MAX_WORDS = 300
MAX_CLAIMS = 2000  # characters of the names of claims: those of SAML are URLs
# what anybody can bring about as often as they like, without having signed in anywhere: only so many are worth a row
CHEAP_PER_MINUTE = 10
_cheap: dict[tuple[str, ...], deque[float]] = {}
_refused_in: ContextVar[str] = ContextVar("refused_in", default="")
metrics.know_events(EventType.values)


class Steps:
    """What happened so far, with the time that each step took."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.subject = ""
        self.document = ""
        """What was refused, without its values; it is recorded with the refusal."""
        self._since = time.monotonic()

    def note(self, step: str, words: str = "", **facts: str | int | bool) -> "Steps":
        """Add a step and return these. ``facts`` are shown to operators; nothing secret belongs there."""
        now = time.monotonic()
        entry: dict[str, Any] = {"step": step, "ms": round((now - self._since) * 1000)}
        if words:
            entry["words"] = audit.printable(words)[:MAX_WORDS]
        for name, value in facts.items():
            shown = audit.HIDDEN if audit.SECRET.search(name) else value
            limit = MAX_CLAIMS if name == "claims" else MAX_WORDS
            entry[name] = audit.printable(shown)[:limit] if isinstance(shown, str) else shown
        self._since = now
        if len(self.taken) < MAX_STEPS:
            self.taken.append(entry)
        return self


def signed_in(
    pool: UserPool, provider: IdentityProvider | None, client_id: str, user: PoolUser, steps: Steps | None = None
) -> None:
    """Record that ``user`` came in, through ``provider`` or with a password of the pool's own."""
    _write(EventType.SIGN_IN, Outcome.SUCCEEDED, pool, provider, client_id, steps, user=user)


def signed_out(
    pool: UserPool, provider: IdentityProvider | None, users: list[PoolUser], steps: Steps, client_id: str = ""
) -> None:
    """Record that sessions ended, and whose; of nobody if there were none. ``provider``: who said so, if one did."""
    whose: list[PoolUser | None] = [*users] or [None]
    for user in whose:
        _write(EventType.SIGN_OUT, Outcome.SUCCEEDED, pool, provider, client_id, steps, user=user)


def happened(
    event_type: EventType,
    pool: UserPool,
    user: PoolUser | int | None = None,
    client_id: str = "",
    reason: str = "",
    provider: IdentityProvider | None = None,
    **facts: str | int | bool,
) -> None:
    """Record an event that is no sign-in: a lock-out, a changed password, a revocation, a new key."""
    steps = Steps() if facts else None
    if steps:
        steps.note(str(event_type.label).lower(), "", **facts)
    _write(event_type, Outcome.SUCCEEDED, pool, provider, client_id, steps, user=user, reason=reason)


def refused(
    pool: UserPool,
    provider: IdentityProvider | None,
    client_id: str,
    steps: Steps | None,
    reason: str,
    error: str = "",
    description: str = "",
    *,
    event_type: EventType = EventType.SIGN_IN,
    user: PoolUser | int | None = None,
    early: bool = False,
) -> None:
    """Record a refusal: ``reason`` for operators, ``error`` and ``description`` as the app was told.

    An ``early`` one cost its sender one request: of each reason, provider and pool a few a minute are recorded; the
    log has them all.
    """
    written = not early or _worth_a_row(event_type.value, pool.pk, provider.provider_name if provider else "", reason)
    _write(
        event_type,
        Outcome.REFUSED,
        pool,
        provider,
        client_id,
        steps,
        user=user,
        reason=reason,
        error=error,
        description=description,
        written=written,
    )


def refused_already() -> bool:
    """Whether the current request has a refusal on record: whoever answers it need not record another."""
    return bool(tracing.current_request_id()) and _refused_in.get() == tracing.current_request_id()


def leave_unrecorded() -> None:
    """Say that the refusal of the current request is not worth a record: the same was refused before."""
    _refused_in.set(tracing.current_request_id())


def _worth_a_row(*kind: str) -> bool:
    now = time.monotonic()
    recent = _cheap.setdefault(kind, deque(maxlen=CHEAP_PER_MINUTE))
    if len(recent) == CHEAP_PER_MINUTE and now - recent[0] < 60:
        return False
    recent.append(now)
    return True


def forget_early() -> None:
    """Forget how many early refusals were recorded of late."""
    _cheap.clear()


def _write(
    event_type: EventType,
    outcome: Outcome,
    pool: UserPool,
    provider: IdentityProvider | None,
    client_id: str,
    steps: Steps | None,
    *,
    user: PoolUser | int | None = None,
    reason: str = "",
    error: str = "",
    description: str = "",
    written: bool = True,
) -> None:
    name, user_id = provider.provider_name if provider else "", user.pk if isinstance(user, PoolUser) else user
    refusal = outcome == Outcome.REFUSED
    if refusal:
        leave_unrecorded()  # a second time
    row = {
        "at": clock.now(),
        "event_type": event_type.value,
        "user_pool_id": pool.pk,
        "provider_id": provider.pk if provider else None,
        "provider_name": name,
        # what a stranger wrote may be anything
        "client_id": audit.printable(client_id)[:128],
        "user_id": user_id,
        "subject": audit.printable(steps.subject if steps else "")[:512],
        "outcome": outcome.value,
        "reason": reason[:48],
        "error": error[:48],
        "description": audit.printable(description)[:512],
        "steps": json.dumps(steps.taken if steps else []),
        "document": steps.document if steps and refusal else "",
        "address": tracing.current_address()[:45],
        "request_id": tracing.current_request_id(),
    }
    _tell(row)
    _count(event_type, provider, reason, refusal)
    if not written:
        return
    # the provider, or the user, may have been deleted while the sign-in went on: the record is not worth an error. In a
    # transaction the foreign keys are judged at its end, and whoever opened it holds the rows
    for present in ({}, {"provider_id": None}, {"provider_id": None, "user_id": None}):
        try:
            insert(AuthEvent._meta.db_table, row | present)
        except IntegrityError:
            if connection.in_atomic_block:
                raise
            continue
        return
    log.warning("event not recorded: its pool is gone", extra={"pool": pool.pk})


def _count(event_type: EventType, provider: IdentityProvider | None, reason: str, refusal: bool) -> None:
    metrics.logged_event(event_type.value)
    if event_type != EventType.SIGN_IN:
        return
    if provider is not None:
        method = provider.provider_type
    else:  # an answer that fits no sign-in came from some provider, nobody knows which
        method = "password" if not refusal or reason in metrics.PASSWORD_REASONS else metrics.OTHER
    if refusal:
        metrics.sign_in_refused(method, reason)
    else:
        metrics.signed_in(method)


def _tell(row: dict[str, Any]) -> None:
    """Write the line of the log. Who it was stands there as a number; names and what a provider said do not."""
    shown = {
        "event": row["event_type"],
        "outcome": row["outcome"],
        "pool": row["user_pool_id"],
        "provider": row["provider_name"],
        "client": row["client_id"],
        "user": row["user_id"],
        "reason": row["reason"],
        "error": row["error"],
        "address": row["address"],
    }
    words = f"{row['event_type']} {row['outcome']}" + (f": {row['reason']}" if row["reason"] else "")
    log.info("%s", words, extra={name: value for name, value in shown.items() if value})
