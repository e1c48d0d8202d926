"""``/oauth2/token``: client authentication, the three grants, what they answer, and every refusal.

AWS pages: token-endpoint, using-the-refresh-token, using-the-id-token, using-the-access-token,
define-resource-servers (W 4, W 10). Standards: RFC 6749 2.3, 4.1.3, 4.4, 5 and 6, RFC 7636 4.6, RFC 9068, RFC 9700,
OpenID Connect Core 2, 3.1.3 and 12. Tokens are verified by joserfc and PyJWT, independent implementations.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import jwt as pyjwt
import pytest
from django.test import Client
from django.utils import timezone

from accounts import signing
from accounts.models import AppClient, AppClientSecret, AuthorizationCode, PoolUser, RefreshToken, UserPool
from tests import factories
from tests.browser_like import FORM
from tests.wire.helpers import (
    CHALLENGE,
    VERIFIER,
    ask,
    basic,
    in_fragment,
    new_code,
    post,
    query_of,
    redeem,
    refresh,
    refused,
    set_values,
    signed_in,
    tokens_for,
    userinfo,
    verified,
)

pytestmark = pytest.mark.django_db
At = Callable[..., Client]
DIALECTS = ["cognito", "oidc"]
SECRET = "s" * 51
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
API = "https://api.example.test"


@pytest.fixture
def user(pool: UserPool, http: Client) -> PoolUser:
    """ada, signed in to the browser ``http`` ten minutes ago."""
    user = factories.make_user(pool, password=None)
    signed_in(http, user, ago=timedelta(minutes=10))
    return user


@pytest.fixture
def machine(pool: UserPool) -> AppClient:
    """A client for client_credentials whose secret is ``"s" * 51``."""
    factories.make_resource_server(pool)
    return factories.make_client(
        pool,
        secret=SECRET,
        allowed_oauth_flows=["client_credentials"],
        allowed_oauth_scopes=[f"{API}/read", f"{API}/write"],
    )


def machine_token(browser: Client, client: AppClient, **changes: str) -> Any:
    return post(
        browser,
        "/oauth2/token",
        {"grant_type": "client_credentials"} | changes,
        basic(client.client_id, SECRET),
    )


# --- the answer (W 4.3)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_code_gives_the_members_of_the_token_page_in_their_order(
    http: Client, app_client: AppClient, user: PoolUser, dialect: str
) -> None:
    """token-endpoint page; ``scope`` is RFC 6749 5.1's and not Cognito's (D3)."""
    set_values(app_client, dialect=dialect, access_token_validity=timedelta(minutes=7))
    response = redeem(http, app_client, new_code(http, app_client))
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json;charset=UTF-8"
    assert "no-store" in response["Cache-Control"]
    assert response["Pragma"] == "no-cache"
    body = response.json()
    cognito = ["id_token", "access_token", "refresh_token", "expires_in", "token_type"]
    assert list(body) == cognito + ["scope"] * (dialect == "oidc")
    assert body["expires_in"] == 420
    assert body["token_type"] == "Bearer"
    assert body.get("scope", "openid email") == "openid email"
    assert re.fullmatch(r"[A-Za-z0-9-_=.]+", body["refresh_token"])  # the API's pattern (W 10.3)


def test_without_openid_there_is_no_id_token(http: Client, pool: UserPool, user: PoolUser) -> None:
    factories.make_resource_server(pool)
    client = factories.make_client(pool, allowed_oauth_scopes=[f"{API}/read"])
    body = tokens_for(http, client, scope=f"{API}/read")
    assert list(body) == ["access_token", "refresh_token", "expires_in", "token_type"]
    again = refresh(http, client, body["refresh_token"]).json()
    assert list(again) == ["access_token", "expires_in", "token_type"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_claims_are_those_of_the_token_pages(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser, dialect: str
) -> None:
    """using-the-id-token and using-the-access-token pages (W 10.1, 10.2); RFC 9068 2 for the oidc dialect."""
    set_values(
        app_client, dialect=dialect, access_token_validity=timedelta(minutes=5), id_token_validity=timedelta(days=1)
    )
    began = int(time.time())
    body = tokens_for(http, app_client, nonce="n-0S6_WzA2Mj")
    id_header, identity = verified(pool, body["id_token"])
    access_header, access = verified(pool, body["access_token"])
    assert set(id_header) == {"kid", "alg"}
    assert access_header == {"kid": access_header["kid"], "alg": "RS256"} | (
        {"typ": "at+jwt"} if dialect == "oidc" else {}
    )
    assert id_header["kid"] != access_header["kid"]
    both = {"sub", "iss", "token_use", "auth_time", "iat", "exp", "jti", "origin_jti", "event_id"}
    assert set(identity) == both | {"aud", "cognito:username", "at_hash", "nonce", "email", "email_verified"}
    assert set(access) == both | {"client_id", "username", "scope", "version"} | (
        {"aud"} if dialect == "oidc" else set()
    )
    for claims, use, seconds in ((identity, "id", 86_400), (access, "access", 300)):
        assert claims["iss"] == pool.issuer
        assert claims["sub"] == user.sub
        assert claims["token_use"] == use
        assert began <= claims["iat"] <= time.time()
        assert claims["exp"] - claims["iat"] == seconds
        assert began - 602 <= claims["auth_time"] <= began - 598
        assert all(UUID.fullmatch(claims[name]) for name in ("jti", "origin_jti", "event_id"))
    assert identity["aud"] == app_client.client_id
    assert identity["cognito:username"] == access["username"] == "ada"
    assert (identity["email"], identity["email_verified"]) == ("ada@example.test", True)
    assert identity["nonce"] == "n-0S6_WzA2Mj"
    assert access["client_id"] == app_client.client_id
    assert set(access["scope"].split()) == {"openid", "email"}
    assert access["version"] == 2
    assert access.get("aud") == (app_client.client_id if dialect == "oidc" else None)
    assert identity["origin_jti"] == access["origin_jti"]
    assert identity["event_id"] == access["event_id"]
    assert identity["jti"] != access["jti"]
    half = hashlib.sha256(body["access_token"].encode("ascii")).digest()[:16]  # Core 3.1.3.6
    assert identity["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()


def test_an_es256_pool_signs_with_es256(http: Client, user: PoolUser, pool: UserPool, app_client: AppClient) -> None:
    """RFC 7518 3.4, verified by joserfc; at_hash is SHA-256 there as well."""
    set_values(pool, signing_algorithm="ES256")
    signing.rotate(pool, at_once=True)
    body = tokens_for(http, app_client)
    header, identity = verified(pool, body["id_token"])
    assert header["alg"] == "ES256"
    half = hashlib.sha256(body["access_token"].encode("ascii")).digest()[:16]
    assert identity["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert userinfo(http, body["access_token"]).status_code == 200


def test_pyjwt_verifies_the_tokens_too(http: Client, pool: UserPool, app_client: AppClient, user: PoolUser) -> None:
    body = tokens_for(http, app_client)
    issuer = Client(headers={"host": "id.example.test"})
    keys = pyjwt.PyJWKSet.from_dict(issuer.get(f"/{pool.pk}/.well-known/jwks.json").json())
    for token, audience in ((body["id_token"], app_client.client_id), (body["access_token"], None)):
        key = keys[pyjwt.get_unverified_header(token)["kid"]]
        claims = pyjwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=pool.issuer)
        assert claims["sub"] == user.sub


def test_without_revocation_there_is_no_jti(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    """token-revocation page: jti and origin_jti exist only when revocation or rotation is on (W 6)."""
    set_values(app_client, enable_token_revocation=False)
    body = tokens_for(http, app_client)
    for token in (body["id_token"], body["access_token"]):
        assert not {"jti", "origin_jti"} & set(verified(pool, token)[1])
    assert userinfo(http, body["access_token"]).status_code == 200
    set_values(app_client, dialect="oidc")
    strict = verified(pool, tokens_for(http, app_client)["access_token"])[1]
    assert "jti" in strict, "RFC 9068 2.2 requires it"
    assert "origin_jti" not in strict
    set_values(app_client, dialect="cognito", refresh_token_rotation=True)
    assert {"jti", "origin_jti"} <= set(verified(pool, tokens_for(http, app_client)["access_token"])[1])


def test_no_token_is_stored(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """D2.3: a grant is one row, and the refresh token is there as a digest only."""
    body = tokens_for(http, app_client)
    row = str(vars(RefreshToken.objects.get()))
    assert not [name for name in ("id_token", "access_token", "refresh_token") if body[name] in row]


# --- client authentication (W 4.1; RFC 6749 2.3)


def test_a_secret_client_authenticates_in_the_header_or_in_the_body(
    http: Client, secret_client: AppClient, user: PoolUser
) -> None:
    name = secret_client.client_id
    for header, changes in (
        (basic(name, SECRET), {}),
        (basic(name, SECRET), {"client_id": ""}),
        (basic(name, SECRET).replace("Basic", "basic"), {}),
        ("", {"client_secret": SECRET}),
    ):
        assert redeem(http, secret_client, new_code(http, secret_client), header, **changes).status_code == 200


@pytest.mark.parametrize(
    ("client_id", "secret", "sent"),
    [
        ("a+b", "plus+" * 6, "a+b:" + "plus+" * 6),
        ("a+b", "plus+" * 6, "a%2Bb:" + "plus%2B" * 6),
        ("a_b", "under_" * 6, "a%5Fb:" + "under%5F" * 6),
        ("ab", "slash/" * 6, "ab:" + "slash/" * 6),
        ("ab", "slash/" * 6, "ab:" + "slash%2F" * 6),
        ("ab", "100%25" * 6, "ab:" + "100%25" * 6),
        ("ab", "a:b:" * 8, "ab:" + "a:b:" * 8),
    ],
)
def test_basic_credentials_are_form_encoded_or_raw(
    http: Client, pool: UserPool, client_id: str, secret: str, sent: str
) -> None:
    """RFC 6749 2.3.1 form-encodes both parts; many clients do not (W 4.1)."""
    factories.make_resource_server(pool)
    client = factories.make_client(
        pool,
        client_id=client_id,
        client_type="confidential",
        allowed_oauth_flows=["client_credentials"],
        allowed_oauth_scopes=[f"{API}/read"],
    )
    AppClientSecret.objects.create(app_client=client, slot=1, secret=secret)
    header = "Basic " + base64.b64encode(sent.encode()).decode()
    for named in ({}, {"client_id": client_id}):
        fields = {"grant_type": "client_credentials", **named}
        assert post(http, "/oauth2/token", fields, header).status_code == 200


def test_each_of_two_secrets_works_until_it_is_deleted(http: Client, machine: AppClient) -> None:
    """token-endpoint page: a client may hold two valid secrets at once."""
    machine.add_secret("t" * 51)
    fields = {"grant_type": "client_credentials", "client_id": machine.client_id}
    for secret in (SECRET, "t" * 51):
        assert post(http, "/oauth2/token", fields | {"client_secret": secret}).status_code == 200
    machine.secrets.get(slot=1).delete()
    refused(post(http, "/oauth2/token", fields | {"client_secret": SECRET}), 400, "invalid_client")
    assert post(http, "/oauth2/token", fields | {"client_secret": "t" * 51}).status_code == 200


BAD_CREDENTIALS = [
    ("none", "", {}),
    ("wrong in body", "", {"client_secret": "wrong"}),
    ("empty in body", "", {"client_secret": ""}),
    ("wrong in header", basic("2exampleclient23456789abcd", "wrong"), {}),
    ("empty in header", basic("2exampleclient23456789abcd", ""), {}),
    ("the id twice", basic("2exampleclient23456789abcd", "2exampleclient23456789abcd"), {}),
    ("upper case", basic("2exampleclient23456789abcd", SECRET.upper()), {}),
    ("one more character", basic("2exampleclient23456789abcd", SECRET + "s"), {}),
    ("another client_id in the body", basic("2exampleclient23456789abcd", SECRET), {"client_id": "nobody"}),
    ("not base64", "Basic !!!", {}),
    ("no colon", "Basic " + base64.b64encode(b"2exampleclient23456789abcd").decode(), {}),
    ("not UTF-8", "Basic " + base64.b64encode(b"\xff:\xfe").decode(), {}),
    ("bearer", "Bearer " + SECRET, {}),
    ("a NUL", basic("2exampleclient23456789abcd", "\x00"), {}),
]


@pytest.mark.parametrize(("dialect", "status"), [("cognito", 400), ("oidc", 401)])
@pytest.mark.parametrize("case", BAD_CREDENTIALS, ids=lambda case: case[0])
def test_failed_client_authentication_is_invalid_client(
    http: Client, secret_client: AppClient, dialect: str, status: int, case: tuple[str, str, dict[str, str]]
) -> None:
    """W 4.5: 400 without a challenge. RFC 6749 5.2: 401 with one, where the client is known to want that."""
    set_values(secret_client, dialect=dialect)
    _, header, changes = case
    response = redeem(http, secret_client, "x", header, **changes)
    assert response.json()["error"] == "invalid_client"
    assert response.status_code in ((status, 400) if header else (status,))
    assert ("WWW-Authenticate" in response) == (response.status_code == 401)
    if response.status_code == 401:
        assert response["WWW-Authenticate"].startswith("Basic realm=")
    if dialect == "cognito":
        assert response.json() == {"error": "invalid_client"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_wrong_basic_credentials_of_a_known_oidc_client_get_a_challenge(
    http: Client, secret_client: AppClient, dialect: str
) -> None:
    set_values(secret_client, dialect=dialect)
    response = redeem(http, secret_client, "x", basic(secret_client.client_id, "wrong"))
    refused(response, 401 if dialect == "oidc" else 400, "invalid_client")
    assert ("error_description" in response.json()) == (dialect == "oidc")


@pytest.mark.parametrize("secret", ["", "anything"])
def test_a_public_client_that_sends_credentials_is_refused(
    http: Client, app_client: AppClient, user: PoolUser, secret: str
) -> None:
    """W 4.1: any Basic header for a client without a secret is invalid_client."""
    code = new_code(http, app_client)
    refused(redeem(http, app_client, code, basic(app_client.client_id, secret)), 400, "invalid_client")
    if secret:
        refused(redeem(http, app_client, code, client_secret=secret), 400, "invalid_client")
    assert redeem(http, app_client, code).status_code == 200


@pytest.mark.parametrize("client_id", ["", "nobody", "x" * 5_000, "é"])
def test_an_unknown_client_is_invalid_client(http: Client, app_client: AppClient, client_id: str) -> None:
    for grant in (
        {"grant_type": "authorization_code", "code": "x", "redirect_uri": factories.CALLBACK},
        {"grant_type": "refresh_token", "refresh_token": "x"},
        {"grant_type": "client_credentials"},
    ):
        fields = grant | ({"client_id": client_id} if client_id else {})
        refused(post(http, "/oauth2/token", fields), 400, "invalid_client")


def test_two_methods_of_authentication_at_once_are_refused(http: Client, machine: AppClient) -> None:
    """RFC 6749 5.2: more than one mechanism is invalid_request."""
    response = machine_token(http, machine, client_id=machine.client_id, client_secret=SECRET)
    refused(response, 400, "invalid_request")


def test_a_client_of_another_pool_is_unknown(http: Client, at: At, machine: AppClient) -> None:
    elsewhere = at(factories.make_pool())
    refused(machine_token(elsewhere, machine), 400, "invalid_client")
    assert machine_token(http, machine).status_code == 200


# --- malformed requests (W 4.5)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"code": "x"},
        {"grant_type": ""},
        {"grant_type": "authorization_code"},
        {"grant_type": "refresh_token"},
    ],
    ids=str,
)
def test_a_missing_parameter_is_invalid_request(
    http: Client, app_client: AppClient, dialect: str, fields: dict[str, str]
) -> None:
    set_values(app_client, dialect=dialect)
    refused(post(http, "/oauth2/token", fields | {"client_id": app_client.client_id}), 400, "invalid_request")


@pytest.mark.parametrize(
    "name", ["grant_type", "client_id", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "unheard_of"]
)
def test_a_repeated_parameter_is_invalid_request(
    http: Client, app_client: AppClient, user: PoolUser, name: str
) -> None:
    """RFC 6749 3.2. The code is not spent by it."""
    code = new_code(http, app_client)
    fields = {
        "grant_type": "authorization_code",
        "client_id": app_client.client_id,
        "code": code,
        "redirect_uri": factories.CALLBACK,
    }
    value = fields.get(name, "x")
    body = urlencode([*({name: value} | fields).items(), (name, value)])
    refused(post(http, "/oauth2/token", body), 400, "invalid_request")
    assert redeem(http, app_client, code).status_code == 200


@pytest.mark.parametrize(
    "grant_type",
    [
        "password",
        "implicit",
        "code",
        "AUTHORIZATION_CODE",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "__class__",
        "<b>",
    ],
)
def test_any_other_grant_type_is_unsupported(http: Client, app_client: AppClient, grant_type: str) -> None:
    response = post(http, "/oauth2/token", {"grant_type": grant_type, "client_id": app_client.client_id})
    refused(response, 400, "unsupported_grant_type")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", json.dumps({"grant_type": "client_credentials"})),
        ("application/json", '{"grant_type":'),
        ("text/plain", "grant_type=client_credentials"),
        ("multipart/form-data; boundary=x", '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--'),
        ("", "grant_type=client_credentials"),
        (f'"{FORM}"', "grant_type=client_credentials"),
        (FORM, b"grant_type=client_credentials&x=\xff"),
        (FORM, "grant_type=client_credentials&x=%ff"),
        (FORM, "grant_type=client_credentials&x=%00"),
        (FORM, "grant_type=client_credentials&" + "&".join(f"p{n}=1" for n in range(200))),
        (FORM, b"\x00\x01\x02"),
        (FORM, ""),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_no_readable_form_is_invalid_request(
    http: Client, machine: AppClient, content_type: str, body: str | bytes
) -> None:
    """W 4.1: JSON bodies are refused so."""
    header = basic(machine.client_id, SECRET)
    response = http.generic("POST", "/oauth2/token", body, content_type=content_type, headers={"authorization": header})
    refused(response, 400, "invalid_request")


@pytest.mark.parametrize("length", ["-1", "abc", "1e3"])
def test_a_content_length_that_is_none_is_invalid_request(http: Client, machine: AppClient, length: str) -> None:
    response = http.generic(
        "POST", "/oauth2/token", "grant_type=client_credentials", content_type=FORM, CONTENT_LENGTH=length
    )
    refused(response, 400, "invalid_request")


@pytest.mark.parametrize("content_type", [FORM.upper(), f"{FORM}; charset=UTF-8", f"{FORM};charset=utf-8"])
def test_the_media_type_is_compared_as_rfc_9110_says(http: Client, machine: AppClient, content_type: str) -> None:
    response = http.generic(
        "POST",
        "/oauth2/token",
        "grant_type=client_credentials",
        content_type=content_type,
        headers={"authorization": basic(machine.client_id, SECRET)},
    )
    assert response.status_code == 200


def test_parameters_in_the_query_are_not_read(http: Client, machine: AppClient, app_client: AppClient) -> None:
    """RFC 6749 2.3.1: credentials never in the URI. Cognito was seen to take them (W 4.1): not copied."""
    fields = {"grant_type": "client_credentials", "client_id": machine.client_id, "client_secret": SECRET}
    refused(post(http, "/oauth2/token?" + urlencode(fields), ""), 400, "invalid_request")


# --- the authorization code (RFC 6749 4.1.3)


def test_a_code_is_good_for_one_client_only(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    code = new_code(http, app_client)
    refused(redeem(http, factories.make_client(pool), code), 400, "invalid_grant")
    assert redeem(http, app_client, code).status_code == 200


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("code", ["nonsense", "x" * 10_000, "é", "' OR 1=1 --"])
def test_an_unknown_code_is_invalid_grant(http: Client, app_client: AppClient, dialect: str, code: str) -> None:
    set_values(app_client, dialect=dialect)
    body = refused(redeem(http, app_client, code), 400, "invalid_grant")
    assert set(body) == {"error"} | ({"error_description"} if dialect == "oidc" else set())


def test_an_expired_code_is_invalid_grant(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """authorization-endpoint page: five minutes."""
    code = new_code(http, app_client)
    AuthorizationCode.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    refused(redeem(http, app_client, code), 400, "invalid_grant")


@pytest.mark.parametrize(
    ("redirect_uri", "error"),
    [
        ("https://other.example.test/callback", "invalid_grant"),
        ("https://evil.example.test/", "invalid_grant"),
        (factories.CALLBACK + "/", "invalid_grant"),
        (factories.CALLBACK.upper(), "invalid_grant"),
        ("", "invalid_request"),
    ],
)
def test_the_redirect_uri_must_be_that_of_the_authorization_request(
    http: Client, pool: UserPool, user: PoolUser, redirect_uri: str, error: str
) -> None:
    """token-endpoint page: required, the same as at authorize. RFC 6749 4.1.3, 5.2."""
    client = factories.make_client(pool, redirect_uris=f"{factories.CALLBACK}\nhttps://other.example.test/callback")
    code = new_code(http, client)
    refused(redeem(http, client, code, redirect_uri=redirect_uri), 400, error)
    assert redeem(http, client, code).status_code == 200


def test_the_redirect_uri_is_required_even_of_a_client_with_one(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    """token-endpoint page; RFC 6749 4.1.3: required if the authorization request had it."""
    refused(redeem(http, app_client, new_code(http, app_client), redirect_uri=""), 400, "invalid_request")


@pytest.mark.parametrize(
    ("verifier", "error"),
    [
        ("", "invalid_request"),
        ("x" * 43, "invalid_grant"),
        (VERIFIER + "x", "invalid_grant"),
        (VERIFIER.lower(), "invalid_grant"),
        (CHALLENGE, "invalid_grant"),
        ("short", "invalid_grant"),
        ("é" * 50, "invalid_grant"),
        ("x" * 5_000, "invalid_grant"),
    ],
    ids=lambda value: value[:12],
)
def test_a_wrong_verifier_gives_nothing_and_spends_nothing(
    http: Client, app_client: AppClient, user: PoolUser, verifier: str, error: str
) -> None:
    """RFC 7636 4.6: invalid_grant when they differ; a missing parameter is RFC 6749's invalid_request."""
    code = new_code(http, app_client, **PKCE)
    body = redeem(http, app_client, code, code_verifier=verifier)
    assert (body.status_code, body.json()["error"]) in ((400, error), (400, "invalid_grant"))
    assert not RefreshToken.objects.exists()
    assert redeem(http, app_client, code, code_verifier=VERIFIER).status_code == 200


def test_a_verifier_without_a_challenge_is_refused(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """RFC 9700 4.8.2: somebody took the challenge out of the authorization request."""
    code = new_code(http, app_client)
    refused(redeem(http, app_client, code, code_verifier=VERIFIER), 400, "invalid_grant")


def test_pkce_switched_on_after_the_code_was_issued_holds_at_once(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    code = new_code(http, app_client)
    set_values(app_client, require_pkce=True)
    assert redeem(http, app_client, code).status_code == 400


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_code_that_is_presented_again_takes_its_tokens_along(
    http: Client, app_client: AppClient, user: PoolUser, dialect: str
) -> None:
    """RFC 6749 4.1.2: deny, and revoke the tokens issued on that code. Another grant of the user stands."""
    set_values(app_client, dialect=dialect)
    bystander = tokens_for(http, app_client)
    code = new_code(http, app_client)
    body = redeem(http, app_client, code).json()
    assert userinfo(http, body["access_token"]).status_code == 200
    refused(redeem(http, app_client, code), 400, "invalid_grant")
    refused(userinfo(http, body["access_token"]), 401, "invalid_token")
    refused(refresh(http, app_client, body["refresh_token"]), 400, "invalid_grant")
    refused(redeem(http, app_client, code), 400, "invalid_grant")
    assert userinfo(http, bystander["access_token"]).status_code == 200
    assert refresh(http, app_client, bystander["refresh_token"]).status_code == 200


def test_another_client_that_presents_a_spent_code_revokes_nothing(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    code = new_code(http, app_client)
    body = redeem(http, app_client, code).json()
    refused(redeem(http, factories.make_client(pool), code), 400, "invalid_grant")
    assert userinfo(http, body["access_token"]).status_code == 200


@pytest.mark.parametrize("case", ["disabled", "signed out", "deleted"])
def test_neither_code_nor_refresh_token_outlives_the_user(
    http: Client, app_client: AppClient, user: PoolUser, case: str
) -> None:
    body = tokens_for(http, app_client)
    code = new_code(http, app_client)
    if case == "disabled":
        set_values(user, enabled=False)
    elif case == "signed out":
        set_values(user, signed_out_at=timezone.now())
    else:
        user.delete()
    refused(redeem(http, app_client, code), 400, "invalid_grant")
    refused(refresh(http, app_client, body["refresh_token"]), 400, "invalid_grant")


def test_a_client_that_cannot_read_a_whole_scope_gets_invalid_grant(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    """token-endpoint page: can read ``email`` but not ``email_verified``, say."""
    set_values(app_client, read_attributes=["email"])
    refused(redeem(http, app_client, new_code(http, app_client)), 400, "invalid_grant")
    set_values(app_client, read_attributes=["email", "email_verified"])
    assert redeem(http, app_client, new_code(http, app_client)).status_code == 200


def test_the_oauth_switch_turned_off_is_invalid_grant(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """W 4.5: AllowedOAuthFlowsUserPoolClient false."""
    code = new_code(http, app_client)
    set_values(app_client, allowed_oauth_flows_user_pool_client=False)
    refused(redeem(http, app_client, code), 400, "invalid_grant")


def test_a_client_without_the_flow_is_unauthorized(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    """token-endpoint page: may not use the code grant or refresh."""
    body, code = tokens_for(http, app_client), new_code(http, app_client)
    set_values(app_client, allowed_oauth_flows=["implicit"])
    refused(redeem(http, app_client, code), 400, "unauthorized_client")
    refused(refresh(http, app_client, body["refresh_token"]), 400, "unauthorized_client")
    secret = factories.make_client(pool, secret=SECRET)
    refused(machine_token(http, secret), 400, "unauthorized_client")


# --- refresh (RFC 6749 6; W 4.4)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_refresh_keeps_what_belongs_to_the_grant_and_renews_the_rest(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser, dialect: str
) -> None:
    """W 4.4; using-the-refresh-token page. OpenID Connect Core 12.2: same iss, sub, aud, auth_time; no new nonce."""
    set_values(app_client, dialect=dialect)
    first = tokens_for(http, app_client, nonce="n-1")
    response = refresh(http, app_client, first["refresh_token"])
    second = response.json()
    assert list(second) == ["id_token", "access_token", "expires_in", "token_type"] + ["scope"] * (dialect == "oidc")
    assert "no-store" in response["Cache-Control"]
    for name in ("id_token", "access_token"):
        before, after = verified(pool, first[name])[1], verified(pool, second[name])[1]
        for kept in ("iss", "sub", "auth_time", "origin_jti", "token_use", "aud", "scope", "client_id"):
            assert before.get(kept) == after.get(kept), kept
        assert before["jti"] != after["jti"]
        assert after["iat"] >= before["iat"]
        assert after.get("nonce") in (None, "n-1")
    assert verified(pool, second["id_token"])[1]["event_id"] == verified(pool, second["access_token"])[1]["event_id"]
    assert refresh(http, app_client, first["refresh_token"]).status_code == 200


def test_refreshed_tokens_show_the_user_as_is(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    first = tokens_for(http, app_client)
    set_values(user, attributes={"email": "new@example.test"})
    factories.make_group(pool, "admins", user)
    claims = verified(pool, refresh(http, app_client, first["refresh_token"]).json()["id_token"])[1]
    assert (claims["email"], claims["cognito:groups"]) == ("new@example.test", ["admins"])
    assert "email_verified" not in claims


def test_scope_is_ignored_at_a_refresh(http: Client, pool: UserPool, app_client: AppClient, user: PoolUser) -> None:
    """W 4.2."""
    first = tokens_for(http, app_client)
    for scope in ("openid", "openid email phone profile", "nonsense"):
        body = refresh(http, app_client, first["refresh_token"], scope=scope).json()
        assert set(verified(pool, body["access_token"])[1]["scope"].split()) == {"openid", "email"}


@pytest.mark.parametrize("token", ["nonsense", "x" * 22 + ".y", ".", "a.b.c.d.e", "x" * 30_000, "é.é", "'--"])
def test_an_unknown_refresh_token_is_invalid_grant(http: Client, app_client: AppClient, token: str) -> None:
    refused(refresh(http, app_client, token), 400, "invalid_grant")


def test_half_a_refresh_token_is_none(http: Client, app_client: AppClient, user: PoolUser) -> None:
    token = tokens_for(http, app_client)["refresh_token"]
    selector, _, secret = token.partition(".")
    other = f"{'y' if token[0] == 'x' else 'x'}{token[1:]}"
    for wrong in (selector, selector + ".", f"{selector}.{secret[:-1]}", f"{selector}.{secret}x", other):
        refused(refresh(http, app_client, wrong), 400, "invalid_grant")
    assert refresh(http, app_client, token).status_code == 200


def test_a_refresh_token_is_good_for_one_client_only(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    token = tokens_for(http, app_client)["refresh_token"]
    refused(refresh(http, factories.make_client(pool), token), 400, "invalid_grant")
    assert refresh(http, app_client, token).status_code == 200


def test_no_other_token_is_a_refresh_token(http: Client, app_client: AppClient, user: PoolUser) -> None:
    body = tokens_for(http, app_client)
    for name in ("id_token", "access_token"):
        refused(refresh(http, app_client, body[name]), 400, "invalid_grant")


def test_the_implicit_grant_has_no_refresh_token_to_guess(http: Client, pool: UserPool, user: PoolUser) -> None:
    client = factories.make_client(pool, allowed_oauth_flows=["code", "implicit"])
    in_fragment(ask(http, query_of(client, response_type="token")))
    selector = RefreshToken.objects.get().selector
    for wrong in (f"{selector}.", f"{selector}.x"):
        refused(refresh(http, client, wrong), 400, "invalid_grant")


def test_a_refresh_token_ends_with_its_validity_and_is_not_extended(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    """W 4.4: refresh never extends it."""
    set_values(app_client, refresh_token_validity=timedelta(hours=2))
    token = tokens_for(http, app_client)["refresh_token"]
    row = RefreshToken.objects.get()
    assert row.expires_at - row.created_at == timedelta(hours=2)
    assert refresh(http, app_client, token).status_code == 200
    assert RefreshToken.objects.get().expires_at == row.expires_at
    RefreshToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    refused(refresh(http, app_client, token), 400, "invalid_grant")


# --- rotation (using-the-refresh-token page; RFC 9700 4.14.2)


@pytest.fixture
def rotating(app_client: AppClient) -> AppClient:
    return set_values(app_client, refresh_token_rotation=True, retry_grace_period_seconds=30)


def test_every_refresh_gives_a_new_token_with_the_old_end(http: Client, rotating: AppClient, user: PoolUser) -> None:
    """W 4.4: the new token's expiry is the remaining lifetime of the original."""
    first = tokens_for(http, rotating)
    end = RefreshToken.objects.get().expires_at
    seen = [first["refresh_token"]]
    for _ in range(3):
        body = refresh(http, rotating, seen[-1]).json()
        assert list(body) == ["id_token", "access_token", "refresh_token", "expires_in", "token_type"]
        seen.append(body["refresh_token"])
    assert len(set(seen)) == 4
    assert RefreshToken.objects.get().expires_at == end


def test_a_retry_inside_the_grace_gets_the_same_successor(http: Client, rotating: AppClient, user: PoolUser) -> None:
    first = tokens_for(http, rotating)["refresh_token"]
    second = refresh(http, rotating, first).json()["refresh_token"]
    for _ in range(2):
        again = refresh(http, rotating, first)
        assert again.status_code == 200
        assert again.json()["refresh_token"] == second
        assert userinfo(http, again.json()["access_token"]).status_code == 200
    assert refresh(http, rotating, second).status_code == 200


@pytest.mark.parametrize("grace", [0, 30])
def test_reuse_after_the_grace_kills_the_family(http: Client, rotating: AppClient, user: PoolUser, grace: int) -> None:
    """RFC 9700 4.14.2; D2.3."""
    set_values(rotating, retry_grace_period_seconds=grace)
    bystander = tokens_for(http, rotating)
    first = tokens_for(http, rotating)
    second = refresh(http, rotating, first["refresh_token"]).json()
    for row in RefreshToken.objects.exclude(rotated_at=None):
        row.retired = [[digest, at - grace - 1] for digest, at in row.retired]
        row.save()
    refused(refresh(http, rotating, first["refresh_token"]), 400, "invalid_grant")
    refused(refresh(http, rotating, second["refresh_token"]), 400, "invalid_grant")
    for body in (first, second):
        refused(userinfo(http, body["access_token"]), 401, "invalid_token")
    assert userinfo(http, bystander["access_token"]).status_code == 200
    assert refresh(http, rotating, bystander["refresh_token"]).status_code == 200


def test_a_revoked_grant_rotates_no_more(http: Client, rotating: AppClient, user: PoolUser) -> None:
    first = tokens_for(http, rotating)["refresh_token"]
    second = refresh(http, rotating, first).json()["refresh_token"]
    RefreshToken.objects.update(revoked_at=timezone.now())
    for token in (first, second):
        refused(refresh(http, rotating, token), 400, "invalid_grant")


# --- client_credentials (RFC 6749 4.4; define-resource-servers page)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_machine_gets_an_access_token_about_itself(
    http: Client, pool: UserPool, machine: AppClient, dialect: str
) -> None:
    """W 4.3, W 10.2: sub = client_id = the client; nothing of a user."""
    set_values(machine, dialect=dialect, access_token_validity=timedelta(minutes=10))
    response = machine_token(http, machine, scope=f"{API}/read")
    assert response.status_code == 200
    body = response.json()
    assert list(body) == ["access_token", "expires_in", "token_type"] + ["scope"] * (dialect == "oidc")
    assert (body["expires_in"], body["token_type"]) == (600, "Bearer")
    header, claims = verified(pool, body["access_token"])
    assert set(header) == {"kid", "alg"} | ({"typ"} if dialect == "oidc" else set())
    plain = {"sub", "client_id", "token_use", "scope", "auth_time", "iss", "exp", "iat", "version", "jti"}
    assert set(claims) == plain | ({"aud"} if dialect == "oidc" else set())
    assert claims["sub"] == claims["client_id"] == machine.client_id
    assert (claims["token_use"], claims["scope"], claims["version"]) == ("access", f"{API}/read", 2)
    assert claims["exp"] - claims["iat"] == 600
    assert claims["auth_time"] == claims["iat"]
    assert not RefreshToken.objects.exists()


def test_a_machine_gets_all_its_scopes_by_default(http: Client, pool: UserPool, machine: AppClient) -> None:
    """token-endpoint page."""
    claims = verified(pool, machine_token(http, machine).json()["access_token"])[1]
    assert set(claims["scope"].split()) == {f"{API}/read", f"{API}/write"}


@pytest.mark.parametrize("scope", [f"{API}/delete", f"{API}/read nonsense", "openid", "aws.cognito.signin.user.admin"])
def test_a_machine_gets_no_scope_that_is_not_its_own(
    http: Client, pool: UserPool, machine: AppClient, scope: str
) -> None:
    """W 4.2 (seen: invalid_scope); the oidc dialect ignores the foreign ones, as the token page says."""
    refused(machine_token(http, machine, scope=scope), 400, "invalid_scope")
    set_values(machine, dialect="oidc")
    response = machine_token(http, machine, scope=scope)
    if f"{API}/read" in scope:
        assert response.json()["scope"] == f"{API}/read"
    else:
        refused(response, 400, "invalid_scope")


def test_a_public_client_gets_no_machine_token(http: Client, pool: UserPool) -> None:
    """token-endpoint page: client_credentials requires a secret."""
    factories.make_resource_server(pool)
    client = factories.make_client(
        pool, allowed_oauth_flows=["client_credentials"], allowed_oauth_scopes=[f"{API}/read"]
    )
    fields = {"grant_type": "client_credentials", "client_id": client.client_id}
    refused(post(http, "/oauth2/token", fields), 400, "invalid_client")


def test_a_machine_token_opens_no_userinfo(http: Client, machine: AppClient) -> None:
    token = machine_token(http, machine).json()["access_token"]
    assert userinfo(http, token).status_code in (401, 403)


def test_client_metadata_is_accepted(http: Client, machine: AppClient) -> None:
    """token-endpoint page: aws_client_metadata."""
    assert machine_token(http, machine, aws_client_metadata='{"a":"b"}').status_code == 200
