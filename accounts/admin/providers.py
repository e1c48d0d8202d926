"""Identity providers in the console. The type is chosen first; the form has the fields of that type."""

from typing import Any

from django.contrib.admin import register
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display

from accounts import provider_details, provider_examination
from accounts.admin import events, panels, provider_setup, saml_preview
from accounts.admin.base import PoolBoundAdmin
from accounts.admin.operations import Operation
from accounts.admin.provider_forms import PREFIX, WORDS, for_type
from accounts.admin.site import console
from accounts.models import AuthEvent, IdentityProvider
from accounts.models.events import EventType, Outcome
from accounts.models.providers import ProviderType

TYPES = tuple((str(value), str(label)) for value, label in ProviderType.choices)
SETUP = "Register at the provider"
PUBLISHED = "What the provider publishes"
OUTCOMES = {Outcome.SUCCEEDED: "success", Outcome.REFUSED: "danger"}
LAST = {Outcome.SUCCEEDED.value: "Signed in", Outcome.REFUSED.value: "Refused"}


@register(IdentityProvider, site=console)
class IdentityProviderAdmin(PoolBoundAdmin):
    """Identity providers: details by type, attribute mapping, identifiers."""

    choose_first = (("provider_type", "Which kind of provider?", TYPES),)
    list_display = ("provider_name", "provider_type", "user_pool", "shown_identifiers", "last_sign_in", "updated_at")
    list_select_related = ("user_pool",)
    list_filter = (("user_pool", AutocompleteSelectFilter), "provider_type")
    search_fields = ("provider_name", "user_pool__id", "user_pool__name")
    actions_detail = ("test_configuration",)
    readonly_fields = ("redirect_uris", "service_provider", "shown_metadata", "shown_events")

    class Media:
        js = ("console/copy.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # one look at the index of events for each row, in the statement that reads the rows
        newest = AuthEvent.objects.filter(provider=OuterRef("pk"), event_type=EventType.SIGN_IN).order_by("-id")
        found: QuerySet[Any] = super().get_queryset(request)
        return found.annotate(
            last_at=Subquery(newest.values("at")[:1]), last_outcome=Subquery(newest.values("outcome")[:1])
        )

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = super().get_list_display(request)
        return shown if request.user.has_perm(events.PERMISSION) else [one for one in shown if one != "last_sign_in"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kind = self._type(request, obj)
        looks_only = obj is not None and not self.has_change_permission(request, obj)
        first: tuple[str, ...] = ("user_pool", "provider_name")
        connection: tuple[str, ...] = ("shown_details",)
        users: tuple[str, ...] = ("shown_identifiers", "shown_mapping")
        if not looks_only:
            connection = tuple(PREFIX + key for key in (provider_details.known_keys(kind) if kind else ()))
            users = ("idp_identifiers", "attribute_mapping")
        if obj is not None:
            first += ("provider_type",)
            if request.user.has_perm(events.PERMISSION):
                users += ("shown_events",)
        saml = kind == ProviderType.SAML
        return (
            *([(SETUP, {"fields": ("service_provider" if saml else "redirect_uris",)})] if kind else []),
            (None, {"fields": first}),
            (f"{dict(TYPES).get(kind, 'Provider')}: connection", {"fields": connection}),
            *([(PUBLISHED, {"fields": ("shown_metadata",)})] if saml and obj is not None else []),
            ("Users", {"fields": users}),
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

    @action(description="Test configuration", icon="network_check", permissions=["change"])
    def test_configuration(self, request: HttpRequest, object_id: str) -> HttpResponse:
        asked = "what it publishes about itself, and its keys"
        if self.row(request, object_id).provider_type == ProviderType.SAML:
            asked = "its metadata, unless the settings hold the document itself"
        words = (
            f"The provider is called now, as a sign-in would call it: {asked}. It takes up to ten seconds. No sign-in "
            "is made; good copies are kept for the next sign-ins."
        )
        operation = Operation("Test configuration", words, "Call the provider", self._test, in_transaction=False)
        return self.operate(request, object_id, operation)

    def _test(self, request: HttpRequest, provider: IdentityProvider, values: dict[str, Any]) -> HttpResponse:
        found = provider_examination.examine(provider)
        return self.result(request, provider, "Test configuration", "console/findings.html", findings=found)

    @display(description="Last sign-in", label=OUTCOMES)
    def last_sign_in(self, provider: Any) -> Any:
        if not provider.last_outcome:
            return ""
        return provider.last_outcome, f"{LAST[provider.last_outcome]} {provider.last_at:%Y-%m-%d %H:%M}"

    @display(description="Redirect URI")
    def redirect_uris(self, provider: IdentityProvider) -> Any:
        return provider_setup.panel(provider.provider_type, provider.user_pool)

    @display(description="The pool as a service provider")
    def service_provider(self, provider: IdentityProvider) -> Any:
        return provider_setup.panel(provider.provider_type, provider.user_pool)

    @display(description="Metadata")
    def shown_metadata(self, provider: IdentityProvider) -> Any:
        return saml_preview.panel(provider)

    @display(description="Events")
    def shown_events(self, provider: IdentityProvider) -> Any:
        return events.link_to(provider__id__exact=provider.pk)

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
