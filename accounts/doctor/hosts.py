"""Where pools live: which of them share a browser origin with others, or with the console.

Pages of one origin read each other's cookies and storage, so a pool without a domain is for development (README,
"Limits").
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from accounts.doctor.findings import Finding, Scope, count, warning
from accounts.models import UserPool, UserPoolDomain

NAMED = 5


def origins(scope: Scope) -> Iterator[Finding]:
    """Look for pools that live on the issuer's host, under a path."""
    suffix = settings.USERPOOL_DOMAIN_SUFFIX
    every = UserPoolDomain.objects.filter(user_pool=OuterRef("pk"))
    lost = scope.pools().filter(Exists(every)).exclude(Exists(every.filter(is_custom=True)))
    if not suffix and (number := lost.count()):
        yield warning(
            "prefix domains",
            f"{count(number, 'pool has', 'pools have')} a prefix domain that leads nowhere ({_named(lost)}): "
            "USERPOOL_DOMAIN_SUFFIX is not set.",
            "Set USERPOOL_DOMAIN_SUFFIX, and point *.<suffix> at this deployment in DNS and in the certificate.",
        )
    usable = every if suffix else every.filter(is_custom=True)
    shared = UserPool.objects.order_by("pk").exclude(Exists(usable))
    number = shared.count()
    host = urlsplit(settings.USERPOOL_ISSUER_BASE_URL).hostname or ""
    with_console = host == settings.USERPOOL_CONSOLE_HOST
    if number and (number > 1 or with_console) and not settings.USERPOOL_DEVELOPMENT:
        yield warning(
            "origins",
            f"{count(number, 'pool lives', 'pools live')} on the issuer's host by path ({_named(shared)})"
            f"{', beside the console' * with_console}: a script on a page of one reaches all of them.",
            "Give each pool a domain of its own, and the console a host of its own (USERPOOL_CONSOLE_HOST).",
        )
    else:
        yield Finding("origins", f"{count(UserPool.objects.count(), 'pool')}, none of which shares its origin.")


def _named(pools: QuerySet[UserPool]) -> str:
    keys = list(pools.values_list("pk", flat=True)[: NAMED + 1])
    return ", ".join(keys[:NAMED]) + (", ..." if len(keys) > NAMED else "")
