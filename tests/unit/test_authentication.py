"""The password of a pool's user: names, aliases, case, statuses, lock-out, and what an unknown name costs.

W 12: user-pool-settings-attributes, user-pool-settings-policies and managing-errors pages; W 17.4 PasswordPolicyType.
"""

from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import authentication, linking, passwords, sessions, throttling
from accounts.authentication import Refusal, SignInRefused, authenticate, find_user
from accounts.models import PoolUser, RefreshToken, SignInSession, SignInThrottle, UserPool
from accounts.models.grants import Grant, Subject, new_id
from accounts.models.users import UserStatus
from tests import factories

pytestmark = pytest.mark.django_db
OFFICE = "192.0.2.1"
PHONE = "+12065551212"


class CheapHasher(passwords.Argon2idHasher):
    """Hashes for next to nothing, and counts how often: what matters here is not how it is done."""

    time_cost = 1
    memory_cost = 8
    done: ClassVar[list[str]] = []

    def encode(self, password: str, salt: str) -> str:
        self.done.append("encode")
        return str(super().encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        self.done.append("verify")
        return bool(super().verify(password, encoded))


@pytest.fixture
def cheap_hash(settings: Settings) -> list[str]:
    """Use CheapHasher, and return what it did."""
    settings.PASSWORD_HASHERS = [f"{__name__}.CheapHasher"]
    CheapHasher.done.clear()
    return CheapHasher.done


def attempt(pool: UserPool, name: str = "ada", password: str = "wrong", **kwargs: Any) -> Refusal | PoolUser:
    """Return the user, or why the sign-in was refused."""
    try:
        return authenticate(pool, name, password, kwargs.pop("address", OFFICE), **kwargs)
    except SignInRefused as refused:
        return refused.reason


# --- names (W 12)


ATTRIBUTES = {
    "email": "Ada@Example.test",
    "email_verified": "true",
    "phone_number": PHONE,
    "phone_number_verified": "true",
    "preferred_username": "Countess",
}
UNVERIFIED = ATTRIBUTES | {"email_verified": "false", "phone_number_verified": "false"}
NAMES = [
    # pool, attributes, names that find the user, names that do not
    ({}, ATTRIBUTES, ["Ada", "ada", "ADA", " ada "], ["ada@example.test", PHONE, "countess", "", "ada\x00", "a da"]),
    ({"case_sensitive": True}, ATTRIBUTES, ["Ada", " Ada "], ["ada", "ADA"]),
    (
        {"alias_attributes": ["email", "phone_number", "preferred_username"]},
        ATTRIBUTES,
        ["ada", "ada@example.test", "ADA@EXAMPLE.TEST", PHONE, "countess"],
        ["Ada@", "12065551212"],
    ),
    ({"alias_attributes": ["email", "phone_number"]}, UNVERIFIED, ["ada"], ["ada@example.test", PHONE, "countess"]),
    (
        {"alias_attributes": ["email", "preferred_username"], "case_sensitive": True},
        ATTRIBUTES,
        ["Ada", "Ada@Example.test", "Countess"],
        ["ada", "ada@example.test", "countess"],
    ),
    ({"username_attributes": ["email"]}, UNVERIFIED, ["ada@example.test", "ADA@example.test"], [PHONE]),
    ({"username_attributes": ["phone_number"]}, UNVERIFIED, [PHONE], ["ada@example.test"]),
]


@pytest.mark.parametrize(("values", "attributes", "found", "not_found"), NAMES)
def test_a_user_is_found_by_username_and_by_the_aliases_of_the_pool(
    values: dict[str, Any], attributes: dict[str, str], found: list[str], not_found: list[str]
) -> None:
    """An e-mail or phone alias works once verified; UsernameAttributes always; case as the pool has it."""
    pool = factories.make_pool(**values)
    user = factories.make_user(pool, "Ada", password=None, attributes=attributes)
    factories.make_user(factories.make_pool(), "Ada", password=None, attributes=attributes)
    assert {name: find_user(pool, name) for name in found} == dict.fromkeys(found, user)
    assert {name: find_user(pool, name) for name in not_found} == dict.fromkeys(not_found)


def test_case_folds_beyond_ascii(pool: UserPool) -> None:
    """Unicode 3.13: caseless matching."""
    user = factories.make_user(pool, "STRASSE", password=None, attributes={})
    assert find_user(pool, "straße") == user


@pytest.mark.parametrize("name", ["Ada", "ADA"])
def test_a_username_is_taken_in_any_case(pool: UserPool, name: str) -> None:
    factories.make_user(pool, "ada", password=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        factories.make_user(pool, name, password=None, attributes={})
    sensitive = factories.make_pool(case_sensitive=True)
    factories.make_user(sensitive, "ada", password=None, attributes={})
    factories.make_user(sensitive, name, password=None, attributes={})


@pytest.mark.parametrize("case_sensitive", [True, False])
@pytest.mark.parametrize("alias", ["\ufb03" * 2048, "".join(chr(0x20000 + n * 7) for n in range(2048))])
def test_a_name_that_grows_when_it_is_folded_still_signs_in(case_sensitive: bool, alias: str) -> None:
    """W 12, 17: a username has 128 characters and an attribute 2048, of any script (Unicode 3.13, full folding)."""
    pool = factories.make_pool(case_sensitive=case_sensitive, alias_attributes=["preferred_username"])
    name = "\ufb03" * 128
    user = factories.make_user(pool, name, attributes={"preferred_username": alias})
    assert find_user(pool, name) == find_user(pool, alias) == user
    assert find_user(pool, name[1:]) is None
    with pytest.raises(IntegrityError), transaction.atomic():
        factories.make_user(pool, name, attributes={})
    with pytest.raises(IntegrityError), transaction.atomic():
        factories.make_user(pool, "other", attributes={"preferred_username": alias})


def test_an_alias_belongs_to_one_user_and_follows_the_attribute() -> None:
    """Alias rule: of one user at a time, from when it is verified to when it changes."""
    pool = factories.make_pool(alias_attributes=["email"])
    shared = {"email": "both@example.test", "email_verified": "true"}
    first = factories.make_user(pool, "first", password=None, attributes=shared)
    second = factories.make_user(pool, "second", password=None, attributes=shared | {"email_verified": "false"})
    assert find_user(pool, "both@example.test") == first
    second.attributes = shared
    with pytest.raises(IntegrityError), transaction.atomic():
        second.save()
    first.attributes = {"email": "first@example.test", "email_verified": "true"}
    first.save()
    assert find_user(pool, "both@example.test") is None
    second.save()
    assert find_user(pool, "both@example.test") == second
    assert find_user(pool, "first@example.test") == first


# --- answers


def test_the_right_password_returns_the_user_with_its_pool(
    pool: UserPool, user: PoolUser, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    found = attempt(pool, password=factories.PASSWORD)
    assert found == user
    with django_assert_num_queries(0):
        assert found.user_pool == pool  # type: ignore[union-attr]
    assert not SignInThrottle.objects.filter(failures__gt=0).exists()


STATUSES = [
    ({}, None),
    ({"enabled": False}, Refusal.DISABLED),
    ({"status": UserStatus.UNCONFIRMED}, Refusal.UNCONFIRMED),
    ({"status": UserStatus.RESET_REQUIRED}, Refusal.RESET_REQUIRED),
    ({"status": UserStatus.FORCE_CHANGE_PASSWORD}, None),
    ({"enabled": False, "status": UserStatus.UNCONFIRMED}, Refusal.DISABLED),
]


@pytest.mark.parametrize(("values", "reason"), STATUSES)
def test_what_stands_in_the_way_is_told_to_who_knows_the_password(
    pool: UserPool, cheap_hash: list[str], values: dict[str, Any], reason: Refusal | None
) -> None:
    user = factories.make_user(pool, **values)
    assert attempt(pool) == Refusal.INCORRECT
    assert attempt(pool, hide_existence=False) == Refusal.INCORRECT
    assert attempt(pool, password=factories.PASSWORD) == (reason or user)


@pytest.mark.parametrize(
    ("policy", "age", "expired"),
    [
        ({}, timedelta(days=7) - timedelta(minutes=1), False),
        ({}, timedelta(days=7), True),
        ({"TemporaryPasswordValidityDays": 0}, timedelta(days=6), False),
        ({"TemporaryPasswordValidityDays": 0}, timedelta(days=8), True),
        ({"TemporaryPasswordValidityDays": 365}, timedelta(days=364), False),
        ({"TemporaryPasswordValidityDays": 1}, timedelta(days=1), True),
    ],
)
def test_a_temporary_password_lasts_as_long_as_the_policy_says(
    cheap_hash: list[str], policy: dict[str, int], age: timedelta, expired: bool
) -> None:
    """W 17.4: 7 days by default, 0 means the default."""
    pool = factories.make_pool(password_policy=policy)
    values = {"status": UserStatus.FORCE_CHANGE_PASSWORD, "password_changed_at": timezone.now() - age}
    user = factories.make_user(pool, **values)
    expected = Refusal.TEMPORARY_PASSWORD_EXPIRED if expired else user
    assert attempt(pool, password=factories.PASSWORD) == expected


def test_only_a_temporary_password_expires(pool: UserPool, cheap_hash: list[str]) -> None:
    user = factories.make_user(pool, password_changed_at=timezone.now() - timedelta(days=3650))
    assert attempt(pool, password=factories.PASSWORD) == user


# --- nobody learns who exists (managing-errors page)


@pytest.mark.parametrize(("hide", "reason"), [(True, Refusal.INCORRECT), (False, Refusal.UNKNOWN_USER)])
def test_an_unknown_user_is_hidden_or_told(pool: UserPool, cheap_hash: list[str], hide: bool, reason: Refusal) -> None:
    assert attempt(pool, "nobody", hide_existence=hide) == reason


def test_an_unknown_name_costs_the_statements_and_the_hash_of_a_known_one(
    pool: UserPool, cheap_hash: list[str]
) -> None:
    """Constant work: neither the number of statements, nor their kind, nor the hashing tells the two apart."""
    factories.make_user(pool)
    factories.make_user(pool, "corp_1", password=None, attributes={}, status=UserStatus.EXTERNAL_PROVIDER)
    attempt(pool, "warm")
    seen = {}
    for name in ("ada", "nobody", "corp_1", "ada@example.test"):
        for round_ in (1, 2):
            cheap_hash.clear()
            kinds: list[str] = []

            def note(execute: Any, sql: str, *rest: Any, kinds: list[str] = kinds) -> Any:
                kinds.append(sql.split()[0])
                return execute(sql, *rest)

            with connection.execute_wrapper(note):
                assert attempt(pool, name) == Refusal.INCORRECT
            seen[name, round_] = (tuple(kind for kind in kinds if "SAVEPOINT" not in kind), len(cheap_hash))
    for round_ in (1, 2):
        assert len({seen[name, round_] for name in ("ada", "nobody", "corp_1", "ada@example.test")}) == 1, seen
    assert seen["ada", 1][1] == 1


def test_an_overlong_password_is_not_hashed_whole(pool: UserPool, cheap_hash: list[str]) -> None:
    """W 12: at most 256 characters. A megabyte must not be fed to the hash."""
    factories.make_user(pool)
    assert attempt(pool, password="x" * 1_000_000) == Refusal.INCORRECT
    assert attempt(pool, password=factories.PASSWORD + "x" * 300) == Refusal.INCORRECT


# --- lock-out (W 12: after 5 failures 2^(n-5) s, up to 15 minutes)


LOCKED = [(1, 0), (4, 0), (5, 1), (6, 2), (7, 4), (8, 8), (10, 32), (14, 512), (15, 900), (16, 900), (40, 900)]


@pytest.mark.parametrize(("failures", "seconds"), LOCKED)
def test_the_lock_out_doubles_from_the_fifth_failure_on(pool: UserPool, failures: int, seconds: int) -> None:
    for n in range(failures):
        assert throttling.count(pool, "user", "id 1")
        assert SignInThrottle.objects.get().failures == n + 1
        if n + 1 < failures:
            SignInThrottle.objects.update(blocked_until=timezone.now())
    row = SignInThrottle.objects.get()
    if not seconds:
        assert row.blocked_until is None or row.blocked_until <= timezone.now()
        return
    assert row.blocked_until - row.updated_at == timedelta(seconds=seconds)
    assert not throttling.count(pool, "user", "id 1")
    assert SignInThrottle.objects.get().failures == failures, "a blocked attempt is not one"


def test_a_locked_out_name_is_not_even_looked_at(pool: UserPool, cheap_hash: list[str]) -> None:
    factories.make_user(pool)
    assert [attempt(pool) for _ in range(5)] == [Refusal.INCORRECT] * 5
    cheap_hash.clear()
    assert attempt(pool, password=factories.PASSWORD) == Refusal.LOCKED
    assert cheap_hash == []


def test_all_names_of_a_user_share_one_count_and_unknown_names_lock_as_well(cheap_hash: list[str]) -> None:
    pool = factories.make_pool(alias_attributes=["email"])
    factories.make_user(pool)
    for name in ("ada", "ADA", "ada@example.test", " ada ", "Ada@Example.test"):
        assert attempt(pool, name) == Refusal.INCORRECT
    assert attempt(pool, "ada") == Refusal.LOCKED
    assert [attempt(pool, "nobody") for _ in range(6)] == [Refusal.INCORRECT] * 5 + [Refusal.LOCKED]
    assert attempt(pool, " NOBODY ") == Refusal.LOCKED


def test_a_success_forgets_the_failures_of_the_user(pool: UserPool, cheap_hash: list[str]) -> None:
    user = factories.make_user(pool)
    for _ in range(2):
        assert [attempt(pool) for _ in range(4)] == [Refusal.INCORRECT] * 4
        assert attempt(pool, password=factories.PASSWORD) == user


def test_failures_are_forgotten_after_an_hour(pool: UserPool, cheap_hash: list[str]) -> None:
    factories.make_user(pool)
    assert [attempt(pool) for _ in range(5)][-1] == Refusal.INCORRECT
    long_ago = timezone.now() - timedelta(hours=1, seconds=1)
    SignInThrottle.objects.update(updated_at=long_ago, blocked_until=long_ago)
    assert [attempt(pool) for _ in range(5)] == [Refusal.INCORRECT] * 5


def test_an_address_that_guesses_many_names_is_locked_out_and_no_other(pool: UserPool, cheap_hash: list[str]) -> None:
    """Issue 2 section 3: per user and per address. Who owns one account does not clear the count by signing in."""
    user = factories.make_user(pool)
    for n in range(49):
        assert attempt(pool, f"guess{n}") == Refusal.INCORRECT
    assert attempt(pool, password=factories.PASSWORD) == user
    assert attempt(pool, "guess50") == Refusal.INCORRECT
    assert attempt(pool, password=factories.PASSWORD) == Refusal.LOCKED
    assert attempt(pool, password=factories.PASSWORD, address="192.0.2.2") == user


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:DB8:0:1::1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("not an address", "nor this", False),
    ],
)
def test_of_ipv6_the_network_is_counted(pool: UserPool, one: str, other: str, shared: bool) -> None:
    """RFC 4291 2.5.1: the last 64 bits are the host's own to choose, and a guesser would choose new ones."""
    throttling.count(pool, "address", one)
    throttling.count(pool, "address", other)
    assert SignInThrottle.objects.count() == (1 if shared else 2)


def test_rows_of_the_count_are_taken_in_one_order(
    pool: UserPool, cheap_hash: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sign-ins of one user from one address must not each hold what the other waits for.

    https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-DEADLOCKS
    """
    factories.make_user(pool)
    address_row, taken = throttling._key("address", OFFICE), []
    for name in ("fetch", "change"):
        run = getattr(throttling, name)

        def noted(text: str, params: tuple[Any, ...], run: Any = run) -> Any:
            taken.append(address_row in params)
            return run(text, params)

        monkeypatch.setattr(throttling, name, noted)
    attempt(pool, password=factories.PASSWORD)
    assert taken == [True, False, True, False]


def test_pools_do_not_share_counts(pool: UserPool, cheap_hash: list[str]) -> None:
    other = factories.make_pool()
    factories.make_user(pool)
    user = factories.make_user(other)
    assert [attempt(pool) for _ in range(6)][-1] == Refusal.LOCKED
    assert attempt(other, password=factories.PASSWORD) == user


def test_the_table_of_failures_names_nobody(pool: UserPool, cheap_hash: list[str]) -> None:
    attempt(pool, "somebody@example.test")
    rows = str([vars(row) for row in SignInThrottle.objects.all()])
    assert "somebody" not in rows
    assert OFFICE not in rows


# --- a new password


def test_a_new_password_closes_what_the_old_one_opened(pool: UserPool, cheap_hash: list[str]) -> None:
    user = factories.make_user(pool)
    client = factories.make_client(pool)
    now = timezone.now()
    SignInSession.objects.create(digest="x", user=user, auth_time=now, expires_at=now + sessions.LIFETIME)
    RefreshToken.open(Grant(Subject.of(user), "openid", now, new_id(), new_id()), client)
    authentication.set_password(user, "Another-horse-8")
    assert not SignInSession.objects.exists()
    assert RefreshToken.objects.get().revoked_at is not None
    user.refresh_from_db()
    assert user.signed_out_at is not None
    assert user.status == UserStatus.CONFIRMED
    assert attempt(pool, password="Another-horse-8") == user
    assert attempt(pool, password=factories.PASSWORD) == Refusal.INCORRECT


def test_a_temporary_password_is_marked_as_one(pool: UserPool, cheap_hash: list[str]) -> None:
    user = factories.make_user(pool)
    authentication.set_password(user, "Temporary-9", temporary=True)
    user.refresh_from_db()
    assert user.status == UserStatus.FORCE_CHANGE_PASSWORD
    assert timezone.now() - user.password_changed_at < timedelta(minutes=1)  # type: ignore[operator]


POLICY = [
    ({}, "Aa1-aaaa", True),
    ({}, "Aa1-aaa", False),
    ({}, "aa1-aaaa", False),
    ({}, "AA1-AAAA", False),
    ({}, "Aaa-aaaa", False),
    ({}, "Aa1aaaaa", False),
    ({}, "Aa1 aaaa", True),
    ({}, " Aa1-aaaa", False),
    ({}, "Aa1-aaaa ", False),
    ({}, "Aa1-" + "a" * 252, True),
    ({}, "Aa1-" + "a" * 253, False),
    ({"MinimumLength": 6}, "Aa1-aa", True),
    ({"MinimumLength": 20}, "Aa1-aaaaaaaaaaaaaaa", False),
    ({"RequireUppercase": False, "RequireSymbols": False, "RequireNumbers": False}, "aaaaaaaa", True),
    ({"RequireLowercase": False, "RequireSymbols": False, "RequireNumbers": False}, "AAAAAAAA", True),
]


@pytest.mark.parametrize(("policy", "password", "accepted"), POLICY)
def test_the_policy_of_the_pool_holds(
    cheap_hash: list[str], policy: dict[str, Any], password: str, accepted: bool
) -> None:
    """W 12, W 17.4: lengths 6 to 99 and at most 256, four classes; inner spaces are symbols."""
    pool = factories.make_pool(password_policy=policy)
    user = factories.make_user(pool, password=None)
    if accepted:
        authentication.set_password(user, password)
        assert user.check_password(password)
        return
    with pytest.raises(ValidationError):
        authentication.set_password(user, password)
    user.refresh_from_db()
    assert not user.has_usable_password()


@pytest.mark.parametrize("symbol", list("^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+-"))
def test_these_are_symbols(symbol: str) -> None:
    """W 12: the list of the policies page."""
    passwords.PasswordPolicy().check(f"Aa1{symbol}aaaa")


def test_an_imported_hash_is_replaced_but_never_over_a_newer_password(pool: UserPool) -> None:
    """Password Storage Cheat Sheet (OWASP), upgrading legacy hashes. A reset may come while the old hash is checked."""
    user = factories.make_user(pool)
    PoolUser.objects.filter(pk=user.pk).update(password=make_password(factories.PASSWORD, hasher="pbkdf2_sha256"))
    signing_in = PoolUser.objects.get(pk=user.pk)
    assert signing_in.check_password(factories.PASSWORD)
    assert PoolUser.objects.get(pk=user.pk).password.startswith("argon2$argon2id$")

    PoolUser.objects.filter(pk=user.pk).update(password=make_password(factories.PASSWORD, hasher="pbkdf2_sha256"))
    signing_in = PoolUser.objects.get(pk=user.pk)
    reset = make_password("Another-horse-8")
    PoolUser.objects.filter(pk=user.pk).update(password=reset)
    assert signing_in.check_password(factories.PASSWORD), "by the hash that was read"
    assert PoolUser.objects.get(pk=user.pk).password == reset


# --- a user who came from an identity provider (W 11.1)


def came_from_a_provider(pool: UserPool, email: str) -> PoolUser:
    provider = factories.make_oidc_provider(
        pool, attribute_mapping={"email": "email", "email_verified": "email_verified"}
    )
    claims = {"sub": "u1", "email": email, "email_verified": True}
    return linking.resolve_user(linking.ExternalIdentity(provider, "u1", claims), factories.make_client(pool))


@pytest.mark.parametrize("rules", [{"username_attributes": ["email"]}, {"alias_attributes": ["email"]}])
def test_a_password_makes_a_federated_user_a_local_one_as_well(cheap_hash: list[str], rules: dict[str, Any]) -> None:
    """AdminSetUserPassword: EXTERNAL_PROVIDER becomes CONFIRMED, and the user signs in here by name and by alias."""
    pool = factories.make_pool(**rules)
    user = came_from_a_provider(pool, "Eve@example.test")
    assert attempt(pool, "eve@example.test", factories.PASSWORD) == Refusal.INCORRECT
    assert attempt(pool, user.username, "") == Refusal.INCORRECT
    authentication.set_password(user, factories.PASSWORD)
    user.refresh_from_db()
    assert user.status == UserStatus.CONFIRMED
    assert attempt(pool, "eve@example.test", factories.PASSWORD) == user
    assert attempt(pool, "corp_u1", factories.PASSWORD) == user
    assert user.identities.get().primary


@pytest.mark.parametrize("rules", [{"username_attributes": ["email"]}, {"alias_attributes": ["email"]}])
def test_a_federated_user_gets_no_password_while_another_signs_in_by_the_same_alias(
    cheap_hash: list[str], rules: dict[str, Any]
) -> None:
    pool = factories.make_pool(**rules)
    local = factories.make_user(pool)
    user = came_from_a_provider(pool, "ada@example.test")
    with pytest.raises(ValidationError, match="Another user of this pool signs in with the same email"):
        authentication.set_password(user, "Another-horse-8")
    user.refresh_from_db()
    assert user.status == UserStatus.EXTERNAL_PROVIDER
    assert not user.has_usable_password()
    assert attempt(pool, "ada@example.test", factories.PASSWORD) == local
    local.delete()
    authentication.set_password(user, "Another-horse-8")
    assert attempt(pool, "ada@example.test", "Another-horse-8") == user


def test_a_temporary_password_of_a_federated_user_is_one(pool: UserPool, cheap_hash: list[str]) -> None:
    user = came_from_a_provider(pool, "eve@example.test")
    authentication.set_password(user, factories.PASSWORD, temporary=True)
    user.refresh_from_db()
    assert user.status == UserStatus.FORCE_CHANGE_PASSWORD
