"""What applying a file changes, in lines that a person reads before saying yes. Secrets never appear."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from accounts import audit
from accounts.provider_details import SECRET_KEYS

SECRET_FIELDS = ("Password", "PasswordHash", "ClientSecret", "ClientSecrets")
SIGNS = {"created": "+", "changed": "~", "deleted": "-"}
MAX_WIDTH = 400
_ABSENT: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True)
class Change:
    """One object that was created, changed or deleted; ``fields`` maps wire names to [before, after], masked."""

    action: str
    kind: str
    name: str
    fields: dict[str, list[Any]] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        yield f"{SIGNS[self.action]} {self.kind} {self.name}"
        for name, (before, after) in self.fields.items():
            if self.action == "created":
                yield f"    {name}: {_shown(after)}"
            else:
                yield f"    {name}: {_shown(before)} -> {_shown(after)}"


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the fields that differ, each as [before, after], with secrets masked. Absent and empty are the same."""
    found: dict[str, list[Any]] = {}
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name), after.get(name)
        if old != new and not (_is_absent(old) and _is_absent(new)):
            found[name] = mask(name, old, new)
    return found


def _is_absent(value: Any) -> bool:
    return any(value is absent or (type(value) is type(absent) and value == absent) for absent in _ABSENT)


def mask(name: str, before: Any, after: Any) -> list[Any]:
    """Return the pair with words in place of secrets."""
    if name in SECRET_FIELDS or audit.SECRET.search(name):
        same = before == after
        return [_words(before, "a secret"), _words(after, "a secret" if same else "another secret", bool(before))]
    if name == "ProviderDetails":
        old, new = dict(before or {}), dict(after or {})
        for key in SECRET_KEYS:
            masked = mask(SECRET_FIELDS[0], old.get(key), new.get(key))
            for details, value in zip((old, new), masked, strict=True):
                if key in details:
                    details[key] = value
        return [old or before, new or after]
    return [before, after]


def _words(value: Any, text: str, had: bool = True) -> Any:
    if not value:
        return None
    if isinstance(value, list) and len(value) > 1:
        return f"({len(value)} secrets)" if not had or text == "a secret" else f"({len(value)} secrets, changed)"
    return f"({text if had else 'a secret'})"


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "(none)"
    text = json.dumps(value, ensure_ascii=False, default=str)
    # a terminal must not be steered by what a file holds
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= MAX_WIDTH else f"{text[:MAX_WIDTH]} ... ({len(text)} characters)"
