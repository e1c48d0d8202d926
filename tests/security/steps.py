"""The steps of a journey, each one request, for tests that care about what happens between them.

A code is issued in the database, as /oauth2/authorize would after a sign-in: argon2id has no part in a race.
"""

import base64
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import AppClient, AuthorizationCode, PoolUser
from tests import factories
from tests.browser_like import FORM


def issue_code(client: AppClient, user: PoolUser, **values: Any) -> str:
    """Return a live code of ``user`` for ``client``, to be sent to factories.CALLBACK."""
    defaults: dict[str, Any] = {
        "redirect_uri": factories.CALLBACK,
        "scope": "openid email profile",
        "auth_time": timezone.now(),
    }
    return AuthorizationCode.issue(app_client=client, user=user, **defaults | values)


def post(browser: Client, path: str, fields: dict[str, str], **headers: str) -> HttpResponse:
    """Send a form."""
    return browser.post(path, urlencode(fields), content_type=FORM, headers=headers or None)


def redeem(browser: Client, client_id: str, code: str, **fields: str) -> HttpResponse:
    """Exchange a code as a public client, or with ``client_secret``."""
    values = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "redirect_uri": factories.CALLBACK,
    }
    return post(browser, "/oauth2/token", values | fields)


def refresh(browser: Client, client_id: str, token: str, **fields: str) -> HttpResponse:
    """Exchange a refresh token as a public client, or with ``client_secret``."""
    values = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": token}
    return post(browser, "/oauth2/token", values | fields)


def userinfo(browser: Client, access_token: str) -> HttpResponse:
    return browser.get("/oauth2/userInfo", headers={"authorization": f"Bearer {access_token}"})


def basic(client_id: str, secret: str) -> str:
    """Return the Authorization header of client_secret_basic."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def tokens_of(browser: Client, client: AppClient, user: PoolUser, **fields: str) -> dict[str, Any]:
    """Return the token response of a whole code exchange."""
    response = redeem(browser, client.client_id, issue_code(client, user), **fields)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body
