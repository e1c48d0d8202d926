"""What tokens and userInfo say of a user: scopes, attributes and dialects, in tables.

AWS pages using-the-id-token, using-the-access-token, userinfo-endpoint, client-apps, user-groups (W 5.1, 10.1, 10.2,
11.2, 13); OpenID Connect Core 5.1 and 5.4; RFC 9068 2.2.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.models import AppClient, UserPool
from accounts.models.grants import Grant, Subject
from federation import claims, tokens

POOL = UserPool(id="eu-west-1_Demo00001", name="demo", case_sensitive=False)
EMAIL = {"email": "ada@example.test", "email_verified": "true"}
PHONE = {"phone_number": "+12065551212", "phone_number_verified": "false"}
ADDRESS = {"address": "12 St James's Square"}
# userinfo-endpoint page, the claims of scope profile
PROFILE = {
    "name": "Ada Lovelace",
    "family_name": "Lovelace",
    "given_name": "Ada",
    "middle_name": "King",
    "nickname": "countess",
    "preferred_username": "ada",
    "profile": "https://example.test/ada",
    "picture": "https://example.test/ada.png",
    "website": "https://example.test/",
    "gender": "female",
    "birthdate": "1815-12-10",
    "zoneinfo": "Europe/London",
    "locale": "en-GB",
    "updated_at": "1700000000",
}
CUSTOM = {"custom:tier": "7", "custom:staff": "true", "dev:note": "x"}
ALL = EMAIL | PHONE | ADDRESS | PROFILE | CUSTOM


def subject(**values: Any) -> Subject:
    found = {"pk": 1, "sub": "s-1", "username": "Ada", "attributes": ALL, "groups": [], "identities": []}
    return Subject(**found | values)


def client(dialect: str = "cognito", **values: Any) -> AppClient:
    return AppClient(client_id="c-1", dialect=dialect, **values)


def grant(scope: str = "openid", **values: Any) -> Grant:
    found: dict[str, Any] = {
        "subject": subject(),
        "scope": scope,
        "since": datetime(2026, 11, 23, 12, 0, 0, 999_999, tzinfo=UTC),
        "origin_jti": "o-1",
        "event_id": "e-1",
    }
    return Grant(**found | values)


PROFILE_AND_CUSTOM = PROFILE | {name: value for name, value in CUSTOM.items() if name.startswith("custom:")}
SCOPES = [
    ("cognito", "openid", ALL),
    ("cognito", "openid email", EMAIL),
    ("cognito", "openid phone", PHONE),
    ("cognito", "openid email phone", EMAIL | PHONE),
    ("cognito", "openid profile", ALL),
    ("cognito", "openid email profile", ALL),
    ("cognito", "openid aws.cognito.signin.user.admin", ALL),
    ("cognito", "openid https://api.example.test/read", ALL),
    ("cognito", "aws.cognito.signin.user.admin", {}),
    ("cognito", "email", {}),
    ("cognito", "", {}),
    ("oidc", "openid", {}),
    ("oidc", "openid email", EMAIL),
    ("oidc", "openid phone", PHONE),
    ("oidc", "openid address", ADDRESS),
    ("oidc", "openid profile", PROFILE_AND_CUSTOM),
    ("oidc", "openid email phone address profile", EMAIL | PHONE | ADDRESS | PROFILE_AND_CUSTOM),
    ("oidc", "openid https://api.example.test/read", {}),
    ("oidc", "email", {}),
]


@pytest.mark.parametrize(("dialect", "scope", "expected"), SCOPES)
def test_scopes_open_attributes(dialect: str, scope: str, expected: dict[str, str]) -> None:
    """W 5.1 and D3; OpenID Connect Core 5.4. Without openid, nothing."""
    assert claims.released(client(dialect), subject(), scope.split()) == expected


@pytest.mark.parametrize("dialect", ["cognito", "oidc"])
@pytest.mark.parametrize("scope", ["openid", "openid email", "openid profile", "openid email phone address profile"])
@pytest.mark.parametrize("readable", [[], ["email"], ["email", "email_verified", "custom:tier"], ["nickname", "sub"]])
def test_no_scope_opens_what_the_client_may_not_read(dialect: str, scope: str, readable: list[str]) -> None:
    """userinfo-endpoint page: always limited by ReadAttributes."""
    released = claims.released(client(dialect, read_attributes=readable), subject(), scope.split())
    assert set(released) <= set(readable)


def test_attributes_that_the_user_lacks_are_left_out() -> None:
    """userinfo-endpoint page: email_verified only when it was set."""
    bare = subject(attributes={"email": "ada@example.test"})
    assert claims.released(client(), bare, ["openid", "email"]) == {"email": "ada@example.test"}


def test_stored_attributes_never_stand_in_for_the_user_itself() -> None:
    """A stored ``sub`` or ``identities`` must not reach a token."""
    liar = subject(attributes={"sub": "someone", "identities": "[]", "name": "x"})
    body = claims.userinfo_claims(POOL, client(), liar, ["openid"])
    assert body == {"name": "x", "sub": "s-1", "username": "ada"}
    token = claims.id_token_claims(POOL, client(), grant(subject=liar), "h")
    assert token["sub"] == "s-1"
    assert "identities" not in token


@pytest.mark.parametrize(
    ("scopes", "readable", "unreadable"),
    [
        (["openid", "email"], None, ""),
        (["openid", "email"], ["email", "email_verified"], ""),
        (["openid", "email"], ["email"], "email"),
        (["openid", "phone"], ["phone_number"], "phone"),
        (["openid"], [], ""),
        (["openid", "https://api.example.test/read"], [], ""),
        (["openid", "profile"], ["name"], ""),  # it opens every readable attribute, whichever they are
    ],
)
def test_a_scope_is_readable_whole_or_not_at_all(
    scopes: list[str], readable: list[str] | None, unreadable: str
) -> None:
    """token-endpoint page, invalid_grant: e.g. can read email but not email_verified."""
    assert claims.unreadable_scope(client(read_attributes=readable), scopes) == unreadable


# --- types


@pytest.mark.parametrize("dialect", ["cognito", "oidc"])
def test_the_id_token_has_json_types(dialect: str) -> None:
    """W 10.1: booleans, address an object, updated_at a number, custom attributes always strings."""
    scope = "openid email phone profile address" if dialect == "oidc" else "openid"
    token = claims.id_token_claims(POOL, client(dialect), grant(scope), "h")
    assert token["email_verified"] is True
    assert token["phone_number_verified"] is False
    assert token["address"] == {"formatted": "12 St James's Square"}
    assert token["updated_at"] == 1_700_000_000
    assert (token["custom:tier"], token["custom:staff"]) == ("7", "true")
    assert token["birthdate"] == "1815-12-10"


def test_userinfo_has_strings_for_cognito_and_types_for_oidc() -> None:
    """userinfo-endpoint page: "true"; OpenID Connect Core 5.1: boolean, object, number."""
    scopes = ["openid", "email", "phone", "profile", "address"]
    strings = claims.userinfo_claims(POOL, client(), subject(), ["openid"])
    assert {name: strings[name] for name in ALL} == ALL
    typed = claims.userinfo_claims(POOL, client("oidc"), subject(), scopes)
    assert (typed["email_verified"], typed["phone_number_verified"]) == (True, False)
    assert typed["address"] == {"formatted": "12 St James's Square"}
    assert typed["updated_at"] == 1_700_000_000
    assert typed["custom:tier"] == "7"


@pytest.mark.parametrize("value", ["soon", "", "-", "--1", "1.5", "²", "٣", "9" * 5_000])
def test_an_odd_updated_at_stays_a_string_and_breaks_nothing(value: str) -> None:
    token = claims.id_token_claims(POOL, client(), grant(subject=subject(attributes={"updated_at": value})), "h")
    assert token["updated_at"] == value


@pytest.mark.parametrize("value", ["false", "", "TRUE", "1", "yes"])
def test_only_true_is_true(value: str) -> None:
    token = claims.id_token_claims(POOL, client(), grant(subject=subject(attributes={"email_verified": value})), "h")
    assert token["email_verified"] is False


# --- the user


@pytest.mark.parametrize(("case_sensitive", "expected"), [(False, "ada"), (True, "Ada")])
def test_the_username_is_lower_case_in_a_pool_that_ignores_case(case_sensitive: bool, expected: str) -> None:
    """W 13, case rules."""
    pool = UserPool(id="p", case_sensitive=case_sensitive)
    assert claims.id_token_claims(pool, client(), grant(), "h")["cognito:username"] == expected
    assert claims.access_token_claims(pool, client(), grant())["username"] == expected
    assert claims.userinfo_claims(pool, client(), subject(), ["openid"])["username"] == expected


def group(name: str, role: str = "", precedence: int | None = None) -> dict[str, Any]:
    return {"name": name, "role": role, "precedence": precedence}


A, B = "arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/b"
GROUPS = [
    ([], None, None, None),
    ([group("x")], ["x"], None, None),
    ([group("x", A)], ["x"], [A], A),
    ([group("x", A, 5), group("y", B, 1)], ["x", "y"], [A, B], B),
    ([group("x", A, 0), group("y", B, 1)], ["x", "y"], [A, B], A),
    ([group("x", A, 1), group("y", B, 1)], ["x", "y"], [A, B], None),
    ([group("x", A, 1), group("y", A, 1)], ["x", "y"], [A], A),
    ([group("x", A), group("y", B, 9)], ["x", "y"], [A, B], B),
    ([group("x", A), group("y", B)], ["x", "y"], [A, B], None),
    ([group("x", A, 2), group("y", "", 1)], ["x", "y"], [A], A),
]


@pytest.mark.parametrize(("groups", "names", "roles", "preferred"), GROUPS)
def test_groups_roles_and_the_preferred_role(
    groups: list[dict[str, Any]], names: list[str] | None, roles: list[str] | None, preferred: str | None
) -> None:
    """user-groups page: the lowest precedence wins, null is lowest; equal with different roles: no claim. W 10.2."""
    token = claims.id_token_claims(POOL, client(), grant(subject=subject(groups=groups)), "h")
    assert token.get("cognito:groups") == names
    assert token.get("cognito:roles") == roles
    assert token.get("cognito:preferred_role") == preferred
    access = claims.access_token_claims(POOL, client(), grant(subject=subject(groups=groups)))
    assert access.get("cognito:groups") == names
    assert not {"cognito:roles", "cognito:preferred_role"} & set(access)


LINK = {
    "userId": "1234",
    "providerName": "LoginWithAmazon",
    "providerType": "LoginWithAmazon",
    "issuer": "",
    "primary": 1,
    "dateCreated": "2022-01-20T15:58:37.273000+00:00",
}


@pytest.mark.parametrize(
    "created", [LINK["dateCreated"], "2022-01-20 15:58:37.273", datetime(2022, 1, 20, 15, 58, 37, 273_000, tzinfo=UTC)]
)
def test_identities_are_written_as_the_page_shows_them(created: Any) -> None:
    """W 11.2: in tokens primary and dateCreated (epoch ms) are strings, issuer null for social providers."""
    linked = subject(identities=[LINK | {"dateCreated": created}])
    token = claims.id_token_claims(POOL, client(), grant("openid email", subject=linked), "h")
    assert token["identities"] == [
        {
            "userId": "1234",
            "providerName": "LoginWithAmazon",
            "providerType": "LoginWithAmazon",
            "issuer": None,
            "primary": "true",
            "dateCreated": "1642694317273",
        }
    ]
    assert "identities" not in claims.access_token_claims(POOL, client(), grant(subject=linked))


# --- the sets of claims


@pytest.mark.parametrize(("dialect", "audience"), [("cognito", None), ("oidc", "c-1")])
def test_an_access_token_has_these_claims(dialect: str, audience: str | None) -> None:
    """W 10.2; RFC 9068 2.2: aud. tokens.py adds iss, exp, iat and the ids."""
    found = claims.access_token_claims(POOL, client(dialect), grant("openid email"))
    assert found.get("aud") == audience
    plain = {"sub", "client_id", "event_id", "token_use", "scope", "auth_time", "username", "version"}
    assert set(found) - {"aud"} == plain
    assert not set(ALL) & set(found)
    assert found["auth_time"] == 1_795_435_200  # whole seconds, never rounded up into the future
    with_resource = claims.access_token_claims(POOL, client(dialect), grant(resource="https://api.example.test"))
    assert with_resource["aud"] == "https://api.example.test"


def test_an_id_token_has_a_nonce_only_if_one_was_sent() -> None:
    """OpenID Connect Core 2; W 7.2: an unrequested nonce broke strict clients."""
    assert "nonce" not in claims.id_token_claims(POOL, client(), grant(), "h")
    assert claims.id_token_claims(POOL, client(), grant(nonce="n"), "h")["nonce"] == "n"


def test_attributes_cannot_overwrite_the_claims_of_the_token() -> None:
    """Whatever a pool has stored under these names."""
    poison = dict.fromkeys(("aud", "token_use", "auth_time", "event_id", "at_hash", "cognito:username"), "x")
    token = claims.id_token_claims(POOL, client(), grant(subject=subject(attributes=poison)), "h")
    assert token["aud"] == "c-1"
    assert token["token_use"] == "id"
    assert "x" not in {str(token[name]) for name in poison}


def test_a_machine_token_has_nothing_of_a_user() -> None:
    """W 10.2."""
    found = claims.machine_token_claims(client(), "api/read", 1_700_000_000)
    assert found == {
        "sub": "c-1",
        "client_id": "c-1",
        "token_use": "access",
        "scope": "api/read",
        "auth_time": 1_700_000_000,
        "version": 2,
    }
    assert claims.machine_token_claims(client("oidc"), "api/read", 0)["aud"] == "c-1"


def test_at_hash_is_the_left_half_of_the_sha256() -> None:
    """The example of OpenID Connect Core appendix A.3 and A.4."""
    assert tokens.at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"
