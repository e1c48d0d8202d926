"""What both formats have in common: a row, the limits of a file, and reading it as text without holding it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END, TextIOWrapper
from typing import Any, BinaryIO

from accounts.poolfile.problems import Refused

# Cognito's limits of a file
MAX_BYTES = 100 * 1024 * 1024
MAX_ROWS = 500_000
MAX_RECORD = 200_000
"""Characters of one user. Cognito takes 16,000; a user with 50 custom attributes of 2,048 may have more."""


@dataclass(frozen=True, slots=True)
class Row:
    """One user of a file: ``data`` is a UserType, or None with the ``reason`` why it cannot be read.

    ``line`` is the line of a CSV; in JSON, whose lines say little, it counts the users.
    """

    line: int
    data: dict[str, Any] | None = None
    reason: str = ""
    username: str = ""


@contextmanager
def reading(file: BinaryIO) -> Iterator[TextIOWrapper]:
    """Give ``file`` as text; raise Refused when it is too large or not UTF-8. A byte order mark is let pass."""
    size = file.seek(0, SEEK_END)
    file.seek(0)
    if size > MAX_BYTES:
        raise Refused.at("", f"The file is larger than {MAX_BYTES // 1024 // 1024} MiB. Split it.")
    text = TextIOWrapper(file, encoding="utf-8-sig", errors="strict", newline="")
    try:
        yield text
    except UnicodeDecodeError as error:
        raise Refused.at("", "The file is not UTF-8. Save it as UTF-8 and upload it again.") from error
    finally:
        text.detach()


def first_character(file: BinaryIO) -> str:
    """Return the first character that is no white space, by which JSON is told from CSV; empty for an empty file."""
    with reading(file) as text:
        while piece := text.read(4096):
            if found := piece.lstrip():
                return found[0]
    return ""
