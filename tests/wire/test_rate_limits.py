"""429: who is refused, how it looks, and whom it leaves alone.

W 1.4 (quotas page: requests per second of one source address, of one app client and in all, each per domain;
jwks.json has one of its own, far beyond). RFC 6585 4 (429, Retry-After), RFC 9110 10.2.3. Windows are so long here
that none ends during a test; tests/unit/test_rate_limits.py turns the clock.
"""

import json
import logging
import re
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts import event_words, metrics, rate_limits, shared_counts
from accounts.models import AppClient, AuthEvent, PoolUser, SignInRequest, UserPool
from tests import console, factories
from tests.browser_like import FORM
from tests.wire.helpers import ask, basic, inline_code, post, query_of, refresh, signed_in, tokens_for

pytestmark = pytest.mark.django_db
MACHINES = [
    ("POST", "/oauth2/token"),
    ("POST", "/oauth2/revoke"),
    ("GET", "/oauth2/userInfo"),
    ("OPTIONS", "/oauth2/token"),
]
PEOPLE = [
    ("GET", "/oauth2/authorize"),
    ("POST", "/oauth2/authorize"),
    ("GET", "/authorize"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/logout"),
    ("GET", "/error"),
    ("GET", "/oauth2/idpresponse"),
    ("POST", "/oauth2/idpresponse"),
    ("POST", "/saml2/idpresponse"),
    ("POST", "/saml2/logout"),
    ("GET", "/saml2/metadata"),
    ("GET", "/nothing"),
]
OFF = 0


@pytest.fixture(autouse=True)
def _long_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "WINDOW", 600.0)


@pytest.fixture
def limit(settings: Any) -> Callable[..., None]:
    """``limit(address=3)``: three requests of an address, and no other limit."""

    def set_limits(address: int = OFF, client: int = OFF, pool: int = OFF) -> None:
        settings.USERPOOL_RATE_LIMIT_ADDRESS = address
        settings.USERPOOL_RATE_LIMIT_CLIENT = client
        settings.USERPOOL_RATE_LIMIT_POOL = pool

    return set_limits


def statuses(times: int, send: Callable[[], HttpResponse]) -> list[int]:
    return [send().status_code for _ in range(times)]


def error_from(http: Client, address: str) -> int:
    return int(http.get("/error", REMOTE_ADDR=address).status_code)


# --- the answer


@pytest.mark.parametrize(("method", "path"), MACHINES)
def test_programs_get_json(http: Client, pool: UserPool, limit: Any, method: str, path: str) -> None:
    """As other errors of these endpoints look (RFC 6749 5.2, CORS of W 1.3), with words whatever the dialect."""
    limit(address=1)
    http.get("/error")
    response = http.generic(method, path, headers={"origin": "https://spa.example.test"})
    assert response.status_code == 429
    assert response["Content-Type"] == "application/json;charset=UTF-8"
    assert response.json() == {
        "error": "too_many_requests",
        "error_description": "Too many requests. Wait a second, then try again.",
    }
    assert response["Retry-After"] == "1"
    assert "no-store" in response["Cache-Control"]
    assert response["Access-Control-Allow-Origin"] == "*"
    assert "Retry-After" in response["Access-Control-Expose-Headers"].split(", ")
    assert "WWW-Authenticate" not in response


@pytest.mark.parametrize(("method", "path"), PEOPLE)
def test_people_get_a_page_that_leads_nowhere(http: Client, pool: UserPool, limit: Any, method: str, path: str) -> None:
    limit(address=1)
    http.get("/error")
    for _ in range(2):  # the second comes from memory
        response = http.generic(method, f"{path}?redirect_uri=https://app.example.test/<script>&state=s")
        text = response.content.decode()
        assert response.status_code == 429
        assert response["Content-Type"] == "text/html; charset=utf-8"
        assert "<h1>One moment, please</h1>" in text
        assert response["Retry-After"] == "1"
        assert "no-store" in response["Cache-Control"]
        assert "default-src 'none'" in response["Content-Security-Policy"]
        assert "Location" not in response
        assert "Refresh" not in response
        assert not response.cookies
        assert "app.example.test" not in text
        assert re.findall(r'<code id="request-id">([^<]+)<', text) == [response["x-amz-cognito-request-id"]]
        assert inline_code(response) == []
        assert pool.name in text


def test_the_page_is_the_pools_own(at: Any, pool: UserPool, limit: Any) -> None:
    other = factories.make_pool("other")
    limit(pool=1)
    for one in (pool, other):
        browser = at(one)
        assert browser.get("/error").status_code == 400
        assert one.name in browser.get("/error").content.decode()


def test_the_rest_of_a_flood_asks_nothing_of_the_database(
    http: Client, app_client: AppClient, limit: Any, django_assert_num_queries: Any
) -> None:
    limit(address=1)
    http.get("/login")
    http.get("/login")
    with django_assert_num_queries(0):
        for _, path in PEOPLE:
            assert http.post(path, f"client_id={app_client.client_id}", content_type=FORM).status_code == 429


def test_a_flood_is_one_line_of_the_log(
    http: Client, pool: UserPool, limit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limit(address=2)
    with caplog.at_level(logging.INFO):
        assert statuses(20, lambda: post(http, "/oauth2/token", {})).count(429) == 18
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [line for line in lines if "rate" in line or "Too Many" in line] == [
        f"over the rate limit: address:{pool.pk}:127.0.0.1"
    ]


@pytest.mark.parametrize(
    ("limits", "reason"), [({"address": 1}, "rate_address"), ({"client": 1}, "rate_client"), ({"pool": 1}, "rate_pool")]
)
@pytest.mark.parametrize(("path", "kind"), [("/oauth2/token", "TokenRequest"), ("/logout", "SignIn")])
def test_an_operator_finds_why_without_a_flood_of_rows(
    http: Client,
    app_client: AppClient,
    limit: Any,
    limits: dict[str, int],
    reason: str,
    path: str,
    kind: str,
) -> None:
    limit(**limits)
    counted = {"kind": reason.removeprefix("rate_")}
    before = metrics.REGISTRY.get_sample_value("userpool_rate_limited_total", counted) or 0
    fields = {"client_id": app_client.client_id}
    found = [post(http, path, fields) for _ in range(6)]
    assert [response.status_code for response in found[1:]] == [429] * 5
    event = AuthEvent.objects.get(error="too_many_requests")
    assert (event.reason, event.event_type, event.outcome) == (reason, kind, "refused")
    assert event.client_id == (app_client.client_id if "client" in limits else "")
    assert (event.address, event.request_id) == ("127.0.0.1", found[1]["x-amz-cognito-request-id"])
    assert metrics.REGISTRY.get_sample_value("userpool_rate_limited_total", counted) == before + 5
    assert "USERPOOL_RATE_LIMIT_" in event_words.why(reason)


# --- of one address


def test_an_address_has_its_limit_and_takes_nothing_from_another(http: Client, pool: UserPool, limit: Any) -> None:
    limit(address=3)
    assert statuses(5, lambda: http.get("/error", REMOTE_ADDR="192.0.2.1")) == [400, 400, 400, 429, 429]
    assert error_from(http, "192.0.2.2") == 400


def test_whoever_has_an_ipv6_network_has_one_limit(http: Client, pool: UserPool, limit: Any) -> None:
    """RFC 4291 2.5.1: the /64."""
    limit(address=2)
    found = [error_from(http, f"2001:db8:0:1::{n}") for n in (1, 2, 3)]
    assert found == [400, 400, 429]
    assert error_from(http, "2001:db8:0:2::1") == 400
    assert [error_from(http, address) for address in ("::ffff:192.0.2.9", "192.0.2.9", "192.0.2.9")] == [400, 400, 429]


def test_behind_a_proxy_the_browsers_address_counts(http: Client, pool: UserPool, limit: Any, settings: Any) -> None:
    settings.USERPOOL_TRUSTED_PROXIES = ["127.0.0.1"]
    limit(address=1)

    def send(forwarded: str) -> int:
        return int(http.get("/error", headers={"x-forwarded-for": forwarded}).status_code)

    assert [send("192.0.2.1"), send("192.0.2.1"), send("192.0.2.2"), send("evil, 192.0.2.1")] == [400, 429, 400, 429]


def test_an_address_cannot_be_made_up(http: Client, pool: UserPool, limit: Any) -> None:
    limit(address=1)
    for number in range(3):
        forged = {
            "x-forwarded-for": f"192.0.2.{number}",
            "x-real-ip": f"192.0.2.{number}",
            "forwarded": "for=192.0.2.9",
        }
        assert http.get("/error", headers=forged).status_code == (429 if number else 400)


def test_where_the_address_is_unknown_only_the_other_limits_hold(http: Client, pool: UserPool, limit: Any) -> None:
    """A server on a Unix socket gives none; all browsers as one would be refused together."""
    limit(address=1, pool=3)
    assert [error_from(http, "") for _ in range(4)] == [400, 400, 400, 429]


def test_a_flood_of_sign_ins_at_a_provider_costs_no_more_rows_than_the_limit(
    http: Client, pool: UserPool, limit: Any
) -> None:
    """Each begun sign-in is a row (SignInRequest): one address can fill the table no faster than its limit."""
    provider = factories.make_oidc_provider(
        pool, provider_details={**factories.make_oidc_provider(pool, "Spare").provider_details, **ENDPOINTS}
    )
    client = factories.make_client(pool)
    client.identity_providers.add(provider)
    limit(address=4)
    query = query_of(client, identity_provider="Corp")
    found = [ask(http, query) for _ in range(10)]
    assert [response.status_code for response in found] == [302] * 4 + [429] * 6
    assert all(response["Location"].startswith(ENDPOINTS["authorize_url"]) for response in found[:4])
    assert SignInRequest.objects.count() == 4
    assert statuses(3, lambda: http.get("/oauth2/idpresponse?state=x&code=y")) == [429] * 3


ENDPOINTS = {
    "authorize_url": "https://idp.example.test/authorize",
    "token_url": "https://idp.example.test/token",
    "attributes_url": "https://idp.example.test/userinfo",
    "jwks_uri": "https://idp.example.test/keys",
}


# --- of one app client


def naming(http: Client, how: str, client_id: str) -> Callable[[], HttpResponse]:
    """Return a request that names ``client_id`` in one of the ways there are."""
    fields = {"grant_type": "client_credentials", "client_id": client_id}
    query = urlencode({"client_id": client_id})
    return {
        "query of authorize": lambda: http.get(f"/oauth2/authorize?{query}"),
        "form of authorize": lambda: post(http, "/oauth2/authorize", {"client_id": client_id}),
        "query of login": lambda: http.get(f"/login?{query}"),
        "query of a login form": lambda: post(http, f"/login?{query}", {"username": "ada"}),
        "query of logout": lambda: http.get(f"/logout?{query}"),
        "form of logout": lambda: post(http, "/logout", {"client_id": client_id}),
        "query of a logout form": lambda: post(http, f"/logout?{query}", {"confirmed": "1"}),
        "form of token": lambda: post(http, "/oauth2/token", fields),
        "header of token": lambda: post(
            http, "/oauth2/token", {"grant_type": "client_credentials"}, basic(client_id, "wrong")
        ),
        "form of revoke": lambda: post(http, "/oauth2/revoke", {"token": "x", "client_id": client_id}),
        "header of revoke": lambda: post(http, "/oauth2/revoke", {"token": "x"}, basic(client_id, "wrong")),
    }[how]


WAYS = [
    *("query of authorize", "form of authorize", "query of login", "query of a login form", "query of logout"),
    *("form of logout", "query of a logout form", "form of token", "header of token", "form of revoke"),
    "header of revoke",
]


@pytest.mark.parametrize("how", WAYS)
def test_a_client_is_counted_wherever_it_is_named(
    http: Client, app_client: AppClient, secret_client: AppClient, limit: Any, how: str
) -> None:
    limit(client=2)
    found = statuses(4, naming(http, how, app_client.client_id))
    assert 429 not in found[:2]
    assert found[2:] == [429, 429]
    assert naming(http, how, secret_client.client_id)().status_code != 429


def test_the_form_of_the_sign_in_page_does_not_say_which_client_it_is_for(
    http: Client, app_client: AppClient, secret_client: AppClient, limit: Any
) -> None:
    limit(client=1)
    for _ in range(2):
        response = post(http, f"/login?client_id={app_client.client_id}", {"client_id": secret_client.client_id})
    assert response.status_code == 429
    assert http.get(f"/login?client_id={secret_client.client_id}").status_code == 302


@pytest.mark.parametrize("how", WAYS)
def test_a_client_that_does_not_exist_is_not_counted(
    http: Client, pool: UserPool, limit: Any, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or made-up names would fill the memory. Another pool's client is none."""
    limit(client=1)
    stranger = factories.make_client(factories.make_pool("other"))
    for name in (stranger.client_id, "nobody", "", "x" * 200, "\x00", "é"):
        assert 429 not in statuses(3, naming(http, how, name))
    assert len(rate_limits._tenants) == 0


def test_a_plus_sign_in_a_basic_header_does_not_hide_a_client(http: Client, pool: UserPool, limit: Any) -> None:
    """RFC 6749 2.3.1 and what clients do instead: both readings of the header are tried."""
    client = factories.make_client(pool, client_id="a+b+exampleclient", secret=True)
    limit(client=1)
    found = statuses(2, naming(http, "header of token", client.client_id))
    found += statuses(1, lambda: post(http, "/oauth2/token", {}, basic("a%2Bb%2Bexampleclient", "x")))
    assert found == [400, 429, 429]


def test_a_body_that_was_looked_into_is_still_read_by_its_endpoint(
    http: Client, app_client: AppClient, user: PoolUser, limit: Any
) -> None:
    limit(address=100, client=100, pool=100)
    signed_in(http, user)
    given = tokens_for(http, app_client)
    assert refresh(http, app_client, given["refresh_token"]).status_code == 200
    assert rate_limits._tenants._counts[f"client:{app_client.user_pool_id}:{app_client.client_id}"].own > 2


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/json", b'{"client_id": "%s"}'), (FORM, b"client_id=%s&a=%%ff"), (FORM, b"\xff"), (FORM, b"")],
)
def test_an_unreadable_body_names_nobody(
    http: Client, app_client: AppClient, limit: Any, content_type: str, body: bytes
) -> None:
    limit(client=1)
    sent = body.replace(b"%s", app_client.client_id.encode()).replace(b"%%", b"%")
    assert statuses(3, lambda: http.generic("POST", "/oauth2/token", sent, content_type=content_type)) == [400] * 3


# --- of a pool, and all together


def test_a_pool_has_its_limit_wherever_requests_come_from(http: Client, pool: UserPool, limit: Any) -> None:
    limit(pool=3)
    assert [error_from(http, f"192.0.2.{n}") for n in range(5)] == [400, 400, 400, 429, 429]


def test_what_an_address_is_refused_is_not_taken_from_its_client_or_pool(
    http: Client, app_client: AppClient, limit: Any
) -> None:
    """Or one address could shut everybody out by going on after its own limit."""
    limit(address=2, client=3, pool=4)
    path = f"/login?client_id={app_client.client_id}"
    assert statuses(10, lambda: http.get(path, REMOTE_ADDR="192.0.2.1")) == [302, 302, *[429] * 8]
    assert http.get(path, REMOTE_ADDR="192.0.2.2").status_code == 302  # the client's third
    assert http.get(path, REMOTE_ADDR="192.0.2.2").status_code == 429
    assert error_from(http, "192.0.2.3") == 400  # the pool's fourth
    assert error_from(http, "192.0.2.4") == 429


def test_a_full_pool_looks_no_client_up(
    http: Client, pool: UserPool, limit: Any, django_assert_num_queries: Any
) -> None:
    """Made-up client ids from many addresses cost a look-up each, up to the pool's limit and no further."""
    limit(client=5, pool=1)
    http.get("/login?client_id=nobody")
    http.get("/error")  # its page is in memory from here on
    with django_assert_num_queries(0):
        assert statuses(5, lambda: http.get(f"/login?client_id=nobody{len(rate_limits._tenants)}x")) == [429] * 5


def test_one_pools_flood_does_not_touch_another(at: Any, pool: UserPool, app_client: AppClient, limit: Any) -> None:
    other = factories.make_pool("other")
    limit(address=2, client=2, pool=2)
    path = f"/login?client_id={app_client.client_id}"
    assert statuses(4, lambda: at(pool).get(path))[2:] == [429, 429]
    assert 429 not in statuses(2, lambda: at(other).get(path))
    mounted = Client(headers={"host": "id.example.test"})
    assert mounted.get(f"/{pool.pk}/error").status_code == 429  # by another name the same pool
    assert mounted.get(f"/{other.pk}/error").status_code == 429


def test_what_is_not_counted(http: Client, pool: UserPool, limit: Any) -> None:
    """The issuer's documents (Cognito: 50,000 a second), static files, health, and the console."""
    limit(address=1, client=1, pool=1)
    documents = ("/.well-known/jwks.json", "/.well-known/openid-configuration", "/healthz", "/static/hosted/hosted.css")
    for path in documents:
        assert statuses(3, lambda path=path: http.get(path)) == [200] * 3, path  # type: ignore[misc]
    assert statuses(3, lambda: console.browser().get("/admin/login/")) == [200] * 3
    assert http.get("/error").status_code == 400
    assert http.get("/error").status_code == 429
    assert statuses(2, lambda: http.get(documents[0])) == [200] * 2


def test_nought_is_no_limit(http: Client, app_client: AppClient, limit: Any) -> None:
    limit()
    assert 429 not in statuses(20, lambda: http.get(f"/login?client_id={app_client.client_id}"))
    assert len(rate_limits._tenants) + len(rate_limits._addresses) == 0


# --- Redis away


@pytest.mark.parametrize("answers", [False, True], ids=["nobody listens", "it never answers"])
def test_without_its_redis_a_process_counts_by_itself_and_nobody_is_told(
    http: Client, secret_client: AppClient, limit: Any, settings: Any, answers: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Issue 5: Redis down, sign-ins and tokens go on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answers:
            listener.listen(50)
        settings.REDIS_URL = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        shared_counts.forget()
        limit(address=5, client=5, pool=5)
        with caplog.at_level(logging.WARNING):
            found = statuses(8, naming(http, "header of token", secret_client.client_id))
        assert found == [400] * 5 + [429] * 3
        assert sum("Redis is away" in record.getMessage() for record in caplog.records) == 1
        login = {"username": "opal", "password": "Operators-own-1"}
        console.operator()
        assert console.browser().post("/admin/login/", login).status_code == 302
        guesses = [console.browser().post("/admin/login/", {**login, "password": "x"}) for _ in range(11)]
        assert "Too many failed attempts" in guesses[-1].content.decode()
        assert json.loads(http.get("/.well-known/jwks.json").content)["keys"]
    shared_counts.forget()
