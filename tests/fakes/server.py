"""A small HTTP server for fakes: it speaks over a real socket, remembers what it was asked, and misbehaves on demand.

A subclass has a method for each path (``routes``). ``misbehave(path, behaviour)`` puts another in its place; a
behaviour gets the Handler itself, to write what no honest server would.
"""

import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Call:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Reply:
    """What a route answers with; a dict or a list goes out as JSON."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def encoded(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


class Handler(BaseHTTPRequestHandler):
    """One request. ``fake`` is the server that it belongs to."""

    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024  # headers and body in one packet; a behaviour that dribbles flushes by itself
    fake: "FakeServer"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode() if length else ""
        parts = urlsplit(self.path)
        self.call = Call(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            dict(parse_qsl(body, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
        )
        self.fake.calls.append(self.call)
        behaviour = self.fake.misbehaviours.get(parts.path)
        try:
            if behaviour is not None:
                behaviour(self)
                return
            route = self.fake.routes.get(parts.path)
            self.reply(route(self.call) if route else Reply({"error": "not_found"}, 404))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked has gone

    do_POST = do_GET

    def reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(reply.encoded))} | reply.headers
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.encoded)

    def log_message(self, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # fifty browsers at once must not wait for their connection


class FakeServer:
    """A server on a free port of this machine. Use it as a context manager."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.calls: list[Call] = []
        self.misbehaviours: dict[str, Callable[[Handler], None]] = {}
        self.routes: dict[str, Callable[[Call], Reply]] = {}
        self.released = Event()
        """Set when the test is over, or earlier: behaviours that hang wait for it."""
        self.arrived = Event()
        """Set when a request begins to hang."""
        handler = type("BoundHandler", (Handler,), {"fake": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.base = f"{'https' if tls else 'http'}://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def misbehave(self, path: str, behaviour: Callable[[Handler], None] | Reply) -> None:
        """Answer ``path`` with ``behaviour`` from now on."""
        if isinstance(behaviour, Reply):
            fixed = behaviour
            self.misbehaviours[path] = lambda handler: handler.reply(fixed)
        else:
            self.misbehaviours[path] = behaviour

    def called(self, path: str) -> list[Call]:
        """Return the calls of ``path``."""
        return [call for call in self.calls if call.path == path]

    @contextmanager
    def hanging(self, path: str) -> Iterator[None]:
        """Take requests to ``path`` and answer none until the block ends."""

        released = self.released

        def hang(handler: Handler) -> None:
            self.arrived.set()
            released.wait(60)
            handler.close_connection = True

        self.misbehave(path, hang)
        try:
            yield
        finally:
            self.misbehaviours.pop(path, None)  # first: who comes now is answered
            released.set()
            self.released, self.arrived = Event(), Event()

    def wait_for_arrival(self) -> None:
        """Wait until a request hangs."""
        assert self.arrived.wait(60)


# --- behaviours


def hang(handler: Handler) -> None:
    """Take the request and answer nothing until the test is over."""
    handler.fake.released.wait(60)
    handler.close_connection = True


def hang_up(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def reset(handler: Handler) -> None:
    """Break the connection off: a RST instead of a FIN."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def dribble(head: bytes, piece: bytes) -> Callable[[Handler], None]:
    """Send ``head``, then ``piece`` again and again for ten seconds; the end of it never comes."""

    def behaviour(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        handler.wfile.flush()
        for _ in range(500):
            handler.wfile.write(piece)
            handler.wfile.flush()
            if handler.fake.released.wait(0.02):
                break

    return behaviour


def tls(folder: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server speaks TLS with under a certificate that it signed itself, and a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake")])
    alternatives = [x509.DNSName(name) for name in names]
    alternatives.append(x509.IPAddress(ip_address("127.0.0.1")))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(public, private)
    return server, ssl.create_default_context(cafile=public)
