"""``manage.py export_events``: the events or the audit trail of a pool, for an archive or another system."""

from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit, event_export
from accounts.models import UserPool
from accounts.models.events import EventType


def moment(text: str) -> datetime:
    """Return an ISO 8601 date or time; one without an offset is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} is no date such as 2026-11-25 or 2026-11-25T12:00:00Z.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


class Command(BaseCommand):
    """Prints what happened in one pool."""

    help = """\
Prints the events of a pool, the oldest first: sign-ins, refusals with their reasons, lock-outs, revocations and so on.
With --audit what operators and commands changed. One JSON object a line; or CSV, where a cell that a spreadsheet would
take for a formula gets an apostrophe before it."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("pool_id", metavar="POOL_ID")
        parser.add_argument("--format", choices=list(event_export.FORMATS), default="jsonl")
        parser.add_argument("--since", type=moment, metavar="TIME", help="ISO 8601; UTC unless it says otherwise")
        parser.add_argument("--until", type=moment, metavar="TIME", help="up to and without this moment")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--type", choices=EventType.values, default="", help="only events of this type")
        what.add_argument("--audit", action="store_true", help="the audit trail, not the events")

    def handle(self, *args: Any, pool_id: str, **options: Any) -> None:
        pool = UserPool.objects.filter(pk=pool_id).first()
        if pool is None:
            raise CommandError(f"There is no pool {pool_id}.")
        since, until = options["since"], options["until"]
        told = {"what": "audit" if options["audit"] else "events", "format": options["format"]}
        audit.record(
            "export events", pool, {name: [None, value] for name, value in told.items()}, actor="export_events"
        )
        if options["audit"]:
            rows = event_export.changes(pool, since, until)
        else:
            rows = event_export.events(pool, since, until, options["type"])
        for line in event_export.lines(rows, options["format"]):
            self.stdout.write(line, ending="")
