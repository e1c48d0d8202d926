"""``python -m tests.bench.cleanup``: a million dead rows deleted while the token endpoint is asked.

Three phases of the same requests: alone, beside the clean-up (another process, as a worker is), alone again. What is
measured is the time of each answer, the CPU of the server's processes, how long the clean-up's statements take, who
waits for a lock, whether a whole table is read, and what is left in the tables. The two quiet phases say how far the
machine itself moves. Needs what ``make bench`` needs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from threading import Event, Thread
from typing import Any

import django

from tests.bench import cpu, postgres, server
from tests.bench.load import Connection

FLOWS = ("client_credentials", "refresh", "authorization_code")
REQUESTS = 25  # of each flow in a round
NAME = "userpool-clean-up"  # of its connection


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cleanup", description="What the clean-up costs.")
    parser.add_argument("--dead", type=int, default=1_000_000, help="rows to delete (1000000)")
    parser.add_argument("--live", type=int, default=100_000, help="grants, sessions and events that stay (100000)")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of each quiet phase (20)")
    parser.add_argument("--settle", type=int, default=90, help="seconds for autovacuum at the end (90)")
    parser.add_argument("--purge", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def purge() -> None:
    """Run the clean-up in this process and print what it did, with the longest statement of each kind."""
    from django.db import connection

    from accounts import cleanup

    longest: dict[str, float] = {}
    counted: dict[str, int] = {}

    def timed(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        began = time.monotonic()
        try:
            return execute(sql, *rest)
        finally:
            kind = sql.split(" ", 1)[0]
            longest[kind] = max(longest.get(kind, 0), time.monotonic() - began)
            counted[kind] = counted.get(kind, 0) + 1

    began, used = time.monotonic(), time.process_time()
    with connection.execute_wrapper(timed):
        deleted = cleanup.purge_expired()
    found = {
        "deleted": deleted,
        "seconds": round(time.monotonic() - began, 2),
        "cpu_seconds": round(time.process_time() - used, 2),
        "statements": counted,
        "longest_ms": {kind: round(seconds * 1000, 1) for kind, seconds in longest.items()},
    }
    print(json.dumps(found))


def start_purge() -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.bench.cleanup", "--purge"]
    environment = os.environ | {"PGAPPNAME": NAME, "PYTHONPATH": "."}
    return subprocess.Popen(command, cwd=server.ROOT, env=environment, stdout=subprocess.PIPE, text=True)


class Locks(Thread):
    """Looks every few milliseconds who waits for a lock, and how old the transaction of the clean-up is."""

    QUERY = """SELECT count(*) FILTER (WHERE wait_event_type = 'Lock'),
        coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE application_name = %s), 0)
        FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.over = url, Event()
        self.looks = self.waiting = 0
        self.oldest = 0.0

    def run(self) -> None:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.over.wait(0.02):
                row = connection.execute(self.QUERY, (NAME,)).fetchone()
                assert row is not None
                self.looks += 1
                self.waiting += int(row[0] > 0)
                self.oldest = max(self.oldest, float(row[1]))


class Phase:
    """Rounds of the flows, one request at a time, each answer timed and checked."""

    def __init__(self, port: int, flows: list[Any], process: int) -> None:
        self.flows, self.process = flows, process
        self.connection = Connection(port)
        self.times: dict[str, list[float]] = {name: [] for name in FLOWS}
        self.cpu: dict[str, list[float]] = {name: [] for name in FLOWS}
        self.wrong = 0

    def round(self) -> None:
        for flow in self.flows:
            requests = flow.prepare(REQUESTS)
            used = cpu.tree_ms(self.process)
            for request in requests:
                began = time.perf_counter()
                self.connection.send(request)
                answer = self.connection.receive()
                self.times[flow.name].append((time.perf_counter() - began) * 1000)
                self.wrong += flow.expected not in answer
            self.cpu[flow.name].append((cpu.tree_ms(self.process) - used) / REQUESTS)

    def figures(self) -> dict[str, Any]:
        def of(times: list[float], used: list[float]) -> dict[str, float]:
            cuts = statistics.quantiles(times, n=100)
            return {
                "requests": len(times),
                "median_ms": round(cuts[49], 2),
                "p99_ms": round(cuts[98], 2),
                "longest_ms": round(max(times), 1),
                "server_cpu_ms": round(statistics.mean(used), 2),
            }

        return {name: of(self.times[name], self.cpu[name]) for name in FLOWS} | {"wrong": self.wrong}


def plans() -> list[str]:
    """Return the plan of each look for a batch, on tables as they are."""
    from django.utils import timezone

    from accounts import cleanup, retention
    from accounts.models import AuthEvent

    found = []
    for rows in cleanup._useless(timezone.now()):
        (by,) = rows.query.order_by
        found.append(f"{rows.model.__name__} by {by}:\n{rows.values_list('pk', by)[:1000].explain()}")
    pools = AuthEvent.objects.order_by("user_pool").values_list("user_pool", flat=True).distinct()
    for pool in pools:
        oldest = retention.of_pool(pool).filter(pk__gt=0).values_list("pk", "at")[:1000]
        found.append(f"AuthEvent of {pool}:\n{oldest.explain()}")
    return found


def measure(chosen: argparse.Namespace, url: str, port: int, issuer: str, stack: ExitStack) -> int:
    from tests.bench import dead_rows, run
    from tests.bench.flows import Flows

    scene = run.prepare(20, 5000, issuer)
    dead_rows.fill(scene, chosen.dead, chosen.live)
    flows = Flows(port, scene, lambda request: b"")
    chosen_flows = [flow for flow in flows.all() if flow.name in FLOWS]
    process = stack.enter_context(server.running(port))
    warm = Phase(port, chosen_flows, process)
    for _ in range(4):
        warm.round()
    print("\n\n".join(plans()))

    found: dict[str, Any] = {"load_before": os.getloadavg()}
    phases = {name: Phase(port, chosen_flows, process) for name in ("before", "beside", "after")}
    for _ in range(chosen.rounds):
        phases["before"].round()
    then, written, locks = dead_rows.sizes(), dead_rows.wal(), Locks(url)
    locks.start()
    with start_purge() as child:
        while child.poll() is None:
            phases["beside"].round()
        assert child.stdout is not None
        found["purge"] = json.loads(child.stdout.read())
    locks.over.set()
    locks.join()
    found["wal_bytes"] = dead_rows.wal() - written
    found["locks"] = {"looks": locks.looks, "waiting": locks.waiting, "oldest_ms": round(locks.oldest * 1000, 1)}
    for _ in range(chosen.rounds):
        phases["after"].round()
    time.sleep(1)  # statistics are sent when a connection is idle
    now = dead_rows.sizes()
    found["whole_tables_read"] = {name: now.scans[name] - then.scans[name] for name in dead_rows.TABLES}
    again = dead_rows.sizes()
    with start_purge() as child:
        assert child.stdout is not None
        found["purge_of_nothing"] = json.loads(child.stdout.read())
    time.sleep(chosen.settle)
    last = dead_rows.sizes()
    found["whole_tables_read_by_it"] = {name: last.scans[name] - again.scans[name] for name in dead_rows.TABLES}
    found["tables"] = {
        name: {
            "rows": [then.rows[name], last.rows[name]],
            "bytes": [then.size[name], now.size[name], last.size[name]],
            "dead": [now.dead[name], last.dead[name]],
            "autovacuums": last.vacuums[name] - then.vacuums[name],
        }
        for name in dead_rows.TABLES
    }
    found |= {name: phase.figures() for name, phase in phases.items()}
    found["load_after"] = os.getloadavg()
    print(json.dumps(found, indent=1))
    return int(any(phase.wrong for phase in phases.values()))


def main() -> int:
    """Run the measurement; return the exit status, 1 when an answer was wrong."""
    chosen = options()
    if chosen.purge:
        django.setup()
        purge()
        return 0
    with ExitStack() as stack:
        cluster, port = stack.enter_context(postgres.cluster()), postgres.free_port()
        os.environ |= server.environment(cluster.url, port, stack.enter_context(server.static_root()))
        django.setup()
        from tests.bench import provider

        idp = stack.enter_context(provider.BenchIdp())
        return measure(chosen, cluster.url, port, idp.issuer, stack)


if __name__ == "__main__":
    sys.exit(main())
