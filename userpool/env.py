"""The process environment, read once, cast and checked. Only settings.py reads it.

Every name asked for is remembered, so that a test can hold the README's table against the code. A value may also
come from a file: ``NAME_FILE`` holds the path (container secrets). What is missing or malformed is collected and
reported in one message by ``verify``, each line with its mend.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


class Environment:
    """Typed access to environment variables; ``verify`` raises ImproperlyConfigured for all problems at once."""

    def __init__(self, source: Mapping[str, str] = os.environ) -> None:
        self._source = source
        self.names: list[str] = []
        self.problems: list[str] = []
        self.files: dict[str, str] = {}
        """The files that values came from, by setting."""

    def text(self, name: str, default: str = "") -> str:
        self.names.append(name)
        path = self._source.get(f"{name}_FILE")
        if path and name not in self._source:
            self.files[name] = path
            try:
                return Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                self.problems.append(
                    f"{name}_FILE: cannot be read ({error.strerror}). Give the path of a readable file."
                )
                return default
        return self._source.get(name, default).strip()

    def words(self, name: str) -> list[str]:
        return [word.strip() for word in self.text(name).split(",") if word.strip()]

    def number(self, name: str, default: int) -> int:
        value = self.text(name, str(default))
        if value.isascii() and value.isdecimal():
            return int(value)
        self.problems.append(f"{name}: {value!r} is not a whole number. Give one, or leave it out for {default}.")
        return default

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name, "1" if default else "0").lower()
        if value not in TRUE | FALSE:
            self.problems.append(f"{name}: {value!r} is neither yes nor no. Use 1 or 0.")
        return value in TRUE

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default).upper()
        if value in allowed:
            return value
        self.problems.append(f"{name}: {value!r} is not known. Use one of {', '.join(allowed)}.")
        return default

    def database(self, name: str, url: str) -> dict[str, Any]:
        """Return Django's form of ``url``. A problem does not repeat it: it holds a password."""
        mend = "give postgres://user:password@host:5432/name, with what is special in a part percent-encoded."
        try:
            found: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=None))
        except ValueError:
            found = {"ENGINE": ""}
        if found["ENGINE"].rpartition(".")[2] not in ("postgresql", "sqlite3"):
            self.problems.append(f"{name}: {mend}")
        return found

    def require(self, name: str, value: object, mend: str) -> None:
        """Note a problem when ``value`` is empty; ``mend`` says in words what to do."""
        if not value:
            self.problems.append(f"{name}: {mend}")

    def verify(self) -> None:
        if self.problems:
            raise ImproperlyConfigured("Userpool cannot start:\n" + "\n".join(f"- {line}" for line in self.problems))


def split(url: str) -> SplitResult:
    """Return the parts of ``url``; empty ones for what no client could call."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # read when it is asked for, and not before
    except ValueError:
        return urlsplit("")
    return parts
