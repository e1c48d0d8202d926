"""One configuration row from one entry: values laid over it, checked by its model, saved if anything changed.

A field that is omitted keeps its value (Cognito's Update operations would reset it); a field that is given is
replaced whole, lists and maps too; null is the default. A new row has the API's defaults for what is omitted.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model

from accounts import audit
from accounts.poolfile.diff import Change, compare
from accounts.poolfile.fields import Kind
from accounts.poolfile.problems import Problem, Refused, from_validation
from accounts.poolfile.read import Entry


class Recorder:
    """Collects the changes of one call and writes each to the audit trail."""

    def __init__(self, actor: str) -> None:
        self.actor = actor
        self.changes: list[Change] = []

    def record(self, action: str, kind: str, name: str, row: Model, fields: dict[str, list[Any]], pool_id: str) -> None:
        """Note that ``row`` was created, changed or is about to be deleted. ``fields`` are masked already."""
        self.changes.append(Change(action, kind, name, fields))
        audit.record(action, row, fields, actor=self.actor, user_pool=pool_id)


def fill(row: Any, entry: Entry) -> dict[str, list[Any]]:
    """Lay the values of ``entry`` over ``row`` and check it; return what differs from before. Raise Refused."""
    kind, new = entry.kind, row._state.adding
    before = {} if new else kind.wire(row)
    problems: list[Problem] = []
    for field in kind.fields:
        if not field.is_stored:
            continue
        given = field.wire in entry.values
        if not given and not new:
            continue
        if not given and field.required:
            problems.append(Problem(entry.at(field.wire), "is required."))
            continue
        try:
            field.write(row, entry.values.get(field.wire), entry.path)
        except Refused as refused:
            problems += refused.problems
            continue
        except ValidationError as error:
            problems += from_validation(error, entry.path, {"__all__": field.wire}).problems
            continue
        if field.immutable and not new and field.read(row) != before[field.wire]:
            was = before[field.wire]
            problems.append(Problem(entry.at(field.wire), f"cannot be changed after it was made; it is {was!r}."))
    keep_others(row, entry)
    if problems:
        raise Refused(problems)
    return compare(before, kind.wire(row))


def keep_others(row: Any, entry: Entry) -> None:
    """Keep what is not acted upon; null forgets it."""
    kept = row.other_fields | entry.other
    row.other_fields = {name: value for name, value in kept.items() if value is not None}


def check(row: Any, entry: Entry, names: dict[str, str] | None = None, exclude: tuple[str, ...] = ()) -> None:
    """Run the model's own rules, which the console's forms run as well; raise Refused with paths."""
    try:
        row.full_clean(exclude=exclude)
    except ValidationError as error:
        raise from_validation(error, entry.path, names or entry.kind.wire_names, entry.kind.keyed) from error


def label(kind: Kind, row: Any) -> str:
    """Return the name of ``row`` as the lines of a difference show it."""
    own = str(row)
    key = {"UserPoolClient": "client_id", "UserPool": "pk"}.get(kind.singular)
    return f"{own} ({getattr(row, key)})" if key else own
