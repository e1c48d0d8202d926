"""What happens to every request first: an id, the true address, the tenant; and Django's middleware for the console.

A pool is found by the Host (its custom or prefix domain) or, on the issuer's host, by the first path segment. A path
``/<pool id>/...`` is served as if the application were mounted there (SCRIPT_NAME), so reverse(), cookie paths and CSRF
need to know nothing of it. A host that nobody owns gets a 404: that is what makes ALLOWED_HOSTS = ["*"] safe.
"""

import ipaddress
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import get_script_prefix, set_script_prefix

from accounts import directory, metrics, tracing
from accounts.models import UserPool

GetResponse = Callable[[HttpRequest], HttpResponse]
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
# served on every host: a load balancer asks by address
HOSTLESS_PATHS = ("/healthz", "/readyz", "/metrics")
PEER = "userpool.peer"
"""Where ``request.META`` keeps the address of the connection itself, which may be a proxy's."""

# What Cognito sends with every response of its domain (userInfo page; W 1.3), spelling and all.
UNCACHED = {
    "Cache-Control": "no-cache, no-store, max-age=0, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-XSS-Protection": "1; mode=block",
    "X-Frame-Options": "DENY",
    # no-referrer would make browsers send "Origin: null" with our own forms, and the CSRF check refuse them
    "Referrer-Policy": "same-origin",
}
# what no page here asks a browser for; sent with pages
PERMISSIONS_POLICY = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
HSTS = "max-age=31536000 ; includeSubDomains"


class RequestMiddleware:
    """Gives the request an id, its true scheme and address, and the response the headers of W 1.3."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        request_id = tracing.begin_request()
        if settings.HTTPS:
            # one deployment has one scheme; behind a proxy that ends TLS the socket does not know it
            request.META["wsgi.url_scheme"] = "https"
        request.META[PEER] = request.META.get("REMOTE_ADDR", "")
        address = client_address(request)
        request.META["REMOTE_ADDR"] = address
        tracing.set_address(address)
        response = self.get_response(request)
        response["x-amz-cognito-request-id"] = request_id
        if not response.has_header("Cache-Control"):
            for name, value in UNCACHED.items():
                response.headers.setdefault(name, value)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if settings.HTTPS:
            response.headers.setdefault("Strict-Transport-Security", HSTS)
        if not response.streaming and response.status_code not in (204, 304):
            response.headers.setdefault("Content-Length", str(len(response.content)))
        metrics.request_served(endpoint_of(request), response.status_code, time.perf_counter() - began)
        return response


def endpoint_of(request: HttpRequest) -> str:
    """Return the name of the URL that answered, for metrics; the console and the static files are one each."""
    match = request.resolver_match
    if match is None:  # whitenoise answers before any URL is looked up
        return "static" if request.path_info.startswith(settings.STATIC_URL) else "unmatched"
    if match.app_name:
        return "console"
    return match.url_name or match.func.__name__


@lru_cache(maxsize=8)
def _networks(proxies: tuple[str, ...]) -> list[Any]:
    return [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]


def _trusted(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in _networks(tuple(settings.USERPOOL_TRUSTED_PROXIES)))


def client_address(request: HttpRequest) -> str:
    """Return the address of the client: the last one in X-Forwarded-For that is not a trusted proxy's.

    The header is read only when the connection itself comes from a trusted proxy; anybody else could write it.
    """
    address = str(request.META.get("REMOTE_ADDR", ""))
    if not settings.USERPOOL_TRUSTED_PROXIES or not _trusted(address):
        return address
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        candidate = hop.strip()
        try:
            ipaddress.ip_address(candidate)
        except ValueError:
            return address
        address = candidate
        if not _trusted(candidate):
            return candidate
    return address


class UserPoolMiddleware:
    """Maps the Host or the first path segment to ``request.user_pool``; None means the console's host."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.user_pool = None  # type: ignore[attr-defined]
        if request.path_info in HOSTLESS_PATHS:
            return self.get_response(request)
        try:
            host = request.get_host()
        except DisallowedHost:
            return not_found()
        name = host_name(host)
        pool = directory.pool_by_host(name)
        if pool is not None:
            return self._serve(request, pool)
        # a console with a host of its own shares that origin with no pool
        head, slash, tail = request.path_info.lstrip("/").partition("/")
        if name in _issuer_hosts() and slash and "_" in head and (pool := directory.pool_by_id(head)) is not None:
            return self._mounted(request, pool, head, tail)
        if name not in _console_hosts() or not request.path_info.startswith(("/admin", settings.STATIC_URL)):
            return not_found()
        return self.get_response(request)

    def _mounted(self, request: HttpRequest, pool: UserPool, head: str, tail: str) -> HttpResponse:
        outer = get_script_prefix()
        request.path_info = f"/{tail}"
        request.META["SCRIPT_NAME"] = f"{request.META.get('SCRIPT_NAME', '')}/{head}"
        set_script_prefix(request.META["SCRIPT_NAME"])
        try:
            return self._serve(request, pool)
        finally:
            set_script_prefix(outer)

    def _serve(self, request: HttpRequest, pool: UserPool) -> HttpResponse:
        request.user_pool = pool  # type: ignore[attr-defined]
        request.urlconf = "federation.urls"
        return self.get_response(request)


def pool_of(request: HttpRequest) -> UserPool:
    """Return the pool that ``request`` is for; only what federation/urls.py routes to has one."""
    pool: UserPool = request.user_pool  # type: ignore[attr-defined]
    return pool


def base_url_of(request: HttpRequest) -> str:
    """Return where this browser knows the pool, as the pool publishes it: the domain it came by, else the issuer."""
    pool = pool_of(request)
    if not request.META.get("SCRIPT_NAME"):
        name = host_name(request.get_host())
        for domain in pool.domains.all():
            if domain.host == name:
                return domain.base_url
    return pool.issuer


def host_name(host: str) -> str:
    """Return a Host header without its port, in lower case."""
    return (host.rsplit(":", 1)[0] if not host.endswith("]") else host).lower().rstrip(".")


def not_found() -> HttpResponse:
    """The answer for a host or a pool that does not exist: it says nothing about what does."""
    return HttpResponse("Not found.\n", status=404, content_type="text/plain; charset=utf-8")


def _synonyms(host: str) -> frozenset[str]:
    return LOOPBACK_HOSTS if host in LOOPBACK_HOSTS else frozenset({host})


def _console_hosts() -> frozenset[str]:
    return _synonyms(settings.USERPOOL_CONSOLE_HOST)


def _issuer_hosts() -> frozenset[str]:
    return _synonyms(urlsplit(settings.USERPOOL_ISSUER_BASE_URL).hostname or "")


class ConsoleOnly:
    """Mixin: steps aside when the request is for a pool, whose endpoints pay for none of this."""

    def __call__(self, request: HttpRequest) -> Any:
        if getattr(request, "user_pool", None) is not None:
            return self.get_response(request)  # type: ignore[attr-defined]
        return super().__call__(request)  # type: ignore[misc]

    def process_view(self, request: HttpRequest, *args: Any) -> Any:
        if getattr(request, "user_pool", None) is not None:
            return None
        outer = getattr(super(), "process_view", None)
        return outer(request, *args) if outer else None


class ConsoleSessionMiddleware(ConsoleOnly, SessionMiddleware):
    """Django's sessions, for operators."""


class ConsoleCsrfMiddleware(ConsoleOnly, CsrfViewMiddleware):
    """Django's CSRF check, for the console. Hosted pages ask for it themselves."""


class ConsoleAuthenticationMiddleware(ConsoleOnly, AuthenticationMiddleware):
    """``request.user``: an operator."""


class ConsoleMessageMiddleware(ConsoleOnly, MessageMiddleware):
    """Messages between the pages of the console."""


class ConsoleFrameMiddleware(ConsoleOnly, XFrameOptionsMiddleware):
    """The console is never framed."""
