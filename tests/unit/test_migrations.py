"""Every migration after the first release is one that the code of the release before survives (CONTRIBUTING.md).

The rules stand in tests/migration_rules.py. tests/flows/test_upgrade.py tries the same for the newest release, with its
own code.
"""

from typing import Any

import pytest
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from accounts.migration_operations import AddIndexOnline
from tests.migration_rules import FIRST_RELEASE, REASONS, judged, trouble


@pytest.fixture(scope="module")
def loader() -> MigrationLoader:
    return MigrationLoader(None)


def test_the_release_before_survives_every_migration(loader: MigrationLoader) -> None:
    found = dict(judged(loader))
    unexplained = {name: words for name, words in found.items() if name not in REASONS}
    assert unexplained == {}, "mend it, or say in REASONS why it is right"


def test_every_reason_is_of_an_operation_that_needs_it(loader: MigrationLoader) -> None:
    assert set(REASONS) - set(dict(judged(loader))) == set()
    assert all(reason.strip() for reason in REASONS.values())


def test_the_first_release_is_named_by_a_migration_that_is_there(loader: MigrationLoader) -> None:
    assert ("accounts", FIRST_RELEASE) in loader.disk_migrations


def test_what_came_before_the_first_release_would_not_all_have_passed(loader: MigrationLoader) -> None:
    """So the rules are known to look at something: 0002 and 0003 were written without them."""
    assert {name.partition(":")[0] for name, _ in judged(loader, first="0001_initial")} >= {
        "accounts.0002_federated_sign_in"
    }


# --- the rules themselves

INDEX = models.Index(fields=["name"], name="thing_name")
CHECK = models.CheckConstraint(condition=models.Q(name="x"), name="thing_check")


def char(**values: Any) -> models.CharField:
    return models.CharField(**{"max_length": 10} | values)


@pytest.fixture
def state() -> ProjectState:
    """A table thing that older code reads and writes, and a table new of this migration."""
    found = ProjectState()
    for name in ("Thing", "New"):
        fields = [("id", models.BigAutoField(primary_key=True)), ("name", char(help_text="A name."))]
        migrations.CreateModel(name, fields).state_forwards("accounts", found)
    return found


@pytest.mark.parametrize(
    "operation",
    [
        migrations.CreateModel("Other", []),
        migrations.AddField("thing", "note", char(null=True)),
        migrations.AddField("thing", "note", char(default="", db_default="")),
        migrations.AddField("thing", "others", models.ManyToManyField("accounts.New")),
        migrations.AddField("new", "note", char(default="")),
        migrations.AlterField("thing", "name", char(max_length=20)),
        migrations.AlterField("thing", "name", char(help_text="Another.", choices=[("a", "A")], blank=True)),
        migrations.AlterField("new", "name", char(max_length=5)),
        AddIndexOnline("thing", INDEX),
        migrations.AddIndex("new", INDEX),
        migrations.AddConstraint("new", CHECK),
        migrations.AlterModelOptions("thing", {"ordering": ["name"]}),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("thing", "name")]),
    ],
    ids=lambda operation: operation.describe(),
)
def test_what_older_code_survives(state: ProjectState, operation: Operation) -> None:
    assert trouble(operation, state, {"new"}) == ""


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (migrations.AddField("thing", "note", char(default="")), "db_default"),
        (migrations.AddField("thing", "note", char()), "db_default"),
        (migrations.RemoveField("thing", "name"), "not on the list"),
        (migrations.RenameField("thing", "name", "title"), "not on the list"),
        (migrations.DeleteModel("Thing"), "not on the list"),
        (migrations.RenameModel("Thing", "Item"), "not on the list"),
        (migrations.AlterModelTable("thing", "things"), "not on the list"),
        (migrations.AlterField("thing", "name", char(max_length=5)), "changes max_length"),
        (migrations.AlterField("thing", "name", char(null=True)), "changes null"),
        (migrations.AlterField("thing", "name", char(unique=True)), "changes unique"),
        (migrations.AlterField("thing", "name", models.TextField()), "another type"),
        (migrations.AddIndex("thing", INDEX), "AddIndexOnline"),
        (migrations.AddConstraint("thing", CHECK), "not on the list"),
        (migrations.RemoveConstraint("thing", "thing_check"), "not on the list"),
        (migrations.RunSQL("SELECT 1"), "not on the list"),
        (migrations.RunPython(migrations.RunPython.noop), "not on the list"),
        (
            migrations.SeparateDatabaseAndState(database_operations=[migrations.RemoveField("thing", "name")]),
            "not on the list",
        ),
    ],
)
def test_what_older_code_does_not_survive(state: ProjectState, operation: Operation, words: str) -> None:
    assert words in trouble(operation, state, {"new"})


@pytest.mark.django_db(transaction=True)
def test_an_index_is_added_online_and_taken_away(loader: MigrationLoader) -> None:
    """On PostgreSQL concurrently, which no transaction may hold; on SQLite as any other."""
    before = loader.project_state()
    after = before.clone()
    operation = AddIndexOnline("jobrun", models.Index(fields=["failure"], name="added_online"))
    operation.state_forwards("accounts", after)

    def there() -> bool:
        with connection.cursor() as cursor:
            return "added_online" in connection.introspection.get_constraints(cursor, "accounts_jobrun")

    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("accounts", editor, before, after)
        assert there()
        operation.database_backwards("accounts", editor, after, before)
    assert not there()
