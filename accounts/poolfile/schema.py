"""The schema of a pool in a file: given whole when the pool is made, added to afterwards.

Attributes can be added (AddCustomAttributes) and never be changed or removed, so a file may list fewer than there
are. What DescribeUserPool prints, every standard attribute included, is the same as leaving it out.
"""

from typing import Any

from django.core.exceptions import ValidationError

from accounts.attributes import STANDARD, Attribute, Schema
from accounts.models import UserPool
from accounts.poolfile.problems import Problem, Refused, join


def get(pool: UserPool) -> list[dict[str, Any]]:
    """Return the attributes that a pool has beside or instead of the usual ones, every bound written out."""
    return [_wire(_parse(entry), entry) for entry in pool.schema_attributes]


def put(pool: UserPool, entries: list[dict[str, Any]], path: str) -> None:
    """Add ``entries`` to the schema of ``pool``; raise Refused for a bad one, or for one that says otherwise."""
    new = pool._state.adding
    stored = [] if new else list(pool.schema_attributes)
    known = Schema.parse(stored).attributes
    problems: list[Problem] = []
    for number, entry in enumerate(entries):
        try:
            attribute = _parse(entry)
        except ValidationError as error:
            problems += [Problem(join(path, number), message) for message in error.messages]
            continue
        if known.get(attribute.name) == attribute:
            continue
        if attribute.name in known and not (new and attribute.name in STANDARD):
            changed = "is listed twice" if new else "cannot be changed after the pool was made"
            problems.append(Problem(join(path, number), f"{attribute.name} {changed}."))
            continue
        stored.append(_wire(attribute, entry))
        known = {**known, attribute.name: attribute}
    if problems:
        raise Refused(problems)
    pool.schema_attributes = stored
    pool.__dict__.pop("schema", None)


def _parse(entry: dict[str, Any]) -> Attribute:
    found = Schema.parse([entry]).attributes
    return found[next(name for name in (entry["Name"], f"custom:{entry['Name']}") if name in found)]


def _wire(attribute: Attribute, entry: dict[str, Any]) -> dict[str, Any]:
    return attribute.to_wire() | {key: True for key in ("DeveloperOnlyAttribute",) if entry.get(key)}
