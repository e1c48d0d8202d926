"""Pools, domains, app clients, providers and keys, read through a small cache of this process.

Configuration is read on every request and written rarely. An entry is at most MAX_AGE seconds old, so a change made
elsewhere is seen within that time; a change made in this process is seen at once. Answers of "there is none" are kept
as well, and the number of entries is bounded, so that asking for made-up names costs neither SQL nor memory.

A transaction that has not committed sees what it wrote, nobody else does, and nobody does when it is rolled back.

What is returned is shared between threads: read it, never change it. Revocation, user status and single use are
never read from here.
"""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model, prefetch_related_objects
from django.db.models.signals import m2m_changed, post_delete, post_save

from accounts.models import (
    AppClient,
    AppClientSecret,
    IdentityProvider,
    ResourceServer,
    SamlKey,
    SigningKey,
    UserPool,
    UserPoolDomain,
)

MAX_AGE = 5.0
MAX_ENTRIES = 20_000

T = TypeVar("T")
# key: when it is too old, how many commit hooks its reader had waiting, the value
_entries: dict[Hashable, tuple[float, int, Any]] = {}
_generation = 0
_lock = threading.Lock()


def remember(key: Hashable, load: Callable[[], T]) -> T:
    """Return what ``load`` returned for ``key``, at most MAX_AGE seconds ago."""
    now = time.monotonic()
    # a hook waits for each write of this transaction (_changed), and a rollback takes it away: the count tells what
    # was read inside from what was read outside
    writes = len(connection.run_on_commit)
    entry = _entries.get(key)
    if entry is not None and entry[0] > now and entry[1] == writes:
        value: T = entry[2]
        return value
    begun = _generation
    value = load()
    with _lock:
        if begun != _generation:
            return value  # something was written meanwhile: perhaps this was read before it
        while len(_entries) >= MAX_ENTRIES:
            del _entries[next(iter(_entries))]
        _entries.pop(key, None)  # a dict keeps the place of a key that it has: the oldest entry must stay first
        _entries[key] = (now + MAX_AGE, writes, value)
    return value


def forget() -> None:
    """Drop every entry."""
    global _generation
    with _lock:
        _generation += 1
        _entries.clear()


def forget_one(key: Hashable) -> None:
    """Drop the entry of ``key``; who is reading it just now keeps what it found to itself."""
    global _generation
    with _lock:
        _generation += 1
        _entries.pop(key, None)


def pool_by_id(pool_id: str) -> UserPool | None:
    if len(pool_id) > 55 or "\x00" in pool_id:
        return None
    return remember(("pool", pool_id), lambda: _load_pool(pk=pool_id))


def pool_by_host(host: str) -> UserPool | None:
    """Return the pool that answers on ``host`` (lower case, no port), by custom domain or by prefix."""
    return remember(("host", host), lambda: _load_pool_by_host(host))


def app_client(pool: UserPool, client_id: str) -> AppClient | None:
    """Return the app client of ``pool`` with this id. Another pool's client is none."""
    if not client_id or len(client_id) > 128 or "\x00" in client_id:
        return None
    return remember(("client", pool.pk, client_id), lambda: _load_client(pool, client_id))


def signing_keys(pool: UserPool) -> tuple[SigningKey, ...]:
    """Return the keys of ``pool``, oldest first in each use."""
    return remember(
        ("keys", pool.pk),
        lambda: tuple(SigningKey.objects.filter(user_pool=pool).order_by("not_before", "id")),
    )


def saml_keys(pool: UserPool) -> tuple[SamlKey, ...]:
    """Return the SAML key pairs of ``pool``, oldest first."""
    return remember(("saml keys", pool.pk), lambda: tuple(SamlKey.objects.filter(user_pool=pool).order_by("id")))


def _load_pool(**where: Any) -> UserPool | None:
    pool = UserPool.objects.filter(**where).first()
    if pool is not None:
        prefetch_related_objects([pool], "domains", "resource_servers", "identity_providers")
    return pool


def _load_pool_by_host(host: str) -> UserPool | None:
    if len(host) > 253 or "\x00" in host:
        return None
    domain = UserPoolDomain.objects.filter(domain=host, is_custom=True).first()
    suffix = settings.USERPOOL_DOMAIN_SUFFIX
    if domain is None and suffix and host.endswith(f".{suffix}"):
        prefix = host.removesuffix(f".{suffix}")
        domain = UserPoolDomain.objects.filter(domain=prefix, is_custom=False).first()
    return pool_by_id(domain.user_pool_id) if domain else None


def _load_client(pool: UserPool, client_id: str) -> AppClient | None:
    client = AppClient.objects.filter(user_pool=pool, client_id=client_id).first()
    if client is not None:
        prefetch_related_objects([client], "secrets", "identity_providers")
        client.user_pool = pool
    return client


_CONFIGURATION: tuple[type[Model], ...] = (
    UserPool,
    UserPoolDomain,
    ResourceServer,
    AppClient,
    AppClientSecret,
    IdentityProvider,
    SamlKey,
    SigningKey,
)


def _changed(**_: Any) -> None:
    # now, for the rest of this transaction, and again once others may read what it wrote
    forget()
    transaction.on_commit(forget)


def connect() -> None:
    """Clear the cache whenever a configuration row is written in this process."""
    for model in _CONFIGURATION:
        post_save.connect(_changed, sender=model, dispatch_uid=f"directory-save-{model.__name__}")
        post_delete.connect(_changed, sender=model, dispatch_uid=f"directory-delete-{model.__name__}")
    m2m_changed.connect(_changed, sender=AppClient.identity_providers.through, dispatch_uid="directory-m2m")
