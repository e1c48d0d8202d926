"""Settings of the test run: those of production, with test hosts and generated keys.

DATABASE_URL and REDIS_URL choose PostgreSQL and Redis; without them the suite runs on SQLite and in process.
"""

import base64
import os

os.environ.setdefault("SECRET_KEY", "tests only, " + "k" * 50)
os.environ.setdefault(
    "USERPOOL_ENCRYPTION_KEYS", base64.urlsafe_b64encode(b"tests only encryption key 32byte").decode()
)
os.environ.setdefault("USERPOOL_ISSUER_BASE_URL", "https://id.example.test")
os.environ.setdefault("USERPOOL_CONSOLE_HOST", "console.example.test")
os.environ.setdefault("USERPOOL_DOMAIN_SUFFIX", "auth.example.test")
os.environ.setdefault("USERPOOL_LOG_LEVEL", "WARNING")
# on, so that every test goes by the limits, and out of reach
os.environ.setdefault("USERPOOL_RATE_LIMIT_ADDRESS", "1000000000")
os.environ.setdefault("USERPOOL_RATE_LIMIT_CLIENT", "1000000000")
os.environ.setdefault("USERPOOL_RATE_LIMIT_POOL", "1000000000")
if os.environ.get("REDIS_URL") and (worker := os.environ.get("PYTEST_XDIST_WORKER", "")):
    # a database for each test process: clearing the cache of one must not empty another's
    os.environ["REDIS_URL"] = f"{os.environ['REDIS_URL'].rpartition('/')[0]}/{int(worker.removeprefix('gw')) + 1}"

from userpool.settings import *  # noqa: F403 - the environment must be set first

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
CELERY_TASK_EAGER_PROPAGATES = True
USERPOOL_CLOCK_SECONDS = 0  # statements are counted; tests/unit/test_clock.py compares
