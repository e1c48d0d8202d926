"""``/metrics``: who may ask, in which form it answers, what it tells of the jobs and the tables, and what it costs.

Prometheus, "Exposition formats"; OpenMetrics 1.0; RFC 6750 2.1 and 3. Every answer is read by the library's parsers.
"""

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_format
from pytest_django import Settings

from accounts import cleanup, metric_state, saml_keys
from accounts.models import AppClient, JobRun, PoolUser, SignInSession, UserPool, UserPoolDomain
from accounts.models.saml import KeyUse
from federation.upstream.fetching import FetchFailed
from federation.upstream.http import Exchange
from tests import factories
from tests.browser_like import sign_in, submit_login
from tests.console import browser as console_browser
from tests.fakes.browser import register, through
from tests.fakes.oidc import OidcIdp
from tests.measured import rise
from tests.needs import needs_redis
from tests.security.steps import issue_code, post, redeem, refresh, tokens_of
from tests.services import free_port
from tests.wire.helpers import ask, query_of, sent_to_app, signed_in

pytestmark = pytest.mark.django_db
TOKEN = "a token of the metrics, long enough"
ADDRESS = "10.1.2.3:8000"


@pytest.fixture(autouse=True)
def _on(settings: Settings) -> None:
    settings.USERPOOL_METRICS_TOKEN = TOKEN
    metric_state.forget()


def scrape(host: str = ADDRESS, authorization: str = f"Bearer {TOKEN}", **headers: str) -> HttpResponse:
    headers |= {"host": host} | ({"authorization": authorization} if authorization else {})
    return Client(headers=headers).get("/metrics")


def told() -> dict[str, float]:
    """Return every sample of a new scrape, as name and values of the labels."""
    metric_state.forget()
    response = scrape()
    assert response.status_code == 200
    return {
        " ".join([sample.name, *(value for _, value in sorted(sample.labels.items()))]): sample.value
        for family in text_format(response.content.decode())
        for sample in family.samples
    }


# --- who may ask


@pytest.mark.parametrize("host", [ADDRESS, "web", "id.example.test", "console.example.test", "[::1]:8000"])
def test_a_scraper_asks_by_address_and_any_name_that_is_no_pools(pool: UserPool, host: str) -> None:
    answer = scrape(host)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    assert not answer.cookies


def test_at_a_pools_domain_there_is_nothing_as_at_cognitos(pool: UserPool) -> None:
    UserPoolDomain.objects.create(user_pool=pool, domain="login.customer.test", is_custom=True)
    for host in ("demo.auth.example.test", "DEMO.auth.example.test:443", "login.customer.test", "b@d"):
        for authorization in ("", f"Bearer {TOKEN}"):
            assert scrape(host, authorization).status_code == 404, host
    mounted = Client(headers={"host": "id.example.test", "authorization": f"Bearer {TOKEN}"})
    assert mounted.get(f"/{pool.pk}/metrics").status_code == 404


def test_it_is_off_until_there_is_a_token(settings: Settings) -> None:
    settings.USERPOOL_METRICS_TOKEN = ""
    for authorization in ("", "Bearer ", "Bearer", f"Bearer {TOKEN}"):
        answer = scrape(authorization=authorization)
        assert (answer.status_code, "WWW-Authenticate" in answer) == (404, False)
        assert Client(enforce_csrf_checks=True).post("/metrics").status_code == 404


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Basic {TOKEN}",
        f"Bearer{TOKEN}",
        TOKEN,
        "Bearer \u00e9\u00ff",
        "Bearer " + "x" * 7000,
    ],
)
def test_without_the_token_it_is_a_401_that_tells_nothing(authorization: str) -> None:
    answer = scrape(authorization=authorization)
    assert (answer.status_code, answer.content) == (401, b"Unauthorized.\n")
    assert answer["WWW-Authenticate"] == 'Bearer realm="userpool metrics"'


def test_the_scheme_is_written_as_one_likes() -> None:
    """RFC 9110 11.1."""
    assert scrape(authorization=f"bEARER {TOKEN}").status_code == 200


def test_a_wrong_token_costs_no_statement_but_for_the_host(django_assert_num_queries: Any) -> None:
    scrape(authorization="Bearer wrong")
    with django_assert_num_queries(0):
        scrape(authorization="Bearer wrong")


@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
def test_it_is_read_and_no_more(method: str) -> None:
    browser = Client(headers={"host": ADDRESS, "authorization": f"Bearer {TOKEN}"}, enforce_csrf_checks=True)
    answer = getattr(browser, method)("/metrics")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert browser.head("/metrics").status_code == 200
    assert browser.get("/metrics/").status_code == 404


# --- the formats


def test_openmetrics_for_who_asks_for_it() -> None:
    """What Prometheus 2.5 and later send."""
    accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    answer = scrape(accept=accept)
    assert answer["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    found = {family.name: family.type for family in open_metrics(answer.content.decode())}
    assert found["userpool_tokens_issued"] == "counter"
    assert found["userpool_http_request_duration_seconds"] == "histogram"


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "text/html", "application/openmetrics-text;version=\u00e9", "text/plain;version=x;escaping=,;"],
)
def test_what_the_accept_header_says_is_never_an_error(accept: str) -> None:
    assert scrape(accept=accept).status_code == 200


def test_the_answer_is_bounded_whatever_was_asked(http: Client) -> None:
    for number in range(50):
        http.get(f"/made-up-{number}")
        post(http, "/oauth2/token", {"grant_type": f"made-up-{number}", "client_id": f"made-up-{number}"})
    answer = scrape()
    assert b"made-up" not in answer.content
    assert int(answer["Content-Length"]) == len(answer.content) < 1_000_000


# --- what it costs


def test_a_scrape_is_two_statements_with_the_dates_three_and_the_next_ones_are_none(
    pool: UserPool, django_assert_num_queries: Any
) -> None:
    scrape(authorization="")  # the host is known now
    with django_assert_num_queries(3):
        first = scrape()
    with django_assert_num_queries(0):
        for _ in range(5):
            assert scrape().status_code == 200
    assert b"userpool_database_up 1.0" in first.content
    metric_state._kept["all"] = (0.0, [])  # ten seconds later
    with django_assert_num_queries(2):
        later = scrape()
    assert b"userpool_signing_key_rotation_due_timestamp_seconds 1" in later.content
    metric_state.forget()  # five minutes later
    with django_assert_num_queries(3):
        scrape()


# --- what is counted


def test_the_token_endpoint_counts_what_it_issued_and_refused_and_no_strangers_words(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    code, other = issue_code(app_client, user), issue_code(app_client, user)
    token = tokens_of(http, app_client, user)["refresh_token"]
    redeem(http, app_client.client_id, other)

    def happens() -> None:
        redeem(http, app_client.client_id, code)
        refresh(http, app_client.client_id, token)
        refresh(http, app_client.client_id, "nonsense")
        redeem(http, "evil", code)
        redeem(http, app_client.client_id, other)  # replayed: its grant dies
        post(http, "/oauth2/token", {"grant_type": "evil", "client_id": "evil"})
        post(http, "/oauth2/token", {"client_id": "evil"})
        http.post("/oauth2/token", b'{"grant_type": "evil"}', content_type="application/json")
        post(http, "/oauth2/revoke", {"token": token, "client_id": app_client.client_id})
        post(http, "/oauth2/revoke", {"token": token, "client_id": app_client.client_id})  # as revoked as can be

    refused = "userpool_tokens_refused_total"
    assert rise(happens, but="events") == {
        'userpool_tokens_issued_total{grant_type="authorization_code"}': 1,
        'userpool_tokens_issued_total{grant_type="refresh_token"}': 1,
        f'{refused}{{error="invalid_grant",grant_type="refresh_token"}}': 1,
        f'{refused}{{error="invalid_grant",grant_type="authorization_code"}}': 1,
        f'{refused}{{error="invalid_client",grant_type="authorization_code"}}': 1,
        f'{refused}{{error="unsupported_grant_type",grant_type="other"}}': 1,
        f'{refused}{{error="invalid_request",grant_type="other"}}': 2,
        'userpool_grants_revoked_total{reason="code_replayed"}': 1,
        'userpool_grants_revoked_total{reason="requested"}': 1,
        'userpool_http_requests_total{endpoint="token",status="2xx"}': 2,
        'userpool_http_requests_total{endpoint="token",status="4xx"}': 6,
        'userpool_http_requests_total{endpoint="revoke",status="2xx"}': 2,
    }


def test_a_refresh_token_that_comes_again_is_counted_as_stolen(http: Client, pool: UserPool, user: PoolUser) -> None:
    rotating = factories.make_client(pool, refresh_token_rotation=True, retry_grace_period_seconds=0)
    token = tokens_of(http, rotating, user)["refresh_token"]
    refresh(http, rotating.client_id, token)
    found = rise(lambda: refresh(http, rotating.client_id, token))
    assert found['userpool_grants_revoked_total{reason="refresh_token_reused"}'] == 1


def test_a_code_and_implicit_tokens_are_counted_where_they_are_issued(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    signed_in(http, user)
    app_client.allowed_oauth_flows = ["code", "implicit"]
    app_client.save()
    query = query_of(app_client)

    def happens() -> None:
        assert "code=" in ask(http, query)["Location"]
        assert "access_token=" in ask(http, query | {"response_type": "token"}, "/authorize")["Location"]

    assert rise(happens) == {
        "userpool_codes_issued_total": 1,
        'userpool_tokens_issued_total{grant_type="implicit"}': 1,
        # the alias is the same endpoint
        'userpool_http_requests_total{endpoint="authorize",status="3xx"}': 2,
    }


def test_calls_to_a_provider_are_counted_by_what_they_were_for(
    http: Client, idp: OidcIdp, pool: UserPool, app_client: AppClient
) -> None:
    register(idp, pool, app_client)
    query = query_of(app_client, identity_provider="Corp")
    good = rise(lambda: sent_to_app(through(http, query)), but="http")
    calls = "userpool_upstream_calls_total"
    purposes = ("discovery", "jwks", "token", "userinfo")
    counted = {f'{calls}{{outcome="2xx",purpose="{name}"}}': 1.0 for name in purposes}
    assert good == counted | {
        "userpool_codes_issued_total": 1,
        'userpool_sign_ins_total{method="oidc"}': 1,
        'userpool_events_total{type="SignIn"}': 1,
    }


def test_sign_ins_and_their_refusals_are_counted_by_method_and_reason(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    query = query_of(app_client)

    def happens() -> None:
        submit_login(http, query, username="ada", password="wrong")
        submit_login(http, query, username="evil", password="wrong")
        sign_in(http, query)
        for state in ("evil", "eviler"):  # of some provider, nobody knows which
            http.get("/oauth2/idpresponse", {"state": state, "code": "evil"})

    assert rise(happens, but="http") == {
        'userpool_sign_ins_total{method="password"}': 1,
        'userpool_sign_ins_refused_total{method="password",reason="incorrect"}': 2,
        'userpool_sign_ins_refused_total{method="other",reason="state_unknown"}': 2,
        'userpool_events_total{type="SignIn"}': 5,
        "userpool_codes_issued_total": 1,
    }


@pytest.mark.parametrize(
    ("url", "outcome"), [("http://127.0.0.1:{}/", "connection"), ("https://10.0.0.1:{}/", "private_address")]
)
def test_a_call_that_came_to_nothing_is_counted_by_its_cause(settings: Settings, url: str, outcome: str) -> None:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = outcome == "connection"

    def call() -> None:
        with Exchange() as exchange, pytest.raises(FetchFailed):
            exchange.post(url.format(free_port()), {"code": "secret"}, purpose="token")

    assert rise(call) == {f'userpool_upstream_calls_total{{outcome="{outcome}",purpose="token"}}': 1}


@pytest.mark.parametrize(
    ("host", "path", "series"),
    [
        ("demo.auth.example.test", "/.well-known/jwks.json", 'endpoint="jwks",status="2xx"'),
        ("id.example.test", "/eu-west-1_Demo00001/.well-known/jwks.json", 'endpoint="jwks",status="2xx"'),
        ("demo.auth.example.test", "/nothing/here", 'endpoint="unmatched",status="4xx"'),
        ("evil.test", "/oauth2/token", 'endpoint="unmatched",status="4xx"'),
        ("demo.auth.example.test", "/static/hosted/hosted.css", 'endpoint="static",status="2xx"'),
        ("console.example.test", "/admin/accounts/userpool/", 'endpoint="console",status="3xx"'),
        (ADDRESS, "/healthz", 'endpoint="healthz",status="2xx"'),
        (ADDRESS, "/metrics", 'endpoint="metrics",status="4xx"'),
    ],
)
def test_a_request_is_counted_by_the_name_of_its_url(pool: UserPool, host: str, path: str, series: str) -> None:
    found = rise(lambda: Client(headers={"host": host}).get(path))
    assert found == {f"userpool_http_requests_total{{{series}}}": 1}


def test_pages_of_the_console_are_one_endpoint() -> None:
    found = rise(lambda: [console_browser().get(path) for path in ("/admin/login/", "/admin/", "/admin/nothing/")])
    assert all('endpoint="console"' in name for name in found), found
    assert sum(found.values()) == 3


# --- what is read


def test_every_job_of_the_schedule_says_how_late_it_is_and_how_it_went() -> None:
    JobRun.objects.all().delete()
    now = timezone.now()
    JobRun.objects.create(
        name="purge_expired",
        started_at=now - timedelta(hours=5),
        finished_at=now - timedelta(hours=5) + timedelta(seconds=7),
        succeeded_at=now - timedelta(hours=9),
        failure="OperationalError",
    )
    JobRun.objects.create(name="rotate_signing_keys", started_at=now, finished_at=now, succeeded_at=now)
    JobRun.objects.create(name="a_job_of_yesteryear", started_at=now)
    found = told()
    # due every hour at seven minutes past: the first time it should have run is at most one hour after it last did
    assert 4 * 3600 <= found["userpool_job_overdue_seconds purge_expired"] <= 5 * 3600
    assert found["userpool_job_failed purge_expired"] == 1
    assert found["userpool_job_last_duration_seconds purge_expired"] == 7
    succeeded = (now - timedelta(hours=9)).timestamp()
    assert found["userpool_job_last_success_timestamp_seconds purge_expired"] == pytest.approx(succeeded, abs=0.01)
    assert found["userpool_job_overdue_seconds rotate_signing_keys"] == 0
    assert found["userpool_job_failed rotate_signing_keys"] == 0
    # on record or not: it never ran
    assert found["userpool_job_overdue_seconds refresh_saml_metadata"] == float("inf")
    assert found["userpool_job_last_success_timestamp_seconds refresh_saml_metadata"] == 0
    assert not [name for name in found if "yesteryear" in name]


def test_the_backlog_is_what_the_clean_up_would_delete_counted_up_to_its_bound(
    user: PoolUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert metric_state.BOUND == 10_000
    past = timezone.now() - timedelta(hours=1)
    rows = [SignInSession(digest=f"{n}", user=user, auth_time=past, expires_at=past) for n in range(25)]
    SignInSession.objects.bulk_create(rows)
    SignInSession.objects.create(digest="live", user=user, auth_time=past, expires_at=past + timedelta(hours=2))
    assert told()["userpool_cleanup_backlog_rows SignInSession"] == 25
    monkeypatch.setattr(metric_state, "BOUND", 10)
    assert told()["userpool_cleanup_backlog_rows SignInSession"] == 10
    cleanup.purge_expired()
    backlog = {name: value for name, value in told().items() if name.startswith("userpool_cleanup_backlog_rows")}
    assert set(backlog.values()) == {0}
    # what is kept for a year and more is not looked at
    deleted = cleanup.purge_expired().keys() - {"AuditEvent", "EventCount", "LogEntry"}
    assert {name.partition(" ")[2] for name in backlog} == deleted


def test_the_backlog_is_found_by_an_index_and_the_oldest_first(user: PoolUser) -> None:
    """Without an order, a database that expects many such rows reads the whole table in search of them."""
    for name, rows in cleanup.backlog(10):
        sql = str(rows.values("pk").query)
        column = sql.partition("ORDER BY ")[2].split()[0].rpartition(".")[2].strip('"')
        indexed = {
            columns[0]
            for constraint in constraints(rows.model._meta.db_table).values()
            if constraint["index"] and (columns := constraint["columns"])
        }
        assert column in indexed, (name, column)
        assert "LIMIT 10" in sql


def constraints(table: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        found: dict[str, Any] = connection.introspection.get_constraints(cursor, table)
        return found


def test_the_soonest_dates_are_those_of_keys_in_use(pool: UserPool) -> None:
    soon = timezone.now() + timedelta(days=20)
    assert "userpool_saml_certificate_expiry_timestamp_seconds" not in told()
    key = saml_keys.active(pool, KeyUse.SIGNING)
    upcoming = saml_keys.prepare(pool, KeyUse.SIGNING)
    for row, moment in ((key, soon), (upcoming, soon - timedelta(days=5))):
        row.not_after = moment
        row.save()
    other = factories.make_pool(key_rotation_days=30)
    UserPool.objects.filter(pk=pool.pk).update(key_rotation_days=0)  # never
    found = told()
    expiry = found["userpool_saml_certificate_expiry_timestamp_seconds"]
    assert expiry == pytest.approx(soon.timestamp(), abs=0.01)
    due = min(key.not_before for key in other.signing_keys.all()) + timedelta(days=30)
    rotation = found["userpool_signing_key_rotation_due_timestamp_seconds"]
    assert rotation == pytest.approx(due.timestamp(), abs=0.01)


def test_it_tells_which_version_runs(settings: Settings) -> None:
    assert told()[f"userpool_build_info {settings.VERSION}"] == 1


# --- what may be away


def test_a_database_that_is_away_is_told_of_and_costs_the_rest_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError('connection to server at "10.9.8.7" failed: secret')

    monkeypatch.setattr(connection, "cursor", fail)
    answer = scrape("never-seen-before")
    assert answer.status_code == 200
    assert b"userpool_database_up 0.0" in answer.content
    assert b"userpool_tokens_issued_total{" in answer.content
    assert b"userpool_job" not in answer.content
    assert b"secret" not in answer.content


@needs_redis
def test_the_queue_is_as_long_as_what_waits_in_it(settings: Settings) -> None:
    broker = redis.Redis.from_url(settings.REDIS_URL)
    broker.delete("celery")
    assert told()["userpool_task_queue_length"] == 0
    broker.rpush("celery", "one", "two")
    found = told()
    assert (found["userpool_task_queue_length"], found["userpool_redis_up"]) == (2, 1)
    broker.delete("celery")


def test_a_redis_that_is_away_is_told_of(settings: Settings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    found = told()
    assert found["userpool_redis_up"] == 0
    assert "userpool_task_queue_length" not in found
    settings.REDIS_URL = ""
    assert "userpool_redis_up" not in told()
