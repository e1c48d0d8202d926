"""A metadata document in words, for whatever configures a provider or shows one (accounts/saml_metadata.py)."""

from django.core.exceptions import ValidationError

from accounts.saml_metadata import Certificate, Summary
from federation.upstream.fetching import BadDocument
from federation.upstream.saml.metadata import POST, REDIRECT, IdpMetadata
from federation.upstream.saml.source import judge

BINDINGS = {REDIRECT: "HTTP-Redirect", POST: "HTTP-POST"}


def describe(document: str) -> Summary:
    """Return what ``document`` says; raise ValidationError for what no sign-in could use."""
    try:
        return summarize(judge(document))
    except BadDocument as bad:
        raise ValidationError(bad.message) from bad


def summarize(found: IdpMetadata) -> Summary:
    return Summary(
        entity_id=found.entity_id,
        sign_in={words: found.sso[binding] for binding, words in BINDINGS.items() if binding in found.sso},
        sign_out={words: found.slo[binding] for binding, words in BINDINGS.items() if binding in found.slo},
        certificates=tuple(
            Certificate(each.fingerprint, each.not_before, each.not_after) for each in found.certificates
        ),
        valid_until=found.valid_until,
        wants_signed_requests=found.wants_signed_requests,
    )
