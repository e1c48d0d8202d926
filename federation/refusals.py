"""Putting a refusal that a browser was shown, or sent back to the app with, on record (accounts/events.py).

Whoever refuses with a reason of its own has done it by then; here are the others: a redirect_uri that is not
registered, a scope that a client may not use, a form without its proof, a fault of ours.
"""

import logging

from django.db import Error
from django.http import HttpRequest

from accounts import events
from accounts.middleware import pool_of
from accounts.models.events import EventType

log = logging.getLogger("userpool.request")
# what an app asks in the background, at every page of its own: the answer is no, and nobody was refused
QUIET = ("login_required", "interaction_required")
SIGN_OUTS = ("logout", "saml-logout")


def record(request: HttpRequest, client_id: str, code: str, description: str = "") -> None:
    """Record that ``request`` was refused with ``code``, unless that is on record."""
    if code in QUIET or events.refused_already():
        return
    name = request.resolver_match.url_name if request.resolver_match else ""
    kind = EventType.SIGN_OUT if name in SIGN_OUTS else EventType.SIGN_IN
    try:
        events.refused(pool_of(request), None, client_id, None, code, code, description, event_type=kind, early=True)
    except Error:  # the answer matters more
        log.exception("refusal not recorded")
