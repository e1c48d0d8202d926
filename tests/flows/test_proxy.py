"""examples/haproxy.cfg as the proxy of docker-compose.yml runs it: real HAProxy, two servers that it finds by DNS.

README, "In production": what stands in front passes the Host on as it came and names the browser in X-Forwarded-For.
HAProxy's words: https://docs.haproxy.org/3.2/configuration.html. Behind it stand servers that say what reached them, so
that nothing of Userpool's is needed; tests/flows/test_compose.py is about that.
"""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.composefile import ROOT
from tests.flows.compose import WEB_ADDRESSES, wait_until
from tests.flows.proxy import Names, haproxy_running
from tests.flows.server import certificate
from tests.needs import haproxy, needs_haproxy
from tests.services import free_port

pytestmark = [needs_haproxy, pytest.mark.xdist_group("proxy")]
ONE, OTHER = WEB_ADDRESSES
HOST = "demo.auth.example.test"


class Echo(ThreadingHTTPServer):
    """Says what reached it; answers /readyz with ``ready``."""

    allow_reuse_address = True

    def __init__(self, address: str, port: int) -> None:
        super().__init__((address, port), _Said)
        self.ready = 200
        self.asked = 0
        Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *args: Any) -> None:
        """Say nothing: a health check that has read the status hangs up."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Said(BaseHTTPRequestHandler):
    server: Echo
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        ready = self.path == "/readyz"
        if not ready:
            self.server.asked += 1
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        body = json.dumps({"server": self.server.server_address[0], "path": self.path, "headers": headers}).encode()
        self.send_response(self.server.ready if ready else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amz-cognito-request-id", "request-1")
        if self.headers.get("Connection", "") == "close":
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args: Any) -> None:
        pass


@dataclass
class Proxy:
    """HAProxy on a port of its own, its web servers and its log."""

    port: int
    log: Path
    names: Names
    webs: dict[str, Echo]
    secure_port: int = 0

    def ask(self, path: str = "/", method: str = "GET", **options: Any) -> httpx.Response:
        """Send a request on a connection of its own."""
        headers = {"Host": HOST} | options.pop("headers", {})
        with httpx.Client() as client:
            return client.request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers, **options)

    def reached(self, **options: Any) -> dict[str, list[str]]:
        """Return the headers that a web server sees."""
        found: dict[str, list[str]] = {}
        for name, value in self.ask(**options).json()["headers"]:
            found.setdefault(name, []).append(value)
        return found

    def answering(self) -> set[str]:
        """Return which servers answer, of six requests."""
        answers = [self.ask() for _ in range(6)]
        return {answer.json()["server"] for answer in answers if answer.status_code == 200}


@contextmanager
def proxy(folder: Path, **environment: str) -> Iterator[Proxy]:
    """Run the proxy before two servers that say what reached them."""
    port, secure, web_port = (free_port() for _ in range(3))
    with ExitStack() as stack:
        webs = {address: Echo(address, web_port) for address in WEB_ADDRESSES}
        for web in webs.values():
            stack.callback(web.stop)
        names = stack.enter_context(haproxy_running(folder, port, web_port, secure, **environment))
        yield Proxy(port, folder / "haproxy.log", names, webs, secure)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The proxy with both servers ready."""
    with proxy(tmp_path_factory.mktemp("proxy")) as found:
        wait_until(lambda: found.answering() == set(WEB_ADDRESSES))
        yield found


def test_the_configuration_gives_no_warning() -> None:
    command = [haproxy(), "-c", "-dW", "-f", str(ROOT / "examples/haproxy.cfg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_host_passes_as_it_came(front: Proxy) -> None:
    assert front.reached(headers={"Host": f"{HOST}:8000"})["host"] == [f"{HOST}:8000"]


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "X-Forwarded_For"])
def test_a_browser_cannot_say_that_it_is_somebody_else(front: Proxy, name: str) -> None:
    """To WSGI (PEP 3333, CGI) names with underscores and with dashes are one name."""
    reached = front.reached(headers={name: "203.0.113.9"})
    assert reached["x-forwarded-for"] == ["127.0.0.1"]
    assert not [header for header in reached if "_" in header]


def test_the_proxy_in_front_of_it_may(tmp_path: Path) -> None:
    with proxy(tmp_path, PROXY_BEHIND="127.0.0.1") as found:
        wait_until(lambda: bool(found.answering()))
        reached = found.reached(headers={"X-Forwarded-For": "203.0.113.9"})
        assert ", ".join(reached["x-forwarded-for"]) == "203.0.113.9, 127.0.0.1"
    with proxy(tmp_path, PROXY_BEHIND="192.0.2.1") as found:
        wait_until(lambda: bool(found.answering()))
        assert found.reached(headers={"X-Forwarded-For": "203.0.113.9"})["x-forwarded-for"] == ["127.0.0.1"]


def test_both_answer_in_turn(front: Proxy) -> None:
    before = {address: web.asked for address, web in front.webs.items()}
    for _ in range(10):
        assert front.ask().status_code == 200
    assert {address: web.asked - before[address] for address, web in front.webs.items()} == {ONE: 5, OTHER: 5}


def test_one_that_is_not_ready_gets_no_requests_until_it_is(front: Proxy) -> None:
    front.webs[ONE].ready = 503
    wait_until(lambda: front.answering() == {OTHER})
    front.webs[ONE].ready = 200
    wait_until(lambda: front.answering() == set(WEB_ADDRESSES))


def test_one_that_dies_costs_nobody_an_answer(front: Proxy) -> None:
    front.webs.pop(OTHER).stop()
    assert {front.ask().status_code for _ in range(10)} == {200}
    front.webs[OTHER] = Echo(OTHER, front.webs[ONE].server_address[1])
    wait_until(lambda: front.answering() == set(WEB_ADDRESSES))


def test_one_that_dns_no_longer_names_is_forgotten(front: Proxy) -> None:
    front.names.addresses = [OTHER]
    wait_until(lambda: front.answering() == {OTHER})
    front.names.addresses = list(WEB_ADDRESSES)
    wait_until(lambda: front.answering() == set(WEB_ADDRESSES))


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [("/oauth2/token", 1048576, 200), ("/oauth2/token", 1048577, 413), ("/admin/x", 1048577, 200)],
)
def test_bodies_are_bounded(front: Proxy, path: str, length: int, status: int) -> None:
    before = sum(web.asked for web in front.webs.values())
    assert front.ask(path, "POST", content=b"a" * length).status_code == status
    assert sum(web.asked for web in front.webs.values()) - before == (status == 200)


def test_an_import_is_bounded_as_well(front: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", front.port)) as connection:
        connection.sendall(f"POST /admin/x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 33554433\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_of_unannounced_length_is_refused(front: Proxy) -> None:
    """RFC 9112 6.3: a server may refuse a request without Content-Length by 411. WSGI would read an empty body."""
    assert front.ask("/oauth2/token", "POST", content=iter([b"a=b"])).status_code == 411


def test_figures_are_for_the_inside(front: Proxy) -> None:
    assert front.ask("/metrics").status_code == 404


def logged(front: Proxy, path: str) -> list[dict[str, Any]]:
    lines = [line for line in front.log.read_text().splitlines(keepends=True) if line.startswith("{")]
    return [said for said in map(json.loads, lines) if said["path"] == path]


def test_a_line_of_the_log_says_who_and_what_and_no_query(front: Proxy) -> None:
    front.ask('/login?code=secret-code&state=secret-state&"x"', "POST", content=b"password=secret-word")
    wait_until(lambda: bool(logged(front, "/login")), front.log.read_text)
    [said] = logged(front, "/login")
    assert (said["client"], said["status"], said["method"], said["request_id"]) == (
        "127.0.0.1",
        200,
        "POST",
        "request-1",
    )
    assert "secret" not in front.log.read_text()


def test_it_ends_tls_and_sends_plain_http_there(tmp_path: Path) -> None:
    found = certificate(tmp_path)
    pem = tmp_path / "proxy_certificate"
    pem.write_bytes(found.read_bytes() + found.with_name("key.pem").read_bytes())
    trust = ssl.create_default_context(cafile=str(found))
    with proxy(tmp_path, PROXY_CERTIFICATE=str(pem)) as secure:
        plain = secure.ask("/login?a=b")
        assert (plain.status_code, plain.headers["location"]) == (308, f"https://{HOST}/login?a=b")
        with httpx.Client(verify=trust) as client:
            wait_until(lambda: client.get(f"https://localhost:{secure.secure_port}/").status_code == 200)
