"""A mail server that speaks SMTP over a real socket (aiosmtpd, RFC 5321), keeps what it took, and refuses on demand.

``refuse("DATA", "452 full", 2)`` answers so the next two times. What stands in ``meanwhile`` for RCPT or DATA is called
when that was done and the client has not heard of it yet.
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from threading import Event, Thread
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.services import free_port

USER, PASSWORD = "userpool", "mail-server-password"


@dataclass
class Taken:
    """A message that the server said 250 to."""

    sender: str
    recipient: str
    message: EmailMessage
    user: str
    encrypted: bool


@dataclass
class MailServer:
    """One server on a port of 127.0.0.1, from ``with`` to its end."""

    tls: ssl.SSLContext | None = None
    require_tls: bool = False
    implicit_tls: bool = False
    require_auth: bool = False
    taken: list[Taken] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    meanwhile: dict[str, Callable[[], None]] = field(default_factory=dict)
    _refusals: dict[str, list[str]] = field(default_factory=dict)

    def refuse(self, verb: str, reply: str, times: int = 1) -> None:
        self._refusals.setdefault(verb, []).extend([reply] * times)

    def url(self, scheme: str = "smtp", login: str = "") -> str:
        return f"{scheme}://{login}{'@' if login else ''}localhost:{self.port}"

    def __enter__(self) -> Self:
        options: dict[str, Any] = {"hostname": "127.0.0.1", "port": self.port, "ready_timeout": 30}
        options |= {"authenticator": _authenticate, "auth_required": self.require_auth}
        if self.implicit_tls:
            options |= {"ssl_context": self.tls, "auth_require_tls": False}
        else:
            options |= {"tls_context": self.tls, "require_starttls": self.require_tls, "auth_require_tls": False}
        self._controller = Controller(self, **options)
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop(no_assert=True)

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if refusal := self._refusal("MAIL"):
            return refusal
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if refusal := self._refusal("RCPT"):
            return refusal
        envelope.rcpt_tos.append(address)
        self.meanwhile.get("RCPT", lambda: None)()
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if refusal := self._refusal("DATA"):
            return refusal
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        user = session.auth_data.login.decode() if session.auth_data else ""
        encrypted = self.implicit_tls or session.ssl is not None
        self.taken += [
            Taken(envelope.mail_from or "", recipient, message, user, encrypted) for recipient in envelope.rcpt_tos
        ]
        self.meanwhile.get("DATA", lambda: None)()
        return "250 OK"

    def _refusal(self, verb: str) -> str:
        left = self._refusals.get(verb)
        return left.pop(0) if left else ""


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any) -> AuthResult:
    good = isinstance(login, LoginPassword) and (login.login, login.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False, auth_data=login)


@contextmanager
def talking(says: Callable[[socket.socket, Event], None]) -> Iterator[int]:
    """A port where ``says`` has the first connection to itself; it gets an Event that is set at the end."""
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                says(connection, over)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join(20)
