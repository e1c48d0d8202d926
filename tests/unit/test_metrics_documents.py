"""The dashboard, the alert rules and docs/metrics.md speak of metrics that there are, in PromQL that can be read.

Prometheus, "Querying basics" and "Alerting rules"; Grafana, "Dashboard JSON model".
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from accounts import metric_state, metrics, saml_keys
from accounts.models import JobRun, UserPool
from accounts.models.saml import KeyUse
from tests.flows.server import ROOT

DOCS = ROOT / "docs"
NAME = re.compile(r"\buserpool_[a-z0-9_]+\b")
SUFFIX = re.compile(r"_(bucket|sum|count)$")
ALERTS = ("UserpoolAway", "UserpoolFailures", "UserpoolSignInsRefused", "UserpoolProviderFails", "UserpoolJobLate")


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text())
    return found


def rules() -> list[dict[str, Any]]:
    found: Any = yaml.safe_load((DOCS / "prometheus-alerts.yml").read_text())
    return [rule for group in found["groups"] for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression with where it stands, with values for the variables of Grafana."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"].replace("$__rate_interval", "5m")
            yield panel["title"], re.sub(r"\$(instance|endpoint)\b", ".*", text)


@pytest.fixture
def exposed(pool: UserPool, settings: Settings) -> dict[str, tuple[str, set[str]]]:
    """What /metrics gives once everything has happened: the name of each metric, its type and its labels."""
    settings.USERPOOL_METRICS_TOKEN = "t" * 32
    settings.REDIS_URL = settings.REDIS_URL or "redis://127.0.0.1:1/0"
    now = timezone.now()
    JobRun.objects.update_or_create(name="purge_expired", defaults={"started_at": now, "finished_at": now})
    saml_keys.active(pool, KeyUse.SIGNING)
    metrics.sign_in_refused("password", "incorrect")
    metrics.token_refused("refresh_token", "invalid_grant")
    metrics.upstream_called("token", "2xx", 0.1)
    metrics.request_served("token", 200, 0.1)
    metrics.logged_event("anything")
    metric_state.forget()
    answer = Client(headers={"host": "10.1.2.3", "authorization": "Bearer " + "t" * 32}).get("/metrics")
    assert answer.status_code == 200
    found: dict[str, tuple[str, set[str]]] = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert family.documentation.endswith("."), name
        found[name] = (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
    metric_state.forget()
    if "userpool_task_queue_length" not in found:  # there is no Redis on this machine
        found["userpool_task_queue_length"] = ("gauge", set())
    return found


@pytest.mark.django_db
def test_every_metric_that_is_asked_for_is_there(exposed: dict[str, tuple[str, set[str]]]) -> None:
    asked = {(where, name) for where, text in expressions() for name in NAME.findall(text)}
    missing = {(where, name) for where, name in asked if name not in exposed and SUFFIX.sub("", name) not in exposed}
    assert missing == set()
    assert len({name for _, name in asked}) > 20
    for variable in dashboard()["templating"]["list"][1:]:
        assert set(NAME.findall(variable["definition"])) <= exposed.keys()


@pytest.mark.django_db
def test_every_metric_is_on_the_dashboard(exposed: dict[str, tuple[str, set[str]]]) -> None:
    shown = json.dumps(dashboard()["panels"])
    assert [name for name in exposed if name not in shown] == []


@pytest.mark.django_db
def test_every_label_that_is_asked_for_is_one_of_the_metrics(exposed: dict[str, tuple[str, set[str]]]) -> None:
    labels = {label for _, found in exposed.values() for label in found} | {"le", "instance"}
    for where, text in expressions():
        for words in re.findall(r"\bby \(([^)]*)\)", text):
            assert {word.strip() for word in words.split(",")} <= labels, (where, words)
        for name in re.findall(r'(\w+)(?:=~|!=|=)"', text):
            assert name in labels | {"job"}, (where, name)


@pytest.mark.django_db
def test_no_label_has_a_name_that_prometheus_gives_to_what_it_scrapes(
    exposed: dict[str, tuple[str, set[str]]],
) -> None:
    """It would call ours exported_job (scrape_config, honor_labels)."""
    assert not [name for name, (_, labels) in exposed.items() if labels & {"job", "instance"}]


@pytest.mark.django_db
def test_what_is_documented_is_what_there_is(exposed: dict[str, tuple[str, set[str]]]) -> None:
    text = (DOCS / "metrics.md").read_text()
    rows = re.findall(r"^\| `(userpool_\w+)` \| ([^|]*)\|", text, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert len(rows) == len(documented)
    assert documented == {name: labels for name, (_, labels) in exposed.items()}
    methods = re.search(r"sign-ins: (.*?) \|", text)
    assert methods is not None
    assert set(re.findall(r"`(\w+)`", methods[1])) == set(metrics.METHODS.values())


@pytest.mark.parametrize(("where", "text"), list(expressions()))
def test_every_expression_is_promql(where: str, text: str) -> None:
    assert promql_parser.parse(text) is not None


def test_the_judge_of_promql_refuses_what_is_none() -> None:
    for text in ("sum by (", "rate(x)", "1 or 2", "x{a=}"):
        with pytest.raises(ValueError, match=r"."):
            promql_parser.parse(text)


def test_a_rate_is_taken_of_counters_and_a_quantile_of_histograms() -> None:
    """Of a gauge it would be nonsense (Prometheus, "Query functions")."""
    for where, text in expressions():
        for name in re.findall(r"rate\((userpool_\w+)", text):
            assert name.endswith(("_total", "_bucket", "_sum", "_count")), (where, name)


def test_there_are_six_alerts_and_each_says_what_to_look_at() -> None:
    found = {rule["alert"]: rule for rule in rules()}
    assert tuple(found) == (*ALERTS, "UserpoolDatesNear")
    for rule in found.values():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    found = dashboard()
    assert found["schemaVersion"] >= 39
    assert found["id"] is None  # an import makes one
    variables = {variable["name"]: variable for variable in found["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    ids, taken = set(), set()
    for panel in found["panels"]:
        assert panel["id"] not in ids
        ids.add(panel["id"])
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0
