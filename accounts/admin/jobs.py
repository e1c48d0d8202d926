"""The scheduled jobs in the console: when each ran, what it counted, when it is due; and running one now."""

from typing import Any

from django.contrib.admin import register
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import action, display

from accounts import audit, jobs
from accounts.admin.audited import actor
from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.operations import Operation
from accounts.admin.site import console
from accounts.models import JobRun

LABELS = {"done": "success", "running": "info", "late": "warning", "never ran": "warning", "failed": "danger"}
NEVER = "-"


def state(run: JobRun) -> str:
    """Return how it stands with a job: what an operator has to look at first."""
    now, job = timezone.now(), jobs.by_name(run.name)
    if run.running_until is not None and now < run.running_until:
        return "running"
    if run.failure:
        return "failed"
    if run.started_at is None:
        return "never ran"
    return "late" if job is not None and jobs.is_late(job, run, now) else "done"


@register(JobRun, site=console)
class JobRunAdmin(ReadOnlyAdmin):
    """One row for each job; whoever may change jobs may run one now."""

    list_display = ("shown_words", "shown_state", "started_at", "shown_result", "shown_due")
    sortable_by = ()
    fields = (
        "shown_words", "name", "shown_state", "started_at", "finished_at", "succeeded_at", "shown_result", "failure",
        "shown_due",
    )  # fmt: skip
    readonly_fields = fields
    actions_detail = ("run_now",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(name__in=[job.name for job in jobs.scheduled()])

    def has_run_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.change_jobrun")

    @display(description="Job")
    def shown_words(self, run: JobRun) -> str:
        job = jobs.by_name(run.name)
        return f"{job.words[:1].upper()}{job.words[1:]}" if job is not None else run.name

    @display(description="State", label=LABELS)
    def shown_state(self, run: JobRun) -> str:
        return state(run)

    @display(description="What it counted")
    def shown_result(self, run: JobRun) -> str:
        counted: Any = run.result
        shown = [f"{name} {count}" for name, count in counted.items() if count]
        return ", ".join(shown) or ("nothing to do" if run.succeeded_at else NEVER)

    @display(description="Due next")
    def shown_due(self, run: JobRun) -> Any:
        job = jobs.by_name(run.name)
        if job is None or run.started_at is None:
            return "now"
        due = job.due_after(run.started_at)
        return due if due > timezone.now() else "now"

    @action(description="Run now", icon="play_arrow", permissions=["run"])
    def run_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = (
            "The job runs in this process, now, unless a worker is at it. Every job may run at any time and twice: it "
            "does what is due and no more."
        )
        return self.operate(request, object_id, Operation("Run now", words, "Run it", self._run, in_transaction=False))

    def _run(self, request: HttpRequest, run: JobRun, values: dict[str, Any]) -> str:
        job = jobs.by_name(run.name)
        audit.record("run job", run, {}, actor=actor(request))
        try:
            ran = job is not None and jobs.run_now(job)
        except Exception as error:  # noqa: BLE001 - it is in the log, and on record
            return f"The job failed: {type(error).__name__}. The log says more."
        if not ran:
            return "A worker is at it already; nothing was begun."
        run.refresh_from_db()
        return f"Done: {self.shown_result(run)}."
