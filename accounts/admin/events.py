"""Events in the console: read-only, with the steps and the reason in words.

The list counts nothing and is read in the order of the primary key.
"""

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import register
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, FieldTextFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.paginator import InfinitePaginator

from accounts import event_words
from accounts.admin import panels
from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.site import console
from accounts.models import AuthEvent
from accounts.models.events import Outcome

LABELS = {Outcome.SUCCEEDED.label: "success", Outcome.REFUSED.label: "danger"}
PERMISSION = "accounts.view_authevent"
NO_FACTS = ("step", "ms", "words")


class ExactTextFilter(FieldTextFilter):
    """A text that is equal, so that an index can find it: of a client id nobody types a part."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        [self.lookup_kwarg] = self.expected_parameters()
        self.lookup_val = self.used_parameters.get(self.lookup_kwarg)

    def expected_parameters(self) -> list[Any]:
        return [f"{self.field_path}__exact"]


def link_to(**where: Any) -> SafeString:
    """Return a link to the events that ``where`` filters."""
    address = f"{reverse('admin:accounts_authevent_changelist')}?{urlencode(where)}"
    return format_html('<a class="text-link" href="{}">Show the events</a>', address)


@register(AuthEvent, site=console)
class AuthEventAdmin(ReadOnlyAdmin):
    """What happened at sign-ins, at the token endpoint, to keys and to the documents of providers."""

    list_display = (
        "shown_at", "user_pool", "event_type", "provider_name", "client_id", "who", "shown_outcome", "reason",
    )  # fmt: skip
    list_select_related = ("user_pool", "user")
    list_filter = (
        ("user_pool", AutocompleteSelectFilter),
        "event_type",
        ("user", AutocompleteSelectFilter),
        ("client_id", ExactTextFilter),
        ("provider", AutocompleteSelectFilter),
        ("provider_name", FieldTextFilter),
        "outcome",
        ("reason", FieldTextFilter),
        ("address", ExactTextFilter),
        ("at", RangeDateTimeFilter),
    )
    ordering = ("-id",)
    sortable_by = ()
    paginator = InfinitePaginator
    search_fields = ("subject__icontains", "reason__icontains", "client_id__exact", "user__username__istartswith")
    search_help_text = "A request id, or a part of the subject or the reason, a client id, how a username begins"
    facts = (
        "shown_at", "event_type", "shown_outcome", "user_pool", "shown_provider", "client_id", "user", "subject",
        "address",
    )  # fmt: skip
    readonly_fields = (
        *facts, "reason", "why", "error", "description", "request_id", "shown_steps", "shown_document",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": facts}),
        ("Why", {"fields": ("reason", "why")}),
        ("What the app was told", {"fields": ("error", "description")}),
        ("What happened", {"fields": ("shown_steps", "request_id")}),
    )
    document_fieldset = ("What the provider sent", {"fields": ("shown_document",)})

    actions_list = ("export",)

    class Media:
        js = ("console/copy.js",)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.export_authevent")

    @action(description="Export", icon="download", permissions=["export"])
    def export(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:export_events"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None and obj.outcome != Outcome.REFUSED:
            shown = (None, "Why", "What happened") if obj.reason else (None, "What happened")
            return tuple(one for one in self.fieldsets if one[0] in shown)
        return (*self.fieldsets, self.document_fieldset) if obj is not None and obj.document else self.fieldsets

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if len(term) == 36 and term.count("-") == 4:  # the error page shows it; it has an index
            of_request = queryset.filter(request_id=term.lower())
            if of_request.exists():
                return of_request, False
        found, repeated = super().get_search_results(request, queryset, search_term)
        return found, bool(repeated)

    @display(description="At")
    def shown_at(self, event: AuthEvent) -> str:
        return f"{event.at:%Y-%m-%d %H:%M:%S}"  # to the second, as the log has it

    @display(description="Provider")
    def shown_provider(self, event: AuthEvent) -> SafeString | str:
        if event.provider_id is None:
            return event.provider_name or "-"
        address = reverse("admin:accounts_identityprovider_change", args=(event.provider_id,))
        return format_html('<a class="text-link" href="{}">{}</a>', address, event.provider_name)

    @display(description="User or subject")
    def who(self, event: AuthEvent) -> str:
        name = event.user.username if event.user is not None else event.subject
        return f"{name[:60]}..." if len(name) > 60 else name or "-"

    @display(description="Outcome", label=LABELS)
    def shown_outcome(self, event: AuthEvent) -> str:
        return str(Outcome(event.outcome).label)

    @display(description="What that means")
    def why(self, event: AuthEvent) -> str:
        return event_words.why(event.reason) or "-"

    @display(description="Steps")
    def shown_steps(self, event: AuthEvent) -> Any:
        rows = (
            (step.get("step", ""), panels.lines(_told(step)), panels.whole(f"{step.get('ms', 0)} ms"))
            for step in event.steps
            if isinstance(step, dict)
        )
        return panels.table(("Step", "What was found", "Time"), rows, "It ended before the first step.")

    @display(description="Message")
    def shown_document(self, event: AuthEvent) -> Any:
        words = "SAML message. Values that speak of the person are left out."
        return panels.document(words, event.document)


def _told(step: dict[str, Any]) -> list[str]:
    """Return the words of a step and its facts, one a line."""
    words = [str(step["words"])] if step.get("words") else []
    return words + [f"{name}: {value}" for name, value in step.items() if name not in NO_FACTS and value != ""]
