"""The ground that everything stands on: settings, their documentation, the refusal to start half-configured, the pins.

What is expected comes from the project's own promises: README.md (the settings table) and docs/architecture.md.
Twelve-factor configuration (https://12factor.net/config) is why each setting is an environment variable.
"""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
GOOD = {
    "SECRET_KEY": "random characters, fifty of them and then some: Zq3rT8vLm2",
    "USERPOOL_ENCRYPTION_KEYS": KEY,
    "USERPOOL_ISSUER_BASE_URL": "https://id.example.com",
    "USERPOOL_DOMAIN_SUFFIX": "auth.example.com",
    "DATABASE_URL": "postgres://userpool:secret@db.example.com:5432/userpool",
    "REDIS_URL": "redis://redis.example.com:6379/0",
    "USERPOOL_TRUSTED_PROXIES": "10.0.0.0/8",
    "EMAIL_URL": "smtp+tls://userpool:secret@mail.example.com",
    "USERPOOL_MAIL_FROM": "id@example.com",
}


def manage(tmp_path: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run manage.py in a bare environment."""
    bare = {"PATH": os.defpath, "USERPOOL_DATA_DIR": str(tmp_path)}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=bare | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def tracked_files() -> list[Path]:
    """The text files of the project: what git knows, or everything outside the ignored folders."""
    try:
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        paths = [ROOT / name for name in listed.stdout.splitlines()]
    except (OSError, subprocess.CalledProcessError):
        ignored = {".git", ".venv", "var", "node_modules", "static_root", "__pycache__"}
        paths = [path for path in ROOT.rglob("*") if not ignored & set(path.relative_to(ROOT).parts)]
    binary = {".png", ".jpg", ".ico", ".woff2", ".gz", ".sqlite3", ".pyc"}
    return [path for path in paths if path.is_file() and path.suffix not in binary]


def documented_settings() -> list[str]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Settings")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE)


def test_every_setting_stands_in_the_readme_and_the_readme_names_no_other(tmp_path: Path) -> None:
    script = "from userpool.settings import env; print(*env.names)"
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": os.defpath, "USERPOOL_DATA_DIR": str(tmp_path)} | GOOD,
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(set(result.stdout.split())) == sorted(documented_settings())


@pytest.mark.parametrize(
    ("changes", "name", "mend"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY", "at least 50 random characters"),
        ({"USERPOOL_ENCRYPTION_KEYS": ""}, "USERPOOL_ENCRYPTION_KEYS", "32 random bytes in urlsafe base64"),
        ({"USERPOOL_ENCRYPTION_KEYS": "c2hvcnQ"}, "USERPOOL_ENCRYPTION_KEYS", "32 bytes in urlsafe base64"),
        ({"USERPOOL_ENCRYPTION_KEYS": f"{KEY},short!"}, "USERPOOL_ENCRYPTION_KEYS", "32 bytes in urlsafe base64"),
        ({"USERPOOL_ISSUER_BASE_URL": ""}, "USERPOOL_ISSUER_BASE_URL", "give an absolute URL"),
        ({"USERPOOL_ISSUER_BASE_URL": "id.example.com"}, "USERPOOL_ISSUER_BASE_URL", "give an absolute URL"),
        ({"USERPOOL_ISSUER_BASE_URL": "http://id.example.com"}, "USERPOOL_ISSUER_BASE_URL", "Use https"),
        ({"USERPOOL_ISSUER_BASE_URL": "https://id.example.com/auth"}, "USERPOOL_ISSUER_BASE_URL", "leave the path out"),
        ({"USERPOOL_TRUSTED_PROXIES": "10.0.0.1,proxy"}, "USERPOOL_TRUSTED_PROXIES", "proxy is not an address"),
        ({"USERPOOL_TRUSTED_PROXIES": "0.0.0.0/0"}, "USERPOOL_TRUSTED_PROXIES", "the proxy's own addresses"),
        ({"USERPOOL_UPSTREAM_NETWORKS": "10.0.0.0/8,idp"}, "USERPOOL_UPSTREAM_NETWORKS", "idp is not an address"),
        ({"USERPOOL_UPSTREAM_CONCURRENCY": "0"}, "USERPOOL_UPSTREAM_CONCURRENCY", "at least 1"),
        ({"USERPOOL_METRICS_TOKEN": "short"}, "USERPOOL_METRICS_TOKEN", "at least 32 random characters"),
        ({"USERPOOL_RATE_LIMIT_POOL": "-1"}, "USERPOOL_RATE_LIMIT_POOL", "leave it out for 500"),
        ({"USERPOOL_ISSUER_BASE_URL": "https://[id.example.com"}, "USERPOOL_ISSUER_BASE_URL", "give an absolute URL"),
        ({"USERPOOL_ISSUER_BASE_URL": "https://id.example.com:no"}, "USERPOOL_ISSUER_BASE_URL", "give an absolute URL"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL", "postgres://user:password@host"),
        ({"DATABASE_URL": "mysql://userpool:p4ss@db/userpool"}, "DATABASE_URL", "postgres://user:password@host"),
        ({"DATABASE_URL": "postgres://userpool:p4ss#word@db:5432/userpool"}, "DATABASE_URL", "percent-encoded"),
        (
            {"DATABASE_URL": "postgres://userpool:p4ss@db:port/userpool"},
            "DATABASE_URL",
            "postgres://user:password@host",
        ),
        ({"REDIS_URL": "redis.example.com"}, "REDIS_URL", "redis://host:6379/0"),
        ({"USERPOOL_LOG_LEVEL": "loud"}, "USERPOOL_LOG_LEVEL", "Use one of DEBUG, INFO"),
        ({"USERPOOL_DEVELOPMENT": "maybe"}, "USERPOOL_DEVELOPMENT", "Use 1 or 0"),
        ({"SECRET_KEY": "", "SECRET_KEY_FILE": "/nowhere/at/all"}, "SECRET_KEY", "at least 50 random characters"),
    ],
)
def test_production_refuses_to_start_and_says_what_to_do(
    tmp_path: Path, changes: dict[str, str], name: str, mend: str
) -> None:
    result = manage(tmp_path, "check", **GOOD | changes)
    assert result.returncode != 0
    assert any(line.startswith(f"- {name}") and mend in line for line in result.stderr.splitlines()), result.stderr
    assert "Traceback" not in result.stderr
    assert "p4ss" not in result.stderr


def test_a_bare_environment_is_told_everything_that_is_missing_at_once(tmp_path: Path) -> None:
    result = manage(tmp_path, "check")
    assert result.returncode != 0
    for name in ("SECRET_KEY", "USERPOOL_ENCRYPTION_KEYS", "USERPOOL_ISSUER_BASE_URL"):
        assert f"- {name}: " in result.stderr


def test_a_setting_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(GOOD["SECRET_KEY"] + "\n")
    rest = {name: value for name, value in GOOD.items() if name != "SECRET_KEY"}
    assert manage(tmp_path, "check", SECRET_KEY_FILE=str(path), **rest).returncode == 0
    missing = manage(tmp_path, "check", SECRET_KEY_FILE=str(path) + "s", **rest)
    assert "- SECRET_KEY_FILE: cannot be read" in missing.stderr


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "id.localhost"])
def test_http_is_allowed_on_loopback_hosts(tmp_path: Path, host: str) -> None:
    result = manage(tmp_path, "check", **GOOD | {"USERPOOL_ISSUER_BASE_URL": f"http://{host}:8000"})
    assert result.returncode == 0, result.stderr


def test_a_good_deployment_passes_the_deployment_check(tmp_path: Path) -> None:
    (tmp_path / "staticfiles.json").write_text("{}")
    collected = {"DJANGO_SETTINGS_MODULE": "tests.bench.settings", "BENCH_STATIC_ROOT": str(tmp_path)}
    result = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **GOOD | collected)
    assert result.returncode == 0, result.stderr
    assert "no issues" in result.stdout


@pytest.mark.parametrize(
    ("changes", "identifier", "mend"),
    [
        ({"USERPOOL_DEVELOPMENT": "1"}, "userpool.E001", "Leave USERPOOL_DEVELOPMENT out"),
        ({"USERPOOL_ISSUER_BASE_URL": "http://localhost:8000"}, "userpool.E002", "https URL"),
        ({"USERPOOL_CONSOLE_HOST": "console.auth.example.com"}, "userpool.E003", "a suffix of their own"),
        ({"USERPOOL_ISSUER_BASE_URL": "https://id.auth.example.com"}, "userpool.E003", "a suffix of their own"),
        ({"USERPOOL_DOMAIN_SUFFIX": "auth.example.com:8443"}, "userpool.E004", "the name only"),
        ({"USERPOOL_UPSTREAM_ALLOW_PRIVATE": "1"}, "userpool.E006", "USERPOOL_UPSTREAM_NETWORKS"),
        ({"DATABASE_URL": ""}, "userpool.W001", "PostgreSQL"),
        ({"EMAIL_URL": "", "USERPOOL_MAIL_FROM": ""}, "userpool.W021", "send_test_mail"),
        ({"EMAIL_URL": "file:///var/mail"}, "userpool.W022", "smtp+tls://user:password@host:587"),
        ({"EMAIL_URL": "smtp://mail.example.com"}, "userpool.W023", "STARTTLS"),
        ({"REDIS_URL": ""}, "userpool.W002", "REDIS_URL"),
        ({"USERPOOL_TRUSTED_PROXIES": ""}, "userpool.W003", "USERPOOL_TRUSTED_PROXIES"),
        ({"SECRET_KEY": "short"}, "security.W009", "SECRET_KEY"),
    ],
)
def test_the_deployment_check_names_what_is_dangerous_and_its_mend(
    tmp_path: Path, changes: dict[str, str], identifier: str, mend: str
) -> None:
    result = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **GOOD | changes)
    assert result.returncode != 0
    assert identifier in result.stderr
    assert mend in result.stderr


def test_the_deployment_check_misses_static_files_that_were_not_collected(tmp_path: Path) -> None:
    bare = {"DJANGO_SETTINGS_MODULE": "tests.bench.settings", "BENCH_STATIC_ROOT": str(tmp_path)}
    result = manage(tmp_path, "check", "--deploy", **GOOD | bare)
    assert result.returncode != 0
    assert "userpool.E005" in result.stderr
    assert "collectstatic" in result.stderr


def test_the_secrets_of_development_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    first = manage(tmp_path, "check", USERPOOL_DEVELOPMENT="1")
    assert first.returncode == 0, first.stderr
    path = tmp_path / "development-secrets.json"
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    manage(tmp_path, "check", USERPOOL_DEVELOPMENT="1")
    assert path.read_text() == before


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_with_hashes_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host|^#", text, re.MULTILINE)
    pins = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert pins
    unpinned = [pin.splitlines()[0] for pin in pins if "==" not in pin or "--hash=sha256:" not in pin]
    assert unpinned == []


def test_what_both_lists_pin_they_pin_alike() -> None:
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==([^ ;]+)", (ROOT / name).read_text(), re.MULTILINE))

    run, dev = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name: (run[name], dev[name]) for name in run.keys() & dev.keys() if run[name] != dev[name]} == {}


def test_no_file_names_a_package_index_or_the_machine_that_it_was_written_on() -> None:
    # in pieces, so that this file is not its own finding
    words = ["/" + "simple/", "index" + "-url", "files." + "pythonhosted", "/" + "root/", "/" + "work/", "/" + "home/"]
    pattern = re.compile("|".join(re.escape(word) for word in words) + r"|registry\.npmjs|pypi\.\w+/" + "simple")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in tracked_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []
    assert not (ROOT / "uv.lock").exists()


def test_the_compose_file_is_valid_and_holds_no_secret() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert {"web", "worker", "beat", "postgres", "redis", "migrate"} <= set(compose["services"])
    for name in ("postgres", "redis", "web"):
        assert "test" in compose["services"][name]["healthcheck"], name
    for service in compose["services"].values():
        for variable, value in (service.get("environment") or {}).items():
            assert not re.search(r"SECRET|KEY|PASSWORD", variable) or variable.endswith("_FILE"), (variable, value)


@pytest.mark.parametrize(
    ("required", "body", "status", "said"),
    [
        ("", "pass", 0, "Redis is missing: 1 tests skipped, not run on this machine"),
        ("postgresql", "pass", 0, "not run on this machine"),
        ("redis", "pass", 1, "Redis is required here and missing"),
        # decided on by the test itself, past the mark
        ("redis", "import pytest; pytest.skip('no redis')", 1, "REQUIRED HERE"),
    ],
)
def test_a_skip_for_want_of_a_service_is_counted_aloud_and_fails_where_it_is_required(
    tmp_path: Path, required: str, body: str, status: int, said: str
) -> None:
    mark = "@needs_redis\n" if body == "pass" else ""
    case = tmp_path / "test_case.py"
    case.write_text(f"from tests.needs import needs_redis\n{mark}def test_it():\n    {body}\n")
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)),
            *("-p", "tests.needs", "-p", "no:cacheprovider", str(case)),
        ],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "USERPOOL_DATA_DIR": str(tmp_path), "USERPOOL_TESTS_REQUIRE": required},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == status, result.stdout + result.stderr
    assert said in result.stdout
