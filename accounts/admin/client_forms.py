"""The form of an app client. Its choices (scopes, providers, attributes) are those of the client's pool.

The rules that concern several fields stand in accounts/rules.py; here they only find their field.
"""

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldBooleanWidget,
)

from accounts import rules
from accounts.admin.base import ConsoleForm
from accounts.admin.fields import CheckboxesField, TextLinesField, ValidityField
from accounts.models import AppClient, IdentityProvider, UserPool
from accounts.models.clients import Dialect, generate_client_id

UNITS = {
    "access_token_validity": "AccessToken",
    "id_token_validity": "IdToken",
    "refresh_token_validity": "RefreshToken",
}
FLOW_WORDS = {
    "code": "code: authorization code, for users",
    "implicit": "implicit: tokens in the fragment, for users of old apps",
    "client_credentials": "client_credentials: the client itself, without a user",
}
NEVER_WRITTEN = ("sub", "email_verified", "phone_number_verified", "identities")


class AppClientFormBase(ConsoleForm):
    """The form of an app client; ``for_pool`` completes it."""

    client_id = forms.CharField(
        label="Client id", required=False, max_length=128, help_text="Given or generated; fixed afterwards."
    )
    redirect_uris = TextLinesField(label="Callback URLs", help_text="One a line. https, or http on localhost.")
    post_logout_redirect_uris = TextLinesField(label="Sign-out URLs", help_text="One a line.")
    allowed_oauth_flows = CheckboxesField(
        label="Flows",
        choices=list(FLOW_WORDS.items()),
        help_text="code and implicit, or client_credentials alone; that one needs a client secret.",
    )
    access_token_validity = ValidityField(help_text="5 minutes to 1 day.")
    id_token_validity = ValidityField(label="ID token validity", help_text="5 minutes to 1 day.")
    refresh_token_validity = ValidityField(help_text="1 hour to 10 years.")
    retry_grace_period_seconds = forms.IntegerField(
        min_value=0,
        max_value=60,
        initial=0,
        widget=UnfoldAdminIntegerFieldWidget,
        label="Grace for retries",
        help_text="Seconds, 0 to 60, in which a rotated refresh token may come again.",
    )
    generate_secret = forms.BooleanField(
        label="Generate a client secret",
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="For apps with a server of their own. It is shown once you have saved.",
    )
    dialect = forms.ChoiceField(choices=Dialect.choices, initial=Dialect.COGNITO, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.initial.setdefault("client_id", generate_client_id())
            self.initial.setdefault("allowed_oauth_flows_user_pool_client", True)
            self.initial.setdefault("allowed_oauth_flows", ["code"])
            self.initial.setdefault("allowed_oauth_scopes", ["openid", "email"])
            self.initial.setdefault("cognito_sign_in", True)
            self.initial.setdefault("require_pkce", True)
        if "require_pkce" in self.fields:
            self.fields[
                "require_pkce"
            ].help_text = (
                "Leave this on for an app without a secret. Switch it off for an app that sends no code_challenge."
            )
        for name in ("read", "write"):
            self.initial.setdefault(f"{name}_every_attribute", getattr(self.instance, f"{name}_attributes") is None)

    def clean_client_id(self) -> str:
        return self.cleaned_data["client_id"] or generate_client_id()

    def _post_clean(self) -> None:
        data = self.cleaned_data
        for name in ("read", "write"):
            if data.get(f"{name}_every_attribute"):
                data[f"{name}_attributes"] = None
        if self.instance._state.adding and data.get("generate_secret"):
            # the rules ask for it before the secret is there
            self.instance.client_type = AppClient.CLIENT_CONFIDENTIAL
        units = dict(self.instance.token_validity_units or {})
        for field, wire in UNITS.items():
            if field in self.fields and (field in self.changed_data or wire in units):
                units[wire] = self.data.get(f"{self.add_prefix(field)}_unit", units.get(wire, "hours"))
        if set(units.values()) <= {"seconds", "minutes", "hours", "days"}:
            self.instance.token_validity_units = units
        super()._post_clean()  # type: ignore[misc]


def for_pool(pool: UserPool, client: AppClient | None) -> type[AppClientFormBase]:
    """Return the form for a client of ``pool`` with the pool's scopes, providers and attributes to tick."""
    standard = [*rules.SYSTEM_SCOPES, "address"]
    custom = [name for server in pool.resource_servers.all() for name in server.scope_names]
    kept = [scope for scope in (client.allowed_oauth_scopes if client else []) if scope not in standard + custom]
    choices: list[Any] = [
        *((name, f"{name} (dialect oidc only)" if name == "address" else name) for name in standard),
        *((name, name) for name in custom),
        *((name, f"{name} (inactive: its resource server is gone)") for name in kept),
    ]
    readable = pool.schema.names
    writable = [name for name in readable if name not in NEVER_WRITTEN]
    fields: dict[str, forms.Field] = {
        "allowed_oauth_scopes": CheckboxesField(label="Scopes", choices=choices),
        "identity_providers": forms.ModelMultipleChoiceField(
            IdentityProvider.objects.filter(user_pool=pool),
            required=False,
            widget=UnfoldAdminCheckboxSelectMultipleWidget,
            help_text=_about_providers(pool, client),
        ),
        "read_attributes": CheckboxesField(label="Readable attributes", choices=[(n, n) for n in readable]),
        "write_attributes": CheckboxesField(label="Writable attributes", choices=[(n, n) for n in writable]),
    }
    for name, words in (("read", "Read every attribute"), ("write", "Write every attribute")):
        fields[f"{name}_every_attribute"] = forms.BooleanField(
            label=words,
            required=False,
            widget=UnfoldBooleanWidget,
            help_text="Leave this ticked unless the app may have some only; the ticks below do not count then.",
        )
    return type("AppClientForm", (AppClientFormBase,), fields)


def mixed_providers(client: AppClient) -> str:
    """Return what to know of an app client that has IdP-initiated SAML beside other ways to sign in (W 8.4)."""
    providers = client.identity_providers.all()
    begins = [one.provider_name for one in providers if one.provider_type == "SAML" and _begins_there(one)]
    if not begins or not (client.cognito_sign_in or any(one.provider_type != "SAML" for one in providers)):
        return ""
    return (
        f"A sign-in that begins at {', '.join(begins)} is refused for this app: that is for apps without any sign-in "
        "but SAML. Sign-ins that begin at the app go on."
    )


def _begins_there(provider: IdentityProvider) -> bool:
    details: Any = provider.provider_details
    return str(details.get("IDPInit")).lower() == "true"


def _about_providers(pool: UserPool, client: AppClient | None) -> str:
    if not pool.identity_providers.exists():
        return "The pool has none yet."
    return mixed_providers(client) if client is not None else ""
