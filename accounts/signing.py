"""Signing keys: which one signs now, which are published, and how they follow one another.

Time decides. A key signs from ``not_before`` to ``not_after`` and is published from its making until ``expires_at``,
when the last token it signed is dead. A successor is published LEAD before it signs, so that verifiers have it in
their caches; a job that makes one late, twice or on two workers changes nothing.

Two keys a pool, one for ID tokens and one for access tokens, as Cognito (federation-endpoints page).
"""

import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import IntegrityError, transaction
from jwcrypto import jwa, jwk

from accounts import clock, directory, events
from accounts.models import SigningKey, UserPool
from accounts.models.events import EventType
from accounts.models.keys import TokenUse

LEAD = timedelta(days=1)
# the upper bound of AccessTokenValidity and IdTokenValidity: what clients have today may be raised tomorrow
LONGEST_TOKEN = timedelta(days=1)
KEEP_PRIVATE = timedelta(hours=1)
CLOCKS_DIFFER = timedelta(minutes=10)
"""How far the clocks of two machines may be apart for both to sign."""
PARAMETERS: dict[str, dict[str, Any]] = {
    "RS256": {"kty": "RSA", "size": 2048},
    "ES256": {"kty": "EC", "crv": "P-256"},
}


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key as tokens need it: its id, its algorithm, and the object that signs and verifies."""

    kid: str
    alg: str
    token_use: str
    jwk: jwk.JWK

    def sign(self, data: bytes) -> bytes:
        """Return the JWS signature of ``data`` (RFC 7518 3.3 and 3.4)."""
        return bytes(jwa.JWA.signing_alg(self.alg).sign(self.jwk, data))

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's over ``data``, by this key's algorithm whatever the token says."""
        try:
            jwa.JWA.signing_alg(self.alg).verify(self.jwk, data, signature)
        except Exception:  # noqa: BLE001 - the library lets its back end's exceptions through; each means no
            return False
        return True


def generate(alg: str) -> jwk.JWK:
    """Return a new key pair for ``alg``. An RSA pair takes some 50 ms: never call it while a client waits."""
    return jwk.JWK.generate(**PARAMETERS[alg])


def active_key(pool: UserPool, token_use: str) -> KeyPair:
    """Return the key that signs now; raise LookupError for a pool whose keys were deleted.

    A key that was made to sign at once may have none before it. Where this machine's clock is behind that of its maker,
    it signs although its time seems to be still to come.
    """
    now, to_come = clock.now(), None
    for row in reversed(directory.signing_keys(pool)):
        if row.token_use != token_use or (row.not_after is not None and row.not_after <= now):
            continue
        if row.not_before <= now:
            return _private(row.kid, row.alg, row.token_use, row.private_jwk)
        if row.not_before <= now + CLOCKS_DIFFER:
            to_come = row
    if to_come is not None:
        return _private(to_come.kid, to_come.alg, to_come.token_use, to_come.private_jwk)
    raise LookupError(f"pool {pool.pk} has no active {token_use} key")


def verification_key(pool: UserPool, kid: str) -> KeyPair | None:
    """Return the published key of ``pool`` with this id, or None."""
    now = clock.now()
    for row in directory.signing_keys(pool):
        if row.kid == kid and (row.expires_at is None or now < row.expires_at):
            return _public(row.kid, row.alg, row.token_use, json.dumps(row.public_jwk))
    return None


def published_jwks(pool: UserPool) -> list[dict[str, str]]:
    """Return the public keys that verifiers need: those that sign, have signed and will sign; ID keys first."""
    now = clock.now()
    rows = [row for row in directory.signing_keys(pool) if row.expires_at is None or now < row.expires_at]
    return [row.public_jwk for row in sorted(rows, key=lambda row: row.token_use != TokenUse.ID)]


@lru_cache(maxsize=4096)
def _private(kid: str, alg: str, token_use: str, private: str) -> KeyPair:
    key = jwk.JWK()
    # checked when it was made; checking again on each load would cost as much as a hundred signatures
    key.unsafe_skip_rsa_key_validation = True
    key.import_key(**json.loads(private))
    return KeyPair(kid, alg, token_use, key)


@lru_cache(maxsize=4096)
def _public(kid: str, alg: str, token_use: str, public: str) -> KeyPair:
    return KeyPair(kid, alg, token_use, jwk.JWK(**json.loads(public)))


def rotate(pool: UserPool, *, at_once: bool = False, withdraw: bool = False) -> list[SigningKey]:
    """Make the keys of ``pool`` that are due and return them; running it again changes nothing.

    ``at_once`` makes successors that sign from now on, due or not; verifiers meet a key id that they do not know and
    fetch the JWKS. ``withdraw`` also takes the old keys out of the JWKS: every token that they signed dies. It is for
    a key that leaked.
    """
    now = clock.now()
    made: list[SigningKey] = []
    for token_use in TokenUse.values:
        if at_once or withdraw or _due(pool, token_use, now):
            key = generate(pool.signing_algorithm)  # before the transaction: it takes long
            try:
                made += _succeed(pool, token_use, key, now, at_once or withdraw, withdraw)
            except IntegrityError:
                continue  # another worker made the successor first
    SigningKey.objects.filter(user_pool=pool, not_after__lt=now - KEEP_PRIVATE).exclude(private_jwk="").update(
        private_jwk=""
    )
    return made


def due() -> Iterator[tuple[UserPool, str]]:
    """Yield each pool and token use whose successor is due: until the job comes by, or for longer if it fails."""
    now = clock.now()
    open_ended = SigningKey.objects.filter(not_after__isnull=True).only("user_pool", "token_use", "alg", "not_before")
    newest = {(key.user_pool_id, key.token_use): key for key in open_ended.iterator()}
    for pool in UserPool.objects.iterator():
        for token_use in TokenUse.values:
            if _succeeds(pool, newest.get((pool.pk, token_use)), now):
                yield pool, token_use


def _newest(pool: UserPool, token_use: str) -> SigningKey | None:
    return SigningKey.objects.filter(user_pool=pool, token_use=token_use, not_after__isnull=True).first()


def _due(pool: UserPool, token_use: str, now: datetime) -> bool:
    return _succeeds(pool, _newest(pool, token_use), now)


def _succeeds(pool: UserPool, newest: SigningKey | None, now: datetime) -> bool:
    if newest is None or newest.alg != pool.signing_algorithm:
        return True
    return pool.key_rotation_days > 0 and newest.not_before + timedelta(days=pool.key_rotation_days) <= now


@transaction.atomic
def _succeed(
    pool: UserPool, token_use: str, key: jwk.JWK, now: datetime, at_once: bool, withdraw: bool
) -> list[SigningKey]:
    UserPool.objects.select_for_update().get(pk=pool.pk)
    if not at_once and not _due(pool, token_use, now):
        return []
    newest = _newest(pool, token_use)
    starts = now if newest is None or at_once else now + LEAD
    if newest is not None:
        newest.not_after = max(starts, newest.not_before)
        newest.expires_at = newest.not_after if withdraw else newest.not_after + LONGEST_TOKEN
        newest.save(update_fields=["not_after", "expires_at"])
    if withdraw:
        SigningKey.objects.filter(user_pool=pool, token_use=token_use, not_after__isnull=False).update(
            expires_at=now, not_after=now
        )
    kid = base64.b64encode(secrets.token_bytes(32)).decode()
    public = {**key.export_public(as_dict=True), "alg": pool.signing_algorithm, "kid": kid, "use": "sig"}
    if newest is not None:  # the first keys are the pool's making, and no news
        why, signs_from = "withdrawn" if withdraw else "", starts.isoformat(timespec="minutes")
        events.happened(EventType.KEY_ROTATION, pool, reason=why, kid=kid, token_use=token_use, signs_from=signs_from)
    return [
        SigningKey.objects.create(
            user_pool=pool,
            token_use=token_use,
            kid=kid,
            alg=pool.signing_algorithm,
            public_jwk=public,
            private_jwk=key.export_private(),
            not_before=starts,
        )
    ]


def make_first_keys(sender: Any, instance: UserPool, created: bool, raw: bool = False, **_: Any) -> None:
    """Give a new pool its two keys (post_save)."""
    if created and not raw:
        rotate(instance)
