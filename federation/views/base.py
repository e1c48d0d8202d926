"""The two kinds of endpoint: for machines (JSON) and for browsers (redirects and pages).

Each kind has one place where a refusal becomes an answer and where the unexpected is logged and hidden.
"""

import logging
from collections.abc import Callable
from functools import wraps

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError

from federation import errors, parameters, refusals, responses
from federation.authorize_request import RefusedRequest
from federation.hosted import error as error_page
from federation.hosted import wait

log = logging.getLogger("userpool.request")
View = Callable[..., HttpResponse]


def machine_endpoint(*methods: str) -> Callable[[View], View]:
    """An endpoint for programs: any origin, preflight, JSON errors, 405 with an empty body."""
    allowed = ", ".join([*methods, "OPTIONS"])

    def decorate(view: View) -> View:
        @wraps(view)
        def endpoint(request: HttpRequest) -> HttpResponse:
            if request.method == "OPTIONS":
                return responses.preflight(allowed)
            if request.method not in methods:
                return responses.allow_any_origin(responses.method_not_allowed(allowed))
            try:
                response = view(request)
            except errors.OAuthError as error:
                response = responses.error_json(error)
            except (SuspiciousOperation, BadRequest, UnreadablePostError):
                response = responses.error_json(errors.InvalidRequest())
            except Exception:
                log.exception("unexpected failure")
                response = responses.error_json(errors.ServerError())
            return responses.allow_any_origin(response)

        return endpoint

    return decorate


def browser_endpoint(*methods: str) -> Callable[[View], View]:
    """An endpoint for people: a refusal goes to the app if it may, else to the hosted error page."""

    def decorate(view: View) -> View:
        @wraps(view)
        def endpoint(request: HttpRequest) -> HttpResponse:
            if request.method not in methods:
                return responses.method_not_allowed(", ".join(methods))
            try:
                if request.method == "POST":
                    parameters.require_form(request)
                return view(request)
            except RefusedRequest as refused:
                log.info("refused: %s", refused)
                refusals.record(request, refused.target.client_id, refused.error.code, refused.error.description)
                return responses.error_redirect(request, refused.target, refused.error)
            except errors.Busy:
                return wait.page(request)
            except errors.CookieMissing:
                return wait.post_from_here(request)
            except errors.HostedPageError as error:
                refusals.record(request, error.client_id, error.code)
                return error_page.redirect_to(request, error)
            except (errors.TooLarge, errors.TooLong) as error:
                # said at once: a redirect would hide the status from proxies and tools
                refusals.record(request, "", error.code, error.description)
                return error_page.show(request, "too_large", status=error.status)
            except errors.OAuthError as error:
                refusals.record(request, "", error.code, error.description)
                return error_page.redirect_to(request, errors.HostedPageError(error.code))
            except (SuspiciousOperation, BadRequest, UnreadablePostError):
                refusals.record(request, "", "invalid_request")
                return error_page.redirect_to(request, errors.HostedPageError("invalid_request"))
            except Http404:
                raise
            except Exception:
                log.exception("unexpected failure")
                refusals.record(request, "", "server_error")
                return error_page.show(request, "server_error", status=500)

        return endpoint

    return decorate
