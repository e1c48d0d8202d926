"""The page that asks a browser to come again in a moment, by itself.

It is the answer when too many sign-ins wait for a provider (federation/upstream/capacity.py): nothing was spent, so
the same request, sent again, goes on where this one stopped. Without scripts a GET refreshes itself and a POST has a
button.
"""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from federation import parameters, responses

SECONDS = 2


def page(request: HttpRequest) -> HttpResponse:
    """Return the page, 503 with Retry-After, for the request at hand."""
    fields = _posted(request)
    context = {"action": request.get_full_path(), "fields": fields, "seconds": SECONDS, "posted": bool(fields)}
    response = responses.page(request, "hosted/wait.html", context, status=503, leads_out=True)
    response["Retry-After"] = str(SECONDS)
    if not fields:
        response["Refresh"] = str(SECONDS)
    return response


def post_from_here(request: HttpRequest) -> HttpResponse:
    """Return a page that posts the form at hand again, from this site.

    A browser keeps SameSite=Lax cookies from a form that another site posts, and over plain http there is no other
    kind. Posted again by a page of ours, the same form brings them along.
    """
    fields = {**dict(_posted(request)), parameters.FROM_HERE: "1"}
    return responses.form_page(request, request.get_full_path(), fields, gettext("One moment"))


def _posted(request: HttpRequest) -> list[tuple[str, str]]:
    if request.method != "POST":
        return []
    return list(parameters.from_body(request, parameters.MAX_SAML_BODY).values.items())
