"""The ears of the journeys are not deaf: what passes a server process is known, and its log is heard at DEBUG.

That nothing secret is in it, every other journey says (tests/flows/conftest.py).
"""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.flows import pools
from tests.flows.person import Person
from tests.flows.server import HEARD, Heard, Server


def test_what_passes_is_known_and_what_is_logged_is_heard(server: Server, person: Person, tmp_path: Path) -> None:
    query = {"response_type": "code", "client_id": pools.PUBLIC.client_id, "redirect_uri": pools.CALLBACK}
    landed = person.open(f"{server.discovery['authorization_endpoint']}?{urlencode(query)}", pools.CALLBACK)
    code = parse_qs(urlsplit(landed).query)["code"][0]
    (heard,) = [heard for heard in HEARD if heard.log.name == f"server-{urlsplit(server.base).port}.log"]
    known = {json.loads(line) for line in heard.secrets.read_text().splitlines()}
    assert {code, pools.PASSWORD} <= known
    assert '"logger": "userpool.events"' in heard.log.read_text()
    heard.check()
    log = tmp_path / "log"
    log.write_text(f"a line\na careless line: {code}\nhalf a li", encoding="utf-8")
    careless = Heard(log, heard.secrets)
    with pytest.raises(AssertionError, match="a careless line"):
        careless.check()
    careless.check()  # what was told is not told again
