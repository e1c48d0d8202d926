"""Dead rows by the hundred thousand, and live ones among them, written in SQL: what a month without clean-up leaves."""

from dataclasses import dataclass

from django.db import connection

from tests.bench import seed

TABLES = (
    "accounts_authorizationcode",
    "accounts_refreshtoken",
    "accounts_signinsession",
    "accounts_signinrequest",
    "accounts_authevent",
)
# how many of a hundred dead rows are of each kind; they died between 70 and 32 days ago, in the order of their making
_DEAD = "now() - interval '70 days' + i * interval '38 days' / {n}"
_LIVE = "now() + interval '20 days' + i * interval '1 day' / {n}"
_USER = "(SELECT min(id) FROM accounts_pooluser) + i % (SELECT count(*) FROM accounts_pooluser)"
_GRANT = """INSERT INTO accounts_refreshtoken (selector, digest, salt, retired, app_client_id, user_id, scope, resource,
    auth_time, origin_jti, event_id, created_at, expires_at, revoked_at)
    SELECT substr(md5('{kind}' || i), 1, 22), repeat('d', 43), repeat('s', 22), '[]', {client}, {user},
    'openid email profile', '', {then}, gen_random_uuid(), gen_random_uuid(), {then}, {end}, {revoked}
    FROM generate_series(1, {n}) i"""
_SESSION = """INSERT INTO accounts_signinsession (digest, user_id, provider_id, name_id, name_id_format, name_qualifier,
    sp_name_qualifier, session_index, auth_time, expires_at)
    SELECT '{kind}' || md5('{kind}' || i), {user}, {provider}, {name_id}, '', '', '', '', {then}, {then}
    FROM generate_series(1, {n}) i"""
_CODE = """INSERT INTO accounts_authorizationcode (digest, app_client_id, user_id, redirect_uri, scope, nonce,
    code_challenge, resource, auth_time, origin_jti, event_id, expires_at, consumed_at)
    SELECT 'dead-' || md5(i::text), {client}, {user}, 'https://app.example.test/callback', 'openid email profile',
    repeat('n', 22), repeat('c', 43), '', {then}, gen_random_uuid(), gen_random_uuid(), {then}, {then}
    FROM generate_series(1, {n}) i"""
_PAUSE = """INSERT INTO accounts_signinrequest (user_pool_id, provider_id, digest, browser_digest, authorize_query,
    upstream_state, refusals, created_at, expires_at)
    SELECT '{pool}', {provider}, 'dead-' || md5(i::text), repeat('b', 43), repeat('q', 200), repeat('u', 250), 0,
    {then}, {then} FROM generate_series(1, {n}) i"""
_EVENT = """INSERT INTO accounts_authevent (at, event_type, user_pool_id, user_id, provider_name, client_id, subject,
    outcome, reason, error, description, steps, document, address, request_id)
    SELECT {then}, 'SignIn', {event_pool}, {user}, '', '{client_id}', '', 'succeeded', '', '', '', '[]', '',
    '192.0.2.1', gen_random_uuid() FROM generate_series(1, {n}) i"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows, dead tuples, bytes and autovacuums of each table; ``scans`` and ``read`` are by sequential scans."""

    rows: dict[str, int]
    dead: dict[str, int]
    size: dict[str, int]
    vacuums: dict[str, int]
    scans: dict[str, int]
    read: dict[str, int]


def fill(scene: seed.Scene, dead: int, live: int) -> None:
    """Write ``dead`` rows that may go and ``live`` that may not, and let PostgreSQL know what the tables are like."""
    values = {
        "client": str(scene.web.pk),
        "client_id": scene.web.client_id,
        "pool": scene.pool.pk,
        # one in ten is of another pool
        "event_pool": f"(SELECT CASE WHEN i % 10 = 0 THEN max(id) ELSE '{scene.pool.pk}' END FROM accounts_userpool)",  # noqa: S608 - its own id
        "user": _USER,
        "provider": str(scene.partner.pk),
    }
    nobody, corporate = {"provider": "NULL", "name_id": "''"}, {"name_id": "'user' || i"}
    recent = "now() - interval '20 days' + i * interval '20 days' / {n}"
    parts = [
        (_CODE, dead * 25 // 100, {"then": _DEAD}),
        (_GRANT, dead * 15 // 100, {"kind": "expired", "then": _DEAD, "end": _DEAD, "revoked": "NULL"}),
        (_GRANT, dead * 10 // 100, {"kind": "revoked", "then": _DEAD, "end": _LIVE, "revoked": _DEAD}),
        (_GRANT, live, {"kind": "alive", "then": recent, "end": _LIVE, "revoked": "NULL"}),
        (_SESSION, dead * 10 // 100, {"kind": "local", "then": _DEAD} | nobody),
        (_SESSION, dead * 5 // 100, {"kind": "saml", "then": _DEAD} | corporate),
        (_SESSION, live, {"kind": "kept", "then": recent} | corporate),
        (_PAUSE, dead * 5 // 100, {"then": _DEAD}),
        (_EVENT, dead * 30 // 100, {"then": _DEAD}),
        (_EVENT, live, {"then": recent}),
    ]
    with connection.cursor() as cursor:
        for text, count, more in parts:
            named = values | more
            filled = {name: value.format(n=count) for name, value in named.items()}
            cursor.execute(text.format(n=count, **filled))
        cursor.execute("VACUUM ANALYZE")


def sizes() -> Sizes:
    """Return what the tables are like now."""
    columns = "n_live_tup, n_dead_tup, pg_total_relation_size(relid), autovacuum_count, seq_scan, seq_tup_read"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            f"SELECT relname, {columns} FROM pg_stat_user_tables WHERE relname = ANY(%s)",  # noqa: S608 - constants
            [list(TABLES)],
        )
        found = {name: rest for name, *rest in cursor.fetchall()}
    return Sizes(*({name: int(found[name][column] or 0) for name in TABLES} for column in range(6)))


def wal() -> int:
    """Return how many bytes of WAL were ever written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
        return int(cursor.fetchone()[0])
