"""Signing keys in the console: what each does now, in words. A private key is shown nowhere."""

from typing import Any

from django.contrib.admin import register
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display

from accounts.admin import key_operations, panels
from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.site import console
from accounts.models import SigningKey

STATES = {"signs now": "success", "will sign": "info", "published, signs no more": "warning", "expired": "danger"}


def state(key: SigningKey) -> str:
    """Return what ``key`` does at this moment."""
    now = timezone.now()
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    if key.not_before > now:
        return "will sign"
    if key.not_after is not None and key.not_after <= now:
        return "published, signs no more"
    return "signs now"


@register(SigningKey, site=console)
class SigningKeyAdmin(key_operations.KeyPermissions, ReadOnlyAdmin):
    """Signing keys; rotate and withdraw act on both keys of the pool."""

    list_display = ("user_pool", "token_use", "shown_state", "not_before", "not_after", "expires_at", "kid")
    list_display_links = ("user_pool", "kid")
    sortable_by = ()
    list_select_related = ("user_pool",)
    list_filter = (("user_pool", AutocompleteSelectFilter), "token_use", "alg")
    search_fields = ("kid", "user_pool__id", "user_pool__name")
    ordering = ("user_pool_id", "token_use", "-not_before")
    actions_detail = ("rotate_keys", "withdraw_keys")
    fields = (
        "kid",
        "user_pool",
        "token_use",
        "alg",
        "shown_state",
        "created_at",
        "not_before",
        "not_after",
        "expires_at",
        "public_key",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("private_jwk")

    @display(description="State", label=STATES)
    def shown_state(self, key: SigningKey) -> str:
        return state(key)

    @display(description="Public key")
    def public_key(self, key: SigningKey) -> Any:
        return panels.table(("Member", "Value"), key.public_jwk.items())

    @action(description="Rotate keys", icon="autorenew", permissions=["rotate_keys"])
    def rotate_keys(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.operate(request, object_id, key_operations.rotation())

    @action(description="Withdraw keys", icon="key_off", permissions=["withdraw_keys"])
    def withdraw_keys(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.operate(request, object_id, key_operations.withdrawal())
