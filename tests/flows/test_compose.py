"""The services of docker-compose.yml, run by their own commands and environments, on two web processes.

README, "In production": any number of web processes, on any number of machines, on one PostgreSQL and one Redis. The
file itself: https://docs.docker.com/reference/compose-file/ (and tests/unit/test_compose_file.py).
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import psycopg
import pytest
from celery.beat import PersistentScheduler
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.flows import pools
from tests.flows.compose import WEB_ADDRESSES, Process, Stack, Turns, challenge, stack, wait_until
from tests.flows.person import Person
from tests.flows.server import database
from tests.needs import needs_postgresql, needs_redis
from tests.services import redis_server
from userpool.celery import app as celery

pytestmark = [needs_postgresql, needs_redis, pytest.mark.xdist_group("compose")]
ONE, OTHER = WEB_ADDRESSES
ROTATING = pools.AppClient("4rotatingclientofjourneys", "", "cognito")


def pool_file() -> dict[str, Any]:
    found = pools.pool_file("http://localhost:3000/single-page/")
    found["UserPoolClients"].append(
        pools.people_client(ROTATING, "http://localhost:3000/single-page/")
        | {"RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 0}}
    )
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two web processes of the compose file, migrated, with the pool of pools.py applied."""
    program = shutil.which("redis-server")
    assert program is not None
    with (
        database(tmp_path_factory.mktemp("compose")) as database_url,
        redis_server(program) as redis_url,
        stack(database_url, redis_url) as found,
    ):
        webs = [found.start("web", address) for address in WEB_ADDRESSES]
        found.run("python", "manage.py", "apply", "-", given=json.dumps(pool_file()))
        for web in webs:
            found.ready(web)
        yield found


@pytest.fixture
def person(running: Stack) -> Iterator[Person]:
    """Somebody whose every request goes to the other process."""
    found = Person()
    found.browser = httpx.Client(transport=Turns(running), headers={"Accept": "text/html"}, timeout=30)
    yield found
    found.browser.close()


def link(running: Stack, client: pools.AppClient, code_challenge: str) -> str:
    query = {"response_type": "code", "client_id": client.client_id, "redirect_uri": pools.CALLBACK}
    query |= {"scope": "openid email", "state": "s", "code_challenge": code_challenge, "code_challenge_method": "S256"}
    return f"{running.issuer_base}/{pools.POOL_ID}/oauth2/authorize?{urlencode(query)}"


def token(running: Stack, web: httpx.Client, **fields: str) -> httpx.Response:
    return web.post(f"{running.issuer_base}/{pools.POOL_ID}/oauth2/token", data=fields)


def signed_in(running: Stack, person: Person, client: pools.AppClient = pools.PUBLIC) -> dict[str, Any]:
    """Sign ``person`` in, each request at the other process, and return the tokens."""
    verifier, code_challenge = challenge()
    landed = person.open(link(running, client, code_challenge), pools.CALLBACK)
    code = parse_qs(urlsplit(landed).query)["code"][0]
    fields = {"client_id": client.client_id, "redirect_uri": pools.CALLBACK, "code_verifier": verifier}
    answer = token(running, person.browser, grant_type="authorization_code", code=code, **fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_sign_in_whose_every_step_is_at_the_other_process(running: Stack, person: Person) -> None:
    issuer = f"{running.issuer_base}/{pools.POOL_ID}"
    tokens, web = signed_in(running, person), person.browser
    keys = KeySet.import_key_set(web.get(f"{issuer}/.well-known/jwks.json").json())
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
    assert (claims["iss"], claims["email"]) == (issuer, "ada@example.com")
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert web.get(f"{issuer}/oauth2/userInfo", headers=bearer).json()["username"] == pools.USERNAME
    refresh = {"grant_type": "refresh_token", "client_id": pools.PUBLIC.client_id}
    refresh["refresh_token"] = tokens["refresh_token"]
    assert token(running, web, **refresh).status_code == 200
    revoke = {"token": tokens["refresh_token"], "client_id": pools.PUBLIC.client_id}
    assert web.post(f"{issuer}/oauth2/revoke", data=revoke).status_code == 200
    # revoked at one process, dead at both
    for _ in WEB_ADDRESSES:
        assert token(running, web, **refresh).json() == {"error": "invalid_grant"}
        assert web.get(f"{issuer}/oauth2/userInfo", headers=bearer).status_code == 401

    turns = web._transport
    assert isinstance(turns, Turns)
    assert [address for address, _ in turns.seen] == [ONE, OTHER] * (len(turns.seen) // 2)
    steps = [path.removeprefix(f"/{pools.POOL_ID}") for _, path in turns.seen[:4]]
    assert steps == ["/oauth2/authorize", "/login", "/login", "/oauth2/token"]


def test_a_refresh_token_rotated_at_one_process_is_spent_at_the_other(running: Stack, person: Person) -> None:
    """RFC 9700 4.14.2: a token that was rotated away has leaked when it comes back, and ends the family."""
    first = signed_in(running, person, ROTATING)["refresh_token"]
    refresh = {"grant_type": "refresh_token", "client_id": ROTATING.client_id}
    one, other = (httpx.Client(transport=Turns(running, only=address)) for address in WEB_ADDRESSES)
    rotated = token(running, one, refresh_token=first, **refresh).json()["refresh_token"]
    second = token(running, other, refresh_token=rotated, **refresh).json()["refresh_token"]
    assert token(running, other, refresh_token=first, **refresh).json() == {"error": "invalid_grant"}
    assert token(running, one, refresh_token=second, **refresh).json() == {"error": "invalid_grant"}


def test_a_sign_out_at_one_process_ends_the_session_at_the_other(running: Stack, person: Person) -> None:
    signed_in(running, person)
    turns = person.browser._transport
    assert isinstance(turns, Turns)
    again = link(running, pools.PUBLIC, challenge()[1])
    for turns.only in WEB_ADDRESSES:
        assert str(person.visit(again, pools.CALLBACK)).startswith(f"{pools.CALLBACK}?code=")
    turns.only = ONE
    query = urlencode({"client_id": pools.PUBLIC.client_id, "logout_uri": pools.LOGOUT})
    person.visit(f"{running.issuer_base}/{pools.POOL_ID}/logout?{query}", pools.LOGOUT)
    turns.only = OTHER
    page = person.visit(again, pools.CALLBACK)
    assert isinstance(page, httpx.Response)
    assert page.url.path.endswith("/login")


def test_keys_rolled_by_one_process_are_published_by_all(running: Stack, person: Person) -> None:
    jwks = f"{running.issuer_base}/{pools.POOL_ID}/.well-known/jwks.json"

    def kids(address: str) -> set[str]:
        with httpx.Client(transport=Turns(running, only=address)) as web:
            return {key["kid"] for key in web.get(jwks).json()["keys"]}

    before = kids(ONE)
    running.run("python", "manage.py", "rotate_keys", pools.POOL_ID, "--at-once")
    # each copy of web has two processes behind its address, and each connection meets one of them
    found: list[set[str]] = []

    def agreed() -> bool:
        found[:] = [kids(address) for address in WEB_ADDRESSES * 12]
        return all(len(each) == len(before) + 2 for each in found)

    wait_until(agreed)
    assert all(each == found[0] and each > before for each in found)
    signed_in(running, person)


def jobs_done(running: Stack) -> set[str]:
    """Return the names of the jobs that have succeeded."""
    with psycopg.connect(running.database_url) as connection:
        found = connection.execute("SELECT name FROM accounts_jobrun WHERE succeeded_at IS NOT NULL AND failure = ''")
        return {row[0] for row in found}


def was_away(schedule: Path) -> None:
    """Leave what a beat leaves that stopped an hour ago."""
    scheduler = PersistentScheduler(app=celery, schedule_filename=str(schedule), lazy=True)
    scheduler.setup_schedule()
    for entry in scheduler.schedule.values():
        entry.last_run_at = entry.last_run_at.replace(year=entry.last_run_at.year - 1)
    scheduler.close()
    for file in schedule.parent.glob(f"{schedule.name}*"):
        file.chmod(0o666)


def test_beat_sends_what_is_due_and_the_worker_puts_it_on_record(running: Stack) -> None:
    was_away(running.folder / "tmp/schedule")
    worker, beat = running.start("worker"), running.start("beat")
    due = {"purge_expired", "purge_paused_sign_ins", "rotate_signing_keys"}
    wait_until(lambda: due <= jobs_done(running), lambda: worker.log.read_text()[-2000:] + beat.log.read_text()[-2000:])
    assert running.healthy(worker)
    assert running.healthy(beat)
    assert [process.stop() for process in (beat, worker)] == [0, 0]


def test_a_beat_that_hangs_is_seen(running: Stack) -> None:
    schedule = running.folder / "tmp/schedule"
    schedule.touch()
    beat = Process("beat", None, schedule)  # type: ignore[arg-type]
    assert running.healthy(beat)
    for file in schedule.parent.glob("schedule*"):
        os.utime(file, (time.time() - 700,) * 2)
    assert not running.healthy(beat)


def test_web_processes_are_healthy_and_end_when_they_are_told(running: Stack) -> None:
    """Last of all: what the engine sends is SIGTERM, and an exit status of 0 is the end of a request, not of a try."""
    webs = [process for process in running.processes if process.service == "web"]
    assert [running.healthy(web) for web in webs] == [True, True]
    assert [web.stop() for web in webs] == [0, 0]
    assert not running.healthy(webs[0])


def test_whoever_may_not_read_the_secrets_does_not_start(running: Stack) -> None:
    """README, "Settings": what is missing stops the start, with the mend in the message."""
    secret = running.folder / "secrets/encryption_keys"
    secret.rename(secret.with_name("away"))
    try:
        with pytest.raises(AssertionError, match="USERPOOL_ENCRYPTION_KEYS_FILE: cannot be read"):
            running.migrate()
    finally:
        secret.with_name("away").rename(secret)
