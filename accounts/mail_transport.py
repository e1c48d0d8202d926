"""Handing one mail to the server that EMAIL_URL names (RFC 5321), and what it means when that fails.

What goes wrong is told by the exception's class and the server's code, and by nothing else: the words of both quote
addresses. Whether to try again is RFC 5321 4.2.1: 4yz may pass, 5yz will not. That holds for what is said of the
recipient or the message. What is said of the sender, the password or the encryption is about our settings, whose mend
is an operator's, so mail waits for it.
"""

import smtplib
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends import smtp

DEADLINE = 120  # seconds for one mail: EMAIL_TIMEOUT bounds each answer's silences, not a server that dribbles


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a mail was not taken, without a word of the server's."""

    name: str
    code: int = 0
    permanent: bool = False
    unreachable: bool = False
    """The next mail would fare no better."""

    def __str__(self) -> str:
        return f"{self.name} {self.code}" if self.code else self.name


def deliver(message: EmailMessage) -> Failure | None:
    """Hand ``message`` over; return None once the server has taken it, or why it has not."""
    backend = get_connection()
    try:
        backend.open()
        backend.send_messages([message])
    except (smtplib.SMTPException, OSError) as error:
        return Failure("TimeoutError", unreachable=True) if _was_slow(backend, error) else _failure(error)
    finally:
        # a farewell that fails is no failure: after its 250 the server has the mail, and it must not be sent again
        with suppress(smtplib.SMTPException, OSError):
            backend.close()
    return None


def _was_slow(backend: Any, error: Exception) -> bool:
    # smtplib tells of a silence as of a server that hung up
    return getattr(backend, "hung_up", False) or isinstance(error.__context__, TimeoutError)


def _failure(error: Exception) -> Failure:
    name = type(error).__name__
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        code = codes[0] if codes else 0
        return Failure(name, code, permanent=500 <= code < 600, unreachable=code == 421)
    if isinstance(error, smtplib.SMTPDataError):
        return Failure(
            name, error.smtp_code, permanent=500 <= error.smtp_code < 600, unreachable=error.smtp_code == 421
        )
    if isinstance(error, smtplib.SMTPResponseException):
        return Failure(name, max(error.smtp_code, 0), unreachable=True)
    return Failure(name, unreachable=True)


class _Watched:
    """Lets the connection be found while it is being made."""

    sock: socket.socket | None

    def __init__(self, *args: Any, found: list[Any], **kwargs: Any) -> None:
        found[:] = [self]
        super().__init__(*args, **kwargs)


class _Smtp(_Watched, smtplib.SMTP):
    """Without TLS, or with STARTTLS."""


class _SmtpTls(_Watched, smtplib.SMTP_SSL):
    """TLS from the first byte."""


class SmtpBackend(smtp.EmailBackend):
    """Django's, with one deadline for the whole conversation: it hangs up on a server that answers a byte at a time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._found: list[Any] = []
        self._timer: threading.Timer | None = None
        self.hung_up = False

    @property
    def connection_class(self) -> Any:
        return partial(_SmtpTls if self.use_ssl else _Smtp, found=self._found)

    def open(self) -> bool | None:
        if self._timer is None:
            self._timer = threading.Timer(DEADLINE, self._hang_up)
            self._timer.daemon = True
            self._timer.start()
        return super().open()

    def close(self) -> None:
        try:
            super().close()
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _hang_up(self) -> None:
        self.hung_up = True
        for connection in self._found:
            if (sock := getattr(connection, "sock", None)) is not None:
                with suppress(OSError):
                    # not the method of an SSL socket, which forgets the encryption that another thread reads through
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
