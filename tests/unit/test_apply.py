"""``manage.py apply``: a pool as a file becomes rows, wholly or not at all.

Names, types, limits and defaults are those of the Cognito API reference: UserPoolType, UserPoolClientType,
IdentityProviderType, ResourceServerType, GroupType, UserType (docs.aws.amazon.com/cognito-user-identity-pools/latest/
APIReference). That applying twice changes nothing, that users are never deleted and that a failed file changes nothing
is promised by the command's help.
"""

import base64
import copy
import hashlib
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import argon2
import pytest
import yaml
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import authentication, linking, signing
from accounts.models import (
    AppClient,
    AuditEvent,
    Group,
    IdentityProvider,
    PoolUser,
    ResourceServer,
    SignInSession,
    UserPool,
    UserPoolDomain,
)
from accounts.models.users import UserStatus
from tests import factories

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parent.parent.parent
POOL_ID, CLIENT_ID = "eu-west-1_File00001", "3exampleclient23456789abcd"
OIDC = {
    "client_id": "userpool",
    "client_secret": "upstream-secret",
    "oidc_issuer": "https://idp.example.com",
    "authorize_scopes": "openid email",
    "attributes_request_method": "GET",
}
WHOLE: dict[str, Any] = {
    "UserPool": {"Id": POOL_ID, "Name": "file", "Domain": "file", "CustomDomain": "auth.example.com"},
    "ResourceServers": [
        {
            "Identifier": "https://api.example.com",
            "Name": "api",
            "Scopes": [{"ScopeName": "read", "ScopeDescription": "Read"}],
        }
    ],
    "IdentityProviders": [
        {
            "ProviderName": "Corp",
            "ProviderType": "OIDC",
            "ProviderDetails": OIDC,
            "AttributeMapping": {"email": "email", "username": "sub"},
            "IdpIdentifiers": ["corp.example.com"],
        }
    ],
    "UserPoolClients": [
        {
            "ClientName": "web",
            "ClientId": CLIENT_ID,
            "ClientSecret": "s" * 51,
            "CallbackURLs": ["https://app.example.com/callback"],
            "LogoutURLs": ["https://app.example.com/"],
            "AllowedOAuthFlowsUserPoolClient": True,
            "AllowedOAuthFlows": ["code"],
            "AllowedOAuthScopes": ["openid", "email", "https://api.example.com/read"],
            "SupportedIdentityProviders": ["COGNITO", "Corp"],
            "RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 10},
            "Dialect": "oidc",
        }
    ],
    "Groups": [{"GroupName": "admins", "Precedence": 1}],
    "Users": [
        {
            "Username": "ada",
            "Attributes": [
                {"Name": "email", "Value": "ada@example.com"},
                {"Name": "email_verified", "Value": "true"},
            ],
            "Password": "Correct-horse-7",
            "Groups": ["admins"],
        }
    ],
}


def whole(**changes: Any) -> dict[str, Any]:
    """WHOLE with sections replaced, or left out for None."""
    found = copy.deepcopy(WHOLE) | changes
    return {name: value for name, value in found.items() if value is not None}


def client(**changes: Any) -> dict[str, Any]:
    """WHOLE with fields of its client replaced, or left out for ``...``."""
    found = copy.deepcopy(WHOLE)
    fields = found["UserPoolClients"][0] | changes
    found["UserPoolClients"] = [{name: value for name, value in fields.items() if value is not ...}]
    return found


def user(**changes: Any) -> dict[str, Any]:
    """WHOLE with fields of its user replaced, or left out for ``...``."""
    fields = copy.deepcopy(WHOLE["Users"][0]) | changes
    return whole(Users=[{name: value for name, value in fields.items() if value is not ...}])


@pytest.fixture
def apply(tmp_path: Path) -> Any:
    """``apply(document, "--option")``: writes the file, runs the command and returns what it printed."""

    def run(document: Any, *options: str) -> str:
        path = tmp_path / "pool.yaml"
        text = document if isinstance(document, str | bytes) else json.dumps(document, indent=1)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        out = io.StringIO()
        call_command("apply", str(path), *options, stdout=out)
        return out.getvalue()

    return run


def refusal(apply: Any, document: Any, *options: str) -> str:
    """What the command says when it refuses ``document``; the database must be as before."""
    before = fingerprint()
    with pytest.raises(CommandError) as caught:
        apply(document, *options)
    assert fingerprint() == before
    return str(caught.value)


def fingerprint() -> list[Any]:
    models = (UserPool, UserPoolDomain, AppClient, IdentityProvider, ResourceServer, Group, PoolUser, AuditEvent)
    return [list(model.objects.order_by("pk").values()) for model in models]  # type: ignore[attr-defined]


def test_a_whole_file_makes_the_pool_that_it_describes(apply: Any) -> None:
    assert "applied: 8 created" in apply(WHOLE)
    pool = UserPool.objects.get(pk=POOL_ID)
    assert sorted(pool.domains.values_list("domain", "is_custom")) == [("auth.example.com", True), ("file", False)]
    web = pool.app_clients.get()
    assert web.client_id == CLIENT_ID
    assert web.secret_matches("s" * 51)
    assert web.callback_urls == ("https://app.example.com/callback",)
    assert web.supported_identity_providers == ["COGNITO", "Corp"]
    assert (web.refresh_token_rotation, web.retry_grace_period_seconds, web.dialect) == (True, 10, "oidc")
    assert web.is_confidential
    assert pool.identity_providers.get().provider_details == OIDC
    ada = pool.users.get()
    assert authentication.authenticate(pool, "ada", "Correct-horse-7", "192.0.2.1") == ada
    assert [group.group_name for group in ada.groups.all()] == ["admins"]
    assert signing.active_key(pool, "id")


def test_what_is_omitted_has_the_defaults_of_the_api(apply: Any) -> None:
    """UserPoolType, UserPoolClientType: case-sensitive, LEGACY, OAuth off, 1 h, 1 h, 30 days, revocation on."""
    apply({"UserPool": {"Name": "bare"}, "UserPoolClients": [{"ClientName": "bare"}]})
    pool = UserPool.objects.get()
    assert (pool.case_sensitive, pool.deletion_protection, pool.username_attributes) == (True, False, [])
    bare = AppClient.objects.get()
    assert not bare.prevent_user_existence_errors
    assert not bare.allowed_oauth_flows_user_pool_client
    assert bare.enable_token_revocation
    assert (bare.access_token_validity, bare.id_token_validity) == (timedelta(hours=1), timedelta(hours=1))
    assert bare.refresh_token_validity == timedelta(days=30)
    assert bare.read_attributes is None
    assert not bare.is_confidential
    assert len(bare.client_id) == 26


@pytest.mark.parametrize(
    "document",
    [
        WHOLE,
        {"UserPool": {"Name": "no id"}, "UserPoolClients": [{"ClientName": "no id", "GenerateSecret": True}]},
        {"UserPool": {"Name": "units"}, "UserPoolClients": [{"ClientName": "c", "AccessTokenValidity": 1}]},
    ],
)
def test_applying_twice_changes_nothing(apply: Any, document: dict[str, Any]) -> None:
    apply(document)
    before = fingerprint()
    assert apply(document) == "no changes\n"
    assert fingerprint() == before


def test_the_demo_pool_applies(apply: Any) -> None:
    text = (ROOT / "examples" / "demo.yaml").read_text()
    apply(text)
    assert apply(text) == "no changes\n"
    pool = UserPool.objects.get(pk="eu-west-1_Demo00001")
    assert authentication.authenticate(pool, "ada@example.com", "Correct-horse-7", "192.0.2.1").username == "ada"
    assert pool.users.get(username="grace").status == UserStatus.FORCE_CHANGE_PASSWORD
    web = pool.app_clients.get(client_id="1exampleclient23456789abcd")
    assert not web.is_confidential
    assert web.redirect_uri_allowed("http://localhost:8001/callback")


def test_a_dry_run_prints_the_difference_and_changes_nothing(apply: Any) -> None:
    before = fingerprint()
    output = apply(WHOLE, "--dry-run")
    assert "+ UserPool file (eu-west-1_File00001)" in output
    assert fingerprint() == before
    apply(WHOLE)
    before = fingerprint()
    output = apply(client(AccessTokenValidity=2), "--dry-run")
    assert "~ UserPoolClient web (3exampleclient23456789abcd)\n    AccessTokenValidity: 1 -> 2\n" in output
    assert "dry run, nothing was changed: 1 changed" in output
    assert fingerprint() == before


def test_check_fails_when_something_would_change_and_only_then(apply: Any) -> None:
    with pytest.raises(CommandError, match="differ"):
        apply(WHOLE, "--check")
    assert not UserPool.objects.exists()
    apply(WHOLE)
    assert apply(WHOLE, "--check") == "no changes\n"


def test_an_omitted_field_keeps_its_value_and_null_is_the_default(apply: Any) -> None:
    apply(client(AccessTokenValidity=3, AllowedOAuthFlows=["code", "implicit"]))
    apply({"UserPool": {"Id": POOL_ID}, "UserPoolClients": [{"ClientId": CLIENT_ID, "ClientName": "renamed"}]})
    web = AppClient.objects.get()
    assert (web.name, web.access_token_validity) == ("renamed", timedelta(hours=3))
    assert web.allowed_oauth_flows == ["code", "implicit"]
    apply({"UserPool": {"Id": POOL_ID}, "UserPoolClients": [{"ClientId": CLIENT_ID, "AccessTokenValidity": None}]})
    assert AppClient.objects.get().access_token_validity == timedelta(hours=1)


def test_yaml_and_json_are_one_language(apply: Any) -> None:
    apply(yaml.safe_dump(WHOLE, sort_keys=False))
    assert apply(json.dumps(WHOLE)) == "no changes\n"


def test_several_documents_and_files_are_one_transaction(apply: Any, tmp_path: Path) -> None:
    apply("UserPool: {Name: one}\n---\nUserPool: {Name: two}\n")
    assert sorted(UserPool.objects.values_list("name", flat=True)) == ["one", "two"]
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("UserPool: {Name: three}")
    bad.write_text("UserPool: {Name: four, Domain: four}\nUserPoolClients: [{ClientName: c, AllowedOAuthScopes: [x]}]")
    with pytest.raises(CommandError, match="Invalid scope requested: x"):
        call_command("apply", str(good), str(bad), stdout=io.StringIO())
    assert not UserPool.objects.filter(name="three").exists()


def test_what_the_aws_command_line_prints_can_be_pasted_in(apply: Any) -> None:
    """describe-user-pool, describe-user-pool-client, get-group, admin-get-user; list-users names Attributes."""
    standard = [
        {"Name": "sub", "AttributeDataType": "String", "Mutable": False, "Required": True,
         "StringAttributeConstraints": {"MinLength": "1", "MaxLength": "2048"}},
        {"Name": "email", "AttributeDataType": "String", "DeveloperOnlyAttribute": False, "Mutable": True,
         "Required": True, "StringAttributeConstraints": {"MinLength": "0", "MaxLength": "2048"}},
        {"Name": "birthdate", "AttributeDataType": "String", "Mutable": True, "Required": False,
         "StringAttributeConstraints": {"MinLength": "10", "MaxLength": "10"}},
        {"Name": "updated_at", "AttributeDataType": "Number", "Mutable": True, "Required": False,
         "NumberAttributeConstraints": {"MinValue": "0"}},
        {"Name": "custom:tenant", "AttributeDataType": "String", "Mutable": True, "Required": False,
         "StringAttributeConstraints": {"MaxLength": "36"}},
    ]  # fmt: skip
    pool = {
        "Id": POOL_ID, "Name": "pasted", "Arn": f"arn:aws:cognito-idp:eu-west-1:123456789012:userpool/{POOL_ID}",
        "Policies": {"PasswordPolicy": {"MinimumLength": 10, "RequireSymbols": False},
                     "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD"]}},
        "LambdaConfig": {"PreSignUp": "arn:aws:lambda:eu-west-1:123456789012:function:f"},
        "LastModifiedDate": 1524628110.29, "CreationDate": "2018-04-25T05:48:30.290000+02:00",
        "SchemaAttributes": standard, "UsernameConfiguration": {"CaseSensitive": False},
        "EstimatedNumberOfUsers": 2, "MfaConfiguration": "OFF", "UserPoolTier": "ESSENTIALS",
    }  # fmt: skip
    pasted = {
        "UserPool": pool,
        "UserPoolClients": [
            {"UserPoolClient": {"UserPoolId": POOL_ID, "ClientName": "web", "ClientId": CLIENT_ID,
                                "RefreshTokenValidity": 30, "TokenValidityUnits": {}, "AuthSessionValidity": 3,
                                "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"], "CreationDate": 1524628110}},
        ],
        "Group": {"GroupName": "g", "UserPoolId": POOL_ID, "CreationDate": 1524628110},
        "Users": [
            {"Username": "ada", "UserAttributes": [{"Name": "sub", "Value": "5e2f8d1c-0000-4000-8000-000000000001"},
                                                   {"Name": "email", "Value": "a@example.com"}],
             "UserCreateDate": 1524628110, "Enabled": True, "UserStatus": "CONFIRMED", "UserMFASettingList": []},
            {"Username": "eve", "Attributes": [{"Name": "sub", "Value": "5e2f8d1c-0000-4000-8000-000000000002"},
                                               {"Name": "email", "Value": "e@example.com"}],
             "Enabled": False, "UserStatus": "UNCONFIRMED", "MFAOptions": []},
        ],
    }  # fmt: skip
    output = apply(json.dumps(pasted))
    for path in ("UserPool.LambdaConfig", "UserPool.Policies.SignInPolicy", "UserPool.UserPoolTier",
                 "UserPoolClients[0].UserPoolClient.ExplicitAuthFlows", "Users[1].MFAOptions"):  # fmt: skip
        assert f"kept, not acted upon: {path}\n" in output
    stored = UserPool.objects.get()
    assert stored.other_fields["LambdaConfig"] == pool["LambdaConfig"]
    assert stored.schema.required == ["sub", "email"]
    assert stored.schema.attributes["custom:tenant"].max_length == 36
    assert stored.policy.minimum_length == 10
    assert stored.users.get(username="ada").sub == "5e2f8d1c-0000-4000-8000-000000000001"
    assert not stored.users.get(username="eve").enabled
    assert "no changes" in apply(json.dumps(pasted))


def test_a_description_alone_finds_its_pool_by_its_user_pool_id(apply: Any) -> None:
    apply(WHOLE)
    apply({"UserPoolClient": {"UserPoolId": POOL_ID, "ClientId": CLIENT_ID, "ClientName": "renamed"}})
    assert AppClient.objects.get().name == "renamed"
    message = refusal(apply, whole(UserPoolClients=[{"UserPoolId": "eu-west-1_Other0001", "ClientName": "x"}]))
    assert "UserPoolClients[0].UserPoolId: eu-west-1_Other0001 is not this file's pool" in message


def test_unknown_fields_are_kept_reported_and_forgotten_by_null(apply: Any) -> None:
    documents = [
        whole(UserPool=WHOLE["UserPool"] | {"Later": {"A": 1}}),
        client(Later=[1]),
        whole(Groups=[{"GroupName": "admins", "Later": "x"}]),
        whole(ResourceServers=[WHOLE["ResourceServers"][0] | {"Later": "x"}]),
        whole(IdentityProviders=[WHOLE["IdentityProviders"][0] | {"Later": "x"}]),
        user(Later="x"),
    ]
    for document in documents:
        assert "kept, not acted upon: " in apply(document)
    for model in (UserPool, AppClient, Group, ResourceServer, IdentityProvider, PoolUser):
        assert "Later" in model.objects.get().other_fields, model  # type: ignore[attr-defined]
    apply(client(Later=None))
    assert AppClient.objects.get().other_fields == {}


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        ({}, "UserPool", "Id or Name is required"),
        ([], "", "A pool is a map"),
        ({"UserPool": []}, "UserPool", "must be a map"),
        ({"UserPool": {"Name": "x"}, "User": {}}, "User.Username", "is required"),
        ({"UserPool": {"Name": "x"}, "Clients": []}, "Clients", "is not a section"),
        ({"UserPool": {"Name": 7}}, "UserPool.Name", "must be a string; put it in quotes"),
        ({"UserPool": {"Name": "x" * 129}}, "UserPool.Name", "must have 1 to 128 characters"),
        ({"UserPool": {"Name": "x", "PoolName": "y"}}, "UserPool.PoolName", "give one"),
        ({"UserPool": {"Name": "x", "Id": "no region"}}, "UserPool.Id", "must match"),
        ({"UserPool": {"Name": "x", "Domain": "Bad_Domain"}}, "UserPool.Domain", "must match"),
        ({"UserPool": {"Name": "x", "CustomDomain": "nodots"}}, "UserPool.CustomDomain", "whole host name"),
        ({"UserPool": {"Name": "x", "CustomDomain": "a.auth.example.test"}}, "UserPool.CustomDomain", "prefix"),
        ({"UserPool": {"Name": "x", "CustomDomain": "id.example.test"}}, "UserPool.CustomDomain", "issuer"),
        ({"UserPool": {"Name": "x", "UsernameAttributes": ["nickname"]}}, "UserPool.UsernameAttributes[0]",
         "'nickname' is not one of email, phone_number"),
        ({"UserPool": {"Name": "x", "UsernameAttributes": ["email"], "AliasAttributes": ["email"]}},
         "UserPool.UsernameAttributes", "not both"),
        ({"UserPool": {"Name": "x", "DeletionProtection": True}}, "UserPool.DeletionProtection", "ACTIVE, INACTIVE"),
        ({"UserPool": {"Name": "x", "SigningAlgorithm": "none"}}, "UserPool.SigningAlgorithm", "RS256, ES256"),
        ({"UserPool": {"Name": "x", "MfaConfiguration": "MAYBE"}}, "UserPool.MfaConfiguration", "OFF, ON, OPTIONAL"),
        ({"UserPool": {"Name": "x", "Policies": {"PasswordPolicy": {"MinimumLength": 5}}}},
         "UserPool.Policies.PasswordPolicy.MinimumLength", "from 6 to 99"),
        ({"UserPool": {"Name": "x", "Policies": {"PasswordPolicy": {"Typo": 5}}}},
         "UserPool.Policies.PasswordPolicy.Typo", "Known: MinimumLength"),
        ({"UserPool": {"Name": "x", "Schema": [{"Name": "a", "Required": True}]}}, "UserPool.SchemaAttributes[0]",
         "can never be required"),
        ({"UserPool": {"Name": "x", "Schema": [{"Name": "a"}, {"Name": "custom:a", "Mutable": True}]}},
         "UserPool.SchemaAttributes[1]", "listed twice"),
        (client(AccessTokenValidity=86401), "UserPoolClients[0].AccessTokenValidity", "from 1 to 86400"),
        (client(AccessTokenValidity="1"), "UserPoolClients[0].AccessTokenValidity", "whole number"),
        (client(AccessTokenValidity=25), "UserPoolClients[0].AccessTokenValidity", "between 5 minutes and 24 hours"),
        (client(IdTokenValidity=4, TokenValidityUnits={"IdToken": "minutes"}), "UserPoolClients[0].IdTokenValidity",
         "between 5 minutes"),
        (client(RefreshTokenValidity=3651), "UserPoolClients[0].RefreshTokenValidity", "longer"),
        (client(RefreshTokenValidity=59, TokenValidityUnits={"RefreshToken": "minutes"}),
         "UserPoolClients[0].RefreshTokenValidity", "between 1 hours and 10 years"),
        (client(TokenValidityUnits={"AccessToken": "weeks"}), "UserPoolClients[0].TokenValidityUnits.AccessToken",
         "seconds, minutes, hours, days"),
        (client(CallbackURLs=["http://app.example.com/"]), "UserPoolClients[0].CallbackURLs", "use https"),
        (client(CallbackURLs=["https://a.example/#x"]), "UserPoolClients[0].CallbackURLs", "fragment"),
        (client(CallbackURLs=["https://a.example/", 1]), "UserPoolClients[0].CallbackURLs[1]", "must be a string"),
        (client(CallbackURLs="https://a.example/"), "UserPoolClients[0].CallbackURLs", "must be a list"),
        (client(CallbackURLs=[]), "UserPoolClients[0].CallbackURLs", "at least one callback URL"),
        (client(LogoutURLs=["/relative"]), "UserPoolClients[0].LogoutURLs", "must be absolute"),
        (client(DefaultRedirectURI="https://b.example/"), "UserPoolClients[0].DefaultRedirectURI", "one of"),
        (client(AllowedOAuthFlows=["password"]), "UserPoolClients[0].AllowedOAuthFlows[0]",
         "'password' is not one of code, implicit, client_credentials"),
        (client(AllowedOAuthFlows=["code", "client_credentials"]), "UserPoolClients[0].AllowedOAuthFlows",
         "cannot be combined"),
        (client(AllowedOAuthFlows=["client_credentials"], ClientSecret=...), "UserPoolClients[0].AllowedOAuthFlows",
         "needs a client secret"),
        (client(AllowedOAuthScopes=["openid", "nope/x"]), "UserPoolClients[0].AllowedOAuthScopes",
         "Invalid scope requested: nope/x"),
        (client(SupportedIdentityProviders=["Nope"]), "UserPoolClients[0].SupportedIdentityProviders[0]",
         "'Nope' is not one of COGNITO, Corp"),
        (client(ClientSecret="short"), "UserPoolClients[0].ClientSecret", "24 to 64 characters"),
        (client(ClientSecrets=["a" * 24, "b" * 24]), "UserPoolClients[0].ClientSecrets", "at most two"),
        (client(ClientId="has space"), "UserPoolClients[0].ClientId", "must match"),
        (client(PreventUserExistenceErrors=True), "UserPoolClients[0].PreventUserExistenceErrors", "LEGACY, ENABLED"),
        (client(RefreshTokenRotation={"Feature": "ENABLED", "RetryGracePeriodSeconds": 61}),
         "UserPoolClients[0].RefreshTokenRotation.RetryGracePeriodSeconds", "from 0 to 60"),
        (client(RefreshTokenRotation={}), "UserPoolClients[0].RefreshTokenRotation.Feature", "is required"),
        (client(ReadAttributes=["nope"]), "UserPoolClients[0].ReadAttributes", "no attribute nope"),
        (client(WriteAttributes=["email_verified"]), "UserPoolClients[0].WriteAttributes", "never writes"),
        (client(AuthSessionValidity=16), "UserPoolClients[0].AuthSessionValidity", "from 3 to 15"),
        (client(Dialect="saml"), "UserPoolClients[0].Dialect", "cognito, oidc"),
        (client(RequirePKCE="yes"), "UserPoolClients[0].RequirePKCE", "true or false"),
        (whole(UserPoolClients=[{}]), "UserPoolClients[0]", "ClientId or ClientName is required"),
        (whole(UserPoolClients=[{"ClientName": "a", "ClientId": "x1"}, {"ClientName": "b", "ClientId": "x1"}]),
         "UserPoolClients[1].ClientId", "x1 is listed twice"),
        (whole(UserPoolClients=[{"ClientName": "a"}, {"ClientName": "a"}]), "UserPoolClients[0].ClientName",
         "several clients are named a"),
        (whole(IdentityProviders=[{"ProviderName": "Corp", "ProviderType": "LDAP", "ProviderDetails": {}}]),
         "IdentityProviders[0].ProviderType", "SAML"),
        (whole(IdentityProviders=[{"ProviderName": "Corp", "ProviderType": "OIDC",
                                   "ProviderDetails": OIDC | {"client_secret": ""}}]),
         "IdentityProviders[0].ProviderDetails.client_secret", "missing"),
        (whole(IdentityProviders=[{"ProviderName": "Corp", "ProviderType": "OIDC",
                                   "ProviderDetails": OIDC | {"retries": 3}}]),
         "IdentityProviders[0].ProviderDetails.retries", "must be a string"),
        (whole(IdentityProviders=[{"ProviderName": "Corp", "ProviderType": "OIDC"}]),
         "IdentityProviders[0].ProviderDetails", "is required"),
        (whole(IdentityProviders=[{"ProviderName": "My", "ProviderType": "Google", "ProviderDetails": OIDC}]),
         "IdentityProviders[0].ProviderName", "is named Google"),
        (whole(IdentityProviders=[WHOLE["IdentityProviders"][0] | {"AttributeMapping": {"shoe": "size"}}]),
         "IdentityProviders[0].AttributeMapping", "no attribute 'shoe'"),
        (whole(ResourceServers=[{"Identifier": "a b", "Name": "x"}]), "ResourceServers[0].Identifier", "must match"),
        (whole(ResourceServers=[{"Identifier": "a", "Name": "x",
                                 "Scopes": [{"ScopeName": "a/b", "ScopeDescription": "d"}]}]),
         "ResourceServers[0].Scopes[0].ScopeName", "must match"),
        (whole(ResourceServers=[{"Identifier": "a", "Name": "x", "Scopes": [{"ScopeName": "a"}]}]),
         "ResourceServers[0].Scopes[0].ScopeDescription", "is required"),
        (whole(Groups=[{"GroupName": "a b"}]), "Groups[0].GroupName", "white space"),
        (whole(Groups=[{"GroupName": "a", "Precedence": -1}]), "Groups[0].Precedence", "from 0"),
        (whole(Groups=[{"GroupName": "a", "RoleArn": "x" * 20}]), "Groups[0].RoleArn", "must match"),
        (whole(Groups=[{"GroupName": "a"}, {"GroupName": "a"}]), "Groups[1].GroupName", "listed twice"),
        (user(Username="a b"), "Users[0].Username", "white space"),
        (user(Groups=["nope"]), "Users[0].Groups[0]", "'nope' is not one of admins"),
        (user(UserStatus="ARCHIVED"), "Users[0].UserStatus", "'ARCHIVED' is not one of UNCONFIRMED, CONFIRMED"),
        (user(Password="weak"), "Users[0].Password", "Use at least 8 characters."),
        (user(PasswordHash="x"), "Users[0].PasswordHash", "not both"),
        (user(Password=..., PasswordHash="$2b$12$abcdefghijklmnopqrstuv"), "Users[0].PasswordHash",
         "no configured hasher verifies it"),
        (user(Password=..., PasswordHash="$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$" + "aGFzaGhhc2hoYXNoaGFzaA"),
         "Users[0].PasswordHash", "memory cost"),
        (user(Attributes=[{"Name": "shoe", "Value": "9"}]), "Users[0].Attributes.shoe", "no such attribute"),
        (user(Attributes=[{"Name": "email", "Value": "no"}]), "Users[0].Attributes.email", "not an e-mail"),
        (user(Attributes=[{"Name": "email_verified", "Value": True}]), "Users[0].Attributes[0].Value",
         "put it in quotes"),
        (user(Attributes=[{"Name": "a", "Value": "1"}, {"Name": "a", "Value": "1"}]), "Users[0].Attributes[1]",
         "a is listed twice"),
        (user(Identities=[{"ProviderName": "Nope", "UserId": "1"}]), "Users[0].Identities[0]", "not one of Corp"),
        (user(Identities=[{"ProviderName": "Corp", "UserId": "1"}] * 2), "Users[0].Identities", "listed twice"),
        (user(Identities=[{"ProviderName": "Corp", "UserId": str(n)} for n in range(6)]), "Users[0].Identities",
         "at most 5"),
        (whole(Users=[{"Username": "Ada", "Sub": "x"}, {"Username": "eve", "Sub": "x"}]), "Users[1].Sub",
         "Users[0] has the same"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_path_and_what_is_allowed(
    apply: Any, document: Any, path: str, words: str
) -> None:
    message = refusal(apply, document)
    assert any(line.startswith(f"  {path}: " if path else "  ") and words in line for line in message.splitlines()), (
        message
    )


def test_every_problem_is_told_at_once_with_its_line(apply: Any) -> None:
    message = refusal(
        apply,
        "UserPool:\n  Name: x\n  KeyRotationDays: never\nUserPoolClients:\n- ClientName: a\n  Dialect: x\n",
    )
    assert "UserPool.KeyRotationDays: must be a whole number from 0 to 36500. (line 3)" in message
    assert "UserPoolClients[0].Dialect: 'x' is not one of cognito, oidc. (line 6)" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "The file is empty"),
        ("UserPool: {Name: x\n", "not YAML"),
        ("UserPool:\n  Name: x\n  Name: y\n", "line 3: the key 'Name' is given twice"),
        ('{"UserPool": {"Name": "x", "Name": "y"}}', "'Name' is given twice"),
        ('{"UserPool": }', "line 1, column 14: not JSON"),
        ('{"UserPool": {"Name": "x", "Later": NaN}}', "NaN"),
        ('{"UserPool": {"Name": "x", "Later": 1e999}}', "out of range"),
        ('{"UserPool": {"Name": "x", "Later": "\\u0000"}}', "cannot be stored"),
        ('{"UserPool": {"Name": "x", "Later": "\\ud800"}}', "cannot be stored"),
        ('UserPool: {Name: x, Later: "\\0"}', "cannot be stored"),
        ("UserPool: &a {Name: x}\nGroups: [*a]\n", "aliases are refused"),
        ("UserPool: &a\n  Later: *a\n", "aliases are refused"),
        ("UserPool: !!python/object/apply:os.system [id]\n", "the tag"),
        ("UserPool: {Name: !!binary aGk=}\n", "the tag"),
        ("UserPool: {Name: x, Later: .nan}\n", "out of range"),
        ("UserPool: {1: x}\n", "keys are strings"),
        (b"UserPool: {Name: \xff}\n", "not UTF-8"),
        ("[" * 100_000, "nested too deeply"),
        ("Users: " + "[" * 5_000 + "]" * 5_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
        ("UserPool: {Name: \t\x07}", "not YAML"),
    ],
)
def test_a_file_that_is_no_plain_data_is_refused(apply: Any, text: Any, words: str) -> None:
    assert words in refusal(apply, text)


def test_a_date_in_yaml_is_a_string(apply: Any) -> None:
    text = yaml.safe_dump(user(Attributes=[{"Name": "birthdate", "Value": "BIRTH"}])).replace("BIRTH", "1815-12-10")
    assert "Value: 1815-12-10\n" in text
    apply(text)
    assert PoolUser.objects.get().attributes["birthdate"] == "1815-12-10"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nothing\.yaml: cannot be read"):
        call_command("apply", str(tmp_path / "nothing.yaml"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"MfaConfiguration": "ON"}, "MfaConfiguration: users sign in without a second factor"),
        ({"LambdaConfig": {"PreSignUp": "arn:aws:lambda:eu-west-1:123456789012:function:f"}}, "no trigger runs"),
        ({"MfaConfiguration": "OFF", "LambdaConfig": {}}, ""),
    ],
)
def test_what_makes_a_pool_weaker_than_it_was_is_said_aloud(
    tmp_path: Path, db: None, fields: dict[str, Any], words: str
) -> None:
    """API_UserPoolType: MfaConfiguration and LambdaConfig. Kept for export, but nothing here acts upon them."""
    path, errors = tmp_path / "pool.json", io.StringIO()
    path.write_text(json.dumps({"UserPool": {"Name": "moved", **fields}}))
    call_command("apply", str(path), stdout=io.StringIO(), stderr=errors)
    assert ("WARNING" in errors.getvalue()) is bool(words)
    assert words in errors.getvalue()


def test_a_file_that_is_too_large_is_refused(apply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.poolfile.load.MAX_BYTES", 1024)
    assert "larger than" in refusal(apply, "#" * 1025)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"UsernameAttributes": ["email"]}, "UserPool.UsernameAttributes"),
        ({"AliasAttributes": ["email"]}, "UserPool.AliasAttributes"),
        ({"UsernameConfiguration": {"CaseSensitive": False}}, "UserPool.UsernameConfiguration"),
    ],
)
def test_what_update_user_pool_cannot_change_is_immutable(apply: Any, change: dict[str, Any], path: str) -> None:
    apply(WHOLE)
    assert f"{path}: cannot be changed" in refusal(apply, whole(UserPool=WHOLE["UserPool"] | change))


def test_a_schema_is_added_to_and_never_changed(apply: Any) -> None:
    """AddCustomAttributes: attributes can be neither changed nor removed."""
    pool = WHOLE["UserPool"]
    apply(whole(UserPool=pool | {"Schema": [{"Name": "a", "Mutable": True}]}))
    apply(whole(UserPool=pool | {"Schema": [{"Name": "b", "AttributeDataType": "Number"}]}))
    assert set(UserPool.objects.get().schema.names) >= {"custom:a", "custom:b"}
    for entry in ({"Name": "a", "Mutable": False}, {"Name": "custom:b"}, {"Name": "email", "Required": True}):
        message = refusal(apply, whole(UserPool=pool | {"SchemaAttributes": [entry]}))
        assert "UserPool.SchemaAttributes[0]: " in message
        assert "cannot be changed after" in message


def test_a_provider_keeps_its_type_and_a_secret_that_the_file_leaves_out(apply: Any) -> None:
    apply(WHOLE)
    provider = WHOLE["IdentityProviders"][0]
    details = {key: value for key, value in OIDC.items() if key != "client_secret"} | {"client_id": "other"}
    apply(whole(IdentityProviders=[provider | {"ProviderDetails": details}]))
    stored = IdentityProvider.objects.get().provider_details
    assert (stored["client_id"], stored["client_secret"]) == ("other", "upstream-secret")
    saml = {"MetadataURL": "https://idp.example.com/metadata"}
    message = refusal(apply, whole(IdentityProviders=[provider | {"ProviderType": "SAML", "ProviderDetails": saml}]))
    assert "IdentityProviders[0].ProviderType: cannot be changed" in message


def test_a_pool_without_an_id_is_found_by_its_name_unless_several_have_it(apply: Any) -> None:
    apply({"UserPool": {"Name": "twin"}})
    apply({"UserPool": {"Name": "twin", "KeyRotationDays": 7}})
    assert UserPool.objects.get().key_rotation_days == 7
    factories.make_pool(name="twin")
    assert "several pools have this name" in refusal(apply, {"UserPool": {"Name": "twin"}})


def test_another_pools_domain_client_id_or_user_cannot_be_taken(apply: Any) -> None:
    other = factories.make_pool("taken")
    factories.make_client(other, client_id="taken1")
    assert "UserPool.Domain: " in refusal(apply, {"UserPool": {"Name": "x", "Domain": "taken"}})
    message = refusal(
        apply, {"UserPool": {"Name": "x"}, "UserPoolClients": [{"ClientId": "taken1", "ClientName": "c"}]}
    )
    assert "UserPoolClients[0].ClientId: " in message
    assert "already exists" in message


def test_prune_deletes_what_is_not_named_but_no_user(apply: Any) -> None:
    apply(WHOLE)
    pool = UserPool.objects.get()
    factories.make_group(pool, f"{POOL_ID}_Corp")  # the group that users of Corp join by themselves
    smaller = whole(UserPoolClients=[], Groups=[], ResourceServers=None, Users=None)
    smaller["UserPool"] = {"Id": POOL_ID, "Name": "file", "Domain": "file"}
    assert "no changes" in apply(smaller)
    output = apply(smaller, "--prune", "--dry-run")
    assert "- UserPoolClient web (3exampleclient23456789abcd)" in output
    assert AppClient.objects.count() == 1
    apply(smaller, "--prune")
    assert not AppClient.objects.exists()
    assert not ResourceServer.objects.exists()
    assert list(Group.objects.values_list("group_name", flat=True)) == [f"{POOL_ID}_Corp"]
    assert list(UserPoolDomain.objects.values_list("domain", flat=True)) == ["file"]
    assert IdentityProvider.objects.count() == PoolUser.objects.count() == 1
    assert apply(smaller, "--prune") == "no changes\n"


def test_prune_wants_the_whole_pool(apply: Any) -> None:
    apply(WHOLE)
    fragment = {"Group": {"GroupName": "admins", "UserPoolId": POOL_ID}}
    assert "--prune needs the whole pool" in refusal(apply, fragment, "--prune")


def test_a_generated_secret_stays_and_a_second_may_live_beside_it(apply: Any) -> None:
    generated = {"UserPool": {"Name": "x"}, "UserPoolClients": [{"ClientName": "c", "GenerateSecret": True}]}
    apply(generated)
    first = AppClient.objects.get().secrets.get().secret
    assert len(first) == 51
    apply(generated)
    assert AppClient.objects.get().secrets.get().secret == first
    apply({"UserPool": {"Name": "x"}, "UserPoolClients": [{"ClientName": "c", "ClientSecrets": [first, "n" * 40]}]})
    assert [AppClient.objects.get().secret_matches(secret) for secret in (first, "n" * 40)] == [True, True]
    apply({"UserPool": {"Name": "x"}, "UserPoolClients": [{"ClientName": "c", "ClientSecret": "n" * 40}]})
    assert [AppClient.objects.get().secret_matches(secret) for secret in (first, "n" * 40)] == [False, True]
    apply({"UserPool": {"Name": "x"}, "UserPoolClients": [{"ClientName": "c", "ClientSecret": None}]})
    assert not AppClient.objects.get().is_confidential


def test_refresh_validity_zero_means_thirty_days(apply: Any) -> None:
    apply(client(RefreshTokenValidity=0))
    assert AppClient.objects.get().refresh_token_validity == timedelta(days=30)
    assert apply(client(RefreshTokenValidity=0)) == "no changes\n"


def test_units_say_what_the_numbers_mean(apply: Any) -> None:
    units = {"AccessToken": "minutes", "IdToken": "seconds", "RefreshToken": "hours"}
    document = client(TokenValidityUnits=units, AccessTokenValidity=5, IdTokenValidity=86400, RefreshTokenValidity=1)
    apply(document)
    web = AppClient.objects.get()
    assert web.access_token_validity == timedelta(minutes=5)
    assert (web.id_token_validity, web.refresh_token_validity) == (timedelta(days=1), timedelta(hours=1))
    assert apply(document) == "no changes\n"


def test_a_scope_of_a_deleted_resource_server_may_stay_on_a_client_that_has_it(apply: Any) -> None:
    """W 3.5: it is inactive, and the client's description still lists it."""
    apply(WHOLE)
    ResourceServer.objects.all().delete()
    without = whole(ResourceServers=None)
    assert apply(without) == "no changes\n"
    assert "renamed" in apply(client(ClientName="renamed") | {"ResourceServers": []})


def test_secrets_stand_in_no_output_and_in_no_audit_event(apply: Any) -> None:
    secrets = ["Correct-horse-7", "s" * 51, "upstream-secret", "argon2"]
    output = apply(WHOLE)
    details = OIDC | {"client_secret": "other-upstream"}
    changed = whole(IdentityProviders=[WHOLE["IdentityProviders"][0] | {"ProviderDetails": details}])
    changed["UserPoolClients"][0]["ClientSecret"] = "t" * 51
    changed["Users"][0]["Password"] = "Another-horse-8"
    output += apply(changed, "--dry-run") + apply(changed)
    output += str(list(AuditEvent.objects.values()))
    for secret in [*secrets, "t" * 51, "Another-horse-8", "other-upstream"]:
        assert secret not in output
    assert "~ IdentityProvider Corp" in output
    assert "~ UserPoolClient web" in output
    assert "~ User ada" in output


@pytest.mark.parametrize(
    "document",
    [
        user(Password=73919173),
        user(Password="73919173"),
        user(Password="73919173" * 40),
        user(Password=..., PasswordHash="73919173"),
        client(ClientSecret=73919173),
        client(ClientSecret="73919173"),
        client(ClientSecret="73919173-" * 5),
        client(ClientSecrets=["73919173" * 3] * 3),
        "Users: [{Username: a, Password: !!int 73919173x}]",
        "Users: [{Username: a, Password: !!float 73919173x}]",
    ],
)
def test_no_error_repeats_a_secret(apply: Any, document: Any) -> None:
    assert "73919173" not in refusal(apply, document)


def test_each_change_is_an_audit_event_and_a_dry_run_leaves_none(apply: Any) -> None:
    apply(WHOLE, "--dry-run")
    assert not AuditEvent.objects.exists()
    apply(WHOLE)
    events = AuditEvent.objects.all()
    assert len(events) == 8
    assert {(event.actor, event.action, event.user_pool) for event in events} == {("apply", "created", POOL_ID)}
    apply(client(ClientName="renamed"))
    event = AuditEvent.objects.get(action="changed")
    assert event.changes == {"ClientName": ["web", "renamed"]}


def test_a_terminal_is_not_steered_by_what_a_file_holds(apply: Any) -> None:
    assert "\x1b" not in apply(whole(Groups=[{"GroupName": "admins", "Description": "\x1b[2J"}]))


@pytest.fixture
def ada(apply: Any) -> PoolUser:
    """The user of WHOLE, signed in."""
    apply(WHOLE)
    user = PoolUser.objects.get()
    now = timezone.now()
    SignInSession.objects.create(digest="d", user=user, auth_time=now, expires_at=now + timedelta(hours=1))
    return user


def test_the_same_password_changes_nothing_and_another_signs_the_user_out(apply: Any, ada: PoolUser) -> None:
    assert apply(WHOLE) == "no changes\n"
    assert SignInSession.objects.exists()
    assert "~ User ada" in apply(user(Password="Another-horse-8"))
    assert not SignInSession.objects.exists()
    ada.refresh_from_db()
    assert ada.check_password("Another-horse-8")
    assert ada.signed_out_at is not None


def test_a_temporary_password_is_for_a_user_who_has_not_chosen_another(apply: Any) -> None:
    document = user(UserStatus="FORCE_CHANGE_PASSWORD")
    apply(document)
    grace = PoolUser.objects.get()
    assert grace.status == UserStatus.FORCE_CHANGE_PASSWORD
    assert grace.password_changed_at is not None
    authentication.set_password(grace, "My-own-horse-9")
    assert apply(document) == "no changes\n"
    grace.refresh_from_db()
    assert grace.check_password("My-own-horse-9")
    assert grace.status == UserStatus.CONFIRMED


PBKDF2 = base64.b64encode(hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1)).decode()
PHC = argon2.low_level.hash_secret(b"password", b"somesalt", 2, 65536, 1, 24, argon2.Type.ID).decode()


@pytest.mark.parametrize("encoded", [PHC, f"argon2{PHC}", f"pbkdf2_sha256$1$salt${PBKDF2}"])
def test_a_hash_from_elsewhere_signs_its_user_in(apply: Any, encoded: str) -> None:
    """RFC 9106 and the PHC string format; RFC 8018 in Django's form. The hashes are made by other libraries."""
    apply(user(Password=..., PasswordHash=encoded))
    pool = UserPool.objects.get()
    assert authentication.authenticate(pool, "ada", "password", "192.0.2.1").username == "ada"
    apply(user(Password=..., PasswordHash=encoded))
    assert authentication.authenticate(pool, "ada", "password", "192.0.2.1").status == UserStatus.CONFIRMED


def test_a_hash_never_rolls_a_password_back(apply: Any, ada: PoolUser) -> None:
    old = ada.password
    authentication.set_password(ada, "My-own-horse-9")
    apply(user(Password=..., PasswordHash=old))
    ada.refresh_from_db()
    assert ada.check_password("My-own-horse-9")


def test_attributes_are_laid_over_and_a_blank_one_is_cleared(apply: Any, ada: PoolUser) -> None:
    apply(user(Attributes=[{"Name": "nickname", "Value": "Countess"}]))
    ada.refresh_from_db()
    assert ada.attributes == {"email": "ada@example.com", "email_verified": "true", "nickname": "Countess"}
    apply(user(Attributes=[{"Name": "nickname", "Value": ""}]))
    ada.refresh_from_db()
    assert "nickname" not in ada.attributes


def test_groups_are_whole_when_given_and_kept_when_omitted(apply: Any, ada: PoolUser) -> None:
    apply(user(Groups=...))
    assert ada.groups.count() == 1
    apply(user(Groups=[]))
    assert ada.groups.count() == 0
    assert apply(user(Groups=[])) == "no changes\n"


def test_a_sub_is_kept_and_never_changed(apply: Any) -> None:
    apply(user(Sub="given-sub"))
    assert PoolUser.objects.get().sub == "given-sub"
    assert "Users[0].Sub: cannot be changed" in refusal(apply, user(Sub="other"))
    twice = user(Attributes=[{"Name": "sub", "Value": "third"}], Sub="given-sub")
    assert "Users[0].Sub: differs" in refusal(apply, twice)


def test_a_disabled_user_is_signed_out(apply: Any, ada: PoolUser) -> None:
    """AdminDisableUser deactivates a user and revokes all access tokens."""
    apply(user(Enabled=False))
    ada.refresh_from_db()
    assert not ada.enabled
    assert ada.signed_out_at is not None
    assert not SignInSession.objects.exists()


def test_linked_identities_come_as_a_list_or_as_the_attribute(apply: Any) -> None:
    """W 11.2: the attribute is a JSON string with booleans and numbers."""
    apply(user(Identities=[{"ProviderName": "Corp", "UserId": "u1", "Primary": True, "DateCreated": 1642699117273}]))
    link = PoolUser.objects.get().identities.get()
    assert (link.subject, link.primary, link.provider.provider_name) == ("u1", True, "Corp")
    assert int(link.date_created.timestamp() * 1000) == 1642699117273
    value = [{"userId": "u2", "providerName": "Corp", "providerType": "OIDC", "issuer": "https://idp.example.com",
              "primary": False, "dateCreated": 1642699117274}]  # fmt: skip
    document = user(Attributes=[{"Name": "identities", "Value": json.dumps(value)}])
    apply(document)
    link = PoolUser.objects.get().identities.get()
    assert (link.subject, link.primary, link.issuer) == ("u2", False, "https://idp.example.com")
    assert apply(document) == "no changes\n"
    taken = whole(Users=[{"Username": "eve", "Identities": [{"ProviderName": "Corp", "UserId": "u2"}]}])
    assert "Users[0].Identities: another user of the pool has the same" in refusal(apply, taken)
    garbage = user(Attributes=[{"Name": "identities", "Value": "[1"}])
    assert "Users[0].Attributes.identities" in refusal(apply, garbage).replace(
        "Attributes: identities", "Attributes.identities"
    )


def test_an_empty_list_is_no_identities(apply: Any) -> None:
    apply(user(Identities=[]))
    assert apply(user(Identities=[])) == "no changes\n"


def test_in_a_pool_with_username_attributes_the_address_is_the_username(apply: Any) -> None:
    """user-pool-settings-attributes: the username becomes the sub."""
    document = {
        "UserPool": {
            "Name": "mail",
            "UsernameAttributes": ["email"],
            "UsernameConfiguration": {"CaseSensitive": False},
        },
        "Users": [{"Username": "Ada@example.com", "Password": "Correct-horse-7"}],
    }
    apply(document)
    ada = PoolUser.objects.get()
    assert ada.username == ada.sub
    assert ada.attributes == {"email": "Ada@example.com"}
    assert apply(document) == "no changes\n"
    assert authentication.authenticate(ada.user_pool, "ada@EXAMPLE.com", "Correct-horse-7", "192.0.2.1") == ada
    plain = document | {"Users": [{"Username": "ada"}]}
    assert "Users[0].Username: In this pool a username is an e-mail address" in refusal(apply, plain)
    twin = document | {"Users": [{"Username": "9c1e7a52-7d0e-4a4c-9d55-000000000001",
                                  "Attributes": [{"Name": "email", "Value": "ADA@example.com"}]}]}  # fmt: skip
    assert "Users[0].Attributes: another user of the pool has the same" in refusal(apply, twin)


def test_with_an_email_alias_a_username_is_no_address_and_an_alias_is_one_users(apply: Any) -> None:
    pool = {"Name": "alias", "AliasAttributes": ["email"]}
    assert "must not look like" in refusal(apply, {"UserPool": pool, "Users": [{"Username": "a@example.com"}]})
    verified = [{"Name": "email", "Value": "a@example.com"}, {"Name": "email_verified", "Value": "true"}]
    twins = [{"Username": name, "Attributes": verified} for name in ("a", "b")]
    assert "Users[1].Attributes: Users[0] has the same" in refusal(apply, {"UserPool": pool, "Users": twins})
    apply({"UserPool": pool, "Users": twins[:1]})
    assert "another user of the pool has the same" in refusal(apply, {"UserPool": pool, "Users": twins[1:]})


@pytest.mark.parametrize("rules", [{"AliasAttributes": ["email"]}, {"UsernameAttributes": ["email"]}])
def test_a_user_who_came_from_a_provider_keeps_the_username_that_it_gave(apply: Any, rules: dict[str, Any]) -> None:
    """W 11.1: the username is <ProviderName>_<subject>, and the NameID of a SAML user is often an address."""
    federated = {"Username": "Corp_ada@example.com", "UserStatus": "EXTERNAL_PROVIDER"}
    document = whole(UserPool={"Name": "federated"} | rules, UserPoolClients=[], Users=[federated])
    apply(document)
    assert PoolUser.objects.get().username == "Corp_ada@example.com"
    assert apply(document) == "no changes\n"


def test_two_usernames_that_differ_in_case_are_one_where_case_does_not_count(apply: Any) -> None:
    users = [{"Username": "ada"}, {"Username": "ADA"}]
    folded = {"Name": "folded", "UsernameConfiguration": {"CaseSensitive": False}}
    assert "has the same" in refusal(apply, {"UserPool": folded, "Users": users})
    apply({"UserPool": {"Name": "exact"}, "Users": users})
    assert PoolUser.objects.count() == 2


def test_required_attributes_are_required_and_immutable_ones_stay(apply: Any) -> None:
    pool = {"Name": "strict", "Schema": [{"Name": "family_name", "Required": True}, {"Name": "badge"}]}
    assert "required by the pool's schema: family_name" in refusal(
        apply, {"UserPool": pool, "Users": [{"Username": "a"}]}
    )
    values = [{"Name": "family_name", "Value": "L"}, {"Name": "custom:badge", "Value": "7"}]
    apply({"UserPool": pool, "Users": [{"Username": "a", "Attributes": values}]})
    values[1]["Value"] = "8"
    message = refusal(apply, {"UserPool": pool, "Users": [{"Username": "a", "Attributes": values}]})
    assert "custom:badge is not mutable" in message


def test_a_batch_of_new_users_costs_statements_for_the_batch_and_one_audit_row_each(
    apply: Any, django_assert_max_num_queries: Any
) -> None:
    apply(whole(Users=None))
    attributes = WHOLE["Users"][0]["Attributes"][1:]
    many = [{"Username": f"user{n}", "Attributes": attributes, "Groups": ["admins"]} for n in range(100)]
    with django_assert_max_num_queries(100 + 60):
        apply(whole(Users=many))
    with django_assert_max_num_queries(50):
        assert apply(whole(Users=many)) == "no changes\n"


# --- links by a claim (AdminLinkProviderForUser, W 11.4)


def linked(**fields: Any) -> dict[str, Any]:
    """WHOLE with one identity of its user at Corp."""
    return user(Identities=[{"ProviderName": "Corp", "UserId": "u1"} | fields])


def first_sign_in(subject: str, **claims: Any) -> PoolUser:
    """Somebody comes from Corp."""
    provider = IdentityProvider.objects.get(provider_name="Corp")
    identity = linking.ExternalIdentity(provider, subject, {"sub": subject} | claims, "https://idp.example.com")
    return linking.resolve_user(identity, AppClient.objects.get())


def test_an_identity_is_linked_by_its_subject_or_by_another_claim(apply: Any) -> None:
    apply(linked(ProviderAttributeName="Cognito_Subject"))
    link = PoolUser.objects.get().identities.get()
    assert (link.claim, link.subject) == ("", "u1")
    assert apply(linked()) == "no changes\n", "the subject is what is meant without a name"
    document = linked(ProviderAttributeName="email", UserId="ada@corp.example.com")
    apply(document)  # in place of the subject, which links nobody any more
    link = PoolUser.objects.get().identities.get()
    assert (link.claim, link.subject, link.primary) == ("email", "ada@corp.example.com", False)
    assert apply(document) == "no changes\n"
    ada = PoolUser.objects.get()
    assert first_sign_in("u7", email="ada@corp.example.com", email_verified=True) == ada


def test_the_file_of_a_link_that_was_pinned_since_changes_nothing(apply: Any) -> None:
    """The link by a claim became one by subject at the first sign-in; the file still names the claim."""
    document = linked(ProviderAttributeName="upn", UserId="ada@corp")
    apply(document)
    ada = first_sign_in("u7", upn="ada@corp")
    assert apply(document) == "no changes\n"
    link = ada.identities.get()
    assert (link.claim, link.subject, link.issuer) == ("", "u7", "https://idp.example.com")
    assert first_sign_in("u8", upn="ada@corp") != ada, "the link does not wait again"


def test_another_value_for_a_link_that_was_pinned_is_another_link(apply: Any) -> None:
    apply(linked(ProviderAttributeName="upn", UserId="ada@corp"))
    ada = first_sign_in("u7", upn="ada@corp")
    apply(linked(ProviderAttributeName="upn", UserId="grace@corp"))
    assert list(ada.identities.values_list("claim", "subject")) == [("upn", "grace@corp")]


def test_two_links_of_one_provider_stay_apart_when_one_is_pinned(apply: Any) -> None:
    identities = [
        {"ProviderName": "Corp", "UserId": "u1"},
        {"ProviderName": "Corp", "UserId": "ada@corp", "ProviderAttributeName": "upn"},
    ]
    apply(user(Identities=identities))
    ada = first_sign_in("u7", upn="ada@corp")
    assert apply(user(Identities=identities)) == "no changes\n"
    assert sorted(ada.identities.values_list("claim", "subject")) == [("", "u1"), ("", "u7")]


@pytest.mark.parametrize("name", ["Google", "Facebook", "LoginWithAmazon"])
def test_a_social_identity_is_linked_by_its_subject(apply: Any, name: str) -> None:
    provider = {
        "ProviderName": name,
        "ProviderType": name,
        "ProviderDetails": {"client_id": "c", "client_secret": "s", "authorize_scopes": "openid email"},
    }
    identity = {"ProviderName": name, "UserId": "ada@example.com", "ProviderAttributeName": "email"}
    document = user(Identities=[identity]) | {"IdentityProviders": [*WHOLE["IdentityProviders"], provider]}
    words = refusal(apply, document)
    assert "Users[0].Identities: ada@example.com: ProviderAttributeName must be Cognito_Subject here." in words
    identity["ProviderAttributeName"] = "Cognito_Subject"
    apply(document)
    assert PoolUser.objects.get().identities.get().claim == ""


def test_what_a_user_came_from_is_a_subject(apply: Any) -> None:
    document = linked(ProviderAttributeName="email", Primary=True)
    assert "Users[0].Identities: u1: ProviderAttributeName must be Cognito_Subject" in refusal(apply, document)


def test_a_claim_value_links_one_user(apply: Any) -> None:
    identity = {"ProviderName": "Corp", "UserId": "x@corp.example.com", "ProviderAttributeName": "email"}
    users = [{"Username": name, "Identities": [identity]} for name in ("ada", "bob")]
    assert "has the same" in refusal(apply, whole(Users=users))
    other = [users[0], {"Username": "bob", "Identities": [identity | {"ProviderAttributeName": "upn"}]}]
    apply(whole(Users=other))
    assert apply(whole(Users=other)) == "no changes\n"
