"""The life of a job after its file is there: start, one part after another, stop, end.

StartUserImportJob, StopUserImportJob: from Created a job goes to Pending, InProgress and Succeeded, or by Stopping to
Stopped; one that was never started goes to Expired. Ours: who stopped a job may start it again, and so may who mended
what made it Failed.

A part is imported in one transaction that locks the job's row: the users, their count, the report and the deletion of
the part are there together or not at all. So a worker may die at any moment, two may be at the same job, and nobody
is imported twice. The row's lock is the only one, and it is the job's own.
"""

import logging
import time
from datetime import datetime, timedelta

from django.db import OperationalError, transaction
from django.db.models import F

from accounts import audit, clock
from accounts.models import UserImportJob, UserImportPart, UserImportProblem
from accounts.models.user_imports import ImportStatus
from accounts.userimport.batch import Outcome, Rows, Verdict
from accounts.userimport.receive import unpacked

log = logging.getLogger("userpool.imports")
RUNNING = (ImportStatus.PENDING, ImportStatus.IN_PROGRESS, ImportStatus.STOPPING)
STARTABLE = (ImportStatus.CREATED, ImportStatus.STOPPED, ImportStatus.FAILED)
FILE_KEPT = timedelta(hours=48)
"""How long the file of a job lies there that nobody starts (Cognito: 24 to 48 hours)."""
JOB_KEPT = timedelta(days=90)
"""How long an ended job and its report can be looked at."""
MAX_PROBLEMS = 10_000
"""How many rows a report names; the counts are complete."""
SLICE = 45.0
"""Seconds that one run of the scheduled job works before it lets others have their turn."""


def start(job: UserImportJob, actor: str) -> bool:
    """Let workers begin with ``job``; False when it runs already, is over, or its file is gone."""
    with transaction.atomic():
        if not UserImportPart.objects.filter(job=job).exists():
            return False
        found = UserImportJob.objects.filter(pk=job.pk, status__in=STARTABLE, rows__gt=0)
        if not found.update(status=ImportStatus.PENDING, finished_at=None, completion_message=""):
            return False
        audit.record("start user import", job, {"status": [job.status, "Pending"]}, actor=actor)
    job.refresh_from_db()
    return True


def stop(job: UserImportJob, actor: str) -> bool:
    """Let no further part of ``job`` begin; False when it does not run."""
    with transaction.atomic():
        running = UserImportJob.objects.filter(pk=job.pk, status__in=(ImportStatus.PENDING, ImportStatus.IN_PROGRESS))
        if not running.update(status=ImportStatus.STOPPING):
            return False
        audit.record("stop user import", job, {"status": [job.status, "Stopping"]}, actor=actor)
    job.refresh_from_db()
    return True


def run(seconds: float = SLICE) -> dict[str, int]:
    """Work on all jobs that run, a part of each in turn, for ``seconds`` at most; return the rows that were decided.

    ``unfinished`` counts the jobs that are left for the next run.
    """
    expire()
    deadline = time.monotonic() + seconds
    rows = 0
    while waiting := runnable():
        for job_id in waiting:
            if time.monotonic() >= deadline:
                return {"rows": rows, "unfinished": len(runnable())}
            rows += step(job_id)
    return {"rows": rows, "unfinished": 0}


def runnable() -> list[int]:
    """Return the keys of the jobs that want work, the one that has waited longest first."""
    found = UserImportJob.objects.filter(status__in=RUNNING).order_by(F("worked_at").asc(nulls_first=True), "id")
    return list(found.values_list("pk", flat=True))


def step(job_id: int) -> int:
    """Do the next part of a job, or end it; return how many rows were decided.

    When the database fails, the part stays for another time. When we do, the job is Failed, and can be started again.
    """
    job = UserImportJob.objects.select_related("user_pool").filter(pk=job_id).first()
    if job is None:  # its pool was deleted
        return 0
    try:
        part = UserImportPart.objects.filter(job=job).order_by("number").first()
        if part is None or job.status == ImportStatus.STOPPING:
            _end(job)
            return 0
        return _import(job, part)
    except OperationalError:
        raise
    except Exception:
        log.exception("user import failed", extra={"import_job": job.job_id})
        words = f"An unexpected error after {job.done} rows; the log says more."
        UserImportJob.objects.filter(pk=job.pk, status__in=RUNNING).update(
            status=ImportStatus.FAILED, finished_at=clock.now(), completion_message=words
        )
        return 0


def preview(job: UserImportJob, count: int) -> list[tuple[int, str, Verdict | None]]:
    """Return what would become of the first ``count`` rows: line, username, and why not. Nothing is written."""
    part = UserImportPart.objects.filter(job=job).order_by("number").first()
    if part is None:
        return []
    shown = unpacked(part)[:count]
    rows = Rows(job.user_pool, job.row_word)
    rows.judge(rows.prepare(shown, hashing=False))
    refused = {verdict.line: verdict for verdict in rows.outcome.verdicts}
    return [(row.line, row.username[:128], refused.get(row.line)) for row in shown]


def expire() -> None:
    """Delete the files that have lain there unstarted for FILE_KEPT, and the jobs that ended JOB_KEPT ago."""
    before = clock.now() - FILE_KEPT
    words = "The job was not started in time. Upload the file again."
    old = UserImportJob.objects.filter(status=ImportStatus.CREATED, created_at__lte=before)
    old.update(status=ImportStatus.EXPIRED, finished_at=clock.now(), completion_message=words)
    over = (ImportStatus.EXPIRED, ImportStatus.STOPPED, ImportStatus.FAILED)
    for job in UserImportJob.objects.filter(status__in=over, created_at__lte=before, parts__isnull=False).distinct():
        if job.finished_at is None or job.finished_at <= before or job.status == ImportStatus.EXPIRED:
            UserImportPart.objects.filter(job=job).delete()
    for job in UserImportJob.objects.filter(finished_at__lte=clock.now() - JOB_KEPT)[:20]:
        job.delete()


def _import(job: UserImportJob, part: UserImportPart) -> int:
    """Import ``part``; 0 when another worker was quicker. What takes long is done before the transaction begins."""
    rows = Rows(job.user_pool, job.row_word)
    entries = rows.prepare(unpacked(part))
    now = clock.now()
    with transaction.atomic():
        locked = UserImportJob.objects.select_for_update().get(pk=job.pk)
        if locked.status not in (ImportStatus.PENDING, ImportStatus.IN_PROGRESS):
            return 0
        if not UserImportPart.objects.filter(pk=part.pk).delete()[0]:
            return 0
        outcome = rows.import_(entries)
        _report(locked, outcome)
        _count(locked, outcome, now)
    return outcome.imported + len(outcome.verdicts)


def _report(job: UserImportJob, outcome: Outcome) -> None:
    room = MAX_PROBLEMS - job.skipped_users - job.failed_users
    UserImportProblem.objects.bulk_create(
        UserImportProblem(job=job, line=one.line, username=one.username, skipped=one.skipped, reason=one.reason)
        for one in outcome.verdicts[: max(room, 0)]
    )


def _count(job: UserImportJob, outcome: Outcome, now: datetime) -> None:
    job.imported_users += outcome.imported
    job.skipped_users += outcome.skipped
    job.failed_users += outcome.failed
    job.status, job.worked_at, job.started_at = ImportStatus.IN_PROGRESS, now, job.started_at or now
    job.save(update_fields=["imported_users", "skipped_users", "failed_users", "status", "worked_at", "started_at"])


def _end(job: UserImportJob) -> None:
    """Say that the job is over: all is done, or it was stopped."""
    with transaction.atomic():
        locked = UserImportJob.objects.select_for_update().get(pk=job.pk)
        if locked.status not in RUNNING:
            return
        left = UserImportPart.objects.filter(job=locked).exists()
        if left and locked.status != ImportStatus.STOPPING:
            return
        status = ImportStatus.STOPPED if left else ImportStatus.SUCCEEDED
        words = f"{locked.imported_users} imported, {locked.skipped_users} skipped, {locked.failed_users} refused."
        if left:
            words = f"Stopped after {locked.done} of {locked.rows} rows: {words}"
        audit.record(
            "end user import",
            locked,
            {"status": [locked.status, status.value], "users": [None, words]},
            actor=locked.created_by,
        )
        locked.status, locked.finished_at, locked.completion_message = status, clock.now(), words
        locked.save(update_fields=["status", "finished_at", "completion_message"])
    counts = {"imported": locked.imported_users, "skipped": locked.skipped_users, "refused": locked.failed_users}
    log.info("user import ended", extra={"import_job": locked.job_id, "status": status.value, **counts})
