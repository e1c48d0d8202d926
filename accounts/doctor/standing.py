"""What operators are told of by mail as well (accounts/findings.py), as it stands now and in the doctor's form.

The mail waits for what may pass by itself, and needs a job that runs; the doctor does neither.
"""

from collections.abc import Iterator

from accounts import findings
from accounts.doctor.findings import SHOWN, Finding, Scope, Severity

SEVERITY = {
    findings.Severity.NOTE: Severity.WARNING,
    findings.Severity.WARNING: Severity.WARNING,
    findings.Severity.URGENT: Severity.WRONG,
}


def rotation(scope: Scope) -> Iterator[Finding]:
    """Look for signing keys whose successor is late."""
    yield from _standing("keys", "rotation", "Every signing key has its successor in time.", scope)


def certificates(scope: Scope) -> Iterator[Finding]:
    """Look for certificates and client secrets that expire, the pools' own and those of providers."""
    yield from _standing("certificates", "certificates", "No certificate or client secret is near its end.", scope)


def providers(scope: Scope) -> Iterator[Finding]:
    """Look for providers whose documents cannot be read, and that let nobody in. None is called."""
    yield from _standing("providers", "providers", "Every document that was asked for could be read.", scope)


def mail(scope: Scope) -> Iterator[Finding]:
    """Look for mail that does not leave."""
    yield from _standing("mail", "mail", "None was given up, and none waits for long.", scope)


def jobs(scope: Scope) -> Iterator[Finding]:
    """Look for jobs that failed or are late."""
    yield from _standing("jobs", "jobs", "All of them ran in time.", scope)


def _standing(collector: str, subject: str, good: str, scope: Scope) -> Iterator[Finding]:
    found = [each for each in findings.COLLECTORS[collector]() if not scope.pool or each.pool in (None, scope.pool)]
    found.sort(key=lambda each: -each.severity)
    for each in found[:SHOWN]:
        yield Finding(subject, each.words, SEVERITY[each.severity], each.mend, each.pool or "")
    if (more := len(found) - SHOWN) > 0:
        worst = SEVERITY[found[SHOWN].severity]
        yield Finding(subject, f"And {more} more of the kind.", worst, "The console's alerts name them all.")
    if not found:
        yield Finding(subject, good)
