"""``/metrics``: what Prometheus scrapes. Off until there is a token, and then for whoever presents it (RFC 6750 2.1).

https://prometheus.io/docs/instrumenting/exposition_formats/ and OpenMetrics 1.0, as the Accept header asks. It is
answered on every host but those of pools: a scraper asks each machine by its address or a name that only the inside
knows, and what Cognito has not at its domain is not at a pool's. Whatever is told is true of this machine's processes
(accounts/metrics.py) or of the whole deployment (accounts/metric_state.py).
"""

import hmac
from collections.abc import Iterator

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from prometheus_client import exposition
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics

from accounts import directory, metric_state
from accounts import metrics as counted
from accounts.middleware import host_name, not_found


class Everything:
    """A collector of the library's kind: what was counted and what is read now."""

    def collect(self) -> Iterator[Metric]:
        yield from counted.collected()
        yield from metric_state.collected()


@csrf_exempt  # it takes no form; a POST is a 405 and not a page about cookies
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape: 404 while there is no token and on a pool's host, 401 without the token."""
    token = settings.USERPOOL_METRICS_TOKEN
    if not token or _of_a_pool(request):
        return not_found()
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    if not _presented(request, token):
        response = HttpResponse("Unauthorized.\n", status=401, content_type="text/plain; charset=utf-8")
        response["WWW-Authenticate"] = 'Bearer realm="userpool metrics"'
        return response
    body, content_type = _exposed(request.META.get("HTTP_ACCEPT", ""))
    return HttpResponse(body, content_type=content_type, headers={"Cache-Control": "no-store"})


def _of_a_pool(request: HttpRequest) -> bool:
    try:
        return directory.pool_by_host(host_name(request.get_host())) is not None
    except DisallowedHost:
        return True
    except Error:  # the database is away, and whoever watches has to hear of it
        return False


def _presented(request: HttpRequest, token: str) -> bool:
    scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    # compared in any case, and as bytes: of text the function takes ASCII only
    same = hmac.compare_digest(value.strip().encode(), token.encode())
    return same and scheme.lower() == "bearer"


def _exposed(accept: str) -> tuple[bytes, str]:
    """Return the body and its type. The library's own choice fails on a version that is not a number."""
    if "application/openmetrics-text" in accept:
        return openmetrics.generate_latest(Everything()), openmetrics.CONTENT_TYPE_LATEST
    return exposition.generate_latest(Everything()), exposition.CONTENT_TYPE_PLAIN_0_0_4
