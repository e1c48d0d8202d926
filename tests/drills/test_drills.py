"""What breaks in the night: each drill breaks one thing under load, and asks afterwards what was lost.

``make drills`` runs them and prints their figures, which docs/reliability.md explains; the whole suite leaves them out.
The proxy of docker-compose.yml stands in front of two of its web processes. For each drill: whatever was answered with
200 holds, no code was redeemed twice, every session lives, and it all goes on without a hand.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.composefile import ROOT
from tests.drills.load import Load, pool_file
from tests.drills.outages import Database, Redis, both
from tests.flows.compose import WEB_ADDRESSES, Process, Stack, stack, wait_until
from tests.flows.proxy import haproxy_running
from tests.flows.test_compose import was_away

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drills")]
ONE, OTHER = WEB_ADDRESSES
LIBFAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
FIGURES: dict[str, dict[str, Any]] = {}


class House:
    """A whole deployment, and what can be broken in it."""

    def __init__(self, running: Stack, database: Database, redis: Redis) -> None:
        self.stack, self.database, self.redis = running, database, redis
        self.webs: dict[str, Process] = {}

    def start_web(self, address: str, **more: str) -> Process:
        self.webs[address] = self.stack.start("web", address, **more)
        return self.webs[address]

    def drill(self, name: str, broken: Callable[[], None], mended: Callable[[], None], away: float) -> dict[str, Any]:
        """Break something under load for ``away`` seconds, mend it, and verify; return the figures."""
        load = Load(self.stack)
        load.run()
        try:
            time.sleep(4)
            from_here = time.monotonic()
            broken()
            time.sleep(away)
            mended()
            to_here = time.monotonic()
            time.sleep(6)
        finally:
            load.stop()
        found = {"seconds away": round(to_here - from_here, 1)} | load.figures(from_here, to_here)
        FIGURES[name] = found
        print(f"\n{name}: {json.dumps(found)}")
        found |= load.verify()
        print(f"{name}: {found['grants']} grants, {found['sessions']} sessions, {found['codes']} codes hold")
        return found


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with both() as (database, redis), stack(database.url, redis.url) as running:
        found = House(running, database, redis)
        running.run("python", "manage.py", "apply", "-", given=json.dumps(pool_file()))
        for address in WEB_ADDRESSES:
            found.start_web(address)
        for web in found.webs.values():
            running.ready(web)
        with haproxy_running(running.folder, running.port, running.web_port):
            time.sleep(3)
            yield found
    ROOT.joinpath("var").mkdir(exist_ok=True)
    ROOT.joinpath("var/drills.json").write_text(json.dumps(FIGURES, indent=2) + "\n", encoding="utf-8")


def test_nothing_breaks(house: House) -> None:
    found = house.drill("nothing", lambda: None, lambda: None, 2)
    assert found["failed before"] + found["failed during"] + found["failed after"] == 0


def test_a_web_process_is_killed(house: House) -> None:
    """kill -9 of everything in one container, and a new one after three seconds."""
    found = house.drill(
        "web killed", house.webs[ONE].kill, lambda: house.stack.ready(house.start_web(ONE)) and None, away=3
    )
    assert found["failed after"] == 0


def test_postgresql_is_restarted(house: House) -> None:
    found = house.drill("PostgreSQL restarted", house.database.crash, house.database.start, away=5)
    assert found["seconds until first answer"] < 5


def test_postgresql_is_restarted_and_nobody_was_there(house: House) -> None:
    """Every thread holds a connection that is dead now; the next who come must not be the ones who find out."""
    house.database.crash()
    house.database.start()
    wait_until(lambda: all(house.stack._answers(web) for web in house.webs.values()))
    found = house.drill("PostgreSQL was restarted", lambda: None, lambda: None, away=0)
    assert found["failed before"] + found["failed after"] == 0


def test_redis_is_away(house: House) -> None:
    found = house.drill("Redis away", house.redis.kill, house.redis.start, away=60)
    assert found["failed during"] + found["failed after"] == 0


def test_redis_hangs(house: House) -> None:
    """It takes connections and answers nothing, as a machine that swaps does."""
    found = house.drill("Redis hangs", house.redis.freeze, house.redis.thaw, away=20)
    assert found["failed during"] + found["failed after"] == 0


def jobs(house: House, *names: str) -> dict[str, Any]:
    with psycopg.connect(house.database.url) as connection:
        text = "SELECT name, succeeded_at, running_until FROM accounts_jobrun WHERE failure = ''"
        found = {row[0]: row[1:] for row in connection.execute(text)}
    return {name: found.get(name, (None, None)) for name in names}


def test_beat_is_killed(house: House) -> None:
    """The next one finds what the last one wrote down, and sends at once what became due in between."""
    worker, beat = house.stack.start("worker"), house.stack.start("beat")
    schedule = house.stack.folder / "tmp/schedule"
    wait_until(lambda: bool(list(schedule.parent.glob("schedule*"))))
    beat.kill()
    was_away(schedule)
    before = jobs(house, "purge_expired")["purge_expired"][0]
    broken = time.monotonic()
    beat = house.stack.start("beat")
    wait_until(lambda: jobs(house, "purge_expired")["purge_expired"][0] != before, beat.log.read_text)
    FIGURES["beat killed"] = {"seconds until the job was done": round(time.monotonic() - broken, 1)}
    print(f"\nbeat killed: {FIGURES['beat killed']}")
    beat.kill()
    worker.kill()


def test_a_worker_is_killed_in_the_middle_of_a_job(house: House) -> None:
    """Its turn ends with its lease; until then the other jobs go on, and then the next worker begins it anew."""
    with psycopg.connect(house.database.url) as holder:
        holder.execute("LOCK TABLE accounts_refreshtoken")
        worker = house.stack.start("worker")
        send(house, "accounts.tasks.purge_expired")
        wait_until(lambda: jobs(house, "purge_expired")["purge_expired"][1] is not None, worker.log.read_text)
        worker.kill()
    before = jobs(house, "purge_expired", "purge_paused_sign_ins")
    assert before["purge_expired"][1] is not None
    worker = house.stack.start("worker")
    send(house, "accounts.tasks.purge_expired", "accounts.tasks.purge_paused_sign_ins")
    other = "purge_paused_sign_ins"
    wait_until(lambda: jobs(house, other)[other][0] not in (None, before[other][0]), worker.log.read_text)
    assert jobs(house, "purge_expired") == {"purge_expired": before["purge_expired"]}
    with psycopg.connect(house.database.url) as later:
        later.execute("UPDATE accounts_jobrun SET running_until = now() WHERE name = 'purge_expired'")
    send(house, "accounts.tasks.purge_expired")
    wait_until(lambda: jobs(house, "purge_expired")["purge_expired"][1] is None, worker.log.read_text)
    worker.kill()


def send(house: House, *tasks: str) -> None:
    words = f"from celery import current_app as app; [app.send_task(name) for name in {tasks!r}]"
    house.stack.run("python", "manage.py", "shell", "--command", f"import userpool; {words}")


@pytest.mark.skipif(not LIBFAKETIME.exists(), reason="needs libfaketime")
@pytest.mark.parametrize("offset", ["+600s", "-600s"])
def test_a_clock_is_ten_minutes_off(house: House, offset: str) -> None:
    house.webs[OTHER].stop()
    more = {
        "LD_PRELOAD": str(LIBFAKETIME),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
    }
    house.stack.ready(house.start_web(OTHER, **more))
    time.sleep(3)
    try:
        found = house.drill(f"clock {offset}", lambda: None, lambda: None, away=4)
    finally:
        house.webs[OTHER].stop()
        house.stack.ready(house.start_web(OTHER))
    assert 500 not in found["by status"]
