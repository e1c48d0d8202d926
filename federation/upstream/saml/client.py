"""pysaml2's client for one pool, one provider and one message, with our cryptography in it.

Replaced in pysaml2 7.5.5, for these reasons: ``sigver.security_context`` looks for the xmlsec1 binary unless it is told
XMLSecurity, whose back end cannot decrypt; ``sigver.SecurityContext._check_signature`` writes a provider's certificates
into files, and has the schema look at a document, which may take seconds, before it looks at the signature;
``entity.Entity.unravel`` inflates what it can, however large that becomes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.sigver import SecurityContext, SignatureError

from federation.upstream.saml import xml
from federation.upstream.saml.crypto import InProcessCrypto
from federation.upstream.saml.keys import PoolKeys, RedirectSigner
from federation.upstream.saml.metadata import IdpMetadata


@dataclass(frozen=True, slots=True)
class _Named:
    """Passes for an open file: of anything but a string pysaml2 asks the name, and hands that to the back end."""

    name: str


class TrustedCertificates:
    """In place of pysaml2's metadata store: one provider's certificates, and nobody else's. No file is written."""

    def __init__(self, entity_id: str, certificates: Iterable[str]) -> None:
        self.entity_id, self._certificates = entity_id, [("", _Named(pem)) for pem in certificates]

    def certs(self, entity_id: str | None, descriptor: str, use: str = "signing", **_: Any) -> list[tuple[str, _Named]]:
        """Return the certificates that may have signed what ``entity_id`` issued."""
        return self._certificates if entity_id == self.entity_id else []


class VerifiedFirst:
    """In place of SecurityContext's ``_check_signature``, in front of it: strangers' documents go no further."""

    def __init__(self, context: SecurityContext, crypto: InProcessCrypto, idp: IdpMetadata) -> None:
        self._then, self._crypto, self._idp = context._check_signature, crypto, idp

    def __call__(self, decoded_xml: str, item: Any, node_name: str, *more: Any, **options: Any) -> Any:
        if not any(self._signed_with(found.pem, decoded_xml, item, node_name) for found in self._idp.certificates):
            raise SignatureError("not signed with a key of the provider")
        return self._then(decoded_xml, item, node_name, *more, **options)

    def _signed_with(self, pem: str, text: str, item: Any, node_name: str) -> bool:
        try:
            return self._crypto.validate_signature(text, pem, "pem", node_name, item.id)
        except SignatureError:
            return False


class PoolSaml2Client(Saml2Client):
    """A service provider for one message from or to ``idp``; it keeps state and is not shared between threads."""

    def __init__(self, config: SPConfig, keys: PoolKeys, idp: IdpMetadata) -> None:
        super().__init__(config)
        self.idp = idp
        self.crypto = InProcessCrypto()
        self.sec.crypto = self.crypto
        self.sec.sec_backend = RedirectSigner(keys.signing)
        self.sec.metadata = TrustedCertificates(idp.entity_id, [found.pem for found in idp.certificates])
        self.sec.key_file, self.sec.my_cert = keys.signing, keys.certificate
        self.sec.enc_key_files = list(keys.decryption)
        self.sec._check_signature = VerifiedFirst(self.sec, self.crypto, idp)

    @staticmethod
    def unravel(txt: str, binding: str, msgtype: str = "response") -> str:
        """Decode a message; raise BadXml."""
        return xml.decode(txt)
