"""What an operator does to many users at once: those ticked in the list, or all that the list finds.

A page says first what will happen and to how many. Then each user is a transaction of their own with its event in the
audit trail, in the order of their keys: one who cannot be changed is counted and told, and stops nobody. A request
works for a few seconds; when there are more users than that, its answer is a page that goes on where it stopped (by
itself where scripts run), so that no request takes minutes and closing the page is a way to stop.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import action as bulk_action
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import audit, sessions
from accounts.admin.audited import actor
from accounts.models import Group, PoolUser
from accounts.models.users import UserStatus

SECONDS = 8.0
CHUNK = 100
MAX_TOLD = 5
MAX_NUMBER = 10**15
MAX_CHOICES = 100
Run = Callable[[HttpRequest, PoolUser, dict[str, Any]], object]


@dataclass(frozen=True)
class Bulk:
    """An operation on many users: ``done`` says in a word what they are afterwards."""

    title: str
    words: str
    done: str
    run: Run
    danger: bool = False
    form: type[forms.Form] = forms.Form


class Progress(forms.Form):
    """How far an operation has come; the page that goes on carries it."""

    after = forms.IntegerField(min_value=0, max_value=MAX_NUMBER, required=False)
    changed = forms.IntegerField(min_value=0, max_value=MAX_NUMBER, required=False)
    refused = forms.IntegerField(min_value=0, max_value=MAX_NUMBER, required=False)
    told = forms.CharField(max_length=2000, required=False)


class BulkOperations:
    """Mixin for the list of users; ``_sign_out``, ``_disable`` and ``_enable`` are those of one user's page."""

    @bulk_action(description="Sign out everywhere", permissions=["change"])
    def sign_out_selected(self, request: HttpRequest, users: Any) -> HttpResponse | None:
        words = "Every session of theirs on the hosted pages ends, and every refresh token of theirs is revoked."
        return self._bulk(request, users, Bulk("Sign out everywhere", words, "signed out", self._sign_out, True))  # type: ignore[attr-defined]

    @bulk_action(description="Disable", permissions=["change"])
    def disable_selected(self, request: HttpRequest, users: Any) -> HttpResponse | None:
        words = "They cannot sign in any more and are signed out everywhere. Nothing is deleted."
        return self._bulk(request, users, Bulk("Disable users", words, "disabled", self._disable, True))  # type: ignore[attr-defined]

    @bulk_action(description="Enable", permissions=["change"])
    def enable_selected(self, request: HttpRequest, users: Any) -> HttpResponse | None:
        return self._bulk(request, users, Bulk("Enable users", "They can sign in again.", "enabled", self._enable))  # type: ignore[attr-defined]

    @bulk_action(description="Reset password", permissions=["change"])
    def reset_selected(self, request: HttpRequest, users: Any) -> HttpResponse | None:
        words = (
            "Their passwords stop working (RESET_REQUIRED) and they are signed out everywhere. They sign in again once "
            "they have a new password, which an operator gives them. Users of identity providers have none to reset."
        )
        return self._bulk(request, users, Bulk("Reset passwords", words, "reset", _reset, True))

    @bulk_action(description="Add to a group", permissions=["change"])
    def add_to_group(self, request: HttpRequest, users: Any) -> HttpResponse | None:
        words = "They are in the group from their next token on."
        form = group_form(users)
        return self._bulk(request, users, Bulk("Add to a group", words, "in the group", _join, form=form))

    @bulk_action(description="Remove from a group", permissions=["change"])
    def remove_from_group(self, request: HttpRequest, users: Any) -> HttpResponse | None:
        words = "They are not in the group any more from their next token on."
        form = group_form(users)
        return self._bulk(request, users, Bulk("Remove from a group", words, "not in the group", _leave, form=form))

    @bulk_action(description="Delete", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, users: Any) -> HttpResponse | None:
        words = "They are deleted with their sessions, grants and linked identities. There is no way back."

        def delete(request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> None:
            self.delete_model(request, user)  # type: ignore[attr-defined]

        return self._bulk(request, users, Bulk("Delete users", words, "deleted", delete, True))

    def _bulk(self, request: HttpRequest, users: Any, bulk: Bulk) -> HttpResponse | None:
        """Ask first; once confirmed, work for SECONDS, and go on or tell how it went."""
        confirmed = "confirmed" in request.POST
        form, progress = bulk.form(request.POST if confirmed else None), Progress(request.POST)
        if not confirmed or not form.is_valid() or not progress.is_valid():
            return self._bulk_page(request, bulk, form, count=users.count())
        state = State.read(progress.cleaned_data)
        finished = state.work(request, users, bulk, form.cleaned_data)
        if not finished:
            return self._bulk_page(request, bulk, form, state=state)
        level = messages.WARNING if state.refused else messages.SUCCESS
        self.message_user(request, state.words(bulk), level)  # type: ignore[attr-defined]
        return None

    def _bulk_page(self, request: HttpRequest, bulk: Bulk, form: forms.Form, **context: Any) -> HttpResponse:
        site, opts = self.admin_site, self.opts  # type: ignore[attr-defined]
        return TemplateResponse(
            request,
            "console/bulk.html",
            {
                **site.each_context(request),
                "title": bulk.title,
                "opts": opts,
                "bulk": bulk,
                "form": form,
                "action": request.POST.get("action", ""),
                "across": request.POST.get("select_across", "0"),
                "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
                "chosen_name": ACTION_CHECKBOX_NAME,
                "back": request.get_full_path(),
                **context,
            },
        )


@dataclass
class State:
    """An operation under way."""

    after: int
    changed: int
    refused: int
    told: str

    @classmethod
    def read(cls, values: dict[str, Any]) -> "State":
        return cls(values["after"] or 0, values["changed"] or 0, values["refused"] or 0, values["told"])

    def work(self, request: HttpRequest, users: Any, bulk: Bulk, values: dict[str, Any]) -> bool:
        """Change the users behind ``after``; False when time is over before they are."""
        deadline = time.monotonic() + SECONDS
        while True:
            chunk = list(users.select_related("user_pool").order_by("pk").filter(pk__gt=self.after)[:CHUNK])
            if not chunk:
                return True
            for user in chunk:
                self.after = user.pk  # a deleted one has none afterwards
                self._change(request, user, bulk, values)
                if time.monotonic() >= deadline:
                    return False

    def words(self, bulk: Bulk) -> str:
        found = f"{self.changed:,} {'user' if self.changed == 1 else 'users'} {bulk.done}."
        return f"{found} {self.refused:,} not: {self.told}" if self.refused else found

    def _change(self, request: HttpRequest, user: PoolUser, bulk: Bulk, values: dict[str, Any]) -> None:
        try:
            with transaction.atomic():
                bulk.run(request, user, values)
        except ValidationError as error:
            self._refuse(user, " ".join(error.messages))
        except IntegrityError:
            self._refuse(user, "somebody else changed it meanwhile.")
        else:
            self.changed += 1

    def _refuse(self, user: PoolUser, why: str) -> None:
        self.refused += 1
        if self.refused <= MAX_TOLD:
            self.told = f"{self.told} {str(user)[:60]}: {why[:200]}".strip()
        elif self.refused == MAX_TOLD + 1:
            self.told += " And others."


def group_form(users: Any) -> type[forms.Form]:
    """Return a form that asks for a group of the pools of ``users``, by name."""
    pools = users.order_by().values("user_pool")
    names = Group.objects.filter(user_pool__in=pools).order_by("group_name").values_list("group_name", flat=True)
    found = list(names.distinct()[: MAX_CHOICES + 1])
    field: forms.Field
    if len(found) > MAX_CHOICES:
        field = forms.CharField(label="Group", max_length=128, widget=UnfoldAdminTextInputWidget)
    else:
        choices = [("", "Choose one"), *((name, name) for name in found)]
        field = forms.ChoiceField(label="Group", choices=choices, widget=UnfoldAdminSelectWidget(choices=choices))
    return type("GroupForm", (forms.Form,), {"group": field})


def _reset(request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> None:
    """AdminResetUserPassword, but for the message with a code."""
    if user.status == UserStatus.EXTERNAL_PROVIDER:
        raise ValidationError("comes from an identity provider and has no password.")
    audit.record("reset password", user, {"status": [user.status, "RESET_REQUIRED"]}, actor=actor(request))
    user.status = UserStatus.RESET_REQUIRED
    user.save(update_fields=["status", "updated_at"])
    sessions.end_all(user)


def _join(request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> None:
    _regroup(request, user, values["group"], True)


def _leave(request: HttpRequest, user: PoolUser, values: dict[str, Any]) -> None:
    _regroup(request, user, values["group"], False)


def _regroup(request: HttpRequest, user: PoolUser, name: str, member: bool) -> None:
    group = Group.objects.filter(user_pool=user.user_pool_id, group_name=name).first()
    if group is None:
        raise ValidationError("the user's pool has no such group.")
    had = sorted(one.group_name for one in user.groups.all())
    if (name in had) is member:
        return
    (user.groups.add if member else user.groups.remove)(group)
    has = sorted({*had, name} if member else {*had} - {name})
    audit.record("change groups", user, {"groups": [had, has]}, actor=actor(request))
