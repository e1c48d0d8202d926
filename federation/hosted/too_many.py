"""The page for who asks too often: 429, Retry-After (RFC 6585 4).

It looks like every error page, leads nowhere, and is kept ready, because it is answered most when there is no time.
"""

from django.http import HttpRequest, HttpResponse

from accounts import directory
from accounts.middleware import pool_of
from accounts.tracing import current_request_id
from federation.hosted import error


def page(request: HttpRequest) -> HttpResponse:
    """Return the page, with the id of this request."""

    def load() -> tuple[list[bytes], dict[str, str]]:
        shown = error.show(request, "too_many_requests", status=429)
        return shown.content.split(current_request_id().encode()), dict(shown.headers)

    pieces, headers = directory.remember(("too many requests", pool_of(request).pk), load)
    return HttpResponse(current_request_id().encode().join(pieces), status=429, headers=headers)
