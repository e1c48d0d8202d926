"""The form of an identity provider: the keys of ProviderDetails for its type, each as a field of its own.

Which keys a type has, and what is wrong with a value, accounts/provider_details.py says; a problem that names a key is
told at its field. A secret is written and never read back: an empty field keeps what is stored.
"""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts import provider_claims, provider_details, rules
from accounts.admin.base import ConsoleForm
from accounts.admin.fields import Column, LinesField, RowsField
from accounts.models import IdentityProvider, UserPool

PREFIX = "detail_"
FLAGS = ("IDPSignout", "IDPInit", "EncryptedResponses")
LONG = ("MetadataFile", "private_key")


@dataclass(frozen=True)
class Words:
    """How a key of ProviderDetails is shown."""

    label: str
    help_text: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    initial: str = ""


WORDS = {
    "client_id": Words("Client id"),
    "client_secret": Words("Client secret"),
    "oidc_issuer": Words("Issuer", "An https URL without a slash at the end. Discovery finds the endpoints."),
    "authorize_scopes": Words("Scopes", "Separated by spaces.", initial="openid email profile"),
    "attributes_request_method": Words("UserInfo method", choices=(("GET", "GET"), ("POST", "POST")), initial="GET"),
    "authorize_url": Words("Authorization endpoint", "Only for a provider without discovery; then all four URLs."),
    "token_url": Words("Token endpoint"),
    "attributes_url": Words("UserInfo endpoint"),
    "jwks_uri": Words("JWKS URL"),
    "api_version": Words("API version", "Such as v17.0."),
    "team_id": Words("Team id"),
    "key_id": Words("Key id"),
    "private_key": Words("Private key", "The contents of the .p8 file."),
    "MetadataURL": Words("Metadata URL", "Read again every six hours. Give this or the document."),
    "MetadataFile": Words("Metadata document", "The XML itself, at most 1 MiB. It changes only when you change it."),
    "IDPSignout": Words(
        "Sign out at the provider as well",
        "The provider needs the single logout URL and the signing certificate.",
    ),
    "IDPInit": Words(
        "Accept sign-ins that begin at the provider",
        "Only app clients without any sign-in but SAML take part. RelayState at the provider: identity_provider, "
        "client_id, redirect_uri, response_type and scope, as in the query of an authorize request.",
    ),
    "EncryptedResponses": Words(
        "Require encrypted assertions",
        "The provider needs the encryption certificate. What is not encrypted is refused.",
    ),
    "RequestSigningAlgorithm": Words(
        "Sign requests",
        "They are signed as well when the provider's metadata asks for it. It needs the signing certificate.",
        choices=(("", "no"), ("rsa-sha256", "with RSA-SHA256")),
    ),
}
SCOPES = {
    "Google": "openid email profile",
    "Facebook": "public_profile,email",
    "LoginWithAmazon": "profile postal_code",
    "SignInWithApple": "email name",
}


class ProviderFormBase(ConsoleForm):
    """The form of an identity provider; ``for_type`` completes it."""

    provider_type_shown = ""
    provider_name = forms.CharField(
        max_length=32,
        widget=UnfoldAdminTextInputWidget,
        help_text="3 to 32 characters without white space. Fixed afterwards: users' names begin with it.",
    )
    idp_identifiers = LinesField(
        label="Identifiers",
        help_text="E-mail domains or names, one a line. Who types an address of such a domain is sent here.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.instance.provider_type = self.provider_type_shown
            if self.provider_type_shown in rules.SOCIAL:
                self.initial.setdefault("provider_name", self.provider_type_shown)
            scopes = SCOPES.get(self.provider_type_shown, "openid email profile")
            self.initial.setdefault(f"{PREFIX}authorize_scopes", scopes)
        details = self.instance.provider_details or {}
        for key in provider_details.known_keys(self.provider_type_shown):
            if key not in provider_details.SECRET_KEYS and key in details:
                value = details[key]
                self.initial[PREFIX + key] = str(value).lower() == "true" if key in FLAGS else value
        self.initial["attribute_mapping"] = [
            {"attribute": name, "claim": claim} for name, claim in (self.instance.attribute_mapping or {}).items()
        ]

    def clean_attribute_mapping(self) -> dict[str, str]:
        rows = self.cleaned_data["attribute_mapping"]
        mapping = {row["attribute"]: row["claim"] for row in rows}
        if len(mapping) != len(rows):
            raise ValidationError("An attribute is mapped twice.")
        rules.check_attribute_mapping(mapping, self.pool.schema if self.pool else None)
        return mapping

    def _details(self) -> dict[str, str]:
        """Return what is stored, with what the form says laid over it; an empty secret keeps the stored one."""
        details = dict(self.instance.provider_details or {})
        for key in provider_details.known_keys(self.provider_type_shown):
            value = self.cleaned_data.get(PREFIX + key)
            if key in FLAGS:
                details[key] = "true" if value else "false"
            elif value:
                details[key] = str(value)
            elif key not in provider_details.SECRET_KEYS:
                details.pop(key, None)
        return details

    def _post_clean(self) -> None:
        if not self.errors:
            self.instance.provider_details = self._details()
        super()._post_clean()  # type: ignore[misc]

    def add_error(self, field: str | None, error: Any) -> None:
        """Take ``key: what is wrong`` to the field of the key."""
        if field is None and hasattr(error, "error_dict") and "provider_details" in error.error_dict:
            errors = dict(error.error_dict)
            for message in ValidationError(errors.pop("provider_details")).messages:
                keys, _, words = message.partition(": ")
                name = PREFIX + keys.split(",")[0].strip()
                at_field = bool(words) and name in self.fields
                super().add_error(name if at_field else None, words[:1].upper() + words[1:] if at_field else message)
            if not errors:
                return
            error = ValidationError(errors)
        super().add_error(field, error)


def for_type(provider_type: str, pool: UserPool, provider: IdentityProvider | None) -> type[ProviderFormBase]:
    """Return the form for a provider of ``provider_type`` at ``pool``."""
    stored: Any = provider.provider_details if provider else {}
    fields: dict[str, Any] = {
        PREFIX + key: _field(key, provider_type, bool(stored.get(key)))
        for key in provider_details.known_keys(provider_type)
    }
    known = tuple(name for name in pool.schema.names if name not in ("sub", "identities"))
    claims = provider_claims.suggestions(provider_type, provider)
    fields["attribute_mapping"] = RowsField(
        (
            Column("attribute", "User pool attribute", suggestions=known, placeholder="email"),
            Column("claim", "Attribute of the provider", suggestions=claims, placeholder="email"),
        ),
        help_text=(
            "What a user gets from the provider at each sign-in. username is mapped automatically: it is made of the "
            "provider's name and its subject for the user."
        ),
    )
    fields["provider_type_shown"] = provider_type
    if provider_type in rules.SOCIAL:
        fields["provider_name"] = forms.CharField(
            widget=UnfoldAdminTextInputWidget, help_text=f"Always {provider_type}.", max_length=32
        )
    return type("ProviderForm", (ProviderFormBase,), fields)


def _field(key: str, provider_type: str, stored: bool) -> forms.Field:
    words = WORDS.get(key) or Words(key)
    secret = key in provider_details.SECRET_KEYS
    required = key in provider_details.REQUIRED[provider_type] and not (secret and stored)
    help_text = words.help_text
    if secret and stored:
        help_text = f"{help_text} Leave this empty to keep the present one.".strip()
    common: dict[str, Any] = {"label": words.label, "required": required, "help_text": help_text}
    if key in FLAGS:
        return forms.BooleanField(**common | {"required": False}, widget=UnfoldBooleanWidget)
    if words.choices:
        return forms.ChoiceField(**common, choices=words.choices, initial=words.initial, widget=UnfoldAdminSelectWidget)
    if key in LONG:
        widget = UnfoldAdminTextareaWidget({"rows": 8, "autocomplete": "off", "spellcheck": "false"})
        return forms.CharField(**common, widget=widget, max_length=provider_details.MAX_METADATA)
    if secret:
        return forms.CharField(
            **common, widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}), max_length=2048
        )
    return forms.CharField(**common, widget=UnfoldAdminTextInputWidget, max_length=2048)
