"""Reading metadata again in the background, so that a sign-in finds it at hand (W 8.1: every six hours).

Due is a copy that a sign-in would soon find too old, or whose own ``validUntil`` comes near. A provider that cannot be
read is asked again at each run; its last good copy serves meanwhile. Two workers at once take turns by the row
(accounts/documents.py).
"""

import logging
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import documents as kept
from accounts import events
from accounts.models import IdentityProvider
from accounts.models.events import EventType
from federation.upstream.documents import LEASE, METADATA
from federation.upstream.fetching import FetchFailed
from federation.upstream.http import Exchange
from federation.upstream.saml import source

log = logging.getLogger("userpool.metadata")
MARGIN = timedelta(minutes=30)


def refresh_due() -> dict[str, int]:
    """Read what is due and return the counts ``read`` and ``failed``."""
    counts = {"read": 0, "failed": 0}
    for provider in kept.providers_of_type("SAML"):
        try:
            url = source.details_of(provider).metadata_url
        except ValidationError:
            continue
        if url and _due(provider, url) and kept.claim(provider, METADATA.name, url, LEASE):
            counts["read" if _read(provider, url) else "failed"] += 1
    return counts


def _due(provider: IdentityProvider, url: str) -> bool:
    copy = kept.read(provider, METADATA.name, url, fresh=True)
    if copy is None or not copy.body or not kept.younger_than(copy.fetched_at, METADATA.fresh - MARGIN):
        return True
    try:
        ends = source.judge(copy.body).valid_until
    except FetchFailed:
        return True
    # what was over when it was read says nothing new for being read again: it is due by its age alone
    return ends is not None and ends - MARGIN <= timezone.now() and not (copy.fetched_at and ends <= copy.fetched_at)


def _read(provider: IdentityProvider, url: str) -> bool:
    failing = kept.failing(provider)
    try:
        with Exchange() as exchange:
            source.fetch_now(provider, url, exchange)
    except FetchFailed as failure:
        cause = failure.cause
    except Exception:
        log.exception("metadata not read", extra={"pool": provider.user_pool_id, "provider": provider.provider_name})
        cause = "unusable"
    else:
        return True
    kept.failed(provider, METADATA.name, url, cause)
    log.warning(
        "metadata not read: %s",
        cause,
        extra={"pool": provider.user_pool_id, "provider": provider.provider_name},
    )
    if not failing:  # once, when it begins: the job comes by every ten minutes
        why = f"metadata_{cause}"
        events.refused(provider.user_pool, provider, "", None, why, event_type=EventType.PROVIDER_REFRESH)
    return False
