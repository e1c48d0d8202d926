"""``manage.py run_jobs``: the scheduled jobs without Celery, once for cron or for as long as the process lives."""

import logging
import signal
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, close_old_connections

from accounts import jobs

log = logging.getLogger("userpool.jobs")
TICK = 5  # seconds


class Command(BaseCommand):
    """Several of these, and Celery beside them, take turns."""

    help = (
        "Runs the scheduled jobs that are due and ends; for cron, once a minute. With names, runs those whether due or "
        "not. With --forever it goes on until it is told to stop: for a deployment without Redis, in one process."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        known = ", ".join(sorted(job.name for job in jobs.scheduled()))
        parser.add_argument("names", nargs="*", metavar="JOB", help=f"one of {known}")
        parser.add_argument("--forever", action="store_true", help="go on: run each job whenever it is due")

    def handle(self, *args: Any, names: list[str], forever: bool, **options: Any) -> None:
        chosen = [jobs.by_name(name) for name in names]
        if None in chosen:
            raise CommandError(f"There is no job {', '.join(n for n in names if jobs.by_name(n) is None)}.")
        if forever:
            self._forever()
            return
        failed = self._run([job for job in chosen if job is not None] or jobs.due())
        if failed:
            raise CommandError(f"Failed: {', '.join(failed)}. The log says why.")

    def _run(self, wanted: list[jobs.Job]) -> list[str]:
        failed = []
        for job in wanted:
            try:
                jobs.run_now(job)
            except Exception:  # noqa: BLE001 - it is in the log and on record; the other jobs are as urgent
                failed.append(job.name)
        return failed

    def _forever(self) -> None:
        stopped: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: stopped.append(number))
        while not stopped:
            close_old_connections()  # one that broke in the last round
            try:
                self._run(jobs.due())
            except Error:
                log.exception("the database is away, the jobs wait")
            deadline = time.monotonic() + TICK
            while not stopped and time.monotonic() < deadline:
                time.sleep(0.2)
