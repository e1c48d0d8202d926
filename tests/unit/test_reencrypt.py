"""``manage.py reencrypt`` moves every stored secret to the newest key of USERPOOL_ENCRYPTION_KEYS.

What is promised stands in the command's help and in the README's settings table: the first key of the list seals, all
of them open. The kid in a JWE's header tells which key sealed it (RFC 7516 4.1.6).
"""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from jwcrypto.common import base64url_decode
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.fields import EncryptedTextField, encrypted_fields, encryption_keys, seal
from accounts.models import AppClient, AppClientSecret, IdentityProvider, SigningKey, UserPool
from tests import factories

pytestmark = pytest.mark.django_db
OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("reencrypt", *arguments, stdout=out)
    return out.getvalue()


def kids() -> set[str]:
    """The key ids in the headers of all that is stored sealed."""
    found = set()
    with connection.cursor() as cursor:
        for model, field in encrypted_fields():
            cursor.execute(f"SELECT {field} FROM {model._meta.db_table} WHERE {field} <> ''")  # noqa: S608
            found |= {json.loads(base64url_decode(token.split(".")[0]))["kid"] for (token,) in cursor.fetchall()}
    return found


@pytest.fixture
def secrets(settings: Settings, db: None) -> UserPool:
    """A pool with every kind of secret, sealed with OLD."""
    settings.USERPOOL_ENCRYPTION_KEYS = [OLD]
    pool = factories.make_pool()
    factories.make_client(pool, secret="s" * 51)
    factories.make_oidc_provider(pool)
    return pool


def test_every_encrypted_field_of_every_model_is_known() -> None:
    assert {(model.__name__, field) for model, field in encrypted_fields()} >= {
        ("AppClientSecret", "secret"),
        ("IdentityProvider", "provider_details"),
        ("SigningKey", "private_jwk"),
    }
    assert all(isinstance(model._meta.get_field(field), EncryptedTextField) for model, field in encrypted_fields())


def test_everything_is_sealed_with_the_newest_key_and_opens_to_what_it_was(
    secrets: UserPool, settings: Settings
) -> None:
    private = list(SigningKey.objects.order_by("pk").values_list("private_jwk", flat=True))
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW, OLD]
    output = run()
    assert "AppClientSecret.secret: 1 re-encrypted, 0 already with the newest key" in output
    assert "SigningKey.private_jwk: 2 re-encrypted, 0 already with the newest key" in output
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW]
    assert kids() == set(encryption_keys())
    assert AppClientSecret.objects.get().secret == "s" * 51
    assert IdentityProvider.objects.get().provider_details["client_secret"] == "upstream-secret"
    assert list(SigningKey.objects.order_by("pk").values_list("private_jwk", flat=True)) == private
    assert AppClient.objects.get().secret_matches("s" * 51)


def test_running_it_again_changes_nothing(secrets: UserPool, settings: Settings) -> None:
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW, OLD]
    run()
    again = run()
    assert "SigningKey.private_jwk: 0 re-encrypted, 2 already with the newest key" in again


def test_a_dry_run_counts_and_changes_nothing(secrets: UserPool, settings: Settings) -> None:
    before = kids()
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW, OLD]
    assert "AppClientSecret.secret: 1 to re-encrypt, 0 already" in run("--dry-run")
    assert kids() == before


def test_small_batches_reach_every_row(secrets: UserPool, settings: Settings) -> None:
    for _ in range(3):
        factories.make_pool()
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW, OLD]
    assert "SigningKey.private_jwk: 8 re-encrypted" in run("--batch", "3")
    assert kids() == {next(iter(encryption_keys()))}


def test_what_no_key_opens_is_counted_left_alone_and_does_not_stop_the_rest(
    secrets: UserPool, settings: Settings
) -> None:
    settings.USERPOOL_ENCRYPTION_KEYS = [OTHER]
    lost = seal("gone")
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW, OLD]
    row = SigningKey.objects.order_by("pk")[0]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_signingkey SET private_jwk = %s WHERE id = %s", [lost, row.pk])
    out = StringIO()
    with pytest.raises(CommandError, match="1 values were sealed with keys"):
        call_command("reencrypt", stdout=out)
    assert "SigningKey.private_jwk: 1 re-encrypted, 0 already with the newest key, 1 UNREADABLE" in out.getvalue()
    with connection.cursor() as cursor:
        cursor.execute("SELECT private_jwk FROM accounts_signingkey WHERE id = %s", [row.pk])
        assert cursor.fetchone() == (lost,)


def test_no_secret_is_printed(secrets: UserPool, settings: Settings) -> None:
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW, OLD]
    output = run()
    assert "s" * 51 not in output
    assert "upstream-secret" not in output


def test_a_batch_costs_one_reading_and_one_update_for_each_row(
    secrets: UserPool, settings: Settings, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    settings.USERPOOL_ENCRYPTION_KEYS = [NEW, OLD]
    with django_assert_max_num_queries(3 * len(list(encrypted_fields())) + 4):  # two savepoint statements a batch
        run()
