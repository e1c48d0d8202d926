"""``/healthz`` and ``/readyz``, on every host: what a load balancer and an orchestrator ask.

Healthy is a process that answers at all: who restarts it for more than that restarts all of them when the database is
away. Ready is one that could sign somebody in. Redis is told of and not needed: sign-ins and tokens do without.
"""

import time
from collections.abc import Callable
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from accounts.doctor import probe
from accounts.middleware import PEER
from accounts.models import SigningKey

KEPT = 1.0  # seconds for which an answer is given again: anybody may ask, as often as they like
_answers: dict[str, tuple[float, dict[str, str], bool]] = {}
_migrated = False


def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the process answers; to the doctor (accounts/doctor/probe.py), what it saw of the request."""
    if seen := probe.seen(request, request.META.get(PEER, "")):
        return _plain(JsonResponse(seen))
    return _plain(HttpResponse("ok\n", content_type="text/plain; charset=utf-8"))


def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether this process could sign somebody in, and what is missing: 200 or 503."""
    kept = _answers.get("ready")
    if kept is None or kept[0] <= time.monotonic():
        found, ready = _examined()
        kept = (time.monotonic() + KEPT, found, ready)
        _answers["ready"] = kept
    _, found, ready = kept
    return _plain(JsonResponse({"ready": ready, **found}, status=200 if ready else 503))


def forget() -> None:
    """Forget the last answer."""
    global _migrated
    _answers.clear()
    _migrated = False


def _examined() -> tuple[dict[str, str], bool]:
    found: dict[str, str] = {}
    for name, check in (("database", _database), ("migrations", _migrations), ("keys", _keys)):
        found[name] = _outcome(check)
        if found[name] != "ok":
            return found, False  # the others would say no more
    found["cache"] = _outcome(_cache)
    return found, True


def _outcome(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is no; its words may name hosts and users
        return type(error).__name__


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _migrations() -> str:
    """Once they are applied they stay so, for this code: the graph is read until then and not again."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if waiting:
            return f"{len(waiting)} not applied"
        _migrated = True
    return "ok"


def _keys() -> str:
    """Whether USERPOOL_ENCRYPTION_KEYS opens what is stored: the newest private key of any pool."""
    newest: Any = SigningKey.objects.exclude(private_jwk="").order_by("-id").first()
    return "ok" if newest is None or newest.private_jwk else "unreadable"


def _cache() -> str:
    cache.set("readyz", "ok", 5)
    return "ok" if cache.get("readyz") == "ok" else "not kept"


def _plain(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response
