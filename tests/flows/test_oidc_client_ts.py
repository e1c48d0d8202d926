"""oidc-client-ts (and so react-oidc-context) in a real browser, given the issuer: all of it cross-origin.

Discovery, keys, token, userInfo and revocation are fetched from a page of another origin, so each must allow it and
answer the preflight of a request with an Authorization header (Fetch 3.2; Cognito: AWS pages on the endpoints).
"""

import pytest
from playwright.sync_api import Page

from tests import needs
from tests.flows import pools
from tests.flows.server import Server
from tests.flows.single_page import SinglePageApp, Watched

pytestmark = [needs.needs_node, needs.needs_chromium]


@pytest.mark.parametrize("client", [pools.PUBLIC, pools.PUBLIC_OIDC], ids=str)
def test_a_single_page_app_signs_in_renews_revokes_and_signs_out(
    page: Page, secure_server: Server, app: SinglePageApp, client: pools.AppClient
) -> None:
    config = {"authority": secure_server.issuer, "client_id": client.client_id, "redirect_uri": app.address}
    config |= {"post_logout_redirect_uri": app.address, "scope": "openid email profile", "loadUserInfo": True}
    app.publish("oidc_client_ts.mjs", config)
    watched = Watched(page)
    app.sign_in(page, {"state": {"page": "/notes"}, "nonce": "n-0S6_WzA2Mj"})
    page.wait_for_function("window.seen?.user || window.seen?.error")
    user = page.evaluate("seen")["user"]
    assert user["state"] == {"page": "/notes"}
    assert user["profile"]["email"] == pools.ATTRIBUTES["email"]
    assert user["profile"]["username"] == pools.USERNAME  # of userInfo
    assert watched.to("/oauth2/userInfo")

    renewed = page.evaluate("renew()")
    assert renewed["accessToken"] != user["accessToken"]
    assert renewed["profile"]["sub"] == user["profile"]["sub"]
    page.evaluate("forget()")
    bearer = {"Authorization": f"Bearer {renewed['accessToken']}"}
    assert secure_server.http.get(f"{secure_server.issuer}/oauth2/userInfo", headers=bearer).status_code == 401

    with page.expect_navigation(url=f"{app.address}?state=*"):
        page.evaluate("() => { leave({ state: 'bye' }) }")
    page.wait_for_function("window.seen?.signedOut")
    assert page.evaluate("seen.signedOut") == "bye"
    app.call(page, "signIn", {"prompt": "none"})
    page.wait_for_function("window.seen?.error")
    assert page.evaluate("seen.error") == "login_required"
