"""Identity providers in the console. The type is chosen first; the form has the fields of that type."""

from typing import Any

from django.contrib.admin import register
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from accounts import provider_details
from accounts.admin import panels
from accounts.admin.base import PoolBoundAdmin
from accounts.admin.provider_forms import PREFIX, WORDS, for_type
from accounts.admin.site import console
from accounts.models import IdentityProvider
from accounts.models.providers import ProviderType

TYPES = tuple((str(value), str(label)) for value, label in ProviderType.choices)


@register(IdentityProvider, site=console)
class IdentityProviderAdmin(PoolBoundAdmin):
    """Identity providers: details by type, attribute mapping, identifiers."""

    choose_first = (("provider_type", "Which kind of provider?", TYPES),)
    list_display = ("provider_name", "provider_type", "user_pool", "shown_identifiers", "updated_at")
    list_select_related = ("user_pool",)
    list_filter = (("user_pool", AutocompleteSelectFilter), "provider_type")
    search_fields = ("provider_name", "user_pool__id", "user_pool__name")
    view_fieldsets = (
        (None, {"fields": ("user_pool", "provider_name", "provider_type")}),
        ("Connection", {"fields": ("shown_details",)}),
        ("Users", {"fields": ("shown_identifiers", "shown_mapping")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            return self.view_fieldsets
        kind = self._type(request, obj)
        first = ("user_pool", "provider_name") if obj is None else ("user_pool", "provider_name", "provider_type")
        return (
            (None, {"fields": first}),
            (
                f"{dict(TYPES).get(kind, 'Provider')}: connection",
                {"fields": tuple(PREFIX + key for key in (provider_details.known_keys(kind) if kind else ()))},
            ),
            ("Users", {"fields": ("idp_identifiers", "attribute_mapping")}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return (*fixed, "provider_name", "provider_type") if obj is not None else fixed

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        pool = obj.user_pool if obj is not None else self.chosen_pool(request)
        kind = self._type(request, obj)
        if pool is not None and kind:
            kwargs["form"] = for_type(kind, pool, obj)
        return super().get_form(request, obj, change, **kwargs)

    def _type(self, request: HttpRequest, obj: IdentityProvider | None) -> str:
        kind = obj.provider_type if obj is not None else request.GET.get("provider_type", "")
        return kind if kind in dict(TYPES) else ""

    @display(description="Identifiers")
    def shown_identifiers(self, provider: IdentityProvider) -> str:
        return panels.words(provider.idp_identifiers, "-")

    @display(description="Connection")
    def shown_details(self, provider: IdentityProvider) -> Any:
        rows = []
        details: Any = provider.provider_details
        for key, value in details.items():
            label = WORDS[key].label if key in WORDS else key
            shown = "(hidden)" if key in provider_details.SECRET_KEYS else value
            rows.append((label, f"{shown[:500]}..." if len(shown) > 500 else shown))
        return panels.table(("Setting", "Value"), rows)

    @display(description="Attribute mapping")
    def shown_mapping(self, provider: IdentityProvider) -> Any:
        return panels.table(("User pool attribute", "Attribute of the provider"), provider.attribute_mapping.items())
