"""What a check hands back, and what keeps secrets out of it.

What is found in the tables, and told by mail, is accounts/findings.py; here is also what a deployment shows outside of
them, and what is in order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote, urlsplit

from django.conf import settings
from django.db.models import QuerySet

from accounts.models import UserPool

SHOWN = 20
"""How many pools a subject names one by one."""
HIDDEN = "(hidden)"


class Severity(StrEnum):
    """How a finding bears on the deployment."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is, what was found, and what mends it.

    ``pool`` is the id of the pool that it concerns, empty for the deployment. ``part`` is the name of the part of the
    examination that it belongs to.
    """

    subject: str
    words: str
    severity: Severity = Severity.OK
    mend: str = ""
    pool: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look at: ``pool`` narrows it to one pool's rows, ``thorough`` opens every secret instead of a sample."""

    pool: str = ""
    thorough: bool = False

    def pools(self) -> QuerySet[UserPool]:
        rows = UserPool.objects.order_by("pk")
        return rows.filter(pk=self.pool) if self.pool else rows


def warning(subject: str, words: str, mend: str, pool: str = "") -> Finding:
    return Finding(subject, words, Severity.WARNING, mend, pool)


def wrong(subject: str, words: str, mend: str, pool: str = "") -> Finding:
    return Finding(subject, words, Severity.WRONG, mend, pool)


def by_pool(subject: str, severity: Severity, found: Sequence[tuple[str, str]], mend: str) -> Iterator[Finding]:
    """Yield one for each (pool id, words), SHOWN at most, and one for the rest. ``{pool}`` in ``mend`` is its id."""
    for pool, words in found[:SHOWN]:
        yield Finding(subject, words, severity, mend.replace("{pool}", pool), pool)
    if (more := len(found) - SHOWN) > 0:
        yield Finding(subject, f"The same is true {more} times more.", severity, mend.replace("{pool}", "--all"))


def count(number: int, one: str, many: str = "") -> str:
    """Return ``number`` with its noun: 1 pool, 2 pools."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def told(error: BaseException) -> str:
    """Return what an operator may read of ``error``: its kind and the first line of its words, without a secret."""
    lines = str(error).strip().splitlines()
    return scrubbed(f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__)


def scrubbed(text: str) -> str:
    """Return ``text`` without any secret of the settings."""
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    return text


def _secrets() -> list[str]:
    redis_password = urlsplit(settings.REDIS_URL).password or ""
    database = settings.DATABASES["default"]
    held = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS, str(database.get("PASSWORD") or ""), redis_password]
    held += [settings.USERPOOL_METRICS_TOKEN, settings.EMAIL_HOST_PASSWORD]
    forms = {form for secret in held for form in (secret, quote(secret, safe=""), unquote(secret)) if form}
    return sorted(forms, key=len, reverse=True)
