"""``manage.py sign_out``: end every session and grant of a pool. After a restored backup (docs/operations.md)."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from accounts.mass_sign_out import BATCH, sign_out
from accounts.models import UserPool


class Command(BaseCommand):
    """Users keep all that is theirs and sign in again. Running it again ends what has begun since."""

    help = (
        "Signs every user of the pools out: sessions, codes, refresh tokens and paused sign-ins from before now are "
        "worth nothing afterwards, and userInfo refuses the access tokens. Users sign in again with what they have."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("pool_ids", nargs="*", default=[], metavar="POOL_ID", help="the pools")
        which.add_argument("--all", action="store_true", help="every pool")
        parser.add_argument("--batch", type=int, default=BATCH, help="users in one transaction")

    def handle(self, *args: Any, pool_ids: list[str], batch: int, **options: Any) -> None:
        if batch < 1:
            raise CommandError("--batch: at least 1.")
        pools = UserPool.objects.order_by("pk")
        if not options["all"]:
            pools = pools.filter(pk__in=pool_ids)
            known = set(pools.values_list("pk", flat=True))
            if missing := [pool_id for pool_id in pool_ids if pool_id not in known]:
                raise CommandError(f"There is no pool {', '.join(missing)}.")
        for pool in pools.iterator():
            # before the first row, so that an interrupted run is on record as well
            audit.record("sign out everybody", pool, {}, actor="sign_out")
            self.stdout.write(f"{pool.pk}: {sign_out(pool, batch)} users signed out")
