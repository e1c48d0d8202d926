"""The scheduled jobs as they are run: two Celery workers on Redis, and cron where there is neither.

Issue 5: safe on two workers; with Redis away the jobs run by ``manage.py run_jobs``, and catch up when it is back.
https://docs.celeryq.dev/en/stable/userguide/workers.html
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.flows.server import ROOT, Deployment
from tests.needs import needs_redis
from tests.services import free_port, redis_server

pytestmark = [needs_redis, pytest.mark.xdist_group("jobs")]
RUNS = (
    "import json; from accounts.models import JobRun; print(json.dumps(list(JobRun.objects.values(%s)), default=str))"
)

LONG_AGO = "from accounts.models import JobRun; JobRun.objects.update(started_at='2026-01-02T00:00Z')"


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis of this module's own: what waits in it is nobody else's."""
    program = shutil.which("redis-server")
    assert program is not None
    with redis_server(program) as url:
        yield url


def runs(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Return the newest run of each job."""
    printed = deployment.manage(
        "shell", "--command", RUNS % "'name', 'started_at', 'succeeded_at', 'result', 'failure'"
    )
    return {row["name"]: row for row in json.loads(printed.strip().splitlines()[-1])}


@contextmanager
def worker(deployment: Deployment, redis_url: str, name: str) -> Iterator[None]:
    options = ["--pool", "solo", "--hostname", f"{name}@test", "--loglevel", "WARNING"]
    command = [sys.executable, "-m", "celery", "--app", "userpool", "worker", *options]
    environment = deployment.environment("http://localhost:1", REDIS_URL=redis_url)
    child = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield
    finally:
        child.terminate()
        child.wait(20)


def send(deployment: Deployment, redis_url: str, *tasks: str) -> None:
    code = "from celery import current_app as app; import sys; [app.send_task(name) for name in sys.argv[1:]]"
    program = f"import django; django.setup(); import userpool; {code}"
    environment = deployment.environment("http://localhost:1", REDIS_URL=redis_url)
    environment["DJANGO_SETTINGS_MODULE"] = "userpool.settings"
    done = subprocess.run(
        [sys.executable, "-c", program, *tasks], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def eventually(deployment: Deployment, *names: str) -> dict[str, dict[str, Any]]:
    """Wait until these jobs have succeeded."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = runs(deployment)
        if all(found[name]["succeeded_at"] for name in names):
            return found
        time.sleep(0.5)
    raise AssertionError(found)


def test_two_workers_do_every_job_of_the_schedule(journeys: Deployment, redis_url: str) -> None:
    tasks = [
        "accounts.tasks.alert_operators",
        "accounts.tasks.send_mail",
        "accounts.tasks.purge_expired",
        "accounts.tasks.purge_paused_sign_ins",
        "accounts.tasks.rotate_signing_keys",
        "federation.tasks.refresh_saml_metadata",
        "federation.tasks.refresh_oidc_discovery",
    ]
    with ExitStack() as stack:
        for name in ("one", "two"):
            stack.enter_context(worker(journeys, redis_url, name))
        send(journeys, redis_url, *tasks * 4)
        found = eventually(journeys, *(task.rpartition(".")[2] for task in tasks))
    assert {row["failure"] for row in found.values()} == {""}
    assert found["rotate_signing_keys"]["result"] == {"count": 0}


def test_what_was_sent_while_no_worker_was_there_is_done_when_one_comes(journeys: Deployment, redis_url: str) -> None:
    before = runs(journeys)["purge_expired"]["started_at"]
    send(journeys, redis_url, "accounts.tasks.purge_expired")
    assert runs(journeys)["purge_expired"]["started_at"] == before
    with worker(journeys, redis_url, "late"):
        deadline = time.monotonic() + 60
        while runs(journeys)["purge_expired"]["started_at"] == before and time.monotonic() < deadline:
            time.sleep(0.5)
    assert runs(journeys)["purge_expired"]["started_at"] != before


def test_cron_needs_no_redis(journeys: Deployment) -> None:
    before = runs(journeys)["purge_expired"]["started_at"]
    journeys.manage("run_jobs", "purge_expired", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    found = runs(journeys)["purge_expired"]
    assert found["started_at"] != before
    assert found["failure"] == ""


def test_a_process_runs_them_for_ever_and_stops_when_it_is_told(journeys: Deployment) -> None:
    environment = journeys.environment("http://localhost:1")
    journeys.manage(
        "shell",
        "--command",
        "from accounts.models import JobRun; JobRun.objects.update(started_at='2026-01-02T00:00Z')",
    )
    before = runs(journeys)["purge_paused_sign_ins"]["started_at"]
    child = subprocess.Popen([sys.executable, "manage.py", "run_jobs", "--forever"], cwd=ROOT, env=environment)
    try:
        deadline = time.monotonic() + 90
        while runs(journeys)["purge_paused_sign_ins"]["started_at"] == before and time.monotonic() < deadline:
            time.sleep(1)
    finally:
        child.terminate()
    assert child.wait(20) == 0
    assert runs(journeys)["purge_paused_sign_ins"]["started_at"] != before
