"""The outbox in the console: what became of each mail. Addresses are masked, and found by who knows them; bodies are
never shown. A mail that did not arrive may be sent again.
"""

from typing import Any

from django.contrib.admin import SimpleListFilter, register
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter, FieldTextFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.paginator import InfinitePaginator

from accounts import audit, mail, mail_words
from accounts.admin.audited import actor
from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.operations import Operation
from accounts.admin.site import console
from accounts.models import OutgoingMail

SENT, WAITING, RETRIED, GIVEN_UP, SENDING = "sent", "waiting", "tried again", "given up", "being sent"
LABELS = {SENT: "success", WAITING: "info", SENDING: "info", RETRIED: "warning", GIVEN_UP: "danger"}
STATES = {
    SENT: Q(sent_at__isnull=False),
    GIVEN_UP: Q(given_up_at__isnull=False),
    RETRIED: Q(next_attempt_at__isnull=False, attempts__gt=0),
    WAITING: Q(next_attempt_at__isnull=False, attempts=0),
}


def state(row: OutgoingMail) -> str:
    """Return how it stands with a mail."""
    if row.sent_at is not None:
        return SENT
    if row.given_up_at is not None:
        return GIVEN_UP
    if not row.attempts:
        return WAITING
    taken = row.next_attempt_at is not None and row.next_attempt_at > timezone.now()
    return SENDING if taken and not row.failure else RETRIED


def masked(address: str) -> str:
    """Return an address by which one that is known can be recognised: a***@example.com."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}***@{domain}"


class StateFilter(SimpleListFilter):
    """How it stands with a mail."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in STATES]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = STATES.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


@register(OutgoingMail, site=console)
class OutgoingMailAdmin(ReadOnlyAdmin):
    """What waits to be sent and what was sent in the last days."""

    list_display = ("shown_at", "kind", "user_pool", "shown_recipient", "subject", "shown_state", "failure")
    list_select_related = ("user_pool",)
    list_filter = (
        StateFilter,
        ("kind", FieldTextFilter),
        ("user_pool", AutocompleteSelectFilter),
        ("created_at", RangeDateTimeFilter),
    )
    ordering = ("-id",)
    sortable_by = ()
    paginator = InfinitePaginator
    search_fields = ("recipient__exact", "message_id__exact")
    search_help_text = "A whole address, or a Message-ID"
    fields = (
        "shown_at", "kind", "user_pool", "shown_recipient", "subject", "shown_state", "attempts", "next_attempt_at",
        "sent_at", "given_up_at", "failure", "why", "message_id",
    )  # fmt: skip
    readonly_fields = fields
    actions_detail = ("send_again",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("text", "html")

    def has_again_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.change_outgoingmail")

    @display(description="Queued")
    def shown_at(self, row: OutgoingMail) -> str:
        return f"{row.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description="To")
    def shown_recipient(self, row: OutgoingMail) -> str:
        return masked(row.recipient)

    @display(description="State", label=LABELS)
    def shown_state(self, row: OutgoingMail) -> str:
        return state(row)

    @display(description="What that means")
    def why(self, row: OutgoingMail) -> str:
        return mail_words.why(row.failure) or "-"

    @action(description="Send again", icon="forward_to_inbox", permissions=["again"])
    def send_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = (
            "The mail is tried at once, and if need be for another day. If the server took it the last time and only "
            "its answer was lost, the recipient gets it twice."
        )
        return self.operate(request, object_id, Operation("Send again", words, "Send it again", self._again))

    def _again(self, request: HttpRequest, row: OutgoingMail, values: dict[str, Any]) -> str:
        if not mail.enabled():
            raise ValidationError("Mail is off. Set EMAIL_URL and USERPOOL_MAIL_FROM.")
        before = state(row)
        if not mail.send_again(row):
            raise ValidationError(
                "There is nothing to send: it was sent, is being sent, was not tried yet, or its text was deleted "
                "because it was over."
            )
        audit.record("send mail again", row, {"state": [before, WAITING]}, actor=actor(request))
        return "The mail is due now. A worker sends it within a minute."
