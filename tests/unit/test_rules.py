"""Names, limits and rules as the Cognito API reference states them, field by field.

The tables are those of UserPoolType, UserPoolClientType, IdentityProviderType, ResourceServerType, GroupType,
SchemaAttributeType and PasswordPolicyType (docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference), and of
the developer guide's pages on app clients and user pool attributes. A host that a pool takes must not be another's: the
refusals for domains come from docs/architecture.md (tenancy).
"""

import re
from typing import Any

import argon2
import pytest
from django.contrib.auth.hashers import check_password
from django.core.exceptions import ValidationError
from pytest_django import Settings

from accounts import attributes, passwords, provider_details, rules
from accounts.models import IdentityProvider, UserPool
from tests import factories
from tests.fakes import saml

OIDC = {
    "client_id": "c",
    "client_secret": "s",
    "oidc_issuer": "https://idp.example.com",
    "authorize_scopes": "openid",
    "attributes_request_method": "GET",
}
SOCIAL = {"client_id": "c", "client_secret": "s", "authorize_scopes": "email"}
APPLE = {"client_id": "c", "team_id": "t", "key_id": "k", "private_key": "p", "authorize_scopes": "email name"}
METADATA = saml.metadata()
BOMB = '<!DOCTYPE x [<!ENTITY a "b">]>' + METADATA
EXPIRED = saml.pair("expired", days=-1).certificate
URLS = {f"{name}_url": f"https://idp.example.com/{name}" for name in ("authorize", "token", "attributes")}


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (rules.POOL_ID, ["eu-west-1_AbCdEfGhI", "a_1"], ["nounderscore", "a_", "_-", "a_b c", "a_é", "a_b\n", "a/b_c"]),
        (rules.CLIENT_ID, ["1example23456789", "a+b_c", "A"], ["", "a-b", "a b", "é", "a\n"]),
        (rules.NAME, ["My App", "a+b=c,d.e@f-g", "x" * 128], ["", "x" * 129, "a/b", "naïve", "<b>"]),
        (rules.NAME_256, ["x" * 256], ["x" * 257]),
        (rules.SCOPE, ["openid", "https://a.example/read", "!~", "x" * 256], ["", 'a"b', "a\\b", "a b", "x" * 257]),
        (rules.SCOPE_NAME, ["read", "a:b"], ["a/b", "a b", ""]),
        (rules.CLIENT_SECRET, ["s" * 24, "A_+9" * 16], ["s" * 23, "s" * 65, "-" * 30, "s" * 24 + "\n"]),
        (rules.DOMAIN_PREFIX, ["demo", "a", "a-b", "x" * 63], ["", "-a", "a-", "A", "a.b", "a_b", "x" * 64]),
        (rules.IDP_IDENTIFIER, ["corp.example.com", "a b", "x" * 40], ["", "x" * 41, "a/b", "a,b"]),
        (rules.PRINTABLE, ["ada", "ユーザー", "a.b@c", "\N{PILE OF POO}", "e\u0301"],
         ["", "a b", "a\tb", "a\u00a0b", "a\u2028b", "a\x00b", "a\u200bb", "a\u202eb", "\ufeffa", "a\n", "\ue000"]),
        (rules.ROLE_ARN, ["arn:aws:iam::123456789012:role/admin"], ["role/admin", "arn:aws:iam", "x" * 20]),
    ],
)  # fmt: skip
def test_patterns_are_those_of_the_api(pattern: str, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if not re.search(pattern, value)] == []
    assert [value for value in bad if re.search(pattern, value)] == []


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com/callback",
        "https://app.example.com:8443/a?b=c",
        "http://localhost:8001/callback",
        "http://localhost",
        "http://127.0.0.1:9/",
        "http://[::1]:9/",
        "myapp://example",
        "com.example.app:/callback",
        "https://app.example.com/" + "x" * (1024 - 24),
    ],
)
def test_a_callback_url_is_absolute_and_https_or_loopback_or_an_apps_own_scheme(url: str) -> None:
    rules.check_url(url, "callback URL")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/callback",
        "app.example.com/callback",
        "//app.example.com/",
        "http://app.example.com/",
        "http://localhost.example.com/",
        "http://127.0.0.2/",
        "http://127.0.0.1.example.com/",
        "HTTP://app.example.com/",
        "https://app.example.com/#fragment",
        "https://app.example.com/#",
        "myapp://example#x",
        "https:///path",
        "https://",
        "https://user:secret@app.example.com/",
        "http://localhost@app.example.com/",
        "https://app.example.com:port/",
        "https://[::1/",
        "https://app.example.com/a b",
        "https://app.example.com/\n",
        "https://app.example.com/\u202e",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://a/b",
        "https://app.example.com/" + "x" * (1025 - 24),
    ],
)
def test_any_other_callback_url_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        rules.check_url(url, "callback URL")


@pytest.mark.parametrize(
    ("urls", "is_good"),
    [
        ([f"https://a.example/{n}" for n in range(100)], True),
        ([f"https://a.example/{n}" for n in range(101)], False),
        (["https://a.example/"] * 2, False),
    ],
)
def test_at_most_a_hundred_urls_each_once(urls: list[str], is_good: bool) -> None:
    if is_good:
        rules.check_urls(urls, "callback URL")
    else:
        with pytest.raises(ValidationError):
            rules.check_urls(urls, "callback URL")


@pytest.mark.parametrize(
    ("domain", "is_custom", "is_good"),
    [
        ("demo", False, True),
        ("demo.example", False, False),
        ("auth.example.com", True, True),
        ("nodots", True, False),
        ("a..b", True, False),
        ("-a.example.com", True, False),
        ("id.example.test", True, False),  # the issuer
        ("console.example.test", True, False),
        ("auth.example.test", True, False),  # the suffix of prefix domains
        ("demo.auth.example.test", True, False),  # would stand before another pool's prefix
        (".".join(["x" * 63] * 4), True, False),
    ],
)
def test_a_domain_is_free_for_a_pool_to_take(domain: str, is_custom: bool, is_good: bool) -> None:
    if is_good:
        rules.check_domain(domain, is_custom)
    else:
        with pytest.raises(ValidationError):
            rules.check_domain(domain, is_custom)


def test_a_prefix_never_takes_the_consoles_host(settings: Settings) -> None:
    settings.USERPOOL_CONSOLE_HOST = "console.auth.example.test"
    with pytest.raises(ValidationError):
        rules.check_domain("console", False)


@pytest.mark.parametrize(
    ("name", "provider_type", "is_good"),
    [
        ("Corp", "OIDC", True),
        ("A_b", "SAML", True),  # CreateIdentityProvider: an underscore may be the second character only
        ("x" * 32, "OIDC", True),
        ("Google", "Google", True),
        ("ab", "OIDC", False),
        ("x" * 33, "OIDC", False),
        ("_abc", "OIDC", False),
        ("ab_c", "OIDC", False),
        ("a bc", "OIDC", False),
        ("abc d", "OIDC", False),
        ("COGNITO", "OIDC", False),
        ("Google", "OIDC", False),
        ("MyGoogle", "Google", False),
    ],
)
def test_provider_names(name: str, provider_type: str, is_good: bool) -> None:
    if is_good:
        rules.check_provider_name(name, provider_type)
    else:
        with pytest.raises(ValidationError):
            rules.check_provider_name(name, provider_type)


@pytest.mark.parametrize(
    ("identifiers", "is_good"),
    [([], True), ([f"d{n}.example" for n in range(50)], True), ([f"d{n}.example" for n in range(51)], False),
     (["a", "a"], False), (["a/b"], False), ("a", False), ([1], False)],
)  # fmt: skip
def test_idp_identifiers(identifiers: Any, is_good: bool) -> None:
    if is_good:
        rules.check_idp_identifiers(identifiers)
    else:
        with pytest.raises(ValidationError):
            rules.check_idp_identifiers(identifiers)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"username": "sub", "email": "mail", "custom:tier": "level"}, ""),
        ({}, ""),
        ({"sub": "sub"}, "sub is the pool's own"),
        ({"identities": "identities"}, "identities is the pool's own"),
        ({"nothing": "email"}, "has no attribute 'nothing'"),
        ({"custom:none": "email"}, "has no attribute 'custom:none'"),
        ({"email": ""}, "The claim for email is empty"),
        ({"email": 7}, "The claim for email is empty"),
        ({"email": "x" * 131073}, "The claim for email is empty"),
        (["email"], "Give a map"),
    ],
)
def test_attribute_mappings(mapping: Any, words: str) -> None:
    """AttributeMappingType; what says which provider a user comes from is never the provider's to say (W 11.2)."""
    schema = attributes.Schema.parse([{"Name": "tier"}])
    if not words:
        rules.check_attribute_mapping(mapping, schema)
        return
    with pytest.raises(ValidationError) as refused:
        rules.check_attribute_mapping(mapping, schema)
    assert words in refused.value.messages[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"allowed_oauth_flows": ["code", "client_credentials"]}, "allowed_oauth_flows", "cannot be combined"),
        ({"allowed_oauth_flows": ["client_credentials"]}, "allowed_oauth_flows", "needs a client secret"),
        ({"allowed_oauth_flows": ["password"]}, "allowed_oauth_flows", "is not one of"),
        ({"allowed_oauth_flows": ["code", "code"]}, "allowed_oauth_flows", "twice"),
        ({"redirect_uris": ""}, "redirect_uris", "at least one callback URL"),
        ({"allowed_oauth_scopes": ["openid", "x/y"]}, "allowed_oauth_scopes", "Invalid scope requested: x/y"),
        ({"allowed_oauth_scopes": ["email"]}, "allowed_oauth_scopes", "need openid"),
        ({"allowed_oauth_scopes": [f"s{n}" for n in range(51)]}, "allowed_oauth_scopes", "at most 50"),
        ({"default_redirect": "https://b.example/"}, "default_redirect", "one of the callback URLs"),
        ({"read_attributes": ["nope"]}, "read_attributes", "no attribute nope"),
        ({"read_attributes": "email"}, "read_attributes", "a list"),
        ({"write_attributes": ["email_verified"]}, "write_attributes", "never writes email_verified"),
        ({"retry_grace_period_seconds": 61}, "retry_grace_period_seconds", "60"),
    ],
)
def test_rules_of_an_app_client(pool: UserPool, values: dict[str, Any], field: str, words: str) -> None:
    client = factories.make_client(pool)
    for name, value in values.items():
        setattr(client, name, value)
    with pytest.raises(ValidationError) as caught:
        client.full_clean()
    assert words in " ".join(caught.value.message_dict[field])


@pytest.mark.django_db
def test_required_attributes_must_be_writable(db: None) -> None:
    pool = factories.make_pool(schema_attributes=[{"Name": "email", "Required": True}])
    client = factories.make_client(pool, write_attributes=["name"])
    with pytest.raises(ValidationError, match="Required attributes must be writable: email"):
        client.full_clean()
    client.write_attributes = ["name", "email"]
    client.full_clean()


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ("x", "a list"),
        ([{}], "with a Name"),
        ([{"Name": "x" * 21}], "1 to 20 characters"),
        ([{"Name": "custom:" + "x" * 21}], "1 to 20 characters"),
        ([{"Name": "a b"}], "no white space"),
        ([{"Name": "a", "AttributeDataType": "Float"}], "is not one of String, Number, DateTime, Boolean"),
        ([{"Name": "email", "AttributeDataType": "Number"}], "the standard attribute is a String"),
        ([{"Name": "a", "Required": True}], "can never be required"),
        ([{"Name": "a", "Mutable": "yes"}], "true or false"),
        ([{"Name": "a"}, {"Name": "custom:a"}], "twice"),
        ([{"Name": f"a{n}"} for n in range(51)], "at most 50"),
        ([{"Name": "a", "StringAttributeConstraints": {"MaxLength": "2049"}}], "0 to 2048"),
        ([{"Name": "a", "StringAttributeConstraints": {"MinLength": "9", "MaxLength": "8"}}], "smaller first"),
        ([{"Name": "a", "StringAttributeConstraints": {"MinLength": "many"}}], "whole number"),
        ([{"Name": "a", "AttributeDataType": "Number",
           "NumberAttributeConstraints": {"MinValue": "2", "MaxValue": "1"}}], "greater"),
    ],
)  # fmt: skip
def test_a_schema_that_the_api_refuses(entries: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        attributes.Schema.parse(entries)


def test_the_standard_attributes_and_the_defaults_of_a_custom_one() -> None:
    """SchemaAttributeType: custom attributes are prefixed and immutable unless they say otherwise."""
    schema = attributes.Schema.parse([{"Name": "tenant"}])
    assert len(schema.names) == 22  # twenty-one standard ones
    assert schema.required == ["sub"]
    assert not schema.attributes["sub"].mutable
    assert not schema.attributes["custom:tenant"].mutable
    assert schema.attributes["custom:tenant"].max_length == 2048


@pytest.mark.parametrize(
    ("name", "value", "is_good"),
    [
        ("email", "ada@example.com", True),
        ("email", "ada", False),
        ("email", "a@b c", False),
        ("email", "", True),  # blank clears it
        ("phone_number", "+12065551212", True),
        ("phone_number", "12065551212", False),
        ("phone_number", "+0123456", False),
        ("birthdate", "1815-12-10", True),
        ("birthdate", "10.12.1815", False),
        ("email_verified", "true", True),
        ("email_verified", "yes", False),
        ("email_verified", True, False),
        ("updated_at", "0", True),
        ("updated_at", "-1", False),
        ("updated_at", "1.5", False),
        ("name", "x" * 2048, True),
        ("name", "x" * 2049, False),
        ("sub", "x", False),
        ("identities", "[]", False),
        ("shoe", "9", False),
        ("custom:n", "10", True),
        ("custom:n", "11", False),
    ],
)
def test_values_of_attributes(name: str, value: Any, is_good: bool) -> None:
    number = {"Name": "n", "AttributeDataType": "Number", "NumberAttributeConstraints": {"MaxValue": "10"}}
    schema = attributes.Schema.parse([number])
    if is_good:
        schema.check({name: value})
    else:
        with pytest.raises(ValidationError):
            schema.check({name: value})


@pytest.mark.parametrize(
    "values",
    [
        [],
        {"Minimum": 8},
        {"MinimumLength": 5},
        {"MinimumLength": 100},
        {"MinimumLength": True},
        {"MinimumLength": "8"},
        {"RequireNumbers": 1},
        {"TemporaryPasswordValidityDays": 366},
        {"PasswordHistorySize": 25},
    ],
)
def test_a_password_policy_that_the_api_refuses(values: Any) -> None:
    with pytest.raises(ValidationError):
        passwords.PasswordPolicy.parse(values)


@pytest.mark.parametrize(
    ("password", "is_good"),
    [
        ("Correct-horse-7", True),
        ("Aa1 bcde", True),  # an inner space is a symbol
        ("A" * 253 + "a1-", True),
        ("A" * 254 + "a1-", False),
        ("Aa1-xyz", False),
        ("correct-horse-7", False),
        ("CORRECT-HORSE-7", False),
        ("Correct-horse", False),
        ("Correcthorse7", False),
        (" Correct-horse-7", False),
    ],
)
def test_passwords_under_the_default_policy(password: str, is_good: bool) -> None:
    """PasswordPolicyType as the console sets it: eight characters and all four classes; 256 at most."""
    policy = passwords.PasswordPolicy.parse({})
    if is_good:
        policy.check(password)
    else:
        with pytest.raises(ValidationError) as caught:
            policy.check(password)
        assert password not in str(caught.value)


def test_zero_days_of_a_temporary_password_are_the_default() -> None:
    assert passwords.PasswordPolicy.parse({"TemporaryPasswordValidityDays": 0}).temporary_password_validity_days == 7


@pytest.mark.parametrize("kind", [argon2.Type.ID, argon2.Type.I, argon2.Type.D])
def test_an_argon2_hash_in_the_phc_form_is_taken(kind: argon2.Type) -> None:
    phc = argon2.PasswordHasher(1, 64, 1, type=kind).hash("password")
    encoded = passwords.import_hash(phc)
    assert check_password("password", encoded)
    assert passwords.import_hash(encoded) == encoded


@pytest.mark.parametrize(
    "value",
    [
        "",
        "!",
        "password",
        "$2b$12$abcdefghijklmnopqrstuv",
        "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$argon2id$",
        "$argon2id$v=19$m=x,t=2,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2id$v=19$m=1024,t=2,p=1$c29tZXNhbHQ$",
        "$argon2id$v=19$m=1024,t=2,p=1$c29t$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2id$v=19$m=1024,t=1000,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
        "pbkdf2_sha256$99999999$salt$" + "A" * 43 + "=",
        "pbkdf2_sha256$-1$salt$" + "A" * 43 + "=",
        "pbkdf2_sha256$1$salt$AA==",
        "pbkdf2_sha256$many$salt$" + "A" * 43 + "=",
        "pbkdf2_sha256$1$" + "s" * 200 + "$" + "A" * 43 + "=",
    ],
)
def test_a_hash_that_nothing_verifies_or_that_would_exhaust_the_server_is_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        passwords.import_hash(value)


@pytest.mark.parametrize(
    ("provider_type", "details"),
    [
        ("OIDC", OIDC),
        ("OIDC", OIDC | URLS | {"jwks_uri": "https://idp.example.com/jwks", "attributes_url_add_attributes": "false"}),
        ("Google", SOCIAL | {"attributes_url_add_attributes": "true", "token_request_method": "POST"}),
        ("Facebook", SOCIAL | {"api_version": "v17.0"}),
        ("LoginWithAmazon", SOCIAL),
        ("SignInWithApple", APPLE),
        ("SAML", {"MetadataURL": "https://idp.example.com/metadata", "IDPSignout": "true"}),
        ("SAML", {"MetadataFile": METADATA, "RequestSigningAlgorithm": "rsa-sha256"}),
    ],
)
def test_provider_details_that_the_api_takes(provider_type: str, details: dict[str, str]) -> None:
    found = provider_details.parse(provider_type, details)
    for secret in ("client_secret='s'", "private_key='p'"):
        assert secret not in repr(found)


@pytest.mark.parametrize(
    ("provider_type", "details", "words"),
    [
        ("LDAP", {}, "is not one of"),
        ("OIDC", [], "a map"),
        ("OIDC", OIDC | {"client_id": 7}, "client_id: values are strings"),
        ("OIDC", OIDC | {"shoe": "9"}, "shoe: no such key"),
        ("OIDC", OIDC | {"authorize_scopes": "email"}, "openid is required"),
        ("OIDC", OIDC | {"attributes_request_method": "PUT"}, "GET or POST"),
        ("OIDC", OIDC | {"oidc_issuer": "idp.example.com"}, "absolute URL"),
        ("OIDC", OIDC | {"oidc_issuer": "https://idp.example.com/"}, "trailing slash"),
        ("OIDC", OIDC | URLS, "jwks_uri: give all four"),
        ("SignInWithApple", {**APPLE, "private_key": ""}, "private_key: missing"),
        ("SAML", {}, "give one of the two"),
        ("SAML", {"MetadataURL": "https://a.example", "MetadataFile": METADATA}, "give one of the two"),
        ("SAML", {"MetadataFile": METADATA + " " * 1024 * 1024}, "larger than 1 MiB"),
        ("SAML", {"MetadataFile": METADATA, "IDPInit": "maybe"}, "true or false"),
        ("SAML", {"MetadataFile": METADATA, "RequestSigningAlgorithm": "rsa-sha1"}, "rsa-sha256"),
    ],
)
def test_provider_details_that_the_api_refuses(provider_type: str, details: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        provider_details.parse(provider_type, details)


def saml_provider(pool: UserPool, document: str) -> IdentityProvider:
    return IdentityProvider(
        user_pool=pool, provider_name="Corp", provider_type="SAML", provider_details={"MetadataFile": document}
    )


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("<x>", "not well-formed"),
        ("<x/>", "not SAML 2.0 metadata"),
        (BOMB, "document type"),
        (METADATA.replace("IDPSSODescriptor", "SPSSODescriptor"), "no SAML 2.0 identity provider"),
        (METADATA.replace("https://idp.example.test/sso", "javascript:alert(1)"), "not a web address"),
        (saml.metadata("!!!"), "cannot be read"),
        (saml.metadata(EXPIRED), "has expired"),
        (saml.metadata(entity_id="urn:userpool:development-idp"), "for development only"),
    ],
)
def test_a_metadata_document_that_no_sign_in_could_use_is_not_configured(
    pool: UserPool, document: str, words: str
) -> None:
    """W 8.1: certificates are not expired at configuration time. What else it must say, test_saml_metadata.py has."""
    with pytest.raises(ValidationError) as refused:
        saml_provider(pool, document).full_clean()
    (message,) = refused.value.message_dict["provider_details"]
    assert message.startswith("MetadataFile: ")
    assert words in message


def test_one_expired_certificate_among_several_is_configured(pool: UserPool) -> None:
    saml_provider(pool, saml.metadata(EXPIRED, saml.pair("idp").certificate)).full_clean()


def test_a_certificate_that_expired_later_does_not_keep_the_rest_from_being_changed(pool: UserPool) -> None:
    document = saml.metadata(EXPIRED)
    provider = saml_provider(pool, document)
    provider.save()
    provider.attribute_mapping = {"email": "mail"}
    provider.full_clean()
    provider.provider_details = {"MetadataFile": document.replace("/sso", "/sso2")}
    with pytest.raises(ValidationError, match="has expired"):
        provider.full_clean()
