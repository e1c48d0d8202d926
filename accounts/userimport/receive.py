"""A file becomes a job (CreateUserImportJob): read once, from the front, and stored in sealed parts.

A file that cannot be read is refused here, before anything else happens; a row that cannot be is kept with the reason.
"""

import base64
import json
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from accounts import audit
from accounts.models import UserImportJob, UserImportPart, UserPool
from accounts.models.user_imports import ImportFormat
from accounts.poolfile.problems import Refused
from accounts.userimport import csv_format, json_format
from accounts.userimport.rows import MAX_ROWS, Row, first_character

# what one transaction imports: so many rows, or fewer when they are large, or when passwords are to be hashed
PART_ROWS = 500
PART_CHARACTERS = 1024 * 1024
PART_PASSWORDS = 100


def receive(pool: UserPool, file: BinaryIO, *, name: str, actor: str, format: str = "") -> UserImportJob:
    """Return the job, in state Created, that imports ``file`` into ``pool``; raise Refused and leave nothing behind."""
    format = format or (ImportFormat.JSON if first_character(file) in ("{", "[") else ImportFormat.CSV)
    rows = csv_format.rows(file, pool) if format == ImportFormat.CSV else json_format.rows(file)
    job = UserImportJob.objects.create(user_pool=pool, job_name=name, format=format, created_by=actor[:150])
    count = 0
    try:
        # each part for itself: a file of 100 MiB takes a while, and no transaction is to be open for so long
        for number, part in enumerate(_parts(rows)):
            count += len(part)
            if count > MAX_ROWS:
                raise Refused.at("", f"The file has more than {MAX_ROWS:,} users. Split it.")
            UserImportPart.objects.create(job=job, number=number, payload=_packed(part))
        if not count:
            raise Refused.at("", "The file has no users.")
    except BaseException:
        job.delete()
        raise
    job.rows = count
    job.save(update_fields=["rows"])
    changes: dict[str, list[Any]] = {"format": [None, job.format], "rows": [None, job.rows]}
    audit.record("create user import", job, changes, actor=actor)
    return job


def job_name(file_name: str) -> str:
    """Return the name of a file as the name of a job may be (JobName)."""
    found = "".join(mark if mark.isascii() and (mark.isalnum() or mark in " _+=,.@-") else "-" for mark in file_name)
    return found[:128] or "import"


def unpacked(part: UserImportPart) -> list[Row]:
    """Return the rows of ``part``."""
    items = json.loads(zlib.decompress(base64.b64decode(part.payload)))
    return [Row(line, data, reason, username) for line, data, reason, username in items]


def _packed(rows: list[Row]) -> str:
    text = json.dumps([[row.line, row.data, row.reason, row.username] for row in rows], separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 1)).decode()


def _parts(rows: Iterator[Row]) -> Iterator[list[Row]]:
    part: list[Row] = []
    size = passwords = 0
    for row in rows:
        part.append(row)
        size += len(str(row.data))
        passwords += bool(row.data and row.data.get("Password"))
        if len(part) >= PART_ROWS or size >= PART_CHARACTERS or passwords >= PART_PASSWORDS:
            yield part
            part, size, passwords = [], 0, 0
    if part:
        yield part
