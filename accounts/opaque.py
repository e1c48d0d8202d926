"""Random values that are handed out, and the digests that are kept of them.

The values have 256 bits of entropy, so one SHA-256 is as good as a slow hash and costs half a microsecond.
"""

import base64
import hashlib
import secrets
import string

_LOWER = string.ascii_lowercase + string.digits
_MIXED = string.ascii_letters + string.digits


def random_token() -> str:
    """Return 43 URL-safe characters with 256 bits of entropy."""
    return secrets.token_urlsafe(32)


def random_lower(length: int) -> str:
    """Return ``length`` lower-case letters and digits: the shape of Cognito's client ids (26) and secrets (51)."""
    return "".join(secrets.choice(_LOWER) for _ in range(length))


def random_mixed(length: int) -> str:
    """Return ``length`` letters and digits: the shape of the last part of a user pool id (9)."""
    return "".join(secrets.choice(_MIXED) for _ in range(length))


def digest(value: str) -> str:
    """Return the SHA-256 of ``value`` as 43 characters of base64url, the form in which bearer values are stored."""
    hashed = hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode("ascii")
