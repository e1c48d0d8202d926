"""A sample client app: signs a user in with the code flow and PKCE, verifies the tokens, and shows what they say.

    python examples/sample_app.py --issuer http://localhost:8000/eu-west-1_Demo00001 --client-id ...

It knows nothing of the server but its issuer: all else comes from discovery (OpenID Connect Discovery 4), so it works
with any issuer whose clients use the code flow, Amazon Cognito's among them. A client secret, if the client has one,
comes from SAMPLE_CLIENT_SECRET. The protocol is OpenID Connect Core 3.1 with RFC 7636, in the order of that section;
``--provider Corp`` adds a button that leads to an identity provider of the pool at once (Cognito's identity_provider).

For demonstration: sign-ins live in the memory of one process, refresh tokens are not used, and it speaks http.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs, urlencode
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import httpx
from jwcrypto import jwk, jws
from jwcrypto.common import JWException

ALGORITHM = "RS256"  # what we accept; never what a token says of itself
SCOPES = "openid email profile"
MAX_KEPT = 1000
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#0b6e5f"/>'
    '<path d="m9 16.5 4.5 4.5L23 11.5" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round"/></svg>'
)
FILES = {
    "/style.css": ((Path(__file__).parent / "sample_app.css").read_text(encoding="utf-8"), "text/css; charset=utf-8"),
    "/icon.svg": (ICON, "image/svg+xml"),
}


class SignInError(Exception):
    """Why there is no sign-in: a heading for people, and details for developers."""

    def __init__(self, heading: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(heading)
        self.heading, self.details = heading, details or {}


@dataclass
class Attempt:
    """One sign-in under way. What comes back must match it."""

    browser: str  # the cookie of the browser that began it; empty for the link that was printed at the start
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        return encoded(hashlib.sha256(self.verifier.encode()).digest())


@dataclass
class SignedIn:
    """What the app knows once every check has passed."""

    id_claims: dict[str, Any]
    access_claims: dict[str, Any]
    userinfo: dict[str, Any]
    tokens: dict[str, Any]
    checks: list[str]


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class RelyingParty:
    """The client's half of OpenID Connect, for one issuer and one client."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        own_url: str,
        client_secret: str = "",
        providers: dict[str, str] | None = None,
    ) -> None:
        self.issuer, self.client_id, self.own_url = issuer, client_id, own_url
        self.providers = providers or {}  # of the pool: the name that the pool knows, the name that people know
        self.http = httpx.Client(timeout=10, auth=(client_id, client_secret) if client_secret else None)
        self.redirect_uri = f"{own_url}/callback"
        self.configuration: dict[str, Any] = {}

    def discover(self) -> dict[str, Any]:
        """Return the issuer's metadata, read once; raise SignInError when it cannot be had."""
        if not self.configuration:
            found = self._json(self.http.get(f"{self.issuer}/.well-known/openid-configuration", auth=None))
            if found.get("issuer") != self.issuer:
                raise SignInError("The discovery document is another issuer's", {"issuer": found.get("issuer")})
            self.configuration = found
        return self.configuration

    def authorize_url(self, attempt: Attempt, provider: str = "") -> str:
        """OpenID Connect Core 3.1.2.1, RFC 7636 4.3; Cognito's identity_provider passes over the pool's own page."""
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPES,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        if provider:
            query["identity_provider"] = provider
        return f"{self.discover()['authorization_endpoint']}?{urlencode(query)}"

    def sign_out_url(self) -> str:
        query = urlencode({"client_id": self.client_id, "logout_uri": f"{self.own_url}/"})
        return f"{self.discover()['end_session_endpoint']}?{query}"

    def complete(self, code: str, attempt: Attempt) -> SignedIn:
        """Redeem ``code`` and verify all that comes back; raise SignInError at the first thing that is wrong."""
        endpoints = self.discover()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "code_verifier": attempt.verifier,
        }
        tokens = self._json(self.http.post(endpoints["token_endpoint"], data=form))
        if not all(isinstance(tokens.get(name), str) for name in ("id_token", "access_token")):
            raise SignInError("The token response lacks a token", {"has": sorted(tokens)})
        keys = jwk.JWKSet.from_json(json.dumps(self._json(self.http.get(endpoints["jwks_uri"], auth=None))))
        checks: list[str] = []
        id_claims = self._verified(tokens, "id", keys, checks)
        if not hmac.compare_digest(str(id_claims.get("nonce")).encode(), attempt.nonce.encode()):
            raise SignInError("The ID token is not for this sign-in: its nonce is another one")
        if "at_hash" in id_claims and id_claims["at_hash"] != at_hash(tokens["access_token"]):
            raise SignInError("The access token is not the one that came with the ID token (at_hash)")
        checks.append("Both belong to this sign-in: nonce, at_hash and PKCE match")
        access_claims = self._verified(tokens, "access", keys, checks)
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        userinfo = self._json(self.http.get(endpoints["userinfo_endpoint"], headers=bearer, auth=None))
        if userinfo.get("sub") != id_claims["sub"]:
            raise SignInError("userInfo answered for another user")
        checks.append("userInfo answered for the same user")
        return SignedIn(id_claims, access_claims, userinfo, tokens, checks)

    def _verified(self, tokens: dict[str, Any], use: str, keys: jwk.JWKSet, checks: list[str]) -> dict[str, Any]:
        """Return the claims of a token whose signature and claims are right (OpenID Connect Core 3.1.3.7)."""
        name = {"id": "ID token", "access": "access token"}[use]
        token = jws.JWS()
        try:
            token.deserialize(tokens[f"{use}_token"])
            token.allowed_algs = [ALGORITHM]
            kid = str(token.jose_header.get("kid", ""))
            key = keys.get_key(kid)
            if key is None:
                raise SignInError(f"The {name} is signed with a key that the issuer does not publish", {"kid": kid})
            token.verify(key, alg=ALGORITHM)
            claims: dict[str, Any] = dict(json.loads(token.payload))
        except (JWException, ValueError, TypeError) as error:
            raise SignInError(f"The {name} cannot be verified", {"reason": str(error)}) from error
        audience = claims.get("aud") if use == "id" else claims.get("client_id")
        expected = {
            "iss": (claims.get("iss"), self.issuer),
            "aud" if use == "id" else "client_id": (audience, self.client_id),
            "token_use": (claims.get("token_use", use), use),
            "sub": (bool(claims.get("sub")), True),
        }
        for claim, (value, wanted) in expected.items():
            if value != wanted:
                raise SignInError(f"The {name} is not for this app", {"claim": claim, "value": value})
        expiry = claims.get("exp")
        if not isinstance(expiry, int) or expiry <= time.time():
            raise SignInError(f"The {name} has expired")
        checks.append(
            f"The {name} is signed with {ALGORITHM} by key {kid[:8]}…, from this issuer, for this app, in time"
        )
        return claims

    @staticmethod
    def _json(response: httpx.Response) -> dict[str, Any]:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.status_code != 200 or not isinstance(answer, dict):
            details = answer if isinstance(answer, dict) else {"body": response.text[:300]}
            raise SignInError("The server refused", {"status": response.status_code, **details})
        return answer


def at_hash(access_token: str) -> str:
    """OpenID Connect Core 3.1.3.6, for RS256."""
    return encoded(hashlib.sha256(access_token.encode("ascii")).digest()[:16])


# --- pages ------------------------------------------------------------------------------------------------------------

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Sample app</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header class="bar">
<a class="brand" href="/"><img class="mark" src="/icon.svg" width="32" height="32" alt="">Sample app</a>{action}
</header>
<main>{body}</main>
</body>
</html>"""
TIMES = {"exp", "iat", "auth_time", "nbf", "updated_at"}


def shown(name: str, value: Any) -> str:
    if name in TIMES and isinstance(value, int):
        return f"{value} {moment(value)}"
    if name == "dateCreated" and str(value).isdecimal() and len(str(value)) < 15:  # of identities: milliseconds
        return f"{value} {moment(int(value) // 1000)}"
    if name == "identities" and (entries := identities(value)):
        return "".join(f'<div class="entry">{table(entry)}</div>' for entry in entries)
    return escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def identities(value: Any) -> list[dict[str, Any]]:
    """Return where a federated user comes from: a list in the ID token, JSON in a string at Cognito's userInfo."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    known = isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
    return list(value) if known else []


def moment(seconds: int) -> str:
    when = datetime.fromtimestamp(seconds, UTC)
    return f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">{when:%d %b %Y, %H:%M:%S} UTC</time>'


def table(claims: dict[str, Any]) -> str:
    rows = (f"<div><dt>{escape(str(name))}</dt><dd>{shown(name, value)}</dd></div>" for name, value in claims.items())
    return f"<dl>{''.join(rows)}</dl>"


def card(title: str, note: str, claims: dict[str, Any], raw: str = "") -> str:
    details = f"<details><summary>As it was sent</summary><code>{escape(raw)}</code></details>" if raw else ""
    return f'<section class="card"><h2>{title}</h2><p class="note">{note}</p>{table(claims)}{details}</section>'


def welcome_page(issuer: str, providers: dict[str, str]) -> str:
    others = "".join(
        f'<a class="quiet" href="/sign-in?{escape(urlencode({"provider": name}))}">Sign in with {escape(label)}</a>'
        for name, label in providers.items()
    )
    body = f"""<div class="hero">
<h1>Sign in to see your tokens</h1>
<p class="lead">An app of yours, as small as it can be: it never sees a password, and believes no token that it has not
verified.</p>
<ol class="steps">
<li><strong>The user pool signs you in</strong><span>on its own page, and sends you back with a code.</span></li>
<li><strong>The app redeems the code</strong><span>with PKCE, so that nobody else can.</span></li>
<li><strong>The tokens are verified</strong><span>against the issuer's published keys, and shown to you.</span></li>
</ol>
<p class="ways"><a class="button" href="/sign-in">Sign in</a>{others}</p>
<p class="issuer">Issuer <code>{escape(issuer)}</code></p>
</div>"""
    return PAGE.format(title="Welcome", action="", body=body)


def signed_in_page(user: SignedIn) -> str:
    claims = user.id_claims
    whole = " ".join(str(claims[part]) for part in ("given_name", "family_name") if part in claims)
    name = str(claims.get("name") or whole or claims.get("email") or claims.get("cognito:username") or claims["sub"])
    checks = "".join(f"<li>{escape(check)}</li>" for check in user.checks)
    cards = [
        card("ID token", "Who signed in. For this app alone.", claims, user.tokens["id_token"]),
        card("Access token", "What this app may do. For APIs.", user.access_claims, user.tokens["access_token"]),
        card("userInfo", "What the server says of the user right now.", user.userinfo),
    ]
    body = f"""<div class="who"><span class="avatar" aria-hidden="true">{escape(name[:1].upper())}</span>
<div><h1>Signed in as {escape(name)}</h1>
<p class="note">The tokens were verified before this page was made.</p></div></div>
<ul class="checks">{checks}</ul>
<div class="cards">{"".join(cards)}</div>"""
    return PAGE.format(title="Signed in", action='<a class="quiet" href="/sign-out">Sign out</a>', body=body)


def error_page(error: SignInError) -> str:
    body = f"""<div class="hero"><h1>You are not signed in</h1>
<p class="lead" role="alert">{escape(error.heading)}.</p>
{table(error.details) if error.details else ""}
<p><a class="button" href="/sign-in">Try again</a></p></div>"""
    return PAGE.format(title="Not signed in", action="", body=body)


# --- the app ----------------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """A response on its way out."""

    body: str = ""
    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = "text/html; charset=utf-8"

    @classmethod
    def redirect(cls, location: str, *cookies: str) -> "Answer":
        return cls(status="303 See Other", headers=[("Location", location), *(("Set-Cookie", c) for c in cookies)])


def cookie(name: str, value: str, max_age: int) -> str:
    return f"{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax"


class SampleApp:
    """The WSGI application: /, /sign-in, /callback, /arrival, /sign-out."""

    def __init__(self, party: RelyingParty) -> None:
        self.party = party
        self.attempts: dict[str, Attempt] = {}
        self.signed_in: dict[str, SignedIn] = {}

    def prepared_link(self) -> str:
        """Return a sign-in link that any browser may follow, as often as it likes.

        A real app binds every attempt to the browser that began it; a link in a terminal has no browser yet.
        """
        attempt = Attempt(browser="")
        self.attempts[attempt.state] = attempt
        return self.party.authorize_url(attempt)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        routes = {
            "/": self.home,
            "/sign-in": self.sign_in,
            "/callback": self.callback,
            "/arrival": self.arrival,
            "/sign-out": self.sign_out,
        }
        try:
            if environ["PATH_INFO"] in FILES:
                answer = Answer(FILES[environ["PATH_INFO"]][0], content_type=FILES[environ["PATH_INFO"]][1])
            elif environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
                answer = Answer("", "405 Method Not Allowed", [("Allow", "GET, HEAD")])
            elif (view := routes.get(environ["PATH_INFO"])) is None:
                answer = Answer(error_page(SignInError("There is no such page")), "404 Not Found")
            else:
                answer = view(self._query(environ), self._cookies(environ))
        except SignInError as error:
            answer = Answer(error_page(error), "400 Bad Request")
        except httpx.HTTPError as error:
            problem = SignInError("The user pool does not answer", {"issuer": self.party.issuer, "reason": str(error)})
            answer = Answer(error_page(problem), "502 Bad Gateway")
        body = answer.body.encode()
        policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
        fixed = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", policy),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start_response(answer.status, [*fixed, *answer.headers])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    @staticmethod
    def _query(environ: dict[str, Any]) -> dict[str, str]:
        parsed = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True, errors="replace")
        return {name: values[0] for name, values in parsed.items()}

    @staticmethod
    def _cookies(environ: dict[str, Any]) -> dict[str, str]:
        try:
            return {name: morsel.value for name, morsel in SimpleCookie(environ.get("HTTP_COOKIE", "")).items()}
        except CookieError:
            return {}

    def home(self, query: dict[str, str], cookies: dict[str, str]) -> Answer:
        user = self.signed_in.get(cookies.get("sample_session", ""))
        return Answer(signed_in_page(user) if user else welcome_page(self.party.issuer, self.party.providers))

    def sign_in(self, query: dict[str, str], cookies: dict[str, str]) -> Answer:
        provider = query.get("provider", "")
        if provider and provider not in self.party.providers:
            raise SignInError("There is no such way to sign in")
        attempt = Attempt(browser=secrets.token_urlsafe(24))
        location = self.party.authorize_url(attempt, provider)
        self._keep(self.attempts, attempt.state, attempt)
        return Answer.redirect(location, cookie("sample_attempt", attempt.browser, 600))

    def callback(self, query: dict[str, str], cookies: dict[str, str]) -> Answer:
        """OpenID Connect Core 3.1.2.5 to 3.1.3.8. The state comes first: nothing else is read before it is ours."""
        attempt = self.attempts.get(query.get("state", ""))
        if attempt is None or not hmac.compare_digest(
            attempt.browser.encode(), cookies.get("sample_attempt", "").encode() if attempt.browser else b""
        ):
            raise SignInError("This answer belongs to no sign-in that began in this browser")
        if attempt.browser:
            del self.attempts[attempt.state]
        self._refuse_errors(query)
        # RFC 9207: where the issuer says who it is, it must be the one that was asked
        if query.get("iss", self.party.issuer) != self.party.issuer:
            raise SignInError("Another issuer answered", {"iss": query["iss"]})
        session = secrets.token_urlsafe(24)
        self._keep(self.signed_in, session, self.party.complete(query.get("code", ""), attempt))
        return Answer.redirect("/", cookie("sample_session", session, 3600), cookie("sample_attempt", "", 0))

    def arrival(self, query: dict[str, str], cookies: dict[str, str]) -> Answer:
        """Receive somebody whose sign-in began at an identity provider (SAML, IdP-initiated).

        The code that comes along is left alone: no state ties it to this browser, so it may be anybody's. The app asks
        for one of its own, which the session at the user pool answers at once.
        """
        self._refuse_errors(query)
        return self.sign_in({}, cookies)

    def sign_out(self, query: dict[str, str], cookies: dict[str, str]) -> Answer:
        self.signed_in.pop(cookies.get("sample_session", ""), None)
        return Answer.redirect(self.party.sign_out_url(), cookie("sample_session", "", 0))

    @staticmethod
    def _refuse_errors(query: dict[str, str]) -> None:
        if "error" in query:
            details: dict[str, Any] = {name: query[name] for name in ("error", "error_description") if name in query}
            raise SignInError("The user pool answered with an error", details)

    @staticmethod
    def _keep(kept: dict[str, Any], key: str, value: Any) -> None:
        kept[key] = value
        while len(kept) > MAX_KEPT:
            # the oldest first, but never the link that was printed at the start
            del kept[next(name for name, entry in kept.items() if getattr(entry, "browser", "any"))]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    """Logs nothing: the addresses carry codes."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> int:
    parser = argparse.ArgumentParser(description="A sample client app.")
    parser.add_argument("--issuer", required=True, help="such as http://localhost:8000/eu-west-1_Demo00001")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--port", type=int, default=8001)
    words = "an identity provider of the pool that gets a button of its own; may be repeated"
    parser.add_argument("--provider", action="append", default=[], metavar="NAME[=LABEL]", help=words)
    options = parser.parse_args()
    own_url = f"http://localhost:{options.port}"
    secret = os.environ.get("SAMPLE_CLIENT_SECRET", "")
    named = (given.partition("=") for given in options.provider)
    providers = {name: label or name for name, _, label in named}
    app = SampleApp(RelyingParty(options.issuer.rstrip("/"), options.client_id, own_url, secret, providers))
    try:
        server = make_server("127.0.0.1", options.port, app, Server, QuietHandler)
        link = app.prepared_link()
    except (OSError, httpx.HTTPError, SignInError) as error:
        print(f"The sample app cannot start: {error}", file=sys.stderr)
        return 1
    print(f"{own_url}/ {link}", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
