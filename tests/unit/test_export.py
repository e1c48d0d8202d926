"""``manage.py export`` prints what ``apply`` takes: applied to an empty database, it makes the same pool.

Field names and value types are those of the Cognito API reference (UserPoolType and its neighbours). What is the same,
and what is left out, is promised by the command's help: ids, secrets, hashes and subs are kept; signing keys are not.
"""

import io
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from accounts import authentication, linking
from accounts.models import (
    AppClient,
    AppClientSecret,
    Group,
    IdentityProvider,
    LinkedIdentity,
    PoolUser,
    ResourceServer,
    SignInAlias,
    SigningKey,
    UserPool,
    UserPoolDomain,
)
from tests import factories

pytestmark = pytest.mark.django_db
POOL_ID = "eu-west-1_Export001"


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("export", *arguments, stdout=out)
    return out.getvalue()


def apply(path: Path, *options: str) -> str:
    out = io.StringIO()
    call_command("apply", str(path), *options, stdout=out)
    return out.getvalue()


@pytest.fixture
def full(db: None) -> UserPool:
    """A pool with something in every table and no value at its default."""
    pool = factories.make_pool(
        "export",
        id=POOL_ID,
        name="export, with a comma",
        alias_attributes=["email", "preferred_username"],
        auto_verified_attributes=["email"],
        schema_attributes=[
            {"Name": "family_name", "Required": True},
            {"Name": "custom:tenant", "AttributeDataType": "Number", "NumberAttributeConstraints": {"MaxValue": "9"}},
        ],
        password_policy={"MinimumLength": 12, "RequireSymbols": False},
        deletion_protection=True,
        signing_algorithm="ES256",
        key_rotation_days=7,
        case_sensitive=True,
        other_fields={"LambdaConfig": {"PreSignUp": "arn:aws:lambda:x"}, "MfaConfig": {"MfaConfiguration": "OFF"}},
    )
    UserPoolDomain.objects.create(user_pool=pool, domain="login.example.com", is_custom=True)
    factories.make_resource_server(pool)
    corp = factories.make_oidc_provider(pool, idp_identifiers=["corp.example.com"], other_fields={"AcrMapping": {}})
    web = factories.make_client(
        pool,
        secret="s" * 51,
        name="web",
        access_token_validity=timedelta(minutes=7),
        token_validity_units={"AccessToken": "minutes"},
        refresh_token_rotation=True,
        retry_grace_period_seconds=7,
        read_attributes=["email", "sub"],
        require_pkce=True,
        dialect="oidc",
        default_redirect=factories.CALLBACK,
        other_fields={"ExplicitAuthFlows": ["ALLOW_USER_AUTH"]},
    )
    web.add_secret("t" * 51)
    web.identity_providers.add(corp)
    machine = factories.make_client(
        pool, secret=True, name="machine", redirect_uris="", allowed_oauth_flows=[], allowed_oauth_scopes=[]
    )
    machine.allowed_oauth_flows, machine.allowed_oauth_scopes = (
        ["client_credentials"],
        ["https://api.example.test/read"],
    )
    machine.save()
    factories.make_client(pool, name="public")
    values = {"family_name": "Lovelace", "email": "ada@example.test", "email_verified": "true", "custom:tenant": "7"}
    ada = factories.make_user(pool, attributes=values)
    factories.make_group(pool, "admins", ada, description="yes: no", role_arn="arn:aws:iam::123456789012:role/admin")
    factories.make_group(pool, "first", ada, precedence=0)
    LinkedIdentity.objects.create(user=ada, provider=corp, subject="u1", issuer="https://idp.example.test")
    eve = factories.make_user(pool, "eve", password=None, enabled=False, status="EXTERNAL_PROVIDER", attributes={})
    LinkedIdentity.objects.create(user=eve, provider=corp, subject="u2", primary=True)
    factories.make_user(
        pool, "ユーザー", sub="not-a-uuid", status="RESET_REQUIRED", attributes={"birthdate": "1815-12-10"}
    )
    PoolUser.objects.exclude(pk=ada.pk).update(attributes={"family_name": "null", "birthdate": "1815-12-10"})
    return pool


def facts() -> dict[str, Any]:
    """Every column of every table of a pool that should be the same, by natural keys."""
    return {
        "pools": list(UserPool.objects.values("id", "name", "username_attributes", "other_fields",
            "alias_attributes", "auto_verified_attributes", "case_sensitive", "deletion_protection",
            "signing_algorithm", "key_rotation_days")),
        "domains": sorted(UserPoolDomain.objects.values_list("domain", "is_custom")),
        "servers": list(ResourceServer.objects.values("identifier", "name", "scopes")),
        "providers": list(IdentityProvider.objects.values("provider_name", "provider_type", "provider_details",
            "attribute_mapping", "idp_identifiers", "other_fields")),
        "clients": list(AppClient.objects.values("client_id", "name", "client_type", "redirect_uris",
            "post_logout_redirect_uris", "default_redirect", "allowed_oauth_flows_user_pool_client",
            "allowed_oauth_flows", "allowed_oauth_scopes", "cognito_sign_in", "access_token_validity",
            "id_token_validity", "refresh_token_validity", "refresh_token_rotation", "retry_grace_period_seconds",
            "enable_token_revocation", "prevent_user_existence_errors", "read_attributes", "write_attributes",
            "require_pkce", "dialect", "other_fields")),
        "client providers": sorted(AppClient.objects.values_list("client_id", "identity_providers__provider_name")),
        "secrets": sorted((row.app_client.client_id, row.slot, row.secret) for row in AppClientSecret.objects.all()),
        "groups": list(Group.objects.values("group_name", "description", "role_arn", "precedence")),
        "users": list(PoolUser.objects.values("sub", "username", "username_key", "attributes", "status", "enabled")),
        "hashes": sorted(user.password for user in PoolUser.objects.all() if user.has_usable_password()),
        "aliases": sorted(SignInAlias.objects.values_list("attribute", "key", "user__sub")),
        "memberships": sorted(PoolUser.objects.filter(groups__isnull=False).values_list("sub", "groups__group_name")),
        "identities": sorted(
            (one.subject, one.issuer, one.primary, int(one.date_created.timestamp() * 1000), one.user.sub)
            for one in LinkedIdentity.objects.all()
        ),
    }  # fmt: skip


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_export_then_apply_on_an_empty_database_gives_the_same_pool(
    full: UserPool, tmp_path: Path, format: str
) -> None:
    before, policy, schema = facts(), full.policy, full.schema
    path = tmp_path / "pool"
    path.write_text(run(POOL_ID, "--format", format))
    assert apply(path).endswith("no changes\n")
    UserPool.objects.all().update(deletion_protection=False)
    UserPool.objects.get().delete()
    assert not PoolUser.objects.exists()
    apply(path)
    after = facts()
    for name, rows in before.items():
        assert after[name] == rows, name
    pool = UserPool.objects.get()
    assert (pool.policy, pool.schema) == (policy, schema)
    assert authentication.authenticate(pool, "ada@example.test", factories.PASSWORD, "192.0.2.1").username == "ada"
    assert apply(path).endswith("no changes\n")
    assert run(POOL_ID, "--format", format) == path.read_text()


def test_the_field_names_and_types_are_those_of_the_api(full: UserPool) -> None:
    """UserPoolType, UserPoolClientType, UserType: enumerations as words, validities as numbers with units."""
    found = yaml.safe_load(run(POOL_ID))
    pool = found["UserPool"]
    assert (pool["Id"], pool["Domain"], pool["CustomDomain"]) == (POOL_ID, "export", "login.example.com")
    assert pool["DeletionProtection"] == "ACTIVE"
    assert pool["UsernameConfiguration"] == {"CaseSensitive": True}
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] == 12
    assert pool["LambdaConfig"] == {"PreSignUp": "arn:aws:lambda:x"}
    assert found["MfaConfig"] == {"MfaConfiguration": "OFF"}
    clients = {client["ClientName"]: client for client in found["UserPoolClients"]}
    web = clients["web"]
    assert (web["AccessTokenValidity"], web["TokenValidityUnits"]["AccessToken"]) == (7, "minutes")
    assert web["RefreshTokenRotation"] == {"Feature": "ENABLED", "RetryGracePeriodSeconds": 7}
    assert web["SupportedIdentityProviders"] == ["COGNITO", "Corp"]
    assert web["ClientSecret"] == "s" * 51
    assert web["ClientSecrets"] == ["s" * 51, "t" * 51]
    assert "ClientSecrets" not in clients["machine"]
    assert "ClientSecret" not in clients["public"]
    ada = found["Users"][0]
    assert {"Name": "custom:tenant", "Value": "7"} in ada["Attributes"]
    assert ada["PasswordHash"].startswith("argon2$argon2id$")
    assert ada["Groups"] == ["admins", "first"]
    assert ada["Identities"][0].items() >= {"ProviderName": "Corp", "UserId": "u1", "Primary": False}.items()
    assert "PasswordHash" not in found["Users"][1]


def test_without_secrets_none_is_printed_and_applying_it_keeps_those_there_are(full: UserPool, tmp_path: Path) -> None:
    before = facts()
    text = run(POOL_ID, "--without-secrets")
    secrets = [row.secret for row in AppClientSecret.objects.all()]
    for secret in [*secrets, "upstream-secret", "argon2", *(user.password for user in PoolUser.objects.all())]:
        assert secret not in text
    path = tmp_path / "pool.yaml"
    path.write_text(text)
    assert apply(path).endswith("no changes\n")
    assert facts() == before


def test_without_users_there_are_none(full: UserPool) -> None:
    text = run(POOL_ID, "--without-users")
    assert "Users" not in yaml.safe_load(text)
    assert "ada" not in text


def test_no_private_key_is_ever_printed(full: UserPool) -> None:
    text = run(POOL_ID)
    for row in SigningKey.objects.all():
        assert json.loads(row.private_jwk)["d"] not in text


def test_another_pools_rows_are_not_in_it(full: UserPool) -> None:
    other = factories.make_pool("other")
    factories.make_client(other, client_id="foreignclient", secret="f" * 51)
    factories.make_user(other, "mallory")
    text = run(POOL_ID)
    assert not re.search("mallory|foreignclient|f{51}|other", text.replace("other_fields", ""))


def test_the_output_file_is_its_owners_alone(full: UserPool, tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text("old")
    path.chmod(0o644)
    assert run(POOL_ID, "--output", str(path)) == ""
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == run(POOL_ID)
    assert [entry.name for entry in tmp_path.iterdir()] == ["pool.yaml"]
    with pytest.raises(CommandError, match="cannot be written"):
        run(POOL_ID, "--output", str(tmp_path / "no" / "where"))


def test_the_help_says_that_secrets_are_in_clear() -> None:
    from accounts.management.commands.export import Command

    assert "SECRETS ARE IN CLEAR" in Command.help


def test_an_unknown_pool_is_an_error(db: None) -> None:
    with pytest.raises(CommandError, match="There is no pool eu-west-1_Nowhere00"):
        run("eu-west-1_Nowhere00")


def test_the_number_of_statements_does_not_grow_with_the_users(
    full: UserPool, django_assert_max_num_queries: Any
) -> None:
    for number in range(50):
        factories.make_user(full, f"user{number}", password=None, attributes={"family_name": "x"})
    with django_assert_max_num_queries(24):
        run(POOL_ID)


def test_a_link_by_a_claim_comes_back_as_one(full: UserPool, tmp_path: Path) -> None:
    """AdminLinkProviderForUser: ProviderAttributeName; the subject itself needs none."""
    ada = PoolUser.objects.get(username="ada")
    corp = IdentityProvider.objects.get()
    linking.link(ada, corp, "ada@corp.example.com", "email")
    identities = yaml.safe_load(run(POOL_ID))["Users"][0]["Identities"]
    assert [one.get("ProviderAttributeName") for one in identities] == [None, "email"]
    assert identities[1]["UserId"] == "ada@corp.example.com"
    path = tmp_path / "pool.yaml"
    path.write_text(run(POOL_ID))
    before = sorted(ada.identities.values_list("claim", "subject", "issuer", "primary", "date_created"))
    assert apply(path).endswith("no changes\n")
    UserPool.objects.all().update(deletion_protection=False)
    UserPool.objects.get().delete()
    apply(path)
    ada = PoolUser.objects.get(username="ada")
    after = sorted(ada.identities.values_list("claim", "subject", "issuer", "primary", "date_created"))
    assert [row[:4] for row in after] == [row[:4] for row in before]
    assert run(POOL_ID) == path.read_text()


def test_a_file_from_before_a_link_was_pinned_changes_nothing_afterwards(full: UserPool, tmp_path: Path) -> None:
    ada = PoolUser.objects.get(username="ada")
    corp = IdentityProvider.objects.get()
    linking.link(ada, corp, "ada@corp.example.com", "email")
    path = tmp_path / "pool.yaml"
    path.write_text(run(POOL_ID))
    claims = {"sub": "u9", "email": "ada@corp.example.com"}
    client = AppClient.objects.get(name="web")
    assert linking.resolve_user(linking.ExternalIdentity(corp, "u9", claims), client) == ada
    exported = run(POOL_ID)
    apply(path)
    assert [(one.claim, one.subject) for one in ada.identities.all()] == [("", "u1"), ("", "u9")]
    assert "u9" in exported
