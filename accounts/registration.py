"""New users: what a sign-in name means in a pool.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-attributes.html (W 12)
A pool with UsernameAttributes takes an e-mail address or a phone number instead of a username; the username becomes
the sub. In a pool with such an alias, a username must not look like one.
"""

import uuid
from collections.abc import Mapping

from django.core.exceptions import ValidationError

from accounts.attributes import EMAIL, PHONE_NUMBER
from accounts.models import PoolUser, UserPool

PATTERNS = {"email": EMAIL, "phone_number": PHONE_NUMBER}
WORDS = {"email": "an e-mail address", "phone_number": "a phone number"}


def new_user(pool: UserPool, name: str, attributes: Mapping[str, str] | None = None) -> PoolUser:
    """Return an unsaved user of ``pool`` who will sign in as ``name``; raise ValidationError for a name that cannot be.

    ``attributes`` win over what the name says; they are checked against the pool's schema.
    """
    if (owner := _provider_named_in(pool, name)) is not None:
        raise ValidationError(f"Names that begin with {owner}_ belong to users of that identity provider.")
    user = PoolUser(user_pool=pool, username=name, attributes=dict(attributes or {}))
    looks_like = next((kind for kind, pattern in PATTERNS.items() if pattern.fullmatch(name)), "")
    if pool.username_attributes and looks_like in pool.username_attributes:
        user.attributes.setdefault(looks_like, name)
        user.username = user.sub
    elif pool.username_attributes and not _is_uuid(name):
        wanted = " or ".join(WORDS[kind] for kind in pool.username_attributes)
        raise ValidationError(f"In this pool a username is {wanted}.")
    elif looks_like in pool.alias_attributes:
        raise ValidationError(f"A username must not look like {WORDS[looks_like]}: users of this pool sign in by one.")
    pool.schema.check(user.attributes)
    return user


def _provider_named_in(pool: UserPool, name: str) -> str | None:
    """Return the provider whose users' names begin like ``name``: taking one would lock its owner out."""
    known = {pool.username_key(f"{one.provider_name}_"): one.provider_name for one in pool.identity_providers.all()}
    return next((owner for prefix, owner in known.items() if pool.username_key(name).startswith(prefix)), None)


def _is_uuid(name: str) -> bool:
    """A user who comes from another pool has the sub for a username already."""
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True
