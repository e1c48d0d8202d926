"""``/oauth2/authorize`` and its alias ``/authorize``: GET, and POST as OpenID Connect Core 3.1.2.1 asks.

https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html
"""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.middleware import pool_of
from federation import authorize_request, federated, parameters, responses, signin
from federation.errors import LoginRequired
from federation.views.base import browser_endpoint


@browser_endpoint("GET", "POST")
def authorize(request: HttpRequest) -> HttpResponse:
    """Answer at once on the strength of a session, else send the browser on: to its IdP, or to /login."""
    given = parameters.from_body(request) if request.method == "POST" else parameters.from_query(request)
    asked = authorize_request.parse(pool_of(request), given)
    with signin.reported_to(asked.target):
        session = signin.usable_session(request, asked)
        if session is not None:
            return signin.finish(request, asked, session)
        if "none" in asked.prompt:
            raise LoginRequired
        if asked.provider is not None:
            return federated.begin(request, asked, asked.provider)
    return responses.redirect(f"{reverse('login')}?{asked.query}")
