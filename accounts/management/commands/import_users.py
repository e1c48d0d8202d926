"""``manage.py import_users``: users from a file into a pool, by the jobs that the console shows."""

from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.management.private_files import write_private
from accounts.models import UserImportJob, UserPool
from accounts.models.user_imports import ImportFormat, ImportStatus
from accounts.poolfile.problems import Refused
from accounts.userimport import work
from accounts.userimport.export import report
from accounts.userimport.receive import job_name, receive

ACTOR = "import_users"
SHOWN = 20


class Command(BaseCommand):
    """Imports a file in this process. Scheduled jobs that find it at work help, and finish it if it is killed."""

    help = """\
Creates the users of a file in a pool. Who exists is skipped and never changed; a row that cannot be a user is refused
alone, with the reason.

CSV: the header that Cognito gives for the pool (the console has it as a template). Imported users must reset their
passwords. JSON: an array, one object a line, or what "aws cognito-idp list-users" prints, with Password or
PasswordHash, Groups and Identities where you have them."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("pool_id", metavar="POOL_ID")
        parser.add_argument("file", metavar="FILE")
        parser.add_argument(
            "--format", choices=ImportFormat.values, help="told by the file's first character otherwise"
        )
        parser.add_argument("--report", metavar="FILE", help="write every refused and skipped row there, as CSV")

    def handle(self, *args: Any, pool_id: str, file: str, **options: Any) -> None:
        pool = UserPool.objects.filter(pk=pool_id).first()
        if pool is None:
            raise CommandError(f"There is no pool {pool_id}.")
        job = self.received(pool, Path(file), options["format"] or "")
        work.start(job, ACTOR)
        try:
            self.work_on(job)
        except KeyboardInterrupt:
            work.stop(job, ACTOR)
            work.step(job.pk)
            raise CommandError(f"Stopped. The console can start {job.job_id} again.") from None
        job.refresh_from_db()
        self.tell(job, options["report"])
        if job.status != ImportStatus.SUCCEEDED:
            raise CommandError(f"{job.get_status_display()}: {job.completion_message}")

    def received(self, pool: UserPool, path: Path, format: str) -> UserImportJob:
        try:
            with path.open("rb") as opened:
                return receive(pool, opened, name=job_name(path.name), actor=ACTOR, format=format)
        except OSError as error:
            raise CommandError(f"{path}: cannot be read: {error.strerror}.") from error
        except Refused as refused:
            raise CommandError(f"{path}: {refused} Nothing was imported.") from refused

    def work_on(self, job: UserImportJob) -> None:
        """Import part after part, until somebody ended the job: this process, a worker, or an operator."""
        while job.status in work.RUNNING:
            work.step(job.pk)
            job.refresh_from_db()
            if self.stderr.isatty():
                self.stderr.write(f"\r{job.done:,} of {job.rows:,} rows", ending="")
        if self.stderr.isatty():
            self.stderr.write("")

    def tell(self, job: UserImportJob, path: str | None) -> None:
        self.stdout.write(f"{job.job_id}: {job.completion_message}")
        if path is not None:
            try:
                write_private(Path(path), report(job))
            except OSError as error:
                raise CommandError(f"{path}: cannot be written: {error.strerror}.") from error
            return
        for one in job.problems.filter(skipped=False)[:SHOWN]:
            self.stdout.write(f"  {job.row_word.lower()} {one.line}: {one.username}: {one.reason}")
        if job.failed_users > SHOWN:
            self.stdout.write(f"  and {job.failed_users - SHOWN} more; --report FILE has them.")
