"""Resource servers in the console, their scopes as a table."""

from typing import Any

from django.contrib.admin import register
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from accounts import rules
from accounts.admin import panels
from accounts.admin.base import ConsoleForm, PoolBoundAdmin
from accounts.admin.fields import Column, RowsField
from accounts.admin.site import console
from accounts.models import ResourceServer

COLUMNS = (
    Column("ScopeName", "Scope name", placeholder="orders.read"),
    Column("ScopeDescription", "Description", placeholder="Read orders"),
)


class ResourceServerForm(ConsoleForm):
    """The form of a resource server."""

    scopes = RowsField(COLUMNS, help_text="At most 100. On the wire a scope is identifier/scope name.")

    def clean_scopes(self) -> list[dict[str, Any]]:
        scopes = self.cleaned_data["scopes"]
        rules.check_resource_server_scopes(scopes)
        return list(scopes)


@register(ResourceServer, site=console)
class ResourceServerAdmin(PoolBoundAdmin):
    """Resource servers; the identifier is fixed once clients may have been given its scopes."""

    form = ResourceServerForm
    list_display = ("identifier", "name", "user_pool", "scope_count")
    list_select_related = ("user_pool",)
    list_filter = (("user_pool", AutocompleteSelectFilter),)
    search_fields = ("identifier", "name", "user_pool__id", "user_pool__name")
    fieldsets = ((None, {"fields": ("user_pool", "identifier", "name", "scopes")}),)
    view_fieldsets = ((None, {"fields": ("user_pool", "identifier", "name", "scope_table")}),)

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return (*fixed, "identifier") if obj is not None else fixed

    @display(description="Scopes")
    def scope_count(self, server: ResourceServer) -> int:
        return len(server.scopes)

    @display(description="Scopes")
    def scope_table(self, server: ResourceServer) -> Any:
        rows = ((f"{server.identifier}/{one['ScopeName']}", one["ScopeDescription"]) for one in server.scopes)
        return panels.table(("Scope", "Description"), rows)
