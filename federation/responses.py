"""The only place where answers are written: JSON, redirects, the auto-submitted form, the Bearer challenge.

Redirects are made here and nowhere else, and only to a Target, which exists once the client and its redirect_uri are
proven.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext

from accounts.middleware import PERMISSIONS_POLICY
from federation.errors import OAuthError

JSON = "application/json;charset=UTF-8"
CORS_HEADERS = "authorization, content-type, x-requested-with, amz-sdk-invocation-id, amz-sdk-request, x-amz-user-agent"
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where an authorization response goes: a proven redirect_uri and how the response travels to it."""

    redirect_uri: str
    state: str
    mode: str
    """query, fragment or form_post."""
    issuer: str
    client_id: str


def json_response(body: Mapping[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(json.dumps(body, separators=(",", ":")), status=status, content_type=JSON)


def error_json(error: OAuthError, status: int = 0, describe: bool = False) -> HttpResponse:
    """The error body of RFC 6749 5.2. Cognito sends the code alone (W 4.5)."""
    body = {"error": error.code}
    if describe and error.description:
        body["error_description"] = error.description
    return json_response(body, status or error.status)


def redirect(url: str) -> HttpResponse:
    """A 302 to ``url``, whatever its scheme: apps register myapp://callback."""
    response = HttpResponse(status=302)
    response["Location"] = iri_to_uri(url)
    return response


def with_query(url: str, fields: Mapping[str, str]) -> str:
    """Return ``url`` with ``fields`` appended to its query, byte for byte what was registered before them."""
    if not fields:
        return url
    joiner = "&" if "?" in url else "?"
    return f"{url}{'' if url.endswith(('?', '&')) else joiner}{urlencode(fields)}"


def authorization_response(request: HttpRequest, target: Target, fields: Mapping[str, str]) -> HttpResponse:
    """Send ``fields`` to the app, with ``state`` as it came and ``iss`` (RFC 9207)."""
    sent = {**fields}
    if target.state:
        sent["state"] = target.state
    sent["iss"] = target.issuer
    if target.mode == "form_post":
        return form_page(request, target.redirect_uri, sent, gettext("Going back to the app"))
    if target.mode == "fragment":
        return redirect(f"{target.redirect_uri}#{urlencode(sent)}")
    return redirect(with_query(target.redirect_uri, sent))


def form_page(request: HttpRequest, url: str, fields: Mapping[str, str], title: str) -> HttpResponse:
    """Return a page that posts ``fields`` to ``url`` by itself, or by its button where there are no scripts."""
    context = {"action": url, "fields": list(fields.items()), "title": title}
    return page(request, "hosted/form_post.html", context, leads_out=True)


def error_redirect(request: HttpRequest, target: Target, error: OAuthError) -> HttpResponse:
    """Send ``error`` to the app; the description first, as Cognito does (W 3.5)."""
    fields = {"error_description": error.description} if error.description else {}
    return authorization_response(request, target, {**fields, "error": error.code})


def page(
    request: HttpRequest, template: str, context: Mapping[str, Any], status: int = 200, leads_out: bool = False
) -> HttpResponse:
    """Render a hosted page. ``leads_out``: its form ends at an app, or at an IdP.

    Chromium applies form-action to every redirect that follows a POST, the app's own onward redirects included, so a
    page that leads out cannot have the directive: no list would know where the app goes next.
    """
    pool = getattr(request, "user_pool", None)
    response = render(request, template, {"pool_name": pool.name if pool else "", **context}, status=status)
    response["Content-Security-Policy"] = PAGE_POLICY if leads_out else f"{PAGE_POLICY}; form-action 'self'"
    response["Permissions-Policy"] = PERMISSIONS_POLICY
    return response


def challenge(error: OAuthError, scheme: str, status: int = 0, code: str = "") -> HttpResponse:
    """A refusal of the userInfo endpoint (RFC 6750 3). Cognito leaves the scheme word out."""
    body = {"error": code or error.code, "error_description": error.description}
    response = json_response(body, status or error.status)
    response["WWW-Authenticate"] = f'{scheme}error="{code or error.code}", error_description="{error.description}"'
    return response


def allow_any_origin(response: HttpResponse) -> HttpResponse:
    """Cognito sends this on token, revoke and userInfo (W 1.3); browsers need it on the issuer's documents too."""
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Expose-Headers"] = "x-amz-cognito-request-id, WWW-Authenticate"
    return response


def preflight(methods: str) -> HttpResponse:
    """Answer OPTIONS: any origin, no credentials."""
    response = allow_any_origin(HttpResponse(status=204))
    response["Access-Control-Allow-Methods"] = methods
    response["Access-Control-Allow-Headers"] = CORS_HEADERS
    response["Access-Control-Max-Age"] = "86400"
    return response


def method_not_allowed(methods: str) -> HttpResponse:
    """405 with an empty body (W 1.3)."""
    response = HttpResponse(status=405)
    response["Allow"] = methods
    return response
