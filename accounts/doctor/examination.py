"""The examination: every part in turn, whatever becomes of the others."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

from django.db import DatabaseError, connection, transaction

from accounts.doctor import (
    broker,
    configuration,
    database,
    hosts,
    keys,
    online,
    schedule,
    schema,
    sealing,
    standing,
)  # fmt: skip
from accounts.doctor.findings import Finding, Scope, scrubbed, told, wrong

Check = Callable[[Scope], Iterable[Finding]]
LIMIT = "30s"
"""How long one statement of a check may take on PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Part:
    """Checks that belong together; ``in_database`` says whether they need one."""

    title: str
    checks: tuple[Check, ...]
    in_database: bool = True
    online: bool = False
    """Whether it calls the deployment's own addresses."""


PARTS = {
    "settings": Part(
        "Settings",
        (
            configuration.system_checks,
            configuration.secret_key,
            configuration.encryption_keys,
            configuration.secret_files,
        ),
        in_database=False,
    ),
    "database": Part(
        "Database",
        (
            database.kind_and_version,
            database.modes,
            database.tls,
            database.connections,
            database.clock,
            database.disk,
            schema.migrations,
        ),
    ),
    "secrets": Part("Stored secrets", (sealing.stored_secrets,)),
    "keys": Part("Keys and certificates", (keys.signing_keys, standing.rotation, standing.certificates)),
    "providers": Part("Identity providers", (standing.providers,)),
    "jobs": Part("Scheduled jobs", (schedule.scheduled_jobs,)),
    "mail": Part("Mail", (standing.mail,)),
    "redis": Part("Redis and workers", (broker.redis_server,), in_database=False),
    "hosts": Part("Hosts", (hosts.origins,)),
    "issuer": Part("Issuer", (online.issuer,), in_database=False, online=True),
    "discovery": Part("Discovery", (online.discovery,), online=True),
}
OFFLINE = tuple(name for name, part in PARTS.items() if not part.online)


def examine(parts: Iterable[str] = OFFLINE, scope: Scope = Scope()) -> Iterator[Finding]:  # noqa: B008 - it is frozen
    """Yield what the named ``parts`` find, in the order of PARTS; nothing is raised, nothing secret is said.

    With the database away, that is one finding, and the parts that need it are left out.
    """
    wanted = [name for name in PARTS if name in set(parts)]
    away: Finding | None = None
    asked = False
    for name in wanted:
        part = PARTS[name]
        if part.in_database and not asked:
            asked, away = True, database.reachable()
            if away is not None:
                yield _said("database", away)
        if part.in_database and away is not None:
            continue
        for check in part.checks:
            yield from (
                _said(name, finding) for finding in survived(check, scope, part.in_database and not part.online)
            )


def survived(check: Check, scope: Scope, in_transaction: bool) -> list[Finding]:
    """Return what ``check`` finds; that it failed is a finding as well."""
    found: list[Finding] = []
    place: AbstractContextManager[None] = _bounded() if in_transaction else nullcontext()
    try:
        with place:
            found.extend(check(scope))
    except Exception as error:  # noqa: BLE001 - a check that fails is a finding, and the others are wanted
        subject = check.__name__.replace("_", " ")
        mend = "If nothing else here explains it, report it as a bug."
        if isinstance(error, DatabaseError):
            mend = f"Run python manage.py migrate --noinput if migrations wait. {mend}"
        found.append(wrong(subject, f"It could not be looked at: {told(error)}", mend))
    return found


@contextmanager
def _bounded() -> Iterator[None]:
    """On PostgreSQL, bound what a statement may take, and let a failed one spoil nothing that comes after it.

    On SQLite BEGIN would take the write lock (settings), and a failed statement spoils nothing.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{LIMIT}'")
        yield


def _said(part: str, finding: Finding) -> Finding:
    words, mend = scrubbed(finding.words), scrubbed(finding.mend)
    return replace(finding, part=part, words=words, mend=mend)
