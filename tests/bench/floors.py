"""What cannot be had for less: one RS256 signature, and one argon2id hash, in CPU time of this run on this core."""

import time
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from accounts.passwords import Argon2idHasher

TOKEN = b"x" * 750  # the signing input of an ID token with a dozen claims
SIGNATURES = 200
PASSWORDS = 8


class Floors:
    """The two floors. ``sign_ms`` and ``hash_ms`` each measure once more, so that a run can sample them throughout."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._hasher = Argon2idHasher()
        self._encoded = self._hasher.encode("Correct-horse-7", self._hasher.salt())

    def sign_ms(self) -> float:
        """CPU milliseconds of one RSASSA-PKCS1-v1_5 signature with SHA-256, 2048 bits (RFC 7518 3.3)."""
        scheme, algorithm = padding.PKCS1v15(), hashes.SHA256()
        return _each(lambda: self._key.sign(TOKEN, scheme, algorithm), SIGNATURES)

    def hash_ms(self) -> float:
        """CPU milliseconds of one check of a password against its argon2id hash."""
        return _each(lambda: self._hasher.verify("Correct-horse-7", self._encoded), PASSWORDS)


def _each(work: Callable[[], object], times: int) -> float:
    work()
    before = time.process_time_ns()
    for _ in range(times):
        work()
    return (time.process_time_ns() - before) / times / 1e6
