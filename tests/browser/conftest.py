"""A real browser at a real server: Chromium, the pool under a path of the live server, and an app to come back to."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Response, sync_playwright
from pytest_django.live_server_helper import LiveServer

from accounts.models import AppClient, UserPool
from tests import factories, needs


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Chromium itself; each page gets a fresh profile in it."""
    # Playwright keeps an event loop on this thread, which Django takes for asynchronous code
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            # without its sandbox: that needs privileges which a container does not give
            browser = playwright.chromium.launch(
                executable_path=needs.chromium(), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
            )
            yield browser
            browser.close()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@dataclass
class App:
    """The app that the user signs in to: it remembers what came to its callback."""

    callback: str
    received: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """The method and the fields of each answer."""
    sends_on_to: str = ""
    """Where the callback redirects to, as many apps do once they have redeemed the code."""


@pytest.fixture
def app() -> Iterator[App]:
    """An app on a port of its own."""

    class Callback(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            fields = dict(parse_qsl(body or urlsplit(self.path).query, keep_blank_values=True))
            if urlsplit(self.path).path == "/callback":
                app.received.append((self.command, fields))
                if app.sends_on_to:
                    self.send_response(302)
                    self.send_header("Location", app.sends_on_to)
                    self.end_headers()
                    return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(b'<!doctype html><link rel="icon" href="data:,"><title>App</title><h1>In the app</h1>')

        do_GET = do_POST = answer

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    app = App(f"http://localhost:{server.server_port}/callback")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield app
    server.shutdown()
    server.server_close()


@dataclass
class Site:
    """A pool with one client, as a browser reaches them."""

    pool: UserPool
    client: AppClient
    app: App
    base: str

    def authorize(self, **changes: str) -> str:
        """Return the link that the app sends its user to."""
        asked = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.app.callback,
            "scope": "openid email",
            "state": "a state/with+marks=&",
        }
        return f"{self.base}/oauth2/authorize?{urlencode(asked | changes)}"


@pytest.fixture
def site(live_server: LiveServer, settings: Any, transactional_db: None, app: App) -> Site:
    """The pool ``demo``, its client "Acme Notes" and the user ada, under a path of the live server."""
    settings.USERPOOL_ISSUER_BASE_URL = live_server.url
    settings.USERPOOL_DOMAIN_SUFFIX = ""
    settings.USERPOOL_CONSOLE_HOST = "console.localhost"
    settings.HTTPS = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    pool = factories.make_pool("demo", id="eu-west-1_Demo00001", name="Acme")
    client = factories.make_client(
        pool, client_id="1exampleclient23456789abcd", name="Acme Notes", redirect_uris=app.callback
    )
    factories.make_user(pool)
    return Site(pool, client, app, f"{live_server.url}/{pool.pk}")


@dataclass
class Watch:
    """What a page did behind the scenes."""

    requests: list[Request] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def on(self, page: Page) -> None:
        page.on("request", lambda request: self.requests.append(request))
        page.on("response", lambda response: self.responses.append(response))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._console(message.type, message.text))

    def _console(self, kind: str, text: str) -> None:
        # an error page is served with its status, which Chromium mentions
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    def check(self) -> None:
        """No script failed, nothing broke the content security policy, nothing is missing, nobody else was asked."""
        assert self.complaints == []
        hosts = {urlsplit(request.url).hostname for request in self.requests if not request.url.startswith("data:")}
        assert hosts <= {"localhost", "app.localhost"}
        missing = [r.url for r in self.responses if r.status >= 400 and r.request.resource_type != "document"]
        assert missing == []


@pytest.fixture
def browse(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """``browse(width=..., **options of Browser.new_context)``: a page of a fresh profile, watched to its end."""
    opened: list[tuple[Page, Watch]] = []

    def browse(width: int = 1280, height: int = 800, **options: Any) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(10_000)
        page, watch = context.new_page(), Watch()
        watch.on(page)
        opened.append((page, watch))
        return page

    yield browse
    for page, _ in opened:
        page.context.close()
    for _, watch in opened:
        watch.check()
