"""Users of pools, and their groups, in the console. A list of a million users stays quick: it counts nothing."""

from typing import Any

from django.contrib.admin import register
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from accounts import audit, rules
from accounts.admin import events, panels, user_search
from accounts.admin.audited import actor
from accounts.admin.base import ConsoleForm, PoolBoundAdmin
from accounts.admin.site import console
from accounts.admin.user_bulk import BulkOperations
from accounts.admin.user_export import UserTransfer
from accounts.admin.user_forms import field_names, for_pool
from accounts.admin.user_operations import UserOperations, shown_identity, unlinkable
from accounts.models import Group, PoolUser
from accounts.models.users import UserStatus

STATUS_LABELS = {
    UserStatus.CONFIRMED.label: "success",
    UserStatus.EXTERNAL_PROVIDER.label: "info",
    UserStatus.FORCE_CHANGE_PASSWORD.label: "warning",
    UserStatus.RESET_REQUIRED.label: "warning",
    UserStatus.UNCONFIRMED.label: "warning",
}


def tab(name: str, *fields: str) -> tuple[str, dict[str, Any]]:
    return name, {"fields": fields, "classes": ["tab"]}


@register(PoolUser, site=console)
class PoolUserAdmin(UserOperations, BulkOperations, UserTransfer, PoolBoundAdmin):
    """Users: create, attributes, groups, passwords, disable, sign out everywhere; search by every attribute."""

    list_display = ("username", "email", "shown_status", "enabled", "user_pool", "created_at")
    list_select_related = ("user_pool",)
    list_filter = (
        ("user_pool", AutocompleteSelectFilter),
        "status",
        "enabled",
        ("groups", AutocompleteSelectFilter),
    )
    # an index order: the first page of a million rows is read without sorting them
    ordering = ("user_pool_id", "username_key")
    sortable_by = ()
    paginator = InfinitePaginator
    search_fields = ("username",)
    search_help_text = "A name, a sub, any attribute's value; or exactly: custom:tier=gold, email=ada@example.com"
    actions = (
        "enable_selected", "disable_selected", "sign_out_selected", "reset_selected", "add_to_group",
        "remove_from_group", "delete_selected",
    )  # fmt: skip
    actions_list = ("import_users", "export_users")
    actions_detail = (
        "temporary_password",
        "sign_out",
        {
            "title": "More",
            "items": ["set_password", "disable", "enable", "confirm", "link_identity", "unlink"],
        },
    )
    shown = ("sub", "shown_status", "enabled", "password_changed_at", "signed_out_at", "created_at", "updated_at")
    readonly_fields = (*shown, "identities", "shown_attributes", "shown_groups", "shown_events")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return user_search.search(queryset, search_term), False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("password", "other_fields")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        seen = ("shown_events",) if request.user.has_perm(events.PERMISSION) else ()
        if obj is not None and not self.has_change_permission(request, obj):
            return [
                (None, {"fields": ("user_pool", "username", *self.shown)}),
                tab("Attributes", "shown_attributes"),
                tab("Groups and identities", "shown_groups", "identities", *seen),
            ]
        pool = obj.user_pool if obj is not None else self.chosen_pool(request)
        standard = field_names(pool, custom=False) if pool else ()
        custom = field_names(pool, custom=True) if pool else ()
        attributes = [tab("Attributes", *standard), *([tab("Custom attributes", *custom)] if custom else [])]
        if obj is None:
            first = ("user_pool", "username", "first_password", "password_given")
            return [(None, {"fields": first}), *attributes, tab("Groups", "groups_chosen")]
        return [
            (None, {"fields": ("user_pool", "username", *self.shown)}),
            *attributes,
            tab("Groups and identities", "groups_chosen", "identities", *seen),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return (*fixed, "username") if obj is not None else fixed

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        pool = obj.user_pool if obj is not None else self.chosen_pool(request)
        if pool is not None:
            kwargs["form"] = for_pool(pool, obj)
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            form.set_first_password()
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: list[Any], change: bool) -> None:
        super().save_related(request, form, formsets, change)
        had = sorted(group.group_name for group in form.instance.groups.all())
        form.save_groups()
        has = sorted(group.group_name for group in form.instance.groups.all())
        if had != has:
            audit.record("change groups", form.instance, {"groups": [had, has]}, actor=actor(request))
        if not change and form.temporary and not form.cleaned_data["password_given"]:
            form.instance.shown_once = form.password

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        if password := getattr(obj, "shown_once", ""):
            return self.shown_password(request, obj, password)
        response: HttpResponse = super().response_add(request, obj, post_url_continue)
        return response

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        found = super().get_actions_detail(request, object_id)
        user = self.get_object(request, str(object_id)) if object_id else None
        if user is None:
            return found
        fitting = {
            "disable": user.enabled,
            "enable": not user.enabled,
            "confirm": user.status == UserStatus.UNCONFIRMED,
            "temporary_password": user.status != UserStatus.EXTERNAL_PROVIDER,
            "link_identity": user.user_pool.identity_providers.exists(),
            "unlink": unlinkable(user).exists(),
        }
        return [one for one in found if fitting.get(one.action_name.removeprefix("accounts_pooluser_"), True)]

    @display(description="E-mail")
    def email(self, user: PoolUser) -> str:
        return str(user.attributes.get("email", "-"))

    @display(description="Status", label=STATUS_LABELS)
    def shown_status(self, user: PoolUser) -> str:
        return UserStatus(user.status).label

    @display(description="Attributes")
    def shown_attributes(self, user: PoolUser) -> Any:
        return panels.table(("Attribute", "Value"), sorted(user.attributes.items()))

    @display(description="Groups")
    def shown_groups(self, user: PoolUser) -> str:
        return panels.words(group.group_name for group in user.groups.all())

    @display(description="Linked identities")
    def identities(self, user: PoolUser) -> Any:
        links = user.identities.select_related("provider")
        return panels.table(
            ("Provider", "Identity", "Issuer", "Since", ""),
            (
                (link.provider.provider_name, shown_identity(link), link.issuer,
                 panels.whole(f"{link.date_created:%Y-%m-%d}"),
                 "where the user came from" if link.primary else "linked")
                for link in links
            ),
        )  # fmt: skip

    @display(description="Events")
    def shown_events(self, user: PoolUser) -> Any:
        return events.link_to(user__id__exact=user.pk)


class GroupForm(ConsoleForm):
    """The form of a group."""

    def clean_role_arn(self) -> str:
        role = str(self.cleaned_data["role_arn"])
        if role:
            rules.check_pattern(role, rules.ROLE_ARN, "The role ARN")
        return role


@register(Group, site=console)
class PoolGroupAdmin(PoolBoundAdmin):
    """Groups of users."""

    form = GroupForm
    list_display = ("group_name", "user_pool", "precedence", "description", "members")
    list_select_related = ("user_pool",)
    list_filter = (("user_pool", AutocompleteSelectFilter),)
    search_fields = ("group_name", "description", "user_pool__id")
    fieldsets = ((None, {"fields": ("user_pool", "group_name", "description", "precedence", "role_arn", "members")}),)
    readonly_fields = ("members",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return (*fixed, "group_name") if obj is not None else fixed

    @display(description="Members")
    def members(self, group: Group) -> Any:
        if group.pk is None:
            return "-"
        link = f"{reverse('admin:accounts_pooluser_changelist')}?groups__id__exact={group.pk}"
        return format_html('<a class="text-link" href="{}">Show the users</a>', link)
