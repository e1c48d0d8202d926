"""``manage.py apply``: make pools what files say."""

import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.poolfile.diff import Change
from accounts.poolfile.load import MAX_BYTES
from accounts.poolfile.problems import MAX_SHOWN, Refused
from accounts.poolfile.read import Document, read
from accounts.poolfile.write import apply


class Command(BaseCommand):
    """Exits with 1 when a file is refused, and with --check when there are differences."""

    help = """\
Creates or updates user pools from YAML or JSON files, as the Cognito API names things.

All files of one call are one transaction: if one is refused, nothing is changed. Applying twice changes nothing.
An omitted field keeps its value; a field that is given is replaced whole; null is the default. Users are never
deleted, and their attributes are laid over those that they have. A Password that differs from the user's sets it and
signs the user out; a temporary one (UserStatus: FORCE_CHANGE_PASSWORD) and a PasswordHash are for users who have
not chosen their own. The difference that is printed masks secrets."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
        parser.add_argument("--dry-run", action="store_true", help="print the difference and change nothing")
        parser.add_argument(
            "--check", action="store_true", help="as --dry-run, and exit with 1 when anything would change"
        )
        parser.add_argument(
            "--prune",
            action="store_true",
            help="delete the app clients, identity providers, resource servers, groups and domains of the pool that "
            "the file does not name; users never",
        )

    def handle(self, *args: Any, files: list[str], dry_run: bool, check: bool, prune: bool, **options: Any) -> None:
        documents: list[Document] = []
        for name in files:
            try:
                documents += read(self.content(name))
            except Refused as refused:
                raise CommandError(_words(refused, name)) from refused
        for document in documents:
            for path in document.kept:
                self.stdout.write(f"kept, not acted upon: {path}")
            for words in document.weaker:
                self.stderr.write(self.style.WARNING(f"WARNING: weaker than in Cognito: {words}"))
        dry = dry_run or check
        try:
            changes = apply(documents, actor="apply", prune=prune, dry_run=dry)
        except Refused as refused:
            raise CommandError(_words(refused, ", ".join(files))) from refused
        self.show(changes, dry)
        if check and changes:
            raise CommandError("The pools differ from the files.", returncode=1)

    def content(self, name: str) -> bytes:
        try:
            if name == "-":
                return sys.stdin.buffer.read(MAX_BYTES + 1)
            with Path(name).open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except OSError as error:
            raise CommandError(f"{name}: cannot be read: {error.strerror}.") from error

    def show(self, changes: list[Change], dry: bool) -> None:
        for change in changes:
            for line in change.lines():
                self.stdout.write(line)
        if not changes:
            self.stdout.write("no changes")
            return
        counts = ", ".join(
            f"{number} {action}"
            for action in ("created", "changed", "deleted")
            if (number := sum(change.action == action for change in changes))
        )
        self.stdout.write(f"dry run, nothing was changed: {counts}" if dry else f"applied: {counts}")


def _words(refused: Refused, name: str) -> str:
    shown = [f"  {problem}" for problem in refused.problems[:MAX_SHOWN]]
    if (more := len(refused.problems) - MAX_SHOWN) > 0:
        shown.append(f"  and {more} more")
    return "\n".join([f"{name} was refused, nothing was changed:", *shown])
