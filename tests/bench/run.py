"""One run: the database made ready, the rounds, the figures. Django is set up before this is imported."""

import argparse
import statistics
import sys
import time
from functools import partial

from django.core.management import call_command
from django.db import connection

from tests.bench import cpu, report, seed
from tests.bench.floors import Floors
from tests.bench.flows import Flow, Flows
from tests.bench.load import Outcome, drive, exchange
from tests.bench.report import Samples

WARM_UP = 100
SETTLE_SECONDS = 0.05  # what a process does after its last answer belongs to the round


def prepare(pools: int, users: int, issuer: str) -> seed.Scene:
    """Migrate, collect the static files and write the rows; ``issuer`` is the provider that users come from."""
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    scene = seed.scene(issuer)
    seed.bystanders(scene, pools, users)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return scene


class Run:
    """The rounds of every flow against one server and one database, told apart by process id."""

    def __init__(self, port: int, scene: seed.Scene, server: int, database: int, core: int | None) -> None:
        self._port, self._flows = port, Flows(port, scene, partial(exchange, port))
        self._server, self._database, self._core = server, database, core
        self._floors = Floors()
        self._sign: list[float] = []
        self._hash: list[float] = []

    def perform(self, chosen: argparse.Namespace) -> int:
        """Measure, print and write; return the exit status."""
        flows = [flow for flow in self._flows.all() if not chosen.only or flow.name in chosen.only]
        samples = {flow.name: Samples() for flow in flows}
        steal, ticks = cpu.steal_and_total()
        for flow in flows:
            self._note(samples[flow.name], drive(self._port, flow.prepare(_warm_up(flow)), flow.expected))
        # round by round, not flow by flow: what disturbs the machine for a while disturbs each flow alike
        for number in range(chosen.rounds):
            print(f"round {number + 1} of {chosen.rounds}", file=sys.stderr, flush=True)
            self._sample_floors()
            for flow in flows:
                self._round(flow, max(10, int(flow.requests * chosen.scale)), samples[flow.name])
        stolen, passed = (after - before for after, before in zip(cpu.steal_and_total(), (steal, ticks), strict=True))
        sign_ms, hash_ms = statistics.median(self._sign), statistics.median(self._hash)
        rows = [report.row(flow, samples[flow.name], sign_ms, hash_ms) for flow in flows]
        found = report.conditions(
            rounds=chosen.rounds,
            bystander_pools=chosen.pools,
            bystander_users=chosen.users,
            sign_ms=round(sign_ms, 4),
            hash_ms=round(hash_ms, 2),
            steal_percent=round(100 * stolen / max(passed, 1), 2),
            pinned=self._core is not None,
        )
        report.write(chosen.json, rows, found)
        print(report.table(rows, found))
        return self._verdict(samples)

    def _round(self, flow: Flow, count: int, samples: Samples) -> None:
        requests = flow.prepare(count)
        app, database = cpu.tree_ms(self._server), cpu.tree_ms(self._database)
        outcome = drive(self._port, requests, flow.expected)
        time.sleep(SETTLE_SECONDS)
        samples.app.append((cpu.tree_ms(self._server) - app) / count)
        samples.database.append((cpu.tree_ms(self._database) - database) / count)
        samples.requests += count
        self._note(samples, outcome)

    @staticmethod
    def _note(samples: Samples, outcome: Outcome) -> None:
        samples.failures += outcome.failures
        samples.examples += outcome.examples

    def _sample_floors(self) -> None:
        """On the server's core, while the server waits."""
        with cpu.pinned(self._core):
            self._sign.append(self._floors.sign_ms())
            self._hash.append(self._floors.hash_ms())

    @staticmethod
    def _verdict(samples: dict[str, Samples]) -> int:
        wrong = {name: found for name, found in samples.items() if found.failures}
        for name, found in wrong.items():
            print(f"\n{name}: {found.failures} wrong answers, the first:\n{found.examples[0]}", file=sys.stderr)
        return 1 if wrong else 0


def _warm_up(flow: Flow) -> int:
    return min(WARM_UP, max(4, flow.requests // 4))
