"""The flows of the benchmark: for each, the requests of a round, prepared before the measuring begins.

One-time codes, tokens and states are stored beforehand through the models and each is presented once; assertions are
signed beforehand by the tests' own provider.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from urllib.parse import urlencode

from accounts.models import AppClient
from accounts.provider_details import SAML_ACS
from federation.federated import COOKIE
from tests.bench import seed
from tests.bench.server import SUFFIX
from tests.fakes.saml import Message

STORED_GRANTS = 100


@dataclass(frozen=True, slots=True)
class Flow:
    """One row of the table. ``aim`` is in CPU milliseconds, of the server and of the database."""

    name: str
    requests: int
    signatures: int
    expected: bytes
    prepare: Callable[[int], list[bytes]]
    aim: tuple[float, float] | None = None
    hashes: int = 0


def request(host: str, target: str, headers: dict[str, str] | None = None, form: dict[str, str] | None = None) -> bytes:
    """Return an HTTP/1.1 request: a POST when there is a form, else a GET."""
    lines = [f"{'GET' if form is None else 'POST'} {target} HTTP/1.1", f"Host: {host}", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    body = urlencode(form or {}).encode()
    if form is not None:
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def basic(client: AppClient) -> dict[str, str]:
    """Return the Authorization header of ``client`` (RFC 6749 2.3.1)."""
    credentials = base64.b64encode(f"{client.client_id}:{seed.SECRET}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}


class Flows:
    """The flows against the server at ``port``. The load names the pool by its domain, as production does.

    ``ask`` sends one request and returns the whole answer: for what must be known before a round.
    """

    def __init__(self, port: int, scene: seed.Scene, ask: Callable[[bytes], bytes]) -> None:
        self.scene, self.ask = scene, ask
        self.host, self.issuer_host = f"{seed.DOMAIN}.{SUFFIX}:{port}", f"localhost:{port}"
        self._stored: list[bytes] = []
        self._bearers: list[bytes] = []
        self._form: bytes = b""

    def all(self) -> list[Flow]:
        """Return them in the order of the table, with the aims that the project set itself."""
        return [
            Flow("client_credentials", 600, 1, b'"access_token"', self._client_credentials, (1.0, 0)),
            Flow("authorization_code", 400, 2, b'"refresh_token"', self._authorization_code, (2.6, 1.0)),
            Flow("refresh", 400, 2, b'"id_token"', self._refresh, (2.0, 0.4)),
            Flow("refresh_rotating", 400, 2, b'"refresh_token"', self._refresh_rotating, (2.4, 0.8)),
            Flow("userinfo", 1000, 0, b'"sub"', self._userinfo, (0.8, 0.15)),
            Flow("revoke", 400, 0, b"HTTP/1.1 200", self._revoke),
            Flow("jwks", 2000, 0, b'"keys"', self._jwks, (0.25, 0)),
            Flow("discovery", 2000, 0, b'"issuer"', self._discovery),
            Flow("password_sign_in", 60, 0, b"code=", self._password_sign_in, hashes=1),
            Flow("oidc_sign_in", 100, 0, b"code=", self._oidc_sign_in),
            Flow("saml_acs", 100, 0, b"code=", self._saml_acs, (6.5, 1.5)),
        ]

    def _token(self, client: AppClient, **form: str) -> bytes:
        return request(self.host, "/oauth2/token", basic(client), form)

    def _client_credentials(self, count: int) -> list[bytes]:
        scope = f"{seed.API}/read"
        return [self._token(self.scene.machine, grant_type="client_credentials", scope=scope)] * count

    def _authorization_code(self, count: int) -> list[bytes]:
        form = {"grant_type": "authorization_code", "redirect_uri": seed.CALLBACK, "code_verifier": seed.VERIFIER}
        return [self._token(self.scene.web, code=code, **form) for code in self.scene.codes(count)]

    def _refresh(self, count: int) -> list[bytes]:
        if not self._stored:
            tokens = self.scene.refresh_tokens(self.scene.web, STORED_GRANTS)
            self._stored = [self._token(self.scene.web, grant_type="refresh_token", refresh_token=t) for t in tokens]
        return list(islice(cycle(self._stored), count))

    def _refresh_rotating(self, count: int) -> list[bytes]:
        client = self.scene.rotating
        tokens = self.scene.refresh_tokens(client, count)
        return [self._token(client, grant_type="refresh_token", refresh_token=token) for token in tokens]

    def _userinfo(self, count: int) -> list[bytes]:
        if not self._bearers:
            answers = [self.ask(refresh).decode() for refresh in self._refresh(STORED_GRANTS)]
            tokens = [_only(r'"access_token": ?"([^"]+)"', answer) for answer in answers]
            headers = [{"Authorization": f"Bearer {token}"} for token in tokens]
            self._bearers = [request(self.host, "/oauth2/userInfo", header) for header in headers]
        return list(islice(cycle(self._bearers), count))

    def _revoke(self, count: int) -> list[bytes]:
        client = self.scene.web
        tokens = self.scene.refresh_tokens(client, count)
        return [request(self.host, "/oauth2/revoke", basic(client), {"token": token}) for token in tokens]

    def _jwks(self, count: int) -> list[bytes]:
        return [request(self.issuer_host, f"/{seed.POOL_ID}/.well-known/jwks.json")] * count

    def _discovery(self, count: int) -> list[bytes]:
        return [request(self.issuer_host, f"/{seed.POOL_ID}/.well-known/openid-configuration")] * count

    def _password_sign_in(self, count: int) -> list[bytes]:
        """The POST of the sign-in form, each from a browser without a session, up to the redirect with the code."""
        if not self._form:
            query = {"client_id": self.scene.web.client_id, "response_type": "code", "redirect_uri": seed.CALLBACK}
            query |= {"scope": seed.SCOPE, "state": "s" * 22, "nonce": "n" * 22}
            query |= {"code_challenge": seed.CHALLENGE, "code_challenge_method": "S256"}
            target = f"/login?{urlencode(query)}"
            page = self.ask(request(self.host, target)).decode()
            headers = {"Cookie": _only(r"(?i)set-cookie: *(XSRF-TOKEN=[^;\r]+)", page), "Origin": f"http://{self.host}"}
            token = _only(r'name="_csrf"[^>]*value="([^"]+)"', page)
            form = {"_csrf": token, "username": seed.USERNAME, "password": seed.PASSWORD}
            self._form = request(self.host, target, headers, form)
        return [self._form] * count

    def _oidc_sign_in(self, count: int) -> list[bytes]:
        """The way back from a provider: code redeemed, ID token verified, userInfo read, up to the redirect."""
        query = {"client_id": self.scene.federated.client_id, "response_type": "code", "redirect_uri": seed.CALLBACK}
        query |= {"scope": seed.SCOPE, "state": "s" * 22, "identity_provider": self.scene.provider.provider_name}
        found = []
        for state, nonce, browser in self.scene.pauses(count, urlencode(query)):
            target = f"/oauth2/idpresponse?{urlencode({'code': nonce, 'state': state})}"
            found.append(request(self.host, target, {"Cookie": f"{COOKIE}={browser}"}))
        return found

    def _saml_acs(self, count: int) -> list[bytes]:
        """The POST of a response with a signed assertion of six attributes, up to the redirect with the code."""
        client, pool, provider = self.scene.federated, self.scene.pool, self.scene.partner
        query = {"client_id": client.client_id, "response_type": "code", "redirect_uri": seed.CALLBACK}
        query |= {"scope": seed.SCOPE, "state": "s" * 22, "identity_provider": provider.provider_name}
        acs, found = pool.base_url + SAML_ACS, []
        for state, request_id, browser in self.scene.saml_pauses(count, urlencode(query)):
            message = Message(
                audience=f"urn:amazon:cognito:sp:{pool.pk}",
                destination=acs,
                recipient=acs,
                in_response_to=request_id,
                confirmation_in_response_to=request_id,
                assertion_id=request_id.replace("_", "_a"),
                attributes=seed.SAML_ATTRIBUTES,
            )
            form = {"SAMLResponse": message.encoded(), "RelayState": state}
            found.append(request(self.host, SAML_ACS, {"Cookie": f"{COOKIE}={browser}"}, form))
        return found


def _only(pattern: str, answer: str) -> str:
    """Return what ``pattern`` captures in ``answer``; raise SystemExit with the answer when it is not there."""
    found = re.search(pattern, answer)
    if found is None:
        raise SystemExit(f"Not found in the answer: {pattern}\n{answer[:1500]}")
    return found[1]
