"""The audit trail in the console: read-only, with before and after side by side."""

import json
from typing import Any

from django.contrib.admin import SimpleListFilter, register
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.contrib.filters.admin import FieldTextFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.paginator import InfinitePaginator

from accounts.admin import panels
from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.site import console
from accounts.models import AuditEvent


class ActionFilter(SimpleListFilter):
    """The kinds of change that the console and the commands make most."""

    title = "action"
    parameter_name = "action"
    NAMES = (
        "create", "change", "delete", "show secret", "add secret", "replace secrets", "delete secret", "rotate keys",
        "withdraw keys", "set temporary password", "set password", "disable", "enable", "sign out everywhere",
        "sign out everybody", "reset password", "change groups", "link identity", "unlink identity", "end session",
        "revoke grant", "lock out", "create user import", "start user import", "stop user import", "end user import",
        "export users", "export events",
    )  # fmt: skip

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in self.NAMES]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(action=self.value()) if self.value() else queryset


@register(AuditEvent, site=console)
class AuditEventAdmin(ReadOnlyAdmin):
    """Who changed what, when, from what to what."""

    list_display = ("at", "actor", "action", "target", "user_pool", "summary")
    list_filter = (
        ("user_pool", FieldTextFilter),
        ("actor", FieldTextFilter),
        ActionFilter,
        ("at", RangeDateTimeFilter),
    )
    search_fields = ("actor", "action", "user_pool", "target_type", "target_id", "target_name", "request_id")
    ordering = ("-at", "-id")
    sortable_by = ()
    paginator = InfinitePaginator
    fields = ("at", "actor", "action", "target", "target_id", "user_pool", "request_id", "before_and_after")
    readonly_fields = fields
    actions_list = ("export",)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.export_auditevent")

    @action(description="Export", icon="download", permissions=["export"])
    def export(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:export_events"))

    @display(description="What")
    def target(self, event: AuditEvent) -> str:
        return f"{event.target_type} {event.target_name}".strip()

    @display(description="Fields")
    def summary(self, event: AuditEvent) -> str:
        names = list(event.changes)
        return panels.words(names[:4], "-") + (" and more" if len(names) > 4 else "")

    @display(description="Changes")
    def before_and_after(self, event: AuditEvent) -> Any:
        rows = ((name, *(_shown(side) for side in sides)) for name, sides in event.changes.items())
        return panels.table(("Field", "Before", "After"), rows, "Nothing was changed.")


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return panels.words(value)
    return json.dumps(value, ensure_ascii=False)
