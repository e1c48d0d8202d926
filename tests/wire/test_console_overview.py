"""The console's first page, and the page that answers "why was it refused?" by the number of an error page.

What is shown comes from the counts by hour and from the events; nobody sees what they have no permission for (Django,
ModelAdmin.has_view_permission).
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import activity, events, jobs, tasks
from accounts.models import Alert, AppClient, AuditEvent, AuthEvent, EventCount, JobRun, PoolUser, UserPool
from accounts.models.events import EventType, Outcome
from tests import console, factories
from tests.wire.helpers import ask, query_of
from tests.wire.test_console_providers import text_of

pytestmark = pytest.mark.django_db
REQUEST_ID = "0b6f3c50-7a0c-4a8e-9a57-6a2c3f0f8a11"
HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture
def root() -> Client:
    return console.browser(console.operator(superuser=True))


def counted(pool: UserPool, hour: datetime, number: int, reason: str = "", **values: Any) -> None:
    outcome = Outcome.REFUSED if reason else Outcome.SUCCEEDED
    defaults = {"event_type": EventType.SIGN_IN, "outcome": outcome, "reason": reason}
    EventCount.objects.create(user_pool=pool, hour=hour, count=number, **defaults | values)


# --- what is counted


def test_a_span_is_cut_into_columns_and_holds_nothing_from_outside(pool: UserPool) -> None:
    for hour, number in (
        (NOON - 24 * HOUR, 100),
        (NOON - 23 * HOUR, 1),
        (NOON - HOUR, 2),
        (NOON, 4),
        (NOON + HOUR, 100),
    ):
        counted(pool, hour, number)
    found = activity.read(activity.SPANS["day"], NOON + HOUR / 2)
    assert len(found.columns) == 24
    assert (found.columns[0].start, found.columns[-1].start) == (NOON - 23 * HOUR, NOON)
    assert [one.succeeded for one in found.columns if one.succeeded] == [1, 2, 4]
    assert found.totals[EventType.SIGN_IN] == 7


@pytest.mark.parametrize(("span", "columns", "back"), [("week", 28, 7 * 24), ("month", 30, 30 * 24)])
def test_a_longer_span_adds_hours_up(pool: UserPool, span: str, columns: int, back: int) -> None:
    for n in range(back):
        counted(pool, NOON - n * HOUR, 1)
    found = activity.read(activity.SPANS[span], NOON + HOUR / 2)
    assert [one.succeeded for one in found.columns] == [back // columns] * columns


def test_one_pool_is_read_alone_and_the_most_frequent_reason_comes_first(pool: UserPool) -> None:
    other = factories.make_pool()
    counted(pool, NOON, 2, "incorrect")
    counted(pool, NOON, 3, "locked")
    counted(pool, NOON - HOUR, 2, "incorrect")
    counted(pool, NOON, 1, "token_timeout", provider_name="Corp")
    counted(pool, NOON, 9, event_type=EventType.LOCK_OUT)
    counted(other, NOON, 50, "incorrect")
    found = activity.read(activity.SPANS["day"], NOON, pool.pk)
    assert [(one.reason, one.count) for one in found.reasons] == [("incorrect", 4), ("locked", 3), ("token_timeout", 1)]
    assert (found.totals["refused"], found.totals[EventType.LOCK_OUT], found.columns[-1].refused) == (8, 9, 6)
    assert activity.read(activity.SPANS["day"], NOON).totals["refused"] == 58


# --- the first page


def test_the_first_page_shows_what_happened_and_links_to_it(root: Client, pool: UserPool, user: PoolUser) -> None:
    for _ in range(3):
        events.signed_in(pool, None, "client", user)
    events.refused(pool, None, "client", None, "incorrect", user=user)
    tasks.count_events()
    response = root.get("/admin/")
    page = response.content.decode()
    assert 'aria-label="3 sign-ins and 1 refusals; at most 4 in one column."' in page
    assert "The password was wrong, or there is no such user" in page
    link = re.search(r'href="([^"]*reason__icontains=incorrect[^"]*)"', page)
    assert link is not None
    listed = root.get(link[1].replace("&amp;", "&"))
    assert [row.reason for row in listed.context["cl"].result_list] == ["incorrect"]


@pytest.mark.parametrize(
    "query", ["", "?span=week", "?span=never&pool=nobody", "?pool=%27%22%3E%3Cscript%3E", "?span=month"]
)
def test_the_first_page_takes_any_query(root: Client, pool: UserPool, query: str) -> None:
    response = root.get(f"/admin/{query}")
    assert response.status_code == 200
    assert "<script>" not in response.content.decode().replace("<script src", "").partition("console-choose")[2]


def test_the_first_page_asks_as_much_for_many_events_as_for_one(root: Client, pool: UserPool, user: PoolUser) -> None:
    def cost() -> int:
        root.get("/admin/")
        with CaptureQueriesContext(connection) as queries:
            root.get("/admin/?span=month")
        return len(queries)

    counted(pool, timezone.now().replace(minute=0, second=0, microsecond=0), 1)
    few = cost()
    for n in range(1, 200):
        counted(
            factories.make_pool(), timezone.now().replace(minute=0, second=0, microsecond=0) - n * HOUR, 1, "locked"
        )
    assert cost() == few


def test_who_may_not_see_events_sees_none_of_them_counted(pool: UserPool, user: PoolUser) -> None:
    events.refused(pool, None, "client", None, "incorrect", user=user)
    tasks.count_events()
    looker = console.browser(console.operator("view_userpool", name="looker"))
    page = looker.get("/admin/").content.decode()
    assert "Refused most" not in page
    assert "console-chart" not in page
    assert looker.get("/admin/request/").status_code == 403
    assert "/admin/request/" not in page


# --- what needs somebody


def alert(words: str, pool: UserPool | None = None, **values: Any) -> None:
    Alert.objects.create(
        **{"key": words, "severity": 2, "words": words, "mend": "Mend it.", "since": NOON, "user_pool": pool} | values
    )


def test_what_needs_somebody_is_shown_the_most_urgent_first_and_what_is_over_is_not(
    root: Client, pool: UserPool
) -> None:
    jobs.ensure_rows()
    JobRun.objects.update(started_at=timezone.now(), succeeded_at=timezone.now())
    assert "Nothing. Jobs run, keys and certificates last" in text_of(root, "/admin/")
    alert("A warning.", pool)
    alert("Something urgent.", severity=3)
    alert("It was mended.", over_at=NOON)
    page = text_of(root, "/admin/")
    assert page.index("Something urgent.") < page.index("A warning.")
    assert "It was mended." not in page
    JobRun.objects.filter(name="purge_expired").update(failure="OSError")
    assert 'The job "delete what has expired" failed: OSError.' in text_of(root, "/admin/")
    assert "Something urgent." not in text_of(root, f"/admin/?pool={pool.pk}")
    assert "Needs attention" not in text_of(
        console.browser(console.operator("view_userpool", name="looker")), "/admin/"
    )


# --- why was it refused?


def test_the_number_of_an_error_page_finds_why(
    root: Client, http: Client, pool: UserPool, app_client: AppClient
) -> None:
    refused = ask(http, query_of(app_client, redirect_uri="https://elsewhere.example.test/"))
    shown = http.get(refused["Location"]).content.decode()
    number = refused["x-amz-cognito-request-id"]
    assert number in shown
    page = text_of(root, f"/admin/request/?id={number}")
    assert "The app asked to be sent back to an address that is not registered." in page
    assert app_client.client_id in page
    row = AuthEvent.objects.get()
    assert (
        f'href="/admin/accounts/authevent/{row.pk}/change/"'
        in root.get(f"/admin/request/?id={number}").content.decode()
    )


@pytest.mark.parametrize(
    "typed",
    [REQUEST_ID, REQUEST_ID.upper(), f"  {REQUEST_ID}\n", f"x-amz-cognito-request-id: {REQUEST_ID}", f'"{REQUEST_ID}"'],
)
def test_what_people_paste_around_the_number_is_no_obstacle(root: Client, pool: UserPool, typed: str) -> None:
    AuthEvent.objects.create(user_pool=pool, outcome="refused", reason="locked", request_id=REQUEST_ID)
    assert "Too many wrong passwords" in root.get("/admin/request/", {"id": typed}).content.decode()


@pytest.mark.parametrize("typed", ["x", "0" * 36, "'; DROP TABLE", REQUEST_ID[:-1], "\U0001f600" * 50])
def test_what_is_no_number_is_told(root: Client, typed: str) -> None:
    response = root.get("/admin/request/", {"id": typed})
    assert response.status_code == 200
    assert "That is no request id" in response.content.decode()


def test_a_number_that_nothing_is_known_of_is_told_and_how_to_go_on(root: Client) -> None:
    page = text_of(root, f"/admin/request/?id={REQUEST_ID}")
    assert "Nothing is on record of this request" in page
    assert f"look for {REQUEST_ID} in it" in page


def test_what_an_operator_changed_is_found_as_well_by_who_may_see_it(root: Client, pool: UserPool) -> None:
    AuditEvent.objects.create(
        actor="ada", action="change", target_type="pool", target_name="demo", request_id=REQUEST_ID
    )
    assert "Changed by this request" in text_of(root, f"/admin/request/?id={REQUEST_ID}")
    looker = console.browser(console.operator("view_authevent", name="looker"))
    assert "Changed by this request" not in text_of(looker, f"/admin/request/?id={REQUEST_ID}")
