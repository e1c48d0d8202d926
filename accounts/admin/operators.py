"""Operators and their groups: Django's users and permissions, for the console only.

Rights are handed out by superusers only, and nobody changes an operator who may do more than they may themselves (or
they would set that one's password and be them).
"""

from typing import Any

from django import forms
from django.contrib.admin import register
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts import audit
from accounts.admin.audited import actor
from accounts.admin.base import ConsoleAdmin
from accounts.admin.site import console
from accounts.models import Operator

APPS = ("accounts", "auth")
SHOWN = (
    "userpool", "userpooldomain", "appclient", "appclientsecret", "identityprovider", "resourceserver", "pooluser",
    "group", "signingkey", "samlkey", "signinsession", "refreshtoken", "authevent", "auditevent", "operator",
    "jobrun", "userimportjob", "outgoingmail", "alert",
)  # fmt: skip
NAMES = {("auth", "group"): "operator group", ("accounts", "operator"): "operator"}
# the server writes these rows itself
WITHOUT_USE = (
    "add_auditevent", "change_auditevent", "delete_auditevent", "change_signingkey", "add_signinsession",
    "change_signinsession", "add_refreshtoken", "delete_refreshtoken", "add_authevent", "change_authevent",
    "delete_authevent", "add_jobrun", "delete_jobrun", "delete_userimportjob", "add_outgoingmail",
    "delete_outgoingmail", "add_alert", "change_alert", "delete_alert",
)  # fmt: skip
RIGHTS = ("is_superuser", "groups", "user_permissions")


class PermissionField(forms.ModelMultipleChoiceField):
    """Permissions by the names of what they are for."""

    def label_from_instance(self, obj: Any) -> str:
        kind = obj.content_type
        what = NAMES.get((kind.app_label, kind.model)) or kind.name
        return f"{what}: {obj.codename.removesuffix(f'_{kind.model}').replace('_', ' ')}"


def ticks(field: Any, name: str) -> Any:
    """Return ``field`` with checkboxes; permissions are those that mean something in the console."""
    if name not in ("permissions", "user_permissions"):
        field.widget = UnfoldAdminCheckboxSelectMultipleWidget(choices=field.choices)
        field.help_text = "Whoever is in a group has all of its permissions."
        return field
    found = Permission.objects.filter(content_type__app_label__in=APPS, content_type__model__in=SHOWN)
    found = found.exclude(codename__in=WITHOUT_USE)
    return PermissionField(
        found.select_related("content_type").order_by("content_type__model", "codename"),
        required=False,
        label=field.label,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="view opens a page. For signing keys, add rotates and delete withdraws them; for SAML keys, add "
        "prepares the next one, change lets it take over, delete removes one; for client secrets, reveal shows and "
        "change replaces them; for sessions, delete ends them; for grants, change revokes them; "
        "for jobs, change runs one now; for user imports, add uploads a file of users of any kind, change starts and "
        "stops it; export carries users away, and only with export password hashes their hashes; for outgoing mail, "
        "change sends one again.",
    )


@register(Operator, site=console)
class OperatorAdmin(UserAdmin, ConsoleAdmin):  # type: ignore[misc]
    """Operators. Only a superuser makes or changes a superuser."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "email",
        "first_name",
        "last_name",
        "is_active",
        "is_superuser",
        "receives_alerts",
        "last_login",
    )
    list_filter = ("is_active", "is_superuser", "receives_alerts", "groups")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email", "receives_alerts")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2", "is_staff")}),)
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()
    ordering = ("username",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if request.user.is_superuser else (*fixed, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and not self._above(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not self._above(request, obj)

    def protected(self, rows: list[Any]) -> list[str]:
        others = Operator.objects.filter(is_superuser=True, is_active=True).exclude(pk__in=[row.pk for row in rows])
        return [] if others.exists() else ["The last active superuser stays: without one nobody could hand out rights."]

    def _above(self, request: HttpRequest, obj: Any) -> bool:
        if not isinstance(obj, Operator) or request.user.is_superuser:
            return False
        return obj.is_superuser or not obj.get_all_permissions() <= request.user.get_all_permissions()

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        if any(self._above(request, row) for row in queryset):
            raise PermissionDenied
        super().delete_queryset(request, queryset)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return ticks(super().formfield_for_manytomany(db_field, request, **kwargs), db_field.name)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():
            response: HttpResponse = super().user_change_password(request, id, form_url)
            operator = self.get_object(request, unquote(id))
            if request.method == "POST" and response.status_code == 302 and operator is not None:
                changes: dict[str, list[Any]] = {"password": ["present", "changed"]}
                audit.record("set password", operator, changes, actor=actor(request))
        return response


@register(Group, site=console)
class OperatorGroupAdmin(DjangoGroupAdmin, ConsoleAdmin):  # type: ignore[misc]
    """Groups of operators: sets of permissions."""

    filter_horizontal = ()
    fieldsets = ((None, {"fields": ("name", "permissions")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if request.user.is_superuser else (*fixed, "permissions")

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        return ticks(super().formfield_for_manytomany(db_field, request, **kwargs), db_field.name)
