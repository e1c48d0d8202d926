"""Settings of the benchmarked server: those of production, with static files apart and what a comparison varies."""

import os

from userpool.settings import *  # noqa: F403 - production, as it stands

STATIC_ROOT = os.environ["BENCH_STATIC_ROOT"]
if "BENCH_CONN_MAX_AGE" in os.environ:
    DATABASES["default"]["CONN_MAX_AGE"] = int(os.environ["BENCH_CONN_MAX_AGE"])  # noqa: F405 - from production
