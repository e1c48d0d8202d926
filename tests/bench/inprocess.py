"""``python -m tests.bench.inprocess FLOW``: where the time of a flow goes.

The requests of the benchmark go to the WSGI application in this process, against a PostgreSQL of its own: the SQL of
one warm request with every BEGIN and COMMIT, the CPU time of a request, and a profile. cProfile taxes each call of a
Python function, so its shares mislead where many small functions run: trust the time that is measured without it.
"""

import argparse
import cProfile
import io
import os
import pstats
import sys
import time
from contextlib import ExitStack
from typing import Any

import django

from tests.bench import postgres, server


def environ(request: bytes) -> dict[str, Any]:
    """Return the WSGI environment (PEP 3333) of a raw request."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    found = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
    }
    for line in lines:
        name, _, value = line.partition(": ")
        key = name.upper().replace("-", "_")
        found[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return found


def serve(application: Any, environment: dict[str, Any]) -> bytes:
    """Return the answer of ``application`` as it would stand on the wire."""
    head: list[str] = []

    def start(status: str, headers: list[tuple[str, str]]) -> None:
        head.extend([f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)])

    response = application(environment, start)
    body = b"".join(response)
    response.close()
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def statements(application: Any, request: bytes) -> None:
    """Print what one request asks of the database."""
    from django.core.signals import request_started
    from django.db import connection, reset_queries

    request_started.disconnect(reset_queries)  # it would empty the log that is wanted
    connection.force_debug_cursor = True
    reset_queries()
    answer = serve(application, environ(request))
    connection.force_debug_cursor = False
    print(f"{answer.splitlines()[0].decode()}, {len(answer)} bytes, {len(connection.queries_log)} statements")
    for query in connection.queries_log:
        print("   ", " ".join(str(query["sql"]).split())[:160])


def cost(application: Any, requests: list[bytes]) -> float:
    """Return the CPU microseconds of a request."""
    prepared = [environ(request) for request in requests]
    before = time.process_time_ns()
    for environment in prepared:
        serve(application, environment)
    return (time.process_time_ns() - before) / len(prepared) / 1000


def profile(application: Any, requests: list[bytes], order: str, lines: int) -> None:
    """Print what cProfile says, in microseconds a request."""
    prepared = [environ(request) for request in requests]
    profiler = cProfile.Profile()
    profiler.enable()
    for environment in prepared:
        serve(application, environment)
    profiler.disable()
    found: dict[Any, Any] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    column = 2 if order == "own" else 3
    each = 1e6 / len(prepared)
    print(f"\n{'calls':>7}{'own us':>9}{'all us':>9}  by {order} time")
    for (file, line, name), row in sorted(found.items(), key=lambda item: -item[1][column])[:lines]:
        place = "/".join(file.split("/")[-3:])
        print(f"{row[1] / len(prepared):>7.1f}{row[2] * each:>9.1f}{row[3] * each:>9.1f}  {place}:{line} {name}")


def main() -> int:
    """Profile one flow; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.inprocess", description="Where a flow's time goes.")
    parser.add_argument("flow")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--lines", type=int, default=45, help="lines of each profile (45)")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres.cluster())
        static = stack.enter_context(server.static_root())
        port = postgres.free_port()
        os.environ |= server.environment(cluster.url, port, static)
        django.setup()
        from tests.bench import provider, run
        from tests.bench.flows import Flows
        from userpool.wsgi import application

        scene = run.prepare(20, 5000, stack.enter_context(provider.BenchIdp()).issuer)
        flows = Flows(port, scene, lambda request: serve(application, environ(request)))
        flow = next((flow for flow in flows.all() if flow.name == chosen.flow), None)
        if flow is None:
            parser.error(f"no such flow; there are {', '.join(flow.name for flow in flows.all())}")
        count = min(chosen.requests, flow.requests)
        cost(application, flow.prepare(min(count, 50)))
        statements(application, flow.prepare(1)[0])
        figures = sorted(cost(application, flow.prepare(count)) for _ in range(5))
        print(f"CPU in process: {figures[2]:.0f} us a request ({figures[0]:.0f} to {figures[-1]:.0f})")
        for order in ("own", "whole"):
            profile(application, flow.prepare(count), order, chosen.lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
