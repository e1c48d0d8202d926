"""A pool's key pairs as a SAML service provider: made once, prepared, taken into use, removed.

W 8.1 (RSA, ten years), RFC 5280 (what a certificate says). Certificates are read by cryptography's own reader, and a
signature made with the private key is verified with the certificate.
"""

import base64
import threading
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.db import connection
from django.utils import timezone

from accounts import directory, saml_keys
from accounts.models import SamlKey, UserPool
from accounts.models.saml import KeyUse
from tests import factories

pytestmark = pytest.mark.django_db
USES = [use.value for use in KeyUse]


def certificate(key: SamlKey) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(key.certificate, validate=True))


def raw(key: SamlKey) -> str:
    """The private key as the database has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT private_key FROM accounts_samlkey WHERE id = %s", [key.pk])
        return str(cursor.fetchone()[0])


def stored(key: SamlKey) -> SamlKey:
    return SamlKey.objects.get(pk=key.pk)


@pytest.mark.parametrize("use", USES)
def test_the_first_pair_is_made_when_it_is_asked_for_and_then_stays(pool: UserPool, use: str) -> None:
    assert not SamlKey.objects.exists()
    first = saml_keys.active(pool, use)
    assert saml_keys.active(pool, use) == first
    directory.forget()
    assert saml_keys.active(pool, use) == first
    assert SamlKey.objects.count() == 1
    assert saml_keys.active(factories.make_pool(), use) != first


@pytest.mark.parametrize("use", USES)
def test_a_certificate_is_of_rsa_for_ten_years_and_belongs_to_the_private_key(pool: UserPool, use: str) -> None:
    key = saml_keys.active(pool, use)
    found, now = certificate(key), timezone.now()
    public = found.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert (public.key_size, public.public_numbers().e) == (2048, 65537)
    assert found.not_valid_before_utc < now
    assert abs(found.not_valid_after_utc - now - timedelta(days=3650)) < timedelta(minutes=1)
    assert abs(found.not_valid_after_utc - key.not_after) < timedelta(seconds=1)
    assert key.fingerprint == found.fingerprint(hashes.SHA256()).hex()
    assert isinstance(found.signature_hash_algorithm, hashes.SHA256)
    found.verify_directly_issued_by(found)
    private: Any = serialization.load_pem_private_key(stored(key).private_key.encode(), None)
    public.verify(private.sign(b"x", padding.PKCS1v15(), hashes.SHA256()), b"x", padding.PKCS1v15(), hashes.SHA256())


def test_a_long_pool_id_has_a_certificate_too() -> None:
    assert saml_keys.active(factories.make_pool(id="eu-west-1_" + "x" * 45), "encryption").fingerprint


def test_a_private_key_is_encrypted_at_rest_and_told_by_nobody(pool: UserPool) -> None:
    key = saml_keys.active(pool, "signing")
    assert raw(key).startswith("ey")
    assert "PRIVATE" not in raw(key)
    assert "PRIVATE" not in f"{key} {key!r}"


@pytest.mark.parametrize("use", USES)
def test_the_next_pair_is_prepared_once(pool: UserPool, use: str) -> None:
    assert saml_keys.upcoming(pool, use) is None
    coming = saml_keys.prepare(pool, use)
    assert saml_keys.prepare(pool, use) == coming
    assert saml_keys.upcoming(pool, use) == coming
    assert saml_keys.active(pool, use) != coming
    assert SamlKey.objects.count() == 2


def test_both_certificates_are_published_for_verifying_and_one_for_encrypting(pool: UserPool) -> None:
    for use in USES:
        assert saml_keys.published(pool, use) == [saml_keys.active(pool, use)]
        saml_keys.prepare(pool, use)
    signing = [saml_keys.active(pool, "signing"), saml_keys.upcoming(pool, "signing")]
    assert saml_keys.published(pool, "signing") == signing
    assert saml_keys.published(pool, "encryption") == [saml_keys.active(pool, "encryption")]


def test_a_signing_key_that_was_replaced_is_retired_and_its_private_half_gone(pool: UserPool) -> None:
    old, coming = saml_keys.active(pool, "signing"), saml_keys.prepare(pool, "signing")
    assert saml_keys.activate(pool, "signing") == coming
    assert saml_keys.active(pool, "signing") == coming
    assert saml_keys.published(pool, "signing") == [coming]
    assert saml_keys.upcoming(pool, "signing") is None
    assert stored(old).retired_at is not None
    assert stored(old).private_key == ""
    assert stored(coming).private_key.startswith("-----BEGIN PRIVATE KEY-----")


def test_an_encryption_key_that_was_replaced_still_decrypts_until_it_is_removed(pool: UserPool) -> None:
    old = saml_keys.active(pool, "encryption")
    assert saml_keys.decrypting(pool) == [old]
    coming = saml_keys.prepare(pool, "encryption")
    assert saml_keys.decrypting(pool) == [coming, old]
    saml_keys.activate(pool, "encryption")
    assert saml_keys.decrypting(pool) == [coming, old]
    assert saml_keys.published(pool, "encryption") == [coming]
    assert stored(old).private_key.startswith("-----BEGIN PRIVATE KEY-----")
    saml_keys.remove(stored(old))
    assert saml_keys.decrypting(pool) == [coming]


def test_without_a_prepared_pair_nothing_takes_over(pool: UserPool) -> None:
    active = saml_keys.active(pool, "signing")
    saml_keys.prepare(pool, "encryption")
    saml_keys.prepare(factories.make_pool(), "signing")
    with pytest.raises(LookupError):
        saml_keys.activate(pool, "signing")
    assert stored(active).retired_at is None


def test_the_pair_in_use_is_not_removed_and_a_prepared_one_is(pool: UserPool) -> None:
    active, coming = saml_keys.active(pool, "signing"), saml_keys.prepare(pool, "signing")
    with pytest.raises(LookupError):
        saml_keys.remove(active)
    saml_keys.remove(coming)
    assert saml_keys.upcoming(pool, "signing") is None
    assert saml_keys.active(pool, "signing") == active


def test_a_row_that_took_over_since_it_was_read_is_not_removed(pool: UserPool) -> None:
    saml_keys.active(pool, "signing")
    seen = saml_keys.prepare(pool, "signing")
    saml_keys.activate(pool, "signing")
    with pytest.raises(LookupError):
        saml_keys.remove(seen)


# --- at once


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("action", [saml_keys.active, saml_keys.prepare])
def test_of_many_who_make_a_pair_at_once_all_get_the_same(action: Any) -> None:
    pool, barrier = factories.make_pool(), threading.Barrier(4, timeout=60)
    if action is saml_keys.prepare:
        saml_keys.active(pool, "signing")
    found: list[Any] = []

    def run() -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            found.append(action(pool, "signing").pk)
        except Exception as problem:  # noqa: BLE001 - the assertion below shows it
            found.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert len(set(found)) == 1
    made = SamlKey.objects.filter(user_pool=pool)
    assert made.count() == (2 if action is saml_keys.prepare else 1)
    assert made.latest("id").pk == found[0]
