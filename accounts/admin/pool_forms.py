"""The form of a user pool: the password policy, how users sign in, and the attribute schema, in fields of their own.

What Cognito fixes at creation (the id, the sign-in options, case sensitivity, required attributes) is fixed here as
well. Custom attributes can be added and never changed or removed (API_AddCustomAttributes).
"""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldBooleanWidget

from accounts import rules
from accounts.admin.base import ConsoleForm
from accounts.admin.fields import CheckboxesField, Column, RowsField
from accounts.attributes import DATA_TYPES, STANDARD_ATTRIBUTES, Schema
from accounts.models import UserPool
from accounts.models.pools import generate_pool_id
from accounts.passwords import RANGES, WIRE_NAMES, PasswordPolicy

POLICY_WORDS = {
    "MinimumLength": ("Minimum length", "6 to 99 characters."),
    "RequireUppercase": ("Require an upper-case letter", ""),
    "RequireLowercase": ("Require a lower-case letter", ""),
    "RequireNumbers": ("Require a number", ""),
    "RequireSymbols": ("Require a symbol", ""),
    "TemporaryPasswordValidityDays": ("Temporary passwords are valid for", "Days, 1 to 365."),
    "PasswordHistorySize": ("Passwords remembered", "Not to be used again; 0 to 24."),
}
VERIFIABLE = tuple((name, name) for name in rules.VERIFIABLE)
ALIASES = tuple((name, name) for name in rules.ALIASES)
# what a user can be asked for; the rest is the pool's own or is set by verification
ASKABLE = [name for name in STANDARD_ATTRIBUTES if name not in ("sub", "identities") and not name.endswith("_verified")]
ATTRIBUTE_COLUMNS = (
    Column("Name", "Name", placeholder="tier"),
    Column("AttributeDataType", "Type", choices=tuple((name, name) for name in DATA_TYPES)),
    Column("Mutable", "Can be changed", checkbox=True, checked=True),
    Column("Minimum", "Minimum", placeholder="length or value"),
    Column("Maximum", "Maximum", placeholder="length or value"),
)


def policy_field(wire: str) -> str:
    """Return the name of the form field for a field of PasswordPolicyType."""
    return f"policy_{WIRE_NAMES[wire]}"


def _policy_fields() -> dict[str, forms.Field]:
    fields: dict[str, forms.Field] = {}
    for wire, (label, help_text) in POLICY_WORDS.items():
        if wire in RANGES:
            low, high = RANGES[wire]
            low = max(low, 1) if wire == "TemporaryPasswordValidityDays" else low
            fields[policy_field(wire)] = forms.IntegerField(
                label=label,
                help_text=help_text,
                min_value=low,
                max_value=high,
                widget=UnfoldAdminIntegerFieldWidget,
            )
        else:
            fields[policy_field(wire)] = forms.BooleanField(label=label, required=False, widget=UnfoldBooleanWidget)
    return fields


POLICY_FIELDS = _policy_fields()


class PoolFormBase(ConsoleForm):
    """The form of a pool."""

    shown_at = {"password_policy": policy_field("MinimumLength"), "schema_attributes": "new_attributes"}

    id = forms.CharField(label="Pool id", required=False, help_text="Given or generated, as eu-west-1_Ab3dEf9hi.")
    username_attributes = CheckboxesField(
        choices=VERIFIABLE,
        label="Sign in with, instead of a username",
        help_text="Users have no username then; theirs becomes the sub. Fixed once the pool exists.",
    )
    alias_attributes = CheckboxesField(
        choices=ALIASES,
        label="Sign in with, as well as the username",
        help_text="An e-mail address or a phone number counts once it is verified. Fixed once the pool exists.",
    )
    auto_verified_attributes = CheckboxesField(choices=VERIFIABLE, label="Verified by a code at sign-up")
    required_attributes = CheckboxesField(
        choices=[(name, name) for name in ASKABLE],
        label="Required standard attributes",
        help_text="Fixed once the pool exists.",
    )
    key_rotation_days = forms.IntegerField(
        min_value=0,
        max_value=3650,
        initial=90,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How many days a signing key signs; 0 keeps it until it is rotated by hand.",
    )
    new_attributes = RowsField(
        ATTRIBUTE_COLUMNS,
        label="Add custom attributes",
        help_text="At most 50. They cannot be changed or removed later. On the wire they are custom:name.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        try:
            policy = self.instance.policy
        except ValidationError:  # a row from elsewhere
            policy = PasswordPolicy()
        for wire, name in WIRE_NAMES.items():
            if policy_field(wire) in self.fields:
                self.initial.setdefault(policy_field(wire), getattr(policy, name))

    def clean_id(self) -> str:
        return self.cleaned_data["id"] or generate_pool_id()

    def clean_new_attributes(self) -> list[dict[str, Any]]:
        # only to tell the mistakes at the field; _post_clean puts the entries where they belong
        rows = self.cleaned_data["new_attributes"]
        Schema.parse(schema_entries(self.instance, [], rows))
        return rows

    def _post_clean(self) -> None:
        if not self.errors:
            data = self.cleaned_data
            if policy_field("MinimumLength") in self.fields:
                self.instance.password_policy = {wire: data[policy_field(wire)] for wire in WIRE_NAMES}
            if "new_attributes" in self.fields:
                entries = schema_entries(self.instance, data.get("required_attributes", []), data["new_attributes"])
                self.instance.schema_attributes = entries
                self.instance.__dict__.pop("schema", None)
        super()._post_clean()  # type: ignore[misc]


PoolForm: type[PoolFormBase] = type("PoolForm", (PoolFormBase,), dict(POLICY_FIELDS))


def schema_entries(pool: UserPool, required: list[str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the schema of ``pool`` with more required and custom attributes; ValidationError for a bad row."""
    entries = [dict(entry) for entry in pool.schema_attributes]
    for name in required:
        known = next((entry for entry in entries if entry.get("Name") == name), None)
        if known is None:
            entries.append({"Name": name, "AttributeDataType": STANDARD_ATTRIBUTES[name], "Required": True})
        else:
            known["Required"] = True
    for row in rows:
        name = row["Name"]
        if not name:
            raise ValidationError("Each attribute has a name.")
        if name in STANDARD_ATTRIBUTES:
            raise ValidationError(f"{name} is a standard attribute; every pool has it.")
        entry = {"Name": name, "AttributeDataType": row["AttributeDataType"], "Mutable": row["Mutable"]}
        bounds = (row["Minimum"], row["Maximum"])
        match row["AttributeDataType"]:
            case "String":
                given = dict(zip(("MinLength", "MaxLength"), bounds, strict=True))
                entry["StringAttributeConstraints"] = {key: value for key, value in given.items() if value}
            case "Number":
                given = dict(zip(("MinValue", "MaxValue"), bounds, strict=True))
                entry["NumberAttributeConstraints"] = {key: value for key, value in given.items() if value}
            case _ if any(bounds):
                raise ValidationError(f"{name}: only a String or a Number has bounds.")
        attribute = [*Schema.parse([entry]).attributes.values()][-1]
        entries.append(attribute.to_wire())
    return entries
