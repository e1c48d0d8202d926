"""The only outgoing HTTP: calls to identity providers, which may be slow, broken or hostile.

https only, permitted addresses only (addresses.py), no cookies, no proxies of the environment, no compression, bounded
size, one deadline for all calls of one sign-in. Redirects are followed where nothing secret is sent, each hop checked
like the first. A call is repeated once where that is safe: a GET whose connection broke, or anything that never left.
"""

import json
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

import httpcore
import httpx
from django.conf import settings

from accounts import metrics
from federation.upstream import suspension
from federation.upstream.addresses import GuardedBackend
from federation.upstream.fetching import FetchFailed

CONNECT_TIMEOUT, READ_TIMEOUT, TOTAL = 3.0, 5.0, 10.0  # seconds; the last for a whole sign-in
MAX_BODY = 512 * 1024
MAX_HOPS = 5
USER_AGENT = "Userpool/0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that was read whole."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    host: str

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; raise FetchFailed for anything else."""
        try:
            found = json.loads(self.body.decode(), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise FetchFailed("not_json", self.host) from error
        if not isinstance(found, dict):
            raise FetchFailed("not_json", self.host)
        return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The certificates that are trusted: certifi's, or those of SSL_CERT_FILE. Loading them takes 20 ms."""
    return httpx.create_ssl_context()


class _Transport(httpx.HTTPTransport):
    """httpx's transport over connections of ours.

    httpx 0.28 offers no network backend of one's own (_transports/default.py builds the pool), httpcore does.
    """

    def __init__(self, deadline: float) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(), max_connections=4, network_backend=GuardedBackend(deadline)
        )


class Exchange:
    """The calls of one sign-in: they share connections and a deadline. Use it as a context manager."""

    def __init__(self, total: float | None = None) -> None:
        self.deadline = time.monotonic() + (TOTAL if total is None else total)
        self._made: httpx.Client | None = None  # most ways out call nobody

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._made is not None:
            self._made.close()

    @property
    def _client(self) -> httpx.Client:
        if self._made is None:
            self._made = httpx.Client(
                transport=_Transport(self.deadline),
                timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
                trust_env=False,
                follow_redirects=False,
                headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
            )
        return self._made

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.deadline - time.monotonic())

    def get(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        purpose: str = "",
        follow: bool = False,
        limit: int = MAX_BODY,
    ) -> Answer:
        """GET ``url``; with ``follow`` through redirects, for what anybody may read. Raise FetchFailed.

        ``purpose`` is what the time is counted under (accounts/metrics.py).
        """
        for _ in range(MAX_HOPS if follow else 1):
            answer, location = self._timed(purpose, "GET", url, headers or {}, None, limit)
            if not location:
                return answer
            url = location
        raise FetchFailed("redirected", answer.host)

    def post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None, *, purpose: str = ""
    ) -> Answer:
        """POST ``form`` to ``url``; a redirect is a failure, for the form is secret. Raise FetchFailed."""
        answer, location = self._timed(purpose, "POST", url, headers or {}, form, MAX_BODY)
        if location:
            raise FetchFailed("redirected", answer.host)
        return answer

    def _timed(self, purpose: str, *call: Any) -> tuple[Answer, str]:
        began, outcome = time.monotonic(), "other"
        try:
            answer, location = self._call(*call)
            outcome = f"{answer.status // 100}xx"
            return answer, location
        except FetchFailed as failure:
            outcome = failure.cause
            raise
        finally:
            metrics.upstream_called(purpose, outcome, time.monotonic() - began)

    def _call(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None, limit: int
    ) -> tuple[Answer, str]:
        host = require_callable(url)
        suspension.require_answering(host)
        try:
            try:
                found = self._send(method, url, headers, form, limit, host)
            except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError) as error:
                never_left = isinstance(error, httpx.ConnectError)
                if _is_tls(error) or not (never_left or method == "GET") or not self.left:
                    raise
                found = self._send(method, url, headers, form, limit, host)
        except FetchFailed as error:
            if error.cause == "timeout":  # of the name server
                suspension.failed(host)
            raise
        except httpx.TimeoutException as error:
            suspension.failed(host)
            raise FetchFailed("timeout", host) from error
        except (httpx.InvalidURL, UnicodeError) as error:  # of a redirect
            raise FetchFailed("not_a_url", host) from error
        except httpx.TransportError as error:
            suspension.failed(host)
            raise FetchFailed(_cause(error), host) from error
        suspension.answered(host)
        return found

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None,
        limit: int,
        host: str,
    ) -> tuple[Answer, str]:
        body = bytearray()
        self._client.cookies.clear()
        with self._client.stream(method, url, headers=dict(headers), data=form) as response:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise FetchFailed("encoded", host)
            location = response.headers.get("Location", "") if response.is_redirect else ""
            if not location:
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > limit:
                        raise FetchFailed("too_large", host)
            answer = Answer(response.status_code, response.headers.get("Content-Type", ""), bytes(body), host)
            return answer, str(response.url.join(location)) if location else ""


def require_callable(url: str) -> str:
    """Return the host and port of ``url``; raise FetchFailed unless it is https (or http, in development)."""
    try:
        parts = httpx.URL(url)
        name, scheme, port = parts.host, parts.scheme, parts.port
    except (httpx.InvalidURL, UnicodeError) as error:
        raise FetchFailed("not_a_url") from error
    schemes = ("https", "http") if settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE else ("https",)
    if not name or scheme not in ("https", "http") or parts.userinfo:
        raise FetchFailed("not_a_url", name)
    if scheme not in schemes:
        raise FetchFailed("not_https", name)
    return f"{name}:{port}" if port else name


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _cause(error: httpx.TransportError) -> str:
    if _is_tls(error):
        return "tls"
    if isinstance(error, httpx.ProtocolError) and not re.search("disconnected|closed connection", str(error)):
        return "protocol"
    return "connection"
