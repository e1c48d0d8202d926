"""Bad input: the documented refusal, never a 500, never a traceback in the log, never a redirect to the unproven.

Issue 2, section 6. RFC 6749 3.1 and 3.2 (unknown parameters are ignored, repeated ones refused, empty ones omitted),
5.2 and 4.1.2.1 (errors), RFC 6750 3.1, RFC 7515 and RFC 8725 (what a JWT may not get away with), RFC 9110 15.5.6
(405 and Allow).
"""

import base64
import hmac
import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.http import HttpResponse
from django.test import Client
from jwcrypto import jwk

from accounts import signing
from accounts.models import AppClient, PoolUser, RefreshToken, UserPool
from federation import tokens as wire
from tests import factories
from tests.browser_like import FORM, csrf_of, open_login
from tests.security.steps import basic, issue_code, post, redeem, tokens_of, userinfo

pytestmark = pytest.mark.django_db
SECRET = "s" * 51
PUBLIC, CONFIDENTIAL = "1exampleclient23456789abcd", "2exampleclient23456789abcd"

# raw, percent-encoded as they go over the wire: what is no UTF-8 cannot be said in a str
RAW = {
    "empty": "",
    "a space": "+",
    "NUL": "a%00b",
    "only NUL": "%00",
    "overlong UTF-8": "%C0%AF",
    "not UTF-8": "%FF%FE",
    "half a character": "%E2%82",
    "lone surrogate": "%ED%A0%80",
    "broken percent": "%zz%",
    "CRLF": "a%0D%0Ab",
    "control characters": "%01%1F%7F",
    "high planes": quote("\U0010ffff\U0001f600\u202e\ufeff"),
    "not a number": "NaN",
    "negative": "-1",
    "a large number": "9" * 400,
    "other digits": quote("\u0661\u0662\u00b2"),
    "JSON": quote('{"a":[1,2,{"b":null}]}'),
    "markup": quote('"><script>alert(1)</script>'),
    "SQL": quote("' OR 1=1; DROP TABLE users; --"),
    "a format": quote("%s %(x)s {0} {x.__class__}"),
    "a path": quote("../../etc/passwd"),
    "a JWT without a signature": "eyJhbGciOiJub25lIn0.e30.",
    "long": "x" * 3000,
    "longer than any limit": "x" * 15_000,
    "too long for a query": "x" * 20_000,
    "too long for a body": "x" * 80_000,
}


class Tracebacks(logging.Handler):
    """Collects what must not happen: an ERROR, or a record with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.found.append(logging.Formatter().format(record))


@pytest.fixture(autouse=True)
def tracebacks() -> Iterator[Tracebacks]:
    handler = Tracebacks()
    root = logging.getLogger()
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    assert handler.found == []


@pytest.fixture(autouse=True)
def _clients(app_client: AppClient, secret_client: AppClient, user: PoolUser) -> None:
    """Both clients and ada are there for every test."""


def judge(response: HttpResponse, what: object) -> HttpResponse:
    """Assert what holds for any answer to bad input; return it."""
    location = response.get("Location", "")
    assert response.status_code in (200, 302, 304, 400, 401, 403, 404, 405, 413, 414), (response.status_code, what)
    if response.status_code == 302:
        assert location.startswith(("/error?", "/login?", f"{factories.CALLBACK}?", f"{factories.CALLBACK}#")) or (
            location == factories.LOGOUT
        ), (location, what)
    assert "\n" not in location, what
    if response.get("Content-Type", "").startswith("application/json") and response.status_code >= 400:
        assert set(json.loads(response.content)) <= {"error", "error_description"}, what
    for secret in ("Traceback", "accounts_", "django", "psycopg", "sqlite"):
        assert secret not in response.content.decode().replace("userpool", ""), what
    return response


def send(http: Client, method: str, path: str, raw: str) -> HttpResponse:
    """Send ``raw``, already encoded, as query or as form body."""
    if method == "POST":
        return http.post(path, raw, content_type=FORM)
    return http.generic(method, path, QUERY_STRING=raw)


AUTHORIZE = {
    "response_type": "code",
    "client_id": PUBLIC,
    "redirect_uri": factories.CALLBACK,
    "scope": "openid email",
    "state": "s",
    "nonce": "n",
    "identity_provider": "COGNITO",
    "idp_identifier": "",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
    "lang": "en",
    "ui_locales": "en",
    "login_hint": "ada",
    "prompt": "",
    "resource": "https://api.example.test",
    "acr_values": "1",
    "max_age": "60",
    "response_mode": "query",
    "id_token_hint": "",
    "request": "",
    "request_uri": "",
    "claims": "",
    "display": "page",
    "registration": "",
}
LOGOUT = {
    "client_id": PUBLIC,
    "logout_uri": factories.LOGOUT,
    "post_logout_redirect_uri": "",
    "redirect_uri": "",
    "response_type": "code",
    "id_token_hint": "",
    "state": "s",
    "scope": "openid",
    "nonce": "",
}
TOKEN_CODE = {
    "grant_type": "authorization_code",
    "client_id": PUBLIC,
    "code": "x",
    "redirect_uri": factories.CALLBACK,
    "code_verifier": "v" * 43,
    "client_secret": "",
    "scope": "",
    "aws_client_metadata": "",
}
TOKEN_REFRESH = {
    "grant_type": "refresh_token",
    "client_id": CONFIDENTIAL,
    "client_secret": SECRET,
    "refresh_token": "x" * 22 + ".y",
    "scope": "",
}
TOKEN_MACHINE = {
    "grant_type": "client_credentials",
    "client_id": CONFIDENTIAL,
    "client_secret": SECRET,
    "scope": "openid",
    "resource": "",
}
REVOKE = {"token": "x", "client_id": CONFIDENTIAL, "client_secret": SECRET, "token_type_hint": "refresh_token"}
ENDPOINTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "authorize": ("GET", "/oauth2/authorize", AUTHORIZE),
    "authorize by POST": ("POST", "/oauth2/authorize", AUTHORIZE),
    "the login page": ("GET", "/login", AUTHORIZE),
    "logout": ("GET", "/logout", LOGOUT),
    "logout by POST": ("POST", "/logout", LOGOUT),
    "error": ("GET", "/error", {"error": "x", "request_id": "x", "client_id": "x"}),
    "code": ("POST", "/oauth2/token", TOKEN_CODE),
    "refresh": ("POST", "/oauth2/token", TOKEN_REFRESH),
    "client_credentials": ("POST", "/oauth2/token", TOKEN_MACHINE),
    "revoke": ("POST", "/oauth2/revoke", REVOKE),
    "userInfo": ("POST", "/oauth2/userInfo", {"access_token": "x"}),
    "discovery": ("GET", "/.well-known/openid-configuration", {"x": "y"}),
    "keys": ("GET", "/.well-known/jwks.json", {"x": "y"}),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_parameter_of_every_endpoint_bears_every_bad_value(http: Client, endpoint: str) -> None:
    method, path, fields = ENDPOINTS[endpoint]
    given = {name: value for name, value in fields.items() if value}
    for name in [*fields, "unknown", "", "user", "client", "scopes", "__class__"]:
        for label, raw in RAW.items():
            rest = urlencode({key: value for key, value in given.items() if key != name})
            judge(send(http, method, path, f"{quote(name)}={raw}&{rest}"), (name, label))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_parameter_may_be_missing_repeated_or_badly_named(http: Client, endpoint: str) -> None:
    method, path, fields = ENDPOINTS[endpoint]
    given = urlencode({name: value for name, value in fields.items() if value})
    for name in fields:
        without = urlencode({key: value for key, value in fields.items() if value and key != name})
        for raw in (
            without,
            f"{given}&{name}=twice",
            f"{name}=twice&{given}",
            f"{without}&{name}",
            f"{without}&{name}=",
            f"{without}&{name}[]=x&{name}[0]=y",
            f"{without}&{name}%00=x&%FF=x&%ED%A0%80=x",
            f"{without}&{name.upper()}=x",
        ):
            judge(send(http, method, path, raw), (name, raw[:200]))
    for raw in ("", "&", "&&&=&=&", "=", "====", "%", ";", "?", "a" * 500, "&".join(f"p{n}=1" for n in range(3000))):
        judge(send(http, method, path, raw), raw[:50])


def test_a_repeated_parameter_is_refused_where_the_rfc_forbids_it(http: Client) -> None:
    """RFC 6749 3.1 and 3.2. At authorize the app is told; client_id and redirect_uri: the hosted page."""
    for name in ("scope", "state", "response_type", "nonce", "code_challenge", "prompt", "response_mode"):
        raw = urlencode([*((k, v) for k, v in AUTHORIZE.items() if v), (name, "twice")])
        location = judge(http.get(f"/oauth2/authorize?{raw}"), name)["Location"]
        assert location.startswith(f"{factories.CALLBACK}?")
        assert "error=invalid_request" in location
    for fields in (TOKEN_CODE, TOKEN_REFRESH, TOKEN_MACHINE):
        for name in fields:
            raw = urlencode([*((k, v) for k, v in fields.items() if v), (name, "1"), (name, "2")])
            response = http.post("/oauth2/token", raw, content_type=FORM)
            assert (response.status_code, response.json()) == (400, {"error": "invalid_request"})


def test_names_of_the_engine_s_own_attributes_are_mere_parameters(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    """What a request object calls client, user or scopes must come from us, whatever a form field is called."""
    names = (
        *("client", "user", "scopes", "decoded_body", "headers", "duplicate_params", "uri_query", "token", "_params"),
        *("response_mode", "extra_credentials", "using_default_redirect_uri", "validator", "http_method", "body"),
    )
    injected = dict.fromkeys(names, "injected")
    code = issue_code(app_client, user, scope="openid")
    response = redeem(http, PUBLIC, code, **injected)
    assert response.status_code == 200
    claims = json.loads(wire.decode(json.loads(response.content)["access_token"].split(".")[1]))
    assert (claims["sub"], claims["scope"], claims["client_id"]) == (user.sub, "openid", PUBLIC)
    assert redeem(http, "", issue_code(app_client, user), **injected).status_code == 400


# --- methods and media types

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "QUERY", "get")
ALLOWED = {
    "/oauth2/authorize": {"GET", "POST"},
    "/authorize": {"GET", "POST"},
    "/oauth2/token": {"POST"},
    "/oauth2/userInfo": {"GET", "POST"},
    "/oauth2/revoke": {"POST"},
    "/login": {"GET", "HEAD", "POST"},
    "/logout": {"GET", "HEAD", "POST"},
    "/error": {"GET", "HEAD"},
    "/.well-known/openid-configuration": {"GET", "HEAD"},
    "/.well-known/jwks.json": {"GET", "HEAD"},
}


@pytest.mark.parametrize("path", ALLOWED)
def test_a_method_that_an_endpoint_does_not_have_is_a_405_that_names_those_it_has(http: Client, path: str) -> None:
    for method in METHODS:
        response = judge(http.generic(method, path), method)
        if method.upper() in ALLOWED[path]:
            assert response.status_code != 405, method
        else:
            assert response.status_code == 405, method
            assert set(response["Allow"].replace(" ", "").split(",")) - {"OPTIONS"} == ALLOWED[path]
            assert response.content == b""


POSTED = ("/oauth2/token", "/oauth2/revoke", "/oauth2/userInfo", "/oauth2/authorize", "/logout")
MEDIA = [
    "",
    "application/json",
    "text/plain",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "multipart/form-data; boundary=" + "x" * 300,
    "multipart/mixed; boundary=x",
    '"application/x-www-form-urlencoded"',
    "application/x-www-form-urlencoded; charset=utf-16",
    "application/x-www-form-urlencoded; charset=latin-1",
    "application/x-www-form-urlencoded; charset=nonsense",
    "application/x-www-form-urlencoded;;;;",
    "application/x-www-form-urlencodedx",
    "APPLICATION/X-WWW-FORM-URLENCODED",
    "application/xml",
    "x" * 5000,
    "\xff\xfe",
]
BODIES = [
    b"",
    b"{}",
    b'{"grant_type":"client_credentials"}',
    b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\nx\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="username"; filename="a"\r\n\r\nx\r\n--x--\r\n',
    b"--x\r\nContent-Disposition",
    b'--x\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: form-data; name="a"\r\n\r\n!\r\n--x--',
    b"\xff\xfe\x00grant_type=\x00",
    "grant_type=größe".encode(),
    b"grant_type=" + b"x" * 600_000,
    b"a=1&" * 5000,
    b"confirmed=1",
]


@pytest.mark.parametrize(
    "path", ["/oauth2/token", "/oauth2/revoke", "/oauth2/userInfo", "/oauth2/authorize", "/logout"]
)
def test_any_media_type_with_any_body_gets_an_answer(http: Client, path: str) -> None:
    for media in MEDIA:
        for body in BODIES:
            response = judge(http.generic("POST", path, body, content_type=media), (media, body[:60]))
            assert response.status_code != 200, (media, body[:60])


@pytest.mark.parametrize("enforce", [True, False], ids=["checked", "unchecked"])
def test_the_sign_in_form_bears_any_media_type_with_any_body(http: Client, enforce: bool) -> None:
    http.handler.enforce_csrf_checks = enforce
    login, page = open_login(http, {name: value for name, value in AUTHORIZE.items() if value})
    token = csrf_of(page)
    for media in MEDIA:
        for body in BODIES:
            sent = f"_csrf={token}&".encode() + body if b"--x" not in body else body
            judge(http.generic("POST", login, sent, content_type=media), (media, body[:60]))


@pytest.mark.parametrize(
    "field", ["username", "password", "action", "proof", "new_password", "corporate_email", "_csrf"]
)
def test_every_field_of_the_sign_in_form_bears_every_bad_value(
    http: Client, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.passwords.Argon2idHasher.memory_cost", 64)
    monkeypatch.setitem(__import__("accounts.throttling").throttling.FREE_FAILURES, "address", 10_000)
    login, page = open_login(http, {name: value for name, value in AUTHORIZE.items() if value})
    for action in ("", "corporate", "new_password"):
        given = {"_csrf": csrf_of(page), "username": "ada", "password": "x", "action": action}
        for label, raw in RAW.items():
            rest = urlencode({key: value for key, value in given.items() if key != field})
            response = judge(send(http, "POST", login, f"{rest}&{field}={raw}"), (action, label))
            assert "userpool_session" not in response.cookies


@pytest.mark.parametrize("length", ["-1", "abc", "", "1e3", "9" * 30, "\u00b2", "\u0661", "0x10", " 5", "5, 5"])
@pytest.mark.parametrize(
    "path", ["/oauth2/token", "/oauth2/revoke", "/oauth2/userInfo", "/oauth2/authorize", "/logout"]
)
def test_a_content_length_that_is_none_gets_a_refusal(http: Client, path: str, length: str) -> None:
    """A front server should refuse it; if one does not, we do."""
    for body in (b"", b"grant_type=client_credentials&access_token=x&token=y"):
        response = http.generic("POST", path, body, CONTENT_TYPE=FORM, CONTENT_LENGTH=length)
        assert judge(response, length).status_code != 200


class Broken(io.BytesIO):
    """A client that goes away in the middle of its body."""

    def read(self, *_: Any) -> bytes:
        raise OSError("the client is gone")

    readline = read


@pytest.mark.parametrize(
    "path", ["/oauth2/token", "/oauth2/revoke", "/oauth2/userInfo", "/oauth2/authorize", "/logout", "/login"]
)
def test_a_body_that_breaks_off_is_a_bad_request(http: Client, path: str) -> None:
    login = f"/login?{urlencode({name: value for name, value in AUTHORIZE.items() if value})}"
    target = login if path == "/login" else path
    extra: dict[str, Any] = {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": "20", "wsgi.input": Broken(b"x" * 20)}
    response = http.generic("POST", target, **extra)
    judge(response, path)


# --- headers

HUGE = "x" * 60_000
AUTHORIZATION = [
    "",
    " ",
    "Basic",
    "Basic ",
    "Basic  " + basic(CONFIDENTIAL, SECRET)[6:],
    "basic " + basic(CONFIDENTIAL, "wrong")[6:],
    "Basic !!!!",
    "Basic " + base64.b64encode(b"no colon").decode(),
    "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
    "Basic " + base64.b64encode(b"a\x00b:c\x00d").decode(),
    "Basic " + base64.b64encode(b"%00%FF%ED%A0%80:%zz%").decode(),
    "Basic " + base64.b64encode(b":").decode(),
    "Basic " + base64.b64encode(b":::::").decode(),
    "Basic " + base64.b64encode((HUGE + ":" + HUGE).encode()).decode(),
    "Basic " + base64.b64encode("größe:pass wörd".encode()).decode(),
    "Basic " + base64.b64encode(f"{CONFIDENTIAL}:{SECRET}".encode()).decode().rstrip("=") + "=====",
    "Basic \xff\xfe",
    "Bearer",
    "Bearer ",
    "Bearer a b",
    "Bearer \xff.\xfe.\x00",
    "Bearer " + HUGE,
    "Bearer " + "." * 10_000,
    "Bearer ..",
    "Digest username=x",
    "DPoP x.y.z",
    "Negotiate " + HUGE,
    "\x00",
    HUGE,
]


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/revoke", "/oauth2/userInfo"])
def test_any_authorization_header_gets_an_answer(http: Client, path: str) -> None:
    for header in AUTHORIZATION:
        for fields in (TOKEN_REFRESH, REVOKE, {"grant_type": "client_credentials"}):
            raw = urlencode({name: value for name, value in fields.items() if value})
            response = http.post(path, raw, content_type=FORM, HTTP_AUTHORIZATION=header)
            judge(response, header[:60])
            if header and path == "/oauth2/userInfo":
                assert response.status_code in (400, 401)
                assert response["WWW-Authenticate"].isascii()
        judge(http.get("/oauth2/userInfo", HTTP_AUTHORIZATION=header), header[:60])


COOKIES = [
    "userpool_session=" + "x" * 43,
    "userpool_session=" + "\xff" * 43,
    "userpool_session=" + "x" * 60_000,
    "userpool_session=" + "x" * 42 + "\x00",
    "userpool_session=" + "%00" * 20,
    "XSRF-TOKEN=" + "x" * 60_000,
    "XSRF-TOKEN=\xff\xfe",
    "XSRF-TOKEN=" + "x" * 32,
    "XSRF-TOKEN=" + "x" * 64,
    "; ".join(f"c{n}={n}" for n in range(5000)),
    ";;;===;;; =; =",
    '"' * 1000,
    "sessionid=x; userpool_console=y",
    "\xff\xfe=\x00",
]


@pytest.mark.parametrize("path", ["/oauth2/authorize", "/login", "/logout", "/oauth2/token", "/oauth2/userInfo"])
def test_any_cookie_gets_an_answer(http: Client, path: str) -> None:
    raw = urlencode({name: value for name, value in (LOGOUT if path == "/logout" else AUTHORIZE).items() if value})
    for cookie in COOKIES:
        judge(http.generic("GET", path, QUERY_STRING=raw, HTTP_COOKIE=cookie), cookie[:60])
        judge(http.generic("POST", path, raw.encode(), content_type=FORM, HTTP_COOKIE=cookie), cookie[:60])
        if path == "/login":
            judge(http.generic("POST", f"{path}?{raw}", b"a=b", content_type=FORM, HTTP_COOKIE=cookie), cookie[:60])


@pytest.mark.parametrize(
    "name", ["ACCEPT_LANGUAGE", "ACCEPT", "REFERER", "ORIGIN", "USER_AGENT", "IF_NONE_MATCH", "RANGE"]
)
def test_any_other_header_gets_an_answer(http: Client, name: str) -> None:
    raw = urlencode({key: value for key, value in AUTHORIZE.items() if value})
    for value in ("", "\x00", "\xff\xfe", HUGE, ",;,;=,", "*", '"', "W/", "null", "bytes=0-0,-1"):
        for path in ("/login", "/oauth2/authorize", "/.well-known/jwks.json", "/error"):
            judge(http.get(f"{path}?{raw}", **{f"HTTP_{name}": value}), (path, value[:20]))


# --- signed tokens

Forge = Callable[[dict[str, Any], dict[str, Any]], str]


def b64(data: bytes | str) -> str:
    return wire.encode(data.encode() if isinstance(data, str) else data)


def compact(header: Any, payload: Any, sign: Callable[[bytes], bytes]) -> str:
    head = b64(header if isinstance(header, str) else json.dumps(header))
    body = b64(payload if isinstance(payload, str) else json.dumps(payload))
    return f"{head}.{body}.{b64(sign(f'{head}.{body}'.encode()))}"


@pytest.fixture
def good(http: Client, app_client: AppClient, user: PoolUser) -> dict[str, Any]:
    """A token response of ada's."""
    return tokens_of(http, app_client, user)


def forgeries(pool: UserPool, good: dict[str, Any]) -> dict[str, str]:
    """Every token that must not pass for the access token in ``good``, by what is wrong with it."""
    token = good["access_token"]
    head, body, signature = token.split(".")
    header, payload = json.loads(wire.decode(head)), json.loads(wire.decode(body))
    access, identity = signing.active_key(pool, "access"), signing.active_key(pool, "id")
    stranger = jwk.JWK.generate(kty="RSA", size=2048)
    curve = signing.KeyPair("ec", "ES256", "access", jwk.JWK.generate(kty="EC", crv="P-256"))
    public_pem = access.jwk.export_to_pem()
    public_jwk = json.dumps(json.loads(access.jwk.export_public()), separators=(",", ":")).encode()

    def hs256(secret: bytes) -> Callable[[bytes], bytes]:
        return lambda data: hmac.digest(secret, data, "sha256")

    def with_key(key: signing.KeyPair, **changes: Any) -> str:
        return compact(header, payload | changes, key.sign)

    foreign = signing.KeyPair("x", "RS256", "access", stranger)
    now = int(time.time())
    deep = '{"kid":"x","a":' + "[" * 5000 + "]" * 5000 + "}"
    return {
        "alg none": f"{b64(json.dumps(header | {'alg': 'none'}))}.{body}.",
        "alg None with the signature": f"{b64(json.dumps(header | {'alg': 'None'}))}.{body}.{signature}",
        "no signature": f"{head}.{body}.",
        "no dots at the end": f"{head}.{body}",
        "HS256 with the public key as PEM": compact(header | {"alg": "HS256"}, payload, hs256(public_pem)),
        "HS256 with the public key as JWK": compact(header | {"alg": "HS256"}, payload, hs256(public_jwk)),
        "HS256 with nothing": compact(header | {"alg": "HS256"}, payload, hs256(b"")),
        "HS256 with the key id": compact(header | {"alg": "HS256"}, payload, hs256(header["kid"].encode())),
        "an ES256 signature": compact(header | {"alg": "ES256"}, payload, curve.sign),
        "an ES256 signature of nought": compact(header | {"alg": "ES256"}, payload, lambda _: b"\0" * 64),
        "the claims changed": f"{head}.{b64(json.dumps(payload | {'scope': 'openid profile'}))}.{signature}",
        "the header changed": f"{b64(json.dumps(header | {'x': 1}))}.{body}.{signature}",
        "a stranger's signature": with_key(foreign),
        "the key in the header": compact(header | {"jwk": json.loads(stranger.export_public())}, payload, foreign.sign),
        "an address of keys in the header": compact(header | {"jku": "https://evil.test/jwks"}, payload, foreign.sign),
        "the key for ID tokens under the access key's id": with_key(identity),
        "the ID token": good["id_token"],
        "claims of an access token under the ID key": compact(header | {"kid": identity.kid}, payload, identity.sign),
        "token_use id under the access key": with_key(access, token_use="id"),
        "no token_use": compact(header, {k: v for k, v in payload.items() if k != "token_use"}, access.sign),
        "expired": with_key(access, exp=now - 1),
        "expired this second": with_key(access, exp=now),
        "exp as text": with_key(access, exp=str(now + 600)),
        "exp as a fraction": with_key(access, exp=now - 0.5),
        "exp as a list": with_key(access, exp=[now + 600]),
        "exp null": with_key(access, exp=None),
        "no exp": compact(header, {k: v for k, v in payload.items() if k != "exp"}, access.sign),
        "another issuer": with_key(access, iss="https://id.example.test/eu-west-1_Other"),
        "the issuer with a slash": with_key(access, iss=payload["iss"] + "/"),
        "the issuer in a list": with_key(access, iss=[payload["iss"]]),
        "no issuer": compact(header, {k: v for k, v in payload.items() if k != "iss"}, access.sign),
        "another client": with_key(access, client_id=CONFIDENTIAL),
        "no client": with_key(access, client_id=None),
        "another user": with_key(access, sub="00000000-0000-4000-8000-000000000000"),
        "another grant": with_key(access, origin_jti="00000000-0000-4000-8000-000000000000"),
        "no openid": with_key(access, scope="email"),
        "openid inside a word": with_key(access, scope="openidx xopenid"),
        "an unknown kid": compact(header | {"kid": "x"}, payload, access.sign),
        "kid null": compact(header | {"kid": None}, payload, access.sign),
        "kid a list": compact(header | {"kid": [access.kid]}, payload, access.sign),
        "kid an object": compact(header | {"kid": {"a": 1}}, payload, access.sign),
        "kid with a path": compact(header | {"kid": "../../dev/null"}, payload, access.sign),
        "no kid": compact({"alg": "RS256"}, payload, access.sign),
        "an extra segment": f"{token}.{signature}",
        "an empty extra segment": f"{token}.",
        "a leading dot": f".{token}",
        "five segments": f"{head}.{body}.{body}.{body}.{signature}",
        "a comma": f"{token},{token}",
        "a cut signature": token[:-4],
        "a longer signature": token + "AAAA",
        "a header that is no JSON": compact("{", payload, access.sign),
        "a header that is a list": compact("[]", payload, access.sign),
        "a header that is a number": compact("1" * 5000, payload, access.sign),
        "a header that is deep": compact(deep, payload, access.sign),
        "a header in UTF-16": f"{b64(json.dumps(header).encode('utf-16'))}x.{body}.{signature}",
        "a header with a lone surrogate": compact('{"kid":"\\ud800"}', payload, access.sign),
        "a body that is no JSON": compact(header, "{", access.sign),
        "a body that is a list": compact(header, "[]", access.sign),
        "a body that is null": compact(header, "null", access.sign),
        "a body that is deep": compact(header, "[" * 4000 + "]" * 4000, access.sign),
        "a body that is not UTF-8": f"{head}.{b64(b'{' + bytes([255]) + b'}')}.{signature}",
        "a very long token": compact(header, payload | {"x": "x" * 20_000}, access.sign),
        "standard base64": token.replace("-", "+").replace("_", "/") if "-" in token or "_" in token else "x.y.z",
        "padded": f"{head}.{body}.{signature}==",
        "padded head": f"{head}{'=' * (-len(head) % 4)}.{body}.{signature}" if len(head) % 4 else "x.y.z",
        "stray bits in the last character": token[:-1] + chr(ord(token[-1]) + 1),
        "white space inside": f"{head}.{body}.\n{signature}",
        "a JWE": f"{head}.{body}.{signature}.{body}.{signature}",
        "the refresh token": good["refresh_token"],
        "words": "not a token",
    }


def test_no_forged_or_foreign_token_opens_userinfo(http: Client, pool: UserPool, good: dict[str, Any]) -> None:
    assert userinfo(http, good["access_token"]).status_code == 200
    for wrong, token in forgeries(pool, good).items():
        response = judge(userinfo(http, token), wrong)
        assert response.status_code in (400, 401), wrong
        in_body = judge(post(http, "/oauth2/userInfo", {"access_token": token}), wrong)
        assert in_body.status_code in (400, 401), wrong
    assert userinfo(http, good["access_token"]).status_code == 200


def test_no_forged_or_foreign_token_revokes_anything(
    http: Client, pool: UserPool, app_client: AppClient, good: dict[str, Any]
) -> None:
    app_client.dialect = "oidc"  # which takes access tokens here
    app_client.save()
    # the first is no forgery here; of a token that we signed, neither user nor scope is asked here
    harmless = {"the refresh token", "another user", "no openid", "openid inside a word"}
    for wrong, token in forgeries(pool, good).items():
        if wrong in harmless:
            continue
        judge(post(http, "/oauth2/revoke", {"token": token, "client_id": PUBLIC}), wrong)
        assert RefreshToken.objects.filter(revoked_at=None).exists(), wrong
    assert userinfo(http, good["access_token"]).status_code == 200


def test_no_forged_or_foreign_token_passes_for_a_hint(http: Client, pool: UserPool, good: dict[str, Any]) -> None:
    hints = forgeries(pool, good)
    hints["the access token"] = good["access_token"]
    del hints["the ID token"]
    fields = {name: value for name, value in AUTHORIZE.items() if value} | {"prompt": "none"}
    for wrong, hint in hints.items():
        judge(http.get("/oauth2/authorize?" + urlencode(fields | {"id_token_hint": hint})), wrong)
        response = judge(http.get("/logout?" + urlencode({"id_token_hint": hint})), wrong)
        refused = response.get("Location", "").startswith("/error?error=invalid_request")
        assert refused or response.status_code == 414, wrong


def test_an_rsa_token_does_not_fit_a_pool_that_signs_with_es256(http: Client, user: PoolUser) -> None:
    """RFC 8725 3.1: the algorithm is the key's. After a change of algorithm the old key still verifies its own."""
    pool = user.user_pool
    pool.signing_algorithm = "ES256"
    pool.save()
    client = factories.make_client(pool)
    before = tokens_of(http, client, user)["access_token"]
    signing.rotate(pool, at_once=True)
    after = tokens_of(http, client, user)["access_token"]
    assert json.loads(wire.decode(after.split(".")[0]))["alg"] == "ES256"
    assert (userinfo(http, before).status_code, userinfo(http, after).status_code) == (200, 200)
    old, new = json.loads(wire.decode(before.split(".")[0])), json.loads(wire.decode(after.split(".")[0]))
    for header, token in ((old | {"kid": new["kid"]}, before), (new | {"kid": old["kid"]}, after)):
        _, body, signature = token.split(".")
        assert userinfo(http, f"{b64(json.dumps(header))}.{body}.{signature}").status_code == 401
