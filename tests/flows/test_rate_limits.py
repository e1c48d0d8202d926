"""A rate limit that two web processes share, as they are run: granian, and a Redis between them.

W 1.4: shared through Redis, per process without it. With a limit of one request a second, what one process
served is what the other refuses.
"""

import shutil
import time
from contextlib import ExitStack

import pytest

from tests.flows import pools
from tests.flows.server import Deployment, serving
from tests.needs import needs_redis
from tests.services import redis_server

pytestmark = [needs_redis, pytest.mark.xdist_group("jobs")]
ONE_A_SECOND = {"USERPOOL_RATE_LIMIT_ADDRESS": "1"}


def test_what_one_process_served_the_other_refuses(journeys: Deployment) -> None:
    program = shutil.which("redis-server")
    assert program
    with ExitStack() as stack:
        url = stack.enter_context(redis_server(program))
        first, second = (
            stack.enter_context(serving(journeys, pools.POOL_ID, REDIS_URL=url, **ONE_A_SECOND)) for _ in range(2)
        )
        # a busy machine may take more than the second between two requests: then once more. Without a common count
        # the second would never refuse, for it has not served anybody in the window
        for _ in range(10):
            time.sleep(1.1)
            served = first.http.get(f"{first.issuer}/error")
            refused = second.http.get(f"{second.issuer}/error")
            assert served.status_code == 400
            if refused.status_code == 429:
                break
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        time.sleep(1.1)
        assert second.http.get(f"{second.issuer}/error").status_code == 400
        assert second.http.get(f"{second.issuer}/.well-known/jwks.json").status_code == 200
