"""Model fields for what must be read back but not lie in clear: JWE (RFC 7516), ``dir`` with A256GCM.

Each value names the key that sealed it (``kid``), so USERPOOL_ENCRYPTION_KEYS may list several: the first seals, all
of them open. ``manage.py reencrypt`` moves every value to the first.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from jwcrypto import jwe, jwk
from jwcrypto.common import base64url_encode


@lru_cache(maxsize=4)
def _keys(raw: tuple[bytes, ...]) -> dict[str, jwk.JWK]:
    return {
        hashlib.sha256(b"userpool kid" + key).hexdigest()[:16]: jwk.JWK(kty="oct", k=base64url_encode(key))
        for key in raw
    }


def encryption_keys() -> dict[str, jwk.JWK]:
    """Return the configured keys by key id, newest first."""
    return _keys(tuple(settings.USERPOOL_ENCRYPTION_KEYS))


def seal(text: str) -> str:
    """Return ``text`` as a compact JWE under the newest key."""
    kid, key = next(iter(encryption_keys().items()))
    header = json.dumps({"alg": "dir", "enc": "A256GCM", "kid": kid})
    token = jwe.JWE(text.encode(), header)
    token.add_recipient(key)
    return str(token.serialize(compact=True))


def unseal(token: str) -> str:
    """Return the text inside ``token``; raise ImproperlyConfigured when its key is no longer configured."""
    sealed = jwe.JWE()
    sealed.deserialize(token)
    key = encryption_keys().get(sealed.jose_header.get("kid", ""))
    if key is None:
        raise ImproperlyConfigured("A stored secret was sealed with a key that USERPOOL_ENCRYPTION_KEYS does not list.")
    sealed.decrypt(key)
    return sealed.payload.decode()


def sealed_with_newest(token: str) -> bool:
    """Whether ``token`` needs no re-encryption."""
    sealed = jwe.JWE()
    sealed.deserialize(token)
    return bool(sealed.jose_header.get("kid") == next(iter(encryption_keys())))


class EncryptedTextField(models.TextField):
    """Text that is sealed in the database and clear in Python. The empty string stays empty. Not searchable."""

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        return unseal(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        return seal(value) if value else value

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name not in ("isnull", "exact"):  # exact: only to compare with the empty string
            raise TypeError("an encrypted field cannot be searched")
        return super().get_lookup(lookup_name)


class EncryptedJSONField(EncryptedTextField):
    """A JSON value that is sealed in the database."""

    def from_db_value(self, value: str | None, *_: object) -> Any:
        return json.loads(unseal(value)) if value else {}

    def to_python(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) and value else value

    def get_prep_value(self, value: Any) -> Any:
        return seal(json.dumps(value)) if value else ""

    def value_to_string(self, obj: models.Model) -> str:
        return json.dumps(self.value_from_object(obj))


def encrypted_fields() -> Iterator[tuple[type[models.Model], str]]:
    """Yield each encrypted field of each model of the project."""
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedTextField):
                yield model, field.name
