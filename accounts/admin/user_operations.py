"""What an operator does to users: passwords, disabling, signing out everywhere. Each is in the audit trail."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import audit, authentication, linking, sessions
from accounts.admin.audited import actor
from accounts.admin.operations import Operation, OperationsMixin, Shown
from accounts.models import IdentityProvider, LinkedIdentity, PoolUser, UserPool
from accounts.models.users import UserStatus

ONCE = "Hand it over by a way that you trust. It is not stored and cannot be shown again."


class PasswordForm(forms.Form):
    """A password that is given; it is checked against the policy of the user's pool when it is set."""

    password = forms.CharField(
        strip=False, max_length=256, widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"})
    )


class LinkForm(forms.Form):
    """An identity to link. ``for_pool`` completes it with the providers of the user's pool."""

    provider = forms.ChoiceField(label="Provider", widget=UnfoldAdminSelectWidget)
    value = forms.CharField(
        label="Identity",
        max_length=linking.MAX_SUBJECT,
        widget=UnfoldAdminTextInputWidget,
        help_text="The provider's subject for this person, or the value of the claim below.",
    )
    claim = forms.CharField(
        label="Which claim",
        required=False,
        max_length=256,
        widget=UnfoldAdminTextInputWidget,
        help_text=(
            "Empty for the subject. Another claim, such as email, for OpenID Connect and SAML only: the first sign-in "
            "with this value is linked, and from then on its subject counts."
        ),
    )

    @classmethod
    def for_pool(cls, pool: UserPool) -> type["LinkForm"]:
        choices = [(str(one.pk), one.provider_name) for one in pool.identity_providers.all()]
        if len(choices) > 1:
            choices.insert(0, ("", "Choose one"))
        field = forms.ChoiceField(label="Provider", choices=choices, widget=UnfoldAdminSelectWidget(choices=choices))
        return type("LinkForm", (cls,), {"provider": field})


def unlinkable(user: PoolUser) -> QuerySet[LinkedIdentity]:
    """Return the identities that can be taken from ``user``: not the one without which there is no way in."""
    links = user.identities.all()
    return links.exclude(primary=True) if user.status == UserStatus.EXTERNAL_PROVIDER else links


def shown_identity(link: LinkedIdentity) -> str:
    """Return who it is at the provider, in words."""
    return f"{link.claim} = {link.subject} (waits for the first sign-in)" if link.claim else link.subject


def set_enabled(user: PoolUser, enabled: bool) -> None:
    """Enable or disable ``user``; disabling ends every session and grant at once (AdminDisableUser)."""
    user.enabled = enabled
    user.save(update_fields=["enabled", "updated_at"])
    if not enabled:
        sessions.end_all(user)


class UserOperations(OperationsMixin):
    """Mixin for the page of a user. Whoever may change users may do all of this."""

    @action(description="Temporary password", icon="password", permissions=["change"])
    def temporary_password(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if self.row(request, object_id).status == UserStatus.EXTERNAL_PROVIDER:
            raise Http404  # there is no password that it could stand in for
        words = (
            "A new temporary password is made and shown to you once. The present one stops working, the user is "
            "signed out everywhere, and is asked for a password of their own at the next sign-in."
        )
        return self.operate(
            request, object_id, Operation("Temporary password", words, "Make a password", self._temporary)
        )

    @action(description="Set password", icon="lock_reset", permissions=["change"])
    def set_password(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = "The user has this password from now on, and is signed out everywhere."
        if self.row(request, object_id).status == UserStatus.EXTERNAL_PROVIDER:
            words = (
                "The user comes from an identity provider and has no password yet. With one they can sign in here as "
                "well, and still at the provider. They are signed out everywhere now."
            )
        operation = Operation("Set password", words, "Set the password", self._permanent, PasswordForm)
        return self.operate(request, object_id, operation)

    @action(description="Sign out everywhere", icon="logout", permissions=["change"])
    def sign_out(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = (
            "Every session on the hosted pages ends and every refresh token is revoked. Access tokens are refused "
            "at userInfo at once; an app that only checks signatures accepts them until they expire."
        )
        return self.operate(
            request, object_id, Operation("Sign out everywhere", words, "Sign out", self._sign_out, danger=True)
        )

    @action(description="Disable", icon="block", permissions=["change"])
    def disable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = "The user cannot sign in any more and is signed out everywhere. Nothing is deleted."
        return self.operate(request, object_id, Operation("Disable user", words, "Disable", self._disable, danger=True))

    @action(description="Enable", icon="check_circle", permissions=["change"])
    def enable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = "The user can sign in again, with the same password."
        return self.operate(request, object_id, Operation("Enable user", words, "Enable", self._enable))

    @action(description="Confirm", icon="verified_user", permissions=["change"])
    def confirm(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = "The sign-up counts as confirmed, without a code. No attribute becomes verified by it."
        return self.operate(request, object_id, Operation("Confirm user", words, "Confirm", self._confirm))

    @action(description="Link identity", icon="link", permissions=["change"])
    def link_identity(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user = self.row(request, object_id)
        words = (
            "Who signs in at the provider with this identity is this user from then on, and gets the attributes that "
            "the provider sends. Link only what you know to be the same person."
        )
        form = LinkForm.for_pool(user.user_pool)
        return self.operate(request, object_id, Operation("Link identity", words, "Link", self._link, form))

    @action(description="Unlink identity", icon="link_off", permissions=["change"])
    def unlink(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user = self.row(request, object_id)
        choices = [(str(link.pk), _named(link)) for link in unlinkable(user).select_related("provider")]
        field = forms.ChoiceField(label="Which one", choices=choices, widget=UnfoldAdminSelectWidget(choices=choices))
        form = type("UnlinkForm", (forms.Form,), {"link": field})
        words = "Who signs in with this identity is not this user any more, but a new one."
        return self.operate(
            request, object_id, Operation("Unlink identity", words, "Unlink", self._unlink, form, danger=True)
        )

    def shown_password(self, request: HttpRequest, user: PoolUser, password: str) -> HttpResponse:
        """Return the page that shows a temporary password, once."""
        return self.show(request, user, "Temporary password", Shown("Temporary password", password, ONCE))

    def _temporary(self, request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> HttpResponse:
        password = user.user_pool.policy.temporary_password()
        self._set(request, user, password, temporary=True)
        return self.shown_password(request, user, password)

    def _permanent(self, request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> str:
        self._set(request, user, values["password"], temporary=False)
        return f"{user} has a new password."

    def _set(self, request: HttpRequest, user: PoolUser, password: str, temporary: bool) -> None:
        status = user.status
        authentication.set_password(user, password, temporary=temporary)
        changes: dict[str, list[Any]] = {"password": ["present", "changed"], "status": [str(status), str(user.status)]}
        action_name = "set temporary password" if temporary else "set password"
        audit.record(action_name, user, changes, actor=actor(request))

    def _sign_out(self, request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> str:
        sessions.end_all(user)
        audit.record("sign out everywhere", user, {}, actor=actor(request))
        return f"{user} is signed out everywhere."

    def _disable(self, request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> str:
        return self._switch(request, user, False)

    def _enable(self, request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> str:
        return self._switch(request, user, True)

    def _switch(self, request: HttpRequest, user: PoolUser, enabled: bool) -> str:
        words = "enable" if enabled else "disable"
        audit.record(words, user, {"enabled": [user.enabled, enabled]}, actor=actor(request))
        set_enabled(user, enabled)
        return f"{user} is {words}d."

    def _confirm(self, request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> str:
        if user.status == UserStatus.UNCONFIRMED:
            user.status = UserStatus.CONFIRMED
            user.save(update_fields=["status", "updated_at"])
            audit.record("confirm", user, {"status": ["UNCONFIRMED", "CONFIRMED"]}, actor=actor(request))
        return f"{user} is confirmed."

    def _link(self, request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> str:
        provider = IdentityProvider.objects.filter(user_pool=user.user_pool_id, pk=values["provider"]).first()
        if provider is None:
            raise ValidationError("This provider is gone.")
        try:
            link = linking.link(user, provider, values["value"], values["claim"])
        except linking.LinkRefused as refused:
            raise ValidationError(str(refused)) from refused
        except PoolUser.DoesNotExist as gone:
            raise ValidationError("This user is gone.") from gone
        audit.record("link identity", user, {"identities": [None, _named(link)]}, actor=actor(request))
        return f"{_named(link)} is linked to {user}."

    def _unlink(self, request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> str:
        link = LinkedIdentity.objects.select_related("provider", "user").filter(user=user, pk=values["link"]).first()
        if link is None:
            return "This identity is gone already."
        words = _named(link)
        try:
            linking.unlink(link)
        except linking.LinkRefused as refused:
            raise ValidationError(str(refused)) from refused
        audit.record("unlink identity", user, {"identities": [words, None]}, actor=actor(request))
        return f"{words} is not linked to {user} any more."


def _named(link: LinkedIdentity) -> str:
    """Return the provider and the identity there, as the audit trail has them."""
    return f"{link.provider.provider_name}: " + (f"{link.claim} = {link.subject}" if link.claim else link.subject)
