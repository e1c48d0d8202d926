"""The outbox: mail is queued in the transaction of the change that it tells of, and sent by a worker afterwards.

Neither can be without the other: what is rolled back sends nothing, and what is committed is sent, however often the
server, the worker or Redis is away. Taking a mail is one conditional UPDATE with a lease, so two workers never send one
at once. A worker that dies between the server's 250 and our commit sends it once more: that cannot be helped (RFC 5321
4.5.3.2.6), and the Message-ID is the same, so that the receiver may drop the second.

What it leaves out: bounces that come later by mail, and addresses with letters outside ASCII before the @ (RFC 6531).
"""

import logging
import time
import unicodedata
from collections import Counter
from datetime import datetime, timedelta
from email.utils import format_datetime, make_msgid

from celery import current_app
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import F
from jwcrypto.common import JWException
from kombu.exceptions import OperationalError

from accounts import clock, mail_transport
from accounts.mail_transport import Failure
from accounts.models import OutgoingMail, UserPool

log = logging.getLogger("userpool.mail")
TASK = "accounts.tasks.send_one_mail"
LEASE = timedelta(minutes=5)
"""How long a mail is a worker's: longer than sending can take (mail_transport.DEADLINE and EMAIL_TIMEOUT)."""
FIRST_DELAY, LONGEST_DELAY = timedelta(minutes=1), timedelta(hours=4)
TRIED = timedelta(days=1)
ROUND = 120  # seconds; what is left is due in the next minute
BATCH = 100
MAX_RECIPIENTS = 50
PAUSE = 30  # seconds for which a broker or a mail server that could not be reached is not asked by who need not
BRIEFLY = {"max_retries": 0, "socket_connect_timeout": 2, "socket_timeout": 2}  # seconds
SEALED_ERRORS = (ImproperlyConfigured, JWException, ValueError)
_paused: dict[str, float] = {}


class MailOff(Exception):
    """There is no mail server: EMAIL_URL and USERPOOL_MAIL_FROM are not set."""


def enabled() -> bool:
    """Whether mail can be sent at all."""
    return bool(settings.USERPOOL_MAIL_FROM)


def queue(
    kind: str,
    recipients: list[str],
    subject: str,
    text: str,
    *,
    html: str = "",
    pool: UserPool | None = None,
    key: str = "",
    valid_for: timedelta | None = None,
) -> list[OutgoingMail]:
    """Put a mail for each of ``recipients`` into the outbox, in the caller's transaction, and return the rows.

    Of two with the same ``key`` and recipient there is one, for as long as the first is kept. ``valid_for`` is for a
    mail whose content dies, such as a code: it is not sent later, and its body goes when it does. Raise MailOff, or
    ValidationError for an address or a subject that cannot be.
    """
    if not enabled():
        raise MailOff("Mail is off. Set EMAIL_URL and USERPOOL_MAIL_FROM.")
    if not 0 < len(recipients) <= MAX_RECIPIENTS:
        raise ValidationError(f"Give 1 to {MAX_RECIPIENTS} recipients.")
    if not subject or len(subject) > 200 or any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in subject):
        raise ValidationError("A subject is one line of 1 to 200 characters.")
    now = clock.now()
    ends = now + valid_for if valid_for is not None else None
    rows = []
    for recipient in dict.fromkeys(recipients):
        validate_email(recipient)
        row = OutgoingMail(
            kind=kind, user_pool=pool, recipient=recipient, subject=subject, text=text, html=html, key=key,
            message_id=make_msgid(domain=_domain()), created_at=now, next_attempt_at=now, expires_at=ends,
            retry_until=_until(ends, now),
        )  # fmt: skip
        _message(row).message().as_bytes()  # what cannot be written down fails here, at whoever asked for it
        rows.append(_kept(row))
    return rows


def send_due(limit: int = 500) -> dict[str, int]:
    """Send what is due, for ROUND at most, and return the counts: sent, waiting (to be tried again) and given up.

    When the server cannot be reached the round ends: the others would each wait for it in vain, and stay due.
    """
    counts: Counter[str] = Counter(sent=0, waiting=0, given_up=0)
    if not enabled():
        return dict(counts)
    began = time.monotonic()
    while counts.total() < limit and time.monotonic() - began < ROUND:
        due = OutgoingMail.objects.filter(next_attempt_at__lte=clock.now()).order_by("next_attempt_at", "pk")
        found = list(due.values_list("pk", flat=True)[:BATCH])
        for pk in found:
            outcome, failure = _send(pk)
            if outcome:
                counts[outcome] += 1
            if (failure is not None and failure.unreachable) or time.monotonic() - began >= ROUND:
                return dict(counts)
        if not found:
            break
    return dict(counts)


def send_now(pk: int) -> None:
    """Send one mail that was queued just now, unless the server was not there a moment ago: then the job will."""
    if enabled() and not _is_paused("server"):
        _send(pk)


def send_again(row: OutgoingMail) -> bool:
    """Try a mail once more at once, and for another day; return whether there is anything to send."""
    now = clock.now()
    open_rows = OutgoingMail.objects.filter(pk=row.pk, sent_at=None, attempts__gt=0).exclude(text="")
    # one that is being sent right now is left alone: its worker says how it went
    free = open_rows.exclude(next_attempt_at__gt=now, failure="")
    if not free.update(
        next_attempt_at=now, given_up_at=None, failure="", attempts=0, retry_until=_until(row.expires_at, now)
    ):
        return False
    _announce(row.pk)
    return True


def forget() -> None:
    """Forget which servers were away."""
    _paused.clear()


def _until(expires_at: datetime | None, now: datetime) -> datetime:
    return now + TRIED if expires_at is None else min(expires_at, now + TRIED)


def _kept(row: OutgoingMail) -> OutgoingMail:
    """Write ``row`` and have it sent after the commit; return the one that is there if it is there already."""
    if not row.key:
        row.save(force_insert=True)
    else:
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            return OutgoingMail.objects.defer("text", "html").get(key=row.key, recipient=row.recipient)
    _announce(row.pk)
    return row


def _announce(pk: int) -> None:
    """Tell a worker once the transaction is over. Without Redis, or when the message is lost, the job finds the row."""
    if settings.REDIS_URL:
        transaction.on_commit(lambda: _tell_a_worker(pk))


def _tell_a_worker(pk: int) -> None:
    if _is_paused("broker"):
        return
    try:
        # a connection of its own: the application's would be tried for seconds, while a request waits
        with current_app.connection_for_write(settings.REDIS_URL, transport_options=BRIEFLY) as broker:
            current_app.send_task(TASK, [pk], connection=broker, retry=False)
    except OperationalError:
        _pause("broker")
        log.warning("mail waits for the scheduled job: no broker", extra={"mail": pk})


def _send(pk: int) -> tuple[str, Failure | None]:
    """Take a mail and send it; return what became of it, empty when it is another worker's or not due."""
    now = clock.now()
    lease = now + LEASE
    due = OutgoingMail.objects.filter(pk=pk, next_attempt_at__lte=now)
    if not due.update(next_attempt_at=lease, attempts=F("attempts") + 1, failure=""):
        return "", None
    failure = _attempt(pk, now)
    # no transaction is open while the server is waited for; whose lease has ended since says nothing any more
    mine = OutgoingMail.objects.filter(pk=pk, next_attempt_at=lease)
    known = mine.values("kind", "user_pool_id", "attempts", "retry_until", "expires_at").first()
    if known is None:
        log.warning("mail took longer than its lease", extra={"mail": pk})
        return "", failure
    now, facts = clock.now(), {"mail": pk, "kind": known["kind"], "pool": known["user_pool_id"]}
    if failure is None:
        mine.update(sent_at=now, next_attempt_at=None, failure="", text="", html="")
        log.info("mail sent", extra=facts)
        return "sent", None
    facts["failure"] = str(failure)
    if failure.unreachable:
        _pause("server")
    if failure.permanent or now >= known["retry_until"]:
        # what is worth something tomorrow as well keeps its sealed body, so that an operator may send it again
        dead = {} if known["expires_at"] is None else {"text": "", "html": ""}
        mine.update(given_up_at=now, next_attempt_at=None, failure=str(failure), **dead)
        log.error("mail given up", extra=facts)
        return "given_up", failure
    again = min(now + delay(known["attempts"]), known["retry_until"])
    mine.update(next_attempt_at=again, failure=str(failure))
    log.warning("mail not sent", extra=facts)
    return "waiting", failure


def delay(attempts: int) -> timedelta:
    """Return how long to wait after this many attempts: 1, 2, 4 and so on minutes, four hours at most."""
    return min(FIRST_DELAY * 2 ** min(attempts - 1, 20), LONGEST_DELAY)


def _attempt(pk: int, now: datetime) -> Failure | None:
    try:
        row = OutgoingMail.objects.filter(pk=pk).first()
    except SEALED_ERRORS:
        return Failure("Unreadable")
    if row is None:
        return Failure("Gone")  # with its pool
    if row.expires_at is not None and row.expires_at <= now:
        return Failure("Expired", permanent=True)
    try:
        return mail_transport.deliver(_message(row))
    except Exception as error:  # noqa: BLE001 - one mail must not stop the others; and its words may quote it
        return Failure(type(error).__name__)


def _message(row: OutgoingMail) -> EmailMultiAlternatives:
    headers = {
        "Message-ID": row.message_id,
        "Date": format_datetime(row.created_at),
        "Auto-Submitted": "auto-generated",  # RFC 3834: no answering machine replies
    }
    found = EmailMultiAlternatives(row.subject, row.text, settings.USERPOOL_MAIL_FROM, [row.recipient], headers=headers)
    if row.html:
        found.attach_alternative(row.html, "text/html")
    return found


def _domain() -> str:
    domain: str = settings.USERPOOL_MAIL_FROM.rpartition("@")[2].strip("<> ")
    return domain.encode("idna").decode() if domain else "localhost"


def _pause(what: str) -> None:
    _paused[what] = time.monotonic() + PAUSE


def _is_paused(what: str) -> bool:
    return _paused.get(what, 0.0) > time.monotonic()
