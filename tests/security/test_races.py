"""Many requests at once: one wins, no loser leaves anything behind.

RFC 6749 4.1.2 (a code is used once; used again, what it gave is revoked) and 10.5, RFC 9700 4.14.2 (a rotated refresh
token that comes again betrays a thief), Cognito's retry grace (W 4.4), its lock-out (W 12), design D2.4 and D2.9.

On PostgreSQL, with a thread and a connection of its own for every request. SQLite has one writer at a time; what
there is to race for is tried by tests/security/test_killed_worker.py in a process with a database file.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts import authentication, directory, sessions, signing, throttling
from accounts.authentication import Refusal, SignInRefused
from accounts.models import (
    AppClient,
    AuthorizationCode,
    PoolUser,
    RefreshToken,
    SignInAlias,
    SigningKey,
    SignInThrottle,
    UserPool,
)
from federation import tokens as wire
from tests import factories
from tests.security.steps import issue_code, post, redeem, refresh, userinfo

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
MANY = 50


def at_once(action: Callable[[int], Any], count: int = MANY) -> list[Any]:
    """Return what ``action(0)`` to ``action(count - 1)`` returned or raised; all start together, each in a thread."""
    barrier = threading.Barrier(count, timeout=60)
    results: list[Any] = [None] * count

    def run(number: int) -> None:
        try:
            connection.ensure_connection()  # connecting takes longer than what is raced for
            barrier.wait()
            results[number] = action(number)
        except Exception as problem:  # noqa: BLE001 - the test judges it
            results[number] = problem
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    return results


def browser() -> Client:
    return Client(headers={"host": "demo.auth.example.test"})


def outcomes(responses: list[HttpResponse]) -> Counter[str]:
    """Count the answers: ``200``, or the status with the error."""
    return Counter(
        "200" if answer.status_code == 200 else f"{answer.status_code} {answer.json()['error']}"  # type: ignore[attr-defined]
        for answer in responses
    )


@pytest.fixture
def pool() -> UserPool:
    return factories.make_pool("demo", id="eu-west-1_Demo00001")


@pytest.fixture
def client(pool: UserPool) -> AppClient:
    return factories.make_client(pool, client_id="1exampleclient23456789abcd")


@pytest.fixture
def user(pool: UserPool) -> PoolUser:
    return factories.make_user(pool)


@pytest.fixture(autouse=True)
def _warm(pool: UserPool, client: AppClient) -> None:
    """Let no thread begin with reading configuration."""
    directory.pool_by_host("demo.auth.example.test")
    directory.app_client(pool, client.client_id)
    directory.signing_keys(pool)
    signing.active_key(pool, "access")
    signing.active_key(pool, "id")


def live_grants() -> int:
    return RefreshToken.objects.filter(revoked_at__isnull=True).count()


# --- codes


def test_fifty_redemptions_of_one_code_give_one_success_and_no_grant_survives(
    client: AppClient, user: PoolUser
) -> None:
    code = issue_code(client, user)
    answers = at_once(lambda _: redeem(browser(), client.client_id, code))
    assert outcomes(answers) == {"200": 1, "400 invalid_grant": MANY - 1}
    assert RefreshToken.objects.count() == 1
    assert live_grants() == 0
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    assert userinfo(browser(), winner["access_token"]).status_code == 401
    assert outcomes([refresh(browser(), client.client_id, winner["refresh_token"])]) == {"400 invalid_grant": 1}


def waiting_for_a_lock() -> bool:
    """Whether another connection to this database waits for a row that somebody holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        row = cursor.fetchone()
        return bool(row and row[0])


def test_a_loser_that_came_while_the_winner_was_at_work_still_revokes_the_grant(
    client: AppClient, user: PoolUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two overlap for certain: the winner stops between spending and storing until the loser waits for it."""
    code = issue_code(client, user)
    open_grant, spent, proceed = wire.open_grant, threading.Event(), threading.Event()

    def slow(*args: Any) -> str:
        spent.set()
        assert proceed.wait(30)
        return open_grant(*args)

    def act(number: int) -> HttpResponse | None:
        if number == 2:
            assert spent.wait(30)
            deadline = time.monotonic() + 20
            while not waiting_for_a_lock() and time.monotonic() < deadline:
                time.sleep(0.01)
            proceed.set()
            return None
        if number == 1:
            assert spent.wait(30)
        return redeem(browser(), client.client_id, code)

    monkeypatch.setattr(wire, "open_grant", slow)
    answers = at_once(act, 3)
    assert outcomes(answers[:1]) == {"200": 1}
    assert outcomes(answers[1:2]) == {"400 invalid_grant": 1}
    assert (RefreshToken.objects.count(), live_grants()) == (1, 0)


def test_what_was_read_before_another_spent_or_rotated_opens_no_gate(client: AppClient, user: PoolUser) -> None:
    """The UPDATE decides, whatever was read before it: twice from one reading, once only."""
    code = issue_code(client, user)
    with transaction.atomic():  # FOR UPDATE wants one
        presented = AuthorizationCode.present(code, client)
    assert presented is not None
    assert presented.live
    assert [AuthorizationCode.spend(presented) for _ in range(2)] == [True, False]

    token = RefreshToken.open(presented.grant, client)
    held = RefreshToken.present(token, client)
    assert held is not None
    first, second = (RefreshToken.rotate(held, token) for _ in range(2))
    assert (bool(first), second) == (True, "")
    RefreshToken.revoke(pk=held.pk)
    held = RefreshToken.present(first, client)
    assert held is not None
    assert RefreshToken.rotate(held, first) == ""


def test_fifty_codes_at_once_each_give_one_grant(client: AppClient, user: PoolUser) -> None:
    codes = [issue_code(client, user) for _ in range(MANY)]
    answers = at_once(lambda number: redeem(browser(), client.client_id, codes[number]))
    assert outcomes(answers) == {"200": MANY}
    assert live_grants() == MANY
    assert len({answer.json()["refresh_token"] for answer in answers}) == MANY


def test_a_wrong_redemption_beside_a_right_one_costs_nothing(client: AppClient, user: PoolUser) -> None:
    """A refusal for another reason than being used does not spend the code, nor revoke its grant before it is used."""
    code = issue_code(client, user)
    wrong = {"redirect_uri": "https://app.example.test/other"}
    answers = at_once(lambda number: redeem(browser(), client.client_id, code, **({} if number == 0 else wrong)), 2)
    assert answers[0].status_code == 200
    assert outcomes(answers[1:]) == {"400 invalid_grant": 1}


# --- refresh tokens


def family(client: AppClient, user: PoolUser) -> str:
    """Return a refresh token of a new grant."""
    body = redeem(browser(), client.client_id, issue_code(client, user)).json()  # type: ignore[attr-defined]
    token: str = body["refresh_token"]
    return token


def rotate_with_grace(client: AppClient, seconds: int) -> None:
    client.refresh_token_rotation, client.retry_grace_period_seconds = True, seconds
    client.save()
    directory.app_client(client.user_pool, client.client_id)


def test_fifty_refreshes_inside_the_grace_all_get_the_one_successor(client: AppClient, user: PoolUser) -> None:
    rotate_with_grace(client, 60)
    token = family(client, user)
    answers = at_once(lambda _: refresh(browser(), client.client_id, token))
    assert outcomes(answers) == {"200": MANY}
    successors = {answer.json()["refresh_token"] for answer in answers}
    assert len(successors) == 1
    assert token not in successors
    assert (RefreshToken.objects.count(), live_grants()) == (1, 1)
    assert refresh(browser(), client.client_id, successors.pop()).status_code == 200


def test_fifty_refreshes_without_grace_give_one_success_at_most_and_the_family_is_dead(
    client: AppClient, user: PoolUser
) -> None:
    rotate_with_grace(client, 0)
    token = family(client, user)
    answers = at_once(lambda _: refresh(browser(), client.client_id, token))
    counted = outcomes(answers)
    assert counted["200"] <= 1
    assert counted["200"] + counted["400 invalid_grant"] == MANY
    assert live_grants() == 0
    for answer in answers:
        if answer.status_code == 200:
            assert refresh(browser(), client.client_id, answer.json()["refresh_token"]).status_code == 400
            assert userinfo(browser(), answer.json()["access_token"]).status_code == 401


def test_fifty_refreshes_without_rotation_all_succeed(client: AppClient, user: PoolUser) -> None:
    token = family(client, user)
    answers = at_once(lambda _: refresh(browser(), client.client_id, token))
    assert outcomes(answers) == {"200": MANY}
    assert not any("refresh_token" in answer.json() for answer in answers)


def test_a_chain_of_rotations_keeps_one_live_token_while_old_ones_are_retried(
    client: AppClient, user: PoolUser
) -> None:
    rotate_with_grace(client, 60)
    tokens = [family(client, user)]
    for _ in range(3):
        tokens.append(refresh(browser(), client.client_id, tokens[-1]).json()["refresh_token"])  # type: ignore[attr-defined]
    answers = at_once(lambda number: refresh(browser(), client.client_id, tokens[number % 3]), 30)
    assert outcomes(answers) == {"200": 30}
    assert {answer.json()["refresh_token"] for answer in answers} == {tokens[-1]}


@pytest.mark.parametrize("grace", [0, 60])
def test_a_revocation_beside_rotations_leaves_nothing_alive(client: AppClient, user: PoolUser, grace: int) -> None:
    rotate_with_grace(client, grace)
    for _ in range(5):
        token = family(client, user)

        def act(number: int, token: str = token) -> HttpResponse:
            if number % 5 == 0:
                return post(browser(), "/oauth2/revoke", {"client_id": client.client_id, "token": token})
            return refresh(browser(), client.client_id, token)

        answers = at_once(act, 10)
        assert {answer.status_code for answer in answers} <= {200, 400}
        assert live_grants() == 0
        for answer in answers:
            if answer.status_code == 200 and answer.content:
                assert refresh(browser(), client.client_id, answer.json()["refresh_token"]).status_code == 400
                assert userinfo(browser(), answer.json()["access_token"]).status_code == 401


def test_a_sign_out_everywhere_beside_redemptions_leaves_nothing_usable(client: AppClient, user: PoolUser) -> None:
    """sessions.end_all: a grant that was opened a moment before it, or that is being opened, is refused afterwards."""
    codes = [issue_code(client, user) for _ in range(12)]

    def act(number: int) -> HttpResponse | None:
        if number == 6:
            sessions.end_all(PoolUser.objects.select_related("user_pool").get(pk=user.pk))
            return None
        return redeem(browser(), client.client_id, codes[number])

    answers = [answer for answer in at_once(act, 12) if answer is not None]
    assert {answer.status_code for answer in answers} <= {200, 400}
    for answer in answers:
        if answer.status_code == 200:
            assert userinfo(browser(), answer.json()["access_token"]).status_code == 401
            assert refresh(browser(), client.client_id, answer.json()["refresh_token"]).status_code == 400


# --- passwords


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the passwords that are looked at, and spend no time on them."""
    tried: list[str] = []

    def check(self: PoolUser, raw: str) -> bool:
        tried.append(raw)
        return raw == factories.PASSWORD

    monkeypatch.setattr(PoolUser, "check_password", check)
    monkeypatch.setattr(authentication, "make_password", tried.append)
    now = timezone.now()
    # time stands still: a lock of one second must not open while fifty threads take their turns
    monkeypatch.setattr(timezone, "now", lambda: now)
    return tried


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_a_burst_of_guesses_cannot_outrun_the_lock_out(
    pool: UserPool, user: PoolUser, name: str, looked_at: list[str]
) -> None:
    def guess(number: int) -> Refusal:
        try:
            authentication.authenticate(pool, name, f"guess {number}", f"192.0.2.{number}")
        except SignInRefused as refused:
            return refused.reason
        raise AssertionError("signed in")

    reasons = Counter(at_once(guess))
    free = throttling.FREE_FAILURES["user"]
    assert reasons == {Refusal.INCORRECT: free, Refusal.LOCKED: MANY - free}
    assert len(looked_at) == free


def test_guesses_from_one_address_are_counted_whole(
    pool: UserPool, monkeypatch: pytest.MonkeyPatch, looked_at: list[str]
) -> None:
    monkeypatch.setitem(throttling.FREE_FAILURES, "address", 20)

    def guess(number: int) -> Refusal:
        try:
            authentication.authenticate(pool, f"user {number}", "guess", "192.0.2.1")
        except SignInRefused as refused:
            return refused.reason
        raise AssertionError("signed in")

    assert Counter(at_once(guess)) == {Refusal.INCORRECT: 20, Refusal.LOCKED: MANY - 20}
    address = SignInThrottle.objects.get(key=throttling._key("address", "192.0.2.1"))
    assert address.failures == 20


# --- rows that exist once


def test_of_two_users_with_one_alias_one_is_made() -> None:
    pool = factories.make_pool(username_attributes=["email"])

    def create(number: int) -> PoolUser:
        return factories.make_user(pool, f"user{number}", None, attributes={"email": "ada@example.test"})

    made = at_once(create, 10)
    assert Counter(type(result) for result in made) == {PoolUser: 1, IntegrityError: 9}
    assert SignInAlias.objects.count() == 1
    assert pool.users.count() == 1


def test_of_two_users_with_one_username_in_any_case_one_is_made(pool: UserPool) -> None:
    names = ["grace", "Grace", "GRACE", "gRACE"]
    made = at_once(lambda number: factories.make_user(pool, names[number], None), 4)
    assert Counter(type(result) for result in made) == {PoolUser: 1, IntegrityError: 3}


def test_workers_that_rotate_keys_at_once_make_one_successor(pool: UserPool) -> None:
    past = timezone.now() - timedelta(days=365)
    SigningKey.objects.filter(user_pool=pool).update(not_before=past)
    before = set(SigningKey.objects.values_list("kid", flat=True))
    made = at_once(lambda _: signing.rotate(UserPool.objects.get(pk=pool.pk)), 8)
    assert not [result for result in made if isinstance(result, Exception)]
    assert sum(len(keys) for keys in made) == 2
    after = SigningKey.objects.exclude(kid__in=before)
    assert sorted(after.values_list("token_use", flat=True)) == ["access", "id"]
    assert SigningKey.objects.filter(not_after__isnull=True).count() == 2


def test_workers_that_give_a_pool_its_first_keys_at_once_make_two(pool: UserPool) -> None:
    SigningKey.objects.all().delete()
    at_once(lambda _: signing.rotate(UserPool.objects.get(pk=pool.pk)), 8)
    assert sorted(SigningKey.objects.values_list("token_use", flat=True)) == ["access", "id"]


def test_a_code_that_is_deleted_while_it_is_redeemed_gives_no_half_a_grant(client: AppClient, user: PoolUser) -> None:
    code = issue_code(client, user)

    def act(number: int) -> HttpResponse | None:
        if number:
            AuthorizationCode.objects.all().delete()
            return None
        return redeem(browser(), client.client_id, code)

    answer = at_once(act, 2)[0]
    assert (answer.status_code, live_grants()) in ((200, 1), (400, 0))
