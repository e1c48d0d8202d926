"""The figures of a run: medians, ratios to the floors, the conditions; as a table and as JSON."""

import json
import os
import platform
import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from django.db import connection

from tests.bench import cpu
from tests.bench.flows import Flow

PACKAGES = (
    "django",
    "granian",
    "psycopg",
    "cryptography",
    "oauthlib",
    "django-oauth-toolkit",
    "jwcrypto",
    "argon2-cffi",
)

BACKGROUND_MS = 0.03  # what PostgreSQL's own chores come to, spread over the requests of a round


@dataclass(slots=True)
class Samples:
    """CPU milliseconds per request, one sample a round."""

    app: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    requests: int = 0
    failures: int = 0
    examples: list[str] = field(default_factory=list)


def row(flow: Flow, samples: Samples, sign_ms: float, hash_ms: float) -> dict[str, Any]:
    """Return the row of ``flow``. ``sign_cpu_ms`` is what its signatures alone cost, ``hash_cpu_ms`` its hash."""
    app, database = statistics.median(samples.app), statistics.median(samples.database)
    signing, hashing = flow.signatures * sign_ms, flow.hashes * hash_ms
    floor = signing + hashing
    return {
        "flow": flow.name,
        "requests": samples.requests,
        "failures": samples.failures,
        "app_cpu_ms": round(app, 3),
        "app_cpu_ms_min": round(min(samples.app), 3),
        "app_cpu_ms_max": round(max(samples.app), 3),
        "db_cpu_ms": round(database, 3),
        "db_cpu_ms_min": round(min(samples.database), 3),
        "db_cpu_ms_max": round(max(samples.database), 3),
        "sign_cpu_ms": round(signing, 3),
        "hash_cpu_ms": round(hashing, 3),
        "app_to_floor": round(app / floor, 2) if floor else None,
        "aim_app_ms": flow.aim[0] if flow.aim else round(1.2 * hashing, 1) if hashing else None,
        "aim_db_ms": flow.aim[1] if flow.aim else None,
    }


def conditions(**more: Any) -> dict[str, Any]:
    """Return where and on what the figures were taken."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (postgresql,) = cursor.fetchone()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu.model(),
        "cores": os.cpu_count(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "kernel": platform.release(),
        "versions": {
            "python": platform.python_version(),
            "postgresql": postgresql,
            **{name: metadata.version(name) for name in PACKAGES},
        },
        **more,
    }


def write(path: Path, rows: list[dict[str, Any]], found: dict[str, Any]) -> None:
    """Write ``var/bench.json``: the rows, and the conditions beside them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": rows, **found}, indent=2) + "\n")


def table(rows: list[dict[str, Any]], found: dict[str, Any]) -> str:
    """Return the table for the terminal."""
    versions = found["versions"]
    lines = [
        "CPU milliseconds per request: median of the rounds (lowest to highest)",
        "",
        f"{'flow':<20}{'server':>22}{'database':>22}{'floor':>8}{'ratio':>7}   aim",
    ]
    for line in rows:
        app = f"{line['app_cpu_ms']:.2f} ({line['app_cpu_ms_min']:.2f}-{line['app_cpu_ms_max']:.2f})"
        database = f"{line['db_cpu_ms']:.2f} ({line['db_cpu_ms_min']:.2f}-{line['db_cpu_ms_max']:.2f})"
        floor = line["sign_cpu_ms"] + line["hash_cpu_ms"]
        floors = f"{floor:>8.2f}{line['app_to_floor']:>7.2f}" if floor else f"{'':>8}{'':>7}"
        lines.append(f"{line['flow']:<20}{app:>22}{database:>22}{floors}   {_aim(line)}")
    lines += [
        "",
        f"floor: one RS256 signature {found['sign_ms']:.3f} ms, one argon2id hash {found['hash_ms']:.1f} ms, this run",
        f"{found['cpu']}, {found['cores']} cores, load {found['load_average'][0]}, steal {found['steal_percent']} %",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"{found['rounds']} rounds, {found['bystander_pools']} other pools, {found['bystander_users']} other users",
    ]
    return "\n".join(lines)


def _aim(line: dict[str, Any]) -> str:
    if line["aim_app_ms"] is None:
        return "-"
    aim, met = f"{line['aim_app_ms']:g}", line["app_cpu_ms"] <= line["aim_app_ms"]
    if line["aim_db_ms"] is not None:
        aim += f" + {line['aim_db_ms']:g}"
        met = met and line["db_cpu_ms"] <= line["aim_db_ms"] + BACKGROUND_MS
    return f"{aim} {'met' if met else 'MISSED'}"
