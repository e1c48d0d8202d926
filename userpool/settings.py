"""The Django settings: what differs per deployment. What differs per pool or per client is a row, never a setting."""

import base64
import binascii
import json
import secrets
import tomllib
from ipaddress import ip_network
from pathlib import Path

from userpool.caches import caches
from userpool.console_theme import UNFOLD  # noqa: F401 - a setting
from userpool.env import Environment, split
from userpool.log_settings import logging_at
from userpool.mail_url import read as read_mail
from userpool.schedule import SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")

env = Environment()

# --- development: one machine, nothing to configure; its secrets are made once and kept beside its database
USERPOOL_DEVELOPMENT = env.flag("USERPOOL_DEVELOPMENT")
USERPOOL_DATA_DIR = Path(env.text("USERPOOL_DATA_DIR", str(BASE_DIR / "var")))


def development_secrets() -> dict[str, str]:
    path = USERPOOL_DATA_DIR / "development-secrets.json"
    if not path.exists():
        USERPOOL_DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        path.touch(mode=0o600)
        path.write_text(json.dumps({"SECRET_KEY": secrets.token_urlsafe(48), "USERPOOL_ENCRYPTION_KEYS": key}))
    return json.loads(path.read_text())


fallback = development_secrets() if USERPOOL_DEVELOPMENT else {}

# --- secrets
SECRET_KEY = env.text("SECRET_KEY", fallback.get("SECRET_KEY", ""))
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
env.require("SECRET_KEY", SECRET_KEY, "missing. Set it to at least 50 random characters.")

USERPOOL_ENCRYPTION_KEYS: list[bytes] = []
words = env.words("USERPOOL_ENCRYPTION_KEYS") or [w for w in [fallback.get("USERPOOL_ENCRYPTION_KEYS")] if w]
for word in words:
    try:
        key = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        key = b""
    if len(key) == 32:
        USERPOOL_ENCRYPTION_KEYS.append(key)
    else:
        env.problems.append("USERPOOL_ENCRYPTION_KEYS: every key must be 32 bytes in urlsafe base64.")
env.require(
    "USERPOOL_ENCRYPTION_KEYS",
    words,
    "missing. Set it to 32 random bytes in urlsafe base64; several, comma separated, newest first.",
)

# --- hosts
USERPOOL_ISSUER_BASE_URL = env.text(
    "USERPOOL_ISSUER_BASE_URL", "http://localhost:8000" if USERPOOL_DEVELOPMENT else ""
).rstrip("/")
issuer = split(USERPOOL_ISSUER_BASE_URL)
if not issuer.hostname or issuer.scheme not in ("http", "https") or issuer.query or issuer.fragment:
    env.problems.append("USERPOOL_ISSUER_BASE_URL: give an absolute URL such as https://id.example.com.")
elif issuer.path:
    env.problems.append("USERPOOL_ISSUER_BASE_URL: leave the path out; pools are mounted at /<pool id>.")
elif issuer.scheme == "http" and not (issuer.hostname in LOOPBACK_HOSTS or issuer.hostname.endswith(".localhost")):
    env.problems.append(
        "USERPOOL_ISSUER_BASE_URL: tokens and passwords must not travel in clear. Use https; "
        "http is allowed on loopback hosts only."
    )
USERPOOL_DOMAIN_SUFFIX = env.text("USERPOOL_DOMAIN_SUFFIX").lower().strip(".")
USERPOOL_CONSOLE_HOST = env.text("USERPOOL_CONSOLE_HOST").lower() or (issuer.hostname or "")
USERPOOL_TRUSTED_PROXIES = env.words("USERPOOL_TRUSTED_PROXIES")
for word in USERPOOL_TRUSTED_PROXIES:
    try:
        trusts_everybody = ip_network(word, strict=False).prefixlen == 0
    except ValueError:
        env.problems.append(f"USERPOOL_TRUSTED_PROXIES: {word} is not an address or a network such as 10.0.0.0/8.")
    else:
        if trusts_everybody:
            env.problems.append(
                f"USERPOOL_TRUSTED_PROXIES: {word} believes everybody's X-Forwarded-For, and no lock-out by address "
                "would hold. Name the proxy's own addresses."
            )

# --- calls to identity providers
# what "test configuration" in the console runs; accounts knows no protocol
USERPOOL_PROVIDER_EXAMINATION = "federation.upstream.examination.examine"
# what reads a metadata document of SAML when one is configured or shown
USERPOOL_SAML_METADATA = "federation.upstream.saml.summary.describe"
USERPOOL_UPSTREAM_ALLOW_PRIVATE = env.flag("USERPOOL_UPSTREAM_ALLOW_PRIVATE")
USERPOOL_UPSTREAM_NETWORKS = env.words("USERPOOL_UPSTREAM_NETWORKS")
for word in USERPOOL_UPSTREAM_NETWORKS:
    try:
        ip_network(word, strict=False)
    except ValueError:
        env.problems.append(f"USERPOOL_UPSTREAM_NETWORKS: {word} is not an address or a network such as 10.0.0.0/8.")
USERPOOL_UPSTREAM_CONCURRENCY = env.number("USERPOOL_UPSTREAM_CONCURRENCY", 3)
env.require(
    "USERPOOL_UPSTREAM_CONCURRENCY", USERPOOL_UPSTREAM_CONCURRENCY, "must be at least 1, or nobody could be called."
)

# --- requests a second, 0 for no limit: Cognito's quotas (W 1.4)
USERPOOL_RATE_LIMIT_ADDRESS = env.number("USERPOOL_RATE_LIMIT_ADDRESS", 300)
USERPOOL_RATE_LIMIT_CLIENT = env.number("USERPOOL_RATE_LIMIT_CLIENT", 300)
USERPOOL_RATE_LIMIT_POOL = env.number("USERPOOL_RATE_LIMIT_POOL", 500)

# UserPoolMiddleware is the gate: a host that is neither a pool's, nor the issuer's, nor the console's gets a 404.
ALLOWED_HOSTS = ["*"]
HTTPS = issuer.scheme == "https"

# --- metrics
VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
USERPOOL_METRICS_TOKEN = env.text("USERPOOL_METRICS_TOKEN")
if USERPOOL_METRICS_TOKEN and len(USERPOOL_METRICS_TOKEN) < 20:
    env.problems.append("USERPOOL_METRICS_TOKEN: too short for a secret. Set it to at least 32 random characters.")
# the library's own variable: it looks there itself (accounts/metric_files.py)
PROMETHEUS_MULTIPROC_DIR = env.text("PROMETHEUS_MULTIPROC_DIR")

# --- applications
DEBUG = False
ROOT_URLCONF = "userpool.urls"
WSGI_APPLICATION = "userpool.wsgi.application"
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin.apps.SimpleAdminConfig",  # no autodiscovery: the console registers what it shows
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "oauth2_provider",
    "accounts",
    "federation",
]
# The first four serve every request. The rest serve the console only: they are Django's own, taught to step aside
# on a pool's hosts and paths, because the token path pays for no session and a pool's page has cookies of its own.
MIDDLEWARE = [
    "accounts.middleware.RequestMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "accounts.middleware.UserPoolMiddleware",
    "federation.limiting.RateLimitMiddleware",
    "accounts.middleware.ConsoleSessionMiddleware",
    "accounts.middleware.ConsoleCsrfMiddleware",
    "accounts.middleware.ConsoleAuthenticationMiddleware",
    "accounts.middleware.ConsoleMessageMiddleware",
    "accounts.middleware.ConsoleFrameMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
APPEND_SLASH = False

# --- data
health_checks = env.flag("DATABASE_HEALTH_CHECKS")
DATABASE_PREPARED_STATEMENTS = env.flag("DATABASE_PREPARED_STATEMENTS", default=True)
DATABASE_URL = env.text("DATABASE_URL") or f"sqlite:///{USERPOOL_DATA_DIR / 'userpool.sqlite3'}"
DATABASES = {"default": env.database("DATABASE_URL", DATABASE_URL)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    USERPOOL_DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE takes the write lock at BEGIN: a transaction that reads and then writes cannot be overtaken
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        "timeout": 20,
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = health_checks
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = not env.flag("DATABASE_SERVER_SIDE_CURSORS", default=True)
    # for the statements of the token path (accounts/statements.py); the ORM binds on the client and prepares nothing
    DATABASES["default"].setdefault("OPTIONS", {})["prepare_threshold"] = 1 if DATABASE_PREPARED_STATEMENTS else None
USERPOOL_CLOCK_SECONDS = 60  # how often a process compares its clock with the database's
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"

REDIS_URL = env.text("REDIS_URL")
if REDIS_URL and split(REDIS_URL).scheme not in ("redis", "rediss", "unix"):
    env.problems.append("REDIS_URL: give redis://host:6379/0, or rediss:// for TLS.")
CACHES = caches(REDIS_URL)
CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ALWAYS_EAGER = not REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = SCHEDULE
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # one log, in one form

# --- mail
mail = read_mail(env, USERPOOL_DATA_DIR if USERPOOL_DEVELOPMENT else None)
USERPOOL_MAIL_FROM, USERPOOL_ALERT_EMAILS, EMAIL_TIMEOUT = mail.sender, mail.alerts, mail.timeout
EMAIL_BACKEND, EMAIL_HOST, EMAIL_PORT = mail.server.backend, mail.server.host, mail.server.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = mail.server.user, mail.server.password
EMAIL_USE_TLS, EMAIL_USE_SSL, EMAIL_FILE_PATH = mail.server.starttls, mail.server.tls, mail.server.folder

# --- people: operators are Django's users; the users of pools are accounts.PoolUser
AUTH_USER_MODEL = "accounts.Operator"
PASSWORD_HASHERS = [
    "accounts.passwords.Argon2idHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    # read only: hashes that came with imported users, replaced by argon2id at their next sign-in
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"

# --- the engine
OAUTH2_PROVIDER_APPLICATION_MODEL = "accounts.AppClient"
OAUTH2_PROVIDER = {
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
}
# The toolkit judges its own views and settings, none of which is mounted or read here.
SILENCED_SYSTEM_CHECKS = [f"oauth2_provider.W00{number}" for number in range(1, 10)]
# RequestMiddleware sends the security headers; frames and CSRF are guarded by subclasses, which the checks do not see.
SILENCED_SYSTEM_CHECKS += [f"security.W00{number}" for number in range(1, 4)]

# --- browsers
SESSION_COOKIE_NAME = "userpool_console"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_PATH = "/admin/"
CSRF_COOKIE_NAME = "XSRF-TOKEN"  # the name that scripts written for Cognito's sign-in page read
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_AGE = None
CSRF_FAILURE_VIEW = "federation.hosted.error.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 512 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

# --- static files
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static_root"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = USERPOOL_DEVELOPMENT
WHITENOISE_AUTOREFRESH = USERPOOL_DEVELOPMENT
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if USERPOOL_DEVELOPMENT
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOGGING = logging_at(env.choice("USERPOOL_LOG_LEVEL", "INFO", LOG_LEVELS))

LANGUAGE_CODE = "en"
USE_I18N = True

USERPOOL_SECRET_FILES = env.files  # for manage.py doctor, which looks at who may read them
env.verify()
