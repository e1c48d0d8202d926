"""``python -m tests.bench``: start PostgreSQL and the server, drive every flow, print the table, write the JSON.

Without options: seven rounds against one pool with 5000 users, so that PostgreSQL plans for tables with rows in them.
A second run with more of them shows what grows. The status is 1 when any answer was wrong, because a fast error is
not a figure. An aim that is missed is said, and fails nothing: it depends on the machine. Linux only, for /proc.
"""

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import django

from tests.bench import cpu, postgres, server


def options() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="CPU time per request, flow by flow.")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of every flow (7)")
    parser.add_argument("--pools", type=int, default=20, help="other pools in the database (20)")
    parser.add_argument("--users", type=int, default=5000, help="other users, each with an old code and grant (5000)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the requests of a round (1)")
    parser.add_argument("--only", nargs="+", default=[], metavar="FLOW", help="these flows alone")
    parser.add_argument("--json", type=Path, default=server.ROOT / "var" / "bench.json", help="where the figures go")
    return parser.parse_args()


def main() -> int:
    """Run the benchmark; return the exit status."""
    chosen = options()
    cores = cpu.cores()
    measured, driving = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    with ExitStack() as stack:
        port = postgres.free_port()
        with cpu.pinned(measured):
            cluster = stack.enter_context(postgres.cluster())
        os.environ |= server.environment(cluster.url, port, stack.enter_context(server.static_root()))
        django.setup()
        from tests.bench import provider, run  # models: they can be imported from here on, not before

        idp = stack.enter_context(provider.BenchIdp())
        scene = run.prepare(chosen.pools, chosen.users, idp.issuer)
        with cpu.pinned(measured):
            granian = stack.enter_context(server.running(port))
        stack.enter_context(cpu.pinned(driving))
        bench = run.Run(port, scene, granian, cluster.pid, measured)
        return bench.perform(chosen)


if __name__ == "__main__":
    sys.exit(main())
