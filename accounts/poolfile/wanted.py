"""A user as one entry of a file wants it, before anything is stored."""

from dataclasses import dataclass, field
from typing import Any

from accounts.models import Group, LinkedIdentity, PoolUser
from accounts.poolfile.problems import Problem
from accounts.poolfile.read import Entry


@dataclass
class Wanted:
    """A user as one entry wants it: the row, what it was before, and what is stored after the row."""

    entry: Entry
    user: PoolUser
    before: dict[str, Any]
    groups: list[Group] | None = None
    identities: list[LinkedIdentity] | None = None
    sign_out: bool = False
    password: str | None = field(default=None, repr=False)

    @property
    def is_new(self) -> bool:
        return not self.before

    def problem(self, wire: str, message: str) -> Problem:
        """Return a problem with one of the entry's fields."""
        return Problem(self.entry.at(wire), message)
