"""Sign-in that a SAML provider begins: nobody here asked for it (saml-profiles-2.0 4.1.5, W 8.4).

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-SAML-session-initiation.html
RelayState says what the app would have asked for, in the words of an authorize request, and is judged like one.
Nothing ties the response to this browser: whoever holds somebody's response can sign a browser in as that person. It
is for providers whose operator wants that, and for apps that nobody signs in to in another way.
"""

from django.http import HttpRequest, HttpResponse

from accounts import clock, events
from accounts.events import Steps
from accounts.middleware import base_url_of, pool_of
from federation import authorize_request, federated, parameters, signin
from federation.authorize_request import AuthorizeRequest, RefusedRequest
from federation.errors import HostedPageError, InvalidRequest, OAuthError
from federation.parameters import Parameters
from federation.upstream.base import SignIn
from federation.upstream.saml.reading import refusal
from federation.upstream.saml.sign_in import SamlUpstream

PAGE = "invalid_relay_state"
# the app keeps no state for a sign-in that it did not begin, and a session that is there answers for nobody
IGNORED = ("state", "prompt", "max_age", "login_hint")


def is_request(relay_state: str) -> bool:
    """Whether RelayState has the form of an authorize query, which no state of ours has."""
    return "=" in relay_state


def accept(request: HttpRequest, given: Parameters) -> HttpResponse:
    """Sign in whom the response vouches for and answer the app; raise RefusedRequest or HostedPageError."""
    asked = _asked(request, given)
    steps = Steps()
    try:
        with signin.reported_to(asked.target):
            upstream = _upstream(asked)
            passing = SignIn(
                pool=asked.pool,
                provider=upstream.provider,
                base_url=base_url_of(request),
                state="",
                begun=clock.now(),
                answer=given,
                steps=steps,
            )
            return federated.finish(request, asked, upstream, upstream.unsolicited(passing), steps)
    except RefusedRequest as refused:
        federated.record_refusal(asked, asked.provider, steps, refused.error, early=True)
        raise


def _asked(request: HttpRequest, given: Parameters) -> AuthorizeRequest:
    pool = pool_of(request)
    try:
        said = parameters.decode(given.get("RelayState"))
        values = {name: value for name, value in said.values.items() if name not in IGNORED}
        return authorize_request.parse(pool, Parameters(values, said.repeated - {*IGNORED}))
    except (HostedPageError, RefusedRequest, OAuthError) as error:
        events.refused(pool, None, "", Steps(), "relay_state", early=True)
        if isinstance(error, OAuthError):  # not even a query
            raise HostedPageError(PAGE) from error
        raise


def _upstream(asked: AuthorizeRequest) -> SamlUpstream:
    """Return the provider that RelayState names; raise an OAuthError unless it is one of SAML, at an app for those."""
    client = asked.client
    if asked.provider is None:
        raise InvalidRequest("identity_provider is missing.")
    if client.cognito_sign_in or any(provider.provider_type != "SAML" for provider in client.providers):
        raise refusal("client_not_saml_only", "IdP-initiated sign-in needs an app client with SAML providers only.")
    return SamlUpstream(asked.provider)
