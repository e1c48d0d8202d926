"""What a table of fields is made of, and the small conversions between a wire value and what a model keeps."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from accounts.poolfile.problems import join
from accounts.poolfile.values import Type


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Field:
    """A field of a Cognito type: its wire name and type, and where the model keeps it.

    ``default`` is what a new row gets when the field is omitted, and what null means. ``also`` is the name on the
    write side of the API where that differs. ``kept`` fields go to other_fields and nothing acts upon them. ``get``
    and ``put`` stand for ``attr`` where one model field does not hold the value; ``put`` may raise Refused at the
    path that it is given. A field with none of these is for the writer of its kind.
    """

    wire: str
    type: Type
    attr: str = ""
    default: Any = None
    also: str = ""
    required: bool = False
    immutable: bool = False
    kept: bool = False
    to_wire: Callable[[Any], Any] = _same
    to_model: Callable[[Any], Any] = _same
    get: Callable[[Any], Any] | None = None
    put: Callable[[Any, Any, str], None] | None = None

    @property
    def is_stored(self) -> bool:
        return bool(self.attr or self.get)

    def read(self, row: Any) -> Any:
        """Return the wire value that ``row`` has."""
        return self.get(row) if self.get else self.to_wire(getattr(row, self.attr))

    def write(self, row: Any, value: Any, path: str) -> None:
        """Give ``row`` the wire value, the default for None."""
        value = deepcopy(self.default if value is None else value)
        if self.put:
            self.put(row, value, join(path, self.wire))
        else:
            setattr(row, self.attr, self.to_model(value))


@dataclass(frozen=True)
class Kind:
    """A kind of object in a file: the name of its list and of one of them, its key, its fields.

    ``read_only`` are the fields that a description carries and that no file sets. ``keyed`` are the model fields
    whose messages begin with a nested key.
    """

    section: str
    singular: str
    key: str
    fields: tuple[Field, ...]
    read_only: frozenset[str] = frozenset()
    keyed: tuple[str, ...] = ()

    @cached_property
    def by_wire(self) -> dict[str, Field]:
        return {field.wire: field for field in self.fields} | {field.also: field for field in self.fields if field.also}

    @cached_property
    def wire_names(self) -> dict[str, str]:
        """Model field to wire name."""
        return {field.attr: field.wire for field in self.fields if field.attr}

    def wire(self, row: Any) -> dict[str, Any]:
        """Return what ``row`` is on the wire, what is kept included."""
        found = {field.wire: field.read(row) for field in self.fields if field.is_stored}
        return found | {name: value for name, value in row.other_fields.items() if name not in found}


def kept(wire: str, type: Type) -> Field:
    """Return a field that is checked, kept for export and not acted upon."""
    return Field(wire, type, kept=True)


def words(on: str, off: str) -> dict[str, Any]:
    """The conversions of a boolean that the API writes as one of two words."""
    return {"to_wire": lambda value: on if value else off, "to_model": lambda value: value == on}


LINES: dict[str, Any] = {"to_wire": str.split, "to_model": "\n".join}
EMPTY_IS_NULL: dict[str, Any] = {"to_wire": lambda value: value or None, "to_model": lambda value: value or ""}
