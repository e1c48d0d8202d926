"""``/saml2/idpresponse``, ``/saml2/logout`` and ``/saml2/metadata``: the pool as a SAML service provider.

https://docs.aws.amazon.com/cognito/latest/developerguide/saml2-idpresponse-endpoint.html
Messages come by POST only (saml-bindings-2.0 3.5). No CSRF token guards them: the forms come from other sites by
design. RelayState and its cookie guard the response, or, where a provider began, the operator's word that it may (W
8.4); the provider's signature guards a sign-out.
"""

from django.http import HttpRequest, HttpResponse

from accounts.middleware import base_url_of, pool_of
from federation import federated, parameters, sign_out, unsolicited
from federation.errors import HostedPageError
from federation.hosted import logout as hosted_logout
from federation.upstream.saml import published
from federation.views.base import browser_endpoint


@browser_endpoint("POST")
def idpresponse(request: HttpRequest) -> HttpResponse:
    """Take the response of a provider and send the browser on to the app."""
    given = parameters.from_body(request, parameters.MAX_SAML_BODY)
    if given.repeated:
        raise HostedPageError("invalid_request")
    relay_state = given.get("RelayState")
    if unsolicited.is_request(relay_state):
        return unsolicited.accept(request, given)
    return federated.complete(request, given, relay_state, "saml2")


@browser_endpoint("POST")
def logout(request: HttpRequest) -> HttpResponse:
    """Take a provider's answer to our sign-out, or its own request to sign somebody out."""
    given = parameters.from_body(request, parameters.MAX_SAML_BODY)
    if given.repeated or bool(given.get("SAMLRequest")) == bool(given.get("SAMLResponse")):
        raise HostedPageError("invalid_request")
    if given.get("SAMLRequest"):
        return sign_out.requested(request, given)
    return hosted_logout.done(request, sign_out.complete(request, given))


@browser_endpoint("GET", "HEAD")
def metadata(request: HttpRequest) -> HttpResponse:
    """Say what a provider's administrator has to register (beyond Cognito, which has no such document)."""
    return published.document(request, pool_of(request), base_url_of(request))
