"""The development IdP as a web site: who is signed in, in which browser, and what is waiting for an answer.

    /             the apps, and Sign out everywhere     /metadata     what a service provider has to know
    /sso          a request for a sign-in arrives       /slo          a request for a sign-out, or the answer to ours
    /app?name=    a sign-in begins here                 /sign-in, /sign-out     the forms of the pages

Everything is in the memory of one process, and gone with it.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from examples import development_idp_pages as pages
from examples.development_idp_saml import PEOPLE, Asked, Form, Messages, Refused, Session

COOKIE = "development_idp_session"
MAX_BODY = 200_000
MAX_KEPT = 1000


@dataclass(frozen=True)
class Request:
    """A request as it arrived; ``given`` is its query or its form."""

    method: str
    path: str
    given: dict[str, str]
    cookie: str = ""
    origin: str = ""


@dataclass
class Answer:
    """A response on its way out."""

    body: str
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


class DevelopmentIdp:
    """Answers requests. Messages are ``messages``'s part, and words are those of the pages."""

    def __init__(self, messages: Messages, apps: dict[str, str]) -> None:
        self.messages, self.apps = messages, apps
        self.sessions: dict[str, Session] = {}
        self.asked: dict[str, Asked] = {}
        self.leaving: dict[str, Session] = {}
        self.routes: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "/"): self.home,
            ("GET", "/metadata"): self.metadata,
            ("GET", "/sso"): self.sso,
            ("POST", "/sso"): self.sso,
            ("GET", "/app"): self.app,
            ("POST", "/sign-in"): self.sign_in,
            ("POST", "/sign-out"): self.sign_out,
            ("GET", "/slo"): self.slo,
            ("POST", "/slo"): self.slo,
        }

    def answer(self, request: Request) -> Answer:
        if request.method == "GET" and request.path in pages.FILES:
            body, content_type = pages.FILES[request.path]
            return Answer(body, content_type=content_type)
        view = self.routes.get((request.method, request.path))
        if view is None:
            return Answer(pages.refused("There is no such page."), 404)
        try:
            return view(request)
        except Refused as refused:
            return Answer(pages.refused(str(refused)), 400)

    def home(self, request: Request) -> Answer:
        return Answer(pages.home(self.sessions.get(request.cookie), list(self.apps)))

    def metadata(self, request: Request) -> Answer:
        return Answer(self.messages.entity.metadata, content_type="application/samlmetadata+xml")

    def sso(self, request: Request) -> Answer:
        return self._respond(request, self.messages.sign_in_request(request.method, request.given))

    def app(self, request: Request) -> Answer:
        relay_state = self.apps.get(request.given.get("name", ""))
        if relay_state is None:
            raise Refused("There is no such app.")
        return self._respond(request, Asked(relay_state))

    def _respond(self, request: Request, asked: Asked) -> Answer:
        session = None if asked.forced else self.sessions.get(request.cookie)
        if session is not None:
            return self._forward(self.messages.response(asked, session), "Signing in")
        if asked.passive:
            return self._forward(self.messages.nobody(asked), "Going back")
        token = secrets.token_urlsafe(24)
        _keep(self.asked, token, asked)
        return Answer(pages.chooser(token))

    def sign_in(self, request: Request) -> Answer:
        self._require_own_form(request)
        person = PEOPLE.get(request.given.get("person", ""))
        asked = self.asked.pop(request.given.get("asked", ""), None)
        if person is None or asked is None:
            raise Refused("This sign-in is finished already, or too old. Go back to the app and begin again.")
        before, session = self.sessions.pop(request.cookie, None), Session(person)
        if before is not None and before.person == person:  # asked again (ForceAuthn): still one sign-out for all
            session.indexes = before.indexes
        cookie = secrets.token_urlsafe(24)
        _keep(self.sessions, cookie, session)
        return self._forward(self.messages.response(asked, session), "Signing in", cookie)

    def sign_out(self, request: Request) -> Answer:
        """End the session here, and then where it was used."""
        self._require_own_form(request)
        session = self.sessions.pop(request.cookie, None)
        if session is None or not session.indexes:
            return Answer(pages.signed_out(None))
        request_id, form = self.messages.logout_request(session)
        _keep(self.leaving, request_id, session)
        return self._forward(form, "Signing out")

    def slo(self, request: Request) -> Answer:
        if "SAMLResponse" in request.given:
            request_id, done = self.messages.logout_answer(request.given)
            if self.leaving.pop(request_id, None) is None:
                raise Refused("This answers no sign-out that began here.")
            return Answer(pages.signed_out(done))
        wanted = self.messages.sign_out_request(request.method, request.given)
        name_id = wanted.name_id.text if wanted.name_id is not None else ""
        indexes = {index.text for index in wanted.session_index}
        for cookie, session in list(self.sessions.items()):
            # without an index, all sessions of this person are meant (saml-core-2.0 3.7.3)
            if session.name_id == name_id and (not indexes or indexes & {*session.indexes}):
                self.sessions.pop(cookie, None)
        form = self.messages.logout_response(wanted, request.given.get("RelayState", ""))
        return self._forward(form, "You are signed out of Partner")

    def _require_own_form(self, request: Request) -> None:
        """Raise Refused for a form of another site: it must sign nobody in or out here."""
        if request.origin != self.messages.entity.base:
            raise Refused("This form was not sent from a page of Partner.")

    @staticmethod
    def _forward(form: Form, title: str, cookie: str = "") -> Answer:
        # Lax: a request that another site posts to /sso has no cookie, and the person is asked once more
        headers = {"Set-Cookie": f"{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Lax"} if cookie else {}
        return Answer(pages.forward(form, title), headers=headers)


def _keep(kept: dict[str, Any], key: str, value: Any) -> None:
    kept[key] = value
    while len(kept) > MAX_KEPT:
        kept.pop(next(iter(kept)), None)


class Handler(BaseHTTPRequestHandler):
    """HTTP. Nothing is logged: the addresses carry messages."""

    server: "Server"

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.send_error(413)
            return
        self._answer(self.rfile.read(int(length)).decode(errors="replace"))

    def _answer(self, encoded: str) -> None:
        given = dict(parse_qsl(encoded, keep_blank_values=True, errors="replace"))
        path, origin = urlsplit(self.path).path, self.headers.get("Origin", "")
        idp = self.server.idp
        if self.headers.get("Host") != urlsplit(idp.messages.entity.base).netloc:
            self.send_error(421)  # the name of another site, which has made it lead to this machine
            return
        answer = idp.answer(Request(self.command, path, given, self._cookie(), origin))
        body = answer.body.encode()
        fixed = {
            "Content-Type": answer.content_type,
            "Content-Length": str(len(body)),
            # no form-action: the forms lead to service providers, and whatever those lead to
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
            "base-uri 'none'; frame-ancestors 'none'",
            "Referrer-Policy": "same-origin",  # with no-referrer, a browser would send no Origin with our own forms
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        self.send_response(answer.status)
        for name, value in (fixed | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _cookie(self) -> str:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            return ""
        return found.value if found else ""

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Listens on this machine alone."""

    daemon_threads = True

    def __init__(self, port: int, idp: DevelopmentIdp) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.idp = idp
