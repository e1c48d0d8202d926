"""Events and the audit trail as a file: RFC 4180 for CSV, one JSON object a line (jsonlines.org) else.

OWASP, "CSV Injection": a cell that begins with = + - @, tab or carriage return is a formula to a spreadsheet.
"""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts import audit, event_export
from accounts.models import AuditEvent, AuthEvent, PoolUser, UserPool
from tests import console, factories

pytestmark = pytest.mark.django_db
PAGE = "/admin/export-events/"


def event(pool: UserPool, **values: Any) -> AuthEvent:
    return AuthEvent.objects.create(user_pool=pool, **{"outcome": "refused", "reason": "locked"} | values)


def printed(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("export_events", *arguments, stdout=out, **options)
    return out.getvalue()


def test_a_line_has_what_happened_and_why_in_words(pool: UserPool, user: PoolUser) -> None:
    row = event(pool, user=user, client_id="1abc", address="203.0.113.7", steps=[{"step": "x", "ms": 3}])
    [line] = printed(pool.pk).splitlines()
    found = json.loads(line)
    assert (found["user_username"], found["user_sub"], found["client_id"]) == ("ada", user.sub, "1abc")
    assert datetime.fromisoformat(found["at"]) == row.at
    assert found["steps"] == [{"step": "x", "ms": 3}]
    assert found["reason_words"].startswith("Too many wrong passwords")


def test_only_the_pool_the_time_and_the_type_that_were_asked_for(pool: UserPool) -> None:
    event(factories.make_pool(), reason="csrf")
    for reason, day in (("incorrect", 1), ("locked", 2), ("disabled", 3)):
        row = event(pool, reason=reason, event_type="LockOut" if reason == "locked" else "SignIn")
        AuthEvent.objects.filter(pk=row.pk).update(at=datetime(2026, 11, day, tzinfo=UTC))

    def reasons(*arguments: str) -> list[str]:
        return [json.loads(line)["reason"] for line in printed(pool.pk, *arguments).splitlines()]

    assert reasons() == ["incorrect", "locked", "disabled"]
    assert reasons("--since", "2026-11-02") == ["locked", "disabled"]
    assert reasons("--since", "2026-11-01T00:00:01Z", "--until", "2026-11-03T00:00:00+00:00") == ["locked"]
    assert reasons("--type", "LockOut") == ["locked"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_takes_nothing_of_a_strangers_for_a_formula(pool: UserPool, start: str) -> None:
    text = f'{start}HYPERLINK("https://evil.example.test/")'
    event(pool, client_id=text)
    [row] = csv.DictReader(io.StringIO(printed(pool.pk, format="csv"), newline=""))
    assert row["client_id"] == f"'{text}"
    [line] = printed(pool.pk).splitlines()
    assert json.loads(line)["client_id"] == text


def test_the_audit_trail_is_exported_and_the_export_is_in_it(pool: UserPool) -> None:
    audit.record("change", pool, {"name": ["a", "b"]}, actor="ada")
    [line] = printed(pool.pk, "--audit").splitlines()[:1]
    assert json.loads(line)["changes"] == {"name": ["a", "b"]}
    assert AuditEvent.objects.get(action="export events").changes["what"] == [None, "audit"]


@pytest.mark.parametrize("arguments", [("nobody",), ("eu-west-1_Demo00001", "--since", "yesterday"),
                                       ("eu-west-1_Demo00001", "--type", "Nothing")])  # fmt: skip
def test_what_cannot_be_exported_is_told(pool: UserPool, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        printed(*arguments)


# --- the console


def ask(browser: Client, **values: str) -> Any:
    fields = {"user_pool": "eu-west-1_Demo00001", "kind": "events", "format": "jsonl", "since": "", "until": ""}
    return browser.post(PAGE, fields | values)


def test_an_operator_downloads_a_day_whole(pool: UserPool) -> None:
    root = console.browser(console.operator(superuser=True))
    row = event(pool)
    AuthEvent.objects.filter(pk=row.pk).update(at=datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC))
    event(pool, reason="csrf")
    response = ask(root, since="2026-11-02", until="2026-11-02")
    assert response["Content-Disposition"] == 'attachment; filename="events-eu-west-1_Demo00001.jsonl"'
    [line] = b"".join(response.streaming_content).decode().splitlines()
    assert json.loads(line)["reason"] == "locked"
    assert AuditEvent.objects.get().actor == "opal"


@pytest.mark.parametrize(
    "values", [{"user_pool": "nobody"}, {"user_pool": "\x01"}, {"kind": "users"}, {"format": "xml"}, {"since": "never"}]
)
def test_bad_input_is_told_in_the_form_and_nothing_is_sent(pool: UserPool, values: dict[str, str]) -> None:
    root = console.browser(console.operator(superuser=True))
    response = ask(root, **values)
    assert (response.status_code, response.streaming) == (200, False)
    assert response.context["form"].errors
    assert not AuditEvent.objects.exists()


def test_each_kind_is_a_permission_of_its_own(pool: UserPool) -> None:
    looker = console.browser(console.operator("view_authevent", "view_auditevent", name="looker"))
    assert looker.get(PAGE).status_code == 403
    assert PAGE not in looker.get("/admin/accounts/authevent/").content.decode()
    exporter = console.browser(console.operator("view_authevent", "export_authevent", name="exporter"))
    assert exporter.get(PAGE).status_code == 200
    assert ask(exporter).streaming
    assert not ask(exporter, kind="audit").streaming
    auditor = console.browser(console.operator("export_auditevent", name="auditor"))
    assert ask(auditor, kind="audit").streaming
    assert not ask(auditor).streaming


def test_many_rows_are_read_a_few_thousand_at_a_time(pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_export, "CHUNK", 10)
    AuthEvent.objects.bulk_create(AuthEvent(user_pool=pool, outcome="succeeded", at=timezone.now()) for _ in range(25))
    rows = event_export.events(pool, timezone.now() - timedelta(days=1), None)
    assert sum(1 for _ in event_export.lines(rows, "csv")) == 25
