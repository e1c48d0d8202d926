"""The pool as a service provider: its keys and addresses, put into a client for one message."""

from functools import lru_cache

from accounts import saml_keys
from accounts.models import UserPool
from accounts.models.saml import KeyUse
from accounts.provider_details import SAML_ACS, SAML_LOGOUT
from federation.upstream.saml.client import PoolSaml2Client
from federation.upstream.saml.config import configuration, entity_id
from federation.upstream.saml.keys import PoolKeys, PrivateKey
from federation.upstream.saml.metadata import IdpMetadata


def client(
    pool: UserPool, idp: IdpMetadata, base_url: str, *, acs_url: str = "", unsolicited: bool = False
) -> PoolSaml2Client:
    """Return a client for one message from or to ``idp``, by the addresses of ``base_url``."""
    acs, slo = acs_url or base_url + SAML_ACS, base_url + SAML_LOGOUT
    config = configuration(entity_id(pool.pk), acs, slo, unsolicited=unsolicited)
    return PoolSaml2Client(config, _keys(pool), idp)


def _keys(pool: UserPool) -> PoolKeys:
    signing = saml_keys.active(pool, KeyUse.SIGNING)
    decrypting = tuple(key.private_key for key in saml_keys.decrypting(pool))
    return _pool_keys(signing.private_key, signing.certificate, decrypting)


@lru_cache(maxsize=1024)
def _pool_keys(signing: str, certificate: str, decrypting: tuple[str, ...]) -> PoolKeys:
    return PoolKeys(PrivateKey(signing.encode()), certificate, tuple(PrivateKey(pem.encode()) for pem in decrypting))
