"""The ID token of a provider, verified: OpenID Connect Core 1.0 section 3.1.3.7, every step of it.

The algorithm is one of those that the provider's configuration allows, never whatever the token says; the key is one of
the provider's. Only ``verified`` makes VerifiedIdToken, and nothing else is read from a token.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NewType

from jwcrypto import jwk, jws
from jwcrypto.common import JWException

from accounts import clock
from federation.errors import UpstreamFailed

VerifiedIdToken = NewType("VerifiedIdToken", dict[str, Any])

MAX_TOKEN = 64 * 1024
SKEW = 60  # seconds that clocks may differ
LATE = 300  # seconds that an ID token may be older than the sign-in that it is for


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say to be for this sign-in."""

    issuer: Callable[[Any], bool]
    client_id: str
    algorithms: tuple[str, ...]
    nonce: str
    begun: datetime
    access_token: str
    max_age: int | None = None


def refuse(what: str) -> UpstreamFailed:
    """Return the refusal of an ID token for its ``what``; the form of the words is Cognito's *(seen)*."""
    return UpstreamFailed(f"id_token_{what}", f"Bad id_token {what}")


def verified(token: Any, expected: Expected, keys: Callable[[str, str | None], list[jwk.JWK]]) -> VerifiedIdToken:
    """Return the claims of ``token``; raise UpstreamFailed. ``keys`` gives the provider's keys for alg and kid."""
    if not isinstance(token, str) or len(token) > MAX_TOKEN or token.count(".") != 2 or not token.isascii():
        raise refuse("format")
    header = _header(token)
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str) or alg not in expected.algorithms:
        raise refuse("algorithm")
    if kid is not None and not isinstance(kid, str):
        raise refuse("key")
    if "crit" in header or "b64" in header:
        raise refuse("format")
    claims = _signed_claims(token, alg, keys(alg, kid))
    _check(claims, expected, alg)
    return VerifiedIdToken(claims)


def _header(token: str) -> dict[str, Any]:
    part = token.partition(".")[0]
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError) as error:
        raise refuse("format") from error
    if not isinstance(found, dict):
        raise refuse("format")
    return found


def _signed_claims(token: str, alg: str, keys: list[jwk.JWK]) -> dict[str, Any]:
    for key in keys:
        signed = jws.JWS()
        signed.allowed_algs = [alg]
        try:
            signed.deserialize(token)
            signed.verify(key, alg)
        except (JWException, ValueError, TypeError):
            continue
        try:
            claims = json.loads(signed.payload)
        except (ValueError, RecursionError) as error:
            raise refuse("format") from error
        if not isinstance(claims, dict):
            raise refuse("format")
        return claims
    raise refuse("signature")


def _check(claims: dict[str, Any], expected: Expected, alg: str) -> None:
    if not expected.issuer(claims.get("iss")):
        raise refuse("issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences:
        raise refuse("audience")
    # several audiences need a party that the token was issued to, and that is us (steps 4 and 5)
    if claims.get("azp", None if len(audiences) > 1 else expected.client_id) != expected.client_id:
        raise refuse("azp")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject or len(subject) > 255:  # section 2: at most 255
        raise refuse("subject")
    now = clock.now().timestamp()
    issued, expires = _moment(claims, "iat"), _moment(claims, "exp")
    if now >= expires + SKEW:
        raise refuse("expiry")
    if issued > now + SKEW or issued < expected.begun.timestamp() - LATE:
        raise refuse("issue_time")
    if "nbf" in claims and _moment(claims, "nbf") > now + SKEW:
        raise refuse("issue_time")
    if not hmac.compare_digest(str(claims.get("nonce")).encode("utf-8", "replace"), expected.nonce.encode()):
        raise refuse("nonce")
    if "at_hash" in claims and claims["at_hash"] != at_hash(expected.access_token, alg):
        raise refuse("at_hash")
    fresh_enough = expected.max_age is None or "auth_time" not in claims
    if not fresh_enough and _moment(claims, "auth_time") + (expected.max_age or 0) + SKEW < now:
        raise refuse("auth_time")


def _moment(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        raise refuse("expiry" if name == "exp" else "auth_time" if name == "auth_time" else "issue_time")
    return float(value)


def at_hash(access_token: str, alg: str) -> str:
    """Return the left half of the hash that goes with ``alg`` (Core 3.1.3.6; Ed25519 goes with SHA-512)."""
    name = "sha512" if alg.startswith("Ed") else f"sha{alg[2:]}"
    digest = hashlib.new(name, access_token.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
