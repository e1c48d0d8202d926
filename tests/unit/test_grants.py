"""Codes and refresh tokens as rows: single use, rotation, the retry grace, and the end of a family.

W 4.4: using-the-refresh-token page (RefreshTokenRotation); RFC 6749 4.1.2 and 10.4; RFC 9700 4.14.2. Design D2.3, D2.4.
The clock is moved by moving the times in the rows.
"""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import AppClient, AuthorizationCode, LinkedIdentity, PoolUser, RefreshToken, UserPool
from accounts.models.grants import Grant, Subject, new_id
from accounts.models.refresh_tokens import MAX_RETIRED, PresentedToken
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(pool: UserPool) -> PoolUser:
    return factories.make_user(pool, password=None)


@pytest.fixture
def client(pool: UserPool) -> AppClient:
    """A client that rotates, with half a minute of grace."""
    return factories.make_client(pool, refresh_token_rotation=True, retry_grace_period_seconds=30)


def open_grant(client: AppClient, user: PoolUser, with_token: bool = True, **values: Any) -> str:
    grant = Grant(
        **{"subject": Subject.of(user), "scope": "openid email", "since": timezone.now()}
        | {"origin_jti": new_id(), "event_id": new_id()}
        | values
    )
    return RefreshToken.open(grant, client, with_token)


def present(token: str, client: AppClient) -> PresentedToken:
    found = RefreshToken.present(token, client)
    assert found is not None
    return found


def rotate(token: str, client: AppClient) -> str:
    return RefreshToken.rotate(present(token, client), token)


def pass_time(seconds: float) -> None:
    """Let ``seconds`` go by for every token that was rotated away."""
    for row in RefreshToken.objects.all():
        row.retired = [[digest, at - seconds] for digest, at in row.retired]
        row.save()


def state(token: str, client: AppClient) -> str:
    """Return what ``token`` is now: current, replaced (inside the grace), reused, or nothing."""
    found = RefreshToken.present(token, client)
    if found is None:
        return "nothing"
    assert [found.current, bool(found.replaced_by), found.reused].count(True) <= 1
    return "current" if found.current else "replaced" if found.replaced_by else "reused" if found.reused else "nothing"


# --- the refresh token


def test_a_token_says_nothing_and_its_row_cannot_be_turned_into_it(client: AppClient, user: PoolUser) -> None:
    """RFC 6749 10.4, 10.10; the API's pattern for tokens (W 10.3)."""
    tokens = [open_grant(client, user) for _ in range(3)]
    for token in tokens:
        selector, _, secret = token.partition(".")
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", selector)
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)
        row = str(vars(RefreshToken.objects.get(selector=selector)))
        assert secret not in row
        assert token not in row
    assert len({token.partition(".")[0] for token in tokens}) == 3


def test_a_token_is_found_for_its_own_client_in_one_statement(
    pool: UserPool, client: AppClient, user: PoolUser, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    factories.make_group(pool, "admins", user, role_arn="arn:aws:iam::1:role/a", precedence=1)
    provider = factories.make_oidc_provider(pool)
    LinkedIdentity.objects.create(user=user, provider=provider, subject="s-1", issuer="https://idp.example.test")
    token = open_grant(client, user, resource="https://api.example.test")
    with django_assert_num_queries(1):
        found = present(token, client)
    assert (found.live, found.current, found.replaced_by, found.reused) == (True, True, "", False)
    assert (found.grant.scopes, found.grant.resource) == (["openid", "email"], "https://api.example.test")
    subject = found.grant.subject
    assert (subject.sub, subject.username, subject.attributes) == (user.sub, "ada", user.attributes)
    assert subject.groups == [{"name": "admins", "role": "arn:aws:iam::1:role/a", "precedence": 1}]
    assert [(link["userId"], link["providerName"], link["issuer"]) for link in subject.identities] == [
        ("s-1", "Corp", "https://idp.example.test")
    ]
    assert RefreshToken.present(token, factories.make_client(pool)) is None


def test_a_subject_is_the_same_from_a_row_and_from_the_user(pool: UserPool, client: AppClient, user: PoolUser) -> None:
    """Implicit tokens are minted from the one, all others from the other."""
    factories.make_group(pool, "admins", user)
    found = present(open_grant(client, user), client).grant.subject
    assert found == Subject.of(user)


@pytest.mark.parametrize(
    "token", ["", ".", "x", "x" * 22, "x" * 22 + ".", "x" * 22 + ".y", "é" * 22 + ".y", "\x00.\x00"]
)
def test_what_is_no_token_is_nothing(client: AppClient, user: PoolUser, token: str) -> None:
    open_grant(client, user)
    assert RefreshToken.present(token, client) is None


def test_a_grant_without_a_token_has_none_to_present(client: AppClient, user: PoolUser) -> None:
    """An implicit grant: a row for revocation, alive as long as its access token, and no refresh token."""
    assert open_grant(client, user, with_token=False) == ""
    row = RefreshToken.objects.get()
    assert row.expires_at - row.created_at == client.access_token_validity
    for secret in ("", "x", row.digest):
        assert state(f"{row.selector}.{secret}", client) == "nothing"


DEAD = ["revoked", "expired", "disabled", "signed out", "signed out this very moment"]


@pytest.mark.parametrize("case", DEAD)
def test_a_grant_does_not_outlive_what_it_rests_on(client: AppClient, user: PoolUser, case: str) -> None:
    token = open_grant(client, user)
    row = RefreshToken.objects.get()
    if case == "revoked":
        assert RefreshToken.revoke(pk=row.pk) == 1
        assert RefreshToken.revoke(pk=row.pk) == 0
    elif case == "expired":
        RefreshToken.objects.update(expires_at=timezone.now())
    elif case == "disabled":
        PoolUser.objects.update(enabled=False)
    else:
        moment = row.auth_time if "moment" in case else timezone.now()
        PoolUser.objects.update(signed_out_at=moment)
    assert not present(token, client).live


# --- rotation


def test_a_rotated_token_is_replaced_for_the_grace_and_reused_after_it(client: AppClient, user: PoolUser) -> None:
    """RetryGracePeriodSeconds: the old token dies after it."""
    first = open_grant(client, user)
    second = rotate(first, client)
    assert (state(first, client), state(second, client)) == ("replaced", "current")
    pass_time(29)
    assert (state(first, client), state(second, client)) == ("replaced", "current")
    pass_time(1.5)
    assert (state(first, client), state(second, client)) == ("reused", "current")


def test_without_a_grace_the_old_token_dies_at_once(client: AppClient, user: PoolUser) -> None:
    client.retry_grace_period_seconds = 0
    first = open_grant(client, user)
    rotate(first, client)
    assert state(first, client) == "reused"


def test_a_retry_gets_the_very_successor_wherever_the_chain_has_got_to(client: AppClient, user: PoolUser) -> None:
    """There is one live token of a family, and every retry inside the grace leads to it."""
    chain = [open_grant(client, user)]
    for _ in range(4):
        chain.append(rotate(chain[-1], client))
        assert len(set(chain)) == len(chain)
        for old in chain[:-1]:
            assert present(old, client).replaced_by == chain[-1]
    assert RefreshToken.objects.count() == 1


def test_only_those_that_are_over_leave_the_grace(client: AppClient, user: PoolUser) -> None:
    first = open_grant(client, user)
    second = rotate(first, client)
    pass_time(20)
    third = rotate(second, client)
    pass_time(15)
    assert [state(token, client) for token in (first, second, third)] == ["reused", "replaced", "current"]
    assert present(second, client).replaced_by == third


def test_of_two_who_rotate_one_token_one_changes_the_row(client: AppClient, user: PoolUser) -> None:
    """D2.4: the UPDATE is the gate. The loser presents again and is given the winner's token."""
    token = open_grant(client, user)
    mine, yours = present(token, client), present(token, client)
    successor = RefreshToken.rotate(mine, token)
    assert successor
    assert RefreshToken.rotate(yours, token) == ""
    assert present(token, client).replaced_by == successor


def test_a_revoked_grant_is_not_rotated(client: AppClient, user: PoolUser) -> None:
    token = open_grant(client, user)
    presented = present(token, client)
    RefreshToken.revoke(pk=presented.pk)
    assert RefreshToken.rotate(presented, token) == ""
    assert RefreshToken.objects.get().rotated_at is None


def test_a_forged_secret_of_a_rotated_family_counts_as_reuse_and_of_another_as_nothing(
    client: AppClient, user: PoolUser
) -> None:
    """Who knows a selector has seen a token of the family."""
    first = open_grant(client, user)
    forged = first.partition(".")[0] + "." + "x" * 43
    assert state(forged, client) == "nothing"
    rotate(first, client)
    assert state(forged, client) == "reused"


def test_a_successor_cannot_be_computed_without_the_servers_key(
    client: AppClient, user: PoolUser, settings: Settings
) -> None:
    """Two servers with other keys would name other successors; with the old key still listed, a retry is served."""
    first = open_grant(client, user)
    old_key = settings.USERPOOL_ENCRYPTION_KEYS[0]
    second = rotate(first, client)
    settings.USERPOOL_ENCRYPTION_KEYS = [b"n" * 32, old_key]
    assert present(first, client).replaced_by == second
    third = rotate(second, client)
    assert present(first, client).replaced_by == present(second, client).replaced_by == third
    settings.USERPOOL_ENCRYPTION_KEYS = [b"n" * 32]
    # a retry cannot be served, and shows no theft: whoever has the newest token keeps it
    assert state(first, client) == "nothing"
    assert present(first, client).in_grace
    assert state(third, client) == "current"
    pass_time(31)
    assert state(first, client) == "reused"


def test_the_row_remembers_a_bounded_number_of_tokens(client: AppClient, user: PoolUser) -> None:
    tokens = [open_grant(client, user)]
    for _ in range(MAX_RETIRED + 9):
        tokens.append(rotate(tokens[-1], client))
    assert len(RefreshToken.objects.get().retired) <= MAX_RETIRED + 1
    assert state(tokens[0], client) == "reused"
    assert present(tokens[-2], client).replaced_by == tokens[-1]
    pass_time(61)
    rotate(tokens[-1], client)
    assert len(RefreshToken.objects.get().retired) == 1


def test_rotation_keeps_the_end_and_the_identity_of_the_grant(client: AppClient, user: PoolUser) -> None:
    """W 4.4: the remaining lifetime of the original; auth_time and origin_jti are kept."""
    first = open_grant(client, user)
    before = RefreshToken.objects.values("expires_at", "origin_jti", "event_id", "auth_time", "created_at").get()
    rotate(first, client)
    assert RefreshToken.objects.values(*before).get() == before


# --- userInfo's question


def test_userinfo_asks_for_the_grant_in_one_statement(
    pool: UserPool, client: AppClient, user: PoolUser, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    open_grant(client, user)
    jti, now = RefreshToken.objects.get().origin_jti, int(timezone.now().timestamp())
    with django_assert_num_queries(1):
        found = RefreshToken.subject_of(client, user.sub, jti, now)
    assert found == Subject.of(user)
    assert RefreshToken.subject_of(client, "nobody", jti, now) is None
    assert RefreshToken.subject_of(client, user.sub, "nothing", now) is None
    assert RefreshToken.subject_of(factories.make_client(pool), user.sub, jti, now) is None
    RefreshToken.revoke_origin(jti, client)
    assert RefreshToken.subject_of(client, user.sub, jti, now) is None


def test_without_revocation_only_the_user_is_asked_for(client: AppClient, user: PoolUser) -> None:
    """A token without origin_jti: ``iat`` has no fractions, so one of the second of a sign-out is let pass."""
    now = int(timezone.now().timestamp())
    assert RefreshToken.subject_of(client, user.sub, "", now) is not None
    PoolUser.objects.update(signed_out_at=timezone.now() + timedelta(seconds=5))
    assert RefreshToken.subject_of(client, user.sub, "", now) is None
    assert RefreshToken.subject_of(client, user.sub, "", now + 10) is not None
    PoolUser.objects.update(enabled=False)
    assert RefreshToken.subject_of(client, user.sub, "", now + 10) is None


# --- the code


def issue(client: AppClient, user: PoolUser) -> str:
    return AuthorizationCode.issue(
        app_client=client,
        user=user,
        redirect_uri=factories.CALLBACK,
        scope="openid",
        nonce="n",
        code_challenge="c",
        resource="r",
        auth_time=timezone.now(),
    )


def test_a_code_is_spent_once(client: AppClient, user: PoolUser) -> None:
    """D2.4: one conditional UPDATE. RFC 6749 4.1.2."""
    code = issue(client, user)
    with transaction.atomic():
        mine, yours = AuthorizationCode.present(code, client), AuthorizationCode.present(code, client)
        assert mine is not None
        assert yours is not None
        assert mine.live
        assert AuthorizationCode.spend(mine)
        assert not AuthorizationCode.spend(yours)
        again = AuthorizationCode.present(code, client)
    assert again is not None
    assert (again.live, again.consumed) == (False, True)


def test_a_code_carries_what_was_asked_for(pool: UserPool, client: AppClient, user: PoolUser) -> None:
    code = issue(client, user)
    with transaction.atomic():
        found = AuthorizationCode.present(code, client)
        assert found is not None
        grant = found.grant
        assert (found.redirect_uri, found.code_challenge) == (factories.CALLBACK, "c")
        assert (grant.scope, grant.nonce, grant.resource) == ("openid", "n", "r")
        assert grant.subject == Subject.of(user)
        assert AuthorizationCode.present(code, factories.make_client(pool)) is None
        assert AuthorizationCode.present("nonsense", client) is None


@pytest.mark.parametrize("case", ["expired", "disabled", "signed out"])
def test_a_code_does_not_outlive_what_it_rests_on(client: AppClient, user: PoolUser, case: str) -> None:
    code = issue(client, user)
    if case == "expired":
        AuthorizationCode.objects.update(expires_at=timezone.now())
    elif case == "disabled":
        PoolUser.objects.update(enabled=False)
    else:
        PoolUser.objects.update(signed_out_at=timezone.now())
    with transaction.atomic():
        found = AuthorizationCode.present(code, client)
    assert found is not None
    assert not found.live


def test_two_grants_never_share_an_origin_jti(client: AppClient, user: PoolUser) -> None:
    open_grant(client, user, origin_jti="same")
    with pytest.raises(IntegrityError), transaction.atomic():
        open_grant(client, user, origin_jti="same")
