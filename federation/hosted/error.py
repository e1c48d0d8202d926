"""``/error``: what went wrong, for the person in front of the browser.

The address carries a code; the words come from here. Nothing of the request is shown but the id under which an
operator finds it in the log, and that only when this server signed it.
"""

import logging

from django.core import signing
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.tracing import current_request_id
from federation import errors, parameters, refusals, responses

log = logging.getLogger("userpool.request")
SALT = "userpool.error"

# code: title, message, advice
WORDS: dict[str, tuple[str, str, str]] = {
    "redirect_mismatch": (
        "This sign-in link is not set up correctly",
        "The app asked to be sent back to an address that is not registered for it.",
        "Go back to the app and try again. If it happens again, tell the people who run the app.",
    ),
    "invalid_client": (
        "We do not know this app",
        "The sign-in link names an app that is not registered here.",
        "Check that you followed the right link, or tell the people who run the app.",
    ),
    "invalid_request": (
        "This request cannot be used",
        "Something in the link is missing or malformed.",
        "Go back to the app and start again.",
    ),
    "too_large": (
        "This request is too large",
        "The link or the form holds more than any sign-in needs.",
        "Go back to the app and start again. If it happens again, tell the people who run the app.",
    ),
    "too_many_requests": (
        "One moment, please",
        "Too many requests arrive here just now.",
        "Wait a moment, then reload this page. Nothing is lost.",
    ),
    "not_found": (
        "There is nothing here",
        "The address does not lead to a page of this sign-in service.",
        "Check the address, or go back to the app and start again.",
    ),
    "csrf": (
        "This page was open for too long",
        "For your safety the form could not be accepted.",
        "Go back, reload the page and try again. Cookies must be allowed for this site.",
    ),
    "logout_mismatch": (
        "You cannot be sent back from here",
        "The app asked to be sent back to an address that is not registered for signing out.",
        "You can close this window. If it happens again, tell the people who run the app.",
    ),
    "sign_in_lost": (
        "This sign-in cannot go on",
        "It took longer than five minutes, was finished before, or was begun in another browser.",
        "Go back to the app and sign in again. Cookies must be allowed for this site.",
    ),
    "invalid_relay_state": (
        "This sign-in cannot go on",
        "Invalid relayState from identity provider: the answer belongs to no sign-in that was begun here.",
        "Go back to the app and sign in again. If it happens again, tell your administrator.",
    ),
    "sign_out_unconfirmed": (
        "You are signed out here",
        "We could not confirm that your company's sign-in service has signed you out as well.",
        "Close all windows of this browser if others use it too.",
    ),
    "sign_out_refused": (
        "This sign-out request cannot be used",
        "It was not sent by a sign-in service that is known here, or it is too old.",
        "Sign out in the app itself. If it happens again, tell your administrator.",
    ),
    "server_error": (
        "Something went wrong",
        "The fault is on our side, and it has been recorded.",
        "Try again in a moment. If it happens again, tell your administrator and give the number below.",
    ),
}


def redirect_to(request: HttpRequest, error: errors.HostedPageError) -> HttpResponse:
    """Log the refusal and send the browser to /error, as Cognito does (W 3.6)."""
    log.warning("refused on a hosted page: %s", error.code, extra={"client": error.client_id[:128]})
    fields = {"error": error.code}
    if error.client_id:
        fields["client_id"] = error.client_id[:128]
    fields["request_id"] = signing.Signer(salt=SALT).sign(current_request_id())
    return responses.redirect(responses.with_query(reverse("error"), fields))


def view(request: HttpRequest) -> HttpResponse:
    """GET /error."""
    if request.method not in ("GET", "HEAD"):
        return responses.method_not_allowed("GET, HEAD")
    try:
        given = parameters.from_query(request)
    except errors.InvalidRequest:
        given = parameters.Parameters()
    return show(request, given.get("error"), given.get("request_id"))


def show(request: HttpRequest, code: str, signed_id: str = "", status: int = 400) -> HttpResponse:
    """Render the page for ``code``; an unknown code gets the general words."""
    known = code if code in WORDS else "invalid_request"
    title, message, advice = WORDS[known]
    try:
        request_id = signing.Signer(salt=SALT).unsign(signed_id)
    except signing.BadSignature:
        request_id = current_request_id()
    context = {
        "title": title,
        "message": message,
        "advice": advice,
        "error_code": known,
        "request_id": request_id,
    }
    return responses.page(request, "hosted/error.html", context, status=status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose CSRF token is missing or foreign (settings.CSRF_FAILURE_VIEW)."""
    log.warning("csrf: %s", reason)
    if getattr(request, "user_pool", None) is not None:  # the console has no pool
        refusals.record(request, "", "csrf")
    return show(request, "csrf", status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404 on a pool's host (handler404)."""
    return show(request, "not_found", status=404)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400 for what Django itself refuses (handler400); 413 for a form that is too large."""
    if isinstance(exception, RequestDataTooBig | TooManyFieldsSent):
        return show(request, "too_large", status=413)
    return show(request, "invalid_request")


def failure(request: HttpRequest) -> HttpResponse:
    """500 for what nobody caught (handler500)."""
    return show(request, "server_error", status=500)
