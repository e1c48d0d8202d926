"""The keys that a provider signs with (RFC 7517), and which of them may verify a given token.

A key is taken for what the set says it is, and only its public part is read. A token whose key id is not in the copy at
hand is worth one look at the present set, not more often than COOLDOWN allows: keys rotate, and made-up key ids must
not make us call.
"""

import json
from datetime import timedelta
from functools import lru_cache
from typing import Any

from jwcrypto import jwk
from jwcrypto.common import JWException

from accounts.models import IdentityProvider
from federation.errors import UpstreamFailed
from federation.upstream import documents
from federation.upstream.fetching import BadDocument, FetchFailed
from federation.upstream.http import Exchange

COOLDOWN = timedelta(seconds=30)
MAX_KEYS = 100
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}


def verification_keys(
    provider: IdentityProvider, jwks_uri: str, alg: str, kid: str | None, exchange: Exchange
) -> list[jwk.JWK]:
    """Return the keys that may have signed a token with this header; raise UpstreamFailed.

    Without a ``kid`` there must be one key only that fits (OpenID Connect Core 10.1).
    """
    found = fitting(_set(provider, jwks_uri, exchange), alg, kid)
    if not found:
        found = fitting(_set(provider, jwks_uri, exchange, newer_than=COOLDOWN), alg, kid)
    if not found or (kid is None and len(found) > 1):
        raise UpstreamFailed("id_token_key", "Bad id_token key")
    return found


def _set(provider: IdentityProvider, jwks_uri: str, exchange: Exchange, newer_than: timedelta | None = None) -> str:
    try:
        found = documents.document(provider, documents.JWKS, jwks_uri, exchange, judge=check_set, newer_than=newer_than)
        return found.body
    except FetchFailed as failure:
        words = "Timeout in calling jwks uri" if failure.cause == "timeout" else "Error in calling jwks uri"
        raise UpstreamFailed(f"jwks_{failure.cause}", words) from failure


def check_set(body: str) -> None:
    """Raise BadDocument for what is no JWK Set (RFC 7517 5)."""
    if not isinstance(json.loads(body).get("keys"), list):
        raise BadDocument("It has no list of keys.")


@lru_cache(maxsize=128)  # an entry holds on to its set, of up to half a megabyte
def fitting(body: str, alg: str, kid: str | None) -> list[jwk.JWK]:
    """Return the keys of a JWKS that are for ``alg`` and, if given, have this ``kid``."""
    keys = json.loads(body).get("keys")
    entries = [entry for entry in keys if isinstance(entry, dict)][:MAX_KEYS] if isinstance(keys, list) else []
    return [key for entry in entries if _fits(entry, alg, kid) and (key := _public(entry)) is not None]


def _fits(entry: dict[str, Any], alg: str, kid: str | None) -> bool:
    kind = "EC" if alg.startswith("ES") else "OKP" if alg.startswith("Ed") else "RSA"
    if entry.get("kty") != kind or entry.get("alg", alg) != alg or entry.get("use", "sig") != "sig":
        return False
    if kind != "RSA" and entry.get("crv") != CURVES[alg]:
        return False
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return False
    return kid is None or entry.get("kid") == kid


def _public(entry: dict[str, Any]) -> jwk.JWK | None:
    members = {name: entry.get(name) for name in PUBLIC[entry["kty"]]}
    try:
        key = jwk.JWK(kty=entry["kty"], **members)
        public = key.get_op_key("verify")  # jwcrypto looks at a point or a length only now
        size = public.key_size if entry["kty"] == "RSA" else MIN_RSA_BITS
    except (JWException, ValueError, TypeError):
        return None
    return key if MIN_RSA_BITS <= size <= MAX_RSA_BITS else None
