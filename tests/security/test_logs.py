"""Nothing secret in a log line, in ``str`` or ``repr``, or on an error page.

Design D2.10; RFC 6749 10.3 to 10.5 and RFC 9700 4.3 (codes and tokens leak through logs), OWASP's list of what not to
log. Everything is logged at DEBUG, by every logger that exists, and read three ways: as Userpool's JSON line, as the
plain message, and as the values that ``extra`` carried.
"""

import hashlib
import json
import logging
import logging.config
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.apps import apps
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts import opaque, signing
from accounts.authentication import set_password
from accounts.logs import JsonFormatter
from accounts.models import (
    AppClient,
    AuthorizationCode,
    PoolUser,
    RefreshToken,
    SignInSession,
    SignInThrottle,
    UserPool,
)
from federation import tokens as wire
from tests import factories
from tests.browser_like import FORM, csrf_of, open_login, submit_login
from tests.security.steps import basic, issue_code, post, redeem, refresh, userinfo

pytestmark = pytest.mark.django_db
SECRET = "s3cr3t" * 8
PASSWORD = "Right-horse-battery-7"
WRONG = "Wrong-horse-battery-7"
EMAIL = "ada.lovelace@private.example.test"
PHONE = "+441632960001"
STATE, NONCE, VERIFIER = "state-of-the-app", "nonce-of-the-app", "verifier" * 6


class Listener(logging.Handler):
    """Keeps every record as text, in each form in which somebody may read it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.named: list[tuple[str, str]] = []
        """The name of a logger, and a line of it."""
        self.loggers: set[str] = set()
        self._json, self._plain = JsonFormatter(), logging.Formatter("%(name)s %(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        self.loggers.add(record.name)
        extra = {name: value for name, value in vars(record).items() if name not in ("request", "msg", "exc_info")}
        forms = (self._json.format(record), self._plain.format(record), repr(extra))
        self.named += [(record.name, form) for form in forms]

    @property
    def lines(self) -> list[str]:
        return [line for _, line in self.named]


def every_logger() -> list[logging.Logger]:
    known = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    named = ("django.request", "django.security", "django.security.csrf", "django.template", "userpool.request")
    return [logging.getLogger(), *known, *map(logging.getLogger, named)]


@contextmanager
def everything_heard() -> Iterator[Listener]:
    """The settings of production with USERPOOL_LOG_LEVEL=DEBUG, and an ear at every logger."""
    configuration = deepcopy(settings.LOGGING)
    configuration["root"]["level"] = "DEBUG"
    before = [(logger, logger.level, logger.propagate) for logger in every_logger()]
    logging.config.dictConfig(configuration)
    listener = Listener()
    for logger in every_logger():
        logger.addHandler(listener)
        if logger.name.startswith(("django.request", "django.security", "userpool")):
            logger.setLevel(logging.DEBUG)
    try:
        yield listener
    finally:
        for logger in every_logger():
            logger.removeHandler(listener)
        logging.config.dictConfig(settings.LOGGING)
        for logger, level, propagate in before:
            logger.setLevel(level)
            logger.propagate = propagate


@pytest.fixture
def heard() -> Iterator[Listener]:
    with everything_heard() as listener:
        yield listener


@pytest.fixture
def client(pool: UserPool) -> AppClient:
    factories.make_resource_server(pool)
    return factories.make_client(
        pool, secret=SECRET, client_id="1exampleclient23456789abcd", refresh_token_rotation=True, dialect="oidc"
    )


@pytest.fixture
def machine(pool: UserPool, client: AppClient) -> AppClient:
    return factories.make_client(
        pool,
        secret=SECRET,
        client_id="3exampleclient23456789abcd",
        allowed_oauth_flows=["client_credentials"],
        allowed_oauth_scopes=["https://api.example.test/read"],
    )


@pytest.fixture
def user(pool: UserPool) -> PoolUser:
    attributes = {"email": EMAIL, "email_verified": "true", "phone_number": PHONE}
    return factories.make_user(pool, password=PASSWORD, attributes=attributes)


def challenge() -> str:
    return wire.encode(hashlib.sha256(VERIFIER.encode()).digest())


QUERY = {
    "response_type": "code",
    "client_id": "1exampleclient23456789abcd",
    "redirect_uri": factories.CALLBACK,
    "scope": "openid email phone",
    "state": STATE,
    "nonce": NONCE,
    "code_challenge_method": "S256",
}


class Journey:
    """Runs everything that handles secrets, and remembers the secrets."""

    def __init__(self, http: Client, client: AppClient, machine: AppClient, user: PoolUser) -> None:
        self.http, self.client, self.machine, self.user = http, client, machine, user
        self.secrets: set[str] = {SECRET, PASSWORD, WRONG, EMAIL, PHONE, VERIFIER, basic(client.client_id, SECRET)[6:]}
        self.query = QUERY | {"code_challenge": challenge()}
        self.pages: list[str] = []

    def keep(self, *values: str) -> None:
        """Remember bearer values, and their digests, which are what a database would be searched by."""
        for value in values:
            self.secrets |= {value, opaque.digest(value)}
            if value.count(".") == 2:
                self.secrets |= set(value.split(".")[1:])

    def keep_cookies(self) -> None:
        self.keep(*(morsel.value for morsel in self.http.cookies.values() if morsel.value))

    def sign_in(self) -> str:
        refused = submit_login(self.http, self.query, username="ada", password=WRONG)
        unknown = submit_login(self.http, self.query, username="nobody", password=WRONG)
        self.pages += [refused.content.decode(), unknown.content.decode()]
        login, page = open_login(self.http, self.query)
        self.keep(csrf_of(page))
        self.keep_cookies()
        fields = {"_csrf": csrf_of(page), "username": "ada", "password": PASSWORD}
        landed = self.http.post(login, urlencode(fields), content_type=FORM)
        self.keep_cookies()
        code = parse_qs(urlsplit(landed["Location"]).query)["code"][0]
        self.keep(code)
        return code

    def exchange(self) -> None:
        code = self.sign_in()
        wrong = {"client_secret": WRONG, "code_verifier": VERIFIER}
        right = {"client_secret": SECRET, "code_verifier": VERIFIER}
        client_id = self.client.client_id
        assert redeem(self.http, client_id, code, **wrong).status_code == 401
        assert redeem(self.http, client_id, code, client_secret=SECRET, code_verifier="x" * 43).status_code == 400
        body = self.body_of(redeem(self.http, client_id, code, **right))
        userinfo(self.http, body["access_token"])
        userinfo(self.http, body["id_token"])
        userinfo(self.http, body["access_token"][:-4] + "AAAA")
        post(self.http, "/oauth2/userInfo", {"access_token": body["access_token"]})
        self.http.get("/oauth2/userInfo?access_token=" + body["access_token"])
        second = self.body_of(refresh(self.http, client_id, body["refresh_token"], client_secret=SECRET))
        third = self.body_of(refresh(self.http, client_id, second["refresh_token"], client_secret=SECRET))
        refresh(self.http, client_id, body["refresh_token"], client_secret=SECRET)  # reuse: the family dies
        refresh(self.http, client_id, third["refresh_token"], client_secret=SECRET)
        again = redeem(self.http, client_id, code, **right)  # replay
        assert again.status_code == 400
        for token in (third["refresh_token"], third["access_token"], "unknown.token"):
            post(self.http, "/oauth2/revoke", {"token": token}, authorization=basic(client_id, SECRET))
        self.http.get("/oauth2/authorize?" + urlencode(self.query | {"id_token_hint": body["id_token"]}))
        self.http.get("/logout?" + urlencode({"id_token_hint": body["id_token"]}))

    def others(self) -> None:
        header = basic(self.machine.client_id, SECRET)
        fields = {"grant_type": "client_credentials"}
        self.body_of(post(self.http, "/oauth2/token", fields, authorization=header))
        post(self.http, "/oauth2/token", fields, authorization=basic(self.machine.client_id, WRONG))
        for bad in (f"code={WRONG}%FF", f"client_secret={SECRET}&client_secret={SECRET}", f"refresh_token={SECRET}%00"):
            self.http.post("/oauth2/token", bad, content_type=FORM)
        self.http.post("/oauth2/token", json.dumps({"client_secret": SECRET}), content_type="application/json")
        for path in ("/oauth2/authorize", "/login", "/logout", "/error", "/oauth2/nothing"):
            for more in ({"client_id": "nobody"}, {"redirect_uri": "https://evil.test"}, {"code": SECRET}):
                given = self.query | {"login_hint": EMAIL, "code": SECRET, "id_token_hint": SECRET} | more
                self.pages.append(self.http.get(f"{path}?{urlencode(given)}").content.decode())
                error = self.http.get(f"{path}?{urlencode(given)}")
                if error.status_code == 302 and error["Location"].startswith("/error"):
                    self.pages.append(self.http.get(error["Location"]).content.decode())

    def new_password(self) -> None:
        set_password(self.user, "Temporary-horse-1!", temporary=True)
        self.secrets |= {"Temporary-horse-1!", "Fresh-horse-2!"}
        page = submit_login(self.http, self.query, username="ada", password="Temporary-horse-1!")
        proof = page.content.decode().split('name="proof" value="')[1].split('"')[0]
        self.keep(proof)
        login, form = open_login(self.http, self.query)
        for new in ("Fresh", "Fresh-horse-2!"):
            fields = {"action": "new_password", "proof": proof, "new_password": new, "confirm_password": new}
            self.http.post(login, urlencode({**fields, "_csrf": csrf_of(form)}), content_type=FORM)
        self.keep_cookies()

    def body_of(self, response: HttpResponse) -> dict[str, Any]:
        assert response.status_code == 200, response.content
        body: dict[str, Any] = json.loads(response.content)
        self.keep(*(value for name, value in body.items() if name.endswith("_token")))
        return body

    def leaked_in(self, text: str) -> list[str]:
        return sorted(secret for secret in self.secrets if secret and secret in text)


@pytest.fixture
def journey(http: Client, client: AppClient, machine: AppClient, user: PoolUser) -> Journey:
    return Journey(http, client, machine, user)


def test_no_log_line_holds_a_secret(journey: Journey, heard: Listener) -> None:
    journey.exchange()
    journey.others()
    journey.new_password()
    assert len(journey.secrets) > 30
    assert {"userpool.events", "userpool.request", "django.request"} <= heard.loggers
    for line in heard.lines:
        assert journey.leaked_in(line) == [], line[:300]


def test_a_failure_is_logged_with_its_traceback_and_without_secrets(
    journey: Journey, heard: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unexpected, in the places that have secrets at hand: while minting, while hashing, while finishing."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is full")

    code = journey.sign_in()
    with monkeypatch.context() as broken:
        broken.setattr("federation.tokens.mint", fail)
        fields = {"client_secret": SECRET, "code_verifier": VERIFIER}
        minting = redeem(journey.http, journey.client.client_id, code, **fields)
    with monkeypatch.context() as broken:
        broken.setattr("federation.views.userinfo.tokens.verify", fail)
        checking = userinfo(journey.http, SECRET)
    with monkeypatch.context() as broken:
        broken.setattr("accounts.authentication.find_user", fail)
        login, page = open_login(
            Client(headers={"host": "demo.auth.example.test"}), journey.query | {"prompt": "login"}
        )
        fields = {"_csrf": csrf_of(page), "username": EMAIL, "password": PASSWORD}
        signing_in = Client(headers={"host": "demo.auth.example.test"}).post(
            login, urlencode(fields), content_type=FORM
        )
    assert (minting.status_code, minting.json()) == (500, {"error": "server_error"})  # type: ignore[attr-defined]
    assert checking.status_code == 500
    assert "error=server_error" in signing_in["Location"]
    told = minting.content.decode() + checking.content.decode() + signing_in["Location"]
    assert "the disk is full" not in told
    assert sum("RuntimeError: the disk is full" in line for line in heard.lines) >= 3
    for line in heard.lines:
        assert journey.leaked_in(line) == [], line[:300]


def test_no_error_page_shows_a_secret(journey: Journey) -> None:
    journey.exchange()
    journey.others()
    assert len(journey.pages) > 20
    for page in journey.pages:
        # the form of the sign-in page carries the request on, as its address does; an error page carries nothing
        if "<form" not in page:
            assert journey.leaked_in(page) == []
        assert WRONG not in page
        assert PASSWORD not in page


def test_str_and_repr_of_every_row_tell_no_secret(journey: Journey, user: PoolUser) -> None:
    journey.exchange()
    journey.sign_in()
    issue_code(journey.client, user)
    rows = [row for model in apps.get_app_config("accounts").get_models() for row in model._default_manager.all()]
    kinds = {type(row) for row in rows}
    assert {AppClient, AuthorizationCode, PoolUser, RefreshToken, SignInSession, SignInThrottle, UserPool} <= kinds
    hidden = set(journey.secrets)
    for row in rows:
        hidden |= {
            str(getattr(row, name)) for name in ("digest", "salt", "private_jwk", "password") if hasattr(row, name)
        }
    journey.secrets = {value for value in hidden if len(value) > 5}
    for row in rows:
        for text in (str(row), repr(row)):
            assert journey.leaked_in(text) == [], text


def test_repr_of_what_is_passed_around_tells_no_secret(
    pool: UserPool, client: AppClient, user: PoolUser, journey: Journey
) -> None:
    """A dataclass prints all of its fields; some travel through libraries that log what they were given."""
    code = issue_code(client, user)
    presented = AuthorizationCode.present(code, client)
    assert presented is not None
    token = RefreshToken.open(presented.grant, client)
    client.retry_grace_period_seconds = 60
    held = RefreshToken.present(token, client)
    assert held is not None
    successor = RefreshToken.rotate(held, token)
    retried = RefreshToken.present(token, client)
    minted = wire.mint(pool, client, presented.grant, successor)
    key = signing.active_key(pool, "access")
    journey.keep(code, token, successor, minted.access_token, minted.id_token)
    journey.secrets |= {key.jwk.export_private(as_dict=True)["d"]}
    for value in (presented, held, retried, minted, key, presented.grant, presented.grant.subject):
        assert journey.leaked_in(repr(value) + str(value)) == [], type(value)


def test_the_json_line_is_one_line_whatever_it_says() -> None:
    record = logging.LogRecord("userpool", logging.INFO, __file__, 1, "a %s", ('x\n{"level": "forged"}\r\u2028',), None)
    record.client = "a\nb"
    line = JsonFormatter().format(record)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == 'a x\n{"level": "forged"}\r\u2028'
    assert timezone.datetime.fromisoformat(json.loads(line)["time"])
