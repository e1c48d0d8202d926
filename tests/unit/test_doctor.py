"""The doctor's findings: each thing that can be wrong is found in a database that has it, and its mend is said.

What is expected are the project's own promises (docs/operations.md, README.md), and what Celery's page on Redis
(noeviction), Django's on databases (versions, isolation) and RFC 7516 4.1.6 (a JWE's header names its key) say.
"""

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.checks.registry import registry
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pytest_django import Settings

from accounts import findings as alerts
from accounts import saml_keys, signing
from accounts.doctor import broker, configuration, database, findings, online, sealing
from accounts.doctor.examination import OFFLINE, PARTS, Part, examine
from accounts.doctor.findings import Finding, Scope, Severity
from accounts.fields import seal
from accounts.models import JobRun, ProviderDocument, SamlKey, SigningKey, UserPool
from accounts.models.saml import KeyUse
from tests import factories, services
from tests.needs import needs_postgresql, needs_redis

pytestmark = pytest.mark.django_db
OLD, NEW, OTHER = (bytes(range(start, start + 32)) for start in (0, 50, 100))
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def found(*parts: str, **scope: Any) -> list[Finding]:
    return list(examine(parts, Scope(**scope)))


def about(subject: str, *parts: str, **scope: Any) -> list[tuple[str, str]]:
    """Severity and words of what was found about ``subject``."""
    return [(each.severity.value, each.words) for each in found(*parts, **scope) if each.subject == subject]


def worst(*parts: str) -> set[str]:
    return {each.severity.value for each in found(*parts)}


# --- a deployment in order


def test_a_deployment_in_order_has_nothing_wrong(pool: UserPool) -> None:
    factories.make_client(pool, secret=True)
    now = timezone.now()
    JobRun.objects.update(started_at=now, finished_at=now, succeeded_at=now)
    assert worst("database", "secrets", "keys", "providers", "jobs", "mail", "hosts") == {"ok"}


def test_every_finding_that_is_not_in_order_says_its_mend(pool: UserPool, settings: Settings) -> None:
    settings.USERPOOL_ENCRYPTION_KEYS = [OTHER]
    SigningKey.objects.update(not_after=timezone.now() - DAY, expires_at=timezone.now())
    settings.USERPOOL_DOMAIN_SUFFIX = ""
    bad = [each for each in found(*OFFLINE) if each.severity != Severity.OK]
    bad = [each for each in bad if not each.subject.startswith("security.")]  # Django's say it in the words
    assert len(bad) > 4
    assert [each for each in bad if not each.mend] == []
    assert {each.part for each in bad} <= set(PARTS)


# --- stored secrets


def store(row: SigningKey, token: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_signingkey SET private_jwk = %s WHERE id = %s", [token, row.pk])


def test_what_an_older_key_sealed_is_counted_and_reencrypt_is_the_mend(settings: Settings) -> None:
    settings.USERPOOL_ENCRYPTION_KEYS = [OLD]
    factories.make_client(factories.make_pool(), secret=True)
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW, OLD]
    (old,) = [each for each in found("secrets") if each.subject == "older keys"]
    assert (old.severity, old.words[:8]) == (Severity.WARNING, "3 values")
    assert "manage.py reencrypt" in old.mend
    call_command("reencrypt", stdout=io.StringIO())
    assert about("older keys", "secrets")[0][0] == "ok"
    assert "can be taken out" in about("older keys", "secrets")[0][1]
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW]
    assert "None is listed; 3 values" in about("older keys", "secrets")[0][1]


def test_what_no_listed_key_opens_is_wrong_however_small_the_sample(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "SAMPLE", 1)
    for _ in range(3):
        factories.make_pool()
    row = SigningKey.objects.order_by("pk")[2]
    listed, settings.USERPOOL_ENCRYPTION_KEYS = settings.USERPOOL_ENCRYPTION_KEYS, [OTHER]
    lost = seal("gone")
    settings.USERPOOL_ENCRYPTION_KEYS = listed
    store(row, lost)
    (severity, words), *_ = about("SigningKey.private_jwk", "secrets")
    assert (severity, words[:12]) == ("wrong", "1 value of 6")


@pytest.mark.parametrize("damaged", ["nonsense", "a.b.c.d.e", "..", "é", "x" * 5000])
def test_what_is_damaged_is_wrong_and_breaks_nothing(pool: UserPool, damaged: str) -> None:
    store(SigningKey.objects.order_by("pk")[0], damaged)
    assert about("SigningKey.private_jwk", "secrets")[0][0] == "wrong"


def test_a_damaged_value_behind_a_good_header_is_found_by_opening_it(
    pool: UserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "SAMPLE", 1)
    factories.make_pool()
    row = SigningKey.objects.order_by("pk")[1]
    good = seal("x")
    store(row, good[:-6] + ("AAAAAA" if not good.endswith("AAAAAA") else "BBBBBB"))
    assert about("SigningKey.private_jwk", "secrets") == [("ok", "4 values; 2 opened, all of them good.")]
    (severity, words), *_ = about("SigningKey.private_jwk", "secrets", thorough=True)
    assert severity == "wrong"
    assert f"rows {row.pk}." in words


def test_counting_costs_the_same_for_many_rows(pool: UserPool, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(60) as few:
        found("secrets", "keys", "hosts")
    for _ in range(5):
        factories.make_pool()
    with django_assert_max_num_queries(len(few.captured_queries)):
        found("secrets", "keys", "hosts")


# --- keys and certificates


@pytest.mark.parametrize(
    "values",
    [
        {"not_before": timezone.now() + DAY},
        {"not_after": timezone.now() - DAY, "expires_at": timezone.now()},
        {"private_jwk": ""},
    ],
)
def test_a_pool_that_cannot_sign_is_wrong(pool: UserPool, values: dict[str, Any]) -> None:
    other = factories.make_pool()
    SigningKey.objects.filter(user_pool=pool, token_use="access").update(**values)
    bad = [each for each in found("keys") if each.severity == Severity.WRONG and each.subject != "rotation"]
    assert [(each.pool, each.subject) for each in bad] == [(pool.pk, "signing keys")]
    assert f"rotate_keys {pool.pk} --at-once" in bad[0].mend
    assert worst("keys") == {"wrong", "ok"}  # the certificates are in order
    assert {each.pool for each in found("keys", pool=other.pk)} == {""}
    call_command("rotate_keys", pool.pk, "--at-once", stdout=io.StringIO())
    assert worst("keys") == {"ok"}


def test_a_rotation_that_was_missed_is_wrong(pool: UserPool) -> None:
    assert about("rotation", "keys")[0][0] == "ok"
    SigningKey.objects.update(not_before=timezone.now() - timedelta(days=pool.key_rotation_days + 1))
    late = [each for each in found("keys") if each.subject == "rotation"]
    assert {(each.severity, each.pool) for each in late} == {(Severity.WRONG, pool.pk)}
    assert found("keys", pool=factories.make_pool().pk)[1].severity == Severity.OK
    assert signing.rotate(pool)
    assert worst("keys") == {"ok"}


def test_pools_are_named_up_to_a_bound(settings: Settings) -> None:
    for _ in range(findings.SHOWN + 2):
        factories.make_pool()
    SigningKey.objects.filter(token_use="id").update(private_jwk="")
    bad = [each for each in found("keys") if each.severity == Severity.WRONG]
    assert len({each.pool for each in bad if each.pool}) == findings.SHOWN
    assert len(bad) == findings.SHOWN + 1
    assert "2 times more" in bad[-1].words
    assert "--all" in bad[-1].mend


@pytest.mark.parametrize(("left", "severity"), [(-1, "wrong"), (6, "warning"), (29, "warning"), (31, "ok")])
def test_a_certificate_of_the_pool_is_told_of_before_it_expires(pool: UserPool, left: int, severity: str) -> None:
    saml_keys.active(pool, KeyUse.SIGNING)
    SamlKey.objects.update(not_after=timezone.now() + left * DAY)
    ((found_severity, words),) = about("certificates", "keys")
    assert found_severity == severity
    assert severity == "ok" or "(SAML)" in words


# --- identity providers


@pytest.mark.parametrize(
    ("body", "severity", "words"),
    [("{}", "warning", "the last good copy serves"), ("", "wrong", "there is no copy to sign in with")],
)
def test_a_provider_that_cannot_be_read_is_told_of(pool: UserPool, body: str, severity: str, words: str) -> None:
    provider = factories.make_oidc_provider(pool)
    ProviderDocument.objects.create(
        provider=provider, kind="discovery", body=body, failure="timeout", failed_at=timezone.now()
    )
    (bad,) = found("providers")
    assert (bad.severity.value, bad.pool) == (severity, pool.pk)
    assert words in bad.words
    assert bad.mend
    assert found("providers", pool=factories.make_pool().pk)[0].severity == Severity.OK


def test_what_operators_are_told_of_is_named_up_to_a_bound(pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [alerts.Finding(alerts.Severity.NOTE, f"x:{number}", f"{number}.", "Mend.") for number in range(25)]
    urgent = alerts.Finding(alerts.Severity.URGENT, "x:u", "Urgent.", "Mend.")
    monkeypatch.setitem(alerts.COLLECTORS, "mail", lambda: iter([*many, urgent]))
    first, *_, last = mails = found("mail")
    assert len(mails) == findings.SHOWN + 1
    assert (first.words, first.severity, last.severity) == ("Urgent.", Severity.WRONG, Severity.WARNING)
    assert "6 more" in last.words


# --- jobs


@pytest.fixture
def on_time() -> None:
    now = timezone.now()
    JobRun.objects.update(started_at=now, finished_at=now, succeeded_at=now)


def migrated(ago: timedelta) -> None:
    MigrationRecorder.Migration.objects.filter(app="accounts").update(applied=timezone.now() - ago)


@pytest.mark.parametrize(("age", "severity"), [(MINUTE, "warning"), (2 * DAY, "wrong")])
def test_no_job_ever_ran(age: timedelta, severity: str) -> None:
    """Of a deployment that was made just now that says nothing yet."""
    migrated(age)
    (finding,) = found("jobs")
    assert finding.severity.value == severity
    assert "run_jobs" in finding.mend


@pytest.mark.usefixtures("on_time")
@pytest.mark.parametrize(
    ("values", "severity", "words"),
    [
        ({"started_at": None}, "warning", "has never run"),
        ({"started_at": timezone.now() - 3 * DAY}, "warning", "is late"),
        ({"failure": "OSError", "succeeded_at": timezone.now() - 2 * DAY}, "wrong", "failed: OSError"),
        ({"running_until": timezone.now() + 20 * MINUTE}, "ok", "in time"),
    ],
)
def test_one_job_that_needs_looking_after(values: dict[str, Any], severity: str, words: str) -> None:
    JobRun.objects.filter(name="purge_expired").update(**values)
    (finding,) = found("jobs")
    assert finding.severity.value == severity
    assert words in finding.words


def test_workers_that_went_away_are_one_finding() -> None:
    JobRun.objects.update(started_at=timezone.now() - 2 * DAY)
    (finding,) = found("jobs")
    assert finding.severity == Severity.WRONG
    assert "No job has begun since" in finding.words


# --- Redis


def test_without_redis_there_is_nothing_to_look_at(settings: Settings) -> None:
    settings.REDIS_URL = ""
    assert worst("redis") == {"ok"}


def test_redis_away_is_wrong_and_its_password_is_not_shown(settings: Settings) -> None:
    settings.REDIS_URL = f"redis://:p4ssw0rd-of-redis@127.0.0.1:{services.free_port()}/0"
    (finding,) = found("redis")
    assert finding.severity == Severity.WRONG
    assert "Sign-ins go on" in finding.words
    assert "p4ssw0rd" not in repr(finding)


@pytest.fixture
def own_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(broker, "PATIENCE", 0.2)  # nobody answers as a worker here
    with services.redis_server("redis-server") as url:
        settings.REDIS_URL = url
        with redis.Redis.from_url(url) as client:
            yield client


@needs_redis
def test_redis_that_throws_tasks_away_is_a_warning(own_redis: Any) -> None:
    assert [severity for severity, _ in about("Redis", "redis")] == ["ok"]
    assert about("clock", "redis")[0][0] == "ok"
    assert about("queue", "redis") == [("ok", "0 tasks waiting.")]
    own_redis.config_set("maxmemory-policy", "allkeys-lru")
    assert about("Redis", "redis")[0][0] == "ok"  # without a limit nothing is thrown away
    own_redis.config_set("maxmemory", "100mb")
    assert about("Redis", "redis")[0][0] == "warning"
    own_redis.rpush("celery", *range(1001))
    assert about("queue", "redis") == [("warning", "1,001 tasks wait.")]


# --- hosts


def test_pools_on_the_issuers_host_share_an_origin(pool: UserPool, settings: Settings) -> None:
    assert worst("hosts") == {"ok"}
    lone = factories.make_pool()
    lone.domains.all().delete()
    assert worst("hosts") == {"ok"}  # alone there, and the console is elsewhere
    settings.USERPOOL_CONSOLE_HOST = "id.example.test"
    ((severity, words),) = about("origins", "hosts")
    assert severity == "warning"
    assert "beside the console" in words
    settings.USERPOOL_CONSOLE_HOST = "console.example.test"
    settings.USERPOOL_DOMAIN_SUFFIX = ""
    assert about("origins", "hosts")[0][1].startswith("2 pools live")
    assert about("prefix domains", "hosts")[0][0] == "warning"


# --- settings


@pytest.mark.parametrize(
    ("keys", "severity", "words"),
    [
        ([NEW, OLD], "ok", "2 keys"),
        ([NEW, bytes(32)], "wrong", "Key 2 of the list is not random"),
        ([b"changeme" * 4], "wrong", "Key 1"),
        ([NEW, OLD, NEW], "warning", "listed twice"),
    ],
)
def test_encryption_keys_are_random_and_listed_once(
    settings: Settings, keys: list[bytes], severity: str, words: str
) -> None:
    settings.USERPOOL_ENCRYPTION_KEYS = keys
    (finding,) = configuration.encryption_keys(Scope())
    assert finding.severity.value == severity
    assert words in finding.words


@pytest.mark.parametrize(
    ("mode", "folder", "severity"),
    [(0o600, 0o755, "ok"), (0o644, 0o755, "warning"), (0o644, 0o700, "ok"), (0o666, 0o755, "wrong")],
)
def test_a_file_with_a_secret_is_closed_to_other_accounts(
    settings: Settings, tmp_path: Path, mode: int, folder: int, severity: str
) -> None:
    for parent in (tmp_path, *tmp_path.parents):
        if parent.owner() == tmp_path.owner() and parent.name.startswith(("pytest", "test", "popen")):
            parent.chmod(0o755)
    place = tmp_path / "secrets"
    place.mkdir()
    file = place / "secret_key"
    file.write_text("secret")
    file.chmod(mode)
    place.chmod(folder)
    settings.USERPOOL_SECRET_FILES = {"SECRET_KEY": str(file), "REDIS_URL": str(place / "nothing")}
    (finding,) = [each for each in configuration.secret_files(Scope()) if each.subject == "SECRET_KEY"]
    assert finding.severity.value == severity
    assert severity == "ok" or str(file) in finding.mend


def test_system_checks_are_findings_and_one_that_breaks_does_not_hide_the_others(settings: Settings) -> None:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True

    def broken(**_: Any) -> list[Any]:
        raise RuntimeError("no such library")

    registry.register(broken)
    try:
        given = {each.subject: each for each in found("settings")}
    finally:
        registry.registered_checks.remove(broken)
    assert given["userpool.E006"].severity == Severity.WRONG
    assert "USERPOOL_UPSTREAM_NETWORKS" in given["userpool.E006"].mend
    assert "RuntimeError: no such library" in given["system check"].words


# --- the database


def test_migrations_that_wait_and_migrations_that_are_unknown() -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_applied("accounts", "9999_of_a_newer_release")
    (unknown,) = [each for each in found("database") if each.subject == "migrations"]
    assert unknown.severity == Severity.WARNING
    assert "accounts.9999_of_a_newer_release" in unknown.words
    newest = recorder.migration_qs.filter(app="accounts").exclude(name__startswith="9999").latest("name").name
    recorder.record_unapplied("accounts", newest)
    waiting = next(each for each in found("database") if each.subject == "migrations")
    assert waiting.severity == Severity.WRONG
    assert f"accounts.{newest}" in waiting.words
    assert "manage.py migrate" in waiting.mend


@needs_postgresql
def test_transactions_of_another_isolation_are_wrong() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_isolation = 'serializable'")
        assert about("isolation", "database")[0][0] == "wrong"
        cursor.execute("RESET default_transaction_isolation")
        cursor.execute("SET default_transaction_read_only = on")
        assert about("writing", "database")[0][0] == "wrong"
        cursor.execute("RESET default_transaction_read_only")
    assert about("modes", "database")[0][0] == "ok"


@needs_postgresql
def test_a_database_elsewhere_wants_tls_and_a_certificate_that_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    assert about("TLS", "database")[0][0] == "ok"
    monkeypatch.setitem(connection.settings_dict, "HOST", "db.example.com")
    ((severity, words),) = about("TLS", "database")
    assert (severity, "in clear" in words) == ("warning", True)


@needs_postgresql
def test_connections_that_run_out_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert about("connections", "database")[0][0] == "ok"
    monkeypatch.setattr(database, "BUSY", 0.0)
    assert about("connections", "database")[0][0] == "warning"


def test_little_room_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "sqlite":
        assert about("size", "database")[0][0] == "ok"
        return
    assert about("disk", "database")[0][0] == "ok"
    monkeypatch.setattr(database, "NO_ROOM", 2**62)
    assert about("disk", "database")[0][0] == "wrong"


@pytest.mark.parametrize(
    ("theirs", "severity", "words"),
    [
        (100.5, "ok", "same time"),
        (98.5, "ok", "same time"),
        (105.0, "warning", "4 seconds ahead"),
        (95.0, "warning", "5 seconds behind"),
        (400.0, "wrong", "299 seconds ahead"),
    ],
)
def test_clocks_are_compared_however_long_the_question_took(theirs: float, severity: str, words: str) -> None:
    finding = database.compared("clock", "the database", theirs, 100.0, 101.0)
    assert finding.severity.value == severity
    assert words in finding.words


# --- the examination itself


def test_a_check_that_fails_is_a_finding_and_shows_no_secret(
    pool: UserPool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(scope: Scope) -> list[Finding]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        raise RuntimeError(f"cannot use {settings.SECRET_KEY}\nand more")

    def spoiled(scope: Scope) -> list[Finding]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")
        return []

    monkeypatch.setitem(PARTS, "hosts", Part("Hosts", (broken, spoiled, *PARTS["hosts"].checks)))
    first, second, *rest = found("hosts")
    assert first.words == "It could not be looked at: RuntimeError: cannot use (hidden)"
    assert second.severity == Severity.WRONG
    assert "manage.py migrate" in second.mend
    assert [each.severity.value for each in rest] == ["ok"]


def test_what_is_examined_changes_nothing_on_the_way(pool: UserPool) -> None:
    before = UserPool.objects.values().get(), list(SigningKey.objects.order_by("pk").values())
    found(*OFFLINE)
    assert (UserPool.objects.values().get(), list(SigningKey.objects.order_by("pk").values())) == before


# --- what a proxy does to the browser's address (README: USERPOOL_TRUSTED_PROXIES)


@pytest.mark.parametrize(
    ("seen", "severity", "words"),
    [
        ({"forwarded_for": f"{online.FORGED}, 198.51.100.7", "address": "198.51.100.7"}, "ok", "198.51.100.7"),
        ({"forwarded_for": online.FORGED, "address": online.FORGED}, "wrong", "made-up address was believed"),
        ({"forwarded_for": f"{online.FORGED}, 10.0.0.7", "address": online.FORGED}, "warning", "itself trusted"),
        ({"forwarded_for": f"{online.FORGED}, 10.0.0.7", "address": "10.0.0.9"}, "warning", "seems to be at 10.0.0.9"),
        ({"forwarded_for": "", "address": "10.0.0.9"}, "warning", "seems to be at 10.0.0.9"),
        ({"forwarded_for": online.FORGED, "address": "10.0.0.7", "peer": "10.0.0.7"}, "ok", "reached the web process"),
    ],
)
def test_which_address_was_taken_for_the_browsers(seen: dict[str, str], severity: str, words: str) -> None:
    """From 10.0.0.7 a request went by a proxy at 10.0.0.9."""
    (finding,) = online._address({"peer": "10.0.0.9"} | seen, own="10.0.0.7")
    assert finding.severity.value == severity
    assert words in finding.words


# --- the command


def run(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("doctor", *arguments, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_the_command_prints_a_line_for_each_and_exits_by_the_worst(pool: UserPool) -> None:
    status, text = run("--part", "keys")
    assert status == 0
    assert text.startswith("Keys and certificates\n  ok       signing keys: 1 pool:")
    assert text.endswith("0 wrong, 0 to look at, 3 in order.\n")
    SigningKey.objects.update(private_jwk="")
    status, text = run("--part", "keys")
    assert status == 1
    assert f"  wrong    signing keys [{pool.pk}]: No key signs" in text
    assert f"mend: Run python manage.py rotate_keys {pool.pk} --at-once." in text
    assert "\x1b" not in text


def test_a_warning_alone_is_no_failure(pool: UserPool) -> None:
    saml_keys.active(pool, KeyUse.SIGNING)
    SamlKey.objects.update(not_after=timezone.now() + 20 * DAY)
    status, text = run("--part", "keys")
    assert status == 0
    assert "  warning  certificates" in text


def test_as_json_it_is_an_array_of_findings(pool: UserPool) -> None:
    status, text = run("--part", "keys", "--part", "hosts", "--json")
    assert status == 0
    given = json.loads(text)
    assert {each["part"] for each in given} == {"keys", "hosts"}
    assert set(given[0]) == {"subject", "words", "severity", "mend", "pool", "part"}


def test_a_pool_that_is_not_there_is_refused() -> None:
    with pytest.raises(CommandError, match="There is no pool"):
        call_command("doctor", "--pool", "eu-west-1_Nothing00")
