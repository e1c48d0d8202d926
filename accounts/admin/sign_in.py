"""The operators' sign-in form, and its lock-out after so many failures of an address and of a name.

Counted as for the users of pools, before the password is looked at. A name takes more than an address, or anybody who
knows it could lock its operator out with little effort. The counts are those of all processes (Redis) and of this one,
whichever is larger, so that guesses are counted while Redis is away. The answer does not tell whether the operator
exists; the audit trail names those who do.
"""

import logging
from typing import Any

from django.core.cache import caches
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from accounts import audit, opaque, shared_counts, throttling
from accounts.models import Operator

log = logging.getLogger("userpool.console")
ATTEMPTS = {"address": 10, "name": 50}
WINDOW = 15 * 60


class SignInForm(AuthenticationForm):
    """Django's form; after ATTEMPTS failures it refuses to look for a quarter of an hour."""

    def clean(self) -> dict[str, Any]:
        address = throttling.network(self.request.META.get("REMOTE_ADDR", ""))
        name = str(self.cleaned_data.get("username", ""))
        who = {"name": name.casefold(), "address": address}
        keys = {kind: f"console-sign-in:{opaque.digest(f'{kind} {value}')}" for kind, value in who.items()}
        # counted before the password is looked at: what arrives at once must not slip through together
        counts = {kind: _add(key, 1) for kind, key in keys.items()}
        if over := [kind for kind in counts if counts[kind] > ATTEMPTS[kind]]:
            if any(counts[kind] == ATTEMPTS[kind] + 1 for kind in over):
                _note(name, address, over)
            raise ValidationError("Too many failed attempts. Wait a quarter of an hour.", code="locked")
        cleaned: dict[str, Any] = super().clean()
        _forget(keys["name"])
        _add(keys["address"], -1)  # the attempt only: an account of one's own must not clear the count of guesses
        return cleaned


def _add(key: str, amount: int) -> int:
    own = caches["process"]
    own.add(key, 0, WINDOW)
    try:
        counted = int(own.incr(key, amount))
    except ValueError:  # it ended in between
        counted = max(amount, 0)
        own.set(key, counted, WINDOW)
    shared = shared_counts.shared()
    answer = shared.add(key, amount, WINDOW) if shared else None
    return max(counted, answer[0]) if answer else counted


def _forget(key: str) -> None:
    caches["process"].delete(key)
    if shared := shared_counts.shared():
        shared.forget(key)


def _note(name: str, address: str, over: list[str]) -> None:
    """Write a lock-out down, once: into the log, and on record where the name is an operator's.

    A name that is nobody's is not written: people type passwords into the wrong field.
    """
    log.warning("console sign-in locked out by %s", " and ".join(over), extra={"address": address})
    operator = Operator.objects.filter(username=name).first()
    if operator is not None:
        changes: dict[str, list[Any]] = {"sign-in": ["open", "locked"], "from": [None, address], "by": [None, over]}
        audit.record("lock out", operator, changes, actor="sign-in page")
