"""``manage.py export``: a pool as a file that ``apply`` takes."""

import json
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.management.private_files import write_private
from accounts.models import UserPool
from accounts.poolfile.export import export


class Command(BaseCommand):
    """Prints one pool."""

    help = """\
Prints a user pool as YAML or JSON; applied to an empty database the file makes the same pool.

SECRETS ARE IN CLEAR in what this prints: client secrets, the secrets of identity providers, and the password hashes of
every user. Keep the file like a key: use --output, which writes a file that only its owner can read, or
--without-secrets. Signing keys are never exported."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("pool_id", metavar="POOL_ID")
        parser.add_argument("--format", choices=("yaml", "json"), default="yaml")
        parser.add_argument("--output", metavar="FILE", help="write there (mode 0600) and not to standard output")
        parser.add_argument("--without-users", action="store_true")
        parser.add_argument(
            "--without-secrets",
            action="store_true",
            help="no client secrets, provider secrets or password hashes; apply generates new client secrets",
        )

    @transaction.atomic
    def handle(self, *args: Any, pool_id: str, format: str, output: str | None, **options: Any) -> None:
        pool = UserPool.objects.filter(pk=pool_id).first()
        if pool is None:
            raise CommandError(f"There is no pool {pool_id}.")
        found = export(pool, users=not options["without_users"], secrets=not options["without_secrets"])
        text = _json(found) if format == "json" else _yaml(found)
        if output is None:
            self.stdout.write(text, ending="")
            return
        try:
            write_private(Path(output), [text])
        except OSError as error:
            raise CommandError(f"{output}: cannot be written: {error.strerror}.") from error


def _json(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _yaml(found: dict[str, Any]) -> str:
    class Dumper(yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True  # apply refuses them

    return str(yaml.dump(found, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120))
