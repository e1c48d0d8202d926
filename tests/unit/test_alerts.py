"""What needs an operator, and telling it: once when it appears, once when it is over, and again when it gets worse.

docs/mail.md promises what is told, and 30, 7 and 1 days before something ends. RFC 7519 4.1.4 for a client secret that
is a JWT: https://developer.apple.com/documentation/accountorganizationaldatasharing/creating-a-client-secret
"""

import base64
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail as django_mail
from django.utils import timezone

from accounts import alerts, findings, mail, saml_keys, tasks
from accounts.findings import Finding, Severity
from accounts.models import (
    Alert,
    AuthEvent,
    IdentityProvider,
    JobRun,
    Operator,
    OutgoingMail,
    ProviderDocument,
    SamlKey,
    SigningKey,
    UserPool,
)
from tests import console, factories
from tests.fakes import saml
from tests.needs import needs_postgresql
from tests.security.test_logs import Listener
from tests.security.test_races import at_once

pytestmark = pytest.mark.django_db
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=10)
OPS = "ops@example.test"
NOTE, WARNING, URGENT = Severity.NOTE, Severity.WARNING, Severity.URGENT


@pytest.fixture(autouse=True)
def _setup(settings: Any) -> Iterator[None]:
    settings.USERPOOL_MAIL_FROM = "id@example.test"
    settings.USERPOOL_ALERT_EMAILS = [OPS]
    now = timezone.now()
    JobRun.objects.update(started_at=now, finished_at=now, succeeded_at=now)
    yield
    mail.forget()


class Ward:
    """Stands in for what is found, so that the telling can be watched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[Finding] = []
        monkeypatch.setattr(alerts, "COLLECTORS", {"test": lambda: iter(self.found)})

    def finds(self, *found: Finding) -> dict[str, int]:
        self.found = list(found)
        OutgoingMail.objects.all().delete()
        result = tasks.alert_operators()
        assert isinstance(result, dict)
        return result


@pytest.fixture
def ward(monkeypatch: pytest.MonkeyPatch) -> Ward:
    return Ward(monkeypatch)


def one(severity: Severity = WARNING, key: str = "test:one", **more: Any) -> Finding:
    return Finding(severity, key, f"Something is the matter with {key}.", "Mend it.", **more)


def subjects() -> list[str]:
    return [row.subject for row in OutgoingMail.objects.order_by("pk")]


def of(collector: str) -> dict[str, Finding]:
    return {each.key: each for each in findings.COLLECTORS[collector]()}


# --- telling


def test_a_finding_is_told_when_it_appears_when_it_gets_worse_and_when_it_is_over(ward: Ward) -> None:
    assert ward.finds() == {"standing": 0, "told": 0, "over": 0, "not collected": 0}
    assert subjects() == []
    assert ward.finds(one(NOTE))["told"] == 1
    assert subjects() == ["[Userpool] Something is the matter with test:one."]
    text = OutgoingMail.objects.get().text
    assert "note: Something is the matter with test:one." in text
    assert "Mend it." in text
    assert "https://console.example.test/admin/accounts/alert/" in text
    for same in (NOTE, NOTE):
        assert ward.finds(one(same))["told"] == 0
        assert subjects() == []
    assert ward.finds(one(URGENT))["told"] == 1
    assert "urgent, worse than before" in OutgoingMail.objects.get().text
    assert ward.finds(one(WARNING))["told"] == 0, "better is no news"
    assert ward.finds(one(URGENT))["told"] == 0, "and neither is what was told already"
    assert ward.finds() == {"standing": 0, "told": 1, "over": 1, "not collected": 0}
    assert subjects() == ["[Userpool] Over: Something is the matter with test:one."]
    assert ward.finds()["told"] == 0
    assert ward.finds(one(NOTE))["told"] == 1, "it is back"


def test_all_findings_of_a_run_are_one_mail(ward: Ward) -> None:
    many = [one(key=f"test:{number}") for number in range(alerts.SHOWN + 3)]
    ward.finds(one(URGENT, "test:a"), one(NOTE, "test:b"))
    assert subjects() == ["[Userpool] 2 new"]
    text = OutgoingMail.objects.get().text
    assert text.index("test:a") < text.index("test:b"), "the urgent one first"
    ward.finds(one(WARNING, "test:b"), *many)
    assert subjects() == [f"[Userpool] {len(many)} new, 1 worse, 1 over"]
    assert "... and 4 more." in OutgoingMail.objects.get().text


def test_what_may_pass_by_itself_is_told_once_it_has_stood_for_a_while(ward: Ward) -> None:
    patient = one(patience=HOUR)
    assert ward.finds(patient)["told"] == 0
    assert ward.finds() == {"standing": 0, "told": 0, "over": 1, "not collected": 0}, "nobody heard of it"
    ward.finds(patient)
    Alert.objects.update(since=timezone.now() - HOUR)
    assert ward.finds(patient)["told"] == 1


def test_operators_who_want_them_and_the_addresses_of_the_settings_are_told(ward: Ward, settings: Any) -> None:
    for number, (email, wants, active) in enumerate([
        ("opal@example.test", True, True), ("off@example.test", False, True), ("gone@example.test", True, False),
        ("", True, True), (OPS, True, True), ("no address", True, True),
    ]):  # fmt: skip
        Operator.objects.create_user(f"op{number}", email=email, receives_alerts=wants, is_active=active)
    ward.finds(one())
    assert sorted(row.recipient for row in OutgoingMail.objects.all()) == ["opal@example.test", OPS]
    tasks.send_mail()
    assert sorted(recipient for sent in django_mail.outbox for recipient in sent.to) == ["opal@example.test", OPS]


@pytest.mark.parametrize("off", [{"USERPOOL_MAIL_FROM": ""}, {"USERPOOL_ALERT_EMAILS": []}])
def test_without_mail_or_anybody_to_tell_it_is_logged_and_told_later(
    ward: Ward, settings: Any, off: dict[str, Any]
) -> None:
    before = {name: getattr(settings, name) for name in off}
    for name, value in off.items():
        setattr(settings, name, value)
    listener = Listener()
    logger = logging.getLogger("userpool.alerts")
    logger.addHandler(listener)
    try:
        for _ in range(2):
            assert ward.finds(one())["told"] == 0
    finally:
        logger.removeHandler(listener)
    plain = [line for line in listener.lines if line.startswith("userpool.alerts")]
    assert plain == ["userpool.alerts finding: Something is the matter with test:one."], "once"
    assert Alert.objects.get().over_at is None
    for name, value in before.items():
        setattr(settings, name, value)
    assert ward.finds(one())["told"] == 1


def test_a_collector_that_fails_ends_none_of_its_findings_and_stops_no_other(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.finds(one())

    def fail() -> Iterator[Finding]:
        raise RuntimeError
        yield

    monkeypatch.setattr(alerts, "COLLECTORS", {"test": fail, "other": lambda: iter([one(key="other:two")])})
    assert tasks.alert_operators() == {"standing": 1, "told": 1, "over": 0, "not collected": 1}
    assert Alert.objects.get(key="test:one").over_at is None


def test_the_mark_and_the_mail_are_one_transaction(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(mail, "queue", fail)
        with pytest.raises(RuntimeError):
            ward.finds(one())
    assert Alert.objects.get().told_severity == 0
    assert ward.finds(one())["told"] == 1


def test_a_name_with_a_line_break_cannot_write_headers(ward: Ward) -> None:
    ward.finds(Finding(WARNING, "test:one", "Pool a\r\nBcc: eve@example.test\x00 " + "long " * 60, "Mend it."))
    (subject,) = subjects()
    assert subject.startswith("[Userpool] Pool a Bcc: eve@example.test long")
    assert len(subject) == 150


def test_a_finding_of_a_pool_that_is_gone_is_left_alone(ward: Ward, pool: UserPool) -> None:
    pool_id = pool.pk
    ward.finds(one(pool=pool_id))
    assert Alert.objects.get().user_pool == pool
    pool.delete()
    assert ward.finds(one(pool=pool_id))["told"] == 0
    assert not Alert.objects.exists()


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_of_two_runs_at_once_one_tells(ward: Ward) -> None:
    ward.found = [one()]
    at_once(lambda _: alerts.tell(), 6)
    assert subjects() == ["[Userpool] Something is the matter with test:one."]
    ward.found = []
    at_once(lambda _: alerts.tell(), 6)
    assert subjects()[1:] == ["[Userpool] Over: Something is the matter with test:one."]


# --- finding


def test_a_quiet_deployment_has_no_findings(pool: UserPool) -> None:
    for use in ("signing", "encryption"):
        saml_keys.active(pool, use)
    factories.make_oidc_provider(pool)
    assert tasks.alert_operators() == {"standing": 0, "told": 0, "over": 0, "not collected": 0}


def test_a_job_that_failed_and_one_that_is_late_are_found() -> None:
    now = timezone.now()
    JobRun.objects.filter(name="purge_expired").update(failure="OperationalError")
    JobRun.objects.filter(name="rotate_signing_keys").update(started_at=now - 3 * HOUR, succeeded_at=now - 2 * DAY)
    JobRun.objects.filter(name="send_mail").update(started_at=None, succeeded_at=None)
    found = of("jobs")
    assert set(found) == {"jobs:purge_expired", "jobs:rotate_signing_keys", "jobs:send_mail"}
    assert found["jobs:purge_expired"].words == 'The job "delete what has expired" failed: OperationalError.'
    assert found["jobs:purge_expired"].severity == WARNING
    assert "is late" in found["jobs:rotate_signing_keys"].words
    assert found["jobs:rotate_signing_keys"].severity == URGENT, "for more than a day"
    assert "has never run" in found["jobs:send_mail"].words
    assert found["jobs:send_mail"].patience == 2 * HOUR, "it may be new"
    JobRun.objects.filter(name="purge_expired").update(running_until=now + HOUR)
    assert "jobs:purge_expired" in of("jobs"), "that it runs again does not mean that it works again"


def test_a_signing_key_that_was_not_rotated_is_found(pool: UserPool) -> None:
    assert of("keys") == {}
    UserPool.objects.update(key_rotation_days=30)
    SigningKey.objects.filter(user_pool=pool, token_use="id").update(not_before=timezone.now() - 31 * DAY)
    found = of("keys")
    assert set(found) == {f"keys:{pool.pk}:id"}
    assert found[f"keys:{pool.pk}:id"].patience == 2 * HOUR
    assert f"rotate_keys {pool.pk}" in found[f"keys:{pool.pk}:id"].mend
    tasks.rotate_signing_keys()
    assert of("keys") == {}
    SigningKey.objects.filter(user_pool=pool).delete()
    assert set(of("keys")) == {f"keys:{pool.pk}:id", f"keys:{pool.pk}:access"}


@pytest.mark.parametrize(
    ("left", "severity"),
    [(31 * DAY, None), (30 * DAY - SECOND, NOTE), (8 * DAY, NOTE), (7 * DAY - SECOND, WARNING), (2 * DAY, WARNING),
     (DAY - SECOND, URGENT), (-DAY, URGENT)],
)  # fmt: skip
def test_a_certificate_of_the_pool_is_told_of_30_7_and_1_days_before(
    pool: UserPool, left: timedelta, severity: Severity | None
) -> None:
    ends = timezone.now() + left
    key = saml_keys.active(pool, "signing")
    SamlKey.objects.filter(pk=key.pk).update(not_after=ends)
    found = of("certificates").get(f"certificates:pool:{pool.pk}:signing")
    assert (found.severity if found else None) == severity
    if found:
        assert f"{'expired' if left < timedelta() else 'expires'} on {ends:%Y-%m-%d}." in found.words
        assert found.pool == pool.pk
    SamlKey.objects.filter(pk=key.pk).update(retired_at=timezone.now())
    assert of("certificates") == {}, "one that signs no more may expire"


def saml_provider(pool: UserPool, *days: int, url: bool = False) -> IdentityProvider:
    document = saml.metadata(*(saml.pair(f"in {left}", days=left).certificate for left in days))
    address = "https://idp.example.test/metadata"
    details = {"MetadataURL": address} if url else {"MetadataFile": document}
    row = factories.make_oidc_provider(pool, "Partner", provider_type="SAML", provider_details=details)
    if url:
        ProviderDocument.objects.create(
            provider=row, kind="saml", url=address, body=document, fetched_at=timezone.now()
        )
    return row


@pytest.mark.parametrize("url", [False, True])
def test_the_last_certificate_of_a_provider_is_the_one_that_counts(pool: UserPool, url: bool) -> None:
    """One that expires beside one that does not is a roll-over, and nobody's business."""
    provider = saml_provider(pool, 3, 400, url=url)
    assert of("certificates") == {}
    provider.delete()
    provider = saml_provider(pool, -2, 3, url=url)
    (found,) = of("certificates").values()
    assert (found.key, found.severity) == (f"certificates:provider:{provider.pk}", WARNING)
    assert found.words.startswith("The last signing certificate of provider Partner (pool ")


def test_a_client_secret_that_says_when_it_expires_is_told_of(pool: UserPool) -> None:
    def secret(claims: Any) -> str:
        part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        return f"eyJhbGciOiJFUzI1NiJ9.{part}.c2lnbmF0dXJl"

    provider = factories.make_oidc_provider(pool, "Apple")
    details = provider.provider_details

    def with_secret(value: str) -> dict[str, Finding]:
        IdentityProvider.objects.filter(pk=provider.pk).update(provider_details=details | {"client_secret": value})
        return of("certificates")

    soon = int((timezone.now() + 3 * DAY).timestamp())
    (found,) = with_secret(secret({"exp": soon})).values()
    assert found.severity == WARNING
    assert found.words.startswith("The client secret of provider Apple (pool ")
    assert secret({"exp": soon}) not in repr(found)
    for other in ("x", "a.b.c", "a.!.c", secret({}), secret([]), secret({"exp": "soon"}), secret({"exp": 10**30}),
                  secret({"exp": soon + 40 * 86400})):  # fmt: skip
        assert with_secret(other) == {}, other


def test_a_provider_whose_documents_cannot_be_read_is_found(pool: UserPool) -> None:
    provider, now = factories.make_oidc_provider(pool), timezone.now()
    values = {"provider": provider, "url": "https://idp.example.test/x", "failed_at": now}
    ProviderDocument.objects.create(kind="discovery", failure="timeout", body="{}", **values)
    ProviderDocument.objects.create(kind="jwks", failure="tls", **values)
    ProviderDocument.objects.create(kind="saml", body="<x/>", **values)
    found = of("providers")
    assert set(found) == {f"providers:{provider.pk}:discovery", f"providers:{provider.pk}:jwks"}
    kept, lost = found[f"providers:{provider.pk}:discovery"], found[f"providers:{provider.pk}:jwks"]
    assert (kept.severity, lost.severity) == (WARNING, URGENT)
    assert "the last good copy serves" in kept.words
    assert "there is no copy to sign in with" in lost.words
    assert "did not answer in time" in kept.mend
    assert "SSL_CERT_FILE" in lost.mend


def attempts(provider: IdentityProvider, *reasons: str) -> None:
    for reason in reasons:
        AuthEvent.objects.create(
            user_pool=provider.user_pool, provider=provider, provider_name=provider.provider_name, reason=reason,
            outcome="refused" if reason else "succeeded",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("reasons", "found"),
    [
        (["token_error"] * 5, True),
        (["token_error"] * 4, False),
        (["userinfo_error", "id_token_key", "jwks_timeout", "discovery_unusable", "token_error"], True),
        (["assertion_signature"] * 5, True),
        (["access_denied", "state_expired", "audience", "user_disabled", "replayed"] * 3, False),
        ([*["token_error"] * 5, ""], False),
        (["", *["token_error"] * 5], True),
        ([*["token_error"] * 5, "", *["token_error"] * 4], False),
    ],
)
def test_a_provider_that_lets_nobody_in_is_found(pool: UserPool, reasons: list[str], found: bool) -> None:
    provider = factories.make_oidc_provider(pool)
    attempts(factories.make_oidc_provider(pool, "Other"), "", "token_error")
    attempts(provider, *reasons)
    standing = of("providers")
    assert set(standing) == ({f"providers:{provider.pk}:refuses"} if found else set())
    for each in standing.values():
        assert each.severity == URGENT
        assert "the last 5 sign-ins failed" in each.words
        assert each.mend
    AuthEvent.objects.update(at=timezone.now() - DAY)
    assert of("providers") == {}, "of yesterday nobody is told"


def test_mail_that_was_given_up_or_does_not_leave_is_found() -> None:
    now = timezone.now()
    rows = mail.queue("test", ["a@example.test", "b@example.test", "c@example.test"], "Hello", "...")
    assert of("mail") == {}
    OutgoingMail.objects.filter(pk=rows[0].pk).update(given_up_at=now, next_attempt_at=None)
    OutgoingMail.objects.filter(pk=rows[1].pk).update(created_at=now - HOUR, attempts=5)
    found = of("mail")
    assert set(found) == {"mail:given-up", "mail:waiting"}
    assert found["mail:given-up"].words == "1 mails were given up in the last days."
    assert "send_test_mail" in found["mail:waiting"].mend


# --- the console


def test_alerts_are_in_the_console_the_standing_ones_first(ward: Ward, pool: UserPool) -> None:
    ward.finds(one(URGENT, "test:mended"))
    ward.finds(one(NOTE, "test:small"), one(URGENT, "test:large", pool=pool.pk))
    root = console.browser(console.operator(superuser=True))
    text = root.get("/admin/accounts/alert/").content.decode()
    places = [text.index(f"matter with test:{name}.") for name in ("large", "small", "mended")]
    assert places == sorted(places)
    standing = root.get("/admin/accounts/alert/?state=standing").content.decode()
    assert "test:mended" not in standing
    assert "test:small" in standing
    over = root.get("/admin/accounts/alert/?state=over").content.decode()
    assert "test:mended" in over
    assert "test:small" not in over
    detail = root.get(f"/admin/accounts/alert/{Alert.objects.get(key='test:large').pk}/change/").content.decode()
    assert "Mend it." in detail
    assert root.post(f"/admin/accounts/alert/{Alert.objects.first().pk}/change/").status_code == 403
    assert console.browser(console.operator(name="nobody")).get("/admin/accounts/alert/").status_code == 403


def test_an_operator_is_told_with_an_address_only(pool: UserPool) -> None:
    root = console.browser(console.operator(superuser=True))
    page = f"/admin/accounts/operator/{Operator.objects.get().pk}/change/"
    values = console.values(root, page, receives_alerts="on")
    assert console.errors(root.post(page, values)) == {"email": ["Alerts are sent there. Give an address."]}
    assert root.post(page, values | {"email": "opal@example.test"}).status_code == 302
    assert Operator.objects.get().receives_alerts
