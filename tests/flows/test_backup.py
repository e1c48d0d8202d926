"""Backup of a database that is being written to, and what is true after it was restored (docs/operations.md).

The commands are the document's own, letter by letter. https://www.postgresql.org/docs/current/app-pgdump.html (a dump
is consistent while the database is in use), https://sqlite.org/backup.html (so is a copy by the backup API).
"""

import json
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from authlib.integrations.base_client.errors import OAuthError

from tests.flows import pools
from tests.flows.authlib_app import App
from tests.flows.person import Person
from tests.flows.server import ROOT, Deployment, Server, serving
from tests.services import free_port, postgresql_programs

DUMP = 'pg_dump --format=custom --no-owner --no-privileges --file=userpool.dump "$DATABASE_URL"'
RESTORE = (
    "pg_restore --no-owner --no-privileges --exit-on-error --single-transaction "
    '--dbname="$NEW_DATABASE_URL" userpool.dump'
)
COPY = """python -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))'"""
PARTS = ("database", "secrets", "keys", "providers")


def shell(command: str, folder: Path, **environment: str) -> None:
    programs = postgresql_programs()
    path = f"{programs}:" if programs else ""
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}:{path}/usr/bin:/bin"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"


@contextmanager
def copied(original: Deployment, folder: Path) -> Iterator[Deployment]:
    """Dump the database as the document says, restore it under another name, and yield the deployment on that."""
    url = original.database_url
    if url.startswith("sqlite"):
        source, target = url.removeprefix("sqlite:///"), folder / "restored.sqlite3"
        shell(f"{COPY} {shlex.quote(source)} {shlex.quote(str(target))}", folder)
        yield replace(original, folder=folder, database_url=f"sqlite:///{target}")
        return
    programs = postgresql_programs()
    if programs is None or not (programs / "pg_dump").exists():
        pytest.skip("needs PostgreSQL's pg_dump")
    base, _, name = url.rpartition("/")
    shell(DUMP, folder, DATABASE_URL=url)
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}_restored"')
        try:
            restored = f"{base}/{name}_restored"
            shell(RESTORE, folder, NEW_DATABASE_URL=restored)
            yield replace(original, folder=folder, database_url=restored)
        finally:
            connection.execute(f'DROP DATABASE "{name}_restored" WITH (FORCE)')


@contextmanager
def writing(server: Server, client: pools.AppClient) -> Iterator[list[int]]:
    """Sign in again and again, each time anew; yield the list that counts."""
    done: list[int] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            person, app = Person(), App(server, client)
            app.redeem(person.open(app.link(), until=pools.CALLBACK))
            app.refresh()
            person.browser.close()
            done.append(1)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join(60)


def more_than(done: list[int], number: int) -> None:
    deadline = time.monotonic() + 60
    while len(done) <= number and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(done) > number, "nobody wrote"


def signed_in(server: Server, client: pools.AppClient, person: Person) -> App:
    app = App(server, client)
    app.redeem(person.open(app.link(), until=pools.CALLBACK))
    return app


def test_the_commands_stand_in_the_document() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for command in (DUMP, RESTORE, COPY, "python manage.py sign_out --all"):
        assert command in text


def test_a_backup_of_a_busy_database_is_restored_and_everybody_goes_on(
    journeys: Deployment, tmp_path: Path, person: Person
) -> None:
    port, place = free_port(), tmp_path
    with ExitStack() as databases:
        with serving(journeys, pools.POOL_ID, port=port) as server, writing(server, pools.PUBLIC_OIDC) as done:
            kept = [signed_in(server, client, person) for client in (pools.PUBLIC, pools.SECRET)]
            more_than(done, 1)
            before = len(done)
            restored = databases.enter_context(copied(journeys, place))
            more_than(done, before)
            late = signed_in(server, pools.PUBLIC, Person())

        found = json.loads(restored.manage("doctor", "--json", *(word for part in PARTS for word in ("--part", part))))
        assert [each for each in found if each["severity"] == "wrong"] == []
        assert {each["part"] for each in found} == set(PARTS)

        with serving(restored, pools.POOL_ID, port=port) as server:
            for app in kept:
                app.server = server
                assert app.userinfo()["username"] == pools.USERNAME
                assert app.refresh()["cognito:username"] == pools.USERNAME
            again = person.signed_in
            signed_in(server, pools.PUBLIC, person)
            assert person.signed_in == again  # the session went on
            with pytest.raises(OAuthError):  # what came after the backup is lost
                late.refresh()
            assert "1 users signed out" in restored.manage("sign_out", "--all")
            with pytest.raises(OAuthError):
                kept[0].refresh()
            signed_in(server, pools.PUBLIC, person)
            assert person.signed_in == again + 1
