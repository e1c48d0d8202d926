"""The database: whether it answers, what it is, and what of it is near its end.

Supported versions are Django's (https://docs.djangoproject.com/en/5.2/ref/databases/). What only PostgreSQL has
(connections, TLS, replicas) is asked of PostgreSQL; of SQLite, whether its disk has room.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from accounts.doctor.findings import Finding, Scope, told, warning, wrong

CLOCK_WARNING, CLOCK_WRONG = 2.0, 30.0  # seconds
BUSY = 0.8
"""The part of the connections in use at which somebody should know."""
OF_A_PROCESS = 8
"""Connections of a web container with the image's command: two workers with four threads, each of which keeps one."""
LITTLE_ROOM, NO_ROOM = 1024**3, 100 * 1024**2  # bytes
LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})


def reachable() -> Finding | None:
    """Return what keeps this process from the database, or None."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:  # noqa: BLE001 - whatever it is, there is no database
        if not connection.in_atomic_block:
            connection.close()
        return wrong(
            "connection",
            f"The database does not answer: {told(error)}",
            "See that it runs, that this machine may reach it, and that DATABASE_URL names it. What needs it was not "
            "looked at.",
        )
    return None


def kind_and_version(scope: Scope) -> Iterator[Finding]:
    """Say what the database is; whether it is one for production stands in the system checks."""
    version = connection.get_database_version()
    least = connection.features.minimum_database_version
    words = f"{connection.display_name} {'.'.join(map(str, version))}"
    if least and version < least:
        needed = ".".join(map(str, least))
        yield wrong("version", f"{words} is too old.", f"Upgrade it: {needed} or later is needed.")
    else:
        yield Finding("version", f"{words}.")


def modes(scope: Scope) -> Iterator[Finding]:
    """Look at what a server or a role can be set to and Userpool cannot live with."""
    if connection.vendor != "postgresql":
        return
    encoding, isolation, replica, read_only = _row(
        "SELECT current_setting('server_encoding'), current_setting('default_transaction_isolation'), "
        "pg_is_in_recovery(), current_setting('default_transaction_read_only')"
    )
    good = True
    if encoding != "UTF8":
        good = False
        yield wrong("encoding", f"The database is {encoding}.", "Make it anew with ENCODING 'UTF8' and move the data.")
    if isolation != "read committed":
        good = False
        yield wrong(
            "isolation",
            f"Transactions are {isolation} by default: requests that meet one another would fail.",
            "ALTER ROLE ... RESET default_transaction_isolation, and the same of the database and the server.",
        )
    if replica or read_only == "on":
        good = False
        yield wrong(
            "writing",
            "This is a replica." if replica else "The role may only read.",
            "Let DATABASE_URL name the primary, and a role that may write.",
        )
    if good:
        yield Finding("modes", "UTF-8, read committed, and open for writing.")


def tls(scope: Scope) -> Iterator[Finding]:
    """Look at whether the connection that this process has is encrypted, where it leaves the machine."""
    if connection.vendor != "postgresql":
        return
    hosts = str(connection.settings_dict["HOST"] or "").split(",")
    if all(host in LOOPBACK or host.startswith("/") for host in hosts):
        yield Finding("TLS", "The database is on this machine; no TLS is needed.")
        return
    mode = str(connection.settings_dict["OPTIONS"].get("sslmode", "prefer"))
    driver: Any = connection.connection
    if not driver.pgconn.ssl_in_use:
        yield warning(
            "TLS",
            "Password hashes and sealed secrets travel to the database in clear.",
            "Switch TLS on at the server and add ?sslmode=verify-full&sslrootcert=... to DATABASE_URL.",
        )
    elif mode not in ("verify-full", "verify-ca"):
        yield warning(
            "TLS",
            f"The connection is encrypted, and nobody looked at whom it leads to (sslmode={mode}).",
            "Add ?sslmode=verify-full&sslrootcert=... to DATABASE_URL.",
        )
    else:
        yield Finding("TLS", f"Encrypted, and the server's certificate is verified (sslmode={mode}).")


def connections(scope: Scope) -> Iterator[Finding]:
    """Compare the connections in use with how many the server, the database and the role allow."""
    if connection.vendor != "postgresql":
        return
    server, role, database, used, ours = _row(
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int, "
        "(SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user), "
        "(SELECT datconnlimit FROM pg_database WHERE datname = current_database()), "
        "count(*), count(*) FILTER (WHERE datname = current_database()) "
        "FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )
    left = server - used
    for limit in (role, database):
        left = min(left, limit - ours) if limit is not None and limit >= 0 else left
    words = (
        f"{used} of {server} in use, {ours} of them in this database; room for {max(left, 0)} more. Every thread of a "
        f"web process keeps one: {OF_A_PROCESS} in a container with the image's own command."
    )
    if used >= server * BUSY or left < OF_A_PROCESS:
        mend = "Raise max_connections, put PgBouncer in between, or run fewer threads and processes."
        yield warning("connections", words, mend)
    else:
        yield Finding("connections", words)


def clock(scope: Scope) -> Iterator[Finding]:
    """Compare this machine's clock with the database's."""
    if connection.vendor != "postgresql":
        return
    before = time.time()
    (theirs,) = _row("SELECT extract(epoch FROM clock_timestamp())")
    yield compared("clock", "the database", float(theirs), before, time.time())


def compared(subject: str, whose: str, theirs: float, before: float, after: float) -> Finding:
    """Return a finding about another clock, read at some moment between ``before`` and ``after`` (epoch seconds)."""
    ahead = max(before - theirs, theirs - after, 0.0)
    if ahead < CLOCK_WARNING:
        return Finding(subject, f"This machine and {whose} have the same time, within {CLOCK_WARNING:.0f} seconds.")
    words = f"The clock of {whose} is {ahead:.0f} seconds {'ahead of' if theirs > after else 'behind'} this machine's."
    mend = "Let every machine of the deployment take its time from NTP (chrony, systemd-timesyncd)."
    return (wrong if ahead >= CLOCK_WRONG else warning)(subject, words, mend)


def disk(scope: Scope) -> Iterator[Finding]:
    """Look at the room where SQLite lives; of PostgreSQL, say how large the database is."""
    if connection.vendor == "postgresql":
        (size,) = _row("SELECT pg_database_size(current_database())")
        yield Finding("size", f"The database holds {amount(size)}. Its disk cannot be seen from here.")
        return
    path = Path(str(connection.settings_dict["NAME"]))
    folder = path.parent if path.is_file() else Path(settings.USERPOOL_DATA_DIR)
    if not folder.is_dir():
        return
    free = shutil.disk_usage(folder).free
    words = f"{amount(free)} free at {folder}."
    mend = "Make room. A full disk stops every sign-in, and may hurt the database."
    if free < NO_ROOM:
        yield wrong("disk", words, mend)
    elif free < LITTLE_ROOM:
        yield warning("disk", words, mend)
    else:
        yield Finding("disk", words)


def amount(size: float) -> str:
    """Return ``size`` bytes in words."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"


def _row(statement: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row: tuple[Any, ...] = cursor.fetchone()
        return row
