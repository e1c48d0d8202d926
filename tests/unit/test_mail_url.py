"""The settings of outgoing mail: what EMAIL_URL means, and that a mistake is told with its mend, without the password.

The schemes are those of dj-email-url; RFC 8314 3.3 and RFC 6409 3.1 for the ports, RFC 3986 2.1 for percent-encoding.
"""

from pathlib import Path

import pytest

from userpool import mail_url
from userpool.env import Environment

SMTP = "accounts.mail_transport.SmtpBackend"


def problems(**environment: str) -> list[str]:
    env = Environment(environment)
    mail_url.read(env)
    return env.problems


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", (SMTP, "mail.example.com", 25, "", "", False, False)),
        ("smtp://mail:1025/", (SMTP, "mail", 1025, "", "", False, False)),
        ("smtp+tls://u:p@mail", (SMTP, "mail", 587, "u", "p", True, False)),
        ("SMTP+SSL://u:p@Mail", (SMTP, "mail", 465, "u", "p", False, True)),
        ("smtp+tls://a%40b.test:p%2F%3F%23%3A%40@mail:2525", (SMTP, "mail", 2525, "a@b.test", "p/?#:@", True, False)),
        ("smtp://[::1]:25", (SMTP, "::1", 25, "", "", False, False)),
        ("console://", ("django.core.mail.backends.console.EmailBackend", "", 25, "", "", False, False)),
        ("locmem://", ("django.core.mail.backends.locmem.EmailBackend", "", 25, "", "", False, False)),
    ],
)  # fmt: skip
def test_a_url_says_where_mail_goes(url: str, expected: tuple[object, ...]) -> None:
    found = mail_url.parse(url)
    assert (found.backend, found.host, found.port, found.user, found.password, found.starttls, found.tls) == expected
    assert "p/?#:@" not in repr(found)


def test_a_folder_is_a_whole_path() -> None:
    assert mail_url.parse("file:///var/lib/my%20mail").folder == "/var/lib/my mail"


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("mail.example.com", "give smtp+tls://user:password@host:587"),
        ("smtps://u:s3cret@mail", "give smtp+tls://user:password@host:587"),
        ("smtp://", "the host is missing"),
        ("smtp://u:s3cret@", "the host is missing"),
        ("smtp://mail:port", "cannot be read"),
        ("smtp://u:s3cret/x@mail", "%2F for /"),
        ("smtp://mail:99999", "cannot be read"),
        ("smtp://mail/s3cret", "nothing may follow the port"),
        ("smtp://mail?tls=1", "nothing may follow the port"),
        ("smtp://s3cret@mail", "both user and password"),
        ("smtp://:s3cret@mail", "both user and password"),
        ("file://var/mail", "whole path"),
    ],
)
def test_a_mistake_is_told_with_its_mend_and_without_the_password(url: str, mend: str) -> None:
    (told,) = problems(EMAIL_URL=url, USERPOOL_MAIL_FROM="id@example.com")
    assert told.startswith("EMAIL_URL: ")
    assert mend in told
    assert "s3cret" not in told


@pytest.mark.parametrize(
    "sender", ["", "id", "Acme <id>", "Acme id@example.com", "a@example.com\nBcc: b@example.com", "<>"]
)
def test_mail_needs_a_sender(sender: str) -> None:
    (told,) = problems(EMAIL_URL="smtp://mail", USERPOOL_MAIL_FROM=sender)
    assert told.startswith("USERPOOL_MAIL_FROM: mail needs a sender.")


@pytest.mark.parametrize("sender", ["id@example.com", "Acme <id@example.com>", "Ämter <id@münchen.example>"])
def test_a_sender_may_have_a_name(sender: str) -> None:
    env = Environment({"EMAIL_URL": "smtp://mail", "USERPOOL_MAIL_FROM": sender, "EMAIL_TIMEOUT": "5"})
    found = mail_url.read(env)
    assert (env.problems, found.sender, found.timeout) == ([], sender, 5)


def test_alerts_go_to_addresses_and_need_mail() -> None:
    assert problems(USERPOOL_ALERT_EMAILS="ops@example.com")[0].startswith("USERPOOL_ALERT_EMAILS: nothing can be sent")
    given = {"EMAIL_URL": "smtp://mail", "USERPOOL_MAIL_FROM": "id@example.com"}
    (told,) = problems(**given, USERPOOL_ALERT_EMAILS="ops@example.com, ops")
    assert "ops is not an address" in told
    env = Environment({**given, "USERPOOL_ALERT_EMAILS": "ops@example.com, duty@example.com"})
    assert mail_url.read(env).alerts == ["ops@example.com", "duty@example.com"]


@pytest.mark.parametrize("seconds", ["0", "61", "soon"])
def test_a_timeout_is_between_a_second_and_a_minute(seconds: str) -> None:
    assert any(told.startswith("EMAIL_TIMEOUT: ") for told in problems(EMAIL_TIMEOUT=seconds))


def test_without_a_url_there_is_no_mail_and_in_development_a_folder(tmp_path: Path) -> None:
    assert (mail_url.read(Environment({})).sender, problems()) == ("", [])
    env = Environment({})
    found = mail_url.read(env, tmp_path / "my data")
    assert (env.problems, found.server.folder) == ([], str(tmp_path / "my data" / "mail"))
    assert found.sender


def test_the_url_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "email_url"
    path.write_text("smtp+tls://u:p@mail\n")
    env = Environment({"EMAIL_URL_FILE": str(path), "USERPOOL_MAIL_FROM": "id@example.com"})
    assert mail_url.read(env).server.user == "u"
