"""The attribute schema of a pool: Cognito's standard attributes, and custom ones.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_SchemaAttributeType.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.core.exceptions import ValidationError

# In the order in which the API lists them.
STANDARD_ATTRIBUTES: dict[str, str] = {
    "sub": "String",
    "name": "String",
    "given_name": "String",
    "family_name": "String",
    "middle_name": "String",
    "nickname": "String",
    "preferred_username": "String",
    "profile": "String",
    "picture": "String",
    "website": "String",
    "email": "String",
    "email_verified": "Boolean",
    "gender": "String",
    "birthdate": "String",
    "zoneinfo": "String",
    "locale": "String",
    "phone_number": "String",
    "phone_number_verified": "Boolean",
    "address": "String",
    "updated_at": "Number",
    "identities": "String",
}
DATA_TYPES = ("String", "Number", "DateTime", "Boolean")
MAX_LENGTH = 2048
PHONE_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}")
BIRTHDATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]{1,20}")
EMAIL = re.compile(r"[^\s@<>\"]+@[^\s@<>\"]+")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute as the schema has it. Lengths and values are None where there is no bound."""

    name: str
    data_type: str = "String"
    required: bool = False
    mutable: bool = True
    min_length: int | None = None
    max_length: int | None = None
    min_value: int | None = None
    max_value: int | None = None

    def check(self, value: str) -> None:
        """Raise ValidationError unless ``value`` may stand in this attribute."""
        if not isinstance(value, str):
            raise ValidationError(f"{self.name}: attribute values are strings.")
        longest = MAX_LENGTH if self.max_length is None else self.max_length
        if not value:
            if self.required:
                raise ValidationError(f"{self.name}: required.")
            return  # blank: the attribute is cleared
        if self.data_type == "String" and not (self.min_length or 0) <= len(value) <= longest:
            raise ValidationError(f"{self.name}: between {self.min_length or 0} and {longest} characters.")
        if len(value) > MAX_LENGTH:
            raise ValidationError(f"{self.name}: at most {MAX_LENGTH} characters.")
        if self.data_type == "Boolean" and value not in ("true", "false"):
            raise ValidationError(f"{self.name}: true or false.")
        if self.data_type == "Number":
            self._check_number(value)
        if self.name == "phone_number" and not PHONE_NUMBER.fullmatch(value):
            raise ValidationError("phone_number: a plus sign and digits, such as +12065551212.")
        if self.name == "birthdate" and not BIRTHDATE.fullmatch(value):
            raise ValidationError("birthdate: YYYY-MM-DD.")
        if self.name == "email" and not EMAIL.fullmatch(value):
            raise ValidationError("email: not an e-mail address.")

    def to_wire(self) -> dict[str, Any]:
        """Return the SchemaAttributeType that describes this attribute."""
        bounds = {"MinLength": self.min_length, "MaxLength": self.max_length}
        values = {"MinValue": self.min_value, "MaxValue": self.max_value}
        found: dict[str, Any] = {
            "Name": self.name,
            "AttributeDataType": self.data_type,
            "Mutable": self.mutable,
            "Required": self.required,
        }
        for key, constraints in (("StringAttributeConstraints", bounds), ("NumberAttributeConstraints", values)):
            if given := {name: str(value) for name, value in constraints.items() if value is not None}:
                found[key] = given
        return found

    def _check_number(self, value: str) -> None:
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise ValidationError(f"{self.name}: a whole number.")
        number = int(value)
        if (self.min_value is not None and number < self.min_value) or (
            self.max_value is not None and number > self.max_value
        ):
            raise ValidationError(f"{self.name}: between {self.min_value} and {self.max_value}.")


def _bound(constraints: Any, key: str, where: str, usual: int | None) -> int | None:
    """The API writes bounds as strings."""
    value = (constraints or {}).get(key)
    if value is None or value == "":
        return usual
    if not re.fullmatch(r"-?[0-9]{1,18}", str(value)):
        raise ValidationError(f"{where}.{key}: {value!r} is not a whole number.")
    return int(value)


def _parse_one(entry: Any) -> Attribute:
    if not isinstance(entry, dict) or not isinstance(entry.get("Name"), str):
        raise ValidationError("Each schema attribute is an object with a Name.")
    name = str(entry["Name"])
    standard = name in STANDARD_ATTRIBUTES
    bare = name.removeprefix("dev:").removeprefix("custom:")
    if not standard and not NAME.fullmatch(bare):
        raise ValidationError(f"{name}: a custom attribute has 1 to 20 characters and no white space.")
    if not standard and name == bare:
        name = f"custom:{name}"
    data_type = entry.get("AttributeDataType", STANDARD_ATTRIBUTES.get(name, "String"))
    if data_type not in DATA_TYPES:
        raise ValidationError(f"{name}.AttributeDataType: {data_type!r} is not one of {', '.join(DATA_TYPES)}.")
    if standard and data_type != STANDARD_ATTRIBUTES[name]:
        raise ValidationError(f"{name}.AttributeDataType: the standard attribute is a {STANDARD_ATTRIBUTES[name]}.")
    for flag in ("Required", "Mutable", "DeveloperOnlyAttribute"):
        if not isinstance(entry.get(flag, False), bool):
            raise ValidationError(f"{name}.{flag}: true or false.")
    if entry.get("Required") and not standard:
        raise ValidationError(f"{name}.Required: a custom attribute can never be required.")
    strings, numbers = entry.get("StringAttributeConstraints"), entry.get("NumberAttributeConstraints")
    for constraints in (strings, numbers):
        if constraints is not None and not isinstance(constraints, dict):
            raise ValidationError(f"{name}: constraints are an object.")
    usual = STANDARD.get(name, Attribute(name, data_type, mutable=False, **_lengths(data_type)))
    found = Attribute(
        name=name,
        data_type=data_type,
        required=bool(entry.get("Required", usual.required)),
        mutable=bool(entry.get("Mutable", usual.mutable)),
        min_length=_bound(strings, "MinLength", name, usual.min_length),
        max_length=_bound(strings, "MaxLength", name, usual.max_length),
        min_value=_bound(numbers, "MinValue", name, usual.min_value),
        max_value=_bound(numbers, "MaxValue", name, usual.max_value),
    )
    _check_bounds(found)
    return found


def _check_bounds(attribute: Attribute) -> None:
    shortest, longest = attribute.min_length or 0, attribute.max_length
    if shortest < 0 or (longest is not None and not shortest <= longest <= MAX_LENGTH):
        raise ValidationError(f"{attribute.name}: MinLength and MaxLength are 0 to {MAX_LENGTH}, the smaller first.")
    low, high = attribute.min_value, attribute.max_value
    if low is not None and high is not None and low > high:
        raise ValidationError(f"{attribute.name}: MinValue is greater than MaxValue.")


def _lengths(data_type: str) -> dict[str, Any]:
    return {"min_length": 0, "max_length": MAX_LENGTH} if data_type == "String" else {}


# What a pool has of them unless its schema says otherwise, as DescribeUserPool prints it.
STANDARD: dict[str, Attribute] = {
    **{name: Attribute(name, data_type, **_lengths(data_type)) for name, data_type in STANDARD_ATTRIBUTES.items()},
    "sub": Attribute("sub", required=True, mutable=False, min_length=1, max_length=MAX_LENGTH),
    "birthdate": Attribute("birthdate", min_length=10, max_length=10),
    "updated_at": Attribute("updated_at", "Number", min_value=0),
}


@dataclass(frozen=True, slots=True)
class Schema:
    """Every attribute of a pool by name."""

    attributes: Mapping[str, Attribute]

    @classmethod
    def parse(cls, entries: Any) -> Self:
        """Return the standard attributes with ``entries`` laid over them; raise ValidationError for a bad entry."""
        if not isinstance(entries, list):
            raise ValidationError("Give a list of schema attributes.")
        parsed = [_parse_one(entry) for entry in entries]
        names = [attribute.name for attribute in parsed]
        if len(set(names)) != len(names):
            raise ValidationError("An attribute is listed twice.")
        if sum(name not in STANDARD_ATTRIBUTES for name in names) > 50:
            raise ValidationError("A pool has at most 50 custom attributes.")
        return cls(STANDARD | {attribute.name: attribute for attribute in parsed})

    @property
    def names(self) -> list[str]:
        return list(self.attributes)

    @property
    def required(self) -> list[str]:
        return [attribute.name for attribute in self.attributes.values() if attribute.required]

    def check(self, values: Mapping[str, str]) -> None:
        """Raise ValidationError, one message an attribute, unless ``values`` fit."""
        messages: list[str] = []
        for name, value in values.items():
            attribute = self.attributes.get(name)
            if attribute is None or name in ("sub", "identities"):
                messages.append(f"{name}: the pool has no such attribute to set.")
                continue
            try:
                attribute.check(value)
            except ValidationError as error:
                messages.extend(error.messages)
        if messages:
            raise ValidationError(messages)
