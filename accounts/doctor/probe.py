"""What a web process saw of a request: how the doctor learns what a proxy in front of it does to requests.

``/healthz`` answers this, and nothing else, to a request that carries a value signed with SECRET_KEY; anybody else is
told "ok". That it answers at all proves that the process has the same SECRET_KEY.
"""

import time
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest

from accounts import opaque
from accounts.fields import encryption_keys

HEADER = "X-Userpool-Doctor"
SALT = "userpool.doctor"
LASTS = 600  # seconds; the clocks may differ, and that is a finding of its own


def proof() -> str:
    """Return a value for HEADER."""
    return signing.TimestampSigner(salt=SALT).sign(opaque.random_token())


def seen(request: HttpRequest, peer: str) -> dict[str, Any] | None:
    """Return what arrived, for a request of the doctor's; else None. ``peer`` is the address of the connection."""
    given = request.headers.get(HEADER, "")
    if not given:
        return None
    try:
        signing.TimestampSigner(salt=SALT).unsign(given, max_age=LASTS)
    except signing.BadSignature:
        return None
    return {
        "host": request.META.get("HTTP_HOST", ""),
        "peer": peer,
        "address": request.META.get("REMOTE_ADDR", ""),
        "forwarded_for": request.META.get("HTTP_X_FORWARDED_FOR", ""),
        "issuer_base_url": settings.USERPOOL_ISSUER_BASE_URL,
        "encryption_keys": list(encryption_keys()),
        "time": time.time(),
    }
