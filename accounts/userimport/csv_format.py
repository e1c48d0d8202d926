"""Cognito's CSV: the header that GetCSVHeader gives for a pool, and rows to UserType and back.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-using-import-tool-csv-header.html
Every column of the header must be there, in any order. A comma inside a value has a backslash before it; values that
stand in quotation marks as spreadsheets write them (RFC 4180) are read as well. A backslash before anything but a
comma, a quotation mark or a backslash is itself. White space around a value is cut off.

Beyond Cognito's page: ``cognito:password_hash`` may be a further column. AWS has imported hashes since 2026 but names
the column nowhere that we could find. Left out: the rule that a pool without auto-verified attributes imports nobody.
"""

import csv
import re
from collections.abc import Iterator
from io import TextIOWrapper
from typing import Any, BinaryIO

from accounts.attributes import STANDARD_ATTRIBUTES
from accounts.models import UserPool
from accounts.models.users import UserStatus
from accounts.poolfile.problems import Refused
from accounts.userimport.rows import MAX_RECORD, Row, reading

USERNAME, MFA, HASH = "cognito:username", "cognito:mfa_enabled", "cognito:password_hash"
# what Cognito keeps of a user for whom cognito:mfa_enabled is true; nothing here acts on it
SMS_MFA = [{"DeliveryMedium": "SMS", "AttributeName": "phone_number"}]
NOT_IN_HEADER = ("sub", "identities")
BOOLEANS = {"true": "true", "false": "false", "": ""}
_BACKSLASH = re.compile(r'\\([,"\\])|\\')
_DATE = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})")
_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")


class RowRefused(Exception):
    """This row cannot be a user, for the reason in the message."""


def header(pool: UserPool) -> list[str]:
    """Return the columns of a CSV of users of ``pool``, as GetCSVHeader lists them."""
    custom = [name for name in pool.schema.attributes if name not in STANDARD_ATTRIBUTES]
    standard = [name for name in STANDARD_ATTRIBUTES if name not in NOT_IN_HEADER]
    return [*standard, *custom, MFA, USERNAME]


def rows(file: BinaryIO, pool: UserPool) -> Iterator[Row]:
    """Yield the users in ``file``; raise Refused for a file that is no CSV of this pool's users."""
    with reading(file) as text:
        lines = _Lines(text)
        columns: list[str] | None = None
        # a backslash is no escape for the writer of a spreadsheet; _Lines doubles those that are themselves
        reader = csv.reader(lines, strict=True, escapechar="\\")
        while True:
            lines.begin_record()
            try:
                cells = next(reader)
            except StopIteration:
                break
            except _TooLong:
                yield Row(lines.record, reason=f"The line is longer than {MAX_RECORD:,} characters.")
                continue
            except csv.Error as error:
                # a mark that nothing closes takes the rest of the file for one value
                if "unexpected end" in str(error) or ("field larger" in str(error) and lines.number > lines.record):
                    raise _unclosed(lines.record) from error
                yield Row(lines.record, reason=f"Not CSV: {error}.")
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = check_header([cell.strip() for cell in cells], pool)
                continue
            yield _row(lines, columns, cells, pool)
    if columns is None:
        raise Refused.at("", "The file is empty. The first line is the header.")


def check_header(columns: list[str], pool: UserPool) -> list[str]:
    """Return ``columns``; raise Refused unless they are those of the pool."""
    wanted = header(pool)
    missing = [name for name in wanted if name not in columns]
    unknown = [name[:40] for name in columns if name not in (*wanted, HASH)]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    problems = []
    if missing:
        problems.append(f"Columns are missing: {', '.join(missing)}.")
    if unknown:
        problems.append(f"The pool has no attribute for the columns {', '.join(unknown[:20]) or 'without a name'}.")
    if twice:
        problems.append(f"Columns stand there twice: {', '.join(twice[:20])}.")
    if problems:
        words = " ".join(problems)
        raise Refused.at("", f"Line 1 is not the header of this pool. {words} Download the template and begin with it.")
    return columns


def to_user(cells: dict[str, str], pool: UserPool) -> dict[str, Any]:
    """Return the UserType that a line describes; raise RowRefused. ``cells`` are trimmed, by column."""
    if not cells[USERNAME]:
        raise RowRefused(f"{USERNAME} is required.")
    if _boolean(MFA, cells[MFA]) == "":
        raise RowRefused(f"{MFA} must be true or false.")
    values = {name: value for name, value in cells.items() if value and name not in (USERNAME, MFA, HASH)}
    for name in ("email_verified", "phone_number_verified"):
        if name in values:
            values[name] = _boolean(name, values[name])
    if found := _DATE.fullmatch(values.get("birthdate", "")):
        values["birthdate"] = f"{found[3]}-{found[1]}-{found[2]}"
    elif "birthdate" in values and not _ISO_DATE.fullmatch(values["birthdate"]):
        raise RowRefused("birthdate must be mm/dd/yyyy.")
    for name in ("email", "phone_number"):
        if values.get(f"{name}_verified") == "true" and name not in values:
            raise RowRefused(f"{name} is required, for {name}_verified is true.")
    verified = pool.auto_verified_attributes
    if verified and not any(values.get(f"{name}_verified") == "true" for name in verified):
        wanted = " or ".join(f"{name}_verified" for name in verified)
        raise RowRefused(f"{wanted} must be true: the pool verifies it, and a password is reset by it.")
    user: dict[str, Any] = {
        "Username": cells[USERNAME],
        "Attributes": [{"Name": name, "Value": value} for name, value in values.items()],
        "UserStatus": UserStatus.CONFIRMED.value if cells.get(HASH) else UserStatus.RESET_REQUIRED.value,
    }
    if cells.get(HASH):
        user["PasswordHash"] = cells[HASH]
    if _boolean(MFA, cells[MFA]) == "true":
        user["MFAOptions"] = SMS_MFA
    return user


def to_cells(columns: list[str], user: dict[str, Any]) -> list[str]:
    """Return the line of a user; ``user`` has its attributes as a map under ``Attributes``."""
    attributes: dict[str, str] = user["Attributes"]
    own = {USERNAME: user["Username"], MFA: "true" if user.get("MFAOptions") or user.get("UserMFASettingList") else
           "false", HASH: user.get("PasswordHash", "")}  # fmt: skip
    cells = {**attributes, **own}
    if found := _ISO_DATE.fullmatch(cells.get("birthdate", "")):
        cells["birthdate"] = f"{found[2]}/{found[3]}/{found[1]}"
    return [cells.get(name, "") for name in columns]


def line(cells: list[str]) -> str:
    """Return a line as Cognito reads it: a backslash before commas, quotation marks only where a line would break."""
    return ",".join(_cell(cell) for cell in cells) + "\r\n"


def _cell(value: str) -> str:
    if "\n" in value or "\r" in value or value.startswith('"'):
        return '"' + value.replace("\\", "\\\\").replace('"', '""') + '"'
    return re.sub(r'(\\(?=[,"\\]|$)|,)', r"\\\1", value)


def _row(lines: "_Lines", columns: list[str], cells: list[str], pool: UserPool) -> Row:
    number = lines.record
    if len(cells) != len(columns):
        words = f"{len(cells)} cells where the header has {len(columns)}. A comma inside a value wants a backslash."
        if lines.number > number:
            words += f" Lines {number} to {lines.number} are one row: a quotation mark opens in the first."
        return Row(number, reason=words)
    by_name = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
    try:
        return Row(number, to_user(by_name, pool), username=by_name[USERNAME])
    except RowRefused as refused:
        return Row(number, reason=str(refused), username=by_name[USERNAME])


def _boolean(name: str, value: str) -> str:
    try:
        return BOOLEANS[value.lower()]
    except KeyError as error:
        raise RowRefused(f"{name} must be true or false.") from error


def _unclosed(number: int) -> Refused:
    return Refused.at("", f"Line {number}: a quotation mark is opened and never closed.")


class _TooLong(Exception):
    """A line that is too long to be a user."""


class _Lines:
    """The lines of a text, for the csv module; none is longer than MAX_RECORD, and neither is what it joins."""

    def __init__(self, text: TextIOWrapper) -> None:
        self.text = text
        self.number = self.record = self.length = 0

    def begin_record(self) -> None:
        self.record, self.length = self.number + 1, 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        found = self.text.readline(MAX_RECORD)
        if not found:
            raise StopIteration
        self.number += 1
        if len(found) == MAX_RECORD and found[-1] not in "\r\n":
            while (rest := self.text.readline(MAX_RECORD)) and rest[-1] not in "\r\n":
                pass
            raise _TooLong
        self.length += len(found)
        if self.length > MAX_RECORD:
            raise _unclosed(self.record)
        return _BACKSLASH.sub(_escaped, found) if "\\" in found else found


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[1] else "\\\\"
