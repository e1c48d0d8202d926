"""Reading discovery documents and keys again in the background, for the providers that people sign in through.

A sign-in reads what is too old by itself (documents.py), so this job only keeps the next person from waiting for it. It
asks providers through whom somebody came in the last day: nobody waits for the others.
"""

import logging
from datetime import timedelta
from typing import cast

from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import documents as kept
from accounts import events, provider_details
from accounts.models import IdentityProvider
from accounts.models.events import EventType
from accounts.provider_details import OidcDetails
from federation.errors import Busy, UpstreamFailed
from federation.upstream import capacity, discovery, keys
from federation.upstream.documents import DISCOVERY, JWKS, Judge, Kind, document
from federation.upstream.fetching import FetchFailed
from federation.upstream.http import Exchange

log = logging.getLogger("userpool.metadata")
LATELY = timedelta(days=1)
MARGIN = 2
"""A copy is read again once it has reached this part of its age: half."""


def refresh_due() -> dict[str, int]:
    """Read what is due and return the counts ``read`` and ``failed``, of providers."""
    counts = {"read": 0, "failed": 0}
    for provider in kept.providers_in_use("OIDC", timezone.now() - LATELY):
        failing = kept.failing(provider)
        try:
            details = cast("OidcDetails", provider_details.parse("OIDC", provider.provider_details))
            with capacity.place(provider.pk), Exchange() as exchange:
                read = _refreshed(provider, details, exchange)
        except ValidationError:
            continue
        except (UpstreamFailed, Busy) as failure:
            why = getattr(failure, "reason", "busy")
            log.warning("documents not read: %s", why, extra=_where(provider))
            if not failing and why != "busy":
                events.refused(provider.user_pool, provider, "", None, why, event_type=EventType.PROVIDER_REFRESH)
            counts["failed"] += 1
        else:
            counts["read"] += int(read)
    return counts


def _refreshed(provider: IdentityProvider, details: OidcDetails, exchange: Exchange) -> bool:
    """Read what is half as old as it may be; return whether there was anything."""
    read = False
    if not details.authorize_url:
        url = details.oidc_issuer + discovery.WELL_KNOWN
        read = _again(provider, DISCOVERY, url, exchange, lambda body: discovery.parse(body, details.oidc_issuer))
    endpoints = discovery.endpoints(provider, details, exchange)
    return _again(provider, JWKS, endpoints.jwks_uri, exchange, keys.check_set) or read


def _again(provider: IdentityProvider, kind: Kind, url: str, exchange: Exchange, judge: Judge) -> bool:
    age = kind.fresh / MARGIN
    copy = kept.read(provider, kind.name, url, fresh=True)
    if copy is not None and kept.younger_than(copy.fetched_at, age):
        return False
    try:
        document(provider, kind, url, exchange, judge=judge, newer_than=age)
    except FetchFailed as failure:
        raise UpstreamFailed(f"{kind.name}_{failure.cause}", "") from failure
    return True


def _where(provider: IdentityProvider) -> dict[str, str]:
    return {"pool": provider.user_pool_id, "provider": provider.provider_name}
