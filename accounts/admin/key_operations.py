"""Rotating and withdrawing the signing keys of a pool, for the pages of pools and of keys."""

from typing import Any

from django.http import HttpRequest

from accounts import audit, signing
from accounts.admin.audited import actor
from accounts.admin.operations import Operation
from accounts.models import UserPool


class KeyPermissions:
    """Mixin: who may rotate keys may add one; who may withdraw them may delete one."""

    def has_rotate_keys_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.add_signingkey")

    def has_withdraw_keys_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.delete_signingkey")


def rotation() -> Operation:
    return Operation(
        title="Rotate signing keys",
        words="Two new keys, one for ID tokens and one for access tokens, sign from now on. The present ones stay "
        "published until the last token that they signed has expired: nobody is signed out. Verifiers that keep the "
        "JWKS fetch it again when they meet a key id that they do not know.",
        button="Rotate now",
        run=_rotate,
    )


def withdrawal() -> Operation:
    return Operation(
        title="Withdraw signing keys",
        words="For keys that leaked. New keys sign from now on and the present ones leave the JWKS at once: every ID "
        "and access token that they signed dies as soon as its verifier fetches the JWKS again. Refresh tokens stay "
        "good, so apps recover by refreshing. This cannot be undone.",
        button="Withdraw the keys",
        run=_withdraw,
        danger=True,
    )


def pool_of(row: Any) -> UserPool:
    """Return the pool itself, or the pool of a key."""
    return row if isinstance(row, UserPool) else row.user_pool


def _rotate(request: HttpRequest, row: Any, values: dict[str, Any]) -> str:
    pool = pool_of(row)
    made = signing.rotate(pool, at_once=True)
    audit.record("rotate keys", pool, {"signing_keys": [None, [key.kid for key in made]]}, actor=actor(request))
    return f"{pool} has new signing keys, which sign from now on."


def _withdraw(request: HttpRequest, row: Any, values: dict[str, Any]) -> str:
    pool = pool_of(row)
    old = [key.kid for key in pool.signing_keys.filter(not_after__isnull=True)]
    made = signing.rotate(pool, withdraw=True)
    changes = {"signing_keys": [old, [key.kid for key in made]]}
    audit.record("withdraw keys", pool, changes, actor=actor(request))
    return f"The signing keys of {pool} were withdrawn; new ones sign from now on."
