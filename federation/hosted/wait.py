"""The page that asks a browser to come again in a moment, by itself.

It is the answer when too many sign-ins wait for a provider (federation/upstream/capacity.py): nothing was spent, so
the same request, sent again, goes on where this one stopped. Without scripts a GET refreshes itself and a POST has a
button.
"""

from django.http import HttpRequest, HttpResponse

from federation import parameters, responses

SECONDS = 2


def page(request: HttpRequest) -> HttpResponse:
    """Return the page, 503 with Retry-After, for the request at hand."""
    fields = list(parameters.from_body(request).values.items()) if request.method == "POST" else []
    context = {"action": request.get_full_path(), "fields": fields, "seconds": SECONDS, "posted": bool(fields)}
    response = responses.page(request, "hosted/wait.html", context, status=503, leads_out=True)
    response["Retry-After"] = str(SECONDS)
    if not fields:
        response["Refresh"] = str(SECONDS)
    return response
