"""Where a browser may be sent, and where never.

RFC 6749 3.1.2 and 10.15 (open redirectors), RFC 9700 2.1 and 4.1 (exact matching of redirect URIs), RFC 9207 (iss),
OAuth 2.0 Form Post Response Mode 4 (escaping), Cognito's hosted error page (W 3.6) and its sign-out page (W 9.3). Until
client and redirect_uri are proven, nobody is sent anywhere but to our own /error.
"""

import html
import re
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import AppClient, PoolUser, SignInThrottle, UserPool
from tests import factories
from tests.browser_like import FORM, csrf_of, open_login, sign_in
from tests.security.steps import post

pytestmark = pytest.mark.django_db
REGISTERED = "https://app.example.test/callback"
WITH_QUERY = "https://app.example.test/cb?tenant=1"
OWN_SCHEME = "myapp://callback"
LOOPBACK = "http://localhost:8080/cb"

# what an attacker may send instead of REGISTERED
VARIANTS = [
    "https://app.example.test/callback/",
    "https://app.example.test/Callback",
    "https://APP.example.test/callback",
    "HTTPS://app.example.test/callback",
    "https://app.example.test:443/callback",
    "https://app.example.test:8443/callback",
    "https://app.example.test./callback",
    "http://app.example.test/callback",
    "https://app.example.test/callback?",
    "https://app.example.test/callback?x=1",
    "https://app.example.test/callback#",
    "https://app.example.test/callback#fragment",
    "https://app.example.test/callback/../callback",
    "https://app.example.test/./callback",
    "https://app.example.test//callback",
    "https://app.example.test/callback/../../evil",
    "https://app.example.test/callback/%2e%2e/evil",
    "https://app.example.test/callback%2f",
    "https://app.example.test/%63allback",
    "https://app.example.test/callback%00",
    "https://app.example.test/callback%0d%0aSet-Cookie:x=1",
    "https://app.example.test/callbackevil",
    "https://app.example.test/callback.evil.test",
    "https://app.example.test/callbac",
    "https://app.example.test/",
    "https://app.example.test",
    "https://app.example.test.evil.test/callback",
    "https://evil.test/callback",
    "https://evil.test/https://app.example.test/callback",
    "https://evil.test?https://app.example.test/callback",
    "https://evil.test#https://app.example.test/callback",
    "https://evil.test\\@app.example.test/callback",
    "https://evil.test\\.app.example.test/callback",
    "https://app.example.test\\@evil.test/callback",
    "https://app.example.test@evil.test/callback",
    "https://user:password@app.example.test/callback",
    "https://app.example.test%40evil.test/callback",
    "https://app.example.test%2f@evil.test/callback",
    "https:\\\\app.example.test\\callback",
    "https:app.example.test/callback",
    "https:/app.example.test/callback",
    "https:///app.example.test/callback",
    "//app.example.test/callback",
    "///evil.test/callback",
    "/\\evil.test",
    "/callback",
    "callback",
    " https://app.example.test/callback",
    "https://app.example.test/callback ",
    "\thttps://app.example.test/callback",
    "https://app.example.test/callback\r\nLocation: https://evil.test",
    "https://app.example.test/callback\nhttps://evil.test/",
    "https://app.example.test/callback https://evil.test/",
    "https%3A%2F%2Fapp.example.test%2Fcallback",
    "https://app.example.test/callb\u0430ck",
    "https://\uff41pp.example.test/callback",
    "https://app\u3002example.test/callback",
    "https://app.example.test/callback\u200b",
    "https://[::1]/callback",
    "https://*.example.test/callback",
    "https://*/callback",
    "https://app.example.test/*",
    "*",
    "javascript:alert(1)",
    "javascript://app.example.test/callback%0aalert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD4=",
    "vbscript:msgbox(1)",
    "blob:https://app.example.test/1",
    "file:///etc/passwd",
    "about:blank",
    "myapp://callback/",
    "myapp:callback",
    "MYAPP://callback",
    "myapp2://callback",
    "http://localhost/cb",
    "http://localhost:8081/cb",
    "http://127.0.0.1:8080/cb",
    "https://localhost:8080/cb",
    "urn:ietf:wg:oauth:2.0:oob",
    "x" * 2000,
    "null",
]


@pytest.fixture
def client(pool: UserPool) -> AppClient:
    """A client whose callbacks and sign-out addresses have every shape that may be registered."""
    uris = "\n".join([REGISTERED, WITH_QUERY, OWN_SCHEME, LOOPBACK])
    return factories.make_client(
        pool,
        client_id="1exampleclient23456789abcd",
        redirect_uris=uris,
        post_logout_redirect_uris=uris,
        allowed_oauth_flows=["code", "implicit"],
    )


def query(**changes: str) -> dict[str, str]:
    values = {
        "response_type": "code",
        "client_id": "1exampleclient23456789abcd",
        "redirect_uri": REGISTERED,
        "scope": "openid",
    } | changes
    return {name: value for name, value in values.items() if value}


def stays_here(response: HttpResponse) -> bool:
    """Whether the answer is our own page, or sends the browser to /error and nowhere else."""
    if response.status_code in (400, 404):
        return not response.has_header("Location")
    return response.status_code == 302 and response["Location"].startswith("/error?error=")


def ask(http: Client, path: str, fields: dict[str, str], method: str = "GET") -> HttpResponse:
    return post(http, path, fields) if method == "POST" else http.get(f"{path}?{urlencode(fields)}")


@pytest.mark.parametrize(
    ("path", "method"), [("/oauth2/authorize", "GET"), ("/oauth2/authorize", "POST"), ("/login", "GET")]
)
@pytest.mark.parametrize(
    "more",
    [{}, {"prompt": "none"}, {"response_type": "nonsense"}, {"response_type": "token"}, {"scope": "x y"}],
    ids=str,
)
def test_a_redirect_uri_that_is_not_registered_to_the_letter_gets_no_redirect(
    http: Client, client: AppClient, path: str, method: str, more: dict[str, str]
) -> None:
    for uri in VARIANTS:
        response = ask(http, path, query(redirect_uri=uri, **more), method)
        location = response.get("Location", "")
        assert stays_here(response), (uri, response.status_code, location)
        assert "evil" not in location, uri
        assert "app.example.test" not in location, uri
        assert parse_qs(urlsplit(location).query)["error"][0] in ("redirect_mismatch", "invalid_request"), uri


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", ["logout_uri", "post_logout_redirect_uri", "redirect_uri"])
def test_a_sign_out_address_that_is_not_registered_to_the_letter_gets_no_redirect(
    http: Client, client: AppClient, name: str, method: str
) -> None:
    for uri in VARIANTS:
        response = ask(http, "/logout", {"client_id": client.client_id, name: uri, "response_type": "code"}, method)
        assert stays_here(response), (uri, response.status_code, response.get("Location"))
        assert "evil" not in response.get("Location", ""), uri


@pytest.mark.parametrize("uri", [REGISTERED, WITH_QUERY, OWN_SCHEME, LOOPBACK])
def test_what_is_registered_is_reached_byte_for_byte(http: Client, client: AppClient, uri: str) -> None:
    refused = ask(http, "/oauth2/authorize", query(redirect_uri=uri, prompt="none", state="s"))
    joiner = "&" if "?" in uri else "?"
    assert refused["Location"].startswith(f"{uri}{joiner}error")
    out = ask(http, "/logout", {"client_id": client.client_id, "logout_uri": uri})
    assert out["Location"] == uri


@pytest.mark.parametrize(
    "fields",
    [
        {"client_id": "nobody"},
        {"client_id": ""},
        {"client_id": "1EXAMPLECLIENT23456789ABCD"},
        {"client_id": "1exampleclient23456789abcd "},
        {"client_id": "1exampleclient23456789abcd\x00"},
        {"client_id": "%31exampleclient23456789abcd"},
        {"client_id": "x" * 5000},
        {"redirect_uri": ""},
        {"redirect_uri": "", "prompt": "none"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/oauth2/authorize", "/authorize", "/login"])
def test_without_a_proven_client_and_address_nobody_is_redirected(
    http: Client, client: AppClient, fields: dict[str, str], path: str
) -> None:
    for more in ({}, {"prompt": "none"}, {"response_type": ""}, {"code_challenge": "x"}, {"request": "x"}):
        assert stays_here(ask(http, path, query(**more, **{k: v for k, v in fields.items() if k not in more})))


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
@pytest.mark.parametrize("order", ["registered first", "registered last"])
@pytest.mark.parametrize("path", ["/oauth2/authorize", "/login"])
def test_two_clients_or_two_addresses_are_none(
    http: Client, client: AppClient, name: str, order: str, path: str
) -> None:
    """RFC 6749 3.1: parameters must not be repeated. Which of two would win differs from parser to parser."""
    pairs = list(query(prompt="none").items())
    doubled = (name, "https://evil.test/")
    pairs = [*pairs, doubled] if order == "registered first" else [doubled, *pairs]
    response = http.get(f"{path}?{urlencode(pairs)}")
    assert stays_here(response)
    assert "evil" not in response["Location"]


def test_a_semicolon_separates_nothing(http: Client, client: AppClient) -> None:
    raw = f"{urlencode(query(redirect_uri=''))};redirect_uri={quote(REGISTERED, safe='')}"
    assert stays_here(http.get(f"/oauth2/authorize?{raw}"))


def test_another_clients_address_will_not_do(http: Client, client: AppClient, pool: UserPool) -> None:
    factories.make_client(pool, redirect_uris="https://other.example.test/cb", post_logout_redirect_uris="")
    assert stays_here(ask(http, "/oauth2/authorize", query(redirect_uri="https://other.example.test/cb")))


def test_a_callback_is_no_sign_out_address_and_the_other_way_round(http: Client, pool: UserPool) -> None:
    factories.make_client(
        pool,
        client_id="1exampleclient23456789abcd",
        redirect_uris=REGISTERED,
        post_logout_redirect_uris="https://app.example.test/bye",
    )
    fields = {"client_id": "1exampleclient23456789abcd", "logout_uri": REGISTERED}
    assert stays_here(ask(http, "/logout", fields))
    assert stays_here(ask(http, "/oauth2/authorize", query(redirect_uri="https://app.example.test/bye")))


# --- what rides along

NASTY = [
    "a\r\nSet-Cookie: x=1",
    "a\nLocation: https://evil.test/",
    "a&error=access_denied&code=stolen",
    "#code=stolen",
    "?code=stolen",
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "%0d%0aSet-Cookie:x=1",
    "a;b,c d+e/f=g",
    "\u2028\u2029\u0085",
    "é€😀\u202e",
    "\x0b\x0c\x1f",
    "{{ 7 }}{% now %}",
]


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_state_comes_back_as_it_was_sent_and_as_nothing_else(http: Client, client: AppClient, mode: str) -> None:
    for state in NASTY:
        response = ask(http, "/oauth2/authorize", query(prompt="none", state=state, response_mode=mode))
        found = form_of(response) if mode == "form_post" else answer_of(response, mode)
        found.pop("error_description", None)
        assert found == {"error": "login_required", "state": state, "iss": client.user_pool.issuer}
        assert not response.cookies


def form_of(response: HttpResponse) -> dict[str, str]:
    """Return the hidden fields of the page that posts them to REGISTERED, and nothing else in it that could act."""
    page = response.content.decode()
    action = re.search(r'<form method="post" action="([^"]*)"', page)
    assert action
    assert html.unescape(action[1]) == REGISTERED
    assert page.count("<form") == 1
    assert not re.search(r"<script(?! src=)|<img|onerror=alert\(1\)>", page)
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in fields}


def answer_of(response: HttpResponse, mode: str) -> dict[str, str]:
    """Return the parameters in the Location, each there once, and the address before them to the letter."""
    assert not re.search(r"[\x00-\x20\x7f-\uffff]", response["Location"])
    location = urlsplit(response["Location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == REGISTERED
    assert bool(location.query) != bool(location.fragment)
    parsed = parse_qs(location.query if mode == "query" else location.fragment, strict_parsing=True)
    assert {len(values) for values in parsed.values()} == {1}
    return {name: values[0] for name, values in parsed.items()}


@pytest.mark.parametrize("response_type", ["code", "token"])
def test_what_is_issued_travels_with_its_state_and_nothing_between(
    http: Client, client: AppClient, user: PoolUser, response_type: str
) -> None:
    sign_in(http, query())
    expected = {
        "code": {"code", "state", "iss"},
        "token": {"id_token", "access_token", "expires_in", "token_type", "state", "iss"},
    }
    for state in NASTY:
        response = ask(http, "/oauth2/authorize", query(state=state, response_type=response_type))
        found = answer_of(response, "query" if response_type == "code" else "fragment")
        assert set(found) == expected[response_type]
        assert found["state"] == state


@pytest.mark.parametrize("name", ["error", "error_description", "error_uri", "code", "iss", "access_token"])
def test_what_an_app_is_told_is_never_taken_from_the_request(http: Client, client: AppClient, name: str) -> None:
    for value in NASTY:
        response = ask(http, "/oauth2/authorize", query(prompt="none", state="s") | {name: value})
        found = answer_of(response, "query")
        found.pop("error_description", None)
        assert found == {"error": "login_required", "state": "s", "iss": client.user_pool.issuer}
        assert quote(value) not in response["Location"]
        assert urlencode({"": value})[1:] not in response["Location"]


def test_the_error_page_reflects_nothing(http: Client, client: AppClient) -> None:
    for value in NASTY:
        names = ("error", "error_description", "client_id", "request_id", "state", "redirect_uri", "lang", value)
        response = http.get("/error?" + urlencode(dict.fromkeys(names, value)))
        page = response.content.decode()
        assert response.status_code == 400
        for piece in (value, html.escape(value), quote(value)):
            assert len(piece) < 4 or piece not in page
        assert "alert(1)" not in page
        assert "evil.test" not in page


def test_the_sign_in_page_escapes_what_it_shows_again(http: Client, client: AppClient) -> None:
    for value in NASTY:
        login, page = open_login(http, query(login_hint=value, state=value, nonce=value))
        assert not re.search(r"[\x00-\x20]", login)
        fields = {"_csrf": csrf_of(page), "username": value, "password": "wrong"}
        again = http.post(login, urlencode(fields), content_type=FORM)
        for content in (page.content.decode(), again.content.decode()):
            assert "<script>alert" not in content
            assert "<img src=x" not in content
            action = re.search(r'<form[^>]* action="([^"]*)"', content)
            assert action
            assert html.unescape(action[1]).startswith("/login?")
            assert parse_qs(urlsplit(html.unescape(action[1])).query)["state"] == [value]
        assert "script-src 'self'" in page["Content-Security-Policy"]
        assert "'unsafe" not in page["Content-Security-Policy"]


# --- headers


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.test"},
        {"X-Forwarded-Proto": "http"},
        {"X-Forwarded-Port": "81"},
        {"X-Forwarded-Prefix": "/evil"},
        {"X-Forwarded-Server": "evil.test"},
        {"Forwarded": 'for=1.1.1.1;host="evil.test";proto=http'},
        {"X-Original-Host": "evil.test"},
        {"X-HTTP-Host-Override": "evil.test"},
        {"Referer": "https://evil.test/"},
        {"Origin": "https://evil.test"},
        {"Host": "demo.auth.example.test:81"},
        {"Host": "DEMO.AUTH.EXAMPLE.TEST."},
    ],
    ids=str,
)
def test_no_address_is_made_of_a_header(
    client: AppClient, user: PoolUser, pool: UserPool, headers: dict[str, str]
) -> None:
    browser = Client(headers={"host": "demo.auth.example.test", **headers})
    answers = [
        browser.get("/oauth2/authorize?" + urlencode(query())),
        browser.get("/login?" + urlencode(query())),
        browser.get("/oauth2/authorize?" + urlencode(query(prompt="none"))),
        browser.get("/oauth2/authorize?" + urlencode(query(redirect_uri="https://evil.example/"))),
        browser.get("/.well-known/openid-configuration"),
        browser.get("/logout?" + urlencode({"client_id": client.client_id, "logout_uri": REGISTERED})),
    ]
    for response in answers:
        text = response.content.decode() + response.get("Location", "")
        assert "evil.test" not in text
        assert ":81" not in text
    assert answers[0]["Location"].startswith("/login?")
    assert answers[4].json()["authorization_endpoint"] == "https://demo.auth.example.test/oauth2/authorize"


@pytest.mark.parametrize("host", ["evil.test", "demo.auth.example.test.evil.test", "evil.test:443", "id.example.test"])
def test_at_another_host_nothing_is_sent_anywhere(client: AppClient, host: str) -> None:
    browser = Client(headers={"host": host})
    for path in ("/oauth2/authorize", "/login", "/logout", "/error"):
        response = browser.get(f"{path}?{urlencode(query())}")
        assert response.status_code == 404
        assert not response.has_header("Location")


def test_forwarded_addresses_of_strangers_do_not_split_the_lock_out(
    client: AppClient, user: PoolUser, pool: UserPool
) -> None:
    """An attacker who invents X-Forwarded-For must not get a fresh count with each request."""
    browser = Client(headers={"host": "demo.auth.example.test"})
    login, page = open_login(browser, query())
    for number in range(3):
        fields = {"_csrf": csrf_of(page), "username": f"nobody{number}", "password": "x"}
        browser.post(login, urlencode(fields), content_type=FORM, headers={"x-forwarded-for": f"203.0.113.{number}"})
    assert sorted(SignInThrottle.objects.values_list("failures", flat=True)) == [1, 1, 1, 3]


def test_the_path_of_a_mounted_pool_is_no_way_out(client: AppClient, pool: UserPool) -> None:
    """``//evil.test/...`` as a path must not become the Location of anything."""
    browser = Client(headers={"host": "id.example.test"})
    for prefix in ("//evil.test", "/\\evil.test", "//evil.test//", f"//{pool.pk}"):
        response = browser.get(f"{prefix}/oauth2/authorize", QUERY_STRING=urlencode(query()))
        assert not response.get("Location", "").startswith(("//", "/\\", "http"))
