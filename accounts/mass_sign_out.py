"""Signing everybody of a pool out, in bounded batches: after a backup was restored, or when tokens have leaked.

An older backup brings back to life what has ended since: rotated tokens, revoked grants, spent codes. One time on each
user ends it: what was begun before stands no more. UserInfo refuses the access tokens that were handed out. An
app that verifies them by itself takes them until they expire, as anywhere.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from accounts import clock
from accounts.models import AuthorizationCode, PoolUser, RefreshToken, SignInRequest, SignInSession, UserPool

BATCH = 1000


def sign_out(pool: UserPool, batch: int = BATCH) -> int:
    """End every session, code, grant and paused sign-in of ``pool`` from before now; return how many users it has.

    May run while the server serves, twice, and again after an interruption. Each batch is a transaction of its own.
    """
    now = clock.now()
    SignInRequest.objects.filter(user_pool=pool, consumed_at__isnull=True).update(consumed_at=now)
    total, last = 0, 0
    while True:
        rows = PoolUser.objects.filter(user_pool=pool, pk__gt=last).order_by("pk")
        users = list(rows.values_list("pk", flat=True)[:batch])
        if users:
            _batch(users, now)
            total, last = total + len(users), users[-1]
        if len(users) < batch:
            return total


@transaction.atomic
def _batch(users: list[int], now: datetime) -> None:
    # first what refuses by itself: a code that is redeemed meanwhile yields a grant that is dead already
    earlier = Q(signed_out_at__isnull=True) | Q(signed_out_at__lt=now)
    PoolUser.objects.filter(earlier, pk__in=users).update(signed_out_at=now, updated_at=now)
    SignInSession.objects.filter(user__in=users, auth_time__lte=now).delete()
    old = {"user__in": users, "auth_time__lte": now}
    AuthorizationCode.objects.filter(**old, consumed_at__isnull=True).update(consumed_at=now)
    RefreshToken.objects.filter(**old, revoked_at__isnull=True).update(revoked_at=now)
