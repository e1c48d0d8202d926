"""Exporting the users of a pool in the console: as Cognito's CSV or as JSON lines, all of them or those that are found.

Who may export is a permission of its own, and password hashes are another. Each export is in the audit trail.
"""

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from accounts import audit
from accounts.admin import user_search
from accounts.admin.audited import actor
from accounts.models import UserPool
from accounts.models.user_imports import ImportFormat
from accounts.userimport import export

FORMATS = (
    (ImportFormat.CSV.value, "CSV with the header that Cognito's import takes"),
    (ImportFormat.JSON.value, "JSON, one user a line, with groups and identities"),
)
ENDINGS = {ImportFormat.CSV: "csv", ImportFormat.JSON: "jsonl"}


class ExportForm(forms.Form):
    """What is exported and how."""

    format = forms.ChoiceField(choices=FORMATS, widget=UnfoldAdminSelectWidget(choices=FORMATS))
    search = forms.CharField(
        required=False,
        max_length=user_search.MAX_TEXT,
        widget=UnfoldAdminTextInputWidget,
        help_text="Only users that the search of the list finds; empty for all.",
    )
    group = forms.CharField(
        required=False, max_length=128, widget=UnfoldAdminTextInputWidget, help_text="Only users of this group."
    )
    hashes = forms.BooleanField(
        required=False,
        label="With password hashes",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Keep the file like a key: passwords can be guessed from hashes.",
    )

    def __init__(self, pool: UserPool, hashes: bool, *args: Any) -> None:
        super().__init__(*args)
        self.pool = pool
        if not hashes:
            del self.fields["hashes"]

    def clean_group(self) -> str:
        name = str(self.cleaned_data["group"])
        if name and not self.pool.groups.filter(group_name=name).exists():
            raise forms.ValidationError("The pool has no group of this name.")
        return name


class UserTransfer:
    """Mixin for the list of users: the ways to the import and to the export."""

    def has_import_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.add_userimportjob")

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.export_pooluser")

    @action(description="Import users", icon="upload_file", permissions=["import"])
    def import_users(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:accounts_userimportjob_add"))

    @action(description="Export users", icon="download", permissions=["export"])
    def export_users(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        pool = self.chosen_pool(request)  # type: ignore[attr-defined]
        if pool is None:
            response: HttpResponse = self.choose_pool(request, title="Export users")  # type: ignore[attr-defined]
            return response
        may_hash = request.user.has_perm("accounts.export_password_hashes")
        form = ExportForm(pool, may_hash, request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            return _file(request, pool, form.cleaned_data)
        context = {
            "title": "Export users",
            "subtitle": str(pool),
            "opts": self.opts,  # type: ignore[attr-defined]
            "form": form,
            "back": self.url("changelist"),  # type: ignore[attr-defined]
        }
        site = self.admin_site  # type: ignore[attr-defined]
        return TemplateResponse(request, "console/export.html", {**site.each_context(request), **context})


def _file(request: HttpRequest, pool: UserPool, values: dict[str, Any]) -> Any:
    format, hashes = ImportFormat(values["format"]), values.get("hashes", False)
    changes = {
        "format": [None, format.value],
        "search": [None, values["search"]],
        "group": [None, values["group"]],
        "password_hashes": [None, hashes],
    }
    audit.record("export users", pool, changes, actor=actor(request))
    users = user_search.search(pool.users.all(), values["search"])
    if values["group"]:
        users = users.filter(groups__group_name=values["group"])
    found = export.lines(pool, users, format, hashes=hashes)
    answer = StreamingHttpResponse(found, content_type=export.CONTENT_TYPES[format])
    answer["Content-Disposition"] = f'attachment; filename="users-{pool.pk}.{ENDINGS[format]}"'
    answer["Cache-Control"] = "no-store"
    return answer
