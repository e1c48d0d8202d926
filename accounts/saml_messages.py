"""SAML messages of one use, and sign-outs that wait for a provider's answer.

saml-profiles-2.0 4.1.4.5: a bearer assertion is used once, so its ID is remembered until it is dead by itself. The
insert is the gate: of two requests with one assertion, at any two processes, one finds the row there.
"""

from datetime import datetime, timedelta

from django.db import IntegrityError

from accounts import clock, opaque
from accounts.models import IdentityProvider, SignOutRequest, UsedSamlMessage, UserPool
from accounts.statements import change, time_param

SIGN_OUT_LIFETIME = timedelta(minutes=10)
# without a transaction around it: who comes second is told by the count, not by an error
_USE = f"""INSERT INTO {UsedSamlMessage._meta.db_table} (user_pool_id, digest, expires_at) VALUES (%s, %s, %s)
    ON CONFLICT DO NOTHING"""  # noqa: S608 - names of a table and columns, none from outside


def use(pool: UserPool, issuer: str, message_id: str, until: datetime) -> bool:
    """Remember that a message of ``issuer`` was taken at ``pool``; False when it was before, or the pool is gone.

    The issuer and not the provider: a pool may have one IdP under two names.
    """
    try:
        return change(_USE, (pool.pk, opaque.digest(f"{issuer}\0{message_id}"), time_param(until))) == 1
    except IntegrityError:
        return False


def put_away_sign_out(pool: UserPool, provider: IdentityProvider, relay_state: str, url: str) -> None:
    """Store that a browser went to ``provider`` to sign out and is to go on to ``url``. One row."""
    now = clock.now()
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
    live = SignOutRequest.objects.filter(consumed_at__isnull=True, expires_at__gt=clock.now())
    return live.select_related("provider").filter(user_pool=pool, digest=opaque.digest(relay_state)).first()


def spend_sign_out(waiting: SignOutRequest) -> bool:
    """Mark the sign-out as answered; False when another request did."""
    live = SignOutRequest.objects.filter(pk=waiting.pk, consumed_at__isnull=True)
    return bool(live.update(consumed_at=clock.now()))
