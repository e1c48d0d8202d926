"""What is wrong with a file: each problem with the path of its field, all of them at once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

MAX_SHOWN = 50
# the checks of nested values begin with the key that they are about: "client_secret: missing."
_KEY = re.compile(r"([A-Za-z][\w:]*(?:\.[A-Za-z]\w*)*): (.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """``path`` as UserPoolClients[0].AccessTokenValidity, empty for the file as a whole."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class Refused(Exception):
    """Nothing was written; ``problems`` say why."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems[:MAX_SHOWN]))
        self.problems = problems

    @classmethod
    def at(cls, path: str, message: str) -> "Refused":
        return cls([Problem(path, message)])


def join(path: str, key: str | int) -> str:
    """Return the path of what ``key`` names inside ``path``."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def from_validation(
    error: ValidationError, path: str, names: Mapping[str, str], keyed: tuple[str, ...] = ()
) -> Refused:
    """Return what the models refused, in the words of the file.

    ``names`` maps model fields to wire names, ``__all__`` to that of what concerns no single field. The messages of
    the ``keyed`` fields begin with the key of the nested value that they are about.
    """
    problems: list[Problem] = []
    by_field: dict[str, Any] = (
        error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
    )
    for field, messages in by_field.items():
        own = names.get(field, "" if field == NON_FIELD_ERRORS else field)
        where = join(path, own) if own else path
        for message in messages:
            found = _KEY.fullmatch(message) if field in keyed else None
            problems.append(Problem(join(where, found[1]), found[2]) if found else Problem(where, message))
    return Refused(problems)
