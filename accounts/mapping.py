"""The attribute mapping of an identity provider: claims in, the attributes of a user out.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-specifying-attribute-mapping.html (W 11.3)

A pure function of the rules, the schema, what is stored and what came. A missing claim keeps the stored value, a blank
one clears it; what the client may not write is passed over; an attribute that cannot be changed, or is required and
has no value, ends the sign-in. An e-mail address or phone number that changes is unverified unless the provider says
otherwise in the same breath.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote_plus

from django.core.exceptions import ValidationError

from accounts.attributes import MAX_LENGTH, Attribute, Schema

# the subject is the username's business, the other two are the pool's own
NEVER = frozenset({"username", "sub", "identities"})
VERIFIED = {"email_verified": "email", "phone_number_verified": "phone_number"}


class MappingRefused(Exception):
    """The claims cannot become attributes. ``reason`` is a word for operators; ``names`` are the attributes."""

    def __init__(self, reason: str, names: Iterable[str], words: str = "") -> None:
        self.reason, self.names, self.words = reason, list(names), words
        super().__init__(f"{reason}: {', '.join(self.names)}")


def merged(
    mapping: Mapping[str, str],
    schema: Schema,
    writable: Iterable[str] | None,
    stored: Mapping[str, str],
    claims: Mapping[str, Any],
    *,
    new: bool,
) -> dict[str, str]:
    """Return ``stored`` with what ``mapping`` makes of ``claims`` laid over it; raise MappingRefused.

    ``mapping`` is pool attribute to claim. ``writable`` are the client's WriteAttributes, None for all of them;
    ``new`` says that the user is being made, when even an immutable attribute takes a value.
    """
    may_write = None if writable is None else set(writable)
    values = dict(stored)
    delivered = set()
    # the flags last: one speaks of the address that came with it, and of no other
    for name, claim in sorted(mapping.items(), key=lambda entry: entry[0] in VERIFIED):
        attribute = schema.attributes.get(name)
        if attribute is None or name in NEVER or claims.get(claim) is None:
            continue
        # no client may ever write the *_verified flags themselves: they go with what they are about
        if may_write is not None and VERIFIED.get(name, name) not in may_write:
            continue
        if name in VERIFIED and VERIFIED[name] not in delivered:
            continue
        delivered.add(name)
        value = _checked(attribute, _text(attribute, claims[claim]))
        if value == stored.get(name, ""):
            continue
        if not new and not attribute.mutable:
            raise MappingRefused("attribute_immutable", [name])
        if value:
            values[name] = value
        else:
            values.pop(name, None)
    _unverify(values, stored, delivered)
    if missing := [name for name in schema.required if name not in NEVER and not values.get(name)]:
        raise MappingRefused("attributes_required", missing)
    return values


def _unverify(values: dict[str, str], stored: Mapping[str, str], delivered: set[str]) -> None:
    for flag, name in VERIFIED.items():
        if not values.get(name):
            values.pop(flag, None)
        elif values[name] != stored.get(name) and flag not in delivered:
            values[flag] = "false"


def _checked(attribute: Attribute, value: str) -> str:
    if len(value) > MAX_LENGTH:
        raise MappingRefused("attribute_too_long", [attribute.name], f"at most {MAX_LENGTH} characters")
    if "\x00" in value or not _encodable(value):
        raise MappingRefused("attribute_invalid", [attribute.name], "characters that cannot be stored")
    if value:
        try:
            attribute.check(value)
        except ValidationError as error:
            words = error.messages[0].removeprefix(f"{attribute.name}: ").rstrip(".")
            raise MappingRefused("attribute_invalid", [attribute.name], words) from error
    return value


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(attribute: Attribute, claim: Any) -> str:
    """Return a claim as the string that an attribute keeps."""
    if isinstance(claim, list):
        # no values at all is blank: whoever lost the last of several roles must not keep the roles that were stored
        return f"[{','.join(_form_encoded(_scalar(item)) for item in claim)}]" if claim else ""
    if isinstance(claim, dict) and attribute.name == "address" and isinstance(claim.get("formatted"), str):
        return str(claim["formatted"])  # OpenID Connect Core 5.1.1; tokens wrap it again
    value = _scalar(claim)
    if attribute.data_type == "Boolean" and value:
        return "true" if value.strip().lower() == "true" else "false"
    if attribute.data_type == "Number" and isinstance(claim, float) and claim.is_integer():
        return str(int(claim))
    return value


def _scalar(claim: Any) -> str:
    if isinstance(claim, str):
        return claim
    return json.dumps(claim, ensure_ascii=False, separators=(",", ":"))


def _form_encoded(value: str) -> str:
    """As the AWS page says: all but alphanumerics and ``. - * _`` are encoded."""
    return quote_plus(value, safe="*", errors="replace").replace("~", "%7E")
