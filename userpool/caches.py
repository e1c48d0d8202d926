"""Django's caches (CACHES): one for all processes where there is Redis, and one of each process."""

from typing import Any

IN_MEMORY = "django.core.cache.backends.locmem.LocMemCache"


def caches(redis_url: str) -> dict[str, Any]:
    """Return the setting for a deployment whose Redis is at ``redis_url``; empty for one without."""
    shared = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": redis_url,
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},  # one that hangs holds nobody up for longer
    }
    return {
        "default": shared if redis_url else {"BACKEND": IN_MEMORY},
        # what counts although Redis is away
        "process": {"BACKEND": IN_MEMORY, "LOCATION": "process", "OPTIONS": {"MAX_ENTRIES": 20_000}},
    }
