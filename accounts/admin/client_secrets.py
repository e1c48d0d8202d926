"""The secrets of an app client: shown on demand, replaced, added, deleted. Each is in the audit trail.

Permissions are those of the model AppClientSecret; to have one shown needs ``reveal``. No list and no form has a
secret in it.
"""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import audit, rules
from accounts.admin.audited import actor
from accounts.admin.operations import Operation, OperationsMixin, Shown
from accounts.models import AppClient, AppClientSecret

KEEP = "Keep it where only the app's server can read it. An operator with the permission can have it shown again."
OWN = "A secret of your own, 24 to 64 letters, digits, _ or +. Empty: generated."


class NewSecretForm(forms.Form):
    """A secret that is generated unless given."""

    secret = forms.CharField(
        required=False,
        max_length=64,
        help_text=OWN,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )

    def clean_secret(self) -> str:
        secret = str(self.cleaned_data["secret"])
        if secret:
            rules.check_client_secret(secret)
        return secret


def slot_form(client: AppClient) -> type[forms.Form]:
    """Return a form that asks which secret is meant."""
    choices = [
        (str(secret.slot), f"Secret {secret.slot}, of {secret.created_at:%Y-%m-%d %H:%M} UTC")
        for secret in client.secrets.all()
    ]
    field = forms.ChoiceField(label="Which one", choices=choices, widget=UnfoldAdminSelectWidget(choices=choices))
    return type("SlotForm", (forms.Form,), {"slot": field})


class ClientSecrets(OperationsMixin):
    """Mixin for the page of an app client."""

    def has_show_secret_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.reveal_appclientsecret")

    def has_add_secret_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.add_appclientsecret")

    def has_replace_secret_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.change_appclientsecret")

    def has_delete_secret_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.delete_appclientsecret")

    @action(description="Show secret", icon="visibility", permissions=["show_secret"])
    def show_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = "The client secret is shown to you. That you saw it is noted in the audit trail."
        return self.operate(
            request, object_id, Operation("Show client secret", words, "Show the secret", self._show_secret)
        )

    @action(description="Add secret", icon="add", permissions=["add_secret"])
    def add_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = (
            "A second secret is added; both are good until one is deleted. So a secret is replaced without an "
            "outage: add one, give it to the app, delete the old one."
        )
        return self.operate(
            request,
            object_id,
            Operation("Add client secret", words, "Add the secret", self._add_secret, NewSecretForm),
        )

    @action(description="Replace secrets", icon="autorenew", permissions=["replace_secret"])
    def replace_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = (
            "Every present secret stops working at once, and one new secret takes their place. The app cannot sign "
            "anybody in until it has the new one."
        )
        operation = Operation(
            "Replace client secrets",
            words,
            "Replace them",
            self._replace_secrets,
            NewSecretForm,
            danger=True,
        )
        return self.operate(request, object_id, operation)

    @action(description="Delete secret", icon="delete", permissions=["delete_secret"])
    def delete_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        client = self.row(request, object_id)
        words = "The secret stops working at once. Without any secret the client becomes a public one."
        operation = Operation(
            "Delete client secret",
            words,
            "Delete it",
            self._delete_secret,
            slot_form(client),
            danger=True,
        )
        return self.operate(request, object_id, operation)

    def shown_secrets(self, request: HttpRequest, client: AppClient, secrets: list[AppClientSecret]) -> HttpResponse:
        """Return the page that shows ``secrets``."""
        return self.show(
            request,
            client,
            "Client secret",
            Shown("Client id", client.client_id, "Goes with the secret."),
            *(Shown(f"Secret {secret.slot}", secret.secret, KEEP) for secret in secrets),
        )

    def _show_secret(self, request: HttpRequest, client: AppClient, values: dict[str, Any]) -> HttpResponse:
        secrets = list(client.secrets.all())
        if not secrets:
            raise ValidationError("This client has no secret.")
        audit.record("show secret", client, {}, actor=actor(request))
        return self.shown_secrets(request, client, secrets)

    def _add_secret(self, request: HttpRequest, client: AppClient, values: dict[str, Any]) -> HttpResponse:
        AppClient.objects.select_for_update().get(pk=client.pk)
        secret = client.add_secret(values["secret"] or None)
        audit.record(
            "add secret", secret, audit.difference(None, secret), actor=actor(request), user_pool=client.user_pool_id
        )
        return self.shown_secrets(request, client, [secret])

    def _replace_secrets(self, request: HttpRequest, client: AppClient, values: dict[str, Any]) -> HttpResponse:
        AppClient.objects.select_for_update().get(pk=client.pk)
        had = client.secrets.count()
        for old in client.secrets.all():
            old.delete()
        secret = client.add_secret(values["secret"] or None)
        changes: dict[str, list[Any]] = {"secrets": [had, 1], "secret": ["present" if had else None, "replaced"]}
        audit.record("replace secrets", client, changes, actor=actor(request))
        return self.shown_secrets(request, client, [secret])

    def _delete_secret(self, request: HttpRequest, client: AppClient, values: dict[str, Any]) -> str:
        AppClient.objects.select_for_update().get(pk=client.pk)
        secret = client.secrets.filter(slot=values["slot"]).first()
        if secret is None:
            raise ValidationError("This secret is gone already.")
        audit.record("delete secret", secret, {"secret": ["present", None]}, actor=actor(request))
        secret.delete()
        if not client.secrets.exists():
            client.client_type = AppClient.CLIENT_PUBLIC
            client.clean()  # client_credentials needs a secret
            client.save(update_fields=["client_type", "updated"])
        return f"Secret {values['slot']} was deleted."
