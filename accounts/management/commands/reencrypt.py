"""``manage.py reencrypt``: seal every stored secret with the newest of USERPOOL_ENCRYPTION_KEYS.

To rotate the encryption key: put a new one first in the list, restart, run this, then take the old one out.
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.models import Model, TextField, Value
from django.db.models.functions import Cast
from jwcrypto.common import JWException

from accounts.fields import encrypted_fields, seal, sealed_with_newest, unseal

BATCH = 500


class Command(BaseCommand):
    """May run while the server serves, twice, and again after an interruption. Exits with 1 if a value stays sealed."""

    help = (
        "Seals every encrypted value with the newest key of USERPOOL_ENCRYPTION_KEYS. "
        "Afterwards the older keys can be taken out of the setting."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=BATCH, help="rows in one transaction")
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")

    def handle(self, *args: Any, batch: int, dry_run: bool, **options: Any) -> None:
        if batch < 1:
            raise CommandError("--batch: at least 1.")
        unreadable = 0
        for model, field in encrypted_fields():
            done, fresh, lost = reencrypt(model, field, batch, dry_run)
            unreadable += lost
            words = f"{done} {'to re-encrypt' if dry_run else 're-encrypted'}, {fresh} already with the newest key"
            self.stdout.write(f"{model.__name__}.{field}: {words}" + (f", {lost} UNREADABLE" if lost else ""))
        if unreadable:
            raise CommandError(
                f"{unreadable} values were sealed with keys that USERPOOL_ENCRYPTION_KEYS does not list, or damaged. "
                "Add the missing key to the end of the list and run this again."
            )


def reencrypt(model: type[Model], field: str, batch: int, dry_run: bool = False) -> tuple[int, int, int]:
    """Re-seal one column; return how many values were re-sealed, were fresh already, and could not be opened."""
    done = fresh = lost = 0
    last: Any = None
    while True:
        with transaction.atomic():
            rows = model._default_manager.order_by("pk").select_for_update()
            if last is not None:
                rows = rows.filter(pk__gt=last)
            # as it is stored: the field itself would open it
            sealed = list(rows.annotate(sealed=Cast(field, TextField())).values_list("pk", "sealed")[:batch])
            for pk, token in sealed:
                if not token:
                    continue
                try:
                    if sealed_with_newest(token):
                        fresh += 1
                        continue
                    text = unseal(token)
                except (ImproperlyConfigured, JWException, ValueError):
                    lost += 1
                    continue
                done += 1
                if not dry_run:
                    _store(model, field, pk, seal(text))
        if len(sealed) < batch:
            return done, fresh, lost
        last = sealed[-1][0]


def _store(model: type[Model], field: str, pk: Any, token: str) -> None:
    """Write ``token`` as it is: the field itself would seal it once more."""
    model._default_manager.filter(pk=pk).update(**{field: Value(token, output_field=TextField())})
