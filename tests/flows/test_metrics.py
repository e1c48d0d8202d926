"""``/metrics`` of real processes: whichever is scraped tells of all, and one that is killed takes no count along.

Prometheus' Python library, "Multiprocess Mode"; the server is granian, which tells nobody of a worker's end.
"""

import os
import signal
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.flows import pools
from tests.flows.server import Deployment, Server, serving

TOKEN = "a token of the metrics, long enough"


@pytest.fixture
def shared(journeys: Deployment, tmp_path: Path) -> dict[str, str]:
    """The settings of processes that count in one folder."""
    return {"USERPOOL_METRICS_TOKEN": TOKEN, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}


def scrape(server: Server) -> dict[tuple[str, ...], float]:
    """Scrape by address, as Prometheus does; return the samples by name and values of the labels."""
    url = server.base.replace("localhost", "127.0.0.1") + "/metrics"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {TOKEN}", "Host": "10.1.2.3:8000"}, timeout=30)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def ask(server: Server, times: int) -> None:
    for _ in range(times):
        answer = httpx.get(f"{server.issuer}/.well-known/jwks.json", timeout=30)
        assert answer.status_code == 200


JWKS = ("userpool_http_requests_total", "jwks", "2xx")
TIMED = ("userpool_http_request_duration_seconds_count", "jwks")
REFUSED = ("userpool_tokens_refused_total", "unsupported_grant_type", "other")
SLOTS = ["counter_0.db", "counter_1.db", "histogram_0.db", "histogram_1.db", "slot_0.lock", "slot_1.lock"]


def test_whichever_is_scraped_tells_of_all_and_a_worker_that_is_killed_takes_no_count_along(
    journeys: Deployment, shared: dict[str, str]
) -> None:
    with serving(journeys, pools.POOL_ID, **shared) as one, serving(journeys, pools.POOL_ID, **shared) as two:
        ask(one, 3)
        ask(two, 4)
        evil = {"grant_type": 'evil"}', "client_id": "evil"}
        for server in (one, two):
            assert httpx.post(f"{server.issuer}/oauth2/token", data=evil).status_code == 400
            refused = httpx.get(f"{server.base}/metrics", headers={"Authorization": "Bearer \u00e9".encode()})
            assert refused.status_code == 401
        for server in (one, two):
            found = scrape(server)
            assert (found[JWKS], found[TIMED], found[REFUSED]) == (7, 7, 2)
            assert found["userpool_database_up",] == 1
            assert not [labels for labels in found if any("evil" in label for label in labels)]

        (worker,) = workers_of(one)
        os.kill(worker, signal.SIGKILL)
        assert scrape(two)[JWKS] == 7
        deadline = time.monotonic() + 60
        while worker in workers_of(one) or not answers(one):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        ask(one, 5)
        assert scrape(one)[JWKS] == scrape(two)[JWKS] == 12
        assert sorted(path.name for path in Path(shared["PROMETHEUS_MULTIPROC_DIR"]).iterdir()) == SLOTS


def workers_of(server: Server) -> list[int]:
    """Return the worker processes of ``server``: children of the one that has its port in its command line."""
    port, parents = server.base.rpartition(":")[2].encode(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):  # it has just ended
            continue
        if b"granian" in words and port in words:
            parents[int(folder.name)] = parent
    return [pid for pid, parent in parents.items() if parent in parents]


def answers(server: Server) -> bool:
    try:
        return httpx.get(f"{server.base}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
