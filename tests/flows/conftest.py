"""One deployment for all journeys of a test process: a pool applied from a file, served over http and over https."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test.client import ClientHandler, FakePayload
from playwright.sync_api import Page, sync_playwright

from tests import needs
from tests.flows import apps, hygiene, pools
from tests.flows.person import Person
from tests.flows.server import HEARD, Deployment, Server, certificate, deployment, serving
from tests.flows.single_page import SinglePageApp
from tests.security.test_logs import everything_heard

DOMAIN_SUFFIX = "auth.localhost"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


# of the apps that the journeys are about: what they log of themselves is their own affair
COUNTERPARTS = ("authlib", "requests_oauthlib", "social", "urllib3", "asyncio")


@pytest.fixture(autouse=True)
def nothing_secret_in_a_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every journey, whatever it does: no secret of it is in a line that Userpool logged, at DEBUG.

    Design D2.10. In a server process (tests/flows/watched.py), and in this one where Django's test client is used.
    """
    secrets: set[str] = set()
    handle = ClientHandler.__call__

    def noted(self: ClientHandler, environ: dict[str, Any]) -> Any:
        sent = environ["wsgi.input"].read() if environ.get("CONTENT_LENGTH") else b""
        environ["wsgi.input"] = FakePayload(sent)
        response = handle(self, environ)
        body = b"" if response.streaming else response.content
        headers = [*response.items(), *(("Set-Cookie", morsel.OutputString()) for morsel in response.cookies.values())]
        secrets.update(hygiene.of_exchange(environ, sent, headers, body))
        return response

    monkeypatch.setattr(ClientHandler, "__call__", noted)
    with everything_heard() as listener:
        yield
    lines = [line for name, line in listener.named if not name.startswith(COUNTERPARTS)] if secrets else []
    leaks = hygiene.leaks("\n".join(lines), secrets)
    assert not leaks, "a log holds secrets:\n" + "\n".join(leaks[:10])
    for heard in HEARD:
        heard.check()


@pytest.fixture(scope="session")
def browser_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An empty site for a single page app: its address and the folder that it shows."""
    folder = tmp_path_factory.mktemp("browser-app")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/", folder
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def journeys(tmp_path_factory: pytest.TempPathFactory, browser_app: tuple[str, Path]) -> Iterator[Deployment]:
    """The database that holds the pools of pools.py."""
    with deployment(tmp_path_factory.mktemp("journeys")) as found:
        found.apply(pools.pool_file(browser_app[0]), pools.elliptic_pool_file())
        yield found


@pytest.fixture(scope="session")
def server(journeys: Deployment) -> Iterator[Server]:
    """Userpool over http, the pool's endpoints under its issuer."""
    with serving(journeys, pools.POOL_ID, USERPOOL_UPSTREAM_ALLOW_PRIVATE="1") as running:
        yield running


@pytest.fixture(scope="session")
def secure_server(journeys: Deployment) -> Iterator[Server]:
    """Userpool over https, the pool on a domain of its own: the host split of Cognito (W 1.1)."""
    # it calls itself where one pool is another one's identity provider, and then trusts its own certificate
    upstream = {"USERPOOL_UPSTREAM_ALLOW_PRIVATE": "1", "SSL_CERT_FILE": str(certificate(journeys.folder))}
    with serving(journeys, pools.POOL_ID, https=True, domain_suffix=DOMAIN_SUFFIX, **upstream) as running:
        yield running


@pytest.fixture
def person() -> Iterator[Person]:
    """Somebody in front of a fresh browser."""
    person = Person()
    yield person
    person.browser.close()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Node programs of tests/flows/node and the packages that they import."""
    return apps.node_folder(tmp_path_factory.mktemp("node"))


@pytest.fixture
def app(browser_app: tuple[str, Path], node: Path) -> SinglePageApp:
    """A single page app, to be published."""
    return SinglePageApp(*browser_app, packages=node)


@pytest.fixture
def page(secure_server: Server) -> Iterator[Page]:
    """A page of Chromium, which reaches nothing but this machine."""
    with sync_playwright() as playwright:
        # without its sandbox: that needs privileges which a container does not give
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=needs.chromium(), args=options)
        # the certificate is of our own making
        context = browser.new_context(ignore_https_errors=True)
        context.route(lambda url: not (urlsplit(url).hostname or "").endswith("localhost"), lambda route: route.abort())
        yield context.new_page()
        browser.close()
