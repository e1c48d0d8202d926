"""What a request costs: SQL statements, rows written, and how each statement finds its rows. Counted, never timed.

Design D6 gives the bounds; ``PINNED`` is what we reach, so that a statement more is noticed even below the bound.
Warm: the configuration was read before (within the directory's five seconds). BEGIN, COMMIT and savepoints do not
count. The counts must not move with the number of pools, clients, users and expired rows.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts import directory, opaque
from accounts.models import (
    AppClient,
    AppClientSecret,
    AuthorizationCode,
    Group,
    IdentityProvider,
    LinkedIdentity,
    PoolUser,
    RefreshToken,
    ResourceServer,
    SigningKey,
    SignInSession,
    UserPool,
    UserPoolDomain,
)
from tests import factories
from tests.browser_like import sign_in
from tests.security.steps import basic, issue_code, post, redeem, refresh, tokens_of, userinfo

pytestmark = pytest.mark.django_db
SECRET = "s" * 51
UNCOUNTED = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b", re.IGNORECASE)
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)


@dataclass
class Cost:
    statements: list[tuple[str, Any]] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    """Rows written, by table."""


@contextmanager
def counted() -> Iterator[Cost]:
    cost = Cost()

    def count(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        result = execute(sql, params, many, context)
        if not UNCOUNTED.match(sql):
            cost.statements.append((sql, params))
            if WRITES.match(sql):
                table = re.findall(r"accounts_\w+|oauth2_provider_\w+|django_\w+", sql)[0]
                # an INSERT ... RETURNING has not counted its row yet on SQLite
                written = max(context["cursor"].rowcount, int(sql.startswith("INSERT")))
                cost.rows[table] = cost.rows.get(table, 0) + written
        return result

    with connection.execute_wrapper(count):
        yield cost


class House:
    """A pool with clients, a user in a group, and a browser that is signed in."""

    def __init__(self, browser: Client, pool: UserPool) -> None:
        self.browser = browser
        self.pool = pool
        self.public = factories.make_client(pool)
        self.rotating = factories.make_client(pool, refresh_token_rotation=True, retry_grace_period_seconds=60)
        self.plain = factories.make_client(pool, enable_token_revocation=False)
        self.secret = factories.make_client(pool, secret=SECRET)
        factories.make_resource_server(pool)
        self.machine = factories.make_client(
            pool,
            secret=SECRET,
            allowed_oauth_flows=["client_credentials"],
            allowed_oauth_scopes=["https://api.example.test/read"],
        )
        self.user = factories.make_user(pool)
        factories.make_group(pool, "admins", self.user)
        self.query = {
            "response_type": "code",
            "client_id": self.public.client_id,
            "redirect_uri": factories.CALLBACK,
            "scope": "openid email",
        }
        sign_in(browser, self.query)

    def query_of(self, **changes: str) -> str:
        return "/oauth2/authorize?" + urlencode(self.query | changes)


@pytest.fixture
def house(http: Client, pool: UserPool) -> House:
    return House(http, pool)


Request = Callable[[], HttpResponse]


def code_exchange(house: House) -> Request:
    code = issue_code(house.public, house.user)
    return lambda: redeem(house.browser, house.public.client_id, code)


def confidential_code_exchange(house: House) -> Request:
    code = issue_code(house.secret, house.user)
    return lambda: redeem(house.browser, house.secret.client_id, code, client_secret=SECRET)


def replayed_code(house: House) -> Request:
    code = issue_code(house.public, house.user)
    redeem(house.browser, house.public.client_id, code)
    return lambda: redeem(house.browser, house.public.client_id, code)


def plain_refresh(house: House) -> Request:
    token = tokens_of(house.browser, house.public, house.user)["refresh_token"]
    return lambda: refresh(house.browser, house.public.client_id, token)


def rotating_refresh(house: House) -> Request:
    token = tokens_of(house.browser, house.rotating, house.user)["refresh_token"]
    return lambda: refresh(house.browser, house.rotating.client_id, token)


def retried_refresh(house: House) -> Request:
    token = tokens_of(house.browser, house.rotating, house.user)["refresh_token"]
    refresh(house.browser, house.rotating.client_id, token)
    return lambda: refresh(house.browser, house.rotating.client_id, token)


def client_credentials(house: House) -> Request:
    header = basic(house.machine.client_id, SECRET)
    fields = {"grant_type": "client_credentials"}
    return lambda: post(house.browser, "/oauth2/token", fields, authorization=header)


def wrong_secret(house: House) -> Request:
    header = basic(house.machine.client_id, "wrong" * 8)
    fields = {"grant_type": "client_credentials"}
    return lambda: post(house.browser, "/oauth2/token", fields, authorization=header)


def read_userinfo(house: House) -> Request:
    token = tokens_of(house.browser, house.public, house.user)["access_token"]
    return lambda: userinfo(house.browser, token)


def read_userinfo_without_revocation(house: House) -> Request:
    token = tokens_of(house.browser, house.plain, house.user)["access_token"]
    return lambda: userinfo(house.browser, token)


def forged_userinfo(house: House) -> Request:
    token = tokens_of(house.browser, house.public, house.user)["access_token"]
    return lambda: userinfo(house.browser, token[:-8] + "AAAAAAAA")


def revoke(house: House) -> Request:
    token = tokens_of(house.browser, house.public, house.user)["refresh_token"]
    return lambda: post(house.browser, "/oauth2/revoke", {"token": token, "client_id": house.public.client_id})


def discovery(house: House) -> Request:
    return lambda: house.browser.get("/.well-known/openid-configuration")


def jwks(house: House) -> Request:
    return lambda: house.browser.get("/.well-known/jwks.json")


def authorize(house: House) -> Request:
    return lambda: house.browser.get(house.query_of())


def authorize_without_session(house: House) -> Request:
    stranger = Client(headers={"host": "demo.auth.example.test"})
    return lambda: stranger.get(house.query_of())


def login_page(house: House) -> Request:
    return lambda: house.browser.get("/login?" + urlencode(house.query))


CODE, GRANT, EVENT = "accounts_authorizationcode", "accounts_refreshtoken", "accounts_authevent"
# request: the bound of D6 (None: the design names none), the statements that we need, the rows that we write
PINNED: dict[Callable[[House], Request], tuple[int | None, int, dict[str, int]]] = {
    client_credentials: (0, 0, {}),
    wrong_secret: (1, 1, {EVENT: 1}),  # ten a minute, then none
    plain_refresh: (2, 1, {}),
    rotating_refresh: (4, 2, {GRANT: 1}),
    retried_refresh: (4, 1, {}),
    code_exchange: (5, 3, {CODE: 1, GRANT: 1}),
    confidential_code_exchange: (5, 3, {CODE: 1, GRANT: 1}),
    replayed_code: (6, 3, {GRANT: 1, EVENT: 1}),
    read_userinfo: (1, 1, {}),
    read_userinfo_without_revocation: (1, 1, {}),
    forged_userinfo: (1, 0, {}),
    discovery: (0, 0, {}),
    jwks: (0, 0, {}),
    authorize: (3, 2, {CODE: 1}),
    authorize_without_session: (3, 0, {}),
    revoke: (None, 3, {GRANT: 1, EVENT: 1}),
    login_page: (None, 0, {}),
}


def cost_of(house: House, prepare: Callable[[House], Request]) -> Cost:
    """Return what the request costs when everything that a process keeps has been read."""
    prepare(house)()
    request = prepare(house)
    with counted() as cost:
        response = request()
    assert response.status_code < 500
    return cost


@pytest.mark.parametrize("prepare", PINNED, ids=lambda prepare: prepare.__name__)
def test_a_request_costs_what_the_table_says(house: House, prepare: Callable[[House], Request]) -> None:
    bound, statements, rows = PINNED[prepare]
    cost = cost_of(house, prepare)
    assert bound is None or len(cost.statements) <= bound
    assert (len(cost.statements), cost.rows) == (statements, rows), cost.statements


@pytest.mark.parametrize("prepare", [code_exchange, plain_refresh, client_credentials], ids=lambda p: p.__name__)
def test_a_cold_process_reads_its_configuration_once(house: House, prepare: Callable[[House], Request]) -> None:
    request = prepare(house)
    directory.forget()
    with counted() as cold:
        assert request().status_code == 200
    assert 0 < len(cold.statements) <= 14
    with counted() as warm:
        assert prepare(house)().status_code == 200
    assert len(warm.statements) < len(cold.statements)


def test_access_and_id_tokens_are_stored_nowhere(house: House) -> None:
    """No row holds a token, nor the digest of one, and the toolkit's own token tables stay empty."""
    body = tokens_of(house.browser, house.public, house.user)
    again = refresh(house.browser, house.public.client_id, body["refresh_token"]).json()  # type: ignore[attr-defined]
    values = [body["access_token"], body["id_token"], again["access_token"], again["id_token"]]
    sought = {*values, *(value.rpartition(".")[2] for value in values), *(opaque.digest(value) for value in values)}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - a table of ours
            for row in cursor.fetchall():
                assert not {value for value in sought if any(value in str(column) for column in row)}, table
            assert not (table.startswith("oauth2_provider_") and cursor.rowcount > 0), table


@pytest.mark.parametrize(
    "prepare",
    [client_credentials, plain_refresh, rotating_refresh, code_exchange, read_userinfo, revoke, discovery, jwks],
    ids=lambda prepare: prepare.__name__,
)
def test_the_token_path_touches_no_session_no_csrf_and_no_messages(
    house: House, prepare: Callable[[House], Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the console's machinery ran on the token path")

    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_request", never)
    monkeypatch.setattr("django.contrib.auth.middleware.AuthenticationMiddleware.process_request", never)
    monkeypatch.setattr("django.contrib.messages.middleware.MessageMiddleware.process_request", never)
    for name in ("process_request", "process_view", "process_response"):
        monkeypatch.setattr(f"django.middleware.csrf.CsrfViewMiddleware.{name}", never)
    house.browser.cookies.clear()
    response = prepare(house)()
    assert response.status_code == 200
    assert not response.cookies
    assert "Cookie" not in response.get("Vary", "")
    assert not house.browser.cookies


# --- a large installation

POOLS, USERS, EXPIRED = 300, 3_000, 1_000


@pytest.fixture
def city(house: House) -> House:
    """``house`` among 300 pools and clients, 3,000 users and expired codes, grants and sessions."""
    now = timezone.now()
    past = now - timedelta(days=40)
    pools = UserPool.objects.bulk_create(UserPool(id=f"eu-west-1_City{n:05d}", name=f"city {n}") for n in range(POOLS))
    UserPoolDomain.objects.bulk_create(UserPoolDomain(user_pool=pool, domain=pool.pk[10:].lower()) for pool in pools)
    clients = AppClient.objects.bulk_create(
        AppClient(user_pool=pool, name="web", redirect_uris=factories.CALLBACK) for pool in pools
    )
    everywhere = [house.pool, house.pool, *pools]
    users = PoolUser.objects.bulk_create(
        PoolUser(user_pool=everywhere[n % len(everywhere)], username=f"user{n}", username_key=f"user{n}", password="!")
        for n in range(USERS)
    )
    _fill_beside(pools, clients, users)
    common = {"app_client": house.public, "scope": "openid", "auth_time": past, "event_id": "e"}
    AuthorizationCode.objects.bulk_create(
        AuthorizationCode(
            digest=opaque.digest(f"code {n}"),
            user=users[n],
            origin_jti=f"c{n}",
            expires_at=past,
            consumed_at=past,
            **common,
        )
        for n in range(EXPIRED)
    )
    RefreshToken.objects.bulk_create(
        RefreshToken(
            selector=f"{n:022d}",
            salt="s",
            user=users[n],
            origin_jti=f"g{n}",
            created_at=past,
            expires_at=past,
            **common,
        )
        for n in range(EXPIRED)
    )
    SignInSession.objects.bulk_create(
        SignInSession(digest=opaque.digest(f"session {n}"), user=users[n], auth_time=past, expires_at=past)
        for n in range(EXPIRED)
    )
    directory.forget()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return house


def _fill_beside(pools: list[UserPool], clients: list[AppClient], users: list[PoolUser]) -> None:
    """Give every other table on the token path enough rows: of a table with two, any plan reads the whole."""
    groups = Group.objects.bulk_create(Group(user_pool=pool, group_name="admins") for pool in pools)
    memberships = PoolUser.groups.through
    memberships.objects.bulk_create(memberships(pooluser=user, group=groups[user.pk % POOLS]) for user in users)
    ResourceServer.objects.bulk_create(ResourceServer(user_pool=pool, identifier="api", name="api") for pool in pools)
    providers = IdentityProvider.objects.bulk_create(
        IdentityProvider(user_pool=pool, provider_name="Corp", provider_type="OIDC") for pool in pools
    )
    links = AppClient.identity_providers.through
    links.objects.bulk_create(
        links(appclient=client, identityprovider=provider) for client, provider in zip(clients, providers, strict=True)
    )
    LinkedIdentity.objects.bulk_create(
        LinkedIdentity(user=user, provider=providers[user.pk % POOLS], subject=user.username) for user in users
    )
    AppClientSecret.objects.bulk_create(
        AppClientSecret(app_client=client, slot=1, secret="", digest=opaque.digest(client.client_id))
        for client in clients
    )
    now = timezone.now()
    SigningKey.objects.bulk_create(
        SigningKey(user_pool=pool, token_use=use, kid=f"{use}{pool.pk}", alg="RS256", public_jwk={}, not_before=now)
        for pool in pools
        for use in ("id", "access")
    )


def test_the_counts_do_not_move_in_a_large_installation(city: House) -> None:
    found = {}
    for prepare in PINNED:
        cost = cost_of(city, prepare)
        found[prepare.__name__] = (len(cost.statements), cost.rows)
    assert found == {prepare.__name__: (pinned[1], pinned[2]) for prepare, pinned in PINNED.items()}


MANY = 20
"""More rows than any question of the token path has answers: one user, one grant, a handful of keys and secrets."""


def plan_of(sql: str, params: Any) -> list[str]:
    """Return the lines of the plan. PostgreSQL also carries it out, with sequential scans priced out."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) " + sql, params)
        else:
            cursor.execute("EXPLAIN QUERY PLAN " + sql, params)
        plan = [str(row[-1]) for row in cursor.fetchall()]
        transaction.set_rollback(True)
    return plan


def scanned(plan: list[str]) -> list[str]:
    """Return the lines of ``plan`` that read a whole table or index, or more rows than were asked for."""
    if connection.vendor != "postgresql":
        return [line for line in plan if line.startswith("SCAN") and "CONSTANT ROW" not in line]
    following = [*plan[1:], ""]
    return [
        line
        for line, after in zip(plan, following, strict=True)
        if "Seq Scan on" in line
        # an index that is read from one end to the other has no condition
        or (re.search(r"Index (Only )?Scan (using|on)", line) and not after.strip().startswith("Index Cond"))
        or any(int(rows) > MANY for rows in re.findall(r"(?:actual rows=|Removed by \w+(?: \w+)*: )(\d+)", line))
    ]


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_every_statement_of_the_token_path_is_an_index_look_up(city: House, warm: bool) -> None:
    looked_at = 0
    for prepare in PINNED:
        request = prepare(city)
        if not warm:
            directory.forget()
        with counted() as cost:
            request()
        for sql, params in cost.statements:
            if WRITES.match(sql) and sql.lstrip().upper().startswith("INSERT"):
                continue
            plan = plan_of(sql, params)
            assert plan
            assert not scanned(plan), (prepare.__name__, sql, plan)
            looked_at += 1
    assert looked_at >= 10


def test_the_judge_of_plans_knows_a_scan_when_it_sees_one(city: House) -> None:
    """By attribute no index finds a user; the test above must be able to fail."""
    assert scanned(plan_of("SELECT id FROM accounts_pooluser WHERE password = %s", ("x",)))
    if connection.vendor == "postgresql":
        # by an index, and yet through all codes of the client
        among_all = "SELECT id FROM accounts_authorizationcode WHERE app_client_id = %s AND scope = %s"
        assert scanned(plan_of(among_all, (city.public.pk, "x")))
    assert not scanned(plan_of("SELECT id FROM accounts_pooluser WHERE id = %s", (1,)))


def test_the_run_is_the_production_stack() -> None:
    """Counting proves nothing if the tests ran other middleware than the server does."""
    assert settings.MIDDLEWARE[0] == "accounts.middleware.RequestMiddleware"
    assert not settings.DEBUG
