"""What needs an operator, found in the tables: jobs, keys, certificates, providers, mail.

A finding has a key that stays the same while it stands, so that it can be told once (accounts/alerts.py). Each
collector is a name, which its keys begin with, and a function; it calls nobody and changes nothing. What is configured
wrongly is the system checks' (accounts/checks.py).
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from django.core.exceptions import ValidationError
from django.db.models import BooleanField, Count, ExpressionWrapper, Max, Q
from django.utils import timezone

from accounts import documents, event_words, jobs, provider_details, saml_metadata, signing
from accounts.models import AuthEvent, IdentityProvider, JobRun, OutgoingMail, ProviderDocument, SamlKey
from accounts.models.events import EventType, Outcome
from accounts.models.saml import KeyUse
from accounts.provider_details import OidcDetails, SamlDetails

NONE, HOUR, DAY = timedelta(), timedelta(hours=1), timedelta(days=1)
REFUSALS = 5
"""So many refusals by a provider, and nobody let in since, are no mishap of one person's."""
BLAMED = rf"^({'|'.join(event_words.PLACES)}|id_token)_|^(response|assertion)_signature$"


class Severity(IntEnum):
    """How soon it wants doing."""

    NOTE = 1
    """This month."""
    WARNING = 2
    """This week."""
    URGENT = 3
    """Today: something does not work, or soon will not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that needs an operator."""

    severity: Severity
    key: str
    words: str
    """What is the matter, in one line."""
    mend: str
    """What to do."""
    pool: str | None = None
    """The id of the pool that it is about."""
    patience: timedelta = NONE
    """How long it must stand before anybody is told: it may pass by itself."""


def of_jobs() -> Iterator[Finding]:
    """Yield the jobs that failed or did not begin in time."""
    now = timezone.now()
    runs = {run.name: run for run in JobRun.objects.all()}
    for job in jobs.scheduled():
        run = runs.get(job.name) or JobRun(name=job.name)
        key, what = f"jobs:{job.name}", f'The job "{job.words}"'
        # one that never ran may be new: let it come to its first turn
        patience = NONE if run.started_at is not None else 2 * HOUR
        severity = (
            Severity.WARNING if run.succeeded_at is not None and now - run.succeeded_at < DAY else Severity.URGENT
        )
        if run.started_at is None:
            severity = Severity.WARNING
        if run.failure:
            mend = "The log says why, at the time of the run. The console's page Jobs runs it again."
            yield Finding(severity, key, f"{what} failed: {run.failure}.", mend)
        elif jobs.is_late(job, run, now):
            since = f"last began on {_moment(run.started_at)}" if run.started_at is not None else "has never run"
            mend = "Look whether a Celery worker and beat run, or cron calls manage.py run_jobs, and is not too busy."
            yield Finding(severity, key, f"{what} is late: it {since}.", mend, patience=patience)


def of_keys() -> Iterator[Finding]:
    """Yield the signing keys whose successor is due and was not made."""
    for pool, use in signing.due():
        yield Finding(
            Severity.URGENT,
            f"keys:{pool.pk}:{use}",
            f"The signing key for {use} tokens of pool {pool.name} was not rotated though it is due.",
            f"Run manage.py rotate_keys {pool.pk}: it says why not, as the log of the job does.",
            pool.pk,
            patience=2 * HOUR,  # the job comes by once an hour
        )


def of_certificates() -> Iterator[Finding]:
    """Yield the certificates and client secrets that expire: the pools' own for SAML, and those of providers."""
    now = timezone.now()
    active = SamlKey.objects.filter(
        activated_at__isnull=False, retired_at=None, not_after__lte=now + saml_metadata.SOON
    )
    for key in active.select_related("user_pool").defer("private_key"):
        mend = "In the console's SAML keys, prepare the next one, let providers register it, then let it take over."
        what = f"The certificate of pool {key.user_pool.name} that {KeyUse(key.use).label} (SAML)"
        yield from _expiring(f"pool:{key.user_pool_id}:{key.use}", what, key.not_after, now, mend, key.user_pool_id)
    for provider in IdentityProvider.objects.select_related("user_pool").iterator():
        found = _of_provider(provider)
        if found is not None:
            what, ends, mend = found
            words = f"{what} of provider {provider.provider_name} (pool {provider.user_pool.name})"
            yield from _expiring(f"provider:{provider.pk}", words, ends, now, mend, provider.user_pool_id)


def of_providers() -> Iterator[Finding]:
    """Yield the providers that cannot be read, or refuse everybody."""
    unread = ProviderDocument.objects.exclude(failure="").select_related("provider__user_pool").defer("body")
    for copy in unread.annotate(kept=ExpressionWrapper(~Q(body=""), BooleanField())):
        provider, kind = copy.provider, {"saml": "metadata"}.get(copy.kind, copy.kind)
        severity = Severity.WARNING if copy.kept else Severity.URGENT
        where = f"of provider {provider.provider_name} (pool {provider.user_pool.name})"
        what = {"discovery": "discovery document", "jwks": "keys"}.get(kind, kind)
        key = f"providers:{provider.pk}:{copy.kind}"
        serves = "; the last good copy serves" if copy.kept else ", and there is no copy to sign in with"
        mend = event_words.why(f"{kind}_{copy.failure}") or "See the page of the provider in the console."
        words = f"The {what} {where} cannot be read{serves}."
        yield Finding(severity, key, words, mend, provider.user_pool_id, patience=HOUR / 2)
    for provider, reason, count in _refusing():
        words = (
            f"Provider {provider.provider_name} (pool {provider.user_pool.name}) let nobody in: the last {count} "
            f"sign-ins failed ({reason})."
        )
        mend = event_words.why(reason) or "See the events of the provider in the console."
        yield Finding(Severity.URGENT, f"providers:{provider.pk}:refuses", words, mend, provider.user_pool_id)


def of_mail() -> Iterator[Finding]:
    """Yield that mail was given up, or does not leave."""
    now = timezone.now()
    lost = OutgoingMail.objects.filter(given_up_at__isnull=False).count()
    if lost:
        mend = "The console's page Mail says why, and sends again what can be sent again."
        yield Finding(Severity.WARNING, "mail:given-up", f"{lost} mails were given up in the last days.", mend)
    waiting = OutgoingMail.objects.filter(next_attempt_at__isnull=False, created_at__lte=now - HOUR, attempts__gt=0)
    if count := waiting.count():
        mend = "Run manage.py send_test_mail with an address of yours: it says what is wrong with the settings."
        yield Finding(Severity.URGENT, "mail:waiting", f"{count} mails have waited for more than an hour.", mend)


COLLECTORS: dict[str, Callable[[], Iterator[Finding]]] = {
    "jobs": of_jobs,
    "keys": of_keys,
    "certificates": of_certificates,
    "providers": of_providers,
    "mail": of_mail,
}


def urgency(ends: datetime, now: datetime) -> Severity | None:
    """Return how urgent it is that something ends then: 30, 7 and 1 days before; None when there is time."""
    left = ends - now
    if left > saml_metadata.SOON:
        return None
    return Severity.URGENT if left <= DAY else Severity.WARNING if left <= 7 * DAY else Severity.NOTE


def secret_ends(secret: str) -> datetime | None:
    """Return when a client secret expires that says so: Apple's, made elsewhere, is a JWT of six months at most."""
    try:
        part = secret.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, OSError, RecursionError, binascii.Error):
        return None


def _expiring(key: str, what: str, ends: datetime, now: datetime, mend: str, pool: str) -> Iterator[Finding]:
    severity = urgency(ends, now)
    if severity is not None:
        words = f"{what} {'expired' if ends <= now else 'expires'} on {ends:%Y-%m-%d}."
        yield Finding(severity, f"certificates:{key}", words, mend, pool)


def _of_provider(provider: IdentityProvider) -> tuple[str, datetime, str] | None:
    try:
        details = provider_details.parse(provider.provider_type, provider.provider_details)
        if isinstance(details, OidcDetails) and (ends := secret_ends(details.client_secret)):
            return "The client secret", ends, "Make a new one at the provider, and set it in the console."
        if not isinstance(details, SamlDetails):
            return None
        text = details.metadata_file
        if not text:
            copy = documents.read(provider, "saml", details.metadata_url, fresh=True)
            text = copy.body if copy is not None else ""
        if not text:
            return None
        mend = (
            "Ask the provider's administrator for metadata with the next certificate, or wait for its URL to have it."
        )
        return "The last signing certificate", saml_metadata.describe(text).last_day, mend
    except ValidationError:
        return None  # a sign-in meets the same, and its event says what


def _refusing() -> Iterator[tuple[IdentityProvider, str, int]]:
    """Yield the providers that refused REFUSALS sign-ins of the last day, the last reason and the count, nobody since.

    What counts is what the provider answered us itself, and signatures that do not verify, for a SAML provider with a
    new key looks like that. A stranger can feign the second, at a provider that nobody else uses meanwhile.
    """
    since = timezone.now() - DAY
    blamed = Q(outcome=Outcome.REFUSED) & Q(reason__regex=BLAMED)
    lately = AuthEvent.objects.filter(at__gt=since, event_type=EventType.SIGN_IN, provider__isnull=False)
    counts = lately.values("provider").annotate(
        good=Max("pk", filter=Q(outcome=Outcome.SUCCEEDED)), bad=Count("pk", filter=blamed)
    )
    for found in counts.filter(bad__gte=REFUSALS).order_by("provider"):
        after = lately.filter(blamed, provider=found["provider"], pk__gt=found["good"] or 0).order_by("-pk")
        last = after.select_related("provider__user_pool").first()
        count = after.count()
        if last is not None and last.provider is not None and count >= REFUSALS:
            yield last.provider, last.reason, count


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"
