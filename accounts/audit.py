"""The audit trail: one row for each change that an operator or a command made, with what was before and after.

A secret is never written: of a field whose name says that it holds one, a row tells only that it was set or changed.
Values are bounded, so that a pasted document does not end up here whole. Call ``record`` inside the transaction of
the change, so that neither can be without the other. What is left out: sign-ins of the users of a pool, which are not
changes.
"""

import json
import re
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import AutoField, Model

from accounts import tracing
from accounts.models import AuditEvent, UserPool

HIDDEN = "(hidden)"
MAX_TEXT = 1000
MAX_FIELDS = 100
# a field holds a secret when its name, or the last part of it, ends like this
SECRET = re.compile(
    r"(?:password|secret|secret_?value|hash|private_?key|private_?jwk|digest|salt|selector|retired|token|seed)$", re.I
)
# what changes by itself, or repeats another field
UNSHOWN = frozenset({"created_at", "updated_at", "last_login", "username_key", "alias_key"})


def record(
    action: str, target: Model, changes: dict[str, list[Any]], *, actor: str, user_pool: str | None = None
) -> None:
    """Write that ``actor`` did ``action`` to ``target``; ``changes`` maps a field to [before, after].

    Secrets in ``changes`` are masked here, whoever calls. The pool is the target's unless ``user_pool`` is given.
    Call it before a deletion: a deleted row has no id any more.
    """
    AuditEvent.objects.create(
        actor=actor[:150],
        action=action[:40],
        user_pool=(pool_id_of(target) if user_pool is None else user_pool)[:55],
        target_type=str(target._meta.verbose_name)[:40],
        target_id=identity_of(target)[:200],
        target_name=printable(str(target))[:256],
        changes=_bounded({name: [_masked(name, side) for side in sides] for name, sides in changes.items()}),
        request_id=tracing.current_request_id(),
    )


def difference(before: Model | None, after: Model | None) -> dict[str, list[Any]]:
    """Return field to [before, after] for the fields in which the two differ, as JSON can hold them, secrets masked.

    A map is compared key by key (``attributes.email``). None stands for a row that did not exist, or no longer does.
    """
    found: dict[str, list[Any]] = {}
    either = after if after is not None else before
    if either is None:
        return found
    for field in either._meta.concrete_fields:
        if isinstance(field, AutoField) or field.name in UNSHOWN:
            continue
        old, new = (None if row is None else _plain(field.value_from_object(row)) for row in (before, after))
        if old == new or (not _says(old) and not _says(new)):
            continue
        if isinstance(old or {}, dict) and isinstance(new or {}, dict):
            _compare_maps(field.name, old or {}, new or {}, found)
        else:
            found[field.name] = [old, new]
    return {name: [_masked(name, side) for side in sides] for name, sides in found.items()}


def pool_id_of(target: Model) -> str:
    """Return the id of the pool that ``target`` belongs to; empty for what belongs to none."""
    if isinstance(target, UserPool):
        return str(target.pk)
    if pool_id := getattr(target, "user_pool_id", None):
        return str(pool_id)
    for owner in ("app_client", "user", "provider"):
        row = getattr(target, owner, None)
        if isinstance(row, Model) and (pool_id := getattr(row, "user_pool_id", None)):
            return str(pool_id)
    return ""


def identity_of(target: Model) -> str:
    """Return the name by which the world knows ``target``: a client id, a sub, a key id, else the primary key."""
    for name in ("client_id", "sub", "kid", "origin_jti"):
        if value := getattr(target, name, None):
            return str(value)
    return str(target.pk)


def _compare_maps(name: str, old: dict[str, Any], new: dict[str, Any], found: dict[str, list[Any]]) -> None:
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            found[f"{name}.{key}"] = [old.get(key), new.get(key)]


def _says(value: Any) -> bool:
    return value not in (None, "", [], {})


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _masked(name: str, value: Any) -> Any:
    """Return ``value`` without the secrets in it; an empty one stays empty, so that setting and clearing show."""
    if SECRET.search(name):
        return HIDDEN if _says(value) else value
    if isinstance(value, dict):
        return {str(key): _masked(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", item) for item in value]
    return value


def _bounded(changes: dict[str, list[Any]]) -> dict[str, list[Any]]:
    names = sorted(changes)
    kept = {name[:100]: [_clip(_plain(side)) for side in changes[name]] for name in names[:MAX_FIELDS]}
    if (more := len(names) - MAX_FIELDS) > 0:
        kept["..."] = [None, f"{more} more fields"]
    return kept


def _clip(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > MAX_TEXT:
        return f"{printable(text[:MAX_TEXT])}... ({len(text)} characters)"
    return printable(value) if isinstance(value, str) else json.loads(printable(json.dumps(value, ensure_ascii=False)))


def printable(text: str) -> str:
    """Return ``text`` without what PostgreSQL cannot store: NUL, and half of a surrogate pair."""
    return text.replace("\x00", "").replace("\\u0000", "").encode("utf-8", "replace").decode()
