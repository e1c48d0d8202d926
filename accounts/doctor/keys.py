"""Signing keys: whether each pool can sign now. Where time rules over them is accounts/signing.py."""

from collections.abc import Iterator

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.doctor.findings import Finding, Scope, Severity, by_pool, count
from accounts.models import SigningKey
from accounts.models.keys import TokenUse


def signing_keys(scope: Scope) -> Iterator[Finding]:
    """Look for pools that have no key that signs now."""
    now = timezone.now()
    good = True
    for use in TokenUse:
        signs = SigningKey.objects.filter(user_pool=OuterRef("pk"), token_use=use, not_before__lte=now)
        signs = signs.filter(Q(not_after__isnull=True) | Q(not_after__gt=now)).exclude(private_jwk="")
        without = scope.pools().exclude(Exists(signs)).values_list("pk", flat=True)
        found = [(pool, f"No key signs {use.label} now: every sign-in of the pool fails.") for pool in without]
        good &= not found
        yield from by_pool("signing keys", Severity.WRONG, found, "Run python manage.py rotate_keys {pool} --at-once.")
    if good:
        yield Finding("signing keys", f"{count(scope.pools().count(), 'pool')}: a key for each kind of token.")
