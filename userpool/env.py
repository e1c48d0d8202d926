"""The process environment, read once, cast and checked. Only settings.py reads it.

Every name asked for is remembered, so that a test can hold the README's table against the code. A value may also
come from a file: ``NAME_FILE`` holds the path (container secrets). What is missing or malformed is collected and
reported in one message by ``verify``, each line with its mend.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


class Environment:
    """Typed access to environment variables; ``verify`` raises ImproperlyConfigured for all problems at once."""

    def __init__(self, source: Mapping[str, str] = os.environ) -> None:
        self._source = source
        self.names: list[str] = []
        self.problems: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        self.names.append(name)
        path = self._source.get(f"{name}_FILE")
        if path and name not in self._source:
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

    def require(self, name: str, value: object, mend: str) -> None:
        """Note a problem when ``value`` is empty; ``mend`` says in words what to do."""
        if not value:
            self.problems.append(f"{name}: {mend}")

    def verify(self) -> None:
        if self.problems:
            raise ImproperlyConfigured("Userpool cannot start:\n" + "\n".join(f"- {line}" for line in self.problems))
