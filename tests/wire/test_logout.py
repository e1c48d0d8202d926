"""``/logout``: Cognito's two forms, and OpenID Connect RP-Initiated Logout.

AWS page logout-endpoint (W 9.3, W 9.4); OpenID Connect RP-Initiated Logout 1.0, sections 2 to 4.
"""

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import AppClient, PoolUser, SignInSession, UserPool
from tests import factories
from tests.browser_like import FORM, csrf_of
from tests.wire.helpers import (
    ask,
    forge,
    on_error_page,
    on_login_page,
    query_of,
    refresh,
    sent_to_app,
    set_values,
    signed_in,
    single,
    tokens_for,
    userinfo,
)

pytestmark = pytest.mark.django_db
At = Callable[..., Client]
EVIL = "https://evil.example.test/"


@pytest.fixture
def user(pool: UserPool, http: Client) -> PoolUser:
    """ada, signed in to the browser ``http``."""
    user = factories.make_user(pool, password=None)
    signed_in(http, user)
    return user


def leave(browser: Client, **query: str) -> HttpResponse:
    return browser.get("/logout?" + urlencode(query))


def is_signed_in(browser: Client, client: AppClient) -> bool:
    return "code" in sent_to_app(ask(browser, query_of(client, prompt="none")))


# --- mode A: client_id and logout_uri (W 9.3)


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"state": "s", "scope": "openid", "anything": "else"},
        {"redirect_uri": factories.CALLBACK, "response_type": "code"},
        {"redirect_uri": EVIL, "response_type": "nonsense"},
        {"post_logout_redirect_uri": EVIL},
    ],
)
def test_logout_uri_ends_the_session_and_wins_over_everything(
    http: Client, app_client: AppClient, user: PoolUser, others: dict[str, str]
) -> None:
    """logout-endpoint page: all other parameters are ignored, ``state`` among them."""
    response = leave(http, client_id=app_client.client_id, logout_uri=factories.LOGOUT, **others)
    assert (response.status_code, response["Location"]) == (302, factories.LOGOUT)
    assert response.cookies["userpool_session"].value == ""
    assert not SignInSession.objects.exists()
    assert not is_signed_in(http, app_client)


def test_without_a_session_it_redirects_all_the_same(http: Client, app_client: AppClient) -> None:
    response = leave(http, client_id=app_client.client_id, logout_uri=factories.LOGOUT)
    assert (response.status_code, response["Location"]) == (302, factories.LOGOUT)


@pytest.mark.parametrize("url", ["myapp://bye", "https://app.example.test/bye?a=b%20c", "http://localhost:3000/"])
def test_logout_urls_are_kept_to_the_letter(http: Client, pool: UserPool, url: str) -> None:
    client = factories.make_client(pool, post_logout_redirect_uris=f"{factories.LOGOUT}\n{url}")
    assert leave(http, client_id=client.client_id, logout_uri=url)["Location"] == url


def test_tokens_survive_a_sign_out(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """logout-endpoint page: it clears the cookie only; refresh tokens are not revoked (W 9.3)."""
    body = tokens_for(http, app_client)
    leave(http, client_id=app_client.client_id, logout_uri=factories.LOGOUT)
    assert userinfo(http, body["access_token"]).status_code == 200
    assert refresh(http, app_client, body["refresh_token"]).status_code == 200


def test_only_this_browser_is_signed_out(
    http: Client, at: At, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    other = at(pool)
    signed_in(other, user)
    leave(http, client_id=app_client.client_id, logout_uri=factories.LOGOUT)
    assert is_signed_in(other, app_client)


# --- mode B: redirect_uri and response_type (W 9.3)


def test_redirect_uri_leads_to_the_sign_in_page_with_its_parameters(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    """logout-endpoint page: sign in again, as somebody else perhaps."""
    query = query_of(app_client, nonce="n", state="a+b/c=d&e")
    response = leave(http, **query)
    assert on_login_page(response) == query
    assert not SignInSession.objects.exists()
    assert http.get(response["Location"]).status_code == 200


def test_without_a_scope_all_of_the_clients_are_added(http: Client, app_client: AppClient) -> None:
    """logout-endpoint page."""
    told = on_login_page(leave(http, **query_of(app_client, scope="")))
    assert set(told["scope"].split()) == {"openid", "email", "phone", "profile"}


# --- what is refused (W 9.3: the error page, 400)


@pytest.mark.parametrize(
    "query",
    [
        {"logout_uri": EVIL},
        {"logout_uri": factories.LOGOUT + "x"},
        {"logout_uri": factories.LOGOUT[:-1]},
        {"logout_uri": factories.LOGOUT + "?a=b"},
        {"logout_uri": factories.LOGOUT.upper()},
        {"logout_uri": f"{factories.LOGOUT} {EVIL}"},
        {"logout_uri": factories.CALLBACK},
        {"logout_uri": "//evil.example.test"},
        {"logout_uri": "javascript:alert(1)"},
        {"redirect_uri": EVIL, "response_type": "code"},
        {"redirect_uri": factories.LOGOUT, "response_type": "code"},
        {"redirect_uri": factories.CALLBACK},
        {"post_logout_redirect_uri": EVIL},
        {"post_logout_redirect_uri": factories.LOGOUT + "x"},
        {"post_logout_redirect_uri": factories.CALLBACK},
        {},
    ],
    ids=str,
)
def test_a_target_that_is_not_registered_is_an_error_and_ends_nothing(
    http: Client, app_client: AppClient, user: PoolUser, query: dict[str, str]
) -> None:
    """logout-endpoint page; RP-Initiated Logout 4: no redirect to what is not registered."""
    on_error_page(http, leave(http, client_id=app_client.client_id, **query))
    assert is_signed_in(http, app_client)


@pytest.mark.parametrize("client_id", ["", "nobody", "\x00", "x" * 5_000, "é"])
def test_an_unknown_client_is_an_error(http: Client, app_client: AppClient, user: PoolUser, client_id: str) -> None:
    query = {"client_id": client_id} if client_id else {}
    on_error_page(http, leave(http, logout_uri=factories.LOGOUT, **query))
    assert is_signed_in(http, app_client)


def test_another_clients_logout_url_is_not_enough(http: Client, pool: UserPool, app_client: AppClient) -> None:
    other = factories.make_client(pool, post_logout_redirect_uris="https://other.example.test/")
    on_error_page(http, leave(http, client_id=app_client.client_id, logout_uri="https://other.example.test/"))
    elsewhere = factories.make_client(factories.make_pool())
    on_error_page(http, leave(http, client_id=elsewhere.client_id, logout_uri=factories.LOGOUT))
    assert leave(http, client_id=other.client_id, logout_uri="https://other.example.test/")["Location"]


@pytest.mark.parametrize("name", ["client_id", "logout_uri"])
def test_a_repeated_parameter_is_an_error(http: Client, app_client: AppClient, name: str) -> None:
    query = {"client_id": app_client.client_id, "logout_uri": factories.LOGOUT}
    on_error_page(http, http.get("/logout?" + urlencode([*query.items(), (name, query[name])])))


@pytest.mark.parametrize("query", ["", "&&", "%ff=%ff", "logout_uri=%00"])
def test_what_cannot_be_read_is_an_error(http: Client, pool: UserPool, query: str) -> None:
    on_error_page(http, http.get("/logout?" + query))


# --- RP-Initiated Logout 1.0


def test_an_id_token_of_who_is_signed_in_signs_out_without_a_question(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    """Section 2: id_token_hint, post_logout_redirect_uri, state; section 3: state comes back."""
    hint = tokens_for(http, app_client)["id_token"]
    response = leave(
        http, id_token_hint=hint, post_logout_redirect_uri=factories.LOGOUT, state="a+b/c=d&e", ui_locales="de"
    )
    assert response.status_code == 302
    assert response["Location"].startswith(factories.LOGOUT + "?")
    assert single(urlsplit(response["Location"]).query) == {"state": "a+b/c=d&e"}
    assert not is_signed_in(http, app_client)


def test_without_a_state_the_address_is_the_registered_one(http: Client, app_client: AppClient, user: PoolUser) -> None:
    hint = tokens_for(http, app_client)["id_token"]
    response = leave(
        http, id_token_hint=hint, client_id=app_client.client_id, post_logout_redirect_uri=factories.LOGOUT
    )
    assert response["Location"] == factories.LOGOUT


def test_post_does_the_same(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """Section 2: GET and POST."""
    fields = {"id_token_hint": tokens_for(http, app_client)["id_token"], "post_logout_redirect_uri": factories.LOGOUT}
    response = http.post("/logout", urlencode(fields), content_type=FORM)
    assert response["Location"] == factories.LOGOUT
    assert not is_signed_in(http, app_client)


def test_an_expired_hint_is_good(http: Client, pool: UserPool, app_client: AppClient, user: PoolUser) -> None:
    """Section 2: the OP should accept ID tokens when the RP's session may be over."""
    claims = {"iss": pool.issuer, "sub": user.sub, "aud": app_client.client_id, "token_use": "id", "exp": 1_600_000_000}
    response = leave(http, id_token_hint=forge(pool, "id", claims), post_logout_redirect_uri=factories.LOGOUT)
    assert response["Location"] == factories.LOGOUT


@pytest.mark.parametrize("hinted", [False, True])
def test_who_is_signed_in_is_asked_unless_the_hint_says_that_the_app_knows(
    http: Client, at: At, pool: UserPool, app_client: AppClient, user: PoolUser, hinted: bool
) -> None:
    """Sections 2 and 6: without a hint, or with another user's, any page could sign people out."""
    query = {"client_id": app_client.client_id, "post_logout_redirect_uri": factories.LOGOUT, "state": "s&1"}
    if hinted:
        other = at(pool)
        signed_in(other, factories.make_user(pool, "bob", password=None))
        query["id_token_hint"] = tokens_for(other, app_client)["id_token"]
    page = leave(http, **query)
    assert page.status_code == 200
    assert is_signed_in(http, app_client)
    assert "form-action" not in page["Content-Security-Policy"]  # Chromium would hold the way back against it
    action = "/logout?" + urlencode(query)
    done = http.post(action, urlencode({"_csrf": csrf_of(page), "confirmed": "yes"}), content_type=FORM)
    assert done.status_code == 302
    assert parse_qs(urlsplit(done["Location"]).query) == {"state": ["s&1"]}
    assert not is_signed_in(http, app_client)


def test_the_answer_to_the_question_cannot_be_given_by_another_site(
    at: At, pool: UserPool, app_client: AppClient
) -> None:
    browser = at(pool, enforce_csrf_checks=True)
    signed_in(browser, factories.make_user(pool, password=None))
    query = {"client_id": app_client.client_id, "post_logout_redirect_uri": factories.LOGOUT}
    page = leave(browser, **query)
    action, own = "/logout?" + urlencode(query), "https://demo.auth.example.test"
    for fields, origin in (
        ({"confirmed": "yes"}, own),
        ({"confirmed": "yes", "_csrf": "x" * 64}, own),
        ({"confirmed": "yes", "_csrf": csrf_of(page)}, "https://evil.example.test"),
        ({"confirmed": "yes", "_csrf": csrf_of(page)}, "null"),
    ):
        answer = browser.post(action, urlencode(fields), content_type=FORM, headers={"origin": origin})
        assert answer.status_code == 403
    assert is_signed_in(browser, app_client)
    fields = {"confirmed": "yes", "_csrf": csrf_of(page)}
    done = browser.post(action, urlencode(fields), content_type=FORM, headers={"origin": own})
    assert done["Location"] == factories.LOGOUT


def test_the_confirmation_is_proven_anew(http: Client, app_client: AppClient, user: PoolUser) -> None:
    query = {"client_id": app_client.client_id, "post_logout_redirect_uri": factories.LOGOUT}
    fields = {"_csrf": csrf_of(leave(http, **query)), "confirmed": "yes"}
    for changes in ({"post_logout_redirect_uri": EVIL}, {"client_id": "nobody"}):
        action = "/logout?" + urlencode(query | changes)
        on_error_page(http, http.post(action, urlencode(fields), content_type=FORM))


def test_nobody_is_asked_when_nobody_is_signed_in(http: Client, app_client: AppClient) -> None:
    response = leave(http, client_id=app_client.client_id, post_logout_redirect_uri=factories.LOGOUT)
    assert response["Location"] == factories.LOGOUT


def test_a_hint_alone_ends_on_a_page_of_ours(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """Section 2: post_logout_redirect_uri is optional."""
    response = leave(http, id_token_hint=tokens_for(http, app_client)["id_token"])
    assert response.status_code == 200
    assert "signed out" in response.content.decode()
    assert not is_signed_in(http, app_client)


def test_what_is_not_an_id_token_of_this_client_is_refused(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    """Section 2: the OP must verify that it issued the token, and that client_id matches it."""
    body = tokens_for(http, app_client)
    other_client, other_pool = factories.make_client(pool), factories.make_pool()
    claims = {"iss": pool.issuer, "sub": user.sub, "aud": app_client.client_id, "token_use": "id", "exp": 2**40}
    head, payload, signature = body["id_token"].split(".")
    for hint, client_id in (
        ("garbage", app_client.client_id),
        ("a.b.c", ""),
        (body["access_token"], app_client.client_id),
        (f"{head}.{payload}.{signature[:-6]}AAAAAA", app_client.client_id),
        (f"{head}.{payload}.", ""),
        (forge(other_pool, "id", claims), app_client.client_id),
        (forge(pool, "id", claims | {"iss": other_pool.issuer}), app_client.client_id),
        (forge(pool, "access", claims), app_client.client_id),
        (forge(pool, "id", claims | {"aud": "nobody"}), ""),
        (body["id_token"], other_client.client_id),
    ):
        query = {"id_token_hint": hint, "post_logout_redirect_uri": factories.LOGOUT}
        on_error_page(http, leave(http, **query, **({"client_id": client_id} if client_id else {})))
    assert is_signed_in(http, app_client)


def test_a_disabled_users_session_is_none_to_ask_about(http: Client, app_client: AppClient, user: PoolUser) -> None:
    set_values(user, enabled=False)
    response = leave(http, client_id=app_client.client_id, post_logout_redirect_uri=factories.LOGOUT)
    assert response["Location"] == factories.LOGOUT


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_get_405(http: Client, pool: UserPool, method: str) -> None:
    assert http.generic(method, "/logout").status_code == 405
