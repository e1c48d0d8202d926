"""The form of a user: a field for each attribute of the pool's schema, and the first password of a new user.

Rules: accounts/registration.py (what a sign-in name may be), accounts/attributes.py (values), accounts/passwords.py.
"""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts import registration
from accounts.admin.base import ConsoleForm
from accounts.admin.fields import LinesField
from accounts.attributes import STANDARD_ATTRIBUTES, Attribute
from accounts.models import Group, PoolUser, SignInAlias, UserPool
from accounts.models.users import UserStatus

PREFIX = "attribute_"
NOT_SET = ("sub", "identities")
MAX_CHECKBOXES = 100
# what is set most often stands first
FIRST = ("email", "email_verified", "phone_number", "phone_number_verified", "name", "given_name", "family_name")
FIRST_PASSWORDS = (
    ("generated", "Temporary, generated and shown once"),
    ("temporary", "Temporary, given below"),
    ("permanent", "Permanent, given below"),
)


def settable(pool: UserPool) -> list[Attribute]:
    """Return the attributes that an operator may set."""
    return [one for one in pool.schema.attributes.values() if one.name not in NOT_SET]


def field_names(pool: UserPool, custom: bool) -> tuple[str, ...]:
    """Return the form fields of the pool's standard or custom attributes, required ones first."""
    found = [one for one in settable(pool) if (one.name not in STANDARD_ATTRIBUTES) is custom]

    def rank(one: Attribute) -> tuple[bool, int]:
        return not one.required, FIRST.index(one.name) if one.name in FIRST else len(FIRST)

    return tuple(PREFIX + one.name for one in sorted(found, key=rank))


class PoolUserFormBase(ConsoleForm):
    """The form of a user; ``for_pool`` completes it."""

    username = forms.CharField(max_length=128, widget=UnfoldAdminTextInputWidget)
    first_password = forms.ChoiceField(
        choices=FIRST_PASSWORDS,
        required=False,
        label="First password",
        widget=UnfoldAdminSelectWidget(choices=FIRST_PASSWORDS),
        help_text="Who has a temporary one is asked for another at the first sign-in.",
    )
    password_given = forms.CharField(
        required=False,
        strip=False,
        max_length=256,
        label="Password",
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
        help_text="Empty when it is generated.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in (self.instance.attributes or {}).items():
            self.initial[PREFIX + name] = value
        if not self.instance._state.adding:
            self.initial["groups_chosen"] = [group.group_name for group in self.instance.groups.all()]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        pool, adding = self.instance.user_pool, self.instance._state.adding
        values = dict(self.instance.attributes or {})
        for attribute in settable(pool):
            field = PREFIX + attribute.name
            if field not in data or self.fields[field].disabled:
                continue
            value = data[field]
            try:
                attribute.check(value)
            except ValidationError as error:
                self.add_error(field, error)
            if value:
                values[attribute.name] = value
            else:
                values.pop(attribute.name, None)
        if adding and "username" in data and not self.errors:
            self._begin(pool, data["username"], values)
        elif not adding:
            self.instance.attributes = values
        if adding:
            self._check_password(pool, data)
        if not self.errors:
            self._check_taken(pool)
        return data

    def _begin(self, pool: UserPool, name: str, values: dict[str, str]) -> None:
        try:
            user = registration.new_user(pool, name, values)
        except ValidationError as error:
            self.add_error("username", error)
            return
        self.instance.username, self.instance.sub, self.instance.attributes = user.username, user.sub, user.attributes
        # construct_instance would put back what was typed, where the username has become the sub
        self.cleaned_data["username"] = user.username
        for required in pool.schema.required:
            if required not in NOT_SET and not user.attributes.get(required):
                self.add_error(PREFIX + required, "This attribute is required in this pool.")

    def _check_password(self, pool: UserPool, data: dict[str, Any]) -> None:
        kind, password = data.get("first_password") or "generated", data.get("password_given", "")
        if kind == "generated":
            if password:
                self.add_error("password_given", "Leave this empty, or choose a password that is given.")
            self.password = pool.policy.temporary_password()
        else:
            self.password = password
            try:
                pool.policy.check(password)
            except ValidationError as error:
                self.add_error("password_given", error)
        self.temporary = kind != "permanent"

    def _check_taken(self, pool: UserPool) -> None:
        """Names and aliases are reserved by unique rows; here the operator hears of it in words."""
        user = self.instance
        others = PoolUser.objects.filter(user_pool=pool).exclude(pk=user.pk)
        if others.filter(username_key=pool.username_key(user.username)).exists():
            self.add_error("username", "This pool has a user of this name.")
        for name, key in SignInAlias.wanted(user).items():
            if SignInAlias.objects.filter(user_pool=pool, key=key).exclude(user_id=user.pk).exists():
                self.add_error(PREFIX + name, "Another user of this pool signs in with this already.")

    def set_first_password(self) -> None:
        """Give the new user the password that ``clean`` decided on, before it is saved."""
        self.instance.set_password(self.password)
        self.instance.password_changed_at = timezone.now()
        self.instance.status = UserStatus.FORCE_CHANGE_PASSWORD if self.temporary else UserStatus.CONFIRMED

    def save_groups(self) -> None:
        if "groups_chosen" in self.fields:
            names = self.cleaned_data["groups_chosen"]
            self.instance.groups.set(Group.objects.filter(user_pool=self.instance.user_pool, group_name__in=names))


class GroupsByName(LinesField):
    """Groups of a pool that has too many for checkboxes: their names, one a line."""

    def __init__(self, pool: UserPool, **kwargs: Any) -> None:
        self.pool = pool
        super().__init__(help_text="Names of groups of this pool, one a line.", **kwargs)

    def clean(self, value: Any) -> list[str]:
        names: list[str] = super().clean(value)
        found = Group.objects.filter(user_pool=self.pool, group_name__in=names)
        if missing := sorted(set(names) - {group.group_name for group in found}):
            raise ValidationError(f"The pool has no group {', '.join(missing)}.")
        return names


def for_pool(pool: UserPool, user: PoolUser | None) -> type[PoolUserFormBase]:
    """Return the form for a user of ``pool``."""
    fields: dict[str, forms.Field] = {
        PREFIX + attribute.name: _field(attribute, user is None) for attribute in settable(pool)
    }
    names = list(Group.objects.filter(user_pool=pool).values_list("group_name", flat=True)[: MAX_CHECKBOXES + 1])
    if len(names) > MAX_CHECKBOXES:
        fields["groups_chosen"] = GroupsByName(pool, label="Groups")
    else:
        fields["groups_chosen"] = forms.MultipleChoiceField(
            label="Groups",
            required=False,
            choices=[(name, name) for name in names],
            widget=UnfoldAdminCheckboxSelectMultipleWidget,
            help_text="" if names else "The pool has no groups yet.",
        )
    return type("PoolUserForm", (PoolUserFormBase,), fields)


def _field(attribute: Attribute, adding: bool) -> forms.Field:
    label, help_text = attribute.name, ""
    disabled = not adding and not attribute.mutable
    if disabled:
        help_text = "Cannot be changed once the user exists."
    if attribute.data_type == "Boolean":
        choices = (("", "not set"), ("true", "true"), ("false", "false"))
        return forms.ChoiceField(
            choices=choices,
            required=False,
            label=label,
            help_text=help_text,
            disabled=disabled,
            widget=UnfoldAdminSelectWidget(choices=choices),
        )
    return forms.CharField(
        required=False,
        label=label,
        help_text=help_text,
        disabled=disabled,
        max_length=2048,
        widget=UnfoldAdminTextInputWidget,
    )
