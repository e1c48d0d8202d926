"""A worker that is killed in the middle of a redemption leaves either a usable code or a complete grant.

RFC 6749 4.1.2 for the retry: a code that was used is refused, and what it gave is
revoked. On SQLite always, in a database file of the test's own; on PostgreSQL where the run has one. With SQLite's
file at hand, a few threads race there as well (its transactions begin IMMEDIATE: one writer at a time).
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent
ROLLED_BACK = [
    "after the code was locked",
    "before the code is spent",
    "after the code was spent",
    "after the grant was stored",
    "before the tokens are signed",
    "after the tokens were signed",
]


def run(what: str, database_url: str) -> dict[str, Any]:
    environment = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": "", "USERPOOL_LOG_LEVEL": "ERROR"}
    environment.pop("DATABASE_URL_FILE", None)
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.killed_worker", what],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def database_of_this_run() -> str:
    settings = connection.settings_dict
    port = f":{settings['PORT']}" if settings["PORT"] else ""
    login = quote(settings["USER"], safe="") + (
        f":{quote(settings['PASSWORD'], safe='')}" if settings["PASSWORD"] else ""
    )
    return f"postgres://{login}@{quote(settings['HOST'], safe='')}{port}/{quote(settings['NAME'], safe='')}"


def check(report: dict[str, Any]) -> None:
    assert set(report) == {*ROLLED_BACK, "after the commit"}
    assert {outcome["signal"] for outcome in report.values()} == {signal.SIGKILL}
    for point in ROLLED_BACK:
        assert report[point]["left"] == {"consumed": False, "grants": 0, "live": 0}, point
        assert report[point]["retry"] == 200, point
        assert report[point]["then"] == {"consumed": True, "grants": 1, "live": 1}, point
    late = report["after the commit"]
    assert late["left"] == {"consumed": True, "grants": 1, "live": 1}
    assert late["retry"] == 400
    assert late["then"] == {"consumed": True, "grants": 1, "live": 0}


def test_on_sqlite_a_killed_worker_leaves_a_usable_code_or_a_complete_grant(tmp_path: Path) -> None:
    check(run("POINTS", f"sqlite:///{tmp_path / 'killed.sqlite3'}"))


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_on_postgresql_a_killed_worker_leaves_a_usable_code_or_a_complete_grant() -> None:
    check(run("POINTS", database_of_this_run()))


def test_on_sqlite_of_many_requests_with_one_code_or_one_token_one_wins(tmp_path: Path) -> None:
    report = run("RACES", f"sqlite:///{tmp_path / 'races.sqlite3'}")
    assert sorted(report["redeemed"]) == [200] + [400] * 7
    assert report["redeemed live"] == 0
    with_grace = report["with grace"]
    assert {status for status, _ in with_grace} == {200}
    assert len({token for _, token in with_grace}) == 1
    assert report["with grace live"] == 1
    statuses = [status for status, _ in report["without grace"]]
    assert set(statuses) <= {200, 400}
    assert statuses.count(200) <= 1
    assert report["without grace live"] == 0
