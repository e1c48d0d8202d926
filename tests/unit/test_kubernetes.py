"""docs/kubernetes.md: its objects are whole, and what they name exists here.

https://kubernetes.io/docs/concepts/security/pod-security-standards/ ("Restricted") and
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/. No cluster runs them in a test.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from accounts.middleware import HOSTLESS_PATHS
from tests.composefile import ROOT, compose_file, image_command
from userpool import settings

TEXT = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
OBJECTS: list[dict[str, Any]] = [
    found
    for block in re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    for found in yaml.safe_load_all(block)
]
IDS = [f"{found['kind']}-{found['metadata']['name']}" for found in OBJECTS]
SECRETS = set(re.findall(r"--from-file=(\w+)=", TEXT))


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [found for found in OBJECTS if found["kind"] in kinds]


def pod_of(found: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = found["spec"]
    return (spec["jobTemplate"]["spec"] if found["kind"] == "CronJob" else spec)["template"]  # type: ignore[no-any-return]


WORKLOADS = of_kind("Deployment", "Job", "CronJob")
each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=[found["metadata"]["name"] for found in WORKLOADS])


def containers(found: dict[str, Any]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = pod_of(found)["spec"]["containers"]
    return listed


def words() -> Iterator[list[str]]:
    """Yield every command: of containers, and of probes that run in them."""
    for found in WORKLOADS:
        for container in containers(found):
            yield container.get("command", image_command())


def test_the_objects_are_those_that_a_deployment_has() -> None:
    assert sorted(IDS) == sorted(set(IDS))
    kinds = {found["kind"] for found in OBJECTS}
    assert kinds >= {
        "Deployment",
        "Job",
        "CronJob",
        "Service",
        "Ingress",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
    }
    assert {found["metadata"]["namespace"] for found in OBJECTS} == {"userpool"}
    assert all(found["apiVersion"] for found in OBJECTS)


@each_workload
def test_pods_are_of_the_restricted_kind(workload: dict[str, Any]) -> None:
    pod = pod_of(workload)["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["automountServiceAccountToken"] is False
    for container in containers(workload):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]} == {"secrets", "tmp"}


@each_workload
def test_pods_are_found_by_their_labels(workload: dict[str, Any]) -> None:
    labels = pod_of(workload)["metadata"]["labels"]
    selector = workload["spec"].get("selector", {}).get("matchLabels", labels)
    assert selector.items() <= labels.items()
    assert f"userpool-{labels['app.kubernetes.io/component']}" == workload["metadata"]["name"]


def test_settings_are_known_and_secrets_are_files_that_are_mounted() -> None:
    [config] = of_kind("ConfigMap")
    known = {*settings.env.names, *(f"{name}_FILE" for name in settings.env.names)}
    assert set(config["data"]) <= known
    files = {value for name, value in config["data"].items() if name.endswith("_FILE")}
    assert files == {f"/run/secrets/userpool/{name}" for name in SECRETS}
    assert {"SECRET_KEY", "USERPOOL_ENCRYPTION_KEYS", "DATABASE_URL", "REDIS_URL"}.isdisjoint(config["data"])
    for workload in WORKLOADS:
        for container in containers(workload):
            assert container["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]
            [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "secrets"]
            assert mount["mountPath"] == "/run/secrets/userpool"
        [secret] = [volume["secret"] for volume in pod_of(workload)["spec"]["volumes"] if "secret" in volume]
        # 0444, as YAML 1.1 reads it: readable by the image's user, who owns none of them
        assert secret == {"secretName": "userpool", "defaultMode": 0o444}


def test_commands_are_those_of_the_compose_file() -> None:
    services = compose_file()["services"]
    commands = {found["metadata"]["name"]: containers(found)[0].get("command") for found in WORKLOADS}
    for name in ("migrate", "worker", "beat", "web"):
        assert commands[f"userpool-{name}"] == services[name].get("command")


def test_commands_of_manage_py_exist() -> None:
    found = {command[2] for command in words() if command[:2] == ["python", "manage.py"]}
    found |= set(re.findall(r"manage\.py (\w+)", TEXT))
    assert found == {"migrate", "run_jobs", "createsuperuser", "apply", "check"}
    assert found <= set(get_commands())


def test_probes_ask_what_is_answered() -> None:
    [web] = [container for found in WORKLOADS for container in containers(found) if container["name"] == "web"]
    [port] = web["ports"]
    command = image_command()
    assert str(port["containerPort"]) == command[command.index("--port") + 1]
    probes = {name: web[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",  # one that asked the database would restart every pod when that is away
        "readiness": "/readyz",
    }
    assert {probe["path"] for probe in probes.values()} <= set(HOSTLESS_PATHS)


def test_a_pod_that_ends_has_time_for_what_it_has_begun() -> None:
    [web] = [found for found in WORKLOADS if found["metadata"]["name"] == "userpool-web"]
    wait = int(containers(web)[0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod_of(web)["spec"]["terminationGracePeriodSeconds"] >= wait + 30


def test_there_is_one_beat_and_never_two() -> None:
    [beat] = [found for found in WORKLOADS if found["metadata"]["name"] == "userpool-beat"]
    assert (beat["spec"]["replicas"], beat["spec"]["strategy"]) == (1, {"type": "Recreate"})


def test_who_points_at_somebody_points_at_who_is_there() -> None:
    names = {(found["kind"], found["metadata"]["name"]) for found in OBJECTS}
    for scaler in of_kind("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in names
    [service] = of_kind("Service")
    [budget] = of_kind("PodDisruptionBudget")
    [web] = [found for found in WORKLOADS if found["metadata"]["name"] == "userpool-web"]
    labels = pod_of(web)["metadata"]["labels"]
    assert service["spec"]["selector"] == budget["spec"]["selector"]["matchLabels"] == labels
    [ingress] = of_kind("Ingress")
    for rule in ingress["spec"]["rules"]:
        assert rule["host"] in ingress["spec"]["tls"][0]["hosts"]
        for path in rule["http"]["paths"]:
            assert path["backend"]["service"] == {"name": service["metadata"]["name"], "port": {"name": "http"}}
