"""What a migration may do to tables that the release before reads and writes (CONTRIBUTING.md, "Migrations").

What an operation does there, PostgreSQL's page on ALTER TABLE says; what Django leaves of a default in the database
(nothing, but for db_default), Django's on AddField. The list is short on purpose.
"""

from collections.abc import Iterator
from typing import Any

from django.db import migrations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from accounts.migration_operations import AddIndexOnline

FIRST_RELEASE = "0009_session_clean_up"
"""The newest migration of the first release. Until it is made, move this up; afterwards, never again."""

REASONS: dict[str, str] = {}
"""Operations that the rules do not allow and that are right all the same: "migration: what it does" to the reason.

What it does is the operation's own description, as ``manage.py sqlmigrate`` prints it. A field that the release before
neither reads nor writes any more, say, may go: "accounts.0009_x: Remove field y from z": "unused since 1.4".
"""

# of a field, what leaves the column as it is
COSMETIC = {"help_text", "verbose_name", "choices", "validators", "blank", "default", "editable", "error_messages"}
HARMLESS = (migrations.CreateModel, migrations.AlterModelOptions, migrations.AlterModelManagers)


def trouble(operation: Operation, state: ProjectState, made: set[str]) -> str:
    """Return why older code does not survive ``operation``; empty when it does. ``made``: models of this migration."""
    if isinstance(operation, HARMLESS):
        return ""
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return next(filter(None, (trouble(each, state, made) for each in operation.database_operations)), "")
    if getattr(operation, "model_name", "").lower() in made:
        return ""  # older code knows nothing of the table
    if isinstance(operation, migrations.AddField):
        field: Any = operation.field
        kept = field.null or field.has_db_default() or field.many_to_many
        return "" if kept else "older code inserts rows without the field: give it null=True or db_default"
    if isinstance(operation, migrations.AlterField):
        return _altered(operation, state)
    if isinstance(operation, AddIndexOnline):
        return ""
    if isinstance(operation, migrations.AddIndex):
        return "nobody could write to the table meanwhile: use AddIndexOnline"
    return "it is not on the list of what older code survives"


def _altered(operation: migrations.AlterField, state: ProjectState) -> str:
    (model,) = (found for (_, name), found in state.models.items() if name == operation.model_name.lower())
    before, after = model.fields[operation.name], operation.field
    if type(before) is not type(after):
        return "the column gets another type"
    old, new = before.deconstruct()[3], after.deconstruct()[3]
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)} - COSMETIC
    if "max_length" in changed and None not in (old.get("max_length"), new.get("max_length")):
        changed -= {"max_length"} if new["max_length"] > old["max_length"] else set()
    return f"it changes {', '.join(sorted(changed))} of the column" if changed else ""


def judged(loader: MigrationLoader, first: str = FIRST_RELEASE) -> Iterator[tuple[str, str]]:
    """Yield each operation after ``first`` that is in trouble, as REASONS names it, with the trouble."""
    state = ProjectState(real_apps=loader.unmigrated_apps)
    (leaf,) = loader.graph.leaf_nodes("accounts")
    for app, name in loader.graph.forwards_plan(leaf):
        made: set[str] = set()
        for operation in loader.graph.nodes[app, name].operations:
            if app == "accounts" and name > first:
                if words := trouble(operation, state, made):
                    yield f"accounts.{name}: {operation.describe()}", words
                if isinstance(operation, migrations.CreateModel):
                    made.add(operation.name.lower())
            operation.state_forwards(app, state)
