"""Many users at once in the console: AdminDisableUser, AdminEnableUser, AdminUserGlobalSignOut,
AdminResetUserPassword, AdminAddUserToGroup, AdminRemoveUserFromGroup and AdminDeleteUser, for a list of users.
"""

import re
from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client

from accounts.admin import user_bulk
from accounts.models import AuditEvent, PoolUser, UserPool
from tests import console, factories

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/pooluser/"


@pytest.fixture
def root() -> Client:
    return console.browser(console.operator(superuser=True))


@pytest.fixture
def people(pool: UserPool) -> list[PoolUser]:
    return [factories.make_user(pool, f"user{n}") for n in range(4)]


def send(browser: Client, action: str, users: list[PoolUser], url: str = LIST, **more: Any) -> Any:
    chosen = {"action": action, "_selected_action": [user.pk for user in users], "confirmed": "1"}
    return browser.post(url, {name: value for name, value in (chosen | more).items() if value is not None})


def told(response: Any, browser: Client) -> str:
    assert response.status_code == 302
    return " ".join(str(message) for message in browser.get(response["Location"]).context["messages"])


def fresh(*users: PoolUser) -> list[PoolUser]:
    return [PoolUser.objects.get(pk=user.pk) for user in users]


@pytest.mark.parametrize(
    ("action", "done"),
    [
        ("enable_selected", "enabled"),
        ("disable_selected", "disabled"),
        ("sign_out_selected", "signed out"),
        ("reset_selected", "reset"),
        ("delete_selected", "deleted"),
    ],
)
def test_an_operation_asks_names_the_count_and_then_does_it(
    root: Client, people: list[PoolUser], action: str, done: str
) -> None:
    asked = send(root, action, people[:3], confirmed=None)
    assert asked.status_code == 200
    assert "(3)" in asked.content.decode()
    assert not AuditEvent.objects.exists()
    assert f"3 users {done}." in told(send(root, action, people[:3]), root)
    assert AuditEvent.objects.count() == 3
    assert AuditEvent.objects.filter(user_pool=people[0].user_pool_id, actor="opal").count() == 3


def test_what_it_does(root: Client, people: list[PoolUser], pool: UserPool) -> None:
    group = factories.make_group(pool, "admins", people[0])
    send(root, "disable_selected", people[:2])
    send(root, "enable_selected", people[1:2])
    send(root, "reset_selected", people[2:3])
    send(root, "add_to_group", people[:2], group="admins")
    send(root, "remove_from_group", people[:1], group="admins")
    send(root, "delete_selected", people[3:])
    one, two, three = fresh(*people[:3])
    assert [one.enabled, two.enabled, three.enabled] == [False, True, True]
    assert (three.status, three.signed_out_at is not None) == ("RESET_REQUIRED", True)
    assert list(group.users.all()) == [two]
    assert PoolUser.objects.count() == 3
    changed = AuditEvent.objects.filter(action="change groups")
    assert [event.changes for event in changed.order_by("id")] == [
        {"groups": [[], ["admins"]]}, {"groups": [["admins"], []]}
    ]  # fmt: skip


def test_one_who_cannot_be_changed_stops_nobody(root: Client, people: list[PoolUser], pool: UserPool) -> None:
    corp = factories.make_user(pool, "corp_1", None, status="EXTERNAL_PROVIDER")
    words = told(send(root, "reset_selected", [*people, corp]), root)
    assert words == "4 users reset. 1 not: corp_1: comes from an identity provider and has no password."
    (left,) = fresh(corp)
    assert (left.status, left.signed_out_at) == ("EXTERNAL_PROVIDER", None)


def test_a_race_is_told_and_leaves_no_event(
    root: Client, people: list[PoolUser], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: Any) -> None:
        raise IntegrityError

    monkeypatch.setattr(user_bulk.sessions, "end_all", lose)
    assert "0 users reset. 4 not: user0: somebody else changed it" in told(send(root, "reset_selected", people), root)
    assert not AuditEvent.objects.exists()
    assert {user.status for user in fresh(*people)} == {"CONFIRMED"}


def test_all_that_the_list_finds_are_meant_and_nobody_else(root: Client, people: list[PoolUser]) -> None:
    other = factories.make_pool()
    stranger = factories.make_user(other, "user9")
    url = f"{LIST}?user_pool__id__exact={people[0].user_pool_id}&q=user"
    asked = send(root, "disable_selected", people[:1], url, select_across="1", confirmed=None)
    assert "(4)" in asked.content.decode()
    assert "4 users disabled" in told(send(root, "disable_selected", people[:1], url, select_across="1"), root)
    assert [user.enabled for user in fresh(*people, stranger)] == [False] * 4 + [True]


def test_what_takes_long_goes_on_request_by_request(
    root: Client, people: list[PoolUser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_bulk, "SECONDS", 0)
    corp = factories.make_user(people[0].user_pool, "corp_1", None, status="EXTERNAL_PROVIDER")
    url, hidden, requests = f"{LIST}?q=r", {"select_across": "1"}, 0
    while (answer := send(root, "reset_selected", people[:1], url, **hidden)).status_code == 200:
        requests += 1
        page = answer.content.decode()
        assert "data-continue" in page
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
        hidden = {name: hidden[name] for name in ("select_across", "after", "changed", "refused", "told")}
    assert requests == 5
    assert told(answer, root) == ("4 users reset. 1 not: corp_1: comes from an identity provider and has no password.")
    assert {user.status for user in fresh(*people)} == {"RESET_REQUIRED"}
    assert fresh(corp)[0].status == "EXTERNAL_PROVIDER"


@pytest.mark.parametrize("group", ["", "nobodys", "x" * 200, "a\x00b"])
def test_a_group_that_is_not_there_is_asked_for_again(
    root: Client, people: list[PoolUser], pool: UserPool, group: str
) -> None:
    factories.make_group(pool, "admins")
    answer = send(root, "add_to_group", people, group=group)
    assert answer.status_code == 200
    assert not AuditEvent.objects.exists()


def test_a_group_of_one_pool_is_none_of_another(
    root: Client, people: list[PoolUser], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = factories.make_pool()
    stranger, group = factories.make_user(other, "zoe"), factories.make_group(other, "admins")
    for most in (100, 0):  # chosen from a list, and typed where there are too many
        monkeypatch.setattr(user_bulk, "MAX_CHOICES", most)
        words = told(send(root, "add_to_group", [people[0], stranger], group="admins"), root)
        assert words == "1 user in the group. 1 not: user0: the user's pool has no such group."
    assert list(group.users.all()) == [stranger]


@pytest.mark.parametrize("number", ["-1", "x", "9" * 30])
def test_a_forged_progress_is_asked_again(root: Client, people: list[PoolUser], number: str) -> None:
    assert send(root, "disable_selected", people, after=number).status_code == 200
    assert {user.enabled for user in fresh(*people)} == {True}


def test_only_who_may_does(people: list[PoolUser]) -> None:
    looker = console.browser(console.operator("view_pooluser", name="looker"))
    editor = console.browser(console.operator("change_pooluser", name="editor"))
    for action in ("disable_selected", "reset_selected", "add_to_group", "delete_selected"):
        send(looker, action, people, group="x")
    send(editor, "delete_selected", people)
    assert {(user.enabled, user.status) for user in fresh(*people)} == {(True, "CONFIRMED")}
    assert "1 user disabled" in told(send(editor, "disable_selected", people[:1]), editor)
