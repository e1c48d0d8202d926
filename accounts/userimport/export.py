"""The users of a pool as a file that can be imported again: Cognito's CSV, or one JSON object a line.

A CSV holds what Cognito's holds: attributes, the username, and whether there is a second factor by SMS. Not in it:
sub, status, groups, identities, and users who come from a provider. JSON has all of it. Password hashes are in
neither unless they are asked for.

A value is written as it is, though a spreadsheet takes one that begins with = + - or @ for a formula: telephone
numbers begin with +, and what is imported again must be what was exported. The report of refused rows is for reading
and is written so that no cell is a formula.
"""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from accounts.models import PoolUser, UserImportJob, UserPool
from accounts.models.user_imports import ImportFormat
from accounts.models.users import UserStatus
from accounts.poolfile import user_fields
from accounts.userimport import csv_format

CHUNK = 1000
FORMULA = ("=", "+", "-", "@", "\t", "\r")
CONTENT_TYPES = {ImportFormat.CSV: "text/csv; charset=utf-8", ImportFormat.JSON: "application/x-ndjson"}


def lines(pool: UserPool, users: QuerySet[PoolUser], format: str, *, hashes: bool = False) -> Iterator[str]:
    """Yield a file with ``users``, all of ``pool``, in the order in which they were made."""
    if format == ImportFormat.CSV:
        columns = [*csv_format.header(pool), *([csv_format.HASH] if hashes else [])]
        yield csv_format.line(columns)
        for user in _each(users.exclude(status=UserStatus.EXTERNAL_PROVIDER)):
            yield csv_format.line(csv_format.to_cells(columns, _flat(user, hashes)))
        return
    for user in _each(users.prefetch_related("groups", "identities__provider")):
        found = user_fields.wire(user)
        if not hashes:
            found.pop("PasswordHash", None)
        said = {name: value for name, value in found.items() if value not in (None, [])}
        yield json.dumps(said, ensure_ascii=False) + "\n"


def report(job: UserImportJob) -> Iterator[str]:
    """Yield the rows of ``job`` that were not imported, as a CSV for reading."""
    yield _plain([job.row_word.lower(), "username", "outcome", "reason"])
    for one in job.problems.order_by("pk").iterator():
        yield _plain([str(one.line), one.username, "skipped" if one.skipped else "refused", one.reason])


def _each(users: QuerySet[PoolUser]) -> Iterator[PoolUser]:
    """Yield ``users`` a chunk at a time: no cursor is held open while somebody's line is slow."""
    last = 0
    while chunk := list(users.order_by("pk").filter(pk__gt=last)[:CHUNK]):
        yield from chunk
        last = chunk[-1].pk


def _flat(user: PoolUser, hashes: bool) -> dict[str, Any]:
    found = {**user.other_fields, "Username": user.username, "Attributes": user.attributes}
    if hashes and user.has_usable_password():
        found["PasswordHash"] = user.password
    return found


def _plain(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells)
    return text.getvalue()
