"""AWS Amplify v6 in a real browser: ``signInWithRedirect``, the session that it keeps, and ``signOut``.

Bundled from the published package and unmodified; the ``domain`` and the ids are its configuration. Amplify speaks
https only, so it meets the server over TLS, on the pool's own domain. Expected is what its documentation promises
("Sign in with web UI", "Manage user sessions") and, for the wire, the AWS pages on the authorize and logout endpoints.

Left out: Amplify refreshes and revokes tokens through Cognito's JSON API, which Userpool does not serve.
"""

from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page

from tests import needs
from tests.flows import pools
from tests.flows.conftest import DOMAIN_SUFFIX
from tests.flows.server import Server
from tests.flows.single_page import SinglePageApp, Watched

pytestmark = [needs.needs_node, needs.needs_chromium]
SIGNED_IN = "window.seen?.events.some(e => e.event === 'signInWithRedirect')"


def publish(app: SinglePageApp, server: Server, client: pools.AppClient, response_type: str = "code") -> None:
    """Configure Amplify as its documentation says."""
    oauth = {
        "domain": f"{pools.DOMAIN}.{DOMAIN_SUFFIX}:{urlsplit(server.base).port}",
        "scopes": ["openid", "email", "profile"],
        "redirectSignIn": [app.address],
        "redirectSignOut": [app.address],
        "responseType": response_type,
    }
    cognito = {"userPoolId": pools.POOL_ID, "userPoolClientId": client.client_id, "loginWith": {"oauth": oauth}}
    app.publish("amplify.mjs", {"Auth": {"Cognito": cognito}})


def silently(page: Page, app: SinglePageApp) -> str:
    """Let Amplify ask for a session without a page; return the error that it reports."""
    app.call(page, "signIn", {"options": {"prompt": "NONE"}})
    page.wait_for_function("window.seen?.error")
    return str(page.evaluate("seen.error"))


@pytest.mark.parametrize("client", [pools.PUBLIC, pools.PUBLIC_OIDC], ids=str)
def test_amplify_signs_in_with_a_code_keeps_the_session_and_signs_out(
    page: Page, secure_server: Server, app: SinglePageApp, client: pools.AppClient
) -> None:
    publish(app, secure_server, client)
    watched = Watched(page)
    app.sign_in(page, {"customState": "/notes?id=7&x=a-b", "options": {"loginHint": pools.USERNAME, "lang": "en"}})
    page.wait_for_function(SIGNED_IN)

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
    page.wait_for_function("Boolean(window.whoAmI)")
    assert page.evaluate("whoAmI()")["userId"] == who["userId"]

    with page.expect_navigation(url=app.address):
        page.evaluate("() => { leave() }")
    assert not page.evaluate("Object.keys(localStorage).some(name => name.endsWith('.accessToken'))")
    assert [name for name, _ in watched.query("/logout")] == ["client_id", "logout_uri"]
    assert silently(page, app) == "OAuthSignInException: login_required"


def test_amplify_signs_in_with_the_implicit_flow(page: Page, secure_server: Server, app: SinglePageApp) -> None:
    publish(app, secure_server, pools.PUBLIC, "token")
    app.sign_in(page, {})
    page.wait_for_function(SIGNED_IN)
    who = page.evaluate("whoAmI()")
    assert who["username"] == who["access"]["username"] == pools.USERNAME
    assert who["id"]["token_use"] == "id"


def test_a_refusal_reaches_amplify(page: Page, secure_server: Server, app: SinglePageApp) -> None:
    """``prompt=none`` without a session: login_required (authorize endpoint page, OpenID Connect Core 3.1.2.6)."""
    publish(app, secure_server, pools.PUBLIC)
    watched = Watched(page)
    assert silently(page, app) == "OAuthSignInException: login_required"
    assert "identity_provider" not in dict(watched.query("/oauth2/authorize"))
    assert not watched.to("/oauth2/token", "POST")
