"""Recording sign-ins through identity providers, step by step (accounts/models/attempts.py).

A step is a name, words, and small facts: a status, a host, milliseconds, names of claims. Whoever notes one gives no
value that an IdP or a browser sent beyond that; what is noted all the same is clipped, and a fact whose name is a
secret's is masked.
"""

import logging
import time
from collections import deque
from contextlib import nullcontext
from typing import Any

from django.db import IntegrityError, connection, transaction

from accounts import audit, tracing
from accounts.models import IdentityProvider, PoolUser, SignInAttempt, UserPool
from accounts.models.attempts import Outcome

log = logging.getLogger("userpool.signin")
MAX_STEPS = 40
MAX_WORDS = 300
MAX_CLAIMS = 2000  # characters of the names of claims: those of SAML are URLs
# what anybody can bring about as often as they like, without having signed in anywhere: only so many are worth a row
CHEAP_PER_MINUTE = 10
_cheap: dict[tuple[str, int | None], deque[float]] = {}


class Steps:
    """What happened so far, with the time that each step took."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.subject = ""
        self.document = ""
        """What was refused, without its values; it is recorded with the refusal."""
        self._since = time.monotonic()

    def note(self, step: str, words: str = "", **facts: str | int | bool) -> None:
        """Add a step. ``facts`` are shown to operators; nothing secret belongs there."""
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


def signed_in(pool: UserPool, provider: IdentityProvider, client_id: str, user: PoolUser, steps: Steps) -> None:
    """Record that ``user`` came in through ``provider``."""
    _write(pool, provider, client_id, steps, outcome=Outcome.SIGNED_IN, user=user)


def signed_out(pool: UserPool, provider: IdentityProvider, users: list[PoolUser], steps: Steps) -> None:
    """Record that the provider ended sessions, and whose; of nobody if there were none."""
    whose: list[PoolUser | None] = [*users] or [None]
    for user in whose:
        _write(pool, provider, "", steps, outcome=Outcome.SIGNED_OUT, user=user)


def refused(
    pool: UserPool,
    provider: IdentityProvider | None,
    client_id: str,
    steps: Steps,
    reason: str,
    error: str = "",
    description: str = "",
    *,
    early: bool = False,
) -> None:
    """Record a refusal: ``reason`` for operators, ``error`` and ``description`` as the app was told.

    An ``early`` one cost its sender one request: of each provider a few a minute are recorded; the log has them all.
    """
    log.info(
        "federated sign-in refused: %s",
        reason,
        extra={"pool": pool.pk, "provider": provider.provider_name if provider else "", "client": client_id},
    )
    if early and not _worth_a_row(pool, provider):
        return
    _write(
        pool,
        provider,
        client_id,
        steps,
        outcome=Outcome.REFUSED,
        reason=reason[:48],
        document=steps.document,
        error=error[:48],
        description=audit.printable(description)[:512],
    )


def _worth_a_row(pool: UserPool, provider: IdentityProvider | None) -> bool:
    now = time.monotonic()
    recent = _cheap.setdefault((pool.pk, provider.pk if provider else None), deque(maxlen=CHEAP_PER_MINUTE))
    if len(recent) == CHEAP_PER_MINUTE and now - recent[0] < 60:
        return False
    recent.append(now)
    return True


def forget_early() -> None:
    """Forget how many early refusals were recorded of late."""
    _cheap.clear()


def _write(pool: UserPool, provider: IdentityProvider | None, client_id: str, steps: Steps, **values: Any) -> None:
    row = {
        "user_pool": pool,
        "provider_name": provider.provider_name if provider else "",
        "client_id": client_id,
        "subject": audit.printable(steps.subject)[:512],
        "steps": steps.taken,
        "request_id": tracing.current_request_id(),
        **values,
    }
    # the provider, or the user, may have been deleted while the sign-in went on: the record is not worth an error
    for present in ({"provider": provider}, {"provider": None, "user": None}):
        try:
            # a savepoint inside of a transaction; outside of one a statement needs none, and saves two round trips
            with transaction.atomic() if connection.in_atomic_block else nullcontext():
                SignInAttempt.objects.create(**row | present)
        except IntegrityError:
            continue
        return
    log.warning("federated sign-in not recorded: its pool is gone", extra={"pool": pool.pk})
