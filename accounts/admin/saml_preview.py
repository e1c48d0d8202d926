"""What a SAML provider publishes of itself, on its page: read from the kept copy or the document, never fetched."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import documents, event_words, provider_details, saml_metadata
from accounts.admin import panels
from accounts.models import IdentityProvider, ProviderDocument
from accounts.provider_details import SamlDetails
from accounts.saml_metadata import Certificate, Summary

Rows = Iterator[tuple[Any, Any]]
NOT_FETCHED = 'Not fetched yet. The first sign-in does it; "Test configuration" does it now.'


def panel(provider: IdentityProvider) -> SafeString | str:
    """Return what is known of the provider, and how old it is."""
    try:
        details = provider_details.parse(provider.provider_type, provider.provider_details)
    except ValidationError as error:
        return " ".join(error.messages)
    if not isinstance(details, SamlDetails):
        return "-"
    now, text = timezone.now(), details.metadata_file
    copy = None if text else documents.read(provider, "saml", details.metadata_url, fresh=True)
    rows = [*_of_copy(copy)] if not text else []
    text = text or (copy.body if copy is not None else "")
    if not text:
        return format_html("{}{}", panels.table(("What", "Value"), rows, ""), NOT_FETCHED)
    try:
        summary = saml_metadata.describe(text)
    except ValidationError as error:
        return panels.table(("What", "Value"), [("It cannot be used", panels.lines(error.messages)), *rows])
    rows = [*_of_provider(summary, details, now), *rows]
    certificates = panels.table(
        ("Signing certificate", "Valid from", "Until", "SHA-256 fingerprint"),
        (_of_certificate(certificate, now) for certificate in summary.certificates),
    )
    return format_html('{}<div class="console-after">{}</div>', panels.table(("What", "Value"), rows), certificates)


def _of_copy(copy: ProviderDocument | None) -> Rows:
    if copy is not None and copy.fetched_at is not None:
        yield "Fetched", _moment(copy.fetched_at)
    if copy is not None and copy.failed_at is not None:
        why = event_words.CAUSES.get(copy.failure, copy.failure)
        yield (
            panels.verdict("bad", "Last attempt failed"),
            panels.lines([_moment(copy.failed_at), why]),
        )


def _of_provider(summary: Summary, details: SamlDetails, now: datetime) -> Rows:
    yield "Entity id", panels.breaking(summary.entity_id)
    for binding, address in summary.sign_in.items():
        yield f"Sign-in by {binding}", panels.breaking(address)
    for binding, address in summary.sign_out.items():
        yield f"Sign-out by {binding}", panels.breaking(address)
    if not summary.sign_out:
        without_effect = ' "Sign out at the provider as well" has no effect.' if details.idp_signout else ""
        yield "Sign-out", f"Not offered.{without_effect}"
    yield "Signed requests", "Wanted, so requests are signed." if summary.wants_signed_requests else "Not asked for."
    if summary.valid_until is not None:
        over = summary.valid_until <= now
        label = format_html("{} It is used all the same.", panels.verdict("note", "over")) if over else ""
        yield "Valid until", format_html("{} {}", _moment(summary.valid_until), label)


def _of_certificate(certificate: Certificate, now: datetime) -> tuple[Any, ...]:
    days = [panels.whole(f"{moment:%Y-%m-%d}") for moment in (certificate.not_before, certificate.not_after)]
    return _state(certificate, now), *days, panels.breaking(certificate.fingerprint)


def _state(certificate: Certificate, now: datetime) -> SafeString:
    if certificate.expired(now):
        return panels.verdict("bad", "expired")
    if certificate.expires_soon(now):
        return panels.verdict("note", "expires within 30 days")
    if certificate.not_before > now:
        return panels.verdict("note", "not valid yet")
    return panels.verdict("good", "valid")


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"
