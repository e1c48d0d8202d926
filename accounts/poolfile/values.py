"""The types of fields, after the Cognito API's: what each lets through, and what it says when it does not.

A type yields its problems with their paths and changes nothing. The allowed values stand in the message.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from accounts import rules
from accounts.poolfile.problems import Problem, join


class Type(Protocol):
    """What a value of a field may be."""

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        """Yield what is wrong with ``value``."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A string of bounded length, of one shape."""

    high: int
    low: int = 0
    pattern: str = ""

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, str):
            # without the value: it may be a password
            hint = "" if isinstance(value, dict | list | None) else "; put it in quotes"
            yield Problem(path, f"must be a string{hint}.")
        elif not self.low <= len(value) <= self.high:
            yield Problem(path, f"must have {self.low} to {self.high} characters.")
        elif self.pattern and not re.search(self.pattern, value):
            what = "must have no white space and no control character"
            yield Problem(
                path, f"{what}." if self.pattern == rules.PRINTABLE else f"must match {rules.shown(self.pattern)}."
            )


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    allowed: tuple[str, ...]

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if value not in self.allowed or not isinstance(value, str):
            shown = repr(value) if isinstance(value, str | int | float | bool | None) else "this"
            yield Problem(path, f"{shown[:80]} is not one of {', '.join(self.allowed)}.")


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, bool):
            yield Problem(path, "must be true or false.")


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number between two bounds."""

    low: int
    high: int

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            yield Problem(path, f"must be a whole number from {self.low} to {self.high}.")


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of bounded length; ``unique`` where a value listed twice is a mistake."""

    item: Type
    high: int = 1_000_000
    unique: bool = True

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield Problem(path, "must be a list.")
            return
        if len(value) > self.high:
            yield Problem(path, f"must have at most {self.high} entries.")
        seen: set[str] = set()
        for number, item in enumerate(value):
            yield from self.item.problems(item, join(path, number))
            if self.unique and isinstance(item, str):
                if item in seen:
                    yield Problem(join(path, number), f"{item!r} is listed twice.")
                seen.add(item)


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map from string to one type."""

    item: Type
    high: int = 1000
    key: Type = field(default_factory=lambda: Text(256))

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield Problem(path, "must be a map.")
            return
        if len(value) > self.high:
            yield Problem(path, f"must have at most {self.high} entries.")
        for name, item in value.items():
            yield from self.key.problems(name, join(path, name))
            yield from self.item.problems(item, join(path, name))


@dataclass(frozen=True, slots=True)
class Object:
    """A map with known keys. Others are refused, for the object is acted upon, unless it is ``open``."""

    fields: dict[str, Type]
    required: tuple[str, ...] = ()
    open: bool = False

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield Problem(path, f"must be a map with {', '.join(self.fields)}.")
            return
        for name in self.required:
            if value.get(name) is None:
                yield Problem(join(path, name), "is required.")
        for name, item in value.items():
            if name not in self.fields:
                if self.open:
                    continue
                yield Problem(join(path, name), f"is not known. Known: {', '.join(self.fields)}.")
            elif item is not None:
                yield from self.fields[name].problems(item, join(path, name))


@dataclass(frozen=True, slots=True)
class Anything:
    """Whatever it is, it is kept."""

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        return iter(())
