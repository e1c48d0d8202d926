"""``/oauth2/revoke``.

AWS pages revocation-endpoint and token-revocation (W 6); RFC 7009 2.
"""

import json
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import AppClient, PoolUser, RefreshToken, UserPool
from tests import factories
from tests.browser_like import FORM
from tests.wire.helpers import (
    ask,
    basic,
    new_code,
    post,
    query_of,
    redeem,
    refresh,
    refused,
    sent_to_app,
    set_values,
    signed_in,
    tokens_for,
    userinfo,
)

pytestmark = pytest.mark.django_db
DIALECTS = ["cognito", "oidc"]
SECRET = "s" * 51


@pytest.fixture
def user(pool: UserPool, http: Client) -> PoolUser:
    """ada, signed in to the browser ``http``."""
    user = factories.make_user(pool, password=None)
    signed_in(http, user)
    return user


def revoke(http: Client, client: AppClient, token: str, authorization: str = "", **changes: str) -> HttpResponse:
    fields = {"client_id": client.client_id, "token": token} | changes
    return post(http, "/oauth2/revoke", {name: value for name, value in fields.items() if value}, authorization)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("hint", ["", "refresh_token", "access_token", "nonsense"])
def test_a_refresh_token_takes_its_whole_grant_along_and_nothing_else(
    http: Client, app_client: AppClient, user: PoolUser, dialect: str, hint: str
) -> None:
    """W 6: 200, empty body; other sessions of the user and the session cookie are untouched. The hint is ignored."""
    set_values(app_client, dialect=dialect)
    bystander, body = tokens_for(http, app_client), tokens_for(http, app_client)
    response = revoke(http, app_client, body["refresh_token"], token_type_hint=hint)
    assert (response.status_code, response.content) == (200, b"")
    refused(refresh(http, app_client, body["refresh_token"]), 400, "invalid_grant")
    refused(userinfo(http, body["access_token"]), 401, "invalid_token")
    assert userinfo(http, bystander["access_token"]).status_code == 200
    assert refresh(http, app_client, bystander["refresh_token"]).status_code == 200
    assert "code" in sent_to_app(ask(http, query_of(app_client, prompt="none")))


def test_tokens_of_later_refreshes_die_with_the_grant(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """token-revocation page: every token with the same origin_jti."""
    first = tokens_for(http, app_client)
    later = refresh(http, app_client, first["refresh_token"]).json()
    revoke(http, app_client, first["refresh_token"])
    refused(userinfo(http, later["access_token"]), 401, "invalid_token")


@pytest.mark.parametrize("which", [0, 1])
def test_with_rotation_the_old_token_and_the_new_one_both_revoke(
    http: Client, app_client: AppClient, user: PoolUser, which: int
) -> None:
    set_values(app_client, refresh_token_rotation=True)
    first = tokens_for(http, app_client)
    second = refresh(http, app_client, first["refresh_token"]).json()
    assert revoke(http, app_client, (first, second)[which]["refresh_token"]).status_code == 200
    refused(userinfo(http, second["access_token"]), 401, "invalid_token")
    refused(refresh(http, app_client, second["refresh_token"]), 400, "invalid_grant")


@pytest.mark.parametrize("token", ["nonsense", "x" * 22 + ".y", "a.b.c", "é", "x" * 30_000, "a.b.c.d.e", "..", "'--"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_invalid_token_is_as_revoked_as_can_be(
    http: Client, app_client: AppClient, dialect: str, token: str
) -> None:
    """W 6; RFC 7009 2.2: invalid tokens do not cause an error."""
    set_values(app_client, dialect=dialect)
    response = revoke(http, app_client, token)
    assert (response.status_code, response.content) == (200, b"")


def test_revoking_twice_is_fine(http: Client, app_client: AppClient, user: PoolUser) -> None:
    token = tokens_for(http, app_client)["refresh_token"]
    assert [revoke(http, app_client, token).status_code for _ in range(2)] == [200, 200]


def test_only_the_whole_token_revokes(http: Client, app_client: AppClient, user: PoolUser) -> None:
    body = tokens_for(http, app_client)
    selector, _, secret = body["refresh_token"].partition(".")
    for token in (selector, f"{selector}.", f"{selector}.{secret[:-1]}", f"{selector}.{secret}x"):
        revoke(http, app_client, token)
    assert refresh(http, app_client, body["refresh_token"]).status_code == 200


def test_another_clients_token_is_left_alone(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    """RFC 7009 2.1: the token must have been issued to the client that asks."""
    body = tokens_for(http, app_client)
    other = factories.make_client(pool, dialect="oidc")
    for name in ("refresh_token", "access_token"):
        assert revoke(http, other, body[name]).status_code == 200
    assert userinfo(http, body["access_token"]).status_code == 200


def test_an_access_or_id_token_is_unsupported_for_cognito(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """revocation-endpoint page."""
    body = tokens_for(http, app_client)
    for name in ("access_token", "id_token"):
        answer = refused(revoke(http, app_client, body[name]), 400, "unsupported_token_type")
        assert answer == {"error": "unsupported_token_type"}
    assert userinfo(http, body["access_token"]).status_code == 200


def test_an_access_token_revokes_its_grant_for_oidc(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """RFC 7009 2: either kind; 2.1: the refresh token of the grant may go along."""
    set_values(app_client, dialect="oidc")
    bystander, body = tokens_for(http, app_client), tokens_for(http, app_client)
    assert revoke(http, app_client, body["access_token"]).status_code == 200
    refused(userinfo(http, body["access_token"]), 401, "invalid_token")
    assert userinfo(http, bystander["access_token"]).status_code == 200
    assert revoke(http, app_client, bystander["id_token"]).status_code == 200
    assert userinfo(http, bystander["access_token"]).status_code == 200


# --- client authentication


def test_a_secret_client_authenticates(http: Client, secret_client: AppClient, user: PoolUser) -> None:
    header = basic(secret_client.client_id, SECRET)
    for authorization, changes in ((header, {}), (header, {"client_id": ""}), ("", {"client_secret": SECRET})):
        body = redeem(http, secret_client, new_code(http, secret_client), header).json()
        assert revoke(http, secret_client, body["refresh_token"], authorization, **changes).status_code == 200
        refused(userinfo(http, body["access_token"]), 401, "invalid_token")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("authorization", "changes"),
    [
        ("", {}),
        ("", {"client_secret": "wrong"}),
        (basic("2exampleclient23456789abcd", "wrong"), {}),
        (basic("nobody", SECRET), {"client_id": ""}),
        ("", {"client_id": "nobody"}),
        ("", {"client_id": ""}),
        ("Basic !", {}),
        ("Bearer x", {}),
    ],
    ids=str,
)
def test_failed_client_authentication_is_401_here(
    http: Client, secret_client: AppClient, user: PoolUser, dialect: str, authorization: str, changes: dict[str, str]
) -> None:
    """revocation-endpoint page: 401 invalid_client, unlike the token endpoint. Nothing is revoked."""
    set_values(secret_client, dialect=dialect)
    header = basic(secret_client.client_id, SECRET)
    body = redeem(http, secret_client, new_code(http, secret_client), header).json()
    response = revoke(http, secret_client, body["refresh_token"], authorization, **changes)
    refused(response, 401, "invalid_client")
    assert response["WWW-Authenticate"].startswith("Basic ")
    assert userinfo(http, body["access_token"]).status_code == 200


def test_a_public_client_with_credentials_is_refused(http: Client, app_client: AppClient, user: PoolUser) -> None:
    token = tokens_for(http, app_client)["refresh_token"]
    refused(revoke(http, app_client, token, basic(app_client.client_id, "")), 401, "invalid_client")
    refused(revoke(http, app_client, token, client_secret="x" * 30), 401, "invalid_client")


def test_two_methods_at_once_are_refused(http: Client, secret_client: AppClient) -> None:
    """RFC 6749 5.2."""
    response = revoke(http, secret_client, "x", basic(secret_client.client_id, SECRET), client_secret=SECRET)
    refused(response, 400, "invalid_request")


# --- malformed requests


def test_a_missing_token_is_invalid_request(http: Client, app_client: AppClient) -> None:
    refused(revoke(http, app_client, ""), 400, "invalid_request")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_client_without_revocation_is_told_so(
    http: Client, app_client: AppClient, user: PoolUser, dialect: str
) -> None:
    """revocation-endpoint page: invalid_request when EnableTokenRevocation is off."""
    set_values(app_client, enable_token_revocation=False, dialect=dialect)
    token = tokens_for(http, app_client)["refresh_token"]
    refused(revoke(http, app_client, token), 400, "invalid_request")
    assert refresh(http, app_client, token).status_code == 200


@pytest.mark.parametrize("name", ["token", "client_id", "token_type_hint"])
def test_a_repeated_parameter_is_invalid_request(
    http: Client, app_client: AppClient, user: PoolUser, name: str
) -> None:
    token = tokens_for(http, app_client)["refresh_token"]
    fields = {"token": token, "client_id": app_client.client_id, "token_type_hint": "refresh_token"}
    response = post(http, "/oauth2/revoke", urlencode([*fields.items(), (name, fields[name])]))
    refused(response, 400, "invalid_request")
    assert not RefreshToken.objects.exclude(revoked_at=None).exists()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", json.dumps({"token": "x"})),
        ("text/plain", "token=x"),
        ("", "token=x"),
        (FORM, "token=%ff"),
        (FORM, b"token=\xff"),
        (FORM, ""),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_readable_form_is_invalid_request(
    http: Client, pool: UserPool, content_type: str, body: str | bytes
) -> None:
    refused(http.generic("POST", "/oauth2/revoke", body, content_type=content_type), 400, "invalid_request")


def test_the_query_is_not_read(http: Client, app_client: AppClient, user: PoolUser) -> None:
    token = tokens_for(http, app_client)["refresh_token"]
    query = urlencode({"token": token, "client_id": app_client.client_id})
    refused(post(http, "/oauth2/revoke?" + query, ""), 400, "invalid_request")
    assert refresh(http, app_client, token).status_code == 200
