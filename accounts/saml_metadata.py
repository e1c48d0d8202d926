"""What a SAML provider publishes of itself, for whoever configures it: read by the reader that sign-ins use.

Who reads SAML speaks the protocol, and this application does not: a setting names it (USERPOOL_SAML_METADATA).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.module_loading import import_string

SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that the provider signs with."""

    fingerprint: str
    """SHA-256 of the DER, in hexadecimal."""
    not_before: datetime
    not_after: datetime

    def expired(self, now: datetime) -> bool:
        return self.not_after <= now

    def expires_soon(self, now: datetime) -> bool:
        return now < self.not_after <= now + SOON


@dataclass(frozen=True, slots=True)
class Summary:
    """One identity provider. Addresses are by binding, in words: HTTP-Redirect or HTTP-POST."""

    entity_id: str
    sign_in: Mapping[str, str]
    sign_out: Mapping[str, str]
    certificates: tuple[Certificate, ...]
    valid_until: datetime | None
    wants_signed_requests: bool

    @property
    def last_day(self) -> datetime:
        """When the last of its certificates expires."""
        return max(certificate.not_after for certificate in self.certificates)

    def expired(self, now: datetime) -> bool:
        """Whether none of its certificates is valid any more."""
        return all(certificate.expired(now) for certificate in self.certificates)


def describe(document: str) -> Summary:
    """Return what a metadata document says; raise ValidationError, in words, unless a sign-in could use it."""
    run: Callable[[str], Summary] = import_string(settings.USERPOOL_SAML_METADATA)
    return run(document)


def check(document: str, now: datetime, known: str = "") -> None:
    """Raise ValidationError for a document that cannot be configured.

    Certificates must not have expired when they are configured (W 8.1). They may do so later: ``known`` is the
    document that is stored already, and what else is changed about its provider does not fail for that.
    """
    summary = describe(document)
    if summary.expired(now) and document != known:
        raise ValidationError("Every signing certificate in the metadata has expired. Get a new document.")
