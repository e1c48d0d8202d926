"""What is counted: by closed sets of words, cheaply, and by processes that come and go.

Prometheus, "Instrumentation" (use labels; avoid missing metrics) and its Python library, "Multiprocess Mode".
"""

import errno
import itertools
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver
from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict, mmap_key

import federation.urls
import userpool.urls
from accounts import metric_files, metrics
from accounts.authentication import Refusal
from accounts.checks import check_deployment
from accounts.event_words import CAUSES
from accounts.metric_files import Slots
from accounts.models.providers import ProviderType
from federation import errors
from federation.upstream import fetching
from tests.flows.server import ROOT
from tests.measured import rise

EVIL = 'evil{le="0"}\n# HELP'


@pytest.mark.parametrize(
    ("count", "series"),
    [
        (lambda: metrics.signed_in("password"), 'userpool_sign_ins_total{method="password"}'),
        (lambda: metrics.signed_in("LoginWithAmazon"), 'userpool_sign_ins_total{method="amazon"}'),
        (
            lambda: metrics.sign_in_refused("OIDC", "jwks_timeout"),
            'userpool_sign_ins_refused_total{method="oidc",reason="jwks_timeout"}',
        ),
        (
            lambda: metrics.sign_in_refused("password", Refusal.LOCKED),
            'userpool_sign_ins_refused_total{method="password",reason="locked"}',
        ),
        (metrics.code_issued, "userpool_codes_issued_total"),
        (lambda: metrics.token_issued("implicit"), 'userpool_tokens_issued_total{grant_type="implicit"}'),
        (
            lambda: metrics.token_refused("refresh_token", "invalid_grant"),
            'userpool_tokens_refused_total{error="invalid_grant",grant_type="refresh_token"}',
        ),
        (lambda: metrics.rate_limited("client"), 'userpool_rate_limited_total{kind="client"}'),
        (
            lambda: metrics.request_served("token", 503, 0.2),
            'userpool_http_requests_total{endpoint="token",status="5xx"}',
        ),
        (
            lambda: metrics.upstream_called("jwks", "2xx", 0.2),
            'userpool_upstream_calls_total{outcome="2xx",purpose="jwks"}',
        ),
        # whatever else is said
        (lambda: metrics.signed_in(EVIL), 'userpool_sign_ins_total{method="other"}'),
        (
            lambda: metrics.sign_in_refused(EVIL, EVIL),
            'userpool_sign_ins_refused_total{method="other",reason="other"}',
        ),
        (
            lambda: metrics.token_refused(EVIL, EVIL),
            'userpool_tokens_refused_total{error="other",grant_type="other"}',
        ),
        (lambda: metrics.logged_event(EVIL), 'userpool_events_total{type="other"}'),
        (lambda: metrics.rate_limited(EVIL), 'userpool_rate_limited_total{kind="other"}'),
        (
            lambda: metrics.request_served(EVIL, 999, 0.2),
            'userpool_http_requests_total{endpoint="other",status="other"}',
        ),
        (
            lambda: metrics.upstream_called(EVIL, EVIL, 0.2),
            'userpool_upstream_calls_total{outcome="other",purpose="other"}',
        ),
    ],
)
def test_each_function_counts_one_in_its_series(count: Callable[[], None], series: str) -> None:
    assert rise(count) == {series: 1.0}


def test_types_of_events_are_told_apart_once_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(metrics.EVENTS, "key_rotated", raising=False)
    assert rise(lambda: metrics.logged_event("key_rotated")) == {'userpool_events_total{type="other"}': 1.0}
    metrics.know_events(["key_rotated"])
    assert rise(lambda: metrics.logged_event("key_rotated")) == {'userpool_events_total{type="key_rotated"}': 1.0}


def test_grants_are_counted_by_how_many_were_revoked() -> None:
    assert rise(lambda: metrics.grants_revoked("code_replayed", 0)) == {}
    revoked = rise(lambda: metrics.grants_revoked("code_replayed", 2))
    assert revoked == {'userpool_grants_revoked_total{reason="code_replayed"}': 2.0}


@pytest.mark.parametrize(("outcome", "timed"), [("2xx", 1), ("timeout", 1), ("suspended", 0), ("not_https", 0)])
def test_a_call_that_was_never_made_takes_no_time(outcome: str, timed: int) -> None:
    found = metrics.REGISTRY.get_sample_value
    name, labels = "userpool_upstream_call_duration_seconds_count", {"purpose": "token"}
    before = found(name, labels) or 0
    metrics.upstream_called("token", outcome, 0.1)
    assert (found(name, labels) or 0) - before == timed


def test_what_strangers_say_is_not_kept_in_memory() -> None:
    before = len(metrics._TOKENS_REFUSED._children)
    for number in range(100):
        metrics.token_refused(f"grant {number}", "unsupported_grant_type")
    assert len(metrics._TOKENS_REFUSED._children) == before


def test_our_own_words_are_all_known() -> None:
    """Each of them would count as "other"."""
    assert set(metrics.PASSWORD_REASONS) == {str(reason) for reason in Refusal}
    assert set(ProviderType.values) <= metrics.METHODS.keys()
    assert set(fetching.CAUSES) <= CAUSES.keys() <= metrics.OUTCOMES.keys()
    at_the_token_endpoint = {
        errors.InvalidRequest,
        errors.InvalidClient,
        errors.InvalidGrant,
        errors.UnauthorizedClient,
        errors.UnsupportedGrantType,
        errors.InvalidScope,
        errors.InvalidTarget,
        errors.ServerError,
    }
    assert {error.code for error in at_the_token_endpoint} == metrics.ERRORS.keys()


def endpoints(patterns: list[Any]) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield pattern.name or pattern.callback.__name__
        elif not (isinstance(pattern, URLResolver) and pattern.app_name):  # the console is one
            yield from endpoints(pattern.url_patterns)


def test_every_url_is_an_endpoint_of_its_own() -> None:
    named = {*endpoints(federation.urls.urlpatterns), *endpoints(userpool.urls.urlpatterns)}
    assert named | {"console", "static", "unmatched"} == metrics.ENDPOINTS.keys()


def families() -> dict[str, metrics.Family]:
    return {name: found for name, found in vars(metrics).items() if isinstance(found, metrics.Family)}


def every_key(kind: str) -> Iterator[str]:
    """Yield the key of every value that the library can come to keep for metrics of ``kind``."""
    for family in families().values():
        metric: Any = family._metric
        if metric._type != kind:
            continue
        names = metric._labelnames
        for labels in itertools.product(*({*words.values(), metrics.OTHER} for words in family._words)):
            name, words = metric._name, metric._documentation
            if kind == "counter":
                yield mmap_key(name, f"{name}_total", names, labels, words)
                continue
            yield mmap_key(name, f"{name}_sum", names, labels, words)
            for bound in metric._upper_bounds:
                yield mmap_key(name, f"{name}_bucket", (*names, "le"), (*labels, str(bound)), words)


@pytest.mark.parametrize("kind", metric_files.KINDS)
def test_every_series_that_there_can_be_fits_in_the_room_that_is_reserved(tmp_path: Path, kind: str) -> None:
    """A mapped file that grows on a full disk kills the process (mmap(2), SIGBUS)."""
    metric_files._reserve(tmp_path / "x.db")
    kept = MmapedDict(str(tmp_path / "x.db"))
    keys = list(every_key(kind))
    for key in keys:
        kept.write_value(key, 1.0, 0.0)
    assert len(keys) > 200
    assert (tmp_path / "x.db").stat().st_size == metric_files.ROOM
    kept.close()


def test_all_metrics_are_of_the_kinds_that_room_is_reserved_for() -> None:
    assert {family._metric._type for family in families().values()} == set(metric_files.KINDS)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), ValueError("closed")])
def test_what_cannot_be_counted_is_no_reason_to_refuse_anybody(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(metrics.Family, "child", fail)
    monkeypatch.setattr(metrics, "_told", set())
    with caplog.at_level(logging.WARNING, "userpool.metrics"):
        for _ in range(3):
            metrics.token_issued("implicit")
            metrics.request_served("token", 200, 0.1)
    assert [record.getMessage() for record in caplog.records] == [f"metrics are not counted: {type(error).__name__}"]


# --- slots


def test_processes_at_once_have_slots_of_their_own_and_the_next_takes_a_free_one(tmp_path: Path) -> None:
    first, second = Slots(tmp_path / "new"), Slots(tmp_path / "new")
    assert (first(), second(), first()) == (0, 1, 0)
    first.forget()  # as a process does that ends
    assert Slots(tmp_path / "new")() == 0
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_when_every_slot_is_taken_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_files, "MOST", 2)
    held = [Slots(tmp_path), Slots(tmp_path)]
    assert [slot() for slot in held] == [0, 1]
    with pytest.raises(OSError, match="every slot is taken"):
        Slots(tmp_path)()


@pytest.fixture
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``share`` changes of the library is changed back."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)


@pytest.mark.usefixtures("_library")
def test_without_a_folder_a_process_counts_for_itself() -> None:
    assert not metric_files.share("")
    assert values.ValueClass is values.MutexValue


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("cause", ["disk full", "a file in the way"])
def test_a_folder_that_cannot_be_used_is_no_reason_not_to_start(
    cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if cause == "disk full":
        monkeypatch.setattr(os, "posix_fallocate", full)
    else:
        (tmp_path / "metrics").write_text("x")
    with caplog.at_level(logging.WARNING, "userpool.metrics"):
        assert not metric_files.share(str(tmp_path / "metrics"))
    assert values.ValueClass is values.MutexValue
    assert "metrics are this process's own" in caplog.text


def test_a_torn_file_costs_a_scrape_its_counts_and_no_more_and_is_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torn = tmp_path / "counter_0.db"
    torn.write_bytes(b"\xff\xff\xff\x7f" + b"\x20" * 96)
    with caplog.at_level(logging.ERROR, "userpool.metrics"):
        assert metric_files.collected(str(tmp_path)) == []
    assert "cannot be read" in caplog.text
    assert Slots(tmp_path)() == 0
    assert metric_files.collected(str(tmp_path)) == []
    assert list(MmapedDict.read_all_values_from_file(str(torn))) == []
    assert torn.stat().st_size == metric_files.ROOM


PROGRAM = """
import os, sys, django
django.setup()
from accounts import metrics
assert metrics.SHARED
metrics.token_issued("implicit")
if os.fork() == 0:
    metrics.token_issued("implicit")
    os.kill(os.getpid(), 9)
os.wait()
metrics.token_issued("implicit")
found = {s.labels["grant_type"]: s.value for m in metrics.collected() for s in m.samples if "tokens_issued" in s.name}
print(found["implicit"], *sorted(name for name in os.listdir(sys.argv[1]) if name.endswith(".db")))
"""


def test_forked_children_and_the_next_boot_count_on_in_as_many_files_as_there_were_processes(tmp_path: Path) -> None:
    """gunicorn --preload and Celery fork; a process that is killed says nothing (signal(7), SIGKILL)."""
    environment = dict(os.environ, DJANGO_SETTINGS_MODULE="tests.settings", PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    environment["DATABASE_URL"] = "sqlite://:memory:"
    files = "counter_0.db counter_1.db histogram_0.db histogram_1.db"
    for boot in (1, 2):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == f"{3.0 * boot} {files}", done.stderr


@pytest.mark.parametrize(
    ("token", "folder", "missed"), [("t" * 32, "", True), ("t" * 32, "/x", False), ("", "", False)]
)
def test_the_deployment_check_misses_the_folder_where_metrics_are_on(
    settings: Any, token: str, folder: str, missed: bool
) -> None:
    settings.USERPOOL_METRICS_TOKEN, settings.PROMETHEUS_MULTIPROC_DIR = token, folder
    assert ("userpool.W010" in [found.id for found in check_deployment()]) is missed
