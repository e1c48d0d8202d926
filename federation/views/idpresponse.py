"""``/oauth2/idpresponse``: where OpenID Connect and social providers send the browser back to. GET, and POST for
``response_mode=form_post``.

https://docs.aws.amazon.com/cognito/latest/developerguide/idpresponse-endpoint.html
No CSRF token guards the POST: it comes from another site by design, and the state and its cookie do (RFC 6749 10.12).
"""

from django.http import HttpRequest, HttpResponse

from federation import federated, parameters
from federation.views.base import browser_endpoint


@browser_endpoint("GET", "POST")
def idpresponse(request: HttpRequest) -> HttpResponse:
    """Take the answer of a provider and send the browser on to the app."""
    given = parameters.from_body(request) if request.method == "POST" else parameters.from_query(request)
    return federated.complete(request, given, given.get("state"), "oauth2")
