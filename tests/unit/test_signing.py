"""The life of a signing key: published, then signing, then published still, then gone.

What is expected comes from the design of keys in docs/architecture.md (time decides: not_before, not_after,
expires_at; a successor is published a day before it signs; a key is published until its last token is dead), from
RFC 7517 (JWK), RFC 7518 3.3 and 3.4 (RS256, ES256) and from Cognito's verification page (two keys a pool, 2048 bits).
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from django.db import IntegrityError, transaction
from django.utils import timezone
from jwcrypto import jwk

from accounts import directory, signing
from accounts.models import SigningKey, UserPool
from tests import factories

pytestmark = pytest.mark.django_db
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
Clock = Callable[[timedelta], datetime]


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """``after(period)`` moves the clock to that long after the start of the test."""
    start = timezone.now()

    def move(period: timedelta) -> datetime:
        monkeypatch.setattr(timezone, "now", lambda: start + period)
        directory.forget()
        return start + period

    return move


def kids(pool: UserPool) -> list[str]:
    return [key["kid"] for key in signing.published_jwks(pool)]


def active(pool: UserPool, token_use: str = "access") -> str:
    return signing.active_key(pool, token_use).kid


def test_a_new_pool_has_one_key_for_each_use_and_both_sign_at_once(pool: UserPool) -> None:
    assert sorted(SigningKey.objects.values_list("token_use", flat=True)) == ["access", "id"]
    assert kids(pool) == [active(pool, "id"), active(pool, "access")]  # ID keys first
    assert len(set(kids(pool))) == 2


def test_the_published_key_is_public_and_says_what_it_is_for(pool: UserPool) -> None:
    for key in signing.published_jwks(pool):
        assert set(key) == {"alg", "e", "kid", "kty", "n", "use"}  # RFC 7517 4; RFC 7518 6.3.1; nothing private
        assert (key["alg"], key["kty"], key["use"]) == ("RS256", "RSA", "sig")


@pytest.mark.real_keys
def test_an_rsa_key_has_2048_bits_and_its_signature_verifies_with_another_library(db: None) -> None:
    pool = factories.make_pool()
    key = signing.active_key(pool, "id")
    public = key.jwk.get_op_key("verify")
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 2048
    public.verify(key.sign(b"data"), b"data", padding.PKCS1v15(), hashes.SHA256())  # raises if it does not


@pytest.mark.real_keys
def test_an_es256_pool_signs_with_p256_and_raw_signatures(db: None) -> None:
    pool = factories.make_pool(signing_algorithm="ES256")
    key = signing.active_key(pool, "access")
    published = signing.published_jwks(pool)[0]
    assert (published["alg"], published["kty"], published["crv"]) == ("ES256", "EC", "P-256")
    assert "d" not in published
    signature = key.sign(b"data")
    assert len(signature) == 64  # RFC 7518 3.4: R and S, 32 octets each
    r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))
    public = key.jwk.get_op_key("verify")
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(encode_dss_signature(r, s), b"data", ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_signature_over_other_data_or_by_another_key_is_refused(db: None, alg: str) -> None:
    pool = factories.make_pool(signing_algorithm=alg)
    id_key, access_key = (signing.active_key(pool, use) for use in ("id", "access"))
    signature = id_key.sign(b"data")
    assert id_key.verifies(b"data", signature)
    for key, data, presented in (
        (id_key, b"other", signature),
        (access_key, b"data", signature),
        (id_key, b"data", signature[:-1]),
        (id_key, b"data", b""),
    ):
        assert not key.verifies(data, presented)


def test_nothing_is_due_while_the_keys_are_young_and_rotating_again_changes_nothing(
    pool: UserPool, after: Clock
) -> None:
    before = kids(pool)
    for period in (timedelta(0), HOUR, pool.key_rotation_days * DAY - HOUR):
        after(period)
        assert signing.rotate(pool) == []
        assert kids(pool) == before


def test_the_successor_is_published_before_it_signs_and_the_old_key_until_its_last_token_is_dead(
    pool: UserPool, after: Clock
) -> None:
    client = factories.make_client(pool, access_token_validity=HOUR)
    old = active(pool)
    start = pool.key_rotation_days * DAY + HOUR
    after(start)
    assert sorted(key.token_use for key in signing.rotate(pool)) == ["access", "id"]
    new = SigningKey.objects.get(token_use="access", not_after__isnull=True).kid
    assert new != old
    client.access_token_validity = DAY  # raised after the rotation, to the longest that W 13 allows
    client.save()
    for moment, signs, published in (
        (timedelta(0), old, {old, new}),
        (signing.LEAD - SECOND, old, {old, new}),
        (signing.LEAD + SECOND, new, {old, new}),
        (signing.LEAD + DAY - SECOND, new, {old, new}),  # the last token that the old key signed
        (signing.LEAD + DAY + SECOND, new, {new}),
    ):
        after(start + moment)
        assert active(pool) == signs, moment
        assert {old, new} & set(kids(pool)) == published, moment
        assert (signing.verification_key(pool, old) is not None) == (old in published)
        assert signing.rotate(pool) == []


def test_there_is_a_signing_key_at_every_moment_however_late_the_job_runs(pool: UserPool, after: Clock) -> None:
    for days in range(0, 2000, 37):
        after(timedelta(days=days))
        signing.rotate(pool)
        for token_use in ("id", "access"):
            assert active(pool, token_use) in kids(pool)


def test_a_pool_with_zero_days_keeps_its_keys_until_it_is_told(db: None, after: Clock) -> None:
    pool = factories.make_pool(key_rotation_days=0)
    after(10_000 * DAY)
    assert signing.rotate(pool) == []
    assert len(signing.rotate(pool, at_once=True)) == 2


def test_at_once_the_new_keys_sign_and_the_old_ones_stay_published(pool: UserPool, after: Clock) -> None:
    old = kids(pool)
    after(HOUR)
    new = [key.kid for key in signing.rotate(pool, at_once=True)]
    assert {active(pool, "id"), active(pool, "access")} == set(new)
    assert set(kids(pool)) == {*old, *new}


def test_a_withdrawn_key_verifies_nothing_from_that_moment_on(pool: UserPool, after: Clock) -> None:
    old = kids(pool)
    after(HOUR)
    new = [key.kid for key in signing.rotate(pool, withdraw=True)]
    after(HOUR + SECOND)
    assert set(kids(pool)) == set(new)
    assert [signing.verification_key(pool, kid) for kid in old] == [None, None]


def test_withdrawing_takes_a_waiting_successor_too(pool: UserPool, after: Clock) -> None:
    start = pool.key_rotation_days * DAY + HOUR
    after(start)
    waiting = [key.kid for key in signing.rotate(pool)]
    after(start + HOUR)
    new = [key.kid for key in signing.rotate(pool, withdraw=True)]
    after(start + 3 * DAY)
    assert set(kids(pool)) == set(new)
    assert not set(waiting) & set(kids(pool))
    assert active(pool) in new


def test_a_private_key_is_forgotten_once_it_no_longer_signs(pool: UserPool, after: Clock) -> None:
    after(HOUR)
    signing.rotate(pool, at_once=True)
    after(HOUR + signing.KEEP_PRIVATE + SECOND)
    signing.rotate(pool)
    kept = {bool(row.not_after): bool(row.private_jwk) for row in SigningKey.objects.all()}
    assert kept == {True: False, False: True}


def test_another_algorithm_makes_the_keys_due(pool: UserPool, after: Clock) -> None:
    old = active(pool)
    pool.signing_algorithm = "ES256"
    pool.save()
    assert [key.alg for key in signing.rotate(pool)] == ["ES256", "ES256"]
    assert active(pool) == old
    after(signing.LEAD + SECOND)
    assert signing.active_key(pool, "access").alg == "ES256"


def test_a_key_of_one_pool_is_nothing_at_another(pool: UserPool) -> None:
    other = factories.make_pool()
    assert signing.verification_key(other, active(pool)) is None
    assert not set(kids(pool)) & set(kids(other))


def test_two_open_ended_keys_of_one_use_are_impossible(pool: UserPool) -> None:
    row = SigningKey.objects.get(token_use="id")
    row.pk, row.kid = None, "another"
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_the_worker_that_comes_second_finds_the_successor_and_makes_none(
    pool: UserPool, after: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    after(pool.key_rotation_days * DAY + HOUR)
    generate, raced = signing.generate, []

    def race(alg: str) -> jwk.JWK:
        if not raced:
            raced.append(True)
            signing.rotate(pool)  # the other worker, while this one makes its key
        return generate(alg)

    monkeypatch.setattr(signing, "generate", race)
    assert signing.rotate(pool) == []
    assert SigningKey.objects.count() == 4


def test_a_machine_whose_clock_is_behind_signs_with_a_key_that_is_new(pool: UserPool, after: Clock) -> None:
    first = {use: active(pool, use) for use in ("id", "access")}
    after(timedelta(minutes=-5))
    assert {use: active(pool, use) for use in ("id", "access")} == first
    after(timedelta(0))
    signing.rotate(pool, withdraw=True)
    second = active(pool)
    after(timedelta(minutes=-5))
    directory.forget()
    assert second in kids(pool)
    assert active(pool) in (first["access"], second)
    after(timedelta(minutes=-11))
    SigningKey.objects.filter(kid=first["access"]).delete()
    directory.forget()
    with pytest.raises(LookupError):
        signing.active_key(pool, "access")


def test_a_successor_that_waits_does_not_sign_before_its_time(pool: UserPool, after: Clock) -> None:
    after(timedelta(days=pool.key_rotation_days) + SECOND)
    first = active(pool)
    assert len(signing.rotate(pool)) == 2
    after(timedelta(days=pool.key_rotation_days) + SECOND + DAY - timedelta(minutes=5))
    assert active(pool) == first


def test_a_pool_whose_keys_were_deleted_says_so(pool: UserPool) -> None:
    SigningKey.objects.all().delete()
    with pytest.raises(LookupError, match=pool.pk):
        signing.active_key(pool, "id")
    assert len(signing.rotate(pool)) == 2
    assert active(pool) in kids(pool)
