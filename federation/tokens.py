"""Sign and verify the tokens of a pool (RFC 7515 compact form, RFC 7519).

The algorithm, the issuer and the key come from the pool, never from a token: a header is read for its ``kid`` and for
nothing else. Signing is the whole cost of a token, so the header is encoded once per key.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, NewType

from accounts import clock, signing
from accounts.models import AppClient, RefreshToken, UserPool
from accounts.models.grants import Grant, new_id
from federation import claims
from federation.dialects import rules

VerifiedClaims = NewType("VerifiedClaims", dict[str, Any])
"""Claims whose signature, issuer and token_use were checked. Only ``verify`` makes one."""

MAX_TOKEN = 16_384


class InvalidJwt(Exception):
    """Not a token of this pool, or one that is over."""


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What the token endpoint answers with. ``expires_in`` is in seconds, of the access token."""

    access_token: str = field(repr=False)
    expires_in: int
    id_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    scope: str = ""

    def as_response(self) -> dict[str, Any]:
        """The members in Cognito's order (W 4.3); absent ones are left out."""
        found = {
            "id_token": self.id_token,
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "expires_in": self.expires_in,
            "token_type": "Bearer",
            "scope": self.scope,
        }
        return {name: value for name, value in found.items() if value}


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(part: str) -> bytes:
    """Return the bytes of an unpadded base64url string; raise InvalidJwt for anything else."""
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise InvalidJwt("not base64url") from error
    # the library lets padding, the standard alphabet and stray bits pass: one token would have many spellings
    if encode(data) != part:
        raise InvalidJwt("not base64url")
    return data


@lru_cache(maxsize=4096)
def _header(kid: str, alg: str, typ: str) -> str:
    """Cognito's header is kid and alg, nothing else (W 2.2)."""
    fields = {"kid": kid, "alg": alg} | ({"typ": typ} if typ else {})
    return encode(json.dumps(fields, separators=(",", ":")).encode())


def sign(pool: UserPool, token_use: str, payload: dict[str, Any], typ: str = "") -> str:
    """Return ``payload`` signed with the active key of ``token_use``."""
    key = signing.active_key(pool, token_use)
    body = encode(json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode())
    signed = f"{_header(key.kid, key.alg, typ)}.{body}"
    return f"{signed}.{encode(key.sign(signed.encode('ascii')))}"


def at_hash(access_token: str) -> str:
    """The left half of the token's SHA-256 (OpenID Connect Core 3.1.3.6; RS256 and ES256 alike)."""
    return encode(hashlib.sha256(access_token.encode("ascii")).digest()[:16])


def mint(pool: UserPool, client: AppClient, grant: Grant, refresh_token: str = "") -> TokenSet:
    """Sign the access token of ``grant``, and its ID token if ``openid`` was granted."""
    dialect = rules(client.dialect)
    now = int(clock.now().timestamp())
    access = claims.access_token_claims(pool, client, grant)
    access_token = sign(
        pool,
        "access",
        access | _common(pool, client, grant, now, client.access_token_validity),
        "at+jwt" if dialect.rfc9068 else "",
    )
    id_token = ""
    if "openid" in grant.scopes:
        identity = claims.id_token_claims(pool, client, grant, at_hash(access_token))
        id_token = sign(pool, "id", identity | _common(pool, client, grant, now, client.id_token_validity))
    return TokenSet(
        access_token=access_token,
        expires_in=int(client.access_token_validity.total_seconds()),
        id_token=id_token,
        refresh_token=refresh_token,
        scope=grant.scope if dialect.names_granted_scope else "",
    )


def mint_machine(pool: UserPool, client: AppClient, scope: str) -> TokenSet:
    """Sign the access token of a client_credentials grant."""
    dialect = rules(client.dialect)
    now = int(clock.now().timestamp())
    seconds = int(client.access_token_validity.total_seconds())
    payload = claims.machine_token_claims(client, scope, now) | {
        "iss": pool.issuer,
        "exp": now + seconds,
        "iat": now,
        "jti": new_id(),
    }
    token = sign(pool, "access", payload, "at+jwt" if dialect.rfc9068 else "")
    return TokenSet(token, seconds, scope=scope if dialect.names_granted_scope else "")


def _common(pool: UserPool, client: AppClient, grant: Grant, now: int, validity: timedelta) -> dict[str, Any]:
    found: dict[str, Any] = {"iss": pool.issuer, "exp": now + int(validity.total_seconds()), "iat": now}
    if client.enable_token_revocation or client.refresh_token_rotation:
        # without revocation there is nothing to find again (token-revocation page)
        found |= {"origin_jti": grant.origin_jti, "jti": new_id()}
    elif rules(client.dialect).rfc9068:
        found["jti"] = new_id()  # required there (RFC 9068 2.2)
    return found


def verify(pool: UserPool, token: str, token_use: str, allow_expired: bool = False) -> VerifiedClaims:
    """Return the claims of a token that ``pool`` signed for ``token_use``; raise InvalidJwt.

    ``allow_expired`` is for id_token_hint, which names a session of the past (RP-Initiated Logout 2).
    """
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    if len(token) > MAX_TOKEN or not body or "." in body:
        raise InvalidJwt("not a JWS in compact form")
    kid = _json_object(head).get("kid")
    key = signing.verification_key(pool, kid) if isinstance(kid, str) else None
    if key is None or key.token_use != token_use:
        raise InvalidJwt("no such key")
    if not key.verifies(signed.encode("utf-8"), decode(signature)):
        raise InvalidJwt("the signature does not fit")
    found = _json_object(body)
    if found.get("iss") != pool.issuer or found.get("token_use") != token_use:
        raise InvalidJwt("not this issuer's, or for another use")
    expires = found.get("exp")
    if not isinstance(expires, int) or (not allow_expired and clock.now().timestamp() >= expires):
        raise InvalidJwt("expired")
    return VerifiedClaims(found)


def _json_object(part: str) -> dict[str, Any]:
    try:
        found = json.loads(decode(part))
    except (ValueError, RecursionError) as error:
        raise InvalidJwt("not JSON") from error
    if not isinstance(found, dict):
        raise InvalidJwt("not a JSON object")
    return found


def open_grant(client: AppClient, grant: Grant, with_token: bool = True) -> str:
    """Store the grant and return its refresh token."""
    return RefreshToken.open(grant, client, with_token)


def looks_signed(token: str) -> bool:
    """Whether ``token`` has the shape of an access or ID token: a JWS whose header names a key."""
    head, _, rest = token.partition(".")
    if rest.count(".") != 1 or len(token) > MAX_TOKEN:
        return False
    try:
        return "kid" in _json_object(head)
    except InvalidJwt:
        return False
