"""A pool's keys for SAML, as objects and never as files, and the signature of the redirect binding.

pysaml2 7.5.5 wants names of files, and hands on whatever it is given to the crypto back end; so these objects stand
where the names would. Two of its ways are why: ``sigver.RSACrypto.get_signer`` writes the key into a signer that the
whole process shares, so that two pools at once may sign with one another's; ``sigver.SecurityContext.decrypt`` puts all
keys that it tried into the words of its exception, hence PrivateKey, which shows nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import xmlsec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from saml2 import xmldsig
from saml2.sigver import RSACrypto, RSASigner

SIGNERS: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    xmldsig.SIG_RSA_SHA256: hashes.SHA256,
    xmldsig.SIG_RSA_SHA384: hashes.SHA384,
    xmldsig.SIG_RSA_SHA512: hashes.SHA512,
}


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """An RSA key in PEM. It is compared by its text, parsed once per process (40 ms), and shows nothing of itself."""

    pem: bytes = field(repr=False)

    @property
    def rsa(self) -> rsa.RSAPrivateKey:
        return _rsa(self.pem)

    @property
    def xmlsec(self) -> xmlsec.Key:
        return _xmlsec(self.pem)


@lru_cache(maxsize=1024)
def _rsa(pem: bytes) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem, None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("a SAML key of a pool is an RSA key")
    return key


@lru_cache(maxsize=1024)
def _xmlsec(pem: bytes) -> xmlsec.Key:
    return xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem)


@lru_cache(maxsize=1024)
def certificate_key(pem: str) -> xmlsec.Key:
    return xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem)


@dataclass(frozen=True, slots=True)
class PoolKeys:
    """What a pool signs with, and what it decrypts with: several keys while one takes over from another."""

    signing: PrivateKey
    certificate: str
    """Of the signing key: base64 of its DER, as it stands in signatures and metadata."""
    decryption: tuple[PrivateKey, ...] = ()


class RedirectSigner(RSACrypto):
    """Signs the query of the redirect binding (saml-bindings-2.0 3.4.4.1), by a signer of its own for each call."""

    def __init__(self, key: PrivateKey) -> None:
        super().__init__(key.rsa)

    def get_signer(self, sigalg: str, sigkey: Any = None) -> RSASigner | None:
        made = SIGNERS.get(sigalg)
        return RSASigner(made(), sigkey or self.key) if made else None
