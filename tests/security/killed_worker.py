"""``python -m tests.security.killed_worker POINTS|RACES``: what test_killed_worker.py runs, and reports as JSON.

A process of its own, for two reasons: a killed worker must really be killed (SIGKILL, so that nothing tidies up), and
SQLite's locks mean something only between connections to a file. DATABASE_URL names the database.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - the registry must be ready first
from django.db import connection, connections  # noqa: E402
from django.test import Client  # noqa: E402

from accounts.models import AppClient, AuthorizationCode, PoolUser, RefreshToken  # noqa: E402
from federation import responses, tokens  # noqa: E402
from tests import factories  # noqa: E402
from tests.security.steps import issue_code, redeem, refresh  # noqa: E402

# where the worker dies: what it was about to call or has just called
POINTS: dict[str, tuple[Any, str, bool]] = {
    "after the code was locked": (AuthorizationCode, "present", True),
    "before the code is spent": (AuthorizationCode, "spend", False),
    "after the code was spent": (AuthorizationCode, "spend", True),
    "after the grant was stored": (tokens, "open_grant", True),
    "before the tokens are signed": (tokens, "mint", False),
    "after the tokens were signed": (tokens, "mint", True),
    "after the commit": (responses, "json_response", False),
}
THREADS = 8


def browser() -> Client:
    return Client(headers={"host": "demo.auth.example.test"})


def killing(function: Callable[..., Any], afterwards: bool) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if afterwards:
            function(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    return call


def state(origin_jti: str) -> dict[str, Any]:
    grants = RefreshToken.objects.filter(origin_jti=origin_jti)
    return {
        "consumed": AuthorizationCode.objects.get(origin_jti=origin_jti).consumed_at is not None,
        "grants": grants.count(),
        "live": grants.filter(revoked_at__isnull=True).exclude(digest="").count(),
    }


def killed_at(point: str, client: AppClient, user: PoolUser) -> dict[str, Any]:
    """Redeem a code in a child that dies at ``point``; say how it left things, and how a retry goes."""
    code = issue_code(client, user)
    origin_jti = AuthorizationCode.objects.latest("pk").origin_jti
    connections.close_all()  # a child must not share a connection
    child = os.fork()
    if child == 0:
        owner, name, afterwards = POINTS[point]
        setattr(owner, name, killing(getattr(owner, name), afterwards))
        redeem(browser(), client.client_id, code)
        os._exit(3)
    _, status = os.waitpid(child, 0)
    left = state(origin_jti)
    retry = redeem(browser(), client.client_id, code)
    return {
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "left": left,
        "retry": retry.status_code,
        "then": state(origin_jti),
    }


def at_once(action: Callable[[], Any]) -> list[Any]:
    barrier, results = threading.Barrier(THREADS), []

    def run() -> None:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            results.append(action())
        except Exception as problem:  # noqa: BLE001 - the test judges it
            results.append(repr(problem))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def races(client: AppClient, user: PoolUser) -> dict[str, Any]:
    """Redeem one code, then rotate one token, in several threads; with grace, then without."""
    code = issue_code(client, user)
    redeemed = at_once(lambda: redeem(browser(), client.client_id, code).status_code)
    found: dict[str, Any] = {
        "redeemed": redeemed,
        "redeemed live": RefreshToken.objects.filter(revoked_at=None).count(),
    }
    for name, grace in (("with grace", 60), ("without grace", 0)):
        client.refresh_token_rotation, client.retry_grace_period_seconds = True, grace
        client.save()
        RefreshToken.objects.all().delete()
        answer = redeem(browser(), client.client_id, issue_code(client, user))
        token = json.loads(answer.content)["refresh_token"]

        def rotate(token: str = token) -> tuple[int, str]:
            answer = refresh(browser(), client.client_id, token)
            return answer.status_code, json.loads(answer.content).get("refresh_token", "")

        found[name] = at_once(rotate)
        found[f"{name} live"] = RefreshToken.objects.filter(revoked_at=None).count()
    return found


def main(what: str) -> None:
    if connection.vendor == "sqlite":
        call_command("migrate", verbosity=0)
    pool = factories.make_pool("demo")
    client, user = factories.make_client(pool), factories.make_user(pool, password=None)
    if what == "RACES":
        report: Any = races(client, user)
    else:
        report = {point: killed_at(point, client, user) for point in POINTS}
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1])
