"""SAML messages of one use, and sign-outs that wait for a provider's answer.

saml-profiles-2.0 4.1.4.5: a bearer assertion is used once, so its ID is remembered until it is dead by itself. The
insert is the gate: of two requests with one assertion, at any two processes, one finds the row there.
"""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import opaque
from accounts.models import IdentityProvider, SignOutRequest, UsedSamlMessage, UserPool

SIGN_OUT_LIFETIME = timedelta(minutes=10)


def use(provider: IdentityProvider, message_id: str, until: datetime) -> bool:
    """Remember that a message of ``provider`` was taken; False when it was before, or when the provider is gone."""
    try:
        with transaction.atomic():
            UsedSamlMessage.objects.create(provider=provider, digest=opaque.digest(message_id), expires_at=until)
    except IntegrityError:
        return False
    return True


def put_away_sign_out(pool: UserPool, provider: IdentityProvider, relay_state: str, url: str) -> None:
    """Store that a browser went to ``provider`` to sign out and is to go on to ``url``. One row."""
    now = timezone.now()
    SignOutRequest.objects.create(
        user_pool=pool,
        provider=provider,
        digest=opaque.digest(relay_state),
        url=url,
        created_at=now,
        expires_at=now + SIGN_OUT_LIFETIME,
    )


def find_sign_out(pool: UserPool, relay_state: str) -> SignOutRequest | None:
    """Return the sign-out that ``relay_state`` names and that nobody answered yet, or None."""
    if len(relay_state) != 43:
        return None
    live = SignOutRequest.objects.filter(consumed_at__isnull=True, expires_at__gt=timezone.now())
    return live.select_related("provider").filter(user_pool=pool, digest=opaque.digest(relay_state)).first()


def spend_sign_out(waiting: SignOutRequest) -> bool:
    """Mark the sign-out as answered; False when another request did."""
    live = SignOutRequest.objects.filter(pk=waiting.pk, consumed_at__isnull=True)
    return bool(live.update(consumed_at=timezone.now()))
