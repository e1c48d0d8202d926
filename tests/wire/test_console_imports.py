"""Importing and exporting users in the console (W 17.9): upload, preview, start, watch, stop, report; who may what."""

import io
import json
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEvent, PoolUser, UserImportJob, UserPool
from accounts.userimport import csv_format, receive, work
from tests import console, factories

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/userimportjob/"
EXPORT = "/admin/accounts/pooluser/export_users/"


@pytest.fixture
def root() -> Client:
    return console.browser(console.operator(superuser=True))


def page(job: UserImportJob, name: str = "change") -> str:
    return f"/admin/accounts/userimportjob/{job.pk}/{name}/"


def upload(browser: Client, pool: UserPool, content: Any, name: str = "", file: str = "users.json") -> Any:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    sent = io.BytesIO(data)
    sent.name = file
    return browser.post(f"{LIST}add/?user_pool={pool.pk}", {"file": sent, "name": name})


def job_of(pool: UserPool, *people: dict[str, Any]) -> UserImportJob:
    return receive.receive(pool, io.BytesIO(json.dumps(people).encode()), name="test", actor="opal")


def body(response: Any) -> str:
    return b"".join(response.streaming_content).decode() if response.streaming else response.content.decode()


def test_from_the_upload_to_the_report(root: Client, pool: UserPool, user: PoolUser) -> None:
    answer = upload(root, pool, [{"Username": "ada"}, {"Username": "bob"}, {"Username": "<b> x"}], file="my users.json")
    job = UserImportJob.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, page(job))
    assert (job.job_name, job.created_by, job.rows, job.status) == ("my users.json", "opal", 3, "Created")
    shown = root.get(page(job))
    assert "Refresh" not in shown
    text = body(shown)
    assert "would be imported" in text
    assert "A user of this name exists already." in text
    assert "&lt;b&gt; x" in text
    assert PoolUser.objects.count() == 1
    assert "3 rows are imported" in body(root.get(page(job, "start")))
    assert root.post(page(job, "start")).status_code == 302
    running = root.get(page(job))
    assert running["Refresh"] == "5"
    assert root.post(page(job, "start")).status_code == 200
    work.run()
    done = root.get(page(job))
    assert "Refresh" not in done
    assert "3 of 3 rows: 1 imported, 1 skipped, 1 refused" in body(done)
    report = root.get(page(job, "report"))
    assert report["Content-Disposition"] == f'attachment; filename="{job.job_id}.csv"'
    assert body(report).splitlines()[1].startswith("1,ada,skipped,")
    assert {"create user import", "start user import", "end user import"} == set(
        AuditEvent.objects.filter(user_pool=pool.pk).values_list("action", flat=True)
    )
    assert "my users.json" in body(root.get(LIST))


def test_a_job_is_stopped_and_started_again(root: Client, pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "PART_ROWS", 1)
    job = job_of(pool, {"Username": "ada"}, {"Username": "bob"})
    assert root.post(page(job, "stop")).status_code == 200
    root.post(page(job, "start"))
    work.step(job.pk)
    assert root.post(page(job, "stop")).status_code == 302
    work.run()
    assert "Stopped after 1 of 2 rows" in body(root.get(page(job)))
    root.post(page(job, "start"))
    work.run()
    assert PoolUser.objects.count() == 2


def test_the_pool_is_chosen_first_and_its_template_is_its_header(root: Client, pool: UserPool) -> None:
    pool.schema_attributes = [{"Name": "custom:tier"}]
    pool.save()
    factories.make_pool()
    assert "For which pool?" in body(root.get(f"{LIST}add/"))
    shown = body(root.get(f"{LIST}add/?user_pool={pool.pk}"))
    assert f"template/?user_pool={pool.pk}" in shown
    template = root.get(f"{LIST}template/?user_pool={pool.pk}")
    assert body(template) == ",".join(csv_format.header(pool)) + "\r\n"
    assert "custom:tier" in body(template)
    assert root.get(f"{LIST}template/?user_pool=none").status_code == 404
    assert root.get("/admin/accounts/pooluser/import_users/")["Location"] == f"{LIST}add/"


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "", "empty"),
        (b"a,b\n1,2\n", "", "not the header of this pool"),
        (b"\xff\xfe\x00", "", "not UTF-8"),
        (b"[{]", "", "not JSON"),
        (b"[]", "", "has no users"),
    ],
)
def test_a_bad_file_is_refused_in_the_form(root: Client, pool: UserPool, content: bytes, name: str, words: str) -> None:
    answer = upload(root, pool, content, name)
    assert answer.status_code == 200
    assert words in body(answer)
    assert not UserImportJob.objects.exists()
    assert root.post(f"{LIST}add/?user_pool={pool.pk}", {}).status_code == 200


def test_a_name_becomes_one_that_a_job_may_have(root: Client, pool: UserPool) -> None:
    """JobName: [\\w\\s+=,.@-]+, at most 128; a script of the theme writes the name of the file there."""
    assert upload(root, pool, [{"Username": "ada"}], "users (1) <é>.csv").status_code == 302
    assert UserImportJob.objects.get().job_name == "users -1- ---.csv"


def test_a_large_file_goes_by_the_disk_and_not_by_the_memory(root: Client, pool: UserPool, settings: Any) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    assert upload(root, pool, [{"Username": "ada"}]).status_code == 302
    assert UserImportJob.objects.get().rows == 1


def test_who_may_import(pool: UserPool) -> None:
    job = job_of(pool, {"Username": "ada"})
    nobody, looker, uploader, runner = (
        console.browser(console.operator(*rights, name=name))
        for name, rights in (
            ("nobody", ["view_pooluser"]),
            ("looker", ["view_userimportjob"]),
            ("uploader", ["add_userimportjob"]),
            ("runner", ["change_userimportjob"]),
        )
    )
    assert [one.get(LIST).status_code for one in (nobody, looker, uploader, runner)] == [403, 200, 200, 200]
    assert [one.get(page(job)).status_code for one in (nobody, looker, uploader, runner)] == [403, 200, 200, 200]
    assert nobody.get(page(job, "report")).status_code == 403
    add = f"{LIST}add/?user_pool={pool.pk}"
    assert [one.get(add).status_code for one in (nobody, looker, uploader, runner)] == [403, 403, 200, 403]
    template = f"{LIST}template/?user_pool={pool.pk}"
    assert [one.get(template).status_code for one in (nobody, looker, uploader, runner)] == [403, 403, 200, 403]
    for one in (nobody, looker, uploader):
        assert one.post(page(job, "start")).status_code == 403
        assert one.post(page(job, "stop")).status_code == 403
    assert runner.post(page(job, "start")).status_code == 302
    assert runner.post(page(job), {"job_name": "x"}).status_code == 403
    assert runner.post(f"/admin/accounts/userimportjob/{job.pk}/delete/", {"post": "yes"}).status_code == 403
    assert nobody.get("/admin/accounts/pooluser/import_users/").status_code == 403


# --- export


def export_of(browser: Client, pool: UserPool, **values: str) -> Any:
    return browser.post(f"{EXPORT}?user_pool={pool.pk}", {"format": "json"} | values)


def test_users_are_exported_as_they_are_found(root: Client, pool: UserPool, user: PoolUser) -> None:
    factories.make_group(pool, "admins", factories.make_user(pool, "bob"))
    factories.make_user(factories.make_pool(), "stranger")
    names = [json.loads(line)["Username"] for line in body(export_of(root, pool)).splitlines()]
    assert names == ["ada", "bob"]
    assert '"bob"' not in body(export_of(root, pool, search="email=ada@example.test"))
    assert '"ada"' not in body(export_of(root, pool, group="admins"))
    answer = export_of(root, pool, format="csv")
    assert answer["Content-Disposition"] == f'attachment; filename="users-{pool.pk}.csv"'
    assert body(answer).startswith("name,given_name")
    assert "no group of this name" in body(export_of(root, pool, group="nobody"))
    assert export_of(root, pool, format="xml").status_code == 200
    assert "For which pool?" in body(root.get(EXPORT))
    assert body(root.get(f"{EXPORT}?user_pool={pool.pk}")).count("Download") >= 1


def test_hashes_are_a_permission_of_their_own(pool: UserPool, user: PoolUser) -> None:
    looker = console.browser(console.operator("view_pooluser", name="looker"))
    exporter = console.browser(console.operator("view_pooluser", "export_pooluser", name="exporter"))
    trusted = console.browser(
        console.operator("view_pooluser", "export_pooluser", "export_password_hashes", name="trusted")
    )
    blind = console.browser(console.operator("export_pooluser", name="blind"))
    assert export_of(looker, pool).status_code == 403
    assert export_of(blind, pool).status_code == 403
    assert "argon2" not in body(export_of(exporter, pool, hashes="on"))
    assert "argon2" not in body(export_of(trusted, pool))
    assert user.password in body(export_of(trusted, pool, hashes="on"))
    events = AuditEvent.objects.filter(action="export users").order_by("id")
    assert [(event.actor, event.changes["password_hashes"]) for event in events] == [
        ("exporter", [None, False]), ("trusted", [None, False]), ("trusted", [None, True])
    ]  # fmt: skip
    assert user.password not in str(list(events.values()))
