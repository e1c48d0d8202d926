"""The server under test: one granian worker with one thread, set up as in production but on loopback."""

import base64
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.load import exchange

ROOT = Path(__file__).resolve().parents[2]
SUFFIX = "auth.localhost"
START_SECONDS = 30


def environment(database_url: str, port: int, static_root: Path) -> dict[str, str]:
    """Return the production settings of a deployment at ``port``, with secrets of its own."""
    return {
        "DJANGO_SETTINGS_MODULE": "tests.bench.settings",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "USERPOOL_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "USERPOOL_ISSUER_BASE_URL": f"http://localhost:{port}",
        "USERPOOL_DOMAIN_SUFFIX": SUFFIX,
        "USERPOOL_DEVELOPMENT": "0",
        "USERPOOL_UPSTREAM_ALLOW_PRIVATE": "1",
        "USERPOOL_LOG_LEVEL": "WARNING",
        "DATABASE_URL": database_url,
        "REDIS_URL": "",
        # counted, and out of reach
        **{f"USERPOOL_RATE_LIMIT_{kind}": "1000000000" for kind in ("ADDRESS", "CLIENT", "POOL")},
        "BENCH_STATIC_ROOT": str(static_root),
    }


@contextmanager
def static_root() -> Iterator[Path]:
    """A directory for the collected static files, deleted at the end."""
    path = Path(tempfile.mkdtemp(prefix="userpool-bench-static-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def running(port: int) -> Iterator[int]:
    """Start the server with the environment of this process and yield its process id."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "1", "--blocking-threads", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--no-ws", "--log-level", "warning"]
    process = subprocess.Popen([*command, "userpool.wsgi:application"], cwd=ROOT, env=os.environ | {"PYTHONPATH": "."})
    try:
        _wait(process, port)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait for any answer: the benchmark asks for the right ones itself."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            exchange(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("The server did not start; what it printed stands above.")
