"""``python -m tests.services -- COMMAND``: run COMMAND beside a PostgreSQL and a Redis of its own.

Both live in a temporary folder and end with the command. What DATABASE_URL or REDIS_URL names already is used as it
is; what the machine does not have is left out, and the tests that need it say so (tests/needs.py). PostgreSQL
listens on a socket in that folder only, so that nobody else on the machine can reach it, and syncs nothing.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import redis

START_TIMEOUT = 60
UNSAFE_BUT_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def postgresql_programs() -> Path | None:
    """Return the folder of PostgreSQL's server programs, the newest version first, or None."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    found = shutil.which("initdb")
    for folder in [*([Path(found).resolve().parent] if found else []), *debian]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(answers: Callable[[], object], process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until ``answers`` raises no more; raise RuntimeError with the end of ``log`` when that does not happen."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            answers()
        except (OSError, psycopg.Error, redis.RedisError):
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def running(
    command: list[str], log: Path, answers: Callable[[], object], stop: signal.Signals, **options: Any
) -> Iterator[None]:
    """Run a server until the block ends."""
    with log.open("wb") as output:
        # a session of its own: Ctrl-C is for the tests, which need their database until they have stopped
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)
    try:
        wait_for(answers, process, log)
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def postgresql(programs: Path, *settings: str) -> Iterator[str]:
    """Start a throw-away PostgreSQL and yield its DATABASE_URL."""
    folder = Path(tempfile.mkdtemp(prefix="userpool-pg-"))
    options: dict[str, Any] = {"cwd": folder}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root
        name = "postgres" if "postgres" in _accounts() else "nobody"
        shutil.chown(folder, user=name)
        options |= {"user": name, "extra_groups": []}
    data, log = folder / "data", folder / "log"
    try:
        subprocess.run(
            [
                *(str(programs / "initdb"), "--pgdata", str(data), "--username", "userpool", "--auth", "trust"),
                *("--encoding", "UTF8", "--no-locale", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **options,
        )
        command = [str(programs / "postgres"), "-D", str(data), "-k", str(folder), "-c", "listen_addresses="]
        for setting in ("max_connections=300", *UNSAFE_BUT_QUICK, *settings):
            command += ["-c", setting]
        target = f"host={folder} user=userpool dbname=postgres"
        with running(command, log, lambda: psycopg.connect(target).close(), signal.SIGINT, **options):
            with psycopg.connect(target, autocommit=True) as connection:
                connection.execute("CREATE DATABASE userpool")
            yield f"postgres://userpool@{quote(str(folder), safe='')}/userpool"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _accounts() -> set[str]:
    return {line.partition(":")[0] for line in Path("/etc/passwd").read_text().splitlines()}


@contextmanager
def redis_server(program: str) -> Iterator[str]:
    """Start a throw-away Redis, with a database for each test process, and yield its REDIS_URL."""
    with tempfile.TemporaryDirectory(prefix="userpool-redis-") as folder:
        port = free_port()
        command = [
            *(program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"),
            *("--dir", folder, "--databases", "128"),
        ]
        with running(command, Path(folder, "log"), redis.Redis(port=port).ping, signal.SIGTERM):
            yield f"redis://127.0.0.1:{port}/0"


def main(arguments: list[str]) -> int:
    """Run the command in ``arguments`` and return its exit status."""
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        print("usage: python -m tests.services -- COMMAND", file=sys.stderr)
        return 2
    environment = dict(os.environ)
    with ExitStack() as stack:
        if not environment.get("DATABASE_URL"):
            if programs := postgresql_programs():
                environment["DATABASE_URL"] = stack.enter_context(postgresql(programs))
            else:
                environment.pop("DATABASE_URL", None)
        if not environment.get("REDIS_URL") and (program := shutil.which("redis-server")):
            environment["REDIS_URL"] = stack.enter_context(redis_server(program))
        print(
            "Running with",
            "PostgreSQL" if "postgres" in environment.get("DATABASE_URL", "") else "SQLite",
            "and",
            "Redis" if environment.get("REDIS_URL") else "no Redis",
            flush=True,
        )
        process = subprocess.Popen(command, env=environment)
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            return 130


def _terminated(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main(sys.argv[1:]))
