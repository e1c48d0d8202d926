"""Sign-in through an identity provider: the pause, the way back, and the finish that all providers share.

The way out puts the authorize request away under a state of ours and binds it to the browser by a cookie; the way back
takes it out again, once, and proves the request anew. Between the two the provider's own module does what its protocol
asks (federation/upstream/). After it: map the claims, find or make the user, start the session, answer the app.

RFC 6749 10.12 and RFC 9700 4.7 on the state; W 1.4, 7.1 and 9.4 on what Cognito does.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix

from accounts import clock, events, linking, opaque, pauses
from accounts.events import Steps
from accounts.linking import ExternalIdentity, IdentityRefused
from accounts.middleware import base_url_of, pool_of
from accounts.models import IdentityProvider, PoolUser, SignInRequest
from accounts.pauses import Lost
from federation import authorize_request, parameters, signin
from federation.authorize_request import AuthorizeRequest, RefusedRequest
from federation.errors import CookieMissing, HostedPageError, OAuthError
from federation.parameters import Parameters
from federation.upstream import capacity, upstream_for
from federation.upstream.base import SignIn, Upstream

COOKIE = "userpool_state"
LOST_PAGE = "sign_in_lost"
UNKNOWN_PAGES = {"oauth2": LOST_PAGE, "saml2": "invalid_relay_state"}  # W 8.3


def begin(request: HttpRequest, asked: AuthorizeRequest, provider: IdentityProvider) -> HttpResponse:
    """Send the browser to ``provider``; raise an OAuthError for the app, or Busy."""
    passing = SignIn(
        pool=asked.pool,
        provider=provider,
        base_url=base_url_of(request),
        state=opaque.random_token(),
        begun=clock.now(),
        prompt=asked.prompt - {"none"},
        login_hint=asked.login_hint,
        max_age=asked.max_age,
    )
    try:
        upstream = upstream_for(provider)
        with _place(upstream, provider):
            response = upstream.begin(request, passing)
    except OAuthError as error:
        record_refusal(asked, provider, passing.steps, error, early=True)
        raise
    browser = _browser(request) or opaque.random_token()
    pauses.put_away(asked.pool, provider, passing.state, browser, asked.query, passing.kept)
    _set_cookie(response, browser)
    return response


def complete(request: HttpRequest, given: Parameters, state: str, protocol: str) -> HttpResponse:
    """Take a provider's answer to the sign-in that ``state`` names, and answer the app.

    Raise HostedPageError when the sign-in is not this browser's, or over; RefusedRequest when the app is to be told;
    Busy before anything was spent.
    """
    paused = _find(request, given, state, protocol)
    asked = _asked_again(request, paused)
    steps, kept = Steps(), cast("dict[str, Any]", paused.upstream_state)
    try:
        with signin.reported_to(asked.target):
            provider = asked.provider
            if provider is None or provider.pk != paused.provider_id:  # another one of the same name by now
                raise _lost(request, paused, Lost.UNKNOWN)
            upstream = upstream_for(provider)
            if upstream.protocol != protocol:
                raise _lost(request, paused, Lost.UNKNOWN)
            with _place(upstream, provider):
                if not pauses.spend(paused):  # two at once, or the last second
                    raise _lost(request, paused, Lost.REPLAYED)
                passing = SignIn(
                    pool=asked.pool,
                    provider=provider,
                    base_url=base_url_of(request),
                    state=state,
                    begun=paused.created_at,
                    kept=dict(kept),
                    answer=given,
                    steps=steps,
                )
                identity = upstream.complete(request, passing)
            return finish(request, asked, upstream, identity, steps)
    except RefusedRequest as refused:
        record_refusal(asked, asked.provider, steps, refused.error)
        raise


def finish(
    request: HttpRequest, asked: AuthorizeRequest, upstream: Upstream, identity: ExternalIdentity, steps: Steps
) -> HttpResponse:
    """Map, find or make the user, start the session, answer the app: the end of every sign-in through a provider.

    Raise an OAuthError, in the words of ``upstream``.
    """
    steps.subject = identity.subject
    user = _user(asked, upstream, identity)
    steps.note("user found", username=user.username)
    return signin.sign_in(request, asked, user, identity, steps.note("signed in"))


def _user(asked: AuthorizeRequest, upstream: Upstream, identity: ExternalIdentity) -> PoolUser:
    try:
        return linking.resolve_user(identity, asked.client)
    except IdentityRefused as refused:
        raise upstream.refusal(refused) from refused


def _place(upstream: Upstream, provider: IdentityProvider) -> AbstractContextManager[None]:
    return capacity.place(provider.pk) if upstream.calls_out else nullcontext()


def _find(request: HttpRequest, given: Parameters, state: str, protocol: str) -> SignInRequest:
    """Return the pause that ``state`` names if this browser may go on with it; else raise what the browser gets."""
    pool = pool_of(request)
    paused = pauses.find(pool, state) if "state" not in given.repeated else None
    if paused is None:
        events.refused(pool, None, "", Steps(), Lost.UNKNOWN.value, early=True)
        raise HostedPageError(UNKNOWN_PAGES[protocol])
    if request.method == "POST" and not _browser(request) and not given.get(parameters.FROM_HERE):
        raise CookieMissing
    if (why := pauses.why_lost(paused, _browser(request))) is not None:
        raise _lost(request, paused, why)
    return paused


def _lost(request: HttpRequest, paused: SignInRequest, why: Lost) -> HostedPageError:
    """Record why the answer cannot be taken; the person is told no more than that it cannot (W 1.4)."""
    _record(request, paused, why.value)
    return HostedPageError(LOST_PAGE)


def _asked_again(request: HttpRequest, paused: SignInRequest) -> AuthorizeRequest:
    """Prove the authorize request anew: the client, its redirect_uri or its providers may have changed meanwhile."""
    try:
        return authorize_request.parse(pool_of(request), parameters.decode(paused.authorize_query))
    except (RefusedRequest, HostedPageError) as error:
        code = error.error.code if isinstance(error, RefusedRequest) else error.code
        _record(request, paused, "request_outdated", code)
        raise


def _record(request: HttpRequest, paused: SignInRequest, reason: str, code: str = "") -> None:
    if pauses.may_note_refusal(paused):
        events.refused(pool_of(request), *_parties(request, paused), Steps(), reason, code)
    else:
        events.leave_unrecorded()


def _parties(request: HttpRequest, paused: SignInRequest) -> tuple[IdentityProvider | None, str]:
    """Return the provider and the client id that ``paused`` is about."""
    providers = pool_of(request).identity_providers.all()
    provider = next((one for one in providers if one.pk == paused.provider_id), None)
    return provider, parameters.decode(paused.authorize_query).get("client_id")


def record_refusal(
    asked: AuthorizeRequest, provider: IdentityProvider | None, steps: Steps, error: OAuthError, *, early: bool = False
) -> None:
    told = (getattr(error, "reason", error.code), error.code, error.description)
    events.refused(asked.pool, provider, asked.client.client_id, steps, *told, early=early)


# --- the browser ------------------------------------------------------------------------------------------------------


def _cookie_name() -> str:
    # the prefix keeps a neighbouring subdomain from planting a cookie of its own; a pool under a path cannot have it
    return f"__Host-{COOKIE}" if settings.HTTPS and get_script_prefix() == "/" else COOKIE


def _browser(request: HttpRequest) -> str:
    """Return the value that names this browser; one for all its tabs, or a second sign-in would end the first."""
    value = request.COOKIES.get(_cookie_name(), "")
    return value if len(value) == 43 else ""


def _set_cookie(response: HttpResponse, browser: str) -> None:
    """SameSite=None lets the cookie come along when the provider answers by a POST from its own site."""
    response.set_cookie(
        _cookie_name(),
        browser,
        max_age=int(pauses.LIFETIME.total_seconds()),
        path=get_script_prefix(),
        secure=settings.HTTPS,
        httponly=True,
        samesite="None" if settings.HTTPS else "Lax",
    )
