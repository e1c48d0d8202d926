"""Many users in the console, in a real browser: import, bulk operations, export; and that these pages fit and are
accessible, as tests/browser/test_console.py has it.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.admin import user_bulk
from accounts.models import PoolUser, UserImportJob
from accounts.userimport import work
from tests import factories, needs
from tests.browser.test_console import LOOKS, Browse, Place, axe_finds, place, sign_in

pytestmark = needs.needs_chromium
__all__ = ["place"]


def upload(page: Page, place: Place, *people: Any) -> UserImportJob:
    page.goto(f"{place.base}/accounts/userimportjob/add/?user_pool={place.pool.pk}")
    file = {"name": "people.json", "mimeType": "application/json", "buffer": json.dumps(people).encode()}
    page.get_by_label("File").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("rows were read")).to_be_visible()
    return UserImportJob.objects.latest("pk")


def test_a_file_is_uploaded_looked_at_started_and_its_report_read(place: Place, browse: Browse) -> None:
    page = browse()
    sign_in(page, place)
    page.goto(f"{place.base}/accounts/pooluser/")
    page.get_by_role("link", name="Import users").click()
    expect(page.get_by_role("heading", name="Users for Acme")).to_be_visible()
    job = upload(page, place, {"Username": "grace"}, {"Username": "ada"}, {"Username": "x y"})
    expect(page.get_by_text("would be imported")).to_be_visible()
    page.get_by_role("link", name="Start").click()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("Pending")).to_be_visible()
    work.run()
    # the page comes again by itself, without a script
    expect(page.get_by_text("3 of 3 rows: 1 imported, 1 skipped, 1 refused")).to_be_visible(timeout=30_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the report").click()
    assert "refused" in Path(download.value.path()).read_text()
    assert download.value.suggested_filename == f"{job.job_id}.csv"


def test_an_operation_on_many_goes_on_by_itself_until_it_is_done(
    place: Place, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_bulk, "SECONDS", 0)  # one user a request
    for n in range(3):
        factories.make_user(place.pool, f"user{n}")
    page = browse()
    sign_in(page, place)
    page.goto(f"{place.base}/accounts/pooluser/?q=user")
    page.get_by_label("Select all objects on this page for an action").check()
    page.locator("select[name=action]").select_option("disable_selected")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Disable users (3)").click()
    expect(page.get_by_text("3 users disabled.")).to_be_visible(timeout=30_000)
    assert list(PoolUser.objects.filter(enabled=True)) == [place.user]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_these_pages_fit_their_window_and_are_accessible(
    place: Place, browse: Browse, monkeypatch: pytest.MonkeyPatch, scheme: str, width: int
) -> None:
    page = browse(width=width, color_scheme=scheme)
    sign_in(page, place)
    created = upload(page, place, {"Username": "grace"}, {"Username": "ada"}, {"Username": "x y" * 30})
    done = upload(page, place, *({"Username": f"name {n}"} for n in range(3)), {"Username": "alan"})
    work.start(done, "opal")
    work.run()
    base = f"{place.base}/accounts/userimportjob"
    urls = [
        f"{base}/",
        f"{base}/add/?user_pool={place.pool.pk}",
        place.page(created),
        place.page(created, "start"),
        place.page(done),
        f"{place.base}/accounts/pooluser/export_users/?user_pool={place.pool.pk}",
    ]
    for number, url in enumerate(urls):
        page.goto(url)
        judge(page, f"{number}-{scheme}-{width}")
    page.goto(f"{base}/add/?user_pool={place.pool.pk}")
    bad = {"name": "x.csv", "mimeType": "text/csv", "buffer": b"a,b\n"}
    page.get_by_label("File").set_input_files(bad)  # type: ignore[arg-type]
    press(page, "Upload")
    judge(page, f"bad-{scheme}-{width}")
    factories.make_group(place.pool, "staff")
    page.goto(f"{place.base}/accounts/pooluser/")
    judge(page, f"users-{scheme}-{width}")
    for action in ("add_to_group", "delete_selected"):
        page.goto(f"{place.base}/accounts/pooluser/")
        page.get_by_label("Select all objects on this page for an action").check()
        page.locator("select[name=action]").select_option(action)
        press(page, "Run")
        judge(page, f"{action}-{scheme}-{width}")
    monkeypatch.setattr(user_bulk, "SECONDS", 0)
    page.route("**/continue.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    press(page, "Delete users (2)")
    judge(page, f"going-on-{scheme}-{width}")


def press(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).click()


def judge(page: Page, name: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    assert axe_finds(page) == [], name
