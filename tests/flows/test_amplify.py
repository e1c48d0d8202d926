"""AWS Amplify v6 in a real browser: ``signInWithRedirect``, the session that it keeps, and ``signOut``.

Bundled from the published package and unmodified; the ``domain`` and the ids are its configuration. Amplify speaks
https only, so it meets the server over TLS, on the pool's own domain. Expected is what its documentation promises
("Sign in with web UI", "Manage user sessions") and, for the wire, the AWS pages on the authorize and logout endpoints.

Left out: Amplify refreshes and revokes tokens through Cognito's JSON API, which Userpool does not serve.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, Request, sync_playwright

from tests import needs
from tests.flows import pools
from tests.flows.conftest import DOMAIN_SUFFIX
from tests.flows.server import Server

pytestmark = [needs.needs_node, needs.needs_chromium]
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>App</title>
<script type="application/json" id="config">{config}</script><script src="{script}"></script>"""


@pytest.fixture(scope="module")
def bundle(node: Path, browser_app: tuple[str, Path]) -> str:
    """Bundle the app as its developer would; return the name of the script."""
    command = [str(node / "node_modules" / ".bin" / "esbuild"), str(node / "amplify.mjs"), "--bundle", "--minify"]
    command += ["--format=iife", f"--outfile={browser_app[1] / 'app.js'}", "--log-level=error"]
    subprocess.run(command, check=True, cwd=node)
    return "app.js"


@pytest.fixture
def page(secure_server: Server) -> Iterator[Page]:
    """Chromium, which reaches nothing but this machine."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=needs.chromium(), args=options)
        # the certificate is of our own making
        context = browser.new_context(ignore_https_errors=True)
        context.route(lambda url: not (urlsplit(url).hostname or "").endswith("localhost"), lambda route: route.abort())
        yield context.new_page()
        browser.close()


class Watched:
    """The requests of a page to some path, in order."""

    def __init__(self, page: Page) -> None:
        self.requests: list[Request] = []
        page.on("request", lambda request: self.requests.append(request))

    def to(self, path: str, method: str = "GET") -> list[Request]:
        found = [request for request in self.requests if urlsplit(request.url).path == path]
        return [request for request in found if request.method == method]

    def query(self, path: str) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.to(path)[-1].url).query)


def amplify_page(
    server: Server, site: tuple[str, Path], script: str, response_type: str, client: pools.AppClient
) -> str:
    """Publish the page of an app whose Amplify is configured for the pool; return its address."""
    address, folder = site
    oauth = {
        "domain": f"{pools.DOMAIN}.{DOMAIN_SUFFIX}:{urlsplit(server.base).port}",
        "scopes": ["openid", "email", "profile"],
        "redirectSignIn": [address],
        "redirectSignOut": [address],
        "responseType": response_type,
    }
    cognito = {"userPoolId": pools.POOL_ID, "userPoolClientId": client.client_id, "loginWith": {"oauth": oauth}}
    config = json.dumps({"Auth": {"Cognito": cognito}})
    folder.joinpath("index.html").write_text(PAGE.format(config=config, script=script), encoding="utf-8")
    return address


def sign_in(page: Page, address: str, options: dict[str, Any]) -> None:
    page.goto(address)
    page.evaluate("input => { signIn(input) }", options)
    page.get_by_label("Password", exact=True).fill(pools.PASSWORD)
    if not page.locator("#username").input_value():
        page.locator("#username").fill(pools.USERNAME)
    page.locator("#password").press("Enter")
    page.wait_for_url(f"{address}**")


def silently(page: Page, address: str) -> str:
    """Let Amplify ask for a session without a page; return the error that it reports."""
    page.goto(address)
    page.evaluate("input => { signIn(input) }", {"options": {"prompt": "NONE"}})
    page.wait_for_function("window.seen?.error")
    return str(page.evaluate("seen.error"))


@pytest.mark.parametrize("client", [pools.PUBLIC, pools.PUBLIC_OIDC], ids=str)
def test_amplify_signs_in_with_a_code_keeps_the_session_and_signs_out(
    page: Page, secure_server: Server, browser_app: tuple[str, Path], bundle: str, client: pools.AppClient
) -> None:
    address = amplify_page(secure_server, browser_app, bundle, "code", client)
    watched = Watched(page)
    sign_in(page, address, {"customState": "/notes?id=7&x=a-b", "options": {"loginHint": pools.USERNAME, "lang": "en"}})
    page.wait_for_function("window.seen?.events.some(e => e.event === 'signInWithRedirect')")

    asked = watched.query("/oauth2/authorize")
    names = ["redirect_uri", "response_type", "client_id", "identity_provider", "scope", "login_hint", "lang", "state"]
    assert [name for name, _ in asked] == [*names, "code_challenge", "code_challenge_method"]
    assert dict(asked)["identity_provider"] == "COGNITO"
    exchange = watched.to("/oauth2/token", "POST")[0]
    assert "authorization" not in exchange.headers
    sent = [name for name, _ in parse_qsl(exchange.post_data or "")]
    assert sent == ["grant_type", "code", "client_id", "redirect_uri", "code_verifier"]
    seen = page.evaluate("seen")
    assert "error" not in seen
    assert {"event": "customOAuthState", "data": "/notes?id=7&x=a-b"} in seen["events"]

    who = page.evaluate("whoAmI()")
    assert who["username"] == who["id"]["cognito:username"] == who["access"]["username"] == pools.USERNAME
    assert who["userId"] == who["id"]["sub"] == who["access"]["sub"]
    assert who["id"]["aud"] == who["access"]["client_id"] == client.client_id
    assert who["id"]["email"] == pools.ATTRIBUTES["email"]
    bearer = {"Authorization": f"Bearer {who['accessToken']}"}
    userinfo = secure_server.http.get(f"{secure_server.issuer}/oauth2/userInfo", headers=bearer).json()
    assert userinfo["sub"] == who["userId"]
    page.reload()
    assert page.evaluate("whoAmI()")["userId"] == who["userId"]

    with page.expect_navigation(url=address):
        page.evaluate("() => { leave() }")
    assert not page.evaluate("Object.keys(localStorage).some(name => name.endsWith('.accessToken'))")
    assert [name for name, _ in watched.query("/logout")] == ["client_id", "logout_uri"]
    assert silently(page, address) == "OAuthSignInException: login_required"


def test_amplify_signs_in_with_the_implicit_flow(
    page: Page, secure_server: Server, browser_app: tuple[str, Path], bundle: str
) -> None:
    address = amplify_page(secure_server, browser_app, bundle, "token", pools.PUBLIC)
    sign_in(page, address, {})
    page.wait_for_function("window.seen?.events.some(e => e.event === 'signInWithRedirect')")
    who = page.evaluate("whoAmI()")
    assert who["username"] == who["access"]["username"] == pools.USERNAME
    assert who["id"]["token_use"] == "id"


def test_a_refusal_reaches_amplify(
    page: Page, secure_server: Server, browser_app: tuple[str, Path], bundle: str
) -> None:
    """``prompt=none`` without a session: login_required (authorize endpoint page, OpenID Connect Core 3.1.2.6)."""
    address = amplify_page(secure_server, browser_app, bundle, "code", pools.PUBLIC)
    watched = Watched(page)
    assert silently(page, address) == "OAuthSignInException: login_required"
    assert "identity_provider" not in dict(watched.query("/oauth2/authorize"))
    assert not watched.to("/oauth2/token", "POST")
