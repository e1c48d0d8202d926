"""What "test configuration" finds at a SAML provider: its metadata, read now, held against the settings.

No sign-in is made, so whether the provider knows the pool does not show here.
"""

from collections.abc import Iterator

from django.utils import timezone

from accounts import provider_claims
from accounts.models import IdentityProvider
from accounts.provider_details import SamlDetails
from accounts.provider_examination import Finding, Verdict
from accounts.saml_metadata import Summary
from federation.upstream.code_flow import mapped_claims
from federation.upstream.fetching import FetchFailed
from federation.upstream.http import Exchange
from federation.upstream.saml import source
from federation.upstream.saml.summary import summarize

UNTESTED = (
    "Whether the provider has this pool's entity id, addresses and certificates shows at the first sign-in, in the "
    "events."
)
REGISTERED = "The provider needs the pool's signing certificate."


def of(provider: IdentityProvider, details: SamlDetails, exchange: Exchange) -> list[Finding]:
    """Return what was found, in the order in which a sign-in would meet it."""
    where = details.metadata_url or "the document in the settings"
    try:
        if details.metadata_url:
            found = summarize(source.fetch_now(provider, details.metadata_url, exchange))
        else:
            found = summarize(source.judge(details.metadata_file))
    except FetchFailed as failure:
        return [Finding("Metadata", f"{where}: {failure.words}", Verdict.BAD)]
    return [
        Finding("Metadata", f"Read from {where}. The provider calls itself {found.entity_id}."),
        *_validity(found),
        *_sign_in(found, details),
        _sign_out(found, details),
        _encryption(details),
        *_mapping(provider),
        Finding("Registration", UNTESTED, Verdict.NOTE),
    ]


def _validity(found: Summary) -> Iterator[Finding]:
    """Certificates and documents that are over end no sign-in here (source.py), but at whoever checks them."""
    now = timezone.now()
    if found.valid_until is not None and found.valid_until <= now:
        words = f"The metadata was valid until {found.valid_until:%Y-%m-%d}. It is used all the same."
        yield Finding("Valid until", words, Verdict.NOTE)
    over = sum(each.expired(now) for each in found.certificates)
    soon = [each for each in found.certificates if each.expires_soon(now)]
    last = found.last_day
    if over == len(found.certificates):
        words = f"Every signing certificate has expired, the last on {last:%Y-%m-%d}. Ask the provider for a new one."
        yield Finding("Certificates", words, Verdict.BAD)
    elif over or soon:
        words = f"Of {len(found.certificates)} signing certificates {over} expired and {len(soon)} will within 30 days."
        yield Finding("Certificates", f"{words} The last is valid until {last:%Y-%m-%d}.", Verdict.NOTE)
    else:
        words = f"{len(found.certificates)} for signing, the last valid until {last:%Y-%m-%d}."
        yield Finding("Certificates", words)


def _sign_in(found: Summary, details: SamlDetails) -> Iterator[Finding]:
    binding, address = next(iter(found.sign_in.items()))
    yield Finding("Sign-in", f"Requests go by {binding} to {address}.")
    if details.request_signing_algorithm:
        yield Finding("Requests", f"Signed with RSA-SHA256. {REGISTERED}")
    elif found.wants_signed_requests:
        words = f'Signed, for the metadata asks for it, though "Sign requests" is off. {REGISTERED}'
        yield Finding("Requests", words, Verdict.NOTE)
    else:
        yield Finding("Requests", "Not signed. The metadata does not ask for it.")


def _sign_out(found: Summary, details: SamlDetails) -> Finding:
    binding, address = next(iter(found.sign_out.items()), ("", ""))
    if details.idp_signout and not binding:
        words = 'The metadata offers no sign-out, so "Sign out at the provider as well" cannot work.'
        return Finding("Sign-out", words, Verdict.BAD)
    if details.idp_signout:
        return Finding("Sign-out", f"Signed requests go by {binding} to {address}. {REGISTERED}")
    words = f"Offered by {binding}, and switched off in the settings."
    return Finding("Sign-out", words if binding else "Neither offered nor switched on.", Verdict.NOTE)


def _encryption(details: SamlDetails) -> Finding:
    if details.encrypted_responses:
        words = "Required. The provider needs the pool's encryption certificate; what is not encrypted is refused."
        return Finding("Encryption", words)
    return Finding("Encryption", "Not required; what is encrypted with the pool's certificate is read.")


def _mapping(provider: IdentityProvider) -> Iterator[Finding]:
    """Say what is mapped and never came; a user may well lack an attribute, so it is a note."""
    sent = {*provider_claims.sent(provider)}
    missing = [name for name in mapped_claims(provider) if name != "NameID" and name not in sent]
    if sent and missing:
        words = f"Mapped, and in none of the last sign-ins: {', '.join(missing)}."
        yield Finding("Attribute mapping", words, Verdict.NOTE)
