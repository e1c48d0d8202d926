"""Sign-ins that wait at a provider, and the record of how each ended.

RFC 6749 10.12 and RFC 9700 4.7 (state: random, of one use, bound to the browser, short-lived); W 9.4 (five minutes).
The record is for operators and holds nothing that could be used again.
"""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts import events, opaque, pauses
from accounts.events import CHEAP_PER_MINUTE, MAX_STEPS, MAX_WORDS, Steps
from accounts.models import AuthEvent, IdentityProvider, PoolUser, SignInRequest, UserPool
from accounts.models.events import Outcome
from accounts.pauses import LIFETIME, MAX_REFUSALS, Lost
from tests import factories

pytestmark = pytest.mark.django_db
STATE, BROWSER, OTHER = "s" * 43, "b" * 43, "o" * 43
KEPT = {"nonce": "n" * 43, "code_verifier": "v" * 43, "max_age": 60, "list": ["ü"]}


@pytest.fixture
def corp(pool: UserPool) -> IdentityProvider:
    return factories.make_oidc_provider(pool)


def put_away(provider: IdentityProvider, state: str = STATE, **changes: Any) -> SignInRequest:
    pauses.put_away(provider.user_pool, provider, state, BROWSER, "client_id=x&scope=openid", KEPT)
    SignInRequest.objects.filter(digest=opaque.digest(state)).update(**changes)
    return found(provider.user_pool, state)


def found(pool: UserPool, state: str = STATE) -> SignInRequest:
    paused = pauses.find(pool, state)
    assert paused is not None
    return paused


# --- pauses


def test_what_was_put_away_is_found_again(corp: IdentityProvider) -> None:
    paused = put_away(corp)
    assert (paused.provider, paused.authorize_query) == (corp, "client_id=x&scope=openid")
    assert paused.upstream_state == KEPT
    assert paused.expires_at - paused.created_at == timedelta(minutes=5)
    assert pauses.why_lost(paused, BROWSER) is None


def test_a_pause_is_one_row_and_neither_state_nor_browser_nor_secret_stands_in_it(
    corp: IdentityProvider, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        pauses.put_away(corp.user_pool, corp, STATE, BROWSER, "q", KEPT)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_signinrequest")
        (row,) = cursor.fetchall()
    for secret in (STATE, BROWSER, KEPT["nonce"], KEPT["code_verifier"]):
        assert not any(str(secret) in str(value) for value in row)


@pytest.mark.parametrize("state", ["", "s", "s" * 42, "s" * 44, "S" * 43, "s" * 42 + "\x00", "ü" * 43, "s" * 100_000])
def test_another_state_finds_nothing(corp: IdentityProvider, state: str) -> None:
    put_away(corp)
    assert pauses.find(corp.user_pool, state) is None


def test_another_pools_state_finds_nothing(corp: IdentityProvider) -> None:
    put_away(corp)
    assert pauses.find(factories.make_pool(), STATE) is None


PAST = -timedelta(seconds=1)


@pytest.mark.parametrize(
    ("browser", "consumed", "expires_in", "why"),
    [
        (BROWSER, False, LIFETIME, None),
        (OTHER, False, LIFETIME, Lost.FOREIGN),
        ("", False, LIFETIME, Lost.FOREIGN),
        (BROWSER[:-1], False, LIFETIME, Lost.FOREIGN),
        (BROWSER, True, LIFETIME, Lost.REPLAYED),
        (BROWSER, False, PAST, Lost.EXPIRED),
        (BROWSER, True, PAST, Lost.REPLAYED),
        (OTHER, True, LIFETIME, Lost.FOREIGN),
        (OTHER, False, PAST, Lost.FOREIGN),
        (OTHER, True, PAST, Lost.FOREIGN),
    ],
)
def test_the_browser_comes_first_then_the_replay_then_the_time(
    corp: IdentityProvider, browser: str, consumed: bool, expires_in: timedelta, why: Lost | None
) -> None:
    """Whoever has a state without its cookie is told nothing of the state."""
    now = timezone.now()
    paused = put_away(corp, expires_at=now + expires_in, consumed_at=now if consumed else None)
    assert pauses.why_lost(paused, browser) == why


def test_a_pause_is_spent_once(corp: IdentityProvider) -> None:
    first, second = put_away(corp), found(corp.user_pool)
    other = put_away(corp, OTHER)
    assert pauses.spend(first)
    assert not pauses.spend(second), "which was read before it was spent"
    assert pauses.why_lost(found(corp.user_pool), BROWSER) == Lost.REPLAYED
    assert pauses.spend(other)


def test_an_expired_pause_is_not_spent(corp: IdentityProvider) -> None:
    paused = put_away(corp)
    SignInRequest.objects.update(expires_at=timezone.now())
    assert not pauses.spend(paused), "which was read before it expired"


def test_a_pause_that_is_gone_is_not_spent(corp: IdentityProvider) -> None:
    paused = put_away(corp)
    SignInRequest.objects.all().delete()
    assert not pauses.spend(paused)
    assert not pauses.may_note_refusal(paused)


def test_so_many_refusals_of_one_state_are_recorded(corp: IdentityProvider) -> None:
    paused = put_away(corp)
    assert [pauses.may_note_refusal(paused) for _ in range(5)] == [True] * MAX_REFUSALS + [False] * (5 - MAX_REFUSALS)
    assert pauses.may_note_refusal(put_away(corp, OTHER))
    assert pauses.why_lost(found(corp.user_pool), BROWSER) is None, "the right answer may still come"


# --- steps


def test_a_step_has_a_name_the_time_it_took_and_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.25, 101.0])
    monkeypatch.setattr(events, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    steps = Steps()
    steps.note("token endpoint answered", status=200, host="idp.example.test", again=False)
    steps.note("userInfo failed", "It did not answer in time.")
    assert steps.taken == [
        {"step": "token endpoint answered", "ms": 250, "status": 200, "host": "idp.example.test", "again": False},
        {"step": "userInfo failed", "ms": 750, "words": "It did not answer in time."},
    ]


def test_there_are_only_so_many_steps() -> None:
    steps = Steps()
    for number in range(MAX_STEPS + 20):
        steps.note(f"step {number}")
    assert [step["step"] for step in steps.taken] == [f"step {number}" for number in range(MAX_STEPS)]


@pytest.mark.parametrize(
    "name",
    [
        "client_secret",
        "secret",
        "password",
        "access_token",
        "id_token",
        "refresh_token",
        "private_key",
        "Token",
        "hash",
    ],
)
def test_a_fact_with_a_secrets_name_is_masked(name: str) -> None:
    steps = Steps()
    steps.note("step", **{name: "s3cret"})
    assert "s3cret" not in str(steps.taken)
    assert steps.taken[0][name] == "(hidden)"


def test_words_and_facts_are_clipped_and_can_be_stored() -> None:
    steps = Steps()
    steps.note("step", "w" * 1000, fact="f" * 1000)
    steps.note("step", "a\x00\ud800b", fact="a\x00\udfffb")
    assert len(steps.taken[0]["words"]) == len(steps.taken[0]["fact"]) == MAX_WORDS
    assert steps.taken[1]["words"] == steps.taken[1]["fact"] == "a?b"


# --- attempts


def test_a_sign_in_is_recorded_with_whom_it_was(corp: IdentityProvider, user: PoolUser) -> None:
    steps = Steps()
    steps.subject = "u1"
    steps.note("signed in")
    events.signed_in(corp.user_pool, corp, "client", user, steps)
    row = AuthEvent.objects.get()
    assert (row.outcome, row.user, row.provider, row.provider_name) == (Outcome.SUCCEEDED, user, corp, "Corp")
    assert (row.client_id, row.subject, row.reason, row.error) == ("client", "u1", "", "")
    assert [step["step"] for step in row.steps] == ["signed in"]


def test_a_refusal_is_recorded_with_its_reason_and_what_the_app_was_told(corp: IdentityProvider) -> None:
    events.refused(corp.user_pool, corp, "client", Steps(), "id_token_nonce", "invalid_request", "Bad id_token nonce")
    row = AuthEvent.objects.get()
    assert (row.outcome, row.reason, row.user) == (Outcome.REFUSED, "id_token_nonce", None)
    assert (row.error, row.description) == ("invalid_request", "Bad id_token nonce")


def test_whatever_a_provider_said_fits_into_the_record(corp: IdentityProvider) -> None:
    """Columns are bounded on PostgreSQL, and it stores no U+0000."""
    steps = Steps()
    steps.subject = "\x00" + "s" * 1000
    steps.note("step", "\x00" * 500, fact="\x00")
    events.refused(corp.user_pool, corp, "c" * 128, steps, "r" * 100, "e" * 100, "\x00" + "d" * 1000)
    row = AuthEvent.objects.get()
    assert (len(row.subject), len(row.reason), len(row.error), len(row.description)) == (512, 48, 48, 512)
    assert "\x00" not in row.subject + row.description + str(row.steps)


def test_a_record_outlives_its_provider_and_its_user(corp: IdentityProvider, user: PoolUser) -> None:
    events.signed_in(corp.user_pool, corp, "client", user, Steps())
    corp.delete()
    user.delete()
    row = AuthEvent.objects.get()
    assert (row.provider, row.user, row.provider_name) == (None, None, "Corp")


def test_answers_that_belong_to_no_sign_in_fill_no_table(pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(events, "_cheap", {})
    monkeypatch.setattr(events, "time", SimpleNamespace(monotonic=lambda: now[0]))
    for _ in range(100):
        events.refused(pool, None, "", Steps(), Lost.UNKNOWN.value, early=True)
    assert AuthEvent.objects.count() == CHEAP_PER_MINUTE
    now[0] += 59
    events.refused(pool, None, "", Steps(), Lost.UNKNOWN.value, early=True)
    assert AuthEvent.objects.count() == CHEAP_PER_MINUTE
    now[0] += 1
    for _ in range(100):
        events.refused(pool, None, "", Steps(), Lost.UNKNOWN.value, early=True)
    assert AuthEvent.objects.count() == 2 * CHEAP_PER_MINUTE
    assert set(AuthEvent.objects.values_list("reason", "provider")) == {("state_unknown", None)}


def test_refusals_on_the_way_out_fill_no_table_and_hide_no_other_provider(
    pool: UserPool, corp: IdentityProvider
) -> None:
    """Anybody can ask to be sent to a provider whose discovery is broken, and need not have been there before."""
    partner = factories.make_oidc_provider(pool, "Partner")
    for _ in range(100):
        events.refused(pool, corp, "client", Steps(), "discovery_timeout", early=True)
    events.refused(pool, partner, "client", Steps(), "discovery_timeout", "invalid_request", "words", early=True)
    assert AuthEvent.objects.filter(provider=corp).count() == CHEAP_PER_MINUTE
    assert AuthEvent.objects.get(provider=partner).description == "words"
