"""``manage.py rotate_keys``: the successor of a pool's signing keys, when it is due or now."""

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import audit, signing
from accounts.models import SigningKey, UserPool


class Command(BaseCommand):
    """Running it again makes no further key unless --at-once or --withdraw asks for one."""

    help = """\
Makes the signing keys that are due. A successor is published a day before it signs, and the key that it follows stays
published until its last token is dead, so that no verifier is surprised.

--at-once   new keys sign from now on: verifiers meet a key id that they do not know and must fetch the JWKS
--withdraw  the old keys leave the JWKS at once as well: every ID and access token that they signed dies. For a key
            that leaked"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("pool_ids", nargs="*", default=[], metavar="POOL_ID", help="the pools")
        which.add_argument("--all", action="store_true", help="every pool")
        parser.add_argument("--at-once", action="store_true", help="do not wait: new keys sign from now on")
        parser.add_argument("--withdraw", action="store_true", help="make every token of the old keys worthless")

    def handle(self, *args: Any, pool_ids: list[str], at_once: bool, withdraw: bool, **options: Any) -> None:
        pools = UserPool.objects.order_by("pk")
        if not options["all"]:
            pools = pools.filter(pk__in=pool_ids)
            known = set(pools.values_list("pk", flat=True))
            if missing := [pool_id for pool_id in pool_ids if pool_id not in known]:
                raise CommandError(f"There is no pool {', '.join(missing)}.")
        failed = []
        for pool in pools.iterator():
            try:
                self.rotate(pool, at_once, withdraw)
            except Exception as error:  # noqa: BLE001 - the other pools' keys are due all the same
                failed.append(f"{pool.pk}: {type(error).__name__}")
        if failed:
            raise CommandError(f"Not rotated: {', '.join(failed)}")

    def rotate(self, pool: UserPool, at_once: bool, withdraw: bool) -> None:
        with transaction.atomic():
            made = signing.rotate(pool, at_once=at_once, withdraw=withdraw)
            for key in made:
                audit.record("created", key, _said(key, withdraw), actor="rotate_keys", user_pool=pool.pk)
        for key in made:
            self.stdout.write(
                f"{pool.pk}: new {key.token_use} key {key.kid}, signs from {key.not_before:%Y-%m-%d %H:%M} UTC"
            )
        if not made:
            self.stdout.write(f"{pool.pk}: no key is due")


def _said(key: SigningKey, withdraw: bool) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {
        "token_use": [None, key.token_use],
        "alg": [None, key.alg],
        "not_before": [None, key.not_before.isoformat()],
    }
    return found | ({"predecessors": ["published", "withdrawn"]} if withdraw else {})
