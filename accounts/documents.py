"""Documents of identity providers (discovery, JWKS) that all processes share: read, claim the turn to fetch, store.

How old a copy may be is the reader's decision; here are the rows and the rule that one fetches at a time. A document
belongs to the address that it came from: when an operator changes that, the old copy is nobody's.
"""

from collections.abc import Hashable, Iterator
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q

from accounts import clock, directory
from accounts.models import AuthEvent, IdentityProvider, ProviderDocument

NO_LEASE = timedelta()  # for a turn that ends at once


def _key(provider: IdentityProvider, kind: str) -> Hashable:
    return ("document", provider.pk, kind)


def providers_of_type(provider_type: str) -> Iterator[IdentityProvider]:
    """Yield every pool's providers of this type: for the jobs that read their documents again."""
    return IdentityProvider.objects.filter(provider_type=provider_type).select_related("user_pool").iterator()


def providers_in_use(provider_type: str, since: datetime) -> Iterator[IdentityProvider]:
    """Yield the providers of this type through whom somebody signed in, or tried to, after ``since``."""
    lately = AuthEvent.objects.filter(provider=OuterRef("pk"), at__gt=since)
    found = IdentityProvider.objects.filter(Exists(lately), provider_type=provider_type)
    return found.select_related("user_pool").iterator()


def read(provider: IdentityProvider, kind: str, url: str, *, fresh: bool = False) -> ProviderDocument | None:
    """Return the copy of the document at ``url``, or None; up to five seconds behind, with ``fresh`` not at all."""
    key = _key(provider, kind)
    if fresh:
        directory.forget_one(key)
    found = directory.remember(key, lambda: ProviderDocument.objects.filter(provider=provider, kind=kind).first())
    return found if found is not None and found.url == url else None


def claim(provider: IdentityProvider, kind: str, url: str, lease: timedelta) -> bool:
    """Take the turn to fetch the document, for ``lease`` at most; False while another process has it."""
    now = clock.now()
    rows = ProviderDocument.objects.filter(provider=provider, kind=kind)
    open_rows = rows.filter(Q(claimed_until__isnull=True) | Q(claimed_until__lte=now) | ~Q(url=url))
    if open_rows.update(claimed_until=now + lease):
        return True
    try:
        with transaction.atomic():
            ProviderDocument.objects.create(provider=provider, kind=kind, url=url, claimed_until=now + lease)
    except IntegrityError:
        return False  # the row is there, and claimed
    return True


def store(provider: IdentityProvider, kind: str, url: str, body: str) -> None:
    """Keep a good copy and give the turn back."""
    _end_turn(provider, kind, url=url, body=body, fetched_at=clock.now(), failure="", failed_at=None)


def failed(provider: IdentityProvider, kind: str, url: str, cause: str) -> None:
    """Note that it could not be fetched and give the turn back; a copy of the same address stays."""
    rows = ProviderDocument.objects.filter(provider=provider, kind=kind).exclude(url=url)
    rows.update(url=url, body="", fetched_at=None)
    _end_turn(provider, kind, failure=cause[:32], failed_at=clock.now())


def failing(provider: IdentityProvider) -> bool:
    """Whether a document of ``provider`` could not be read the last time."""
    return ProviderDocument.objects.filter(provider=provider).exclude(failure="").exists()


def _end_turn(provider: IdentityProvider, kind: str, **values: object) -> None:
    ProviderDocument.objects.filter(provider=provider, kind=kind).update(claimed_until=None, **values)
    directory.forget_one(_key(provider, kind))


def younger_than(moment: datetime | None, age: timedelta) -> bool:
    """Whether ``moment`` was less than ``age`` ago."""
    return moment is not None and clock.now() - moment < age
