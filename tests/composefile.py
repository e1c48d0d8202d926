"""docker-compose.yml and the Dockerfile, read as text: what Compose and a builder would see."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]


def compose_file(name: str = "docker-compose.yml") -> dict[str, Any]:
    """Return a compose file as YAML reads it: merged, not interpolated."""
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return found


def interpolated(value: str, environment: dict[str, str] | None = None) -> str:
    """Return ``value`` with ``${NAME:-default}`` and ``$$`` replaced as Compose does it.

    https://docs.docker.com/reference/compose-file/interpolation/
    """

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return (environment or {}).get(match[1]) or match[2]

    return re.sub(r"\$\$|\$\{([A-Z_]+):-([^}]*)\}", replacement, value)


def own_services(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the services that run this project's image."""
    return {name: service for name, service in document["services"].items() if service.get("image") == "userpool"}


def dockerfile() -> str:
    """Return the Dockerfile, a line to each instruction."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    return "\n".join(line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#"))


def build_steps() -> list[str]:
    """Return what the build runs on the source, in its folder."""
    on_source = dockerfile().partition("\nWORKDIR /app\n")[2].partition("\nFROM ")[0]
    return re.findall(r"^RUN (.*)$", on_source, re.MULTILINE)


def image_command() -> list[str]:
    """Return the CMD of the image."""
    found = re.findall(r"^CMD (\[.*\])$", dockerfile(), re.MULTILINE)
    command: list[str] = json.loads(found[-1])
    return command


def image_environment() -> dict[str, str]:
    """Return the ENV of the image, without its PATH."""
    last_stage = dockerfile().rpartition("\nFROM ")[2]
    line = re.search(r"^ENV (.*)$", last_stage, re.MULTILINE)
    assert line is not None
    return {name: value for name, _, value in (word.partition("=") for word in shlex.split(line[1])) if name != "PATH"}
