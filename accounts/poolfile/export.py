"""Rows to a document that ``apply`` takes: on an empty database it makes the same pool.

The same are ids, client ids and secrets, password hashes, subs, groups and linked identities. Not in it: signing
keys, sessions, grants, and dates of creation. Secrets are in clear, unless they are left out.
"""

from collections.abc import Iterator
from typing import Any

from accounts.models import UserPool
from accounts.poolfile import user_fields
from accounts.poolfile.client_fields import CLIENT
from accounts.poolfile.fields import Kind
from accounts.poolfile.pool_fields import GROUP, IDENTITY_PROVIDER, POOL, RESOURCE_SERVER
from accounts.poolfile.read import KEPT_SECTIONS
from accounts.provider_details import SECRET_KEYS

CHUNK = 1000


def export(pool: UserPool, *, users: bool = True, secrets: bool = True) -> dict[str, Any]:
    """Return ``pool`` as a document. Without secrets: no client or provider secrets, no password hashes."""
    own = POOL.wire(pool)
    kept = {name: own.pop(name) for name in KEPT_SECTIONS if name in own}
    domains = {"CustomDomain" if row.is_custom else "Domain": row.domain for row in pool.domains.all()}
    found: dict[str, Any] = {"UserPool": {"Id": pool.pk, "Name": own.pop("Name")} | domains | _said(POOL, own)} | kept
    found["ResourceServers"] = [
        _said(RESOURCE_SERVER, RESOURCE_SERVER.wire(row)) for row in pool.resource_servers.all()
    ]
    found["IdentityProviders"] = [_provider(row, secrets) for row in pool.identity_providers.all()]
    clients = pool.app_clients.prefetch_related("secrets", "identity_providers")
    found["UserPoolClients"] = [_client(row, secrets) for row in clients]
    found["Groups"] = [_said(GROUP, GROUP.wire(row)) for row in pool.groups.all()]
    if users:
        found["Users"] = list(_users(pool, secrets))
    return found


def _said(kind: Kind, wire: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing: null where null is the default."""
    defaults = {field.wire: field.default for field in kind.fields}
    return {name: value for name, value in wire.items() if value is not None or defaults.get(name)}


def _provider(row: Any, secrets: bool) -> dict[str, Any]:
    found = _said(IDENTITY_PROVIDER, IDENTITY_PROVIDER.wire(row))
    if not secrets:
        details = found["ProviderDetails"]
        found["ProviderDetails"] = {key: value for key, value in details.items() if key not in SECRET_KEYS}
    return found


def _client(row: Any, secrets: bool) -> dict[str, Any]:
    found = _said(CLIENT, CLIENT.wire(row))
    live = found.pop("ClientSecrets")
    if live and secrets:
        found["ClientSecret"] = live[0]
        if len(live) > 1:
            found["ClientSecrets"] = live
    elif live:
        found["GenerateSecret"] = True
    return found


def _users(pool: UserPool, secrets: bool) -> Iterator[dict[str, Any]]:
    rows = pool.users.prefetch_related("groups", "identities__provider").order_by("pk")
    for user in rows.iterator(chunk_size=CHUNK):
        found = user_fields.wire(user)
        if not secrets:
            found.pop("PasswordHash", None)
        yield {name: value for name, value in found.items() if value not in (None, [])}
