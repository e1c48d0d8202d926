"""Small steps of the wire tests: a session without a password, a code, a token request, a verified token."""

import base64
import html
import re
from collections.abc import Mapping
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from accounts import opaque, sessions, signing
from accounts.models import AppClient, IdentityProvider, PoolUser, SignInSession, UserPool
from tests import factories
from tests.browser_like import FORM

# RFC 7636 appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
ALGORITHMS = ["RS256", "ES256"]


def set_values(row: Any, **values: Any) -> Any:
    """Save ``values`` on a row, so that the directory hears of it, and return the row."""
    for name, value in values.items():
        setattr(row, name, value)
    row.save()
    return row


def query_of(client: AppClient, **changes: str) -> dict[str, str]:
    """An authorization request of ``client``; an empty value takes a parameter out."""
    query = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": factories.CALLBACK,
        "scope": "openid email",
        "state": "xyz",
    }
    return {name: value for name, value in (query | changes).items() if value}


def ask(browser: Client, query: Mapping[str, str] | str, path: str = "/oauth2/authorize") -> HttpResponse:
    return browser.get(f"{path}?{query if isinstance(query, str) else urlencode(query)}")


def signed_in(
    browser: Client, user: PoolUser, provider: IdentityProvider | None = None, ago: timedelta = timedelta()
) -> SignInSession:
    """Give ``browser`` the session of ``user``, who signed in ``ago``."""
    token, moment = opaque.random_token(), timezone.now() - ago
    browser.cookies[sessions.COOKIE] = token
    return SignInSession.objects.create(
        digest=opaque.digest(token),
        user=user,
        provider=provider,
        auth_time=moment,
        expires_at=moment + sessions.LIFETIME,
    )


def single(pairs: str) -> dict[str, str]:
    """Decode a query or a fragment in which no name comes twice."""
    found = parse_qsl(pairs, keep_blank_values=True, strict_parsing=True, errors="strict")
    assert len(dict(found)) == len(found), found
    return dict(found)


def sent_to_app(response: HttpResponse, redirect_uri: str = factories.CALLBACK) -> dict[str, str]:
    """Return what a redirect to ``redirect_uri`` carries in its query."""
    assert response.status_code == 302, (response.status_code, response.content[:500])
    assert response["Location"].startswith(redirect_uri + "?"), response["Location"]
    return single(response["Location"].removeprefix(redirect_uri + "?"))


def in_fragment(response: HttpResponse, redirect_uri: str = factories.CALLBACK) -> dict[str, str]:
    """Return what a redirect to ``redirect_uri`` carries in its fragment."""
    assert response.status_code == 302, (response.status_code, response.content[:500])
    assert response["Location"].startswith(redirect_uri + "#"), response["Location"]
    return single(response["Location"].removeprefix(redirect_uri + "#"))


def in_form(response: HttpResponse, redirect_uri: str = factories.CALLBACK) -> dict[str, str]:
    """Return the hidden fields of the form that a form_post answer sends to ``redirect_uri``."""
    assert response.status_code == 200
    text = response.content.decode()
    assert f'<form method="post" action="{html.escape(redirect_uri)}">' in text
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', text)
    assert len(dict(fields)) == len(fields)
    return {html.unescape(name): html.unescape(value) for name, value in fields}


def on_error_page(browser: Client, response: HttpResponse) -> str:
    """Follow a refusal to the hosted error page and return its code; it never leaves for the app (W 3.6).

    What is too large is told at once, on the same page.
    """
    if response.status_code in (413, 414):
        assert "Location" not in response
        assert b"<code>too_large</code>" in response.content
        return "too_large"
    assert response.status_code == 302, (response.status_code, response.content[:500])
    parts = urlsplit(response["Location"])
    assert (parts.scheme, parts.netloc, parts.path) == ("", "", "/error")
    shown = browser.get(response["Location"])
    assert shown.status_code == 400
    assert shown["Content-Type"].startswith("text/html")
    return single(parts.query)["error"]


def on_login_page(response: HttpResponse) -> dict[str, str]:
    """Return the query with which the browser is sent to /login."""
    assert response.status_code == 302, (response.status_code, response.content[:500])
    parts = urlsplit(response["Location"])
    assert (parts.scheme, parts.netloc, parts.path) == ("", "", "/login"), response["Location"]
    return single(parts.query)


def new_code(browser: Client, client: AppClient, **changes: str) -> str:
    """Ask for a code on the strength of the session that ``browser`` has."""
    query = query_of(client, **changes)
    return sent_to_app(ask(browser, query), query.get("redirect_uri", factories.CALLBACK))["code"]


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def post(browser: Client, path: str, fields: Mapping[str, str] | str, authorization: str = "") -> HttpResponse:
    body = fields if isinstance(fields, str) else urlencode(fields)
    headers = {"authorization": authorization} if authorization else {}
    return browser.post(path, body, content_type=FORM, headers=headers)


def redeem(browser: Client, client: AppClient, code: str, authorization: str = "", **changes: str) -> HttpResponse:
    """Present ``code`` at the token endpoint; an empty value takes a parameter out."""
    fields = {
        "grant_type": "authorization_code",
        "client_id": client.client_id,
        "code": code,
        "redirect_uri": factories.CALLBACK,
    } | changes
    return post(browser, "/oauth2/token", {n: v for n, v in fields.items() if v}, authorization)


def refresh(browser: Client, client: AppClient, token: str, authorization: str = "", **changes: str) -> HttpResponse:
    fields = {"grant_type": "refresh_token", "client_id": client.client_id, "refresh_token": token} | changes
    return post(browser, "/oauth2/token", {n: v for n, v in fields.items() if v}, authorization)


def tokens_for(browser: Client, client: AppClient, **changes: str) -> dict[str, Any]:
    """Return the token response of a whole code flow of a public ``client``."""
    redirect_uri = changes.get("redirect_uri", factories.CALLBACK)
    response = redeem(browser, client, new_code(browser, client, **changes), redirect_uri=redirect_uri)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def userinfo(browser: Client, access_token: str) -> HttpResponse:
    return browser.get("/oauth2/userInfo", headers={"authorization": f"Bearer {access_token}"})


def refused(response: HttpResponse, status: int, error: str) -> dict[str, str]:
    """Check a JSON refusal (RFC 6749 5.2) and return its body."""
    assert response["Content-Type"] == "application/json;charset=UTF-8"
    body: dict[str, str] = response.json()
    assert (response.status_code, body["error"]) == (status, error), (response.status_code, body)
    assert "no-store" in response["Cache-Control"]
    return body


def key_set(pool: UserPool) -> KeySet:
    """Return the published keys of ``pool``, from its issuer."""
    issuer = Client(headers={"host": "id.example.test"})
    return KeySet.import_key_set(issuer.get(f"/{pool.pk}/.well-known/jwks.json").json())


def verified(pool: UserPool, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of ``token``, its signature checked by joserfc with the published keys."""
    found = jwt.decode(token, key_set(pool), algorithms=ALGORITHMS)
    return dict(found.header), dict(found.claims)


def forge(pool: UserPool, token_use: str, claims: dict[str, Any], **header: str) -> str:
    """Return ``claims`` signed by joserfc with the pool's own key: a token that only its claims can condemn."""
    key = signing.active_key(pool, token_use)
    ring = KeySet.import_key_set({"keys": [key.jwk.export(as_dict=True) | {"kid": key.kid, "alg": key.alg}]})
    head = {"kid": key.kid, "alg": key.alg} | header
    return jwt.encode(head, claims, ring.keys[0], algorithms=ALGORITHMS)


def resign(token: str, key: Any, **header: str) -> str:
    """Return the payload of ``token`` under another key or header."""
    payload = token.split(".")[1]
    body = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    return jws.serialize_compact(header, body, key, algorithms=[header["alg"]])


class _InlineCode(HTMLParser):
    """Collects what a Content-Security-Policy without 'unsafe-inline' would block."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "style" or (tag == "script" and not names.get("src")):
            self.found.append(tag)
        for name, value in attrs:
            if name == "style" or name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"{tag} {name}")


def inline_code(response: HttpResponse) -> list[str]:
    """Return the inline scripts and styles of a page; there should be none."""
    parser = _InlineCode()
    parser.feed(response.content.decode())
    return parser.found
