"""``manage.py export_users``: the users of a pool as a file that ``import_users`` and Cognito take."""

from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from accounts.management.private_files import write_private
from accounts.models import UserPool
from accounts.models.user_imports import ImportFormat
from accounts.userimport.export import lines


class Command(BaseCommand):
    """Prints the users of one pool."""

    help = """\
Prints the users of a pool: as CSV with the header that Cognito's import takes, or as one JSON object a line with
everything that import_users takes.

Values are written as they are. Do not open the CSV in a spreadsheet without thinking: it takes a value that begins
with = + - or @ for a formula. With --with-password-hashes keep the file like a key, and use --output, which writes a
file that only its owner can read."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("pool_id", metavar="POOL_ID")
        parser.add_argument("--format", choices=ImportFormat.values, default="csv")
        parser.add_argument("--group", metavar="NAME", help="only the users of this group")
        parser.add_argument("--with-password-hashes", action="store_true")
        parser.add_argument("--output", metavar="FILE", help="write there (mode 0600) and not to standard output")

    def handle(self, *args: Any, pool_id: str, format: str, group: str | None, **options: Any) -> None:
        pool = UserPool.objects.filter(pk=pool_id).first()
        if pool is None:
            raise CommandError(f"There is no pool {pool_id}.")
        users = pool.users.all()
        if group is not None:
            if not pool.groups.filter(group_name=group).exists():
                raise CommandError(f"The pool has no group {group}.")
            users = users.filter(groups__group_name=group)
        hashes = options["with_password_hashes"]
        changes = {"format": [None, format], "group": [None, group or ""], "password_hashes": [None, hashes]}
        audit.record("export users", pool, changes, actor="export_users")
        found = lines(pool, users, format, hashes=hashes)
        if options["output"] is None:
            for line in found:
                self.stdout.write(line, ending="")
            return
        try:
            write_private(Path(options["output"]), found)
        except OSError as error:
            raise CommandError(f"{options['output']}: cannot be written: {error.strerror}.") from error
