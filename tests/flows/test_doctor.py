"""``manage.py doctor`` as an operator meets it: the database is away, settings contradict, a proxy stands in front.

README (Settings, USERPOOL_TRUSTED_PROXIES) says what a proxy has to pass on; RFC 5737 has the address that is made up.
"""

import http.client
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.doctor import probe
from accounts.doctor.examination import examine
from accounts.doctor.findings import Severity
from tests import factories
from tests.services import free_port
from tests.test_ground import GOOD, manage

KNOWN = {"settings", "database", "issuer", "redis"}


# --- one process, told wrong things


def test_a_database_and_a_redis_that_are_away_are_two_findings_and_the_rest_goes_on(tmp_path: Path) -> None:
    nowhere = {
        "DATABASE_URL": f"postgres://userpool:p4ss%2Fword@127.0.0.1:{free_port()}/userpool",
        "REDIS_URL": f"redis://:r3dis-word@127.0.0.1:{free_port()}/0",
        "USERPOOL_ISSUER_BASE_URL": f"https://localhost:{free_port()}",
        "USERPOOL_DOMAIN_SUFFIX": "",
    }
    result = manage(tmp_path, "doctor", "--json", "--online", **GOOD | nowhere)
    assert result.returncode == 1, result.stderr
    found = json.loads(result.stdout)
    assert {each["part"] for each in found} == KNOWN
    wrong = {(each["part"], each["subject"]) for each in found if each["severity"] == "wrong"}
    assert {("database", "connection"), ("redis", "Redis"), ("issuer", "issuer")} <= wrong
    assert ("settings", "SECRET_KEY", "ok") in {(each["part"], each["subject"], each["severity"]) for each in found}
    for secret in ("p4ss", "r3dis-word", GOOD["SECRET_KEY"], GOOD["USERPOOL_ENCRYPTION_KEYS"], "Traceback"):
        assert secret not in result.stdout + result.stderr, secret


def test_settings_that_stop_the_start_are_said_by_the_doctor_too(tmp_path: Path) -> None:
    result = manage(tmp_path, "doctor", **GOOD | {"USERPOOL_ENCRYPTION_KEYS": "short", "DATABASE_URL": "nonsense"})
    assert result.returncode == 1
    assert "- USERPOOL_ENCRYPTION_KEYS: every key must be 32 bytes" in result.stderr
    assert "- DATABASE_URL: give postgres://" in result.stderr
    assert "Traceback" not in result.stderr


def test_settings_that_contradict_are_wrong_with_their_mend(tmp_path: Path) -> None:
    contradiction = {"USERPOOL_CONSOLE_HOST": "console.auth.example.com", "DATABASE_URL": "", "REDIS_URL": ""}
    result = manage(tmp_path, "doctor", "--part", "settings", **GOOD | contradiction)
    assert result.returncode == 1
    assert "wrong    userpool.E003" in result.stdout
    assert "mend: Give the pools a suffix of their own" in result.stdout


# --- a server, and a proxy in front of it


class Proxy(BaseHTTPRequestHandler):
    """A reverse proxy at 127.0.0.2 as far as the server can see, which does with headers what its class says."""

    upstream: tuple[str, int]
    keeps_host = True
    appends = True

    def do_GET(self) -> None:
        headers = dict(self.headers)
        if not self.keeps_host:
            headers["Host"] = "web.internal:8000"
        if self.appends:
            earlier = headers.get("X-Forwarded-For", "")
            headers["X-Forwarded-For"] = ", ".join(filter(None, [earlier, self.client_address[0]]))
        onward = http.client.HTTPConnection(*self.upstream, source_address=("127.0.0.2", 0))
        onward.request("GET", self.path, headers=headers)
        answer = onward.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        onward.close()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def behind_proxy(live_server: LiveServer, settings: Settings) -> Iterator[type[Proxy]]:
    """A proxy's class, to be told what it does; the issuer's address is the proxy's."""
    upstream = urlsplit(live_server.url)
    kind = type("Kind", (Proxy,), {"upstream": (upstream.hostname, upstream.port)})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    Thread(target=proxy.serve_forever, daemon=True).start()
    settings.USERPOOL_ISSUER_BASE_URL = f"http://localhost:{proxy.server_port}"
    settings.USERPOOL_TRUSTED_PROXIES = ["127.0.0.2"]
    settings.USERPOOL_DOMAIN_SUFFIX = ""
    settings.HTTPS = False
    factories.make_pool()
    yield kind
    proxy.shutdown()
    proxy.server_close()


def outside() -> dict[str, tuple[str, str]]:
    """Severity and words by subject of what is seen from outside."""
    found = list(examine(("issuer", "discovery")))
    assert all(each.mend for each in found if each.severity != Severity.OK)
    return {each.subject: (each.severity.value, each.words) for each in found}


def test_a_proxy_that_does_what_it_should_is_in_order(behind_proxy: type[Proxy]) -> None:
    found = outside()
    assert {severity for severity, _ in found.values()} == {"ok"}, found
    assert set(found) == {
        "issuer", "settings of the web process", "clock", "Host", "browser's address", "discovery",
    }  # fmt: skip
    assert "127.0.0.1 was believed" in found["browser's address"][1]


def test_a_proxy_that_changes_the_host_is_wrong(behind_proxy: type[Proxy]) -> None:
    behind_proxy.keeps_host = False
    found = outside()
    assert found["Host"][0] == found["discovery"][0] == "wrong"
    assert "web.internal:8000 arrived" in found["Host"][1]
    mends = {each.mend for each in examine(("issuer", "discovery")) if each.severity == Severity.WRONG}
    assert all("proxy_set_header Host $host" in mend for mend in mends)


def test_a_proxy_that_lets_anybody_choose_an_address_is_wrong(behind_proxy: type[Proxy]) -> None:
    behind_proxy.appends = False
    assert outside()["browser's address"][0] == "wrong"


def test_a_proxy_that_is_not_trusted_stands_for_every_browser(behind_proxy: type[Proxy], settings: Settings) -> None:
    settings.USERPOOL_TRUSTED_PROXIES = []
    severity, words = outside()["browser's address"]
    assert (severity, "127.0.0.2" in words) == ("warning", True)


def test_a_server_with_another_secret_key_does_not_know_the_doctor(
    behind_proxy: type[Proxy], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "proof", lambda: "somebody else's:proof")
    severity, words = outside()["issuer"]
    assert (severity, "SECRET_KEY" in words) == ("warning", True)


def test_an_issuer_that_is_somebody_elses_is_wrong(behind_proxy: type[Proxy], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.views.discovery.configuration", lambda pool: {"issuer": "https://other.example"})
    severity, words = outside()["discovery"]
    assert (severity, "names another issuer" in words) == ("wrong", True)


# --- what the probe tells, and to whom


@pytest.mark.django_db
def test_nobody_but_the_doctor_is_told_what_arrived(settings: Settings) -> None:
    browser = Client(headers={"host": "id.example.test"})
    for given in ("", "x", "a:b:c", probe.proof()[:-1] + "?", "é" * 4000):
        answer = browser.get("/healthz", headers={probe.HEADER: given})
        assert (answer.status_code, answer.content) == (200, b"ok\n"), given
    asked = probe.proof()
    seen = browser.get("/healthz", headers={probe.HEADER: asked}).json()
    assert seen["host"] == "id.example.test"
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another one " * 5
    assert browser.get("/healthz", headers={probe.HEADER: asked}).json()["host"] == "id.example.test"
    settings.SECRET_KEY_FALLBACKS = []
    assert browser.get("/healthz", headers={probe.HEADER: asked}).content == b"ok\n"
    for secret in (settings.SECRET_KEY, *map(repr, settings.USERPOOL_ENCRYPTION_KEYS)):
        assert secret not in json.dumps(seen)
