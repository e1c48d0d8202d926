"""Stored secrets: whether USERPOOL_ENCRYPTION_KEYS opens them, and how many the newest key did not seal.

A sealed value is a JWE whose header names its key (accounts/fields.py), and the header is the same for all that one key
sealed. So the database counts by header, and a sample of each column is opened: a header that is right may stand before
a value that is damaged.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Model, QuerySet, TextField, Value
from django.db.models.functions import Cast, Greatest, StrIndex, Substr
from jwcrypto.common import JWException, base64url_decode

from accounts.doctor.findings import Finding, Scope, count, warning, wrong
from accounts.fields import encrypted_fields, encryption_keys, unseal

SAMPLE = 500
"""How many of the newest, and how many of the oldest, are opened in each column."""
LONGEST_HEADER = 200
KINDS = 50
"""How many different headers are told apart in a column."""


def stored_secrets(scope: Scope) -> Iterator[Finding]:
    """Look at every encrypted column of every model; the pool of ``scope`` does not narrow it."""
    total: Counter[str] = Counter()
    for model, field in encrypted_fields():
        name = f"{model.__name__}.{field}"
        by_key = _counted(model, field)
        total += by_key
        foreign = sum(number for kid, number in by_key.items() if kid not in encryption_keys())
        opened, damaged = _opened(model, field, scope.thorough)
        if foreign:
            yield wrong(
                name,
                f"{count(foreign, 'value')} of {sum(by_key.values()):,} sealed with a key that is not listed: nobody "
                "can read them.",
                "Add the key that is missing to the end of USERPOOL_ENCRYPTION_KEYS and restart; it may be the one of "
                "the deployment that this database came from.",
            )
        if damaged:
            yield wrong(
                name,
                f"{count(len(damaged), 'value')} of {opened:,} that were opened damaged: rows {_rows(damaged)}.",
                "Restore these rows from a backup, or make what they hold anew.",
            )
        if by_key and not foreign and not damaged:
            yield Finding(name, f"{count(sum(by_key.values()), 'value')}; {opened:,} opened, all of them good.")
    yield from _age(total)


def _age(total: Counter[str]) -> Iterator[Finding]:
    newest, *older = encryption_keys()
    left = sum(total[kid] for kid in older)
    if left:
        yield warning(
            "older keys",
            f"{count(left, 'value')} still sealed with an older key than the first of USERPOOL_ENCRYPTION_KEYS.",
            "Once every process has been restarted with the new list, run python manage.py reencrypt.",
        )
    elif older:
        yield Finding(
            "older keys",
            "No value needs them any more. They can be taken out of USERPOOL_ENCRYPTION_KEYS a minute after the last "
            "process was restarted with the new list.",
        )
    else:
        yield Finding("older keys", f"None is listed; {count(total[newest], 'value')} sealed with the only one.")


def _sealed(model: type[Model], field: str) -> QuerySet[Any]:
    """The rows of ``model`` that hold something, and what they hold as it is stored: the field itself would open it."""
    rows: QuerySet[Any] = model._default_manager.exclude(**{field: ""}).exclude(**{f"{field}__isnull": True})
    return rows.order_by().annotate(sealed=Cast(field, TextField()))


def _counted(model: type[Model], field: str) -> Counter[str]:
    """Return how many values each key sealed, by key id. What has no header that can be read counts under ""."""
    end = Greatest(StrIndex("sealed", Value(".")) - 1, 0)
    rows = _sealed(model, field).annotate(header=Substr(Substr("sealed", 1, end), 1, LONGEST_HEADER))
    found: Counter[str] = Counter()
    for header, number in rows.values_list("header").annotate(number=Count("pk")).order_by("-number")[:KINDS]:
        found[_key_id(header)] += number
    return found


def _key_id(header: str) -> str:
    try:
        kid = json.loads(base64url_decode(header))["kid"]
    except (ValueError, KeyError, TypeError):
        return ""
    return kid if isinstance(kid, str) else ""


def _opened(model: type[Model], field: str, thorough: bool) -> tuple[int, list[Any]]:
    """Open a sample, or all; return how many were opened and the keys of the rows whose value is damaged.

    A value whose key is not listed is counted elsewhere.
    """
    rows = _sealed(model, field).values_list("pk", "sealed")
    samples = [rows] if thorough else [rows.order_by("-pk")[:SAMPLE], rows.order_by("pk")[:SAMPLE]]
    seen: set[Any] = set()
    damaged: list[Any] = []
    for sample in samples:
        for pk, token in sample.iterator(chunk_size=50):
            if pk in seen or _key_id(token.partition(".")[0]) not in encryption_keys():
                continue
            seen.add(pk)
            try:
                unseal(token)
            except (ImproperlyConfigured, JWException, ValueError):
                damaged.append(pk)
    return len(seen), damaged


def _rows(keys: list[Any]) -> str:
    return ", ".join(map(str, keys[:10])) + (f" and {len(keys) - 10} more" if len(keys) > 10 else "")
