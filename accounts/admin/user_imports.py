"""Importing users in the console: upload, look at what would happen, start, watch, read the report.

What a job is and does stands in accounts/userimport. Whoever may add imports may create users of any kind by them.
"""

import logging
from typing import Any

from celery import current_app
from django import forms
from django.contrib.admin import register
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from kombu.exceptions import OperationalError
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import tasks
from accounts.admin import panels
from accounts.admin.audited import actor
from accounts.admin.base import PoolBoundAdmin
from accounts.admin.operations import Operation
from accounts.admin.site import console
from accounts.models import UserImportJob, UserPool
from accounts.models.user_imports import ImportStatus
from accounts.poolfile.problems import Refused
from accounts.userimport import csv_format, export, receive, work

log = logging.getLogger("userpool.imports")
LABELS = {
    "Created": "info", "Pending": "info", "In progress": "info", "Stopping": "warning", "Stopped": "warning",
    "Expired": "warning", "Failed": "danger", "Succeeded": "success",
}  # fmt: skip
PREVIEWED, PROBLEMS_SHOWN = 20, 50
REFRESH = "5"  # seconds


class UploadForm(forms.Form):
    """A file of users and what to call its job."""

    file = forms.FileField(
        label="File",
        # the theme's own reads an icon's name aloud
        widget=forms.FileInput(
            {"class": "console-file", "accept": ".csv,.json,.jsonl,.ndjson,text/csv,application/json"}
        ),
        help_text="CSV with the pool's header, or JSON; UTF-8, at most 100 MiB and 500,000 users.",
    )
    # a script of the theme writes the file's name here, whatever that is, so nothing is refused for its characters
    name = forms.CharField(
        label="Name of the job",
        required=False,
        max_length=255,
        widget=UnfoldAdminTextInputWidget,
        help_text="Empty for the name of the file.",
    )


def hurry() -> None:
    """Let a worker look now. Without a broker, or while it is away, the scheduled job comes within a minute."""
    if current_app.conf.task_always_eager:
        return
    try:
        tasks.import_users.apply_async(retry=False)
    except OperationalError:
        log.warning("the broker is away; the import waits for the schedule")


@register(UserImportJob, site=console)
class UserImportJobAdmin(PoolBoundAdmin):
    """Jobs; who may change them starts and stops them."""

    list_display = (
        "job_name", "user_pool", "shown_status", "rows", "imported_users", "skipped_users", "failed_users",
        "created_at", "created_by",
    )  # fmt: skip
    list_select_related = ("user_pool",)
    list_filter = (("user_pool", AutocompleteSelectFilter), "status")
    search_fields = ("job_name", "job_id")
    ordering = ("-id",)
    sortable_by = ()
    actions = None
    fields = (
        "job_name", "user_pool", "shown_progress", "completion_message", "shown_rows", "format", "job_id", "created_by",
        "created_at", "started_at", "finished_at",
    )  # fmt: skip
    readonly_fields = fields
    actions_detail = ("start", "stop", "report")

    def get_urls(self) -> list[Any]:
        template = path("template/", self.admin_site.admin_view(self.template), name="accounts_userimportjob_template")
        return [template, *super().get_urls()]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # nobody edits a job; see has_run_permission

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return any(request.user.has_perm(f"accounts.{verb}_userimportjob") for verb in ("view", "change", "add"))

    def has_run_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("accounts.change_userimportjob")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The page that takes a file. A file that is refused is refused here, in words."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        pool = self.chosen_pool(request)
        if pool is None:
            return self.choose_pool(request, title="Import users")
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid() and (job := self._receive(request, pool, form)):
            return HttpResponseRedirect(self.page_of(job))
        context = {
            "title": "Import users",
            "subtitle": str(pool),
            "opts": self.opts,
            "pool": pool,
            "form": form,
            "template_link": f"{reverse('admin:accounts_userimportjob_template')}?user_pool={pool.pk}",
            "back": self.url("changelist"),
        }
        return TemplateResponse(request, "console/import.html", {**self.admin_site.each_context(request), **context})

    def template(self, request: HttpRequest) -> HttpResponse:
        """The header of a pool's CSV as a file (GetCSVHeader)."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        pool = self.chosen_pool(request)
        if pool is None:
            raise Http404
        text = csv_format.line(csv_format.header(pool))
        return _download(HttpResponse(text, content_type="text/csv; charset=utf-8"), f"template-{pool.pk}.csv")

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().changeform_view(request, *args, **kwargs)
        job = getattr(response, "context_data", None) and response.context_data.get("original")  # type: ignore[attr-defined]
        if job is not None and job.status in work.RUNNING:
            response["Refresh"] = REFRESH
        return response

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        found = super().get_actions_detail(request, object_id)
        job = self.get_object(request, str(object_id)) if object_id else None
        if job is None:
            return found
        fitting = {
            "start": job.status in work.STARTABLE and job.parts.exists(),
            "stop": job.status in (ImportStatus.PENDING, ImportStatus.IN_PROGRESS),
            "report": bool(job.skipped_users or job.failed_users),
        }
        return [one for one in found if fitting[one.action_name.removeprefix("accounts_userimportjob_")]]

    @display(description="Status", label=LABELS)
    def shown_status(self, job: UserImportJob) -> str:
        return ImportStatus(job.status).label

    @display(description="Progress")
    def shown_progress(self, job: UserImportJob) -> Any:
        counts = (
            f"{job.done:,} of {job.rows:,} rows: {job.imported_users:,} imported, {job.skipped_users:,} skipped, "
            f"{job.failed_users:,} refused"
        )
        return format_html(
            '<div class="console-progress"><p>{}</p><progress value="{}" max="{}" aria-label="Rows that are done">{}'
            "</progress><p>{}</p></div>",
            panels.verdict("bad" if job.status == ImportStatus.FAILED else "note", ImportStatus(job.status).label),
            job.done, max(job.rows, 1), f"{job.done} of {job.rows}", counts,
        )  # fmt: skip

    @display(description="Rows")
    def shown_rows(self, job: UserImportJob) -> Any:
        if job.status == ImportStatus.CREATED:
            return _preview(job)
        rows = ((one.line, one.username, "skipped" if one.skipped else "refused", one.reason)
                for one in job.problems.all()[:PROBLEMS_SHOWN])  # fmt: skip
        return panels.table((job.row_word, "Username", "Outcome", "Reason"), rows, "None was refused so far.")

    @action(description="Start", icon="play_arrow", permissions=["run"])
    def start(self, request: HttpRequest, object_id: str) -> HttpResponse:
        job = self.row(request, object_id)
        words = (
            f"{job.rows - job.done:,} rows are imported into {job.user_pool} in the background. Who exists is skipped "
            "and not changed; a row that cannot be a user is refused and named in the report. Users without a password "
            "or a hash must get a new password before they sign in. Nobody is sent a message."
        )
        return self.operate(request, object_id, Operation("Start the import", words, "Start", self._start))

    @action(description="Stop", icon="stop", permissions=["run"])
    def stop(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = "No further rows are imported. Users who are there stay. The job can be started again for two days."
        return self.operate(request, object_id, Operation("Stop the import", words, "Stop", self._stop, danger=True))

    @action(description="Download the report", icon="download")
    def report(self, request: HttpRequest, object_id: str) -> HttpResponse:
        job = self.row(request, object_id)
        answer = StreamingHttpResponse(export.report(job), content_type="text/csv; charset=utf-8")
        return _download(answer, f"{job.job_id}.csv")

    def _receive(self, request: HttpRequest, pool: UserPool, form: UploadForm) -> UserImportJob | None:
        upload = form.cleaned_data["file"]
        name = receive.job_name(form.cleaned_data["name"] or upload.name)
        try:
            job = receive.receive(pool, upload.file, name=name, actor=actor(request))
        except Refused as refused:
            form.add_error("file", str(refused))
            return None
        self.message_user(request, f"{job.rows:,} rows were read. Nothing is imported before you start the job.")
        return job

    def _start(self, request: HttpRequest, job: UserImportJob, values: dict[str, Any]) -> str:
        if not work.start(job, actor(request)):
            raise ValidationError("The job runs already, is over, or its file is gone.")
        transaction.on_commit(hurry)
        return "The import begins within a minute."

    def _stop(self, request: HttpRequest, job: UserImportJob, values: dict[str, Any]) -> str:
        if not work.stop(job, actor(request)):
            raise ValidationError("The job does not run.")
        transaction.on_commit(hurry)
        return "The import stops after the rows at hand."


def _preview(job: UserImportJob) -> Any:
    rows = (
        (line, username, "would be imported" if verdict is None else "skipped" if verdict.skipped else "refused",
         verdict.reason if verdict else "")
        for line, username, verdict in work.preview(job, PREVIEWED)
    )  # fmt: skip
    note = format_html('<p class="console-note">What would become of the first {} rows now.</p>', PREVIEWED)
    return note + panels.table((job.row_word, "Username", "Outcome", "Reason"), rows)


def _download(response: Any, name: str) -> Any:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
