"""The console's pages of mail: what became of each, without its address and its text; sending one again.

docs/mail.md promises what is shown. Addresses are masked as GDPR's data minimisation asks (Article 5 (1) (c)).
"""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import mail
from accounts.admin.mail import masked
from accounts.models import AuditEvent, OutgoingMail, UserPool
from tests import console

LIST = "/admin/accounts/outgoingmail/"
TEXT = "The code is 123456."


@pytest.fixture(autouse=True)
def _mail(settings: Any) -> None:
    settings.USERPOOL_MAIL_FROM = "id@example.test"


@pytest.fixture
def root(pool: UserPool) -> Client:
    return console.browser(console.operator(superuser=True))


def row_of(name: str = "ada", **values: Any) -> OutgoingMail:
    row = mail.queue("test", [f"{name}@example.test"], f"Hello {name}", TEXT, html=f"<p>{TEXT}</p>")[0]
    OutgoingMail.objects.filter(pk=row.pk).update(**values)
    row.refresh_from_db()
    return row


def lost(name: str = "ada") -> OutgoingMail:
    failed = {"given_up_at": timezone.now(), "next_attempt_at": None, "attempts": 3}
    return row_of(name, failure="SMTPRecipientsRefused 550", **failed)


def page(row: OutgoingMail, *more: str) -> str:
    return "/".join([f"{LIST}{row.pk}", *(more or ("change",)), ""])


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_each_mail_says_how_it_stands_and_neither_its_text_nor_its_address(root: Client) -> None:
    now, later = timezone.now(), timezone.now() + timedelta(minutes=4)
    rows = {
        "waiting": row_of("wanda"),
        "being sent": row_of("bob", attempts=1, next_attempt_at=later),
        "tried again": row_of("trent", attempts=1, next_attempt_at=later, failure="SMTPDataError 452"),
        "sent": row_of("sue", attempts=1, next_attempt_at=None, sent_at=now),
        "given up": lost("grace"),
    }
    listed = text_of(root, LIST)
    for words, row in rows.items():
        detail = text_of(root, page(row))
        for text in (listed, detail):
            assert words in text
            assert masked(row.recipient) in text
            assert row.recipient not in text
            assert "123456" not in text
    assert "There is no such mailbox" in text_of(root, page(rows["given up"]))
    assert "SMTPDataError 452" in listed


@pytest.mark.parametrize(
    ("state", "name"), [("sent", "sue"), ("given up", "grace"), ("waiting", "wanda"), ("tried again", "trent")]
)
def test_the_list_is_filtered_by_how_it_stands(root: Client, state: str, name: str) -> None:
    row_of("wanda")
    row_of("trent", attempts=1, failure="SMTPDataError 452")
    row_of("sue", next_attempt_at=None, sent_at=timezone.now())
    lost("grace")
    listed = text_of(root, f"{LIST}?state={state}")
    assert [each for each in ("wanda", "trent", "sue", "grace") if f"Hello {each}" in listed] == [name]


def test_a_mail_is_found_by_who_knows_the_address(root: Client) -> None:
    row_of("ada")
    row_of("adam")
    assert "Hello ada<" in text_of(root, f"{LIST}?q=ada@example.test")
    assert "Hello adam" not in text_of(root, f"{LIST}?q=ada@example.test")
    assert "Hello" not in text_of(root, f"{LIST}?q=ada")


def test_what_was_given_up_is_sent_again_by_who_may_and_that_is_in_the_audit_trail(root: Client) -> None:
    row = lost()
    looker = console.browser(console.operator("view_outgoingmail", name="looker"))
    assert looker.get(LIST).status_code == 200
    assert "Send again" not in text_of(looker, page(row))
    assert looker.post(page(row, "send_again")).status_code == 403
    assert console.browser(console.operator(name="nobody")).get(LIST).status_code == 403
    assert root.get(page(row, "send_again")).status_code == 200
    row.refresh_from_db()
    assert row.next_attempt_at is None, "a GET sends nothing"
    told = root.post(page(row, "send_again"), follow=True).content.decode()
    assert "The mail is due now." in told
    row.refresh_from_db()
    assert (row.attempts, row.failure, row.given_up_at, row.text) == (0, "", None, TEXT)
    assert row.next_attempt_at is not None
    event = AuditEvent.objects.get()
    assert (event.action, event.changes) == ("send mail again", {"state": ["given up", "waiting"]})
    assert "ada@" not in f"{event.target_name}{event.changes}"


@pytest.mark.parametrize(
    "values",
    [
        {"sent_at": timezone.now(), "next_attempt_at": None, "attempts": 1, "text": ""},
        {"given_up_at": timezone.now(), "next_attempt_at": None, "attempts": 1, "text": ""},
        {"attempts": 1, "next_attempt_at": timezone.now() + timedelta(days=1)},
        {"attempts": 0},
    ],
)
def test_there_may_be_nothing_to_send_again_and_that_is_said(root: Client, values: dict[str, Any]) -> None:
    row = row_of(**values)
    answer = root.post(page(row, "send_again"))
    assert answer.status_code == 200
    assert "There is nothing to send" in answer.content.decode()
    assert not AuditEvent.objects.exists()


def test_with_mail_off_nothing_is_sent_again_and_that_is_said(root: Client, settings: Any) -> None:
    row = lost()
    settings.USERPOOL_MAIL_FROM = ""
    assert "Mail is off." in root.post(page(row, "send_again")).content.decode()


def test_nothing_is_added_changed_or_deleted(root: Client) -> None:
    row = row_of()
    assert root.get(f"{LIST}add/").status_code == 403
    assert root.post(page(row), {"recipient": "eve@example.test"}).status_code == 403
    assert root.post(page(row, "delete"), {"post": "yes"}).status_code == 403
    assert OutgoingMail.objects.get().recipient == "ada@example.test"
