"""``manage.py doctor``: look at the whole deployment from here, and say how each thing that is wrong is mended."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from accounts.doctor.examination import OFFLINE, PARTS, examine
from accounts.doctor.findings import Finding, Scope, Severity
from accounts.models import UserPool

CONNECT_WITHIN = 5  # seconds


class Command(BaseCommand):
    """Changes nothing; exits with 1 when something is wrong. Settings that stop the start are said before it begins."""

    help = (
        "Checks the deployment from where it runs: settings, database, stored secrets, keys, providers, jobs, Redis, "
        "hosts. Prints one line for each thing, with the mend for what is not in order. Exits with 1 when something is "
        "wrong; a warning alone does not."
    )
    requires_system_checks = ()  # it runs them, and says them in its own form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--part", action="append", choices=OFFLINE, help="look at this part only; may be repeated")
        parser.add_argument("--pool", default="", help="look at this pool's keys and providers only")
        parser.add_argument("--online", action="store_true", help="also call the issuer's address, as a client would")
        parser.add_argument("--thorough", action="store_true", help="open every stored secret, not a sample of them")
        parser.add_argument("--json", action="store_true", help="print a JSON array of findings")

    def handle(self, *args: Any, pool: str, online: bool, thorough: bool, **options: Any) -> None:
        chosen = options["part"] or OFFLINE
        parts = [name for name, part in PARTS.items() if (online if part.online else name in chosen)]
        if connection.vendor == "postgresql":  # of this process only: a server that is away says nothing for minutes
            connection.settings_dict["OPTIONS"].setdefault("connect_timeout", CONNECT_WITHIN)
        self._know(pool)
        findings = examine(parts, Scope(pool, thorough))
        counted = self._json(findings) if options["json"] else self._words(findings)
        if counted[Severity.WRONG]:
            sys.exit(1)

    def _know(self, pool: str) -> None:
        try:
            known = not pool or UserPool.objects.filter(pk=pool).exists()
        except DatabaseError:
            return  # the examination says so
        if not known:
            raise CommandError(f"There is no pool {pool}.")

    def _json(self, findings: Iterable[Finding]) -> Counter[Severity]:
        found = list(findings)
        self.stdout.write(json.dumps([asdict(finding) for finding in found], indent=2))
        return Counter(finding.severity for finding in found)

    def _words(self, findings: Iterator[Finding]) -> Counter[Severity]:
        counted: Counter[Severity] = Counter()
        for name, group in groupby(findings, key=lambda finding: finding.part):
            self.stdout.write(self.style.MIGRATE_HEADING(PARTS[name].title))
            for finding in group:
                counted[finding.severity] += 1
                self._line(finding)
        wrong, warnings = counted[Severity.WRONG], counted[Severity.WARNING]
        self.stdout.write(f"{wrong} wrong, {warnings} to look at, {counted[Severity.OK]} in order.")
        return counted

    def _line(self, finding: Finding) -> None:
        style = self.style
        styles = {Severity.OK: style.SUCCESS, Severity.WARNING: style.WARNING, Severity.WRONG: style.ERROR}
        mark = styles[finding.severity](f"{finding.severity:<8}")
        where = f" [{finding.pool}]" if finding.pool else ""
        self.stdout.write(f"  {mark} {finding.subject}{where}: {finding.words}")
        if finding.mend:
            self.stdout.write(f"           mend: {finding.mend}")
