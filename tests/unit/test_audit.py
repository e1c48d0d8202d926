"""The audit trail: what is recorded of a change, and that no secret ever is (design D2.10)."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from accounts import audit
from accounts.models import AppClient, AuditEvent, PoolUser, UserPool
from tests import factories


def everything() -> str:
    """The audit table as the database holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_auditevent")
        return repr(cursor.fetchall())


def test_a_difference_names_the_fields_that_differ(app_client: AppClient) -> None:
    before = AppClient.objects.get(pk=app_client.pk)
    app_client.name = "renamed"
    app_client.access_token_validity = timedelta(hours=2)
    app_client.allowed_oauth_scopes = ["openid"]
    assert audit.difference(before, app_client) == {
        "name": ["web", "renamed"],
        "access_token_validity": ["1:00:00", "2:00:00"],
        "allowed_oauth_scopes": [["openid", "email", "phone", "profile"], ["openid"]],
    }
    assert audit.difference(before, before) == {}


def test_maps_are_compared_key_by_key(user: PoolUser) -> None:
    before = PoolUser.objects.get(pk=user.pk)
    user.attributes = {"email": "ada@example.test", "name": "Ada"}
    assert audit.difference(before, user) == {
        "attributes.email_verified": ["true", None],
        "attributes.name": [None, "Ada"],
    }


def test_a_new_row_shows_what_it_has_and_a_deleted_one_what_it_had(pool: UserPool) -> None:
    server = factories.make_resource_server(pool, "api", "read")
    made = audit.difference(None, server)
    assert made["identifier"] == [None, "api"]
    assert "other_fields" not in made
    assert audit.difference(server, None)["identifier"] == ["api", None]


@pytest.mark.parametrize(
    "name",
    ["password", "secret", "client_secret", "ClientSecret", "provider_details.client_secret", "private_key",
     "provider_details.private_key", "private_jwk", "digest", "PasswordHash", "salt", "Password"],
)  # fmt: skip
def test_a_secret_is_masked_by_its_name(pool: UserPool, name: str) -> None:
    audit.record("change", pool, {name: ["old and secret", "new and secret"]}, actor="ada")
    assert AuditEvent.objects.get().changes == {name: [audit.HIDDEN, audit.HIDDEN]}


@pytest.mark.parametrize(
    ("name", "value"),
    [("password_policy.MinimumLength", 9), ("password_changed_at", "2026-01-01"), ("enable_token_revocation", True)],
)
def test_what_only_sounds_like_a_secret_is_shown(pool: UserPool, name: str, value: Any) -> None:
    audit.record("change", pool, {name: [None, value]}, actor="ada")
    assert AuditEvent.objects.get().changes == {name: [None, value]}


def test_secrets_of_rows_never_reach_the_table(pool: UserPool, user: PoolUser, secret_client: AppClient) -> None:
    provider = factories.make_oidc_provider(pool)
    key = pool.signing_keys.all()[0]
    for row in (provider, user, secret_client, secret_client.secrets.all()[0], key):
        audit.record("create", row, audit.difference(None, row), actor="ada")
        audit.record(
            "delete", row, {"nested": [{"client_secret": "upstream-secret"}, [{"secret": "s" * 51}]]}, actor="x"
        )
    text = everything()
    for secret in ("upstream-secret", "s" * 51, user.password, key.private_jwk, secret_client.secret_digests[0]):
        assert secret not in text


def test_a_row_says_who_what_where(pool: UserPool, secret_client: AppClient) -> None:
    audit.record("show secret", secret_client.secrets.all()[0], {}, actor="ada")
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.user_pool) == ("ada", "show secret", pool.pk)
    assert event.target_type == "app client secret"


def test_large_and_odd_values_are_bounded(pool: UserPool) -> None:
    changes: dict[str, list[Any]] = {f"field{n}": [None, n] for n in range(300)}
    changes["a"] = ["x" * 5000, ["y" * 5000]]
    changes["b"] = ["nul \x00 here", "half \ud800 pair"]
    audit.record("change", pool, changes, actor="ada")
    kept = AuditEvent.objects.get().changes
    assert len(kept) == audit.MAX_FIELDS + 1
    assert len(kept["a"][0]) < 1100
    assert len(kept["a"][1]) < 1100
    assert "\x00" not in kept["b"][0]
