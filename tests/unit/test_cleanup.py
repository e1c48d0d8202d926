"""Clean-up deletes what time has made useless and keeps what is still evidence.

The moments come from RFC 6749 4.1.2 (a code that is used twice revokes its tokens: its row must be there to notice),
from Cognito's bound of AccessTokenValidity (24 hours, UserPoolClientType page: a grant is asked about for that long
after its end), and from RFC 7517 5 with the design of accounts/signing.py (a key is published until its last token is
dead).
"""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import cleanup, opaque, pauses, signing, tasks
from accounts.models import (
    AppClient,
    AuthEvent,
    AuthorizationCode,
    IdentityProvider,
    PoolUser,
    RefreshToken,
    SigningKey,
    SignInRequest,
    SignInSession,
    SignInThrottle,
    UserPool,
)
from tests import console, factories

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)


def make_grant(app_client: AppClient, user: PoolUser, **values: Any) -> RefreshToken:
    now = timezone.now()
    defaults = {"created_at": now, "auth_time": now, "expires_at": now + 30 * DAY}
    return RefreshToken.objects.create(
        **{"selector": uuid.uuid4().hex[:22], "salt": "s", "origin_jti": str(uuid.uuid4()), "event_id": "e"}
        | {"app_client": app_client, "user": user, "scope": "openid"}
        | defaults
        | values
    )


def make_code(app_client: AppClient, user: PoolUser, **values: Any) -> AuthorizationCode:
    now = timezone.now()
    return AuthorizationCode.objects.create(
        **{"digest": uuid.uuid4().hex, "origin_jti": str(uuid.uuid4()), "event_id": "e", "auth_time": now}
        | {"app_client": app_client, "user": user, "scope": "openid", "redirect_uri": factories.CALLBACK}
        | values
    )


@pytest.mark.parametrize(
    ("expires_in", "consumed", "kept"),
    [(HOUR, False, True), (HOUR, True, True), (-SECOND, False, False), (-SECOND, True, False)],
)
def test_a_code_stays_until_it_expires_consumed_or_not(
    app_client: AppClient, user: PoolUser, expires_in: timedelta, consumed: bool, kept: bool
) -> None:
    now = timezone.now()
    make_code(app_client, user, expires_at=now + expires_in, consumed_at=now if consumed else None)
    assert cleanup.purge_expired()["AuthorizationCode"] == (0 if kept else 1)
    assert AuthorizationCode.objects.exists() is kept


@pytest.mark.parametrize(
    ("expires_in", "revoked_ago", "kept"),
    [
        (DAY, None, True),
        (-SECOND, None, True),  # an access token of its last minute may live for 24 hours
        (-DAY + HOUR, None, True),
        (-DAY - SECOND, None, False),
        (30 * DAY, SECOND, True),
        (30 * DAY, DAY - HOUR, True),
        (30 * DAY, DAY + SECOND, False),
        (-DAY - SECOND, DAY + SECOND, False),
    ],
)
def test_a_grant_stays_until_its_last_access_token_is_dead(
    app_client: AppClient, user: PoolUser, expires_in: timedelta, revoked_ago: timedelta | None, kept: bool
) -> None:
    now = timezone.now()
    revoked_at = now - revoked_ago if revoked_ago else None
    make_grant(app_client, user, expires_at=now + expires_in, revoked_at=revoked_at)
    assert cleanup.purge_expired()["RefreshToken"] == (0 if kept else 1)
    assert RefreshToken.objects.exists() is kept


def test_a_session_goes_when_it_has_expired(user: PoolUser) -> None:
    now = timezone.now()
    for digest, expires_in in (("live", HOUR), ("dead", -SECOND)):
        SignInSession.objects.create(digest=digest, user=user, auth_time=now, expires_at=now + expires_in)
    assert cleanup.purge_expired()["SignInSession"] == 1
    assert list(SignInSession.objects.values_list("digest", flat=True)) == ["live"]


def test_a_throttle_goes_when_nobody_failed_for_a_day(pool: UserPool) -> None:
    now = timezone.now()
    for key, idle, blocked_until in (
        ("fresh", HOUR, None),
        ("idle", DAY + SECOND, None),
        ("was blocked", DAY + SECOND, now - HOUR),
        ("still blocked", DAY + SECOND, now + HOUR),
    ):
        SignInThrottle.objects.create(user_pool=pool, key=key, updated_at=now - idle, blocked_until=blocked_until)
    assert cleanup.purge_expired()["SignInThrottle"] == 2
    assert set(SignInThrottle.objects.values_list("key", flat=True)) == {"fresh", "still blocked"}


def test_a_signing_key_goes_when_its_last_token_is_dead_and_not_before(pool: UserPool) -> None:
    now = timezone.now()
    first = SigningKey.objects.filter(user_pool=pool, token_use="id")
    first.update(not_before=now - 9 * DAY, not_after=now - 2 * DAY, expires_at=now + HOUR)
    assert cleanup.purge_expired()["SigningKey"] == 0
    first.update(expires_at=now - SECOND)
    assert cleanup.purge_expired()["SigningKey"] == 1
    assert [key.token_use for key in SigningKey.objects.filter(user_pool=pool)] == ["access"]


def test_the_limit_bounds_a_run_and_batches_add_up(app_client: AppClient, user: PoolUser) -> None:
    now = timezone.now()
    for _ in range(7):
        make_code(app_client, user, expires_at=now - HOUR)
        make_grant(app_client, user, expires_at=now - 2 * DAY)
        make_grant(app_client, user, revoked_at=now - 2 * DAY)
    assert cleanup.purge_expired(batch=2, limit=5) == {
        "Alert": 0,
        "AuthorizationCode": 5,
        "OutgoingMail": 0,
        "RefreshToken": 5,
        "SignInSession": 0,
        "SignInThrottle": 0,
        "SigningKey": 0,
        "AuditEvent": 0,
        "AuthEvent": 0,
        "EventCount": 0,
        "LogEntry": 0,
        "Session": 0,
        "SignInRequest": 0,
        "SignOutRequest": 0,
        "UsedSamlMessage": 0,
    }
    assert cleanup.purge_expired(batch=2)["RefreshToken"] == 9
    assert not AuthorizationCode.objects.exists()
    assert not RefreshToken.objects.exists()


def test_a_batch_is_looked_for_where_the_last_one_ended(app_client: AppClient, user: PoolUser) -> None:
    """What is deleted stays in PostgreSQL's indexes until a vacuum; to begin at their start again is to read it all."""
    now = timezone.now()
    for number in range(7):
        make_code(app_client, user, expires_at=now - HOUR + number * SECOND)
    with CaptureQueriesContext(connection) as queries:
        cleanup.purge_expired(batch=3)
    looked = [one["sql"] for one in queries if "authorizationcode" in one["sql"] and one["sql"].startswith("SELECT")]
    assert [sql.count('"expires_at" >= ') for sql in looked] == [0, 1, 1]
    assert all(" ORDER BY " in sql for sql in looked)
    assert not AuthorizationCode.objects.exists()


def test_any_number_of_rows_may_end_at_the_same_moment(app_client: AppClient, user: PoolUser) -> None:
    """An operator signs everybody out at once."""
    now = timezone.now()
    for _ in range(7):
        make_grant(app_client, user, revoked_at=now - 2 * DAY)
    assert cleanup.purge_expired(batch=2)["RefreshToken"] == 7


def test_a_throttle_that_is_used_again_meanwhile_stays(pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody failed again between the look and the deletion: the count is alive."""
    old = timezone.now() - DAY - SECOND
    for key in ("idle", "used again"):
        SignInThrottle.objects.create(user_pool=pool, key=key, failures=3, updated_at=old)
    delete = QuerySet.delete

    def late(rows: "QuerySet[Any]") -> Any:
        SignInThrottle.objects.filter(key="used again").update(updated_at=timezone.now())
        return delete(rows)

    monkeypatch.setattr(QuerySet, "delete", late)
    assert cleanup.purge_expired()["SignInThrottle"] == 1
    assert SignInThrottle.objects.get().key == "used again"


def test_the_sessions_of_the_console_go_when_they_have_expired(db: None) -> None:
    """Django deletes one when its browser comes again, and most never do."""
    operator = console.operator()
    console.browser(operator)
    console.browser(operator)
    gone = Session.objects.first()
    assert gone is not None
    Session.objects.filter(pk=gone.pk).update(expire_date=timezone.now() - SECOND)
    assert cleanup.purge_expired()["Session"] == 1
    assert Session.objects.count() == 1


def test_running_it_again_changes_nothing(app_client: AppClient, user: PoolUser) -> None:
    make_code(app_client, user, expires_at=timezone.now() - HOUR)
    cleanup.purge_expired()
    assert set(cleanup.purge_expired().values()) == {0}


def test_every_scheduled_job_is_a_task_that_exists() -> None:
    current_app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert scheduled == {
        "accounts.tasks.count_events",
        "accounts.tasks.import_users",
        "accounts.tasks.alert_operators",
        "accounts.tasks.send_mail",
        "accounts.tasks.purge_expired",
        "accounts.tasks.purge_paused_sign_ins",
        "accounts.tasks.rotate_signing_keys",
        "federation.tasks.refresh_oidc_discovery",
        "federation.tasks.refresh_saml_metadata",
    }
    assert scheduled <= set(current_app.tasks)


def test_the_rotation_job_makes_a_successor_for_each_key_that_is_due_and_only_once(pool: UserPool) -> None:
    other = factories.make_pool()
    SigningKey.objects.filter(user_pool=pool).update(not_before=timezone.now() - 91 * DAY)
    assert tasks.rotate_signing_keys() == 2
    assert tasks.rotate_signing_keys() == 0
    assert pool.signing_keys.count() == 4
    assert other.signing_keys.count() == 2


def test_a_pool_that_cannot_rotate_does_not_stop_the_others(
    pool: UserPool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = factories.make_pool()
    SigningKey.objects.update(not_before=timezone.now() - 91 * DAY)
    rotate = signing.rotate

    def fails_for_one(which: UserPool) -> list[SigningKey]:
        if which == pool:
            raise ValueError("cannot be decrypted")
        return rotate(which)

    monkeypatch.setattr(signing, "rotate", fails_for_one)
    assert tasks.rotate_signing_keys() == 2
    assert other.signing_keys.count() == 4
    assert pool.pk in caplog.text


# --- sign-ins through identity providers


def make_paused(provider: IdentityProvider, expires_in: timedelta, consumed: bool = False) -> SignInRequest:
    now, state = timezone.now(), opaque.random_token()
    pauses.put_away(provider.user_pool, provider, state, opaque.random_token(), "client_id=x", {"nonce": "n"})
    rows = SignInRequest.objects.filter(digest=opaque.digest(state))
    rows.update(expires_at=now + expires_in, consumed_at=now if consumed else None)
    return rows.get()


@pytest.mark.parametrize("consumed", [False, True])
def test_a_paused_sign_in_stays_for_its_five_minutes_and_no_longer(pool: UserPool, consumed: bool) -> None:
    """Consumed, it is how a replay is told from a state that was never ours (RFC 9700 4.7)."""
    provider = factories.make_oidc_provider(pool)
    live = make_paused(provider, pauses.LIFETIME, consumed)
    make_paused(provider, -SECOND, consumed)
    assert tasks.purge_paused_sign_ins() == 1
    assert SignInRequest.objects.get() == live
    SignInRequest.objects.update(expires_at=timezone.now())
    assert cleanup.purge_expired()["SignInRequest"] == 1
    assert not SignInRequest.objects.exists()


def test_a_fresh_pause_is_gone_after_five_minutes(pool: UserPool) -> None:
    provider = factories.make_oidc_provider(pool)
    pauses.put_away(pool, provider, opaque.random_token(), opaque.random_token(), "client_id=x", {})
    row = SignInRequest.objects.get()
    assert row.expires_at - row.created_at == timedelta(minutes=5)


def test_any_number_of_paused_sign_ins_goes_in_batches(pool: UserPool) -> None:
    """Anybody may begin a sign-in and never come back."""
    provider = factories.make_oidc_provider(pool)
    for _ in range(7):
        make_paused(provider, -SECOND)
    assert cleanup.purge_paused(batch=2) == 7
    assert cleanup.purge_paused(batch=2) == 0


def test_sign_ins_that_nobody_finished_are_looked_for_every_minute() -> None:
    entries = settings.CELERY_BEAT_SCHEDULE.values()
    (schedule,) = [one["schedule"] for one in entries if one["task"].endswith("purge_paused_sign_ins")]
    assert schedule.minute == set(range(60))


def test_an_attempt_is_kept_for_thirty_days(pool: UserPool) -> None:
    now = timezone.now()
    for name, age in (("young", 30 * DAY - HOUR), ("old", 30 * DAY + SECOND)):
        row = AuthEvent.objects.create(user_pool=pool, provider_name=name, outcome="refused")
        AuthEvent.objects.filter(pk=row.pk).update(at=now - age)
    assert cleanup.purge_expired()["AuthEvent"] == 1
    assert AuthEvent.objects.get().provider_name == "young"
