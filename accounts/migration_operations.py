"""Operations for migrations that run beside the previous release (CONTRIBUTING.md, "Migrations").

https://docs.djangoproject.com/en/5.2/ref/contrib/postgres/operations/#concurrent-index-operations
"""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.migrations.operations import AddIndex


class AddIndexOnline(AddIndexConcurrently):
    """Add an index while others write to the table. The migration says ``atomic = False`` and holds nothing else.

    One that was interrupted leaves an invalid index: drop it (``DROP INDEX CONCURRENTLY``) and migrate again. On
    SQLite, where one process writes at a time, it is a plain AddIndex.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        else:
            AddIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)
        else:
            AddIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)
