"""What is logged (LOGGING): one JSON object a line, on stderr, and nothing of libraries whose lines carry secrets."""

from typing import Any


def logging_at(level: str) -> dict[str, Any]:
    """Return the logging configuration that lets ``level`` and above through."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "accounts.logs.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # their debug lines carry codes, tokens and secrets
            "oauthlib": {"level": "WARNING"},
            "oauth2_provider": {"level": "WARNING"},
            "django.db.backends": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            "xmlschema": {"level": "WARNING"},
            # anybody may send a form that is too large; the answer says so, and a traceback would say no more
            "django.security.RequestDataTooBig": {"level": "CRITICAL"},
            "django.security.TooManyFieldsSent": {"level": "CRITICAL"},
            # these print whole assertions, in errors as well; what is refused is recorded by its reason
            "saml2": {"level": "CRITICAL"},
            "djangosaml2": {"level": "CRITICAL"},
            # without handlers of their own
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
        },
    }
