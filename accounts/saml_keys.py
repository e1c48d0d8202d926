"""A pool's key pairs as a SAML service provider, and how one takes over from another.

A provider trusts the certificate that its administrator registered, so nothing here happens by itself: the next
certificate is published beside the present one until an operator says that every provider has it. Then the next signs,
and what it replaced still decrypts until it is removed.

W 8.1: RSA, valid for ten years. Cognito has one encryption certificate for each provider; here one serves them all,
so that one metadata document does.
"""

import base64
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import directory
from accounts.models import SamlKey, UserPool
from accounts.models.saml import KeyUse

LIFETIME = timedelta(days=3650)
BITS = 2048


def active(pool: UserPool, use: str) -> SamlKey:
    """Return the key pair in use; the first one is made when it is first asked for, in some 100 ms."""
    found = next((key for key in directory.saml_keys(pool) if key.use == use and _is_active(key)), None)
    return found or _first(pool, use)


def upcoming(pool: UserPool, use: str) -> SamlKey | None:
    """Return the key pair that is published and not in use yet."""
    keys = directory.saml_keys(pool)
    return next((key for key in keys if key.use == use and not key.activated_at and not key.retired_at), None)


def published(pool: UserPool, use: str) -> list[SamlKey]:
    """Return what the metadata shows. To encrypt for the pool any of its keys will do, so that is one; to verify, both.

    Otherwise providers that take the last of several certificates would take one that signs nothing yet.
    """
    coming = upcoming(pool, use) if use == KeyUse.SIGNING else None
    return [active(pool, use), *([coming] if coming else [])]


def decrypting(pool: UserPool) -> list[SamlKey]:
    """Return every key pair by which an assertion may be encrypted, the newest first."""
    active(pool, KeyUse.ENCRYPTION)
    return [key for key in reversed(directory.saml_keys(pool)) if key.use == KeyUse.ENCRYPTION and key.private_key]


def prepare(pool: UserPool, use: str) -> SamlKey:
    """Make and publish the next key pair and return it; the one that is there if there is one."""
    active(pool, use)
    try:
        with transaction.atomic():
            return _make(pool, use, activated=False)
    except IntegrityError:
        return SamlKey.objects.get(user_pool=pool, use=use, activated_at=None, retired_at=None)


@transaction.atomic
def activate(pool: UserPool, use: str) -> SamlKey:
    """Let the next key pair take over and return it; raise LookupError when none is prepared."""
    UserPool.objects.select_for_update().get(pk=pool.pk)
    coming = SamlKey.objects.filter(user_pool=pool, use=use, activated_at=None, retired_at=None).first()
    if coming is None:
        raise LookupError("no key pair is prepared")
    now = timezone.now()
    for key in SamlKey.objects.filter(user_pool=pool, use=use, activated_at__isnull=False, retired_at=None):
        key.retired_at = now
        if use == KeyUse.SIGNING:
            key.private_key = ""  # it signs no more, so nobody needs it
        key.save(update_fields=["retired_at", "private_key"])
    coming.activated_at = now
    coming.save(update_fields=["activated_at"])
    return coming


@transaction.atomic
def remove(key: SamlKey) -> None:
    """Delete a key pair that is not in use; raise LookupError for the one that is."""
    UserPool.objects.select_for_update().get(pk=key.user_pool_id)  # or it may take over just now
    if any(_is_active(found) for found in SamlKey.objects.filter(pk=key.pk)):
        raise LookupError("the key pair is in use")
    key.delete()


def _is_active(key: SamlKey) -> bool:
    return key.activated_at is not None and key.retired_at is None


def _first(pool: UserPool, use: str) -> SamlKey:
    found = SamlKey.objects.filter(user_pool=pool, use=use, activated_at__isnull=False, retired_at=None).first()
    if found is not None:  # another process made it, and the cache is five seconds behind
        directory.forget_one(("saml keys", pool.pk))
        return found
    try:
        with transaction.atomic():
            return _make(pool, use, activated=True)
    except IntegrityError:  # another thread or process made it at the same moment
        return SamlKey.objects.get(user_pool=pool, use=use, activated_at__isnull=False, retired_at=None)


def generate() -> rsa.RSAPrivateKey:
    """Return a new key. It takes some 50 ms."""
    return rsa.generate_private_key(public_exponent=65537, key_size=BITS)


def _make(pool: UserPool, use: str, *, activated: bool) -> SamlKey:
    now = timezone.now()
    key = generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{pool.pk} {use}"[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # for a provider whose clock is behind
        .not_valid_after(now + LIFETIME)
        .sign(key, hashes.SHA256())
    )
    return SamlKey.objects.create(
        user_pool=pool,
        use=use,
        certificate=base64.b64encode(certificate.public_bytes(Encoding.DER)).decode(),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        not_after=now + LIFETIME,
        activated_at=now if activated else None,
    )
