"""App clients in the console."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import register
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from accounts import audit
from accounts.admin import panels
from accounts.admin.audited import actor
from accounts.admin.base import PoolBoundAdmin
from accounts.admin.client_forms import for_pool, mixed_providers
from accounts.admin.client_secrets import ClientSecrets
from accounts.admin.site import console
from accounts.models import AppClient

URLS = ("redirect_uris", "default_redirect", "post_logout_redirect_uris")
OAUTH = (
    "allowed_oauth_flows_user_pool_client",
    "allowed_oauth_flows",
    "allowed_oauth_scopes",
    "require_pkce",
    "dialect",
)
VALIDITIES = ("access_token_validity", "id_token_validity", "refresh_token_validity")
TOKENS = (*VALIDITIES, "refresh_token_rotation", "retry_grace_period_seconds", "enable_token_revocation")


def tab(name: str, *fields: str) -> tuple[str, dict[str, Any]]:
    return name, {"fields": fields, "classes": ["tab"]}


@register(AppClient, site=console)
class AppClientAdmin(ClientSecrets, PoolBoundAdmin):
    """App clients: URLs, flows and scopes, providers, tokens, attributes; secrets on demand."""

    list_display = ("name", "client_id", "user_pool", "kind", "shown_flows", "dialect")
    list_select_related = ("user_pool",)
    list_filter = (("user_pool", AutocompleteSelectFilter), "client_type", "dialect")
    search_fields = ("name", "client_id", "user_pool__id", "user_pool__name")
    actions_detail = (
        {
            "title": "Client secret",
            "icon": "key",
            "items": ["show_secret", "add_secret", "replace_secret", "delete_secret"],
        },
    )
    readonly_fields = ("facts", "kind")
    add_fieldsets = (
        (None, {"fields": ("user_pool", "name", "client_id", "generate_secret")}),
        tab("URLs", *URLS),
        tab("OAuth", *OAUTH),
        tab("Sign-in", "cognito_sign_in", "identity_providers", "prevent_user_existence_errors"),
        tab("Tokens", *TOKENS),
        tab(
            "Attributes",
            "read_every_attribute",
            "read_attributes",
            "write_every_attribute",
            "write_attributes",
        ),
    )
    fieldsets = (
        (None, {"fields": ("user_pool", "name", "kind")}),
        tab("What the app needs", "facts"),
        *add_fieldsets[1:],
    )
    view_fieldsets = (
        fieldsets[0],
        fieldsets[1],
        tab("URLs", *URLS),
        tab("OAuth", "shown_flows", "shown_scopes", "require_pkce", "dialect"),
        tab("Sign-in", "shown_providers", "prevent_user_existence_errors"),
        tab("Tokens", *TOKENS),
        tab("Attributes", "shown_readable", "shown_writable"),
    )

    class Media:
        js = ("console/copy.js",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(secret_count=Count("secrets"))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        pool = obj.user_pool if obj is not None else self.chosen_pool(request)
        if pool is not None:
            kwargs["form"] = for_pool(pool, obj)
        return super().get_form(request, obj, change, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: list[Any], change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not change and form.cleaned_data.get("generate_secret"):
            form.instance.made = form.instance.add_secret()
            audit.record(
                "add secret",
                form.instance.made,
                audit.difference(None, form.instance.made),
                actor=actor(request),
                user_pool=form.instance.user_pool_id,
            )
        if note := mixed_providers(form.instance):
            self.message_user(request, note, messages.WARNING)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        if secret := getattr(obj, "made", None):
            return self.shown_secrets(request, obj, [secret])
        response: HttpResponse = super().response_add(request, obj, post_url_continue)
        return response

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        found = super().get_actions_detail(request, object_id)
        client = self.get_object(request, str(object_id)) if object_id else None
        count = client.secret_count if client is not None else 0
        fitting = {"show_secret": count > 0, "add_secret": count < 2, "delete_secret": count > 0}
        return [one for one in found if fitting.get(one.action_name.removeprefix("accounts_appclient_"), True)]

    @display(description="Kind")
    def kind(self, client: AppClient) -> str:
        count = getattr(client, "secret_count", 0)
        if not client.is_confidential:
            return "public"
        return f"confidential, {count} secret{'s' if count != 1 else ''}"

    @display(description="Flows")
    def shown_flows(self, client: AppClient) -> str:
        if not client.allowed_oauth_flows_user_pool_client:
            return "OAuth is off"
        return panels.words(client.allowed_oauth_flows)

    @display(description="Scopes")
    def shown_scopes(self, client: AppClient) -> str:
        return panels.words(client.allowed_oauth_scopes)

    @display(description="Identity providers")
    def shown_providers(self, client: AppClient) -> SafeString:
        return panels.lines(filter(None, [panels.words(client.supported_identity_providers), mixed_providers(client)]))

    @display(description="Readable attributes")
    def shown_readable(self, client: AppClient) -> str:
        return "every attribute" if client.read_attributes is None else panels.words(client.read_attributes)

    @display(description="Writable attributes")
    def shown_writable(self, client: AppClient) -> str:
        return "every attribute" if client.write_attributes is None else panels.words(client.write_attributes)

    @display(description="What the app needs")
    def facts(self, client: AppClient) -> SafeString:
        pool = client.user_pool
        return panels.facts(
            {
                "Client id": client.client_id,
                "Issuer": pool.issuer,
                "Discovery": f"{pool.issuer}/.well-known/openid-configuration",
                "Base URL": pool.base_url,
            }
        )
