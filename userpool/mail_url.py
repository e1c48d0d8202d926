"""The settings of outgoing mail, from the environment: EMAIL_URL and what goes with it, for Django's EMAIL_* settings.

``smtp+tls://`` is STARTTLS (RFC 3207), ``smtp+ssl://`` TLS from the first byte (RFC 8314 3.3): the schemes of
dj-email-url, read here so that every mistake is named with its mend.
"""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from userpool.env import Environment

PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}
BACKENDS = {"file": "filebased", "console": "console", "locmem": "locmem"}
SCHEMES = ", ".join(f"{scheme}://" for scheme in (*PORTS, *BACKENDS))
LONGEST_TIMEOUT = 60  # seconds; a mail that is being sent is another worker's after five minutes (accounts/mail.py)
NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail goes: Django's backend and its parameters."""

    backend: str = NO_MAIL
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool = False
    tls: bool = False
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """The settings of outgoing mail; without a ``sender`` there is none."""

    server: Server
    sender: str
    alerts: list[str]
    timeout: int


def read(env: Environment, development: Path | None = None) -> Mail:
    """Return the settings; what is wrong is noted in ``env``. ``development`` is the data folder of such a machine."""
    folder = quote(str((development / "mail").resolve())) if development is not None else ""
    url = env.text("EMAIL_URL", f"file://{folder}" if folder else "")
    sender = env.text("USERPOOL_MAIL_FROM", "Userpool <userpool@localhost>" if folder else "")
    alerts, timeout = env.words("USERPOOL_ALERT_EMAILS"), env.number("EMAIL_TIMEOUT", 10)
    if not 0 < timeout <= LONGEST_TIMEOUT:
        env.problems.append(f"EMAIL_TIMEOUT: give seconds, from 1 to {LONGEST_TIMEOUT}.")
    for address in alerts:
        if not _is_address(address):
            env.problems.append(f"USERPOOL_ALERT_EMAILS: {address} is not an address such as ops@example.com.")
    if not url:
        if alerts:
            env.problems.append("USERPOOL_ALERT_EMAILS: nothing can be sent there. Set EMAIL_URL, or leave this out.")
        return Mail(Server(), "", [], timeout)
    if not _is_address(address_of(sender)):
        env.problems.append(
            "USERPOOL_MAIL_FROM: mail needs a sender. Give one such as id@example.com or Acme <id@example.com>."
        )
    try:
        return Mail(parse(url), sender, alerts, timeout)
    except ValueError as error:
        env.problems.append(f"EMAIL_URL: {error}")
        return Mail(Server(), "", [], timeout)


def parse(url: str) -> Server:
    """Return what ``url`` says; raise ValueError with the mend. The words never hold the URL: a password is in it."""
    scheme, _, rest = url.partition("://")
    scheme = scheme.removesuffix(":").lower()
    if scheme == "file":
        path = unquote(rest)
        if not path.startswith("/"):
            raise ValueError("give the folder as a whole path: file:///var/lib/userpool/mail.")
        return Server("django.core.mail.backends.filebased.EmailBackend", folder=path)
    if scheme in BACKENDS:
        return Server(f"django.core.mail.backends.{BACKENDS[scheme]}.EmailBackend")
    if scheme not in PORTS:
        raise ValueError(f"give smtp+tls://user:password@host:587, or one of {SCHEMES}.")
    return _smtp(scheme, url)


def address_of(sender: str) -> str:
    """Return the address alone of ``Name <address>``; empty when there is none."""
    if "\n" in sender or "\r" in sender:
        return ""
    name, bracket, address = sender.rpartition("<")
    return address.removesuffix(">") if bracket and address.endswith(">") and "<" not in name else sender


def _smtp(scheme: str, url: str) -> Server:
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[scheme]
    except ValueError as error:
        raise ValueError(
            "host or port cannot be read. In user and password, write what is not a letter or a digit as "
            "%40 for @, %2F for / and so on."
        ) from error
    if not parts.hostname:
        raise ValueError("the host is missing. Give smtp+tls://user:password@host:587.")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("nothing may follow the port. If the password has a /, ? or #, write %2F, %3F or %23 for it.")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError("give both user and password, or neither.")
    return Server(
        "accounts.mail_transport.SmtpBackend", parts.hostname, port, user, password,
        starttls=scheme == "smtp+tls", tls=scheme == "smtp+ssl",
    )  # fmt: skip


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True
