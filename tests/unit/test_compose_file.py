"""docker-compose.yml, its overlay, its secrets and the Dockerfile, without an engine.

https://docs.docker.com/reference/compose-file/ and the schema of https://github.com/compose-spec/compose-spec. What the
services do when they run is in tests/flows/test_compose.py, what the proxy does in tests/flows/test_proxy.py.
"""

import base64
import re
import stat
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands

from tests.composefile import ROOT, build_steps, compose_file, dockerfile, image_command, interpolated, own_services
from userpool import settings

FILES = ("docker-compose.yml", "examples/docker-compose.tls.yml")
DOCUMENT = compose_file()
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
OWN = own_services(DOCUMENT)
each_service = pytest.mark.parametrize("name", SERVICES)
# the one whose end is its health
WITHOUT_HEALTHCHECK = {"migrate"}
# images whose own user is not root: haproxy's Dockerfile says USER haproxy, ours is held against below
USER_OF_THE_IMAGE = {"proxy", *OWN}


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_valid_by_the_schema_of_compose(name: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_services_are_those_that_the_readme_promises() -> None:
    assert set(SERVICES) == {"proxy", "web", "worker", "beat", "migrate", "postgres", "redis", "mail"}
    assert SERVICES["web"]["deploy"] == {"replicas": 2}
    assert "deploy" not in SERVICES["beat"]


@each_service
def test_every_service_is_kept_small(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & set(service)
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@each_service
def test_nobody_is_root(name: str) -> None:
    user = str(SERVICES[name].get("user", "")).partition(":")[0]
    assert user not in ("root", "0")
    assert user or name in USER_OF_THE_IMAGE


@each_service
def test_every_service_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if name in WITHOUT_HEALTHCHECK:
        assert check == {"disable": True}
    else:
        assert check["test"][0] in ("CMD", "CMD-SHELL")
        assert check["timeout"]


@each_service
def test_nothing_is_open_to_other_machines(name: str) -> None:
    """A port without an address is open on all of them, past the machine's firewall."""
    assert all(str(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_only_the_overlay_with_tls_opens_ports() -> None:
    overlay = compose_file("examples/docker-compose.tls.yml")
    assert set(overlay["services"]) == {"proxy"}
    proxy = overlay["services"]["proxy"]
    assert [port.rpartition(":")[2] for port in proxy["ports"]] == ["8080", "8443"]
    assert proxy["environment"]["PROXY_CERTIFICATE"] == f"/run/secrets/{proxy['secrets'][0]}"
    assert proxy["secrets"] == list(overlay["secrets"])


@each_service
def test_what_a_service_names_is_there(name: str) -> None:
    service = SERVICES[name]
    assert set(service["networks"]) <= set(DOCUMENT["networks"])
    assert set(service.get("secrets", [])) <= set(DOCUMENT["secrets"])
    assert {config["source"] for config in service.get("configs", [])} <= set(DOCUMENT["configs"])
    named = [volume.partition(":")[0] for volume in service.get("volumes", [])]
    assert set(named) <= set(DOCUMENT["volumes"])
    for other, condition in service.get("depends_on", {}).items():
        assert other in SERVICES
        if condition["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]


def test_files_that_are_mounted_exist() -> None:
    assert all((ROOT / config["file"]).is_file() for config in DOCUMENT["configs"].values())


@pytest.mark.parametrize("name", sorted(set(OWN) - {"migrate"}))
def test_web_worker_and_beat_wait_for_the_migrations(name: str) -> None:
    assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_migrations_wait_for_the_database_and_for_nothing_else() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["migrate"]["command"] == ["python", "manage.py", "migrate", "--noinput"]


@pytest.mark.parametrize("name", OWN)
def test_every_setting_is_one_that_the_settings_know(name: str) -> None:
    known = {*settings.env.names, *(f"{setting}_FILE" for setting in settings.env.names)}
    assert set(OWN[name]["environment"]) <= known


@pytest.mark.parametrize("name", OWN)
def test_secrets_come_from_files(name: str) -> None:
    environment = OWN[name]["environment"]
    for setting in ("SECRET_KEY", "USERPOOL_ENCRYPTION_KEYS", "DATABASE_URL"):
        assert setting not in environment
        folder, _, secret = environment[f"{setting}_FILE"].rpartition("/")
        assert folder == "/run/secrets"
        assert secret in OWN[name]["secrets"]


@pytest.mark.parametrize("name", OWN)
def test_commands_are_those_of_the_image(name: str) -> None:
    command = OWN[name].get("command", image_command())
    if command[0] == "python":
        assert command[1] == "manage.py"
        assert command[2] in get_commands()
    else:
        assert command[0] in ("celery", "granian")
        requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
        assert re.search(rf"^{command[0]}==", requirements, re.MULTILINE)
        assert any(word.startswith("userpool") for word in command)


def test_the_proxy_is_believed_and_nobody_else() -> None:
    [subnet] = DOCUMENT["networks"]["edge"]["ipam"]["config"]
    believed = interpolated(SERVICES["web"]["environment"]["USERPOOL_TRUSTED_PROXIES"])
    assert ip_network(interpolated(subnet["subnet"])) == ip_network(believed)
    assert ip_network(believed).is_private
    assert {name for name, service in SERVICES.items() if "edge" in service["networks"]} == {"proxy", "web"}


def test_the_database_and_redis_have_no_way_out() -> None:
    assert DOCUMENT["networks"]["inside"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["inside"]


def test_the_database_is_not_healthy_before_it_is_made() -> None:
    """While the image makes the database, its server listens at the socket only (docker-library/postgres)."""
    check = SERVICES["postgres"]["healthcheck"]["test"]
    assert ip_address(check[check.index("--host") + 1]).is_loopback


def test_redis_drops_old_cache_entries_and_never_messages() -> None:
    command = SERVICES["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "volatile-lru"
    assert command[command.index("--appendonly") + 1] == "yes"


def test_the_image_is_not_root_and_says_that_it_is_alive() -> None:
    last = dockerfile().rpartition("\nFROM ")[2]
    [user] = re.findall(r"^USER (.*)$", last, re.MULTILINE)
    assert user.isdecimal(), "by number, so that Kubernetes can see that it is not root"
    assert int(user) > 0
    assert re.search(r"^HEALTHCHECK .*/healthz", last, re.MULTILINE)
    assert last.index("\nUSER ") < last.index("\nCMD ")
    assert "requirements-dev" not in dockerfile()
    assert "--require-hashes" in dockerfile()
    assert any("collectstatic" in step for step in build_steps())
    copied = re.findall(r"^COPY --from=build (\S+) (\S+)$", last, re.MULTILINE)
    assert copied == [("/opt/venv", "/opt/venv"), ("/app", "/app")]


def test_the_image_takes_no_secret_along() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    kept_out = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {"secrets", ".env", "var", "*.sqlite3*", ".git"} <= set(ignored)
    assert {"/secrets/", "/.env", "var/"} <= set(kept_out)


def test_secrets_are_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = ["sh", str(ROOT / "examples/make_secrets.sh"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    made = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert set(made) == set(DOCUMENT["secrets"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    # read in the containers by who is neither root nor the operator
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}
    assert len(base64.urlsafe_b64decode(made["encryption_keys"] + "=")) == 32
    assert len(made["secret_key"]) >= 50
    assert made["database_url"] == f"postgres://userpool:{made['postgres_password']}@postgres:5432/userpool"
    assert re.fullmatch(r"[\w-]{32}", made["postgres_password"])
    subprocess.run(command, check=True, capture_output=True)
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == made
    (folder / "secret_key").unlink()
    subprocess.run(command, check=True, capture_output=True)
    again = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert again.pop("secret_key") != made.pop("secret_key")
    assert again == made
