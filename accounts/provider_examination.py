"""Trying an identity provider's configuration out, for the console: what was found, in words.

Who does the trying speaks the protocols, and this application does not: a setting names it
(USERPOOL_PROVIDER_EXAMINATION).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.utils.module_loading import import_string

from accounts.models import IdentityProvider


class Verdict(StrEnum):
    """How a finding bears on a sign-in."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: its name, what was found, and whether that will do."""

    what: str
    words: str
    verdict: Verdict = Verdict.GOOD


def examine(provider: IdentityProvider) -> list[Finding]:
    """Call the provider as a sign-in would and return what was found; a failure is a finding, never an exception."""
    run: Callable[[IdentityProvider], list[Finding]] = import_string(settings.USERPOOL_PROVIDER_EXAMINATION)
    return run(provider)
