"""Downloading the events or the audit trail of a pool in the console. Who may is a permission of its own.

Each download is itself in the audit trail.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import audit, event_export
from accounts.admin.audited import actor
from accounts.admin.site import console
from accounts.models import UserPool

KINDS = (("events", "Events"), ("audit", "Audit trail"))
DAY = {"type": "date"}
FORMATS = (("jsonl", "JSON, one a line, as it is"), ("csv", "CSV, for a spreadsheet"))
PERMISSIONS = {"events": "accounts.export_authevent", "audit": "accounts.export_auditevent"}


class ExportForm(forms.Form):
    """What is downloaded, of which pool, and how."""

    user_pool = forms.CharField(
        label="Pool id", max_length=55, widget=UnfoldAdminTextInputWidget, help_text="As the list of pools shows it."
    )
    kind = forms.ChoiceField(label="What", choices=KINDS, widget=UnfoldAdminSelectWidget(choices=KINDS))
    since = forms.DateField(
        label="From", required=False, widget=UnfoldAdminTextInputWidget(DAY), help_text="UTC; empty: all."
    )
    until = forms.DateField(
        label="To", required=False, widget=UnfoldAdminTextInputWidget(DAY), help_text="UTC, this day as well."
    )
    format = forms.ChoiceField(choices=FORMATS, widget=UnfoldAdminSelectWidget(choices=FORMATS))

    def __init__(self, kinds: list[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [one for one in KINDS if one[0] in kinds]
        self.fields["kind"].choices = choices  # type: ignore[attr-defined]
        self.fields["kind"].widget.choices = choices

    def clean_user_pool(self) -> UserPool:
        pool = UserPool.objects.filter(pk=self.cleaned_data["user_pool"].strip()).first()
        if pool is None:
            raise forms.ValidationError("There is no pool of this id.")
        return pool


@console.page("export-events/", "export_events")
def export_page(request: HttpRequest) -> HttpResponse:
    """Ask what is wanted, and send it."""
    kinds = [kind for kind, permission in PERMISSIONS.items() if request.user.has_perm(permission)]
    if not kinds:
        raise PermissionDenied
    first = {"user_pool": request.GET.get("user_pool", "")[:55]}
    form = ExportForm(kinds, request.POST if request.method == "POST" else None, initial=first)
    if request.method == "POST" and form.is_valid():
        return _file(request, form.cleaned_data)
    context = {"title": "Export events", "form": form, "back": reverse("admin:index")}
    return TemplateResponse(request, "console/export_events.html", {**console.each_context(request), **context})


def _file(request: HttpRequest, values: dict[str, Any]) -> Any:
    pool, kind, file_format = values["user_pool"], values["kind"], values["format"]
    since, until = _midnight(values["since"]), _midnight(values["until"])
    if until is not None:
        until += timedelta(days=1)
    told = {"what": kind, "format": file_format, "from": str(values["since"] or ""), "to": str(values["until"] or "")}
    audit.record("export events", pool, {name: [None, value] for name, value in told.items()}, actor=actor(request))
    rows = event_export.events(pool, since, until) if kind == "events" else event_export.changes(pool, since, until)
    answer = StreamingHttpResponse(
        event_export.lines(rows, file_format), content_type=event_export.FORMATS[file_format]
    )
    answer["Content-Disposition"] = f'attachment; filename="{kind}-{pool.pk}.{file_format}"'
    answer["Cache-Control"] = "no-store"
    return answer


def _midnight(day: Any) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day is not None else None
