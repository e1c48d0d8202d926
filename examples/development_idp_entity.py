"""pysaml2's ``Server`` as the development IdP: its addresses, its keys, and the one service provider that it knows.

pysaml2 looks for the xmlsec1 binary and signs with SHA-1 unless it is told otherwise. Here Userpool's cryptography
stands in for the binary, works in this process, and the algorithms are named with every message.
"""

import os
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, saml
from saml2.attribute_converter import AttributeConverter
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.server import Server
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from federation.upstream.saml.crypto import InProcessCrypto
from federation.upstream.saml.development import ENTITY_IDS
from federation.upstream.saml.keys import PrivateKey, RedirectSigner

SIGNED = {"sign": True, "sign_alg": SIG_RSA_SHA256, "digest_alg": DIGEST_SHA256}
ATTRIBUTES = ("mail", "givenName", "sn", "displayName", "eduPersonAffiliation", "employeeNumber")
FETCH_TIMEOUT = 10  # seconds
YEARS = timedelta(days=3650)


class Crypto(InProcessCrypto):
    """Takes a certificate as pysaml2 gives it: the name of a file."""

    def validate_signature(
        self, signedtext: str | bytes, cert_file: str, cert_type: str, node_name: str, node_id: str
    ) -> bool:
        pem = Path(cert_file).read_text(encoding="ascii")
        return super().validate_signature(signedtext, pem, cert_type, node_name, node_id)


class Entity:
    """The identity provider at ``base``, for the service provider whose metadata is at ``sp_metadata_url``."""

    def __init__(self, base: str, sp_metadata_url: str, folder: Path) -> None:
        self.base, self.sp_metadata_url = base, sp_metadata_url
        self.entity_id = f"{ENTITY_IDS}:{base.rpartition(':')[2]}"
        self.key_file, self.certificate_file = key_pair(folder)
        self._sp_metadata = ""

    @cached_property
    def metadata(self) -> str:
        """What this identity provider publishes of itself."""
        return str(entity_descriptor(self._configuration()))

    def server(self) -> Server:
        """Return pysaml2's identity provider for one message; raise httpx.HTTPError without the other's metadata."""
        if not self._sp_metadata:
            answer = httpx.get(self.sp_metadata_url, timeout=FETCH_TIMEOUT, trust_env=False)
            self._sp_metadata = answer.raise_for_status().text
        server = Server(config=self._configuration(self._sp_metadata))
        key = PrivateKey(self.key_file.read_bytes())
        server.sec.crypto, server.sec.sec_backend, server.sec.key_file = Crypto(), RedirectSigner(key), key
        return server

    def forget(self) -> None:
        """Read the service provider's metadata again the next time: it may have a new key."""
        self._sp_metadata = ""

    def _configuration(self, sp_metadata: str = "") -> IdPConfig:
        endpoints = {
            service: [(f"{self.base}/{path}", BINDING_HTTP_REDIRECT), (f"{self.base}/{path}", BINDING_HTTP_POST)]
            for service, path in (("single_sign_on_service", "sso"), ("single_logout_service", "slo"))
        }
        service = {
            "endpoints": endpoints,
            "name_id_format": [saml.NAMEID_FORMAT_PERSISTENT],
            "want_authn_requests_signed": True,  # pysaml2 goes by this for a LogoutRequest as well
            "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": saml.NAME_FORMAT_BASIC}},
        }
        config = IdPConfig().load(
            {
                "entityid": self.entity_id,
                "crypto_backend": "XMLSecurity",  # or it looks for the xmlsec1 binary; server() replaces it
                "key_file": str(self.key_file),
                "cert_file": str(self.certificate_file),
                "metadata_key_usage": "signing",
                "only_use_keys_in_metadata": True,
                "delete_tmpfiles": True,
                "service": {"idp": service},
                **({"metadata": {"inline": [sp_metadata]}} if sp_metadata else {}),
            }
        )
        # attributes go out under their own names, and not as object identifiers
        names = AttributeConverter()
        names.from_dict({"identifier": saml.NAME_FORMAT_BASIC, "to": {name: name for name in ATTRIBUTES}})
        config.attribute_converters = [names]
        return config


def key_pair(folder: Path) -> tuple[Path, Path]:
    """Return the files of the key and of its certificate, which are made once and belong to their owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key_file, certificate_file = folder / "key.pem", folder / "certificate.pem"
    if key_file.exists() and certificate_file.exists():
        return key_file, certificate_file
    key, now = rsa.generate_private_key(65537, 2048), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Development IdP")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + YEARS)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    write(key_file, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    write(certificate_file, certificate.public_bytes(pem))
    return key_file, certificate_file


def write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
