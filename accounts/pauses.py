"""Sign-ins that are paused at an identity provider: put away, found again, spent.

RFC 6749 10.12 and RFC 9700 4.7: a state is random, of one use, bound to the browser that began, and short-lived.
"""

import hmac
from datetime import timedelta
from enum import StrEnum
from typing import Any

from django.db.models import F

from accounts import clock, opaque
from accounts.models import IdentityProvider, SignInRequest, UserPool

LIFETIME = timedelta(minutes=5)  # Cognito's bound for the whole round trip (managed-login page)
MAX_REFUSALS = 3


class Lost(StrEnum):
    """Why an answer cannot be taken."""

    UNKNOWN = "state_unknown"
    FOREIGN = "state_foreign"
    EXPIRED = "state_expired"
    REPLAYED = "state_replayed"


def put_away(
    pool: UserPool, provider: IdentityProvider, state: str, browser: str, query: str, upstream_state: Any
) -> None:
    """Store the pause. One row; only digests of ``state`` and ``browser``. ``upstream_state`` is a map for JSON."""
    now = clock.now()
    SignInRequest.objects.create(
        user_pool=pool,
        provider=provider,
        digest=opaque.digest(state),
        browser_digest=opaque.digest(browser),
        authorize_query=query,
        upstream_state=upstream_state,
        created_at=now,
        expires_at=now + LIFETIME,
    )


def find(pool: UserPool, state: str) -> SignInRequest | None:
    """Return the pause that ``state`` names at ``pool``, whatever became of it; another pool's is none."""
    if len(state) != 43:
        return None
    return SignInRequest.objects.filter(user_pool=pool, digest=opaque.digest(state)).first()


def why_lost(paused: SignInRequest, browser: str) -> Lost | None:
    """Return why this browser may not go on with ``paused``; None when it may.

    The browser comes first: whoever has a state without the cookie is told nothing of the state.
    """
    if not browser or not hmac.compare_digest(opaque.digest(browser), paused.browser_digest):
        return Lost.FOREIGN
    if paused.consumed_at is not None:
        return Lost.REPLAYED
    if clock.now() >= paused.expires_at:
        return Lost.EXPIRED
    return None


def spend(paused: SignInRequest) -> bool:
    """Mark the pause as over; False when another request did. The UPDATE is the gate, before anything is sent."""
    now = clock.now()
    live = SignInRequest.objects.filter(pk=paused.pk, consumed_at__isnull=True, expires_at__gt=now)
    return bool(live.update(consumed_at=now))


def may_note_refusal(paused: SignInRequest) -> bool:
    """Whether one more refused answer to this state may be recorded; who has a state could fill a table with it."""
    rows = SignInRequest.objects.filter(pk=paused.pk, refusals__lt=MAX_REFUSALS)
    return bool(rows.update(refusals=F("refusals") + 1))
