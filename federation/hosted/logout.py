"""``/logout``, in Cognito's words and in those of OpenID Connect RP-Initiated Logout 1.0. GET and POST.

https://docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html
Cognito's two forms sign out without a question. RP-Initiated Logout asks the person when no ID token shows that the
app knows who is signed in (section 2), because any page can link here.
"""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie

from accounts import directory, events, sessions
from accounts.events import Steps
from accounts.middleware import pool_of
from accounts.models import AppClient, UserPool
from federation import parameters, responses, sign_out, tokens
from federation.errors import HostedPageError
from federation.hosted.forms import form_protected
from federation.parameters import Parameters
from federation.views.base import browser_endpoint


@dataclass(frozen=True, slots=True)
class SignOut:
    """A proven sign-out request: where to go, and whom the app says it signed in."""

    url: str
    client_id: str
    hinted_sub: str = ""
    must_ask: bool = False


@browser_endpoint("GET", "HEAD", "POST")
def logout(request: HttpRequest) -> HttpResponse:
    """End the browser's session and send it where the app asked."""
    if request.method == "POST" and "confirmed" in request.POST:
        return _confirmed(request)
    given = parameters.from_body(request) if request.method == "POST" else parameters.from_query(request)
    wanted = _parse(pool_of(request), given)
    session = sessions.current(request, pool_of(request))
    if wanted.must_ask and session is not None and session.user.sub != wanted.hinted_sub:
        return _ask(request, given, wanted)
    return _sign_out(request, wanted)


@form_protected
def _confirmed(request: HttpRequest) -> HttpResponse:
    wanted = _parse(pool_of(request), parameters.from_query(request))
    return _sign_out(request, wanted)


@ensure_csrf_cookie
def _ask(request: HttpRequest, given: Parameters, wanted: SignOut) -> HttpResponse:
    action = responses.with_query(reverse("logout"), given.values)
    return responses.page(request, "hosted/confirm_sign_out.html", {"form_action": action}, leads_out=True)


def _sign_out(request: HttpRequest, wanted: SignOut) -> HttpResponse:
    pool = pool_of(request)
    session = sessions.current(request, pool)
    if session is not None:
        events.signed_out(pool, None, [session.user], Steps(), wanted.client_id)
    sessions.end(request, pool)  # first: a provider that never answers leaves nobody signed in here
    onward = sign_out.begin(request, session, wanted.url) if session is not None else None
    response = onward or done(request, wanted.url)
    sessions.delete_cookie(response)
    return response


def done(request: HttpRequest, url: str) -> HttpResponse:
    """Return to the app, or say that all is done where it named no address."""
    return responses.redirect(url) if url else responses.page(request, "hosted/signed_out.html", {})


def _parse(pool: UserPool, given: Parameters) -> SignOut:
    """Prove the client and the target; raise HostedPageError. ``logout_uri`` wins over the other forms (W 9.3)."""
    if given.repeated:
        raise HostedPageError("invalid_request")
    hint = given.get("id_token_hint")
    try:
        hinted = tokens.verify(pool, hint, "id", allow_expired=True) if hint else None
    except tokens.InvalidJwt as error:
        raise HostedPageError("invalid_request") from error
    client_id = given.get("client_id") or (str(hinted["aud"]) if hinted else "")
    if hinted is not None and hinted["aud"] != client_id:
        raise HostedPageError("invalid_request", client_id)
    client = directory.app_client(pool, client_id) if client_id else None
    if client is None:
        raise HostedPageError("invalid_client" if client_id else "invalid_request", client_id)
    if given.get("logout_uri"):
        return SignOut(_registered(client, given.get("logout_uri")), client_id)
    sub = str(hinted["sub"]) if hinted else ""
    if given.get("post_logout_redirect_uri"):
        url = _registered(client, given.get("post_logout_redirect_uri"))
        state = given.get("state")
        return SignOut(responses.with_query(url, {"state": state} if state else {}), client_id, sub, must_ask=True)
    if given.get("redirect_uri"):
        return SignOut(_login_url(client, given), client_id)
    if hinted is not None:
        return SignOut("", client_id, sub, must_ask=True)
    raise HostedPageError("logout_mismatch", client_id)


def _registered(client: AppClient, url: str) -> str:
    if not client.post_logout_redirect_uri_allowed(url):
        raise HostedPageError("logout_mismatch", client.client_id)
    return url


def _login_url(client: AppClient, given: Parameters) -> str:
    """Cognito's second form: sign in again, as somebody else perhaps. Without a scope, all of the client's."""
    if not client.redirect_uri_allowed(given.get("redirect_uri")) or not given.get("response_type"):
        raise HostedPageError("redirect_mismatch", client.client_id)
    names = ("response_type", "client_id", "redirect_uri", "scope", "state", "nonce")
    fields = {name: given.get(name) for name in names if given.get(name)}
    fields.setdefault("scope", " ".join(client.allowed_oauth_scopes))
    return responses.with_query(reverse("login"), fields)
