"""What some tests need of the machine, as marks; a pytest plugin that skips them where it is missing.

``@needs_chromium`` on a test (or ``pytestmark = needs_chromium`` in a module) skips it on a machine without Chromium.
The skipped are counted aloud at the end of the run. USERPOOL_TESTS_REQUIRE=postgresql,redis,browser turns such a skip
into a failure: CI installs what it names there, so there a skip is a hole in the tests.
"""

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

needs_postgresql = pytest.mark.postgresql
needs_redis = pytest.mark.redis
needs_chromium = pytest.mark.browser
needs_node = pytest.mark.node
needs_simplesamlphp = pytest.mark.simplesamlphp
needs_haproxy = pytest.mark.haproxy

NAMES = {"postgresql": "PostgreSQL", "redis": "Redis", "browser": "Chromium", "node": "Node.js"}
NAMES |= {"simplesamlphp": "SimpleSAMLphp", "haproxy": "HAProxy"}
WORDS = {"postgresql": ("postgres",), "redis": ("redis",), "browser": ("chromium", "browser"), "node": ("node",)}
WORDS |= {"simplesamlphp": ("simplesamlphp",), "haproxy": ("haproxy",)}
SIMPLESAMLPHP = Path("/usr/share/simplesamlphp")  # Debian's package


def chromium() -> str:
    """Return the path of Chromium, or an empty string. CHROMIUM names another one."""
    named = os.environ.get("CHROMIUM", "")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")


def haproxy() -> str:
    """Return the path of HAProxy, or an empty string. Debian puts it where only root looks."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin") or ""


def has(need: str) -> bool:
    """Whether this machine, or this run, has what the mark ``need`` asks for."""
    match need:
        case "postgresql":
            return bool(settings.DATABASES["default"]["ENGINE"].endswith("postgresql"))
        case "redis":
            return bool(settings.REDIS_URL)
        case "browser":
            return bool(chromium())
        case "simplesamlphp":
            return (SIMPLESAMLPHP / "www").is_dir() and bool(shutil.which("php"))
        case "haproxy":
            return bool(haproxy())
        case _:
            return bool(shutil.which("node") and shutil.which("npm"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "simplesamlphp: needs SimpleSAMLphp and PHP")
    config.addinivalue_line("markers", "haproxy: needs HAProxy")


def required() -> set[str]:
    return {word.strip() for word in os.environ.get("USERPOOL_TESTS_REQUIRE", "").split(",") if word.strip()}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for need, name in NAMES.items():
        if item.get_closest_marker(need) is None or has(need):
            continue
        if need in required():
            pytest.fail(f"{name} is required here and missing", pytrace=False)
        pytest.skip(f"needs {name}")


def _skipped_for(stats: dict[str, list[Any]]) -> Counter[str]:
    """Count the skips by what they were skipped for, also those that a test decided on by itself."""
    counted: Counter[str] = Counter()
    for report in stats.get("skipped", []):
        reason = str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr).lower()
        counted.update(need for need, words in WORDS.items() if any(word in reason for word in words))
    return counted


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and session.exitstatus == 0 and required() & set(_skipped_for(reporter.stats)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for need, count in _skipped_for(terminalreporter.stats).items():
        verdict = "REQUIRED HERE, so this run failed" if need in required() else "not run on this machine"
        terminalreporter.write_line(f"{NAMES[need]} is missing: {count} tests skipped, {verdict}", yellow=True)
