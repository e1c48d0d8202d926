"""Encrypted model fields: sealed in the database, clear in Python, under a list of keys.

Expected values come from RFC 7516 (JWE compact serialisation, the kid header) and RFC 7518 4.5 and 5.3 (dir, A256GCM).
"""

import json

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from jwcrypto import jwe
from jwcrypto.common import base64url_decode
from pytest_django import Settings

from accounts.fields import encryption_keys, seal, sealed_with_newest, unseal
from accounts.models import AppClientSecret, IdentityProvider, SigningKey, UserPool
from tests import factories

OLD, NEW = b"o" * 32, b"n" * 32


def test_a_sealed_value_is_a_compact_jwe_that_names_its_key() -> None:
    parts = seal("secret").split(".")
    assert len(parts) == 5
    assert parts[1] == ""  # RFC 7516 7.1, RFC 7518 4.5: with dir there is no encrypted key
    header = json.loads(base64url_decode(parts[0]))
    assert header == {"alg": "dir", "enc": "A256GCM", "kid": next(iter(encryption_keys()))}


def test_sealing_twice_never_gives_the_same_text() -> None:
    assert seal("secret") != seal("secret")


@pytest.mark.parametrize("text", ["secret", "x" * 100_000, "\N{SNOWMAN} \x00 \n", " "])
def test_what_is_sealed_is_opened(text: str) -> None:
    assert unseal(seal(text)) == text


def test_the_first_key_seals_and_every_key_opens(settings: Settings) -> None:
    settings.USERPOOL_ENCRYPTION_KEYS = [OLD]
    old = seal("before")
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW, OLD]
    new = seal("after")
    assert (unseal(old), unseal(new)) == ("before", "after")
    assert (sealed_with_newest(old), sealed_with_newest(new)) == (False, True)
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW]
    assert unseal(new) == "after"
    with pytest.raises(ImproperlyConfigured, match="USERPOOL_ENCRYPTION_KEYS"):
        unseal(old)


@pytest.mark.parametrize("part", [0, 2, 3, 4])
def test_a_value_that_was_tampered_with_is_refused(part: int) -> None:
    parts = seal("secret" * 10).split(".")
    flipped = "A" if parts[part][5] != "A" else "B"
    parts[part] = parts[part][:5] + flipped + parts[part][6:]
    with pytest.raises((jwe.InvalidJWEData, ImproperlyConfigured, ValueError)):
        unseal(".".join(parts))


@pytest.mark.django_db
def test_the_database_holds_no_secret_in_clear(pool: UserPool) -> None:
    factories.make_client(pool, secret="s" * 51)
    factories.make_oidc_provider(pool)
    columns = [("appclientsecret", "secret"), ("identityprovider", "provider_details"), ("signingkey", "private_jwk")]
    with connection.cursor() as cursor:
        for table, column in columns:
            cursor.execute(f"SELECT {column} FROM accounts_{table}")  # noqa: S608
            for (value,) in cursor.fetchall():
                assert value.count(".") == 4
                assert "upstream-secret" not in value
    assert AppClientSecret.objects.get().secret == "s" * 51
    assert IdentityProvider.objects.get().provider_details["client_secret"] == "upstream-secret"
    assert json.loads(SigningKey.objects.all()[0].private_jwk)["kty"] == "RSA"


@pytest.mark.django_db
def test_the_empty_string_stays_empty_and_can_be_asked_for(pool: UserPool) -> None:
    SigningKey.objects.filter(token_use="id").update(private_jwk="")
    assert SigningKey.objects.get(private_jwk="").token_use == "id"


@pytest.mark.django_db
@pytest.mark.parametrize("lookup", ["contains", "startswith", "in", "iexact", "gt", "regex"])
def test_an_encrypted_field_cannot_be_searched(lookup: str) -> None:
    with pytest.raises(TypeError, match="cannot be searched"):
        AppClientSecret.objects.filter(**{f"secret__{lookup}": "s"}).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("details", [{}, {"MetadataFile": "<xml/>"}, {"client_secret": "\N{SNOWMAN}"}])
def test_a_map_comes_back_as_it_went_in(pool: UserPool, details: dict[str, str]) -> None:
    row = factories.make_oidc_provider(pool, provider_details=details)
    assert IdentityProvider.objects.get(pk=row.pk).provider_details == details
