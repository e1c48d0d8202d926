"""Recording sign-ins through identity providers, step by step (accounts/models/attempts.py).

A step is a name, words, and small facts: a status, a host, milliseconds, names of claims. Whoever notes one gives no
value that an IdP or a browser sent beyond that; what is noted all the same is clipped, and a fact whose name is a
secret's is masked.
"""

import logging
import time
from collections import deque
from typing import Any

from accounts import audit, tracing
from accounts.models import IdentityProvider, PoolUser, SignInAttempt, UserPool
from accounts.models.attempts import Outcome

log = logging.getLogger("userpool.signin")
MAX_STEPS = 40
MAX_WORDS = 300
# answers to states that nobody knows: anybody can send them, so only so many are worth a row
UNKNOWN_PER_MINUTE = 10
_unknown: deque[float] = deque(maxlen=UNKNOWN_PER_MINUTE)


class Steps:
    """What happened so far, with the time that each step took."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.subject = ""
        self._since = time.monotonic()

    def note(self, step: str, words: str = "", **facts: str | int | bool) -> None:
        """Add a step. ``facts`` are shown to operators; nothing secret belongs there."""
        now = time.monotonic()
        entry: dict[str, Any] = {"step": step, "ms": round((now - self._since) * 1000)}
        if words:
            entry["words"] = audit.printable(words)[:MAX_WORDS]
        for name, value in facts.items():
            shown = audit.HIDDEN if audit.SECRET.search(name) else value
            entry[name] = audit.printable(shown)[:MAX_WORDS] if isinstance(shown, str) else shown
        self._since = now
        if len(self.taken) < MAX_STEPS:
            self.taken.append(entry)


def signed_in(pool: UserPool, provider: IdentityProvider, client_id: str, user: PoolUser, steps: Steps) -> None:
    """Record that ``user`` came in through ``provider``."""
    _write(pool, provider, client_id, steps, outcome=Outcome.SIGNED_IN, user=user)


def refused(
    pool: UserPool,
    provider: IdentityProvider | None,
    client_id: str,
    steps: Steps,
    reason: str,
    error: str = "",
    description: str = "",
) -> None:
    """Record a refusal: ``reason`` for operators, ``error`` and ``description`` as the app was told."""
    log.info(
        "federated sign-in refused: %s",
        reason,
        extra={"pool": pool.pk, "provider": provider.provider_name if provider else "", "client": client_id},
    )
    _write(
        pool,
        provider,
        client_id,
        steps,
        outcome=Outcome.REFUSED,
        reason=reason[:48],
        error=error[:48],
        description=audit.printable(description)[:512],
    )


def refused_unknown(pool: UserPool, steps: Steps, reason: str) -> None:
    """Record an answer that belongs to no sign-in, unless there were many of late; the log has them all."""
    now = time.monotonic()
    if len(_unknown) == UNKNOWN_PER_MINUTE and now - _unknown[0] < 60:
        log.info("federated sign-in refused: %s", reason, extra={"pool": pool.pk})
        return
    _unknown.append(now)
    refused(pool, None, "", steps, reason)


def _write(pool: UserPool, provider: IdentityProvider | None, client_id: str, steps: Steps, **values: Any) -> None:
    SignInAttempt.objects.create(
        user_pool=pool,
        provider=provider,
        provider_name=provider.provider_name if provider else "",
        client_id=client_id,
        subject=audit.printable(steps.subject)[:512],
        steps=steps.taken,
        request_id=tracing.current_request_id(),
        **values,
    )
