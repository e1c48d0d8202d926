"""``manage.py demo``: Userpool on one machine, with a pool, its sign-in page, a sample client app and the schedule.

For development only. It migrates the database of the data folder, applies examples/demo.yaml, and makes an operator.
The demo pool signs people in through two companies as well: a second pool plays an OpenID Provider, and a third
process, examples/development_idp.py, a SAML identity provider. The server and the sample app are processes of their
own too; the scheduled jobs run here, in a thread of Celery's, so that exactly one process runs them. Everything ends
with this command: Ctrl-C, SIGTERM, or a closed terminal.
"""

import contextlib
import io
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from celery import current_app
from celery.beat import EmbeddedService, Scheduler
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.management.demo_file import IDP_PORT, PORT, SAMPLE_PORT, Addresses, Demo
from accounts.models import Operator
from accounts.provider_details import SAML_METADATA

START_TIMEOUT = 60
STOP_TIMEOUT = 15
OPERATOR = "admin"
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Command(BaseCommand):
    """Runs until it is told to stop."""

    help = "Runs Userpool with a demo pool, a sample client app and the scheduled jobs, on this machine."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=PORT, help="of Userpool")
        parser.add_argument("--sample-port", type=int, default=SAMPLE_PORT, help="of the sample app")
        parser.add_argument("--idp-port", type=int, default=IDP_PORT, help="of the SAML identity provider")

    def handle(self, *args: Any, port: int, sample_port: int, idp_port: int, **options: Any) -> None:
        if not settings.USERPOOL_DEVELOPMENT:
            raise CommandError("The demo is for development: USERPOOL_DEVELOPMENT=1 python manage.py demo")
        for number in STOPPING:
            signal.signal(number, _interrupt)
        at = Addresses(*(f"http://localhost:{each}" for each in (port, sample_port, idp_port)))
        for needed, option in ((port, "--port"), (sample_port, "--sample-port"), (idp_port, "--idp-port")):
            require_free(needed, option)
        try:
            call_command("migrate", verbosity=0)
            demo = self.apply(at)
            password = operator_password(settings.USERPOOL_DATA_DIR / "demo-operator-password")
            with contextlib.ExitStack() as running:
                server = running.enter_context(process(server_command(port), at.server))
                idp = running.enter_context(process(idp_command(at, demo, idp_port), at.server, capture=True))
                wait_for(f"{at.server}/{demo.pool_id}/.well-known/jwks.json", server)
                app = running.enter_context(process(sample_command(at, demo, sample_port), at.server, capture=True))
                link, home = printed_link(app, "The sample app"), printed_link(idp, "The development IdP")
                running.enter_context(schedule())
                self.stdout.write(words(link, home, at, demo, password))
                self.stdout.flush()
                watch({"The server": server, "The sample app": app, "The development IdP": idp})
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")

    def apply(self, at: Addresses) -> Demo:
        """Apply the demo pools, moved to the ports of this run."""
        source = settings.BASE_DIR / "examples" / "demo.yaml"
        text = source.read_text(encoding="utf-8")
        moved = at.move(text)
        if moved != text:
            source = settings.USERPOOL_DATA_DIR / "demo.yaml"
            source.write_text(moved, encoding="utf-8")
        call_command("apply", str(source), stdout=io.StringIO())
        return Demo.read(moved, at)


def _interrupt(number: int, frame: object) -> None:
    """Begin to stop, once: a second Ctrl-C must not leave a child behind."""
    for each in STOPPING:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def require_free(port: int, option: str) -> None:
    """Raise CommandError when something listens on ``port``."""
    with socket.socket() as probe:
        # as servers do: a port that was closed a moment ago is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(
                f'Port {port} is in use. Stop what listens there, or choose another: make demo ARGS="{option} 8080"'
            ) from error


def operator_password(path: Path) -> str:
    """Make the demo's operator once and return the password, which is kept in ``path``; empty when it was changed."""
    operator = Operator.objects.filter(username=OPERATOR).first()
    if operator is None or not path.exists():
        operator = operator or Operator(username=OPERATOR, is_staff=True, is_superuser=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(12), encoding="utf-8")
        operator.set_password(path.read_text(encoding="utf-8"))
        operator.save()
    password = path.read_text(encoding="utf-8")
    return password if operator.check_password(password) else ""


def server_command(port: int) -> list[str]:
    module, _, attribute = settings.WSGI_APPLICATION.rpartition(".")
    # more than one thread: a pool may be another pool's identity provider, and then the server calls itself
    threads = ["--workers", "1", "--blocking-threads", "4"]
    quiet = ["--no-ws", "--no-access-log", "--log-level", "warning"]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "granian", "--interface", "wsgi", *address, *threads, *quiet, f"{module}:{attribute}"]


def sample_command(at: Addresses, demo: Demo, port: int) -> list[str]:
    script = str(settings.BASE_DIR / "examples" / "sample_app.py")
    issuer = f"{at.server}/{demo.pool_id}"
    providers = [f"--provider={company.provider}={company.name}" for company in demo.companies]
    providers.append(f"--provider={demo.partner.provider}")
    return [sys.executable, script, "--issuer", issuer, "--client-id", demo.client_id, "--port", str(port), *providers]


def idp_command(at: Addresses, demo: Demo, port: int) -> list[str]:
    metadata = f"{at.server}/{demo.pool_id}{SAML_METADATA}"
    keys = str(settings.USERPOOL_DATA_DIR / "development-idp")
    app = f"--app=Sample app={demo.partner.relay_state}"
    command = [sys.executable, "-m", "examples.development_idp", "--port", str(port)]
    return [*command, "--sp-metadata", metadata, "--data", keys, app]


@contextlib.contextmanager
def process(command: list[str], base: str, capture: bool = False) -> Iterator["subprocess.Popen[str]"]:
    """Run a child until the block ends, then ask it to stop and wait for it."""
    # the identity providers of the demo pool are on this machine and speak http
    fixed = {"USERPOOL_ISSUER_BASE_URL": base, "USERPOOL_UPSTREAM_ALLOW_PRIVATE": "1"}
    environment = {"USERPOOL_LOG_LEVEL": "WARNING"} | os.environ | fixed
    child = subprocess.Popen(  # noqa: S603 - the command is ours
        command,
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE if capture else None,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process, which stops its children in order
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(url: str, server: "subprocess.Popen[str]") -> None:
    """Wait until ``url`` answers; raise CommandError when the server ends or takes too long."""
    deadline = time.monotonic() + START_TIMEOUT
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urlopen(url, timeout=5).close()  # noqa: S310 - an http URL of our own making
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise CommandError("The server did not start; what it said stands above.")


def printed_link(child: "subprocess.Popen[str]", name: str) -> str:
    """Return the link that a child prints once it listens."""
    line = child.stdout.readline() if child.stdout else ""
    if not line.strip():
        raise CommandError(f"{name} did not start; what it said stands above.")
    return line.split()[-1]


@contextlib.contextmanager
def schedule() -> Iterator[None]:
    """Run the scheduled jobs in a thread of this process, without a broker."""
    current_app.conf.task_always_eager = True
    logging.getLogger("celery").setLevel(logging.WARNING)  # the terminal is for the links
    # a job that is not known here would be sent to a broker, and there is none
    current_app.loader.import_default_modules()
    # it sleeps for max_interval at most, and stops when it wakes
    service: Any = EmbeddedService(current_app, max_interval=1, scheduler_cls=Scheduler, thread=True)
    service.start()
    try:
        yield
    finally:
        service.stop()


def watch(children: "dict[str, subprocess.Popen[str]]") -> None:
    """Return never; raise CommandError when a child ends by itself."""
    while True:
        for name, child in children.items():
            if child.poll() is not None:
                raise CommandError(f"{name} ended unexpectedly; what it said stands above.")
        time.sleep(0.5)


def words(link: str, home: str, at: Addresses, demo: Demo, password: str) -> str:
    known = f"password {password}" if password else "and the password that you set"
    companies = "".join(
        f'\n             or with {company.name}: "Continue with {company.provider}", then'
        f"\n             as {company.account.username}, password {company.account.password}"
        for company in demo.companies
    )
    partner = demo.partner.provider
    return f"""
Userpool is running. Ctrl-C stops it.

  Sign in    {link}
             as {demo.account.username}, password {demo.account.password}{companies}
             or with {partner}: "Continue with {partner}", then choose who you are
  Sample app {at.sample}/
  {partner:<10} {home}
             a SAML identity provider, where a sign-in can begin as well
  Console    {at.server}/admin/
             as {OPERATOR}, {known}
"""
