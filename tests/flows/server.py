"""Userpool as it is run: ``manage.py migrate``, ``manage.py apply FILE``, granian, and a database of its own.

The database is SQLite in a temporary folder, or on PostgreSQL one beside the test database. Development mode saves
the collection of static files and changes nothing of the protocol.
"""

import base64
import datetime
import ipaddress
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from psycopg import sql

from tests.flows import hygiene
from tests.services import free_port, running

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Deployment:
    """A database with its secrets: what the commands and every server process share."""

    folder: Path
    database_url: str
    secret_key: str
    encryption_key: str
    root: Path = ROOT
    """The code that runs: this one, or another release's."""
    python: str = sys.executable

    def environment(self, base: str, **more: str) -> dict[str, str]:
        """The settings of a process whose issuers are under ``base``."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.root),
            "PYTHONUNBUFFERED": "1",
            "SECRET_KEY": self.secret_key,
            "USERPOOL_ENCRYPTION_KEYS": self.encryption_key,
            "USERPOOL_ISSUER_BASE_URL": base,
            "USERPOOL_DATA_DIR": str(self.folder),
            "USERPOOL_DEVELOPMENT": "1",
            "USERPOOL_LOG_LEVEL": "WARNING",
            # counted, and out of reach
            **{f"USERPOOL_RATE_LIMIT_{kind}": "1000000000" for kind in ("ADDRESS", "CLIENT", "POOL")},
            "DATABASE_URL": self.database_url,
            **more,
        }

    def manage(self, *arguments: str, **more: str) -> str:
        """Run a command, with ``more`` in its environment, and return what it prints.

        Raise AssertionError with its words when it fails.
        """
        command = [self.python, "manage.py", *arguments]
        environment = self.environment("http://localhost:1", **more)
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def apply(self, *pools: dict[str, Any]) -> str:
        """Apply each pool as a file."""
        files = [self.folder / f"{secrets.token_hex(4)}.json" for _ in pools]
        for file, pool in zip(files, pools, strict=True):
            file.write_text(json.dumps(pool), encoding="utf-8")
        return self.manage("apply", *map(str, files))


@contextmanager
def deployment(folder: Path, root: Path = ROOT, python: str = sys.executable) -> Iterator[Deployment]:
    """A migrated, empty database that is gone when the block ends; ``root`` has the code."""
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    with database(folder) as url:
        found = Deployment(folder, url, secrets.token_urlsafe(48), key, root, python)
        found.manage("migrate", "--verbosity", "0")
        yield found


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Make an empty database and yield its DATABASE_URL."""
    configured = settings.DATABASES["default"]
    if not configured["ENGINE"].endswith("postgresql"):
        yield f"sqlite:///{folder / 'userpool.sqlite3'}"
        return
    name = f"userpool_flows_{secrets.token_hex(6)}"
    address = {"host": configured["HOST"], "port": configured["PORT"] or 5432, "user": configured["USER"]}
    address |= {"password": configured["PASSWORD"], "dbname": "postgres"}
    with psycopg.connect(**address, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            user = quote(configured["USER"], safe="") + (
                f":{quote(configured['PASSWORD'], safe='')}" * bool(configured["PASSWORD"])
            )
            port = f":{configured['PORT']}" if configured["PORT"] else ""
            yield f"postgres://{user}@{quote(configured['HOST'], safe='')}{port}/{name}"
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@dataclass(frozen=True)
class Server:
    """A running Userpool. ``certificate`` is the file to trust it by, on https."""

    base: str
    pool_id: str
    certificate: Path | None = None

    @property
    def issuer(self) -> str:
        return f"{self.base}/{self.pool_id}"

    @cached_property
    def discovery(self) -> dict[str, Any]:
        """The issuer's discovery document."""
        found: dict[str, Any] = self.http.get(f"{self.issuer}/.well-known/openid-configuration").json()
        return found

    @cached_property
    def trust(self) -> ssl.SSLContext | bool:
        """What to verify the server's certificate with."""
        return ssl.create_default_context(cafile=str(self.certificate)) if self.certificate else True

    @cached_property
    def http(self) -> httpx.Client:
        """A client that trusts this server."""
        return httpx.Client(verify=self.trust, timeout=30)


class Heard:
    """The log of a server process, and the secrets that passed through it (watched.py)."""

    def __init__(self, log: Path, secrets_file: Path) -> None:
        self.log, self.secrets = log, secrets_file
        self.lines = 0
        self._read = 0

    def check(self) -> None:
        """Raise AssertionError when what was logged since the last time holds a secret of any time."""
        new = self.log.read_bytes()[self._read :]
        new = new[: new.rfind(b"\n") + 1]  # whole lines
        self._read += len(new)
        self.lines += new.count(b"\n")
        text = new.decode("utf-8", "replace")
        known = self.secrets.read_text(encoding="utf-8") if self.secrets.exists() else ""
        leaks = hygiene.leaks(text, map(json.loads, known.splitlines()))
        assert not leaks, f"a log holds secrets, {self.log}:\n" + "\n".join(leaks[:10])


HEARD: list[Heard] = []
"""Of every server process that runs now."""


@contextmanager
def serving(
    deployment: Deployment, pool_id: str, https: bool = False, domain_suffix: str = "", port: int = 0, **more: str
) -> Iterator[Server]:
    """Start granian on ``port`` or a free one, with TLS if ``https`` and ``more`` settings; wait until it answers."""
    port = port or free_port()
    server = Server(f"http{'s' * https}://localhost:{port}", pool_id, certificate(deployment.folder) if https else None)
    command = [deployment.python, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--blocking-threads", "4", "--no-ws", "--log-level", "warning"]
    command.append("--respawn-failed-workers")
    if server.certificate:
        key = server.certificate.with_name("key.pem")
        command += ["--ssl-certificate", str(server.certificate), "--ssl-keyfile", str(key)]
    environment = deployment.environment(server.base, USERPOOL_DOMAIN_SUFFIX=domain_suffix, **more)
    heard = Heard(deployment.folder / f"server-{port}.log", deployment.folder / f"server-{port}.secrets")
    # all that it logs, and what must not be in it
    environment |= {"USERPOOL_LOG_LEVEL": "DEBUG", hygiene.SECRETS_FILE: str(heard.secrets)}

    def answers() -> None:
        try:
            server.http.get(f"{server.base}/")
        except httpx.TransportError as error:
            raise ConnectionError from error

    # an earlier release may have no ear
    watched = (deployment.root / "tests" / "flows" / "watched.py").exists()
    command.append("tests.flows.watched:application" if watched else "userpool.wsgi:application")
    HEARD.append(heard)
    try:
        with running(command, heard.log, answers, signal.SIGTERM, cwd=deployment.root, env=environment):
            yield server
        heard.check()
    finally:
        HEARD.remove(heard)


def certificate(folder: Path) -> Path:
    """Make a self-signed certificate for this machine's own names, and its key beside it."""
    path = folder / "certificate.pem"
    if path.exists():
        return path
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in ("localhost", "*.auth.localhost")]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.joinpath("key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
