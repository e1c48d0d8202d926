"""``/oauth2/userInfo``: who may ask, how, and what is answered.

AWS page userinfo-endpoint (W 5); OpenID Connect Core 5.1, 5.3 and 5.4; RFC 6750 2 and 3.
"""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone
from joserfc.jwk import OctKey, RSAKey

from accounts import sessions
from accounts.models import AppClient, LinkedIdentity, PoolUser, RefreshToken, SigningKey, UserPool
from tests import factories
from tests.browser_like import FORM
from tests.wire.helpers import (
    forge,
    post,
    refused,
    resign,
    set_values,
    signed_in,
    tokens_for,
    userinfo,
    verified,
)

pytestmark = pytest.mark.django_db
DIALECTS = ["cognito", "oidc"]
INVALID = "Access token is expired, disabled, or deleted, or the user has globally signed out."
BAD = "Bad OAuth2 request at UserInfo Endpoint"
ATTRIBUTES = {
    "email": "ada@example.test",
    "email_verified": "true",
    "phone_number": "+12065551212",
    "phone_number_verified": "false",
    "name": "Ada Lovelace",
    "address": "12 St James's Square",
    "updated_at": "1700000000",
    "custom:tier": "7",
}


@pytest.fixture
def user(pool: UserPool, http: Client) -> PoolUser:
    """ada, with many attributes, signed in to the browser ``http``."""
    user = factories.make_user(pool, password=None, attributes=ATTRIBUTES)
    signed_in(http, user)
    return user


@pytest.fixture
def wide_client(pool: UserPool) -> AppClient:
    """A client that may have every scope there is."""
    factories.make_resource_server(pool)
    scopes = ["openid", "email", "phone", "profile", "address", "aws.cognito.signin.user.admin"]
    return factories.make_client(pool, allowed_oauth_scopes=[*scopes, "https://api.example.test/read"])


EMAIL = {"email": "ada@example.test", "email_verified": "true"}
PHONE = {"phone_number": "+12065551212", "phone_number_verified": "false"}
ALL = ATTRIBUTES
COGNITO = [
    ("openid", ALL),
    ("openid email", EMAIL),
    ("openid phone", PHONE),
    ("openid email phone", EMAIL | PHONE),
    ("openid profile", ALL),
    ("openid aws.cognito.signin.user.admin", ALL),
    ("openid https://api.example.test/read", ALL),
]


@pytest.mark.parametrize(("scope", "expected"), COGNITO)
def test_a_cognito_client_reads_by_scope_and_gets_strings(
    http: Client, wide_client: AppClient, user: PoolUser, scope: str, expected: dict[str, str]
) -> None:
    """W 5.1: openid alone opens everything; verified flags are strings; sub and username always."""
    response = userinfo(http, tokens_for(http, wide_client, scope=scope)["access_token"])
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json;charset=UTF-8"
    assert "no-store" in response["Cache-Control"]
    assert response.json() == {"sub": user.sub, "username": "ada", **expected}


NAME = {"name": "Ada Lovelace", "updated_at": 1_700_000_000, "custom:tier": "7"}
OIDC: list[tuple[str, dict[str, Any]]] = [
    ("openid", {}),
    ("openid email", {"email": "ada@example.test", "email_verified": True}),
    ("openid phone", {"phone_number": "+12065551212", "phone_number_verified": False}),
    ("openid profile", NAME),
    ("openid address", {"address": {"formatted": "12 St James's Square"}}),
    ("openid email profile", {"email": "ada@example.test", "email_verified": True, **NAME}),
]


@pytest.mark.parametrize(("scope", "expected"), OIDC)
def test_an_oidc_client_reads_what_core_says_with_json_types(
    http: Client, wide_client: AppClient, user: PoolUser, scope: str, expected: dict[str, Any]
) -> None:
    """OpenID Connect Core 5.1 (types) and 5.4 (claims by scope); custom attributes come with ``profile`` (W 5.1)."""
    set_values(wide_client, dialect="oidc")
    response = userinfo(http, tokens_for(http, wide_client, scope=scope)["access_token"])
    assert response.json() == {"sub": user.sub, "username": "ada", **expected}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_read_attributes_limit_what_any_scope_opens(
    http: Client, wide_client: AppClient, user: PoolUser, dialect: str
) -> None:
    """userinfo-endpoint page: always limited by the client's ReadAttributes."""
    set_values(wide_client, dialect=dialect, read_attributes=["email", "email_verified"])
    token = tokens_for(http, wide_client, scope="openid email")["access_token"]
    assert set(userinfo(http, token).json()) == {"sub", "username", "email", "email_verified"}
    set_values(wide_client, read_attributes=[])
    assert set(userinfo(http, token).json()) == {"sub", "username"}


def test_the_answer_is_about_now(http: Client, wide_client: AppClient, user: PoolUser) -> None:
    token = tokens_for(http, wide_client, scope="openid email")["access_token"]
    set_values(user, attributes={"email": "new@example.test"})
    assert userinfo(http, token).json() == {"sub": user.sub, "username": "ada", "email": "new@example.test"}


def test_a_linked_user_shows_identities_as_a_json_string(
    http: Client, pool: UserPool, wide_client: AppClient, user: PoolUser
) -> None:
    """W 5.1, W 11.2: a JSON string with a boolean and a number, as the stored attribute has them."""
    provider = factories.make_oidc_provider(pool)
    LinkedIdentity.objects.create(user=user, provider=provider, subject="s-1", issuer="https://idp.example.test")
    found = json.loads(userinfo(http, tokens_for(http, wide_client)["access_token"]).json()["identities"])
    assert [set(entry) for entry in found] == [
        {"userId", "providerName", "providerType", "issuer", "primary", "dateCreated"}
    ]
    assert (found[0]["userId"], found[0]["providerName"], found[0]["primary"]) == ("s-1", "Corp", False)
    assert isinstance(found[0]["dateCreated"], int)


def test_groups_and_token_claims_are_not_in_the_body(
    http: Client, pool: UserPool, wide_client: AppClient, user: PoolUser
) -> None:
    """W 5.1."""
    factories.make_group(pool, "admins", user)
    body = userinfo(http, tokens_for(http, wide_client, scope="openid")["access_token"]).json()
    assert not {"cognito:groups", "cognito:username", "aud", "iss", "exp", "scope"} & set(body)


# --- how the token may come (RFC 6750 2; OpenID Connect Core 5.3.1)


def test_get_and_post_take_the_header_and_post_the_form_body(
    http: Client, wide_client: AppClient, user: PoolUser
) -> None:
    token = tokens_for(http, wide_client)["access_token"]
    header = {"authorization": f"Bearer {token}"}
    answers = [
        http.get("/oauth2/userInfo", headers=header),
        http.get("/oauth2/userInfo", headers={"authorization": f"bearer {token}"}),
        http.post("/oauth2/userInfo", headers=header),
        http.post("/oauth2/userInfo", "", content_type=FORM, headers=header),
        post(http, "/oauth2/userInfo", {"access_token": token}),
    ]
    assert [response.status_code for response in answers] == [200] * 5
    assert len({response.content for response in answers}) == 1


def test_a_token_in_the_query_is_refused(http: Client, wide_client: AppClient, user: PoolUser) -> None:
    """RFC 6750 5.3: it would end up in logs. D3: never the query."""
    token = tokens_for(http, wide_client)["access_token"]
    query = "/oauth2/userInfo?" + urlencode({"access_token": token})
    for response in (http.get(query), http.post(query), http.get(query, headers={"authorization": f"Bearer {token}"})):
        assert refused(response, 400, "invalid_request")["error_description"] == BAD
        assert token not in response.content.decode()


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic dTpw", "Token x", "x", "Bearer a b", "Bearer\tx", "Bearer,x", "é"],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_missing_or_malformed_header_is_a_bad_request(http: Client, pool: UserPool, header: str, method: str) -> None:
    """userinfo-endpoint page, to the letter."""
    headers = {"authorization": header} if header else {}
    response = getattr(http, method)("/oauth2/userInfo", headers=headers)
    assert refused(response, 400, "invalid_request")["error_description"] == BAD
    assert response["WWW-Authenticate"] == f'error="invalid_request", error_description="{BAD}"'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{"access_token": "x"}'),
        (FORM, "access_token="),
        (FORM, "access_token=%ff"),
        (FORM, "token=x"),
        (FORM, b"\xff"),
        ("multipart/form-data; boundary=x", "--x--"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_unreadable_body_is_a_bad_request(
    http: Client, pool: UserPool, content_type: str, body: str | bytes
) -> None:
    response = http.generic("POST", "/oauth2/userInfo", body, content_type=content_type)
    assert refused(response, 400, "invalid_request")["error_description"] == BAD


def test_two_tokens_are_a_bad_request(http: Client, wide_client: AppClient, user: PoolUser) -> None:
    """RFC 6750 2: one method a request, once."""
    token = tokens_for(http, wide_client)["access_token"]
    both = post(http, "/oauth2/userInfo", {"access_token": token}, f"Bearer {token}")
    refused(both, 400, "invalid_request")
    twice = post(http, "/oauth2/userInfo", urlencode([("access_token", token), ("access_token", token)]))
    refused(twice, 400, "invalid_request")


# --- tokens that open nothing


def test_a_token_that_is_none_is_invalid(http: Client, pool: UserPool, wide_client: AppClient, user: PoolUser) -> None:
    """userinfo-endpoint page: 401 with the documented text, whatever is wrong. RFC 7515, RFC 8725 3.1, 3.2, 3.9."""
    body = tokens_for(http, wide_client)
    access = body["access_token"]
    header, claims = verified(pool, access)
    head, payload, signature = access.split(".")
    stranger = RSAKey.generate_key(2048, auto_kid=False)
    public = SigningKey.objects.get(user_pool=pool, token_use="access").public_jwk
    for token in (
        "nonsense",
        "a.b.c",
        "..",
        "." * 50,
        f"{head}.{payload}.",
        f"{head}.{payload}.{signature[:-6]}AAAAAA",
        f"{head}.{payload}.{signature}.x",
        f"{head}.{payload[:-2]}.{signature}",
        "x" * 20_000,
        body["id_token"],
        body["refresh_token"],
        resign(access, stranger, alg="RS256", kid=header["kid"]),
        resign(access, stranger, alg="RS256", kid="../../etc/passwd"),
        resign(access, stranger, alg="RS256"),
        resign(access, OctKey.import_key(public["n"]), alg="HS256", kid=header["kid"]),
        "eyJhbGciOiJub25lIn0." + payload + ".",
        forge(pool, "access", claims | {"exp": 1_600_000_000}),
        forge(pool, "access", claims | {"exp": "soon"}),
        forge(pool, "access", {name: value for name, value in claims.items() if name != "exp"}),
        forge(pool, "access", claims | {"iss": "https://id.example.test/eu-west-1_Other0001"}),
        forge(pool, "access", claims | {"token_use": "id"}),
        forge(pool, "id", claims),
        forge(pool, "access", claims | {"client_id": "nobody"}),
        forge(pool, "access", claims | {"sub": "nobody"}),
        forge(pool, "access", claims | {"origin_jti": "nobody"}),
    ):
        answer = userinfo(http, token)
        assert refused(answer, 401, "invalid_token")["error_description"] == INVALID, token
    assert userinfo(http, access).status_code == 200


@pytest.mark.parametrize(("dialect", "scheme"), [("cognito", ""), ("oidc", "Bearer ")])
def test_the_challenge_has_the_scheme_word_by_dialect(
    http: Client, wide_client: AppClient, user: PoolUser, dialect: str, scheme: str
) -> None:
    """userinfo-endpoint page: without. RFC 6750 3: with (D3)."""
    set_values(wide_client, dialect=dialect)
    token = tokens_for(http, wide_client)["access_token"]
    RefreshToken.objects.update(revoked_at=timezone.now())
    response = userinfo(http, token)
    refused(response, 401, "invalid_token")
    assert response["WWW-Authenticate"] == f'{scheme}error="invalid_token", error_description="{INVALID}"'


@pytest.mark.parametrize(
    ("dialect", "status", "error", "scheme"),
    [("cognito", 401, "invalid_token", ""), ("oidc", 403, "insufficient_scope", "Bearer ")],
)
def test_without_scope_openid_there_is_no_answer(
    http: Client, wide_client: AppClient, user: PoolUser, dialect: str, status: int, error: str, scheme: str
) -> None:
    """W 5.3: 401 "Access token does not contain openid scope". RFC 6750 3.1: 403 insufficient_scope."""
    set_values(wide_client, dialect=dialect)
    token = tokens_for(http, wide_client, scope="aws.cognito.signin.user.admin")["access_token"]
    response = userinfo(http, token)
    refused(response, status, error)
    words = "Access token does not contain openid scope"
    assert response["WWW-Authenticate"] == f'{scheme}error="{error}", error_description="{words}"'


@pytest.mark.parametrize("revocation", [True, False])
@pytest.mark.parametrize("case", ["disabled", "deleted", "signed out", "client deleted"])
def test_it_refuses_at_once_when_the_user_does_not_stand_any_more(
    http: Client, wide_client: AppClient, user: PoolUser, case: str, revocation: bool
) -> None:
    """userinfo-endpoint page; with EnableTokenRevocation off as well."""
    set_values(wide_client, enable_token_revocation=revocation)
    token = tokens_for(http, wide_client)["access_token"]
    assert userinfo(http, token).status_code == 200
    if case == "disabled":
        set_values(user, enabled=False)
    elif case == "deleted":
        user.delete()
    elif case == "signed out":
        sessions.end_all(user, at=timezone.now() + timedelta(seconds=2 if not revocation else 0))
    else:
        wide_client.delete()
    refused(userinfo(http, token), 401, "invalid_token")


def test_a_token_from_after_a_global_sign_out_is_good(http: Client, wide_client: AppClient, user: PoolUser) -> None:
    before = tokens_for(http, wide_client)["access_token"]
    sessions.end_all(user)
    signed_in(http, user)
    after = tokens_for(http, wide_client)["access_token"]
    refused(userinfo(http, before), 401, "invalid_token")
    assert userinfo(http, after).status_code == 200


def test_a_token_of_another_pool_is_invalid(http: Client, at: Any, wide_client: AppClient, user: PoolUser) -> None:
    token = tokens_for(http, wide_client)["access_token"]
    refused(userinfo(at(factories.make_pool()), token), 401, "invalid_token")


def test_the_path_has_a_capital_i(http: Client, wide_client: AppClient, user: PoolUser) -> None:
    """W 5."""
    token = tokens_for(http, wide_client)["access_token"]
    assert http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {token}"}).status_code == 404
