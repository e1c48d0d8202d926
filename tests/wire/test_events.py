"""What an operator finds when asked why: an event for each sign-in, refusal, lock-out, password, revocation, key.

The kinds are Cognito's where it has them (AdminListUserAuthEvents, AuthEventType: EventType, EventResponse). What an
app and a person are told stays what it was (managing-errors page); the reason is for operators only.
"""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts import authentication, event_words, events, signing
from accounts.logs import JsonFormatter
from accounts.models import AppClient, AuthEvent, PoolUser, SigningKey, UserPool
from accounts.models.users import UserStatus
from tests import factories
from tests.browser_like import FORM
from tests.wire.helpers import (
    CHALLENGE,
    VERIFIER,
    ask,
    basic,
    new_code,
    post,
    query_of,
    redeem,
    refresh,
    set_values,
    signed_in,
    tokens_for,
)
from tests.wire.test_cost import counted

pytestmark = pytest.mark.django_db
CALLBACK = factories.CALLBACK


@pytest.fixture(autouse=True)
def _forget() -> None:
    events.forget_early()


def submit(browser: Client, client: AppClient, username: str, password: str) -> HttpResponse:
    fields = urlencode({"username": username, "password": password})
    return browser.post(f"/login?{urlencode(query_of(client))}", fields, content_type=FORM)


def newest(event_type: str = "") -> AuthEvent:
    rows = AuthEvent.objects.filter(event_type=event_type) if event_type else AuthEvent.objects.all()
    row = rows.latest("id")
    if row.reason:
        assert event_words.why(row.reason), row.reason
    return row


def told(row: AuthEvent) -> tuple[str, str, str]:
    return row.event_type, row.outcome, row.reason


def test_a_sign_in_with_a_password_is_an_event(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    response = submit(http, app_client, "ada", factories.PASSWORD)
    row = AuthEvent.objects.get()
    assert told(row) == ("SignIn", "succeeded", "")
    assert (row.user_pool, row.user, row.client_id, row.provider) == (pool, user, app_client.client_id, None)
    assert row.address == "127.0.0.1"
    assert row.request_id == response["x-amz-cognito-request-id"]


@pytest.mark.parametrize(
    ("name", "password", "reason"),
    [
        ("ada", "wrong", "incorrect"),
        ("nobody", "wrong", "incorrect"),
    ],
)
def test_a_wrong_password_is_an_event_and_a_name_that_nobody_has_is_not_kept(
    http: Client, app_client: AppClient, user: PoolUser, name: str, password: str, reason: str
) -> None:
    submit(http, app_client, name, password)
    row = AuthEvent.objects.get()
    assert told(row) == ("SignIn", "refused", reason)
    assert row.user == (user if name == "ada" else None)
    assert "nobody" not in repr(vars(row))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"enabled": False}, "disabled"),
        ({"status": UserStatus.UNCONFIRMED}, "unconfirmed"),
        ({"status": UserStatus.RESET_REQUIRED}, "reset_required"),
    ],
)
def test_who_may_not_sign_in_is_an_event_that_says_why(
    http: Client, app_client: AppClient, user: PoolUser, changes: dict[str, Any], reason: str
) -> None:
    set_values(user, **changes)
    submit(http, app_client, "ada", factories.PASSWORD)
    assert told(newest()) == ("SignIn", "refused", reason)
    assert newest().user == user


def test_a_lock_out_is_an_event_and_what_is_not_even_tried_fills_no_table(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    """W 12: the fifth failure locks."""
    for _ in range(4):
        submit(http, app_client, "ada", "wrong")
    assert not AuthEvent.objects.filter(event_type="LockOut").exists()
    for _ in range(events.CHEAP_PER_MINUTE + 10):
        submit(http, app_client, "ada", "wrong")
    locks = AuthEvent.objects.filter(event_type="LockOut")
    assert {(told(lock), lock.user) for lock in locks} == {(("LockOut", "succeeded", "user_locked"), user)}
    assert AuthEvent.objects.filter(reason="incorrect").count() == 4 + len(locks)  # the first lasts a second
    assert 1 <= AuthEvent.objects.filter(reason="locked").count() <= events.CHEAP_PER_MINUTE


def test_the_right_password_at_the_last_moment_locks_nobody_out(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    for _ in range(4):
        submit(http, app_client, "ada", "wrong")
    submit(http, app_client, "ada", factories.PASSWORD)
    assert not AuthEvent.objects.filter(event_type="LockOut").exists()


def test_a_changed_password_is_an_event_and_one_that_breaks_the_policy_is_none(user: PoolUser) -> None:
    authentication.set_password(user, "Another-horse-8", temporary=True)
    row = newest()
    assert (told(row), row.user) == (("PasswordChange", "succeeded", ""), user)
    assert row.steps[0]["temporary"] is True
    assert "horse" not in repr(vars(row))
    with pytest.raises(Exception, match="8"):
        authentication.set_password(user, "x")
    assert AuthEvent.objects.count() == 1


def test_a_sign_out_is_an_event_of_whom_it_was(http: Client, app_client: AppClient, user: PoolUser) -> None:
    url = f"/logout?client_id={app_client.client_id}&logout_uri={app_client.post_logout_redirect_uris.split()[0]}"
    http.get(url)
    assert not AuthEvent.objects.exists()
    signed_in(http, user)
    http.get(url)
    row = AuthEvent.objects.get()
    assert (told(row), row.user, row.client_id) == (("SignOut", "succeeded", ""), user, app_client.client_id)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"redirect_uri": "https://elsewhere.example.test/"}, "redirect_mismatch"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"scope": "openid nothing"}, "invalid_scope"),
        ({"response_type": "id_token"}, "invalid_request"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
    ],
)
def test_a_refused_authorization_request_is_an_event_under_the_id_that_the_page_shows(
    http: Client, app_client: AppClient, changes: dict[str, str], reason: str
) -> None:
    response = ask(http, query_of(app_client, **changes))
    row = AuthEvent.objects.get()
    assert told(row) == ("SignIn", "refused", reason)
    assert row.request_id == response["x-amz-cognito-request-id"]
    assert row.client_id == changes.get("client_id", app_client.client_id)
    if response["Location"].startswith("/error"):
        assert row.request_id in http.get(response["Location"]).content.decode()


def test_an_app_that_asks_silently_and_hears_no_fills_no_table(http: Client, app_client: AppClient) -> None:
    """OpenID Connect Core 3.1.2.6, login_required: single-page apps ask at each of their pages."""
    assert "login_required" in ask(http, query_of(app_client, prompt="none"))["Location"]
    assert not AuthEvent.objects.exists()


def test_a_form_without_its_proof_is_an_event(at: Callable[..., Client], pool: UserPool, app_client: AppClient) -> None:
    response = submit(at(pool, enforce_csrf_checks=True), app_client, "ada", "x")
    assert response.status_code == 403
    assert told(AuthEvent.objects.get()) == ("SignIn", "refused", "csrf")


# --- the token endpoint


def token_refusals(http: Client, client: AppClient, user: PoolUser) -> dict[str, Any]:
    signed_in(http, user)
    code, spent = new_code(http, client), new_code(http, client)
    redeem(http, client, spent)
    with_challenge = new_code(http, client, code_challenge=CHALLENGE, code_challenge_method="S256")
    return {
        "code_unknown": lambda: redeem(http, client, "no-such-code"),
        "code_replayed": lambda: redeem(http, client, spent),
        "redirect_uri_differs": lambda: redeem(http, client, code, redirect_uri="https://app.example.test/other"),
        "challenge_missing": lambda: redeem(http, client, code, code_verifier=VERIFIER),
        "code_verifier": lambda: redeem(http, client, with_challenge, code_verifier="w" * 43),
        "refresh_token_unknown": lambda: refresh(http, client, f"{'s' * 22}.{'x' * 43}"),
        "client_unknown": lambda: post(
            http, "/oauth2/token", {"grant_type": "refresh_token", "client_id": "unknown", "refresh_token": "x"}
        ),
        "unsupported_grant_type": lambda: post(http, "/oauth2/token", {"grant_type": "password"}),
    }


@pytest.mark.parametrize(
    "reason",
    [
        "code_unknown", "code_replayed", "redirect_uri_differs", "challenge_missing", "code_verifier",
        "refresh_token_unknown", "client_unknown", "unsupported_grant_type",
    ],
)  # fmt: skip
def test_a_refused_token_request_is_an_event_that_says_more_than_the_app_hears(
    http: Client, app_client: AppClient, user: PoolUser, reason: str
) -> None:
    response = token_refusals(http, app_client, user)[reason]()
    assert response.status_code == 400
    assert reason not in response.content.decode() or reason == "unsupported_grant_type"
    row = newest()
    assert told(row) == ("TokenRequest", "refused", reason)
    assert row.error == response.json()["error"]
    assert row.user == (user if reason.startswith(("code_re", "code_v", "redirect", "challenge")) else None)


def test_a_wrong_client_secret_is_an_event_without_the_secret(http: Client, pool: UserPool) -> None:
    client = factories.make_client(pool, secret="s" * 48)
    post(
        http,
        "/oauth2/token",
        {"grant_type": "refresh_token", "refresh_token": "x"},
        basic(client.client_id, "guess" * 8),
    )
    row = newest()
    assert (told(row), row.client_id) == (("TokenRequest", "refused", "client_secret"), client.client_id)
    assert "guess" not in repr(vars(row))


def test_a_refresh_token_that_is_over_says_so_and_one_that_came_again_too(
    http: Client, pool: UserPool, user: PoolUser
) -> None:
    """RFC 9700 4.14.2."""
    client = factories.make_client(pool, refresh_token_rotation=True, retry_grace_period_seconds=0)
    signed_in(http, user)
    first = tokens_for(http, client)["refresh_token"]
    second = refresh(http, client, first).json()["refresh_token"]
    refresh(http, client, first)
    assert (told(newest()), newest().user) == (("TokenRequest", "refused", "refresh_token_reused"), user)
    refresh(http, client, second)
    assert (newest().reason, newest().user) == ("refresh_token_over", user)


def test_a_revocation_is_an_event_once(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """RFC 7009 2.2: the second answer is the same, and nothing happened."""
    signed_in(http, user)
    token = tokens_for(http, app_client)["refresh_token"]
    for _ in range(2):
        post(http, "/oauth2/revoke", {"token": token, "client_id": app_client.client_id})
    row = AuthEvent.objects.get(event_type="TokenRevocation")
    assert (told(row)[1:], row.user, row.client_id) == (("succeeded", "revoked_by_client"), user, app_client.client_id)
    assert token not in repr(vars(row))


@pytest.mark.real_keys
def test_a_key_that_follows_another_is_an_event_and_the_first_is_not(pool: UserPool) -> None:
    assert not AuthEvent.objects.exists()
    SigningKey.objects.update(not_before=timezone.now() - timedelta(days=91))
    made = signing.rotate(pool)
    rows = AuthEvent.objects.filter(event_type="KeyRotation")
    assert {row.steps[0]["kid"] for row in rows} == {key.kid for key in made}
    signing.rotate(pool, withdraw=True)
    assert newest("KeyRotation").reason == "withdrawn"


# --- the log


def test_each_event_is_a_line_of_the_log_whether_it_is_worth_a_row_or_not(
    http: Client, app_client: AppClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "userpool.events"):
        for _ in range(events.CHEAP_PER_MINUTE + 3):
            response = ask(http, query_of(app_client, scope="openid nothing"))
    lines = [json.loads(JsonFormatter().format(one)) for one in caplog.records if one.name == "userpool.events"]
    assert (AuthEvent.objects.count(), len(lines)) == (events.CHEAP_PER_MINUTE, events.CHEAP_PER_MINUTE + 3)
    line = lines[-1]
    assert line["request_id"] == response["x-amz-cognito-request-id"]
    assert {name: line[name] for name in ("event", "outcome", "reason", "pool", "client", "address")} == {
        "event": "SignIn",
        "outcome": "refused",
        "reason": "invalid_scope",
        "pool": "eu-west-1_Demo00001",
        "client": app_client.client_id,
        "address": "127.0.0.1",
    }


def test_one_reason_of_a_stranger_hides_no_other(http: Client, app_client: AppClient) -> None:
    for _ in range(events.CHEAP_PER_MINUTE + 3):
        ask(http, query_of(app_client, client_id="unknown"))
    ask(http, query_of(app_client, redirect_uri="https://elsewhere.example.test/"))
    assert AuthEvent.objects.filter(reason="redirect_mismatch").count() == 1


def test_an_event_is_one_insert_and_the_session_has_it_or_neither_is(
    http: Client, app_client: AppClient, user: PoolUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted() as cost:
        submit(http, app_client, "ada", factories.PASSWORD)
    assert cost.rows["accounts_authevent"] == 1
    assert sum("accounts_authevent" in sql for sql, _ in cost.statements) == 1
    assert user.sessions.count() == 1
    user.sessions.all().delete()
    monkeypatch.setattr(events, "insert", lambda *_: (_ for _ in ()).throw(OperationalError("disk full")))
    response = submit(http, app_client, "ada", factories.PASSWORD)
    assert "error=server_error" in response["Location"]
    assert not user.sessions.exists()
