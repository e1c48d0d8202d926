"""``/healthz`` and ``/readyz`` (design: operations; Kubernetes, "Configure Liveness, Readiness and Startup Probes")."""

from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import Settings

from accounts.models import SigningKey, UserPool
from userpool import health

pytestmark = pytest.mark.django_db
HOSTS = ("10.1.2.3", "id.example.test", "demo.auth.example.test", "nobody.example.test")


@pytest.fixture(autouse=True)
def _forget() -> None:
    health.forget()


def fail(*_: Any, **__: Any) -> None:
    raise OperationalError('connection to server at "10.9.8.7", user "userpool" failed: secret')


@pytest.mark.parametrize("host", HOSTS)
def test_every_host_answers(pool: UserPool, host: str) -> None:
    """A load balancer asks by address."""
    browser = Client(headers={"host": host})
    alive, ready = browser.get("/healthz"), browser.get("/readyz")
    assert (alive.status_code, alive.content) == (200, b"ok\n")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "database": "ok", "migrations": "ok", "keys": "ok", "cache": "ok"}
    for answer in (alive, ready):
        assert answer["Cache-Control"] == "no-store"
        assert not answer.cookies


def test_a_process_is_alive_while_its_database_is_away_and_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an orchestrator would restart every process of a deployment whose database restarts."""
    monkeypatch.setattr(connection, "cursor", fail)
    assert Client().get("/healthz").status_code == 200
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "database": "OperationalError"}
    assert b"secret" not in answer.content
    monkeypatch.undo()
    health.forget()
    assert Client().get("/readyz").status_code == 200


def test_it_is_not_ready_before_its_migrations_are_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("userpool.health.MigrationExecutor.migration_plan", lambda *_: [1, 2])
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["migrations"]) == (503, "2 not applied")


def test_it_is_not_ready_when_the_encryption_keys_open_nothing(pool: UserPool, settings: Settings) -> None:
    """The commonest mistake of a new machine: USERPOOL_ENCRYPTION_KEYS of another deployment."""
    assert SigningKey.objects.exists()
    settings.USERPOOL_ENCRYPTION_KEYS = [b"x" * 32]
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["keys"]) == (503, "ImproperlyConfigured")


def test_without_redis_it_is_ready_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign-ins and tokens do without."""
    monkeypatch.setattr(cache, "set", fail)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["cache"]) == (200, "OperationalError")


def test_asking_often_costs_the_database_nothing(django_assert_num_queries: Any) -> None:
    Client().get("/readyz")
    with django_assert_num_queries(0):
        for _ in range(20):
            assert Client().get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/healthz/", "/readyz/x", "/healthz?x=1"])
def test_nothing_else_is_served_there(path: str) -> None:
    expected = 200 if "?" in path else 404
    assert Client(headers={"host": "10.1.2.3"}).get(path).status_code == expected
