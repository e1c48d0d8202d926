"""Why was this sign-in refused? The page that takes the number of an error page and tells all that is on record of it.

The number is the request id: the error page shows it, every answer carries it as ``x-amz-cognito-request-id``, and
every line of the log has it.
"""

import re
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts import event_words
from accounts.admin.navigation import may_see
from accounts.admin.site import console
from accounts.models import AuditEvent, AuthEvent
from accounts.models.events import Outcome

REQUEST_ID = re.compile(r"(?<![0-9a-f-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f-])", re.I)
MOST = 50
"""Of one request; a change of many users in one may write more."""


@console.page("request/", "request")
def request_page(request: HttpRequest) -> HttpResponse:
    """GET ``?id=``: a form, and what is known of the request with that id."""
    if not may_see("accounts.authevent")(request):
        raise PermissionDenied
    typed = request.GET.get("id", "").strip()[:100]
    request_id = _parsed(typed)
    context: dict[str, Any] = {
        **console.each_context(request),
        "title": "Why was it refused?",
        "typed": typed,
        "wrong": bool(typed) and not request_id,
        "asked": request_id,
        "events": _events(request_id) if request_id else [],
        "changes": [],
    }
    if request_id and may_see("accounts.auditevent")(request):
        context["changes"] = list(AuditEvent.objects.filter(request_id=request_id).order_by("id")[:MOST])
    return TemplateResponse(request, "console/request.html", context)


def _parsed(typed: str) -> str:
    """Return the id as it is stored, or the empty string for what is none: people paste more than the number."""
    found = REQUEST_ID.search(typed)
    return found[0].lower() if found else ""


def _events(request_id: str) -> list[dict[str, Any]]:
    rows = AuthEvent.objects.filter(request_id=request_id).select_related("user_pool", "user").order_by("id")[:MOST]
    return [
        {
            "row": row,
            "refused": row.outcome == Outcome.REFUSED,
            "why": event_words.why(row.reason) or row.reason,
            "who": row.user.username if row.user is not None else row.subject,
        }
        for row in rows
    ]
