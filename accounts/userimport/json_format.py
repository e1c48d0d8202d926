"""Users as JSON: an array, one object a line, or the pages that ListUsers prints, one or several.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserType.html
The fields are those of a pool file (accounts/poolfile/user_fields.py): UserType's, and Password, PasswordHash, Groups
and Identities. Of a file with one object a line, a broken line is refused alone; a broken array is refused whole,
because nobody can tell where the next user begins.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from io import TextIOWrapper
from typing import Any, BinaryIO

from accounts.poolfile.load import DECODER
from accounts.poolfile.problems import Refused
from accounts.userimport.rows import MAX_RECORD, Row, reading

PIECE = 1024 * 1024
_SPACE = re.compile(r"[ \t\r\n]*")
_OTHER = r'"(?:PaginationToken|NextToken)"\s*:\s*(?:"[^"\\]*"|null)'
_PAGE = re.compile(rf'\{{\s*(?:{_OTHER}\s*,\s*)?"Users"\s*:\s*(?=\[)')
_PAGE_END = re.compile(rf"\s*(?:,\s*{_OTHER}\s*)?\}}")


class _Broken(Exception):
    """What stands at the place is not JSON."""


def rows(file: BinaryIO) -> Iterator[Row]:
    """Yield the users in ``file``, numbered; raise Refused for a file that is not JSON of users."""
    for number, row in enumerate(_rows(file), 1):
        yield replace(row, line=number)  # an array of all users may stand in one line


def _rows(file: BinaryIO) -> Iterator[Row]:
    with reading(file) as text:
        source = _Source(text)
        if source.peek() not in ("{", "["):
            raise Refused.at("", "The file is not JSON: it begins with [ or {.")
        while mark := source.peek():
            if mark == "[":
                yield from _array(source)
            elif mark == "{" and source.skip(_PAGE):
                yield from _array(source)
                if not source.skip(_PAGE_END):
                    raise Refused.at("", f"Line {source.line}: a page is {{Users: [...], PaginationToken: ...}}.")
            else:
                line = source.line
                try:
                    yield _row(line, source.value())
                except _Broken as broken:
                    source.skip_line()
                    yield Row(line, reason=f"Not JSON: {broken}.")


def _array(source: "_Source") -> Iterator[Row]:
    """Yield the users of the array that begins here."""
    source.take()
    if source.peek() == "]":
        source.take()
        return
    while True:
        source.peek()
        line = source.line
        try:
            row = _row(line, source.value())
        except _Broken as broken:
            raise Refused.at("", f"Line {line}: not JSON: {broken}.") from broken
        yield row
        mark = source.peek()
        source.take()
        if mark == "]":
            return
        if mark != ",":
            raise Refused.at("", f"Line {source.line}: not JSON: a comma or ] must follow a user.")


def _row(line: int, found: Any) -> Row:
    if isinstance(found, dict) and list(found) == ["User"]:
        found = found["User"]
    if not isinstance(found, dict):
        return Row(line, reason="Not an object with the fields of a user.")
    name = found.get("Username")
    return Row(line, found, username=name if isinstance(name, str) else "")


class _Source:
    """A text that is read from the front, a value at a time; a value has MAX_RECORD characters at most."""

    def __init__(self, text: TextIOWrapper) -> None:
        self.text, self.held, self.at, self.line = text, "", 0, 1
        self.ended = False

    def peek(self) -> str:
        """Go to the next character that is no white space and return it; empty at the end."""
        while True:
            self._fill(1)
            self._go(_SPACE.match(self.held, self.at).end())  # type: ignore[union-attr]
            if self.at < len(self.held):
                return self.held[self.at]
            if self.ended:
                return ""

    def take(self) -> None:
        self._go(min(self.at + 1, len(self.held)))

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Go behind what matches ``pattern`` here; False when nothing does."""
        self._fill(MAX_RECORD)
        if (found := pattern.match(self.held, self.at)) is None:
            return False
        self._go(found.end())
        return True

    def skip_line(self) -> None:
        while (end := self.held.find("\n", self.at)) < 0 and not self.ended:
            self._go(len(self.held))
            self._fill(1)
        self._go(end + 1 if end >= 0 else len(self.held))

    def value(self) -> Any:
        """Return the value that begins here and go behind it; raise _Broken."""
        self._fill(MAX_RECORD)
        try:
            found, end = DECODER.raw_decode(self.held, self.at)
        except json.JSONDecodeError as error:
            cut = error.pos >= len(self.held) - 8 or error.msg.startswith("Unterminated string")
            if cut and not self.ended:
                raise _Broken(f"a user of more than {MAX_RECORD:,} characters") from error
            raise _Broken(error.msg) from error
        except (ValueError, RecursionError) as error:  # a number of a million digits; a thousand brackets
            raise _Broken("a value is too large or nested too deeply") from error
        except Refused as refused:
            raise _Broken(str(refused).rstrip(".")) from refused
        if end - self.at > MAX_RECORD:
            raise _Broken(f"a user of more than {MAX_RECORD:,} characters")
        self._go(end)
        return found

    def _fill(self, wanted: int) -> None:
        while not self.ended and len(self.held) - self.at < wanted:
            piece = self.text.read(PIECE)
            self.ended = not piece
            self.held, self.at = self.held[self.at :] + piece, 0

    def _go(self, to: int) -> None:
        self.line += self.held.count("\n", self.at, to)
        self.at = to
