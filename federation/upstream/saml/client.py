"""pysaml2's client for one pool, one provider and one message, with our cryptography in it.

Replaced in pysaml2 7.5.5, for these reasons: ``sigver.security_context`` looks for the xmlsec1 binary unless it is told
XMLSecurity, whose back end cannot decrypt; ``sigver.SecurityContext._check_signature`` writes a provider's certificates
into files, and has a validator in Python look at a document, which may take seconds, before it looks at the signature;
``entity.Entity.unravel`` inflates what it can, however large that becomes.
"""

from contextlib import suppress
from typing import Any

from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.sigver import SignatureError

from federation.upstream.saml import schema, xml
from federation.upstream.saml.crypto import InProcessCrypto
from federation.upstream.saml.keys import PoolKeys, RedirectSigner
from federation.upstream.saml.metadata import IdpMetadata


class SignatureCheck:
    """In place of SecurityContext's ``_check_signature``: signed by the provider, and valid by the schema.

    What pysaml2 has beside that, InProcessCrypto demands before it verifies: one reference, to the element that the
    signature is in, by an enveloped signature and exclusive canonicalization. In this order, because strangers'
    documents go no further than the signature.
    """

    def __init__(self, crypto: InProcessCrypto, idp: IdpMetadata) -> None:
        self._crypto, self._idp = crypto, idp

    def __call__(self, decoded_xml: str, item: Any, node_name: str, *_: Any, **__: Any) -> Any:
        for certificate in self._idp.certificates:
            with suppress(SignatureError):
                signed = self._crypto.verify(decoded_xml, certificate.pem, node_name, item.id)
                break
        else:
            raise SignatureError("not signed with a key of the provider")
        if not schema.is_valid(signed):
            raise SignatureError("signed, and not valid by the schema")
        return item


class PoolSaml2Client(Saml2Client):
    """A service provider for one message from or to ``idp``; it keeps state and is not shared between threads."""

    def __init__(self, config: SPConfig, keys: PoolKeys, idp: IdpMetadata) -> None:
        super().__init__(config)
        self.idp = idp
        self.crypto = InProcessCrypto()
        self.sec.crypto = self.crypto
        self.sec.sec_backend = RedirectSigner(keys.signing)
        self.sec.key_file, self.sec.my_cert = keys.signing, keys.certificate
        self.sec.enc_key_files = list(keys.decryption)
        self.sec._check_signature = SignatureCheck(self.crypto, idp)

    @staticmethod
    def unravel(txt: str, binding: str, msgtype: str = "response") -> str:
        """Decode a message; raise BadXml."""
        return xml.decode(txt)
