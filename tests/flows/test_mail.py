"""Mail, from the row in the outbox to a server that speaks SMTP: nothing is lost, and nothing is sent twice.

RFC 5321 4.2.1 (4yz may pass, 5yz will not) and 4.5.4.1 (a client keeps what could not be sent and tries again, ever
less often), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 2047 (subjects that are not ASCII), RFC 3834 5 (Auto-Submitted).
"""

import base64
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.utils import timezone

from accounts import cleanup, fields, mail, mail_transport, tasks
from accounts.models import JobRun, OutgoingMail
from tests import factories
from tests.fakes.server import tls
from tests.fakes.smtp import PASSWORD, USER, MailServer, talking
from tests.needs import needs_postgresql, needs_redis
from tests.security.test_logs import Listener
from tests.security.test_races import at_once
from tests.services import free_port
from userpool.mail_url import parse

pytestmark = pytest.mark.django_db
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}"
ADDRESS = "ada@example.test"
DAY = timedelta(days=1)


class Setup:
    """Points the settings at a server."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        settings.USERPOOL_MAIL_FROM = "Acme Sign-in <id@example.test>"
        settings.EMAIL_TIMEOUT = 10
        self.at("smtp://localhost:1")

    def at(self, url: str) -> None:
        server = parse(url)
        self.settings.EMAIL_BACKEND = server.backend
        self.settings.EMAIL_HOST, self.settings.EMAIL_PORT = server.host, server.port
        self.settings.EMAIL_HOST_USER, self.settings.EMAIL_HOST_PASSWORD = server.user, server.password
        self.settings.EMAIL_USE_TLS, self.settings.EMAIL_USE_SSL = server.starttls, server.tls


@pytest.fixture(autouse=True)
def setup(settings: Any) -> Iterator[Setup]:
    yield Setup(settings)
    mail.forget()


@pytest.fixture
def server(setup: Setup) -> Iterator[MailServer]:
    with MailServer() as running:
        setup.at(running.url())
        yield running


def queued(recipient: str = ADDRESS, text: str = "The code is 123456.", **more: Any) -> OutgoingMail:
    return mail.queue("test", [recipient], "Hello", text, **more)[0]


def again(row: OutgoingMail) -> OutgoingMail:
    row.refresh_from_db()
    return row


def later(row: OutgoingMail) -> None:
    """Let the time pass until the next attempt."""
    OutgoingMail.objects.filter(pk=row.pk, next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())


def test_a_mail_arrives_once_and_its_body_is_deleted(server: MailServer) -> None:
    subject = "Schlüssel läuft ab: 鍵"
    row = mail.queue("test", [ADDRESS], subject, "Grüße\n.\nfrom Userpool\n", html="<p>Grüße</p>")[0]
    assert tasks.send_mail() == {"sent": 1, "waiting": 0, "given_up": 0}
    assert tasks.send_mail() == {"sent": 0, "waiting": 0, "given_up": 0}
    (taken,) = server.taken
    assert (taken.sender, taken.recipient) == ("id@example.test", ADDRESS)
    message = taken.message
    assert (message["Subject"], message["To"], message["From"]) == (subject, ADDRESS, "Acme Sign-in <id@example.test>")
    assert message["Message-ID"] == row.message_id
    assert message["Message-ID"].endswith("@example.test>")
    assert message["Auto-Submitted"] == "auto-generated"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert plain.get_content().splitlines() == ["Grüße", ".", "from Userpool"]
    assert html is not None
    assert html.get_content().strip() == "<p>Grüße</p>"
    assert again(row).sent_at is not None
    assert (row.text, row.html, row.next_attempt_at, row.failure) == ("", "", None, "")
    assert JobRun.objects.get(name="send_mail").failure == ""


def test_the_body_is_sealed_while_it_waits() -> None:
    row = queued(html="<p>123456</p>")
    stored = OutgoingMail.objects.raw("SELECT id, text AS one, html AS two FROM accounts_outgoingmail")[0]
    for sealed in (stored.one, stored.two):
        assert "123456" not in sealed
        assert "123456" in fields.unseal(sealed)
    assert "123456" not in f"{row!r}{row}"


def test_each_recipient_has_a_mail_of_their_own(server: MailServer) -> None:
    """One that is refused is not the others' business, and nobody sees who else was written to."""
    server.refuse("RCPT", "550 no such user")
    rows = mail.queue("test", [ADDRESS, "grace@example.test", ADDRESS], "Hello", "...")
    assert tasks.send_mail() == {"sent": 1, "waiting": 0, "given_up": 1}
    assert [each.recipient for each in server.taken] == ["grace@example.test"]
    assert "ada" not in server.taken[0].message.as_string()
    assert [again(row).failure for row in rows] == ["SMTPRecipientsRefused 550", ""]


@pytest.mark.parametrize(
    ("verb", "reply"), [("RCPT", "450 busy"), ("DATA", "452 disk full"), ("MAIL", "451 try later")]
)
def test_what_may_pass_is_tried_again_ever_less_often(server: MailServer, verb: str, reply: str) -> None:
    """RFC 5321 4.5.4.1; a full disk (452) for three attempts: nothing is lost, and nothing is sent twice."""
    server.refuse(verb, reply, 3)
    row = queued()
    waits = []
    for attempt in range(1, 4):
        assert tasks.send_mail() == {"sent": 0, "waiting": 1, "given_up": 0}
        assert tasks.send_mail() == {"sent": 0, "waiting": 0, "given_up": 0}, "it is not due yet"
        assert again(row).attempts == attempt
        assert row.failure.endswith(reply[:3])
        assert row.next_attempt_at is not None
        waits.append(round((row.next_attempt_at - timezone.now()) / timedelta(minutes=1)))
        later(row)
    assert waits == [1, 2, 4]
    assert tasks.send_mail() == {"sent": 1, "waiting": 0, "given_up": 0}
    assert [taken.message["Message-ID"] for taken in server.taken] == [row.message_id]
    assert (again(row).failure, row.attempts) == ("", 4)


def test_the_waits_double_up_to_four_hours() -> None:
    assert [mail.delay(n) / timedelta(minutes=1) for n in (1, 2, 3, 8, 9, 10, 500)] == [1, 2, 4, 128, 240, 240, 240]


def test_after_a_day_it_is_given_up_and_not_before(server: MailServer) -> None:
    server.refuse("DATA", "451 try later", 3)
    row = queued()
    tasks.send_mail()
    OutgoingMail.objects.update(
        next_attempt_at=timezone.now(), attempts=12, retry_until=timezone.now() + timedelta(minutes=9)
    )
    assert tasks.send_mail() == {"sent": 0, "waiting": 1, "given_up": 0}
    assert again(row).next_attempt_at == row.retry_until, "one last time at the end"
    OutgoingMail.objects.update(next_attempt_at=timezone.now(), retry_until=timezone.now())
    assert tasks.send_mail() == {"sent": 0, "waiting": 0, "given_up": 1}
    assert again(row).given_up_at is not None
    assert row.next_attempt_at is None
    assert row.text, "an operator may send it again"


@pytest.mark.parametrize(("verb", "reply"), [("RCPT", "550 no such user"), ("DATA", "554 rejected")])
def test_what_will_not_pass_is_given_up_at_once_and_sent_again_by_hand(
    server: MailServer, verb: str, reply: str
) -> None:
    server.refuse(verb, reply)
    row = queued()
    assert tasks.send_mail() == {"sent": 0, "waiting": 0, "given_up": 1}
    assert again(row).failure.endswith(reply[:3])
    assert tasks.send_mail() == {"sent": 0, "waiting": 0, "given_up": 0}
    assert mail.send_again(row)
    assert tasks.send_mail() == {"sent": 1, "waiting": 0, "given_up": 0}
    assert not mail.send_again(row), "it was sent"


def test_a_refused_sender_is_our_fault_and_waits_for_the_mend(server: MailServer) -> None:
    server.refuse("MAIL", "530 authentication required")
    row = queued()
    assert tasks.send_mail() == {"sent": 0, "waiting": 1, "given_up": 0}
    assert again(row).failure == "SMTPSenderRefused 530"


def test_a_mail_whose_content_died_is_neither_sent_nor_kept(server: MailServer) -> None:
    row = queued(valid_for=timedelta(minutes=15))
    assert row.retry_until == row.expires_at
    OutgoingMail.objects.update(expires_at=timezone.now())
    assert tasks.send_mail() == {"sent": 0, "waiting": 0, "given_up": 1}
    assert (again(row).failure, row.text, server.taken) == ("Expired", "", [])
    assert not mail.send_again(row)


def test_nobody_listens_so_the_round_ends_and_all_wait(server: MailServer, setup: Setup) -> None:
    """One connection is tried for all of them: the others would each wait for nothing."""
    setup.at(f"smtp://localhost:{free_port()}")
    rows = [queued(f"user{number}@example.test") for number in range(3)]
    assert tasks.send_mail() == {"sent": 0, "waiting": 1, "given_up": 0}
    assert [again(row).attempts for row in rows] == [1, 0, 0]
    assert rows[0].failure == "ConnectionRefusedError"
    mail.send_now(rows[1].pk)
    assert again(rows[1]).attempts == 0, "a worker that need not does not try either"
    setup.at(server.url())
    later(rows[0])
    assert tasks.send_mail() == {"sent": 3, "waiting": 0, "given_up": 0}


def test_a_server_that_says_nothing_holds_nobody_for_long(setup: Setup, settings: Any) -> None:
    settings.EMAIL_TIMEOUT = 0.2
    row = queued()
    with talking(lambda _, over: over.wait(20) and None) as port:
        setup.at(f"smtp://localhost:{port}")
        tasks.send_mail()
    assert again(row).failure == "TimeoutError"


def test_a_server_that_dribbles_is_hung_up_on(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes within EMAIL_TIMEOUT; the deadline is for all of them."""
    monkeypatch.setattr(mail_transport, "DEADLINE", 0.3)

    def dribble(connection: socket.socket, over: threading.Event) -> None:
        try:
            while not over.wait(0.02):
                connection.sendall(b"2")
        except OSError:
            pass

    row = queued()
    with talking(dribble) as port:
        setup.at(f"smtp://localhost:{port}")
        tasks.send_mail()
    assert again(row).failure == "TimeoutError"


@pytest.mark.parametrize("farewell", [b"", b"221 " + b"x" * 9000 + b"\r\n"], ids=["none", "endless"])
def test_a_farewell_that_fails_does_not_send_it_twice(setup: Setup, settings: Any, farewell: bytes) -> None:
    """The mail is the server's after its 250, whatever comes of QUIT."""
    settings.EMAIL_TIMEOUT = 0.2
    heard: list[bytes] = []

    def says(connection: socket.socket, over: threading.Event) -> None:
        lines = connection.makefile("rb")
        connection.sendall(b"220 hello\r\n")
        for line in lines:
            heard.append(line)
            if line.upper().startswith(b"QUIT"):
                connection.sendall(farewell)
                over.wait(20)
                return
            if line.upper().startswith(b"DATA"):
                connection.sendall(b"354 go on\r\n")
                while lines.readline() != b".\r\n":
                    pass
            connection.sendall(b"250 OK\r\n")

    row = queued()
    with talking(says) as port:
        setup.at(f"smtp://localhost:{port}")
        assert tasks.send_mail() == {"sent": 1, "waiting": 0, "given_up": 0}
    assert any(line.upper().startswith(b"QUIT") for line in heard)
    assert again(row).sent_at is not None


def test_starttls_with_a_certificate_that_nobody_trusts_is_refused_in_words(setup: Setup, tmp_path: Path) -> None:
    context, _ = tls(tmp_path, "localhost")
    with MailServer(tls=context, require_tls=True) as server:
        setup.at(server.url("smtp+tls"))
        row = queued()
        tasks.send_mail()
        with pytest.raises(CommandError, match=r"certificate is not trusted.*SSL_CERT_FILE"):
            call_command("send_test_mail", ADDRESS)
    assert (again(row).failure, server.taken) == ("SSLCertVerificationError", [])


@pytest.mark.parametrize("scheme", ["smtp+tls", "smtp+ssl"])
def test_a_trusted_certificate_and_a_password_let_mail_through(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    context, _ = tls(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    implicit = scheme == "smtp+ssl"
    with MailServer(tls=context, require_tls=not implicit, implicit_tls=implicit, require_auth=True) as server:
        setup.at(server.url(scheme, LOGIN))
        queued()
        assert tasks.send_mail() == {"sent": 1, "waiting": 0, "given_up": 0}
    assert (server.taken[0].user, server.taken[0].encrypted) == (USER, True)


def test_a_password_is_not_sent_in_clear_to_a_server_that_wants_starttls(setup: Setup, tmp_path: Path) -> None:
    """RFC 3207 6: somebody in between may take the offer of STARTTLS out. smtp+tls:// insists."""
    with MailServer(require_auth=True) as server:
        setup.at(server.url("smtp+tls", LOGIN))
        row = queued()
        tasks.send_mail()
    assert (again(row).failure, server.taken) == ("SMTPNotSupportedError", [])


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("smtp://localhost:{closed}", "Nothing listens at the host and port in EMAIL_URL"),
        ("smtp://no-such-host.invalid:25", "cannot be resolved"),
        ("smtp://userpool:wrong@localhost:{open}", "does not accept the user and password"),
        ("smtp+ssl://localhost:{open}", "smtp+ssl:// is for a port that speaks TLS from the first byte"),
        ("smtp+tls://localhost:{open}", "does not offer what EMAIL_URL asks for"),
        ("smtp://localhost:{open}", "It wants a user and a password"),
    ],
)
def test_the_test_mail_says_what_is_wrong(setup: Setup, url: str, words: str) -> None:
    with MailServer(require_auth=True) as server:
        setup.at(url.format(closed=free_port(), open=server.port))
        with pytest.raises(CommandError) as refused:
            call_command("send_test_mail", ADDRESS)
    assert words in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert server.taken == []


def test_the_test_mail_arrives_past_the_outbox(server: MailServer, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("send_test_mail", ADDRESS)
    printed = capsys.readouterr().out
    assert f"To localhost, port {server.port}, no encryption, without signing in, as Acme Sign-in" in printed
    assert f"it was taken for {ADDRESS}" in printed
    assert len(server.taken) == 1
    assert not OutgoingMail.objects.exists()


def test_the_test_mail_wants_an_address_and_mail_switched_on(settings: Any) -> None:
    with pytest.raises(CommandError, match="is not an address"):
        call_command("send_test_mail", "ada")
    settings.USERPOOL_MAIL_FROM = ""
    with pytest.raises(CommandError, match=r"Mail is off\. Set EMAIL_URL"):
        call_command("send_test_mail", ADDRESS)


@pytest.mark.parametrize(
    "recipient",
    ["", "ada", "ada@", "ada@example.test\nBcc: eve@example.test", "ada@example.test\n",
     "a@example.test, b@example.test", "Ada <ada@example.test>", "ädä@example.test", "a" * 310 + "@example.test"],
)  # fmt: skip
def test_what_is_no_address_is_refused(recipient: str) -> None:
    with pytest.raises(ValidationError):
        queued(recipient)
    assert not OutgoingMail.objects.exists()


@pytest.mark.parametrize(
    "subject", ["", "Hello\nBcc: eve@example.test", "Hello\r\n\r\nbody", "a\x00b", "a\u2028b", "a" * 201]
)
def test_what_is_no_subject_is_refused(subject: str) -> None:
    """RFC 5322 2.2: a header ends with its line, and another may be written behind it."""
    with pytest.raises(ValidationError):
        mail.queue("test", [ADDRESS], subject, "...")
    assert not OutgoingMail.objects.exists()


def test_only_so_many_are_written_to_at_once() -> None:
    for many in ([], [f"user{n}@example.test" for n in range(mail.MAX_RECIPIENTS + 1)]):
        with pytest.raises(ValidationError, match="1 to 50"):
            mail.queue("test", many, "Hello", "...")


def test_an_international_domain_is_sent_as_dns_has_it(server: MailServer) -> None:
    queued("ada@münchen.example")
    tasks.send_mail()
    assert server.taken[0].recipient == "ada@xn--mnchen-3ya.example"


def test_of_two_with_one_key_there_is_one() -> None:
    one, two = (queued(key="welcome:4711") for _ in range(2))
    assert one.pk == two.pk
    assert queued("grace@example.test", key="welcome:4711").pk != one.pk
    assert queued().pk != queued().pk


def test_without_mail_settings_nothing_is_queued_and_that_is_said(settings: Any) -> None:
    queued()
    settings.USERPOOL_MAIL_FROM = ""
    with pytest.raises(mail.MailOff, match="Set EMAIL_URL and USERPOOL_MAIL_FROM"):
        queued()
    assert tasks.send_mail() == {"sent": 0, "waiting": 0, "given_up": 0}
    assert OutgoingMail.objects.get().attempts == 0


def test_a_transaction_that_is_rolled_back_sends_nothing(server: MailServer) -> None:
    with transaction.atomic():
        queued()
        transaction.set_rollback(True)
    assert not OutgoingMail.objects.exists()
    assert tasks.send_mail() == {"sent": 0, "waiting": 0, "given_up": 0}
    assert server.taken == []


def test_what_cannot_be_opened_waits_for_its_key_and_stops_nobody(server: MailServer, settings: Any) -> None:
    old, new = settings.USERPOOL_ENCRYPTION_KEYS, [b"another encryption key, 32 bytes"]
    settings.USERPOOL_ENCRYPTION_KEYS = new
    row = queued()
    settings.USERPOOL_ENCRYPTION_KEYS = old
    queued("grace@example.test")
    assert tasks.send_mail() == {"sent": 1, "waiting": 1, "given_up": 0}
    settings.USERPOOL_ENCRYPTION_KEYS = new + old
    assert again(row).failure == "Unreadable"
    later(row)
    assert tasks.send_mail() == {"sent": 1, "waiting": 0, "given_up": 0}


def test_a_mail_goes_with_its_pool(server: MailServer) -> None:
    pool = factories.make_pool()
    queued(pool=pool)
    pool.delete()
    assert tasks.send_mail() == {"sent": 0, "waiting": 0, "given_up": 0}


def test_what_is_over_is_deleted_after_a_week_and_what_waits_is_not(server: MailServer) -> None:
    server.refuse("RCPT", "550 no such user")
    for name in ("lost", "sent"):
        queued(f"{name}@example.test")
    tasks.send_mail()
    queued("waits@example.test")
    cleanup.purge_expired()
    assert OutgoingMail.objects.count() == 3
    OutgoingMail.objects.update(created_at=timezone.now() - cleanup.MAIL_KEPT)
    assert cleanup.purge_expired()["OutgoingMail"] == 2
    assert OutgoingMail.objects.get().recipient == "waits@example.test"


def test_neither_addresses_nor_bodies_are_logged(server: MailServer, setup: Setup) -> None:
    listener = Listener()
    root = logging.getLogger()
    root.addHandler(listener)
    before = root.level
    root.setLevel(logging.DEBUG)
    served = logging.getLogger("mail.log")  # what the fake server says of itself is not ours
    served.propagate = False
    try:
        for verb, reply in (("RCPT", f"550 {ADDRESS} is unknown"), ("DATA", f"451 {ADDRESS}"), ("MAIL", "530 who?")):
            server.refuse(verb, reply)
            queued()
            tasks.send_mail()
        queued()
        tasks.send_mail()
        setup.at(f"smtp://{USER}:{PASSWORD}@localhost:{free_port()}")
        queued()
        tasks.send_mail()
    finally:
        served.propagate = True
        root.removeHandler(listener)
        root.setLevel(before)
    text = "\n".join(listener.lines)
    assert text.count("mail sent") >= 1
    assert "SMTPRecipientsRefused 550" in text
    for secret in (ADDRESS, "ada@", "123456", PASSWORD, "is unknown"):
        assert secret not in text, secret


def test_redis_may_be_away(server: MailServer, settings: Any, django_capture_on_commit_callbacks: Any) -> None:
    """The message to a worker is lost, the row is not: the job finds it. Redis is asked once for both mails."""
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    listener = Listener()
    logging.getLogger("userpool.mail").addHandler(listener)
    try:
        for _ in range(2):
            with django_capture_on_commit_callbacks(execute=True) as callbacks:
                queued()
            assert len(callbacks) == 1
    finally:
        logging.getLogger("userpool.mail").removeHandler(listener)
    said = [line for line in listener.lines if line.startswith("userpool.mail")]
    assert said == ["userpool.mail mail waits for the scheduled job: no broker"]
    assert tasks.send_mail() == {"sent": 2, "waiting": 0, "given_up": 0}


@needs_redis
def test_a_worker_is_told_once_it_is_committed(settings: Any, django_capture_on_commit_callbacks: Any) -> None:
    """With Redis nobody waits for the schedule. The message holds a number, and nothing of the mail."""
    broker = redis.Redis.from_url(settings.REDIS_URL)
    broker.delete("celery")
    with django_capture_on_commit_callbacks() as callbacks:
        row = queued()
    assert broker.llen("celery") == 0
    for callback in callbacks:
        callback()
    (message,) = broker.lrange("celery", 0, -1)
    broker.delete("celery")
    told = json.loads(message)
    assert told["headers"]["task"] == "accounts.tasks.send_one_mail"
    assert json.loads(base64.b64decode(told["body"]))[0] == [row.pk]
    assert ADDRESS.encode() not in base64.b64decode(told["body"]) + message


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_sends_it(server: MailServer) -> None:
    row = queued()
    at_once(lambda _: mail.send_now(row.pk), 8)
    assert len(server.taken) == 1
    assert again(row).attempts == 1


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_key_that_is_queued_twice_at_once_makes_one_mail() -> None:
    rows = at_once(lambda _: queued(key="welcome:4711").pk, 8)
    assert len(set(rows)) == 1
    assert OutgoingMail.objects.count() == 1


@needs_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("verb", "copies"), [("RCPT", 1), ("DATA", 2)])
def test_the_mail_of_a_worker_that_was_killed_is_sent_later(server: MailServer, verb: str, copies: int) -> None:
    """At least once: one that dies between the 250 and its commit sends it again, under the same Message-ID."""
    row = queued()
    child = 0
    ready, told = os.pipe()
    connections.close_all()  # a child must not share a connection
    child = os.fork()
    if child == 0:
        os.read(ready, 1)
        mail.send_now(row.pk)
        os._exit(0)

    server.meanwhile[verb] = lambda: os.kill(child, signal.SIGKILL)
    os.write(told, b".")
    _, status = os.waitpid(child, 0)
    for end in (ready, told):
        os.close(end)
    assert os.WTERMSIG(status) == signal.SIGKILL
    server.meanwhile.clear()
    assert tasks.send_mail() == {"sent": 0, "waiting": 0, "given_up": 0}, "it is still the dead worker's"
    assert again(row).next_attempt_at is not None
    later(row)  # its lease ends
    assert tasks.send_mail() == {"sent": 1, "waiting": 0, "given_up": 0}
    assert {each.message["Message-ID"] for each in server.taken} == {row.message_id}
    assert len(server.taken) == copies


def test_a_worker_that_outlived_its_lease_does_not_speak_for_its_successor(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = queued()
    real = mail_transport.deliver

    def slow(message: Any) -> Any:
        found = real(message)
        OutgoingMail.objects.update(next_attempt_at=timezone.now() + mail.LEASE * 2)  # another took it meanwhile
        return found

    monkeypatch.setattr(mail_transport, "deliver", slow)
    assert tasks.send_mail() == {"sent": 0, "waiting": 0, "given_up": 0}
    assert again(row).sent_at is None


def test_no_transaction_is_open_while_the_server_is_waited_for(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    connection = connections["default"]
    outside = len(connection.savepoint_ids)
    monkeypatch.setattr(mail_transport, "deliver", lambda _: seen.append(len(connection.savepoint_ids)))
    queued()
    tasks.send_mail()
    assert seen == [outside]
