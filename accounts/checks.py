"""System checks: what is dangerous or contradictory in a deployment, each with its mend.

What is missing altogether stops the start (userpool/settings.py). ``manage.py check --deploy`` runs all of these.
"""

from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@register(Tags.security, deploy=True)
def check_deployment(**_: Any) -> list[CheckMessage]:
    """Report settings that a production deployment should not have."""
    found: list[CheckMessage] = []
    issuer = urlsplit(settings.USERPOOL_ISSUER_BASE_URL)
    if settings.USERPOOL_DEVELOPMENT:
        found.append(
            Error(
                "USERPOOL_DEVELOPMENT is on: secrets lie beside the database.",
                hint="Leave USERPOOL_DEVELOPMENT out and set SECRET_KEY and USERPOOL_ENCRYPTION_KEYS.",
                id="userpool.E001",
            )
        )
    if issuer.scheme != "https":
        found.append(
            Error(
                "The issuer is not https: passwords and tokens travel in clear.",
                hint="Set USERPOOL_ISSUER_BASE_URL to an https URL.",
                id="userpool.E002",
            )
        )
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        found.append(
            Warning(
                "The database is SQLite: one machine, one writer at a time.",
                hint="Set DATABASE_URL to a PostgreSQL database.",
                id="userpool.W001",
            )
        )
    if not settings.USERPOOL_TRUSTED_PROXIES:
        found.append(
            Warning(
                "No trusted proxies: behind a proxy every browser seems to have the proxy's address. All of them share "
                "one rate limit, and one that guesses passwords locks the others out.",
                hint="Set USERPOOL_TRUSTED_PROXIES to the proxy's addresses; silence this where there is no proxy.",
                id="userpool.W003",
            )
        )
    if settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE:
        found.append(
            Error(
                "USERPOOL_UPSTREAM_ALLOW_PRIVATE is on: who configures an identity provider reaches every address that "
                "this machine reaches, in clear.",
                hint="Leave it out, and name the networks that providers may live in: USERPOOL_UPSTREAM_NETWORKS.",
                id="userpool.E006",
            )
        )
    if not settings.USERPOOL_DEVELOPMENT and not Path(settings.STATIC_ROOT, "staticfiles.json").is_file():
        found.append(
            Error(
                "The static files were not collected: every hosted page and the console answer 500.",
                hint="Run python manage.py collectstatic --noinput before the web processes start, once per release.",
                id="userpool.E005",
            )
        )
    if settings.USERPOOL_METRICS_TOKEN and not settings.PROMETHEUS_MULTIPROC_DIR:
        found.append(
            Warning(
                "Metrics are on, and every process counts for itself: a scrape tells of whichever process it meets.",
                hint="Set PROMETHEUS_MULTIPROC_DIR to a folder of this machine, best in memory; silence this where "
                "there is one process.",
                id="userpool.W010",
            )
        )
    found += _of_mail()
    if not settings.REDIS_URL:
        found.append(
            Warning(
                "No Redis: background tasks run inside the calling process.",
                hint="Set REDIS_URL, and run a Celery worker and beat.",
                id="userpool.W002",
            )
        )
    return found


def _of_mail() -> list[CheckMessage]:
    if not settings.USERPOOL_MAIL_FROM:
        return [
            Warning(
                "No mail: what needs an operator is told in the console and the log, and nowhere else.",
                hint="Set EMAIL_URL and USERPOOL_MAIL_FROM, and try them: python manage.py send_test_mail ADDRESS",
                id="userpool.W021",
            )
        ]
    if not settings.EMAIL_HOST:
        return [
            Warning(
                "EMAIL_URL names no mail server: mail is written down on this machine, and nobody gets it.",
                hint="Set EMAIL_URL to smtp+tls://user:password@host:587 or smtp+ssl://user:password@host:465.",
                id="userpool.W022",
            )
        ]
    if not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL) and settings.EMAIL_HOST not in LOOPBACK:
        return [
            Warning(
                "EMAIL_URL is smtp://: mail travels in clear, and so do the user and the password.",
                hint="Use smtp+tls:// (STARTTLS) or smtp+ssl://; silence this where the server is next door.",
                id="userpool.W023",
            )
        ]
    return []


@register()
def check_contradictions(**_: Any) -> list[CheckMessage]:
    """Report settings that contradict one another."""
    found: list[CheckMessage] = []
    suffix, console = settings.USERPOOL_DOMAIN_SUFFIX, settings.USERPOOL_CONSOLE_HOST
    issuer = urlsplit(settings.USERPOOL_ISSUER_BASE_URL).hostname or ""
    for name, host in (("USERPOOL_CONSOLE_HOST", console), ("The issuer's host", issuer)):
        if suffix and host.endswith(f".{suffix}"):
            found.append(
                Error(
                    f"{name} ({host}) lies under USERPOOL_DOMAIN_SUFFIX ({suffix}): a pool could take its name.",
                    hint="Give the pools a suffix of their own, which neither the issuer nor the console lies under.",
                    id="userpool.E003",
                )
            )
    if ":" in suffix or "/" in suffix:
        found.append(
            Error(
                "USERPOOL_DOMAIN_SUFFIX is not a host name.",
                hint="Give the name only, such as auth.example.com; scheme and port are the issuer's.",
                id="userpool.E004",
            )
        )
    return found


@register()
def check_xml_libraries(**_: Any) -> list[CheckMessage]:
    """Report when lxml and xmlsec cannot be loaded together: each brings a libxml2, and they have to be of one minor.

    Without this, the first sign-in by SAML would find out.
    """
    try:
        for name in ("lxml.etree", "xmlsec"):
            import_module(name)
    except Exception as error:  # noqa: BLE001 - xmlsec raises an error of its own, which is not there to be named
        return [
            Error(
                f"lxml and xmlsec cannot be loaded together, so nobody can sign in by SAML ({error}).",
                hint="Install both as requirements.txt pins them: pip install --require-hashes -r requirements.txt",
                id="userpool.E007",
            )
        ]
    return []
