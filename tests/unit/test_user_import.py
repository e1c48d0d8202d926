"""Import jobs: what becomes of each row, by the rules of a registration, and what is left when a job is stopped.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-using-import-tool.html (W 17.9)
"""

import io
import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts import jobs, tasks
from accounts.models import (
    AuditEvent,
    JobRun,
    PoolUser,
    SignInAlias,
    UserImportJob,
    UserImportPart,
    UserImportProblem,
    UserPool,
)
from accounts.passwords import Argon2idHasher
from accounts.poolfile.problems import Refused
from accounts.userimport import batch, csv_format, export, receive, rows, work
from tests import factories

HASH = Argon2idHasher().encode(factories.PASSWORD, "c2FsdHNhbHQ")
PHC = HASH.removeprefix("argon2")


def received(pool: UserPool, content: Any, name: str = "test") -> UserImportJob:
    text = content if isinstance(content, str) else json.dumps(content)
    return receive.receive(pool, io.BytesIO(text.encode()), name=name, actor="opal")


def imported(pool: UserPool, content: Any) -> UserImportJob:
    """A job that has run to its end."""
    job = received(pool, content)
    assert work.start(job, "opal")
    work.run()
    job.refresh_from_db()
    return job


def counts(job: UserImportJob) -> tuple[int, int, int]:
    return job.imported_users, job.skipped_users, job.failed_users


def reasons(job: UserImportJob) -> dict[int, str]:
    return {one.line: one.reason for one in job.problems.all()}


def person(name: str, **values: Any) -> dict[str, Any]:
    attributes = values.pop("attributes", {})
    return {"Username": name, "Attributes": [{"Name": n, "Value": v} for n, v in attributes.items()], **values}


def csv_of(pool: UserPool, *users: dict[str, str]) -> str:
    columns = csv_format.header(pool)
    usual = {"cognito:mfa_enabled": "false"}
    return csv_format.line(columns) + "".join(
        csv_format.line([(usual | user).get(name, "") for name in columns]) for user in users
    )


def of_name(username: str, **cells: str) -> dict[str, str]:
    return {"cognito:username": username, "email": f"{username}@example.test", "email_verified": "true"} | cells


def test_a_csv_becomes_users_who_must_reset_their_passwords(pool: UserPool) -> None:
    job = imported(pool, csv_of(pool, of_name("ada", name="Ada, Countess"), of_name("bob")))
    assert (job.status, counts(job), job.rows) == ("Succeeded", (2, 0, 0), 2)
    assert job.completion_message == "2 imported, 0 skipped, 0 refused."
    ada = PoolUser.objects.get(username="ada")
    assert (ada.status, ada.enabled, ada.has_usable_password()) == ("RESET_REQUIRED", True, False)
    assert ada.attributes == {"email": "ada@example.test", "email_verified": "true", "name": "Ada, Countess"}
    assert ada.user_pool == pool
    assert not UserImportPart.objects.exists()


def test_who_exists_is_skipped_and_stays_as_they_are(pool: UserPool, user: PoolUser) -> None:
    before = PoolUser.objects.values().get(pk=user.pk)
    job = imported(pool, [person("ADA", attributes={"name": "Eve"}, Password="Another-1-pass"), person("bob")])
    assert counts(job) == (1, 1, 0)
    assert reasons(job) == {1: batch.EXISTS}
    assert PoolUser.objects.values().get(pk=user.pk) == before


def test_a_name_that_the_file_has_twice_is_imported_once(pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same whether the two stand in one part or in two."""
    people = [person("ada", attributes={"name": "first"}), person("bob"), person("Ada", attributes={"name": "second"})]
    for size in (500, 2):
        monkeypatch.setattr(receive, "PART_ROWS", size)
        job = imported(pool, people)
        assert (counts(job), reasons(job)) == ((2, 1, 0), {3: batch.EXISTS})
        assert PoolUser.objects.get(username="ada").attributes == {"name": "first"}
        PoolUser.objects.all().delete()


def test_a_password_and_both_forms_of_a_hash_sign_in(pool: UserPool) -> None:
    job = imported(
        pool,
        [
            person("plain", Password=factories.PASSWORD),
            person("phc", PasswordHash=PHC),
            person("django", PasswordHash=HASH),
            person("later", Password=factories.PASSWORD, UserStatus="FORCE_CHANGE_PASSWORD"),
            person("nothing", UserStatus="CONFIRMED"),
            person("weak", Password="weak"),
            person("broken", PasswordHash="$argon2id$v=19$nonsense"),
            person("both", Password=factories.PASSWORD, PasswordHash=HASH),
        ],
    )
    assert counts(job) == (5, 0, 3)
    for name, status in (("plain", "CONFIRMED"), ("phc", "CONFIRMED"), ("django", "CONFIRMED"),
                         ("later", "FORCE_CHANGE_PASSWORD")):  # fmt: skip
        found = PoolUser.objects.get(username=name)
        assert (found.check_password(factories.PASSWORD), found.status) == (True, status)
    assert PoolUser.objects.get(username="nothing").status == "RESET_REQUIRED"
    told = reasons(job)
    assert "Password: Use at least 8 characters." in told[6]
    assert "PasswordHash: no configured hasher verifies it" in told[7]
    assert "not both" in told[8]
    assert "nonsense" not in str(told)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (person("a b"), "Username: must have no white space"),
        (person(""), "Username: must have 1 to 128 characters"),
        (person("x" * 129), "Username: must have 1 to 128 characters"),
        ({"Attributes": []}, "Username: is required"),
        ({"Username": None}, "Username: is required"),
        ({"Username": 7}, "Username: must be a string"),
        ([], "Not an object"),
        (person("eve", attributes={"email": "nobody"}), "email: not an e-mail address"),
        (person("eve", attributes={"custom:none": "x"}), "custom:none: the pool has no such attribute"),
        (person("eve", attributes={"name": "x" * 2049}), "must have 0 to 2048 characters"),
        (person("eve", attributes={"name": "a\x00b"}), "NUL and lone surrogates cannot be stored"),
        (person("eve", Extra={"a": "\ud800"}), "NUL and lone surrogates cannot be stored"),
        (person("eve", UserStatus="ARCHIVED"), "UserStatus: 'ARCHIVED' is not one of"),
        (person("eve", Groups=["nobody"]), "Groups[0]: 'nobody' is not one of"),
        (person("eve", Identities=[{"ProviderName": "None", "UserId": "1"}]), "Identities[0]: 'None' is not one of"),
        (person("Corp_4711"), "Names that begin with Corp_ belong to users of that identity provider"),
        (person("eve@example.test"), "must not look like an e-mail address"),
        (person("eve@example.test", Sub="eve@example.test"), "must not look like an e-mail address"),
        (person("eve", attributes={"email": "ada@example.test", "email_verified": "true"}), "another user of the pool"),
        (person("eve", Sub="of-ada"), "Sub: another user of the pool has the same"),
    ],
)
def test_a_row_that_no_registration_would_pass_is_refused_alone(pool: UserPool, row: Any, words: str) -> None:
    pool.alias_attributes = ["email"]
    pool.save()
    factories.make_oidc_provider(pool, "Corp")
    factories.make_user(pool, "ada", sub="of-ada")
    job = imported(pool, [person("bob"), row, person("carol")])
    assert counts(job) == (2, 0, 1)
    assert words in reasons(job)[2]
    assert PoolUser.objects.count() == 3


def test_of_two_who_want_one_address_the_first_has_it(pool: UserPool) -> None:
    pool.alias_attributes = ["email"]
    pool.save()
    shared = {"email": "one@example.test", "email_verified": "true"}
    job = imported(pool, [person("ada", attributes=shared), person("bob", attributes=shared), person("carol")])
    assert (counts(job), reasons(job)) == ((2, 0, 1), {2: "Attributes: User 1 has the same."})
    assert SignInAlias.objects.get().user.username == "ada"


def test_in_a_pool_of_addresses_the_name_is_the_address(pool: UserPool) -> None:
    pool.username_attributes = ["email"]
    pool.save()
    other = {"email": "other@example.test"}
    job = imported(
        pool,
        [
            person("ada@example.test"),
            person("bob@example.test", attributes=other),
            person("ADA@example.test"),
            person("nobody"),
            person("5f0f3f5e-1d8b-4a5e-9d0a-0f6f0d5b6a11", attributes={"email": "carol@example.test"}),
        ],
    )
    assert (counts(job), reasons(job)) == (
        (2, 1, 2),
        {
            2: "Attributes: email is not what the username says.",
            3: batch.EXISTS,
            4: "Username: In this pool a username is an e-mail address.",
        },
    )
    ada, carol = PoolUser.objects.order_by("attributes__email")
    assert (ada.attributes, ada.username) == ({"email": "ada@example.test"}, ada.sub)
    assert (carol.attributes, carol.username) == (
        {"email": "carol@example.test"}, "5f0f3f5e-1d8b-4a5e-9d0a-0f6f0d5b6a11"
    )  # fmt: skip


def test_pages_of_list_users_are_taken_as_they_come(pool: UserPool) -> None:
    """UserType: sub among the attributes, dates, identities as a JSON string; W 11.2."""
    provider = factories.make_oidc_provider(pool, "Corp")
    identities = [{"userId": "4711", "providerName": "Corp", "providerType": "OIDC", "issuer": None, "primary": "true",
                   "dateCreated": "1700000000000"}]  # fmt: skip
    page = {
        "Users": [
            {
                "Username": "corp_4711",
                "Attributes": [
                    {"Name": "sub", "Value": "8d9c"},
                    {"Name": "identities", "Value": json.dumps(identities)},
                    {"Name": "email", "Value": "ada@example.test"},
                ],
                "UserCreateDate": 1700000000.123,
                "UserLastModifiedDate": "2023-11-14T22:13:20+00:00",
                "Enabled": False,
                "UserStatus": "EXTERNAL_PROVIDER",
            }
        ],
        "PaginationToken": "CAISq",
    }
    assert counts(imported(pool, page)) == (1, 0, 0)
    ada = PoolUser.objects.get()
    assert (ada.username, ada.sub, ada.enabled, ada.status) == ("corp_4711", "8d9c", False, "EXTERNAL_PROVIDER")
    link = ada.identities.get()
    assert (link.provider, link.subject, link.primary) == (provider, "4711", True)
    assert link.date_created.timestamp() == 1700000000


def test_an_import_reaches_its_own_pool_only(pool: UserPool) -> None:
    """The same names, groups and providers in another pool neither help nor hinder."""
    other = factories.make_pool()
    factories.make_user(other, "ada", sub="of-ada")
    factories.make_group(other, "admins")
    factories.make_oidc_provider(other, "Corp")
    job = imported(pool, [person("ada", Sub="of-ada"), person("bob", Groups=["admins"]),
                          person("eve", Identities=[{"ProviderName": "Corp", "UserId": "1"}])])  # fmt: skip
    assert counts(job) == (1, 0, 2)
    assert pool.users.get().username == "ada"
    assert other.users.count() == 1


def test_a_number_that_json_has_and_no_column_is_no_500(pool: UserPool) -> None:
    """1e999 is infinite in Python, and PostgreSQL's jsonb has no infinity."""
    job = imported(pool, '[{"Username": "ada", "Extra": 1e999}, {"Username": "bob", "Extra": ' + "9" * 400 + "}]")
    assert counts(job) == (1, 0, 1)
    assert "out of range" in reasons(job)[1]


# --- the life of a job


def test_nothing_happens_before_the_start_and_nothing_twice(pool: UserPool) -> None:
    job = received(pool, [person("ada")])
    assert job.job_id.startswith("import-")
    assert len(job.job_id) >= len("import-") + 10
    assert work.run() == {"rows": 0, "unfinished": 0}
    assert job.status == "Created"
    assert not PoolUser.objects.exists()
    assert work.start(job, "opal")
    assert job.status == "Pending"
    assert not work.start(job, "opal")
    assert work.run() == {"rows": 1, "unfinished": 0}
    assert work.run() == {"rows": 0, "unfinished": 0}
    job.refresh_from_db()
    assert not work.start(job, "opal")
    assert not work.stop(job, "opal")
    assert [event.action for event in AuditEvent.objects.order_by("id")] == [
        "create user import", "start user import", "end user import"
    ]  # fmt: skip


def test_a_job_that_is_stopped_can_be_started_again_and_imports_the_rest(
    pool: UserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "PART_ROWS", 2)
    job = received(pool, [person(f"user{n}") for n in range(5)])
    work.start(job, "opal")
    assert work.step(job.pk) == 2
    assert work.stop(job, "opal")
    assert work.run() == {"rows": 0, "unfinished": 0}
    job.refresh_from_db()
    assert (job.status, job.completion_message) == (
        "Stopped", "Stopped after 2 of 5 rows: 2 imported, 0 skipped, 0 refused."
    )  # fmt: skip
    assert work.start(job, "opal")
    work.run()
    job.refresh_from_db()
    assert (job.status, counts(job)) == ("Succeeded", (5, 0, 0))
    assert PoolUser.objects.count() == 5


def test_a_worker_that_dies_in_a_part_leaves_it_for_the_next(pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users, counts, report and the deletion of the part are one transaction."""
    monkeypatch.setattr(receive, "PART_ROWS", 2)
    job = received(pool, [person("user0"), person("a b"), person("user2"), person("user3")])
    work.start(job, "opal")

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(work, "_count", die)
        with pytest.raises(Killed):
            work.step(job.pk)
    assert not PoolUser.objects.exists()
    assert not UserImportProblem.objects.exists()
    assert UserImportPart.objects.count() == 2
    work.run()
    job.refresh_from_db()
    assert (job.status, counts(job), PoolUser.objects.count()) == ("Succeeded", (3, 0, 1), 3)


def test_a_mistake_of_ours_fails_the_job_and_loses_nothing(
    pool: UserPool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = received(pool, [person("ada")])
    work.start(job, "opal")
    with monkeypatch.context() as patched:
        patched.setattr(batch.Rows, "judge", lambda *_: 1 / 0)
        work.run()
    job.refresh_from_db()
    assert job.status == "Failed"
    assert "the log says more" in job.completion_message
    assert "user import failed" in caplog.text
    assert work.start(job, "opal")
    work.run()
    assert PoolUser.objects.get().username == "ada"


def test_files_that_nobody_starts_go_after_two_days_and_jobs_after_ninety(pool: UserPool) -> None:
    """Expired: "You created a job, but did not start the job within 24-48 hours"."""
    old, fresh, done = received(pool, [person("ada")]), received(pool, [person("bob")]), imported(pool, [person("a b")])
    before = timezone.now() - timedelta(hours=49)
    UserImportJob.objects.filter(pk=old.pk).update(created_at=before)
    work.run()
    old.refresh_from_db()
    assert old.status == "Expired"
    assert [part.job for part in UserImportPart.objects.all()] == [fresh]
    assert not work.start(old, "opal")
    work.run()
    assert UserImportJob.objects.count() == 3
    UserImportJob.objects.filter(pk=done.pk).update(finished_at=timezone.now() - timedelta(days=91))
    work.run()
    assert not UserImportJob.objects.filter(pk=done.pk).exists()
    assert not UserImportProblem.objects.exists()


def test_the_scheduled_job_works_in_slices_and_takes_jobs_in_turn(
    pool: UserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "PART_ROWS", 1)
    many = received(pool, [person(f"many{n}") for n in range(3)])
    few = received(pool, [person("few")])
    work.start(many, "opal")
    work.start(few, "opal")
    assert work.run(seconds=0) == {"rows": 0, "unfinished": 2}
    for job_id in work.runnable():
        work.step(job_id)
    assert set(PoolUser.objects.values_list("username", flat=True)) == {"many0", "few"}
    job = jobs.by_name("import_users")
    assert job is not None
    assert jobs.run_now(job)
    assert JobRun.objects.get(name="import_users").result == {"rows": 2, "unfinished": 0}
    assert PoolUser.objects.count() == 4
    assert tasks.import_users() == {"rows": 0, "unfinished": 0}


def test_the_report_is_bounded_and_the_counts_are_not(pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "PART_ROWS", 3)
    monkeypatch.setattr(work, "MAX_PROBLEMS", 4)
    job = imported(pool, [person(f"a {n}" * 60) for n in range(8)])
    assert (counts(job), job.problems.count()) == ((0, 0, 8), 4)
    assert max(len(one.username) for one in job.problems.all()) == 128


def test_a_file_that_is_refused_leaves_nothing_behind(pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "PART_ROWS", 1)
    monkeypatch.setattr(receive, "MAX_ROWS", 2)
    for content, words in (
        ("", "is empty"), ("[]", "has no users"), ('[{"Username": "ada"}, {"Username": "bob"}, oops', "not JSON"),
        (json.dumps([person("a"), person("b"), person("c")]), "more than 2 users"),
    ):  # fmt: skip
        with pytest.raises(Refused, match=words):
            received(pool, content)
    assert not UserImportJob.objects.exists()
    assert not UserImportPart.objects.exists()


def test_a_preview_says_what_would_become_of_the_first_rows(pool: UserPool, user: PoolUser) -> None:
    job = received(pool, [person("ada"), person("a b"), person("bob", Password="weak"), person("carol")])
    found = work.preview(job, 3)
    assert [(line, name, bool(verdict)) for line, name, verdict in found] == [
        (1, "ada", True), (2, "a b", True), (3, "bob", True)
    ]  # fmt: skip
    assert [verdict.skipped for _, _, verdict in found if verdict] == [True, False, False]
    assert PoolUser.objects.get() == user
    assert work.preview(imported(pool, [person("dave")]), 3) == []


def test_the_file_and_the_log_tell_no_secret(pool: UserPool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "Secret-of-ada-1"
    content = [person("ada", Password=secret), person("bob", PasswordHash=PHC), person("eve", PasswordHash=f"x{PHC}"),
               person("x y", Password=secret)]  # fmt: skip
    job = received(pool, content)
    stored = str(list(UserImportPart.objects.extra(select={"raw": "payload"}).values_list("raw")))
    assert "ada" not in stored
    work.start(job, "opal")
    work.run()
    told = caplog.text + "".join(export.report(job)) + str(list(AuditEvent.objects.values()))
    told += str(list(UserImportProblem.objects.values())) + str(list(UserImportJob.objects.values()))
    assert UserImportProblem.objects.count() == 2
    for text in (secret, PHC, PHC[-20:]):
        assert text not in told


# --- out and in again


def populated(pool: UserPool) -> None:
    provider = factories.make_oidc_provider(pool, "Corp")
    group = factories.make_group(pool, "admins")
    ada = factories.make_user(pool, "ada", attributes={"email": "ada@example.test", "name": 'Ada, "Countess" \\ of\n=L',
                              "birthdate": "1815-12-10", "phone_number": "+12065551212"}, enabled=False)  # fmt: skip
    group.users.add(ada)
    ada.identities.create(provider=provider, subject="4711")
    factories.make_user(pool, "bob", password=None, status="RESET_REQUIRED",
                        other_fields={"MFAOptions": csv_format.SMS_MFA})  # fmt: skip
    corp = factories.make_user(pool, "Corp_1", None, status="EXTERNAL_PROVIDER", attributes={})
    corp.identities.create(provider=provider, subject="1", primary=True)


def exported(pool: UserPool, format: str, **options: Any) -> str:
    return "".join(export.lines(pool, pool.users.all(), format, **options))


def test_json_goes_round_with_all_that_a_user_has(pool: UserPool) -> None:
    populated(pool)
    text = exported(pool, "json", hashes=True)
    other = factories.make_pool()
    factories.make_oidc_provider(other, "Corp")
    factories.make_group(other, "admins")
    assert counts(imported(other, text)) == (3, 0, 0)
    # a part is stored by name, so that two imports do not wait for one another crosswise
    assert sorted(exported(other, "json", hashes=True).splitlines()) == sorted(text.splitlines())
    assert other.users.get(username="ada").check_password(factories.PASSWORD)
    assert "PasswordHash" not in exported(pool, "json")


def test_csv_goes_round_with_all_that_cognitos_has(pool: UserPool) -> None:
    populated(pool)
    text = exported(pool, "csv")
    other = factories.make_pool()
    job = imported(other, text)
    assert (counts(job), reasons(job)) == ((2, 0, 0), {})
    assert exported(other, "csv") == text
    assert "12/10/1815" in text
    assert "argon2" not in text
    third = factories.make_pool()
    assert counts(imported(third, exported(pool, "csv", hashes=True))) == (2, 0, 0)
    assert third.users.get(username="ada").check_password(factories.PASSWORD)


def test_an_export_keeps_values_exact_and_a_report_has_no_formula(pool: UserPool) -> None:
    """https://owasp.org/www-community/attacks/CSV_Injection"""
    factories.make_user(pool, "=cmd|calc", attributes={"name": "@SUM(1)", "phone_number": "+12065551212"})
    text = exported(pool, "csv")
    assert "@SUM(1)" in text
    assert ",=cmd|calc\r\n" in text
    job = imported(pool, [person("=cmd|calc"), person("-1 x"), person("+1 x"), person("@x y")])
    lines = "".join(export.report(job)).splitlines()
    assert lines[0] == "user,username,outcome,reason"
    assert [line.split(",")[1] for line in lines[1:]] == ["'=cmd|calc", "'-1 x", "'+1 x", "'@x y"]
    assert "skipped" in lines[1]
    assert "refused" in lines[2]


# --- the commands


def test_the_commands_export_and_import(pool: UserPool, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    factories.make_group(pool, "admins", factories.make_user(pool, "ada"))
    factories.make_user(pool, "bob")
    file, report = tmp_path / "users.csv", tmp_path / "report.csv"
    call_command("export_users", pool.pk, "--group", "admins", "--output", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    other = factories.make_pool()
    call_command("import_users", other.pk, str(file))
    assert other.users.get().username == "ada"
    call_command("import_users", other.pk, str(file), "--report", str(report))
    assert batch.EXISTS in report.read_text()
    call_command("export_users", other.pk, "--format", "json")
    out = capsys.readouterr().out
    assert "1 imported, 0 skipped, 0 refused." in out
    assert json.loads(out.splitlines()[-1])["Username"] == "ada"
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps([person("x y")]))
    call_command("import_users", other.pk, str(bad))
    assert "user 1: x y: Username: must have no white space" in capsys.readouterr().out
    actions = set(AuditEvent.objects.values_list("actor", "action"))
    assert ("export_users", "export users") in actions
    assert ("import_users", "end user import") in actions


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("import_users", "eu-west-1_None00000", "x"), "There is no pool"),
        (("import_users", "eu-west-1_Demo00001", "/nonexistent"), "cannot be read"),
        (("import_users", "eu-west-1_Demo00001", __file__), "not the header of this pool.*Nothing was imported"),
        (("export_users", "eu-west-1_None00000"), "There is no pool"),
        (("export_users", "eu-west-1_Demo00001", "--group", "x"), "has no group x"),
        (("export_users", "eu-west-1_Demo00001", "--output", "/nonexistent/x"), "cannot be written"),
    ],
)
def test_the_commands_refuse_in_words(pool: UserPool, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command(*arguments)
    assert rows.MAX_ROWS == 500_000
