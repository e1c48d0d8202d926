"""Rate limits, as a middleware: what is over a limit is answered here and costs nothing further.

https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html (W 1.4). accounts/rate_limits.py counts; this
module knows where an app client is named and how a refusal looks. The issuer's documents are not counted: every app
reads them, and they come ready from memory. Nor is what no pool serves: the console, static files, health.
"""

import logging
from collections.abc import Callable

from django.db import Error
from django.http import HttpRequest, HttpResponse

from accounts import events, metrics, rate_limits
from accounts.models import UserPool
from accounts.models.events import EventType
from accounts.rate_limits import Over
from federation import parameters, responses
from federation.errors import InvalidRequest, TooManyRequests
from federation.hosted import too_many
from federation.oauth2.validator import basic_credentials

log = logging.getLogger("userpool.limits")
DOCUMENTS = "/.well-known/"
AUTHENTICATED = frozenset({"/oauth2/token", "/oauth2/revoke"})
FORMS = AUTHENTICATED | {"/oauth2/authorize", "/authorize", "/logout"}
"""Where the form of a POST names the client. That of /login is none: the client stands in its query."""
MACHINES = AUTHENTICATED | {"/oauth2/userInfo"}
RETRY_AFTER = "1"


class RateLimitMiddleware:
    """Refuses what is over a limit. It stands behind UserPoolMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        pool: UserPool | None = request.user_pool  # type: ignore[attr-defined]
        if pool is None or request.path_info.startswith(DOCUMENTS):
            return self.get_response(request)
        address = str(request.META.get("REMOTE_ADDR", ""))
        over = rate_limits.refused(pool, address, lambda: named_clients(request))
        if over is not None:
            metrics.rate_limited(over.kind)
            if over.first:
                record(request, pool, over)
            return refusal(request)
        return self.get_response(request)


def named_clients(request: HttpRequest) -> list[str]:
    """Return the ids of the app client that ``request`` may name: two where a Basic header can be read in two ways.

    A request that cannot be read names none; its endpoint says so.
    """
    try:
        if request.method != "POST" or request.path_info not in FORMS:
            return [parameters.from_query(request).get("client_id")]
        named = parameters.from_body(request).get("client_id")
        header = request.META.get("HTTP_AUTHORIZATION", "") if request.path_info in AUTHENTICATED else ""
        if named or not header:
            return [named or parameters.from_query(request).get("client_id")]
        return [client_id for client_id, _ in basic_credentials(header)]
    except InvalidRequest:
        return []


def record(request: HttpRequest, pool: UserPool, over: Over) -> None:
    """Put a refusal on record; few a minute are written, as of all that a stranger can bring about."""
    kind = EventType.TOKEN_REQUEST if request.path_info in AUTHENTICATED else EventType.SIGN_IN
    reason, code = f"rate_{over.kind}", TooManyRequests.code
    try:
        events.refused(pool, None, over.client_id, None, reason, code, event_type=kind, early=True)
    except Error:  # the answer matters more
        log.exception("refusal not recorded")


def refusal(request: HttpRequest) -> HttpResponse:
    """Return 429: JSON for programs, as token errors are, a page for people. The app is not told by a redirect."""
    if request.path_info in MACHINES:
        response = responses.allow_any_origin(responses.error_json(TooManyRequests(), describe=True))
        response["Access-Control-Expose-Headers"] += ", Retry-After"
    else:
        response = too_many.page(request)
    response["Retry-After"] = RETRY_AFTER
    response._has_been_logged = True  # type: ignore[attr-defined]  # by the first of its window; not by Django, each
    return response
