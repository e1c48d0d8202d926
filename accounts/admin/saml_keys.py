"""SAML key pairs in the console: what each does now, and its certificate. A private key is shown nowhere."""

from typing import Any

from django.contrib.admin import register
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display

from accounts.admin import panels, saml_key_operations
from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.operations import Operation
from accounts.admin.saml_key_operations import State, state
from accounts.admin.site import console
from accounts.models import SamlKey
from accounts.saml_metadata import SOON

LABELS = {State.ACTIVE: "success", State.NEXT: "info", State.DECRYPTS: "warning"}
FITTING = {
    "prepare_next": (State.ACTIVE,),
    "let_it_take_over": (State.NEXT,),
    "remove_pair": (State.NEXT, State.DECRYPTS, State.RETIRED),
}


@register(SamlKey, site=console)
class SamlKeyAdmin(saml_key_operations.SamlKeyPermissions, ReadOnlyAdmin):
    """SAML key pairs; what can be done to one depends on what it does now."""

    list_display = ("user_pool", "use", "shown_state", "shown_expiry", "shown_fingerprint")
    list_display_links = ("user_pool", "shown_fingerprint")
    sortable_by = ()
    list_select_related = ("user_pool",)
    list_filter = (("user_pool", AutocompleteSelectFilter), "use")
    search_fields = ("fingerprint__istartswith", "user_pool__id", "user_pool__name")
    ordering = ("user_pool_id", "use", "-id")
    actions_detail = tuple(FITTING)
    fields = (
        "user_pool",
        "use",
        "shown_state",
        "created_at",
        "activated_at",
        "retired_at",
        "shown_expiry",
        "fingerprint",
        "pem",
    )
    readonly_fields = fields

    class Media:
        js = ("console/copy.js",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("private_key")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        found = super().get_actions_detail(request, object_id)
        key = self.get_object(request, str(object_id)) if object_id else None
        now = state(key) if key is not None else None
        return [one for one in found if now in FITTING[one.action_name.removeprefix("accounts_samlkey_")]]

    @display(description="State", label=LABELS)
    def shown_state(self, key: SamlKey) -> str:
        return state(key)

    @display(description="Certificate expires")
    def shown_expiry(self, key: SamlKey) -> Any:
        now, day = timezone.now(), panels.whole(f"{key.not_after:%Y-%m-%d}")
        if key.not_after <= now:
            return format_html("{} {}", day, panels.verdict("bad", "expired"))
        soon = key.not_after <= now + SOON
        return format_html("{} {}", day, panels.verdict("note", "within 30 days")) if soon else day

    @display(description="SHA-256 fingerprint")
    def shown_fingerprint(self, key: SamlKey) -> str:
        return f"{key.fingerprint[:16]}..."

    @display(description="Certificate")
    def pem(self, key: SamlKey) -> Any:
        return panels.document("PEM", panels.pem(key.certificate))

    @action(description="Prepare the next certificate", icon="add_moderator", permissions=["prepare_key"])
    def prepare_next(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._run(request, object_id, "prepare_next", saml_key_operations.preparation)

    @action(description="Let it take over", icon="published_with_changes", permissions=["activate_key"])
    def let_it_take_over(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._run(request, object_id, "let_it_take_over", saml_key_operations.activation)

    @action(description="Remove", icon="delete", permissions=["remove_key"])
    def remove_pair(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._run(request, object_id, "remove_pair", saml_key_operations.removal)

    def _run(self, request: HttpRequest, object_id: str, name: str, made: Any) -> HttpResponse:
        key = self.row(request, object_id)
        if state(key) not in FITTING[name]:
            raise Http404
        operation: Operation = made(key, self.url("changelist"))
        return self.operate(request, object_id, operation)
