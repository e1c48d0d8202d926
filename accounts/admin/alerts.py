"""Alerts in the console: what needs an operator now, and what did in the last month. What is mended ends by itself."""

from typing import Any

from django.contrib.admin import SimpleListFilter, register
from django.db.models import F
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.site import console
from accounts.findings import Severity
from accounts.models import Alert

LABELS = {"urgent": "danger", "warning": "warning", "note": "info", "over": "success"}


class StandingFilter(SimpleListFilter):
    """Whether it still needs somebody."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("standing", "standing"), ("over", "over")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "standing":
                return queryset.filter(over_at__isnull=True)
            case "over":
                return queryset.filter(over_at__isnull=False)
        return queryset


@register(Alert, site=console)
class AlertAdmin(ReadOnlyAdmin):
    """What stands first, the most urgent at the top."""

    list_display = ("shown_severity", "words", "user_pool", "since", "told_at", "over_at")
    list_display_links = ("shown_severity", "words")
    list_select_related = ("user_pool",)
    list_filter = (StandingFilter, ("user_pool", AutocompleteSelectFilter))
    sortable_by = ()
    search_fields = ("words", "key")
    search_help_text = "A part of the words, such as the name of a provider"
    fields = ("shown_severity", "words", "mend", "user_pool", "since", "told_at", "over_at", "key")
    readonly_fields = fields

    def get_ordering(self, request: HttpRequest) -> Any:
        return [F("over_at").desc(nulls_first=True), "-severity", "-since", "-pk"]

    @display(description="Severity", label=LABELS)
    def shown_severity(self, alert: Alert) -> str:
        return "over" if alert.over_at is not None else Severity(alert.severity).name.lower()
