"""Growth is bounded: with the clean-up on, a table holds what is alive, however long people have been signing in.

Thirty simulated days, one like another. What differs between them is known: keys are replaced every seven, and a
provider fails once a week. So once the longest life is over each table has exactly the rows of a week before. To see
that twice over, what lives for a month or a year (grants, events, the audit trail, the counts of the dashboard, the
sessions of SAML) lives for ten days here. Which row may go when, tests/unit/test_cleanup.py says.
"""

import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.cache import cache
from django.db import connection
from django.db.models import Model
from django.test import Client, RequestFactory
from django.utils import timezone

from accounts import (
    audit,
    authentication,
    cleanup,
    directory,
    events,
    jobs,
    linking,
    mail,
    opaque,
    pauses,
    retention,
    saml_keys,
    saml_messages,
    sessions,
    signing,
)
from accounts.linking import ExternalIdentity, UpstreamSession
from accounts.models import Alert, AuthorizationCode, UserPool
from federation.upstream import suspension
from tests import console, factories
from tests.browser_like import sign_in, submit_login
from tests.fakes import browser as oidc_browser
from tests.fakes import saml_browser
from tests.fakes.oidc import OidcIdp
from tests.fakes.server import Reply
from tests.wire.helpers import new_code, post, query_of, redeem, refresh

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KEPT, WEEK, DAYS = 10, 7, 30
PLATEAU = KEPT + 2  # a grant is asked about for the day of its last access token
# What comes and goes with traffic. Every other table has rows because somebody configured them or because there are
# users, and sign-ins add none.
TRAFFIC = {
    "accounts.Alert",
    "accounts.AuditEvent",
    "accounts.AuthEvent",
    "accounts.AuthorizationCode",
    "accounts.EventCount",
    "accounts.OutgoingMail",
    "accounts.RefreshToken",
    "accounts.SignInRequest",
    "accounts.SignInSession",
    "accounts.SignInThrottle",
    "accounts.SignOutRequest",
    "accounts.SigningKey",
    "accounts.UsedSamlMessage",
    "admin.LogEntry",
    "sessions.Session",
}
BY_CONFIGURATION = {
    "accounts.AppClient",
    "accounts.AppClient_identity_providers",
    "accounts.AppClientSecret",
    "accounts.IdentityProvider",
    "accounts.JobRun",  # one for each job
    "accounts.Operator",
    "accounts.Operator_groups",
    "accounts.Operator_user_permissions",
    "accounts.ProviderDocument",  # three of a provider at most
    "accounts.ResourceServer",
    "accounts.SamlKey",  # an operator makes and removes them
    "accounts.UserPool",
    "accounts.UserImportJob",  # an operator makes and deletes them, and with each go its parts and problems
    "accounts.UserImportPart",
    "accounts.UserImportProblem",
    "accounts.UserPoolDomain",
    "auth.Group",
    "auth.Group_permissions",
    "auth.Permission",
    "contenttypes.ContentType",
}
BY_USERS = {
    "accounts.FormerIdentity",
    "accounts.Group",
    "accounts.LinkedIdentity",  # five of a user at most
    "accounts.PoolUser",
    "accounts.PoolUser_groups",
    "accounts.SignInAlias",  # one of a user and attribute
}
Move = Callable[[timedelta], None]


def tables() -> dict[str, type[Model]]:
    return {model._meta.label: model for model in apps.get_models(include_auto_created=True) if model._meta.managed}


def rows() -> dict[str, int]:
    names = {label: model._meta.db_table for label, model in tables().items()}
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(f"SELECT '{label}', count(*) FROM {table}" for label, table in names.items())  # noqa: S608 - names of tables
        )
        return dict(cursor.fetchall())


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch) -> Move:
    """``move(period)`` sets the clocks of this process to that long after the midnight that comes."""
    start = DAY + datetime.combine(timezone.now().date(), datetime.min.time(), tzinfo=timezone.now().tzinfo)

    def to(period: timedelta) -> None:
        moment = start + period
        monkeypatch.setattr(timezone, "now", lambda: moment)
        monkeypatch.setattr(time, "time", moment.timestamp)
        # what a process remembers for seconds or minutes, by a clock that does not jump
        for forget in (directory.forget, events.forget_early, suspension.forget, cache.clear):
            forget()

    return to


class Day:
    """What happens on each of the days: a few of everything that leaves a row."""

    def __init__(self, pool: UserPool, idp: OidcIdp) -> None:
        self.pool, self.idp = pool, idp
        self.user = factories.make_user(pool)
        self.client = factories.make_client(
            pool, client_id="1exampleclient23456789abcd", refresh_token_rotation=True, refresh_token_validity=KEPT * DAY
        )
        self.client.allowed_oauth_flows = ["code", "implicit"]
        self.client.save()
        self.saml = saml_browser.register(pool, self.client, name="Partner")
        oidc_browser.register(idp, pool, self.client)
        for use in ("signing", "encryption"):
            saml_keys.active(pool, use)
        self.operator = console.operator(superuser=True)
        self.number = 0

    def begins(self, number: int) -> None:
        self.number = number
        self.idp.misbehaviours.clear()

    def browser(self) -> Client:
        return Client(headers={"host": "demo.auth.example.test"})

    def with_passwords(self) -> None:
        browser = self.browser()
        query = query_of(self.client)
        submit_login(browser, query, username="ada", password="Wrong-horse-7")
        sign_in(browser, query)  # its code is never redeemed
        for last_word in ("lives", "revoked", "reused"):
            body = redeem(browser, self.client, new_code(browser, self.client)).json()
            after = refresh(browser, self.client, body["refresh_token"]).json()
            if last_word == "revoked":
                fields = {"token": after["refresh_token"], "client_id": self.client.client_id}
                assert post(browser, "/oauth2/revoke", fields).status_code == 200
            elif last_word == "reused":
                assert refresh(browser, self.client, body["refresh_token"]).status_code == 400
        browser.get("/oauth2/authorize", query_of(self.client, response_type="token"))  # a grant without a token
        assert redeem(browser, self.client, "x" * 43).status_code == 400
        browser.get("/logout", {"client_id": self.client.client_id, "logout_uri": factories.LOGOUT})
        sign_in(self.browser(), query)  # and does not sign out
        authentication.set_password(self.user, factories.PASSWORD)

    def with_guesses(self) -> None:
        for attempt in range(7):
            with pytest.raises(authentication.SignInRefused):
                authentication.authenticate(self.pool, f"nobody-{self.number}", str(attempt), f"192.0.2.{self.number}")

    def at_oidc_provider(self) -> None:
        query = query_of(self.client, identity_provider="Corp")
        assert "code=" in oidc_browser.through(self.browser(), query)["Location"]
        self.browser().get("/oauth2/authorize", query)  # and never comes back
        back = oidc_browser.at_provider(self.browser().get("/oauth2/authorize", query))
        oidc_browser.come_back(self.browser(), back)  # in another browser
        if self.number % WEEK == 3:
            self.idp.misbehave("/jwks", Reply(b"", 500))

    def at_saml_provider(self) -> None:
        """By the functions behind the wire: pysaml2 and the tests' provider have clocks of their own."""
        state, provider = opaque.random_token(), self.saml
        pauses.put_away(self.pool, provider, state, opaque.random_token(), "client_id=x", {"id": "_1"})
        paused = pauses.find(self.pool, state)
        assert paused is not None
        assert pauses.spend(paused)
        assert saml_messages.use(self.pool, "issuer", f"_{uuid.uuid4()}", timezone.now() + HOUR / 4)
        for index in ("stays", "signed out here", "signed out there"):
            there = UpstreamSession(name_id="ada", session_index=f"{index} {self.number}")
            identity = ExternalIdentity(provider, "ada", {"email": "ada@corp.example.test"}, session=there)
            user = linking.resolve_user(identity, self.client)
            request = RequestFactory().get("/")
            session, token = sessions.start(request, user, identity)
            events.signed_in(self.pool, provider, self.client.client_id, user)
            values = {"redirect_uri": factories.CALLBACK, "scope": "openid", "auth_time": session.auth_time}
            AuthorizationCode.issue(app_client=self.client, user=user, **values)
            if index == "signed out here":
                request.COOKIES[sessions.COOKIE] = token
                sessions.end(request, self.pool)
                saml_messages.put_away_sign_out(self.pool, provider, opaque.random_token(), factories.LOGOUT)
            elif index == "signed out there":
                assert sessions.end_at_provider(provider, "ada", [there.session_index])

    def in_the_console(self) -> None:
        console.browser(self.operator)
        LogEntry.objects.log_actions(self.operator.pk, [self.pool, self.pool], CHANGE, "x")
        audit.record("change", self.pool, {"name": ["a", "b"]}, actor="opal")
        audit.record("change", self.pool, {"name": ["a", "b"]}, actor="opal", user_pool="")
        audit.record("delete", self.pool, {"name": ["a", "b"]}, actor="opal", user_pool="eu-west-1_Gone00001")

    def for_operators(self) -> None:
        """Something needed them, is over, and they had a mail of it."""
        now = timezone.now()
        Alert.objects.create(key=f"day {self.number}", severity=1, words="x", mend="x", since=now, over_at=now)
        mail.queue("alert", ["opal@example.test"], "subject", "text")

    def jobs(self) -> None:
        for job in jobs.scheduled():
            assert jobs.run_now(job), job.name


@pytest.fixture
def day(pool: UserPool, idp: OidcIdp, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Day:
    # argon2id has no part in growth
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.USERPOOL_MAIL_FROM = "id@example.test"
    for module, name in (
        (retention, "COUNTS_KEPT"),
        (retention, "AUDIT_KEPT"),
        (cleanup, "SAML_SESSIONS_KEPT"),
        (cleanup, "ALERTS_KEPT"),
    ):
        monkeypatch.setattr(module, name, KEPT * DAY)
    # a successor is made when its predecessor has signed for so long, and signs a day later: every seven days
    pool.key_rotation_days = WEEK - signing.LEAD.days
    pool.audit_retention_days = pool.event_retention_days = KEPT
    pool.save()
    return Day(pool, idp)


def test_every_table_is_known_to_grow_with_traffic_or_not_to() -> None:
    """A new table has its place in one of these sets, and with it a test of its clean-up."""
    ours = {label for label in tables() if not label.startswith("oauth2_provider.")}
    assert ours == TRAFFIC | BY_CONFIGURATION | BY_USERS


def test_after_its_longest_life_no_table_grows(move: Move, day: Day) -> None:
    counted: list[dict[str, int]] = []
    made = dict.fromkeys(TRAFFIC, 0)
    current_app.loader.import_default_modules()
    for number in range(DAYS):
        move(number * DAY + 9 * HOUR)
        before = rows()
        day.begins(number)
        for part in (
            day.with_passwords,
            day.with_guesses,
            day.at_oidc_provider,
            day.at_saml_provider,
            day.in_the_console,
            day.for_operators,
        ):
            part()
        counted.append(rows())
        for label in TRAFFIC:
            made[label] += counted[-1][label] - before[label]
        move(number * DAY + 13 * HOUR)
        day.jobs()
    for number in range(PLATEAU + WEEK, DAYS):
        grown = {
            label: (then, now)
            for label, now in counted[number].items()
            if now != (then := counted[number - WEEK][label])
        }
        assert grown == {}, f"rows of day {number - WEEK} and of day {number}"
    last = counted[-1]
    assert {label for label in TRAFFIC if not last[label]} == set()
    # the jobs make the counts and the keys
    quiet = {label for label in TRAFFIC if made[label] <= last[label]} - {"accounts.EventCount", "accounts.SigningKey"}
    assert quiet == set(), "these were never cleaned"
    assert {label: last[label] for label in BY_CONFIGURATION | BY_USERS} == {
        label: counted[1][label] for label in BY_CONFIGURATION | BY_USERS
    }
    assert {label: count for label, count in last.items() if label.startswith("oauth2_provider.") and count} == {}
