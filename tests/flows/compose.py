"""docker-compose.yml without an engine: its services' own commands, environments and health checks, as processes.

What an engine would do is done here in its place, and nothing else is changed: the image is a folder that was made by
the Dockerfile's own steps, secret files lie in another folder, names of hosts become addresses of this machine, and the
ports are free ones. Each copy of ``web`` has an address of its own (127.0.0.2, 127.0.0.3). Where the tests run as root,
the processes run as somebody else who may write to /tmp only, as they do in the image.
"""

import base64
import hashlib
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.composefile import (
    ROOT,
    build_steps,
    compose_file,
    image_command,
    image_environment,
    interpolated,
    own_services,
)
from tests.services import free_port

IMAGE_UID = "10001"
START_TIMEOUT = 60
STOP_TIMEOUT = 30
WEB_ADDRESSES = ("127.0.0.2", "127.0.0.3")


def lesser() -> list[str]:
    """Return what to begin a command with so that it runs as the image's user: nothing where the tests are not root.

    It may read everything, because a virtual environment may lie in root's own folder, and write what is its own.
    """
    if os.geteuid() != 0:
        return []
    words = ["setpriv", "--reuid", IMAGE_UID, "--regid", IMAGE_UID, "--clear-groups", "--no-new-privs"]
    for which in ("--inh-caps", "--ambient-caps", "--bounding-set"):
        words += [which, "-all,+dac_read_search"]
    allowed = subprocess.run([*words, sys.executable, "-c", ""], stderr=subprocess.DEVNULL, check=False)
    return words if allowed.returncode == 0 else []


@dataclass
class Process:
    """A service that was started. ``address`` is where a web process listens."""

    service: str
    popen: "subprocess.Popen[bytes]"
    log: Path
    address: str = ""

    def stop(self) -> int:
        """Stop it as an engine does, and return its exit status."""
        if self.popen.poll() is None:
            self.popen.terminate()
        try:
            return self.popen.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it and all its children, as a machine that loses its power would."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


@dataclass
class Stack:
    """The services of docker-compose.yml on this machine."""

    folder: Path
    database_url: str
    redis_url: str
    prefix: list[str] = field(default_factory=lesser)
    port: int = field(default_factory=free_port)
    """Where the proxy stands, or would: the port of the issuer."""
    web_port: int = field(default_factory=free_port)
    mail_port: int = field(default_factory=free_port)
    more: dict[str, str] = field(default_factory=dict)
    """Settings on top of the file's, for every process."""
    processes: list[Process] = field(default_factory=list)

    @property
    def app(self) -> Path:
        return self.folder / "app"

    @property
    def issuer_base(self) -> str:
        return f"http://localhost:{self.port}"

    @cached_property
    def services(self) -> dict[str, dict[str, Any]]:
        return own_services(compose_file())

    def build(self) -> None:
        """Make the image and the secret files."""
        ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
        patterns = [word.removeprefix("**/") for word in ignored]
        shutil.copytree(ROOT, self.app, ignore=shutil.ignore_patterns(*patterns), symlinks=True)
        environment = {"PATH": os.environ["PATH"]}
        for step in build_steps():
            words = re.sub(r"(?<=[ (])(/opt/venv/bin/)?python(?= )", sys.executable, f" {step}")
            subprocess.run(["sh", "-c", words], cwd=self.app, env=environment, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(
            ["sh", str(ROOT / "examples/make_secrets.sh"), str(self.folder / "secrets")],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (self.folder / "secrets/database_url").write_text(self.database_url, encoding="utf-8")
        (self.folder / "secrets").chmod(0o755)  # nobody but these processes is kept out by an engine
        (self.folder / "tmp").mkdir()
        (self.folder / "tmp").chmod(0o777)

    def local(self, text: str, address: str = "127.0.0.1") -> str:
        """Return a word of the file as it must be on this machine."""
        text = interpolated(text)
        redis = urlsplit(self.redis_url)
        for name, value in (
            ("/tmp/", f"{self.folder}/tmp/"),  # noqa: S108 - the container's own
            ("redis://redis:6379", f"redis://{redis.netloc}"),
            ("smtp://mail:1025", f"smtp://127.0.0.1:{self.mail_port}"),
            ("http://localhost:8000", self.issuer_base),
            ("http://127.0.0.1:8000", f"http://{address}:{self.web_port}"),
            ("/run/secrets/", f"{self.folder}/secrets/"),
        ):
            text = text.replace(name, value)
        return text

    def environment(self, service: str) -> dict[str, str]:
        """Return the whole environment of a service's processes: the image's, the file's, and ``more``."""
        given = image_environment() | self.services[service]["environment"]
        local = {name: self.local(str(value)) for name, value in given.items()}
        return {"PATH": os.environ["PATH"], "HOSTNAME": service, **local, **self.more}

    def command(self, service: str, address: str = "127.0.0.1") -> list[str]:
        """Return what a service runs."""
        words = [self.local(word, address) for word in self.services[service].get("command", image_command())]
        if words[0] == "granian":
            words[words.index("--host") + 1] = address
            words[words.index("--port") + 1] = str(self.web_port)
        if words[:2] == ["celery", "--app"] and "worker" in words:
            words += ["--hostname", f"celery@{service}"]  # an engine gives each container a name of its own
        return self._run_by(words)

    def _run_by(self, words: list[str]) -> list[str]:
        program, *rest = words
        module = [] if program == "python" else ["-m", program]
        return [*self.prefix, sys.executable, *module, *rest]

    def start(self, service: str, address: str = "", **more: str) -> Process:
        """Start a service's process, with ``more`` in its environment; a web process answers when this returns."""
        log = self.folder / f"{service}-{len(self.processes)}.log"
        command = self.command(service, address or "127.0.0.1")
        if more:
            # set last of all: what is preloaded is not for the program that gives up root's rights
            at = len(self.prefix)
            command[at:at] = ["env", *(f"{name}={value}" for name, value in more.items())]
        with log.open("wb") as output:
            popen = subprocess.Popen(
                command,
                cwd=self.app,
                env=self.environment(service),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        process = Process(service, popen, log, address)
        self.processes.append(process)
        return process

    def run(self, *words: str, service: str = "web", given: str = "") -> str:
        """Run a command in a container of its own, as ``docker compose run`` does, and return what it prints."""
        done = subprocess.run(
            self._run_by(list(words)),
            cwd=self.app,
            env=self.environment(service),
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def migrate(self) -> str:
        """Run the one-off that the others wait for."""
        return self.run(*map(self.local, self.services["migrate"]["command"]), service="migrate")

    def healthy(self, process: Process) -> bool:
        """Run the health check of ``process``, as the engine would inside its container."""
        kind, *words = self.services[process.service]["healthcheck"]["test"]
        words = [self.local(word, process.address or "127.0.0.1") for word in words]
        if kind == "CMD-SHELL":
            words = shlex.split(words[0].replace("$HOSTNAME", process.service))
        done = subprocess.run(
            self._run_by(words),
            cwd=self.app,
            env=self.environment(process.service),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode == 0

    def ready(self, process: Process) -> Process:
        """Wait until a web process is ready; raise RuntimeError with its log when that does not happen."""
        wait_until(lambda: self._answers(process), lambda: process.log.read_text(errors="replace")[-3000:])
        return process

    def _answers(self, process: Process) -> bool:
        assert process.popen.poll() is None, process.log.read_text(errors="replace")[-3000:]
        try:
            return httpx.get(f"http://{process.address}:{self.web_port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """End everything that was started."""
        for process in self.processes:
            process.kill()


def wait_until(true: Callable[[], bool], words: Callable[[], str] = str, seconds: float = START_TIMEOUT) -> None:
    """Return when ``true`` is; raise RuntimeError with ``words`` when it is not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds} seconds in vain\n{words()}")
        time.sleep(0.1)


@contextmanager
def stack(database_url: str, redis_url: str, **more: str) -> Iterator[Stack]:
    """Build the image and migrate the database; end and remove all of it with the block."""
    # not pytest's own folder, which is closed to everybody else
    folder = Path(tempfile.mkdtemp(prefix="userpool-compose-"))
    folder.chmod(0o755)
    found = Stack(folder, database_url, redis_url, more=more)
    try:
        found.build()
        found.migrate()
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Turns(httpx.BaseTransport):
    """Sends one request to the first web process, the next to the second, as a proxy would that has two of them.

    ``only`` sends all of them to one. ``seen`` lists who answered what.
    """

    def __init__(self, stack: Stack, only: str = "") -> None:
        self.stack, self.only = stack, only
        self.seen: list[tuple[str, str]] = []
        self._next = 0
        self._transport = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        address = self.only or WEB_ADDRESSES[self._next % len(WEB_ADDRESSES)]
        self._next += 1
        self.seen.append((address, request.url.path))
        request.read()
        url = request.url.copy_with(host=address, port=self.stack.web_port)
        # the Host header stays the browser's
        sent = httpx.Request(request.method, url, headers=request.headers, content=request.content)
        return self._transport.handle_request(sent)


def challenge() -> tuple[str, str]:
    """Return a PKCE verifier and its challenge (RFC 7636)."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
