"""Where a provider's metadata comes from: the document that an operator gave, or the copy of what its URL publishes.

W 8.1: read again every six hours. A copy is kept when it cannot be (documents.METADATA): the keys of a provider last
for years, and an outage of its web server is no reason to sign nobody in. For the same reason ``validUntil`` is shown
to operators and ends nothing here; Shibboleth's own installer writes one that lies in the past.
"""

from datetime import timedelta
from typing import cast

from accounts import documents as kept
from accounts import provider_details
from accounts.models import IdentityProvider, ProviderDocument
from accounts.provider_details import SamlDetails
from federation.errors import Busy, SamlFailed
from federation.upstream import capacity
from federation.upstream.documents import METADATA, document, fetch
from federation.upstream.fetching import BadDocument, FetchFailed
from federation.upstream.http import Exchange
from federation.upstream.saml import metadata
from federation.upstream.saml.development import refuse_outside_development
from federation.upstream.saml.metadata import IdpMetadata

SERVED = 2 * METADATA.fresh
"""How old a copy may be for a sign-in not to ask: refresh.py reads it again long before, where the jobs run."""
PATIENCE = timedelta(minutes=10)
"""How long a failure is believed by sign-ins that have a copy to go by."""
ROLL_OVER = timedelta(minutes=1)
"""How old a copy must be to be read again because a signature is by none of its keys."""


def details_of(provider: IdentityProvider) -> SamlDetails:
    """Return the provider's settings; raise ValidationError."""
    return cast("SamlDetails", provider_details.parse("SAML", provider.provider_details))


def judge(text: str) -> IdpMetadata:
    """Return what ``text`` describes; raise BadDocument."""
    found = metadata.parse(text)
    refuse_outside_development(found.entity_id)
    return found


def known(provider: IdentityProvider, details: SamlDetails) -> IdpMetadata | None:
    """Return the metadata at hand, however old; None when there is none that can be used. Nobody is called."""
    text = details.metadata_file
    if not text:
        copy = kept.read(provider, METADATA.name, details.metadata_url)
        text = copy.body if copy is not None else ""
    try:
        return judge(text) if text else None
    except BadDocument:
        return None


def current(provider: IdentityProvider, details: SamlDetails) -> IdpMetadata:
    """Return the provider's metadata, fetched if need be; raise SamlFailed, or Busy when nobody may wait for it now."""
    try:
        if details.metadata_file:
            return judge(details.metadata_file)
        copy = kept.read(provider, METADATA.name, details.metadata_url)
        if copy is not None and copy.body and _serves(copy):
            return judge(copy.body)
        try:
            return _read_again(provider, details)
        except Busy:
            if copy is None or not copy.body:
                raise
            return judge(copy.body)
    except BadDocument as bad:
        raise SamlFailed("metadata_unusable", "Bad identity provider metadata", bad.message) from bad
    except FetchFailed as failure:
        words = "Timeout in calling" if failure.cause == "timeout" else "Error in calling"
        raise SamlFailed(f"metadata_{failure.cause}", f"{words} identity provider metadata") from failure


def newer(provider: IdentityProvider, details: SamlDetails) -> IdpMetadata | None:
    """Return the metadata as it is published now, if it was not read just now; None when there is nothing newer.

    For a signature that none of the known keys made: the provider may have another one since.
    """
    if details.metadata_file:
        return None
    copy = kept.read(provider, METADATA.name, details.metadata_url, fresh=True)
    if copy is None or not copy.body:
        return None
    if kept.younger_than(copy.fetched_at, ROLL_OVER) or kept.younger_than(copy.failed_at, ROLL_OVER):
        return None
    try:
        found = _read_again(provider, details, newer_than=ROLL_OVER)
    except (Busy, FetchFailed):
        return None
    return found if found != judge(copy.body) else None


def fetch_now(provider: IdentityProvider, url: str, exchange: Exchange) -> IdpMetadata:
    """Return what ``url`` publishes at this moment, and keep it if it is good; raise FetchFailed or BadDocument."""
    body = fetch(METADATA, url, exchange, judge)
    kept.claim(provider, METADATA.name, url, kept.NO_LEASE)
    kept.store(provider, METADATA.name, url, body)
    return judge(body)


def _serves(copy: ProviderDocument) -> bool:
    return kept.younger_than(copy.fetched_at, SERVED) or kept.younger_than(copy.failed_at, PATIENCE)


def _read_again(provider: IdentityProvider, details: SamlDetails, newer_than: timedelta | None = None) -> IdpMetadata:
    with capacity.place(provider.pk), Exchange() as exchange:
        found = document(provider, METADATA, details.metadata_url, exchange, judge=judge, newer_than=newer_than)
    return judge(found.body)
