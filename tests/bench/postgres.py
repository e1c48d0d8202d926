"""A PostgreSQL cluster that lives as long as the benchmark: stock settings, so every commit reaches the disk."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 30
ENCODING = ("-E", "UTF8", "--no-locale")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster: the URL of its database and the process to measure."""

    url: str
    pid: int


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _programs() -> Path:
    """Return the directory of initdb and postgres; raise SystemExit with the mend when there is none."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not packaged:
        raise SystemExit("make bench needs PostgreSQL's server programs: install postgresql, or put initdb on PATH.")
    return packaged[-1].parent


def _account() -> str | None:
    """Return whom the server must run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Make, start and, at the end, stop and delete a cluster with an empty database."""
    programs, account, port = _programs(), _account(), free_port()
    password = secrets.token_urlsafe(24)
    home = Path(tempfile.mkdtemp(prefix="userpool-bench-pg-"))
    if account:
        shutil.chown(home, account)
    try:
        secret = home / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        if account:
            shutil.chown(secret, account)
        data = str(home / "data")
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "userpool", "-A", "scram-sha-256", f"--pwfile={secret}", *ENCODING],
            user=account,
            cwd=home,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={home}"]
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *options], user=account, cwd=home, stdout=log, stderr=log
            )
        try:
            _wait(server, port, home / "log")
            yield Cluster(f"postgres://userpool:{password}@127.0.0.1:{port}/postgres", server.pid)
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown: sessions are ended, not waited for
            server.wait(timeout=START_SECONDS)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        if b"ready to accept connections" in log.read_bytes():
            return
        time.sleep(0.05)
    raise SystemExit(f"PostgreSQL did not start on port {port}:\n{log.read_text(errors='replace')[-2000:]}")
