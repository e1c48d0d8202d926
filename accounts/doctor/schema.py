"""The schema against the code: migrations that wait, and migrations that this code does not know.

The second is what an older release sees after a newer one has migrated: it goes on (docs/operations.md, "Upgrades").
"""

from collections.abc import Iterator

from django.db import connection
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.executor import MigrationExecutor

from accounts.doctor.findings import Finding, Scope, count, told, warning, wrong

NAMED = 5


def migrations(scope: Scope) -> Iterator[Finding]:
    """Compare what is applied with what is there."""
    executor = MigrationExecutor(connection)
    loader = executor.loader
    try:
        loader.check_consistent_history(connection)
    except InconsistentMigrationHistory as error:
        yield wrong("history", told(error), "Restore a backup, or ask before anything else is migrated.")
    waiting = [(step.app_label, step.name) for step, _ in executor.migration_plan(loader.graph.leaf_nodes())]
    unknown = sorted(set(loader.applied_migrations) - set(loader.disk_migrations))
    if waiting:
        yield wrong(
            "migrations",
            f"{count(len(waiting), 'migration')} not applied: {named(waiting)}. No process of this release is ready.",
            "Run python manage.py migrate --noinput.",
        )
    if unknown:
        yield warning(
            "migrations",
            f"The database has {count(len(unknown), 'migration')} that this code does not know: {named(unknown)}. A "
            "newer release has migrated it.",
            "Deploy the release that did. This one may go on meanwhile, if it is the release before it.",
        )
    if not waiting and not unknown:
        yield Finding("migrations", f"All {len(loader.applied_migrations)} are applied, and no other.")


def named(keys: list[tuple[str, str]]) -> str:
    """Return the first few of ``keys`` in words."""
    words = ", ".join(f"{app}.{name}" for app, name in keys[:NAMED])
    return words + (f" and {len(keys) - NAMED} more" if len(keys) > NAMED else "")
