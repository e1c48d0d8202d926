"""What every response carries, and what browsers of other origins may do.

W 1.3: headers of the userInfo page and of captures, CORS on token, revoke and userInfo; RFC 6749 5.1 (no-store),
RFC 9110 15.5.6 (405), the Fetch standard (preflight). Issue 2 section 3 adds CORS on discovery and JWKS.
"""

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from django.test import Client

from accounts.models import AppClient, UserPool
from tests import factories
from tests.wire.helpers import ask, query_of, signed_in, tokens_for

pytestmark = pytest.mark.django_db
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-XSS-Protection": "1; mode=block",
    "Cache-Control": "no-cache, no-store, max-age=0, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
    "Strict-Transport-Security": "max-age=31536000 ; includeSubDomains",
    "X-Frame-Options": "DENY",
}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
EVERYWHERE = [
    ("GET", "/oauth2/authorize"),
    ("GET", "/authorize"),
    ("GET", "/login"),
    ("GET", "/logout"),
    ("GET", "/error"),
    ("GET", "/oauth2/userInfo"),
    ("POST", "/oauth2/token"),
    ("POST", "/oauth2/revoke"),
    ("PUT", "/oauth2/token"),
    ("PUT", "/login"),
    ("GET", "/nothing/here"),
]
MACHINE = {
    "/oauth2/token": {"POST"},
    "/oauth2/revoke": {"POST"},
    "/oauth2/userInfo": {"GET", "POST"},
    "/.well-known/openid-configuration": {"GET", "HEAD"},
    "/.well-known/jwks.json": {"GET", "HEAD"},
}
PEOPLE = ["/oauth2/authorize", "/login", "/logout", "/error"]


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
def test_every_response_has_cognitos_headers_and_a_request_id(
    http: Client, pool: UserPool, method: str, path: str
) -> None:
    response = http.generic(method, path)
    assert {name: response.get(name) for name in HEADERS} == HEADERS
    assert UUID.fullmatch(response["x-amz-cognito-request-id"])
    assert "Set-Cookie" not in response or "HttpOnly" in response["Set-Cookie"]


def test_every_request_has_its_own_id_whatever_it_sends(http: Client, pool: UserPool) -> None:
    headers = {"x-amz-cognito-request-id": "mine", "x-request-id": "mine"}
    ids = {http.get("/login", headers=headers)["x-amz-cognito-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert "mine" not in ids


def test_a_host_that_nobody_owns_is_a_clean_404(pool: UserPool) -> None:
    """Issue 2 section 3."""
    for host in ("nobody.auth.example.test", "demo.auth.example.test.evil.test", "auth.example.test", "127.0.0.1", "["):
        response = Client(headers={"host": host}).get("/oauth2/authorize")
        assert response.status_code == 404, host
        assert response["X-Content-Type-Options"] == "nosniff"
        assert b"demo" not in response.content


def test_successful_answers_with_secrets_are_never_stored(http: Client, pool: UserPool, app_client: AppClient) -> None:
    """RFC 6749 5.1; a redirect with a code is one as well."""
    signed_in(http, factories.make_user(pool, password=None))
    assert "no-store" in ask(http, query_of(app_client))["Cache-Control"]
    token = tokens_for(http, app_client)["access_token"]
    answer = http.get("/oauth2/userInfo", headers={"authorization": f"Bearer {token}"})
    assert "no-store" in answer["Cache-Control"]
    assert "no-store" in http.get("/login?" + urlencode(query_of(app_client)))["Cache-Control"]


@pytest.mark.parametrize(("path", "methods"), MACHINE.items())
def test_machine_endpoints_answer_any_origin(http: Client, pool: UserPool, path: str, methods: set[str]) -> None:
    """W 1.3: ``*``, and so never credentials."""
    for method in methods:
        response = http.generic(method, path, headers={"origin": "https://spa.example.test"})
        assert response["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response


@pytest.mark.parametrize(("path", "methods"), MACHINE.items())
@pytest.mark.parametrize("asked", ["authorization", "content-type", "x-amz-user-agent"])
def test_preflight_succeeds(http: Client, pool: UserPool, path: str, methods: set[str], asked: str) -> None:
    """Fetch 4.8: an ok status, the origin, the method and the header. ``*`` would not cover authorization."""
    method = max(methods)
    headers = {
        "origin": "https://spa.example.test",
        "access-control-request-method": method,
        "access-control-request-headers": asked,
    }
    response = http.options(path, headers=headers)
    assert 200 <= response.status_code < 300
    assert response.content == b""
    assert response["Access-Control-Allow-Origin"] == "*"
    assert methods <= set(response["Access-Control-Allow-Methods"].split(", "))
    assert asked in response["Access-Control-Allow-Headers"].lower().split(", ")
    assert int(response["Access-Control-Max-Age"]) > 0


@pytest.mark.parametrize("path", PEOPLE)
def test_pages_are_for_no_other_origin(http: Client, pool: UserPool, path: str) -> None:
    """W 1.3: exactly the machine endpoints."""
    for method in ("GET", "OPTIONS"):
        response = http.generic(method, path, headers={"origin": "https://spa.example.test"})
        assert not [name for name in response.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "TRACE", "BREW"])
@pytest.mark.parametrize(("path", "methods"), MACHINE.items())
def test_another_method_is_405_with_an_empty_body(
    http: Client, pool: UserPool, path: str, methods: set[str], method: str
) -> None:
    """W 1.3, W 15; RFC 9110 15.5.6: with Allow."""
    if method in methods:
        return
    response = http.generic(method, path)
    assert (response.status_code, response.content) == (405, b"")
    assert methods <= set(response["Allow"].split(", "))
    assert response["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/oauth2/Token", "/oauth2/userinfo", "/OAuth2/token", "/Login", "/oauth2/token/"])
def test_paths_are_case_sensitive(http: Client, pool: UserPool, path: str) -> None:
    """W 13."""
    assert http.post(path).status_code == 404


def test_a_page_may_load_nothing_from_elsewhere_and_be_framed_by_nobody(
    http: Client, pool: UserPool, app_client: AppClient
) -> None:
    """Issue 2 section 3: strict CSP, clickjacking-safe, no inline script."""
    for response in (http.get("/login?" + urlencode(query_of(app_client))), http.get("/error"), http.get("/nothing")):
        policy = dict(part.strip().split(" ", 1) for part in response["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert policy["base-uri"] == "'none'"
        assert "unsafe" not in response["Content-Security-Policy"]
        assert response["Permissions-Policy"].startswith("camera=(), ")


def test_a_page_may_be_opened_in_a_window_of_its_own_by_an_app(
    http: Client, pool: UserPool, app_client: AppClient
) -> None:
    """HTML 7.1.3: a Cross-Origin-Opener-Policy would cut the app's popup off (oidc-client-ts signinPopup)."""
    assert "Cross-Origin-Opener-Policy" not in http.get("/login?" + urlencode(query_of(app_client)))


@pytest.mark.parametrize("path", ["/.well-known/jwks.json", "/static/hosted/hosted.css", "/healthz"])
def test_what_may_be_kept_is_guarded_like_the_rest(http: Client, pool: UserPool, path: str) -> None:
    response = http.get(path)
    for name in ("X-Content-Type-Options", "X-Frame-Options", "Strict-Transport-Security"):
        assert response[name] == HEADERS[name], name
    assert response["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("reader", [str.lower, str.upper])
def test_the_host_is_compared_without_case_and_port(pool: UserPool, reader: Callable[[str], str]) -> None:
    """RFC 9110 4.2.3."""
    for port in ("", ":8443"):
        client = Client(headers={"host": reader("demo.auth.example.test") + port})
        assert client.get("/error").status_code == 400
