"""A pool as a SAML service provider, for tests of the modules: made of the fakes' keys, without a database."""

from typing import Any

from federation.upstream.saml import config as saml_config
from federation.upstream.saml import metadata as saml_metadata
from federation.upstream.saml import response as saml_response
from federation.upstream.saml.client import PoolSaml2Client
from federation.upstream.saml.keys import PoolKeys, PrivateKey
from federation.upstream.saml.reading import Expected
from federation.upstream.saml.response import SamlIdentity
from tests.fakes import saml


def keys(name: str = "pool", *others: str) -> PoolKeys:
    decryption = tuple(PrivateKey(saml.pair(each).pem) for each in (name, *others))
    return PoolKeys(decryption[0], saml.pair(name).certificate, decryption)


def client(
    *,
    pool_keys: PoolKeys | None = None,
    metadata: str = "",
    unsolicited: bool = False,
    audience: str = saml.AUDIENCE,
    acs: str = saml.ACS,
) -> PoolSaml2Client:
    config = saml_config.configuration(audience, acs, saml.SLO, unsolicited=unsolicited)
    return PoolSaml2Client(config, pool_keys or keys(), saml_metadata.parse(metadata or saml.metadata()))


def expected(**values: Any) -> Expected:
    honest = {"issuer": saml.IDP, "audience": saml.AUDIENCE, "acs_url": saml.ACS, "request_id": saml.REQUEST_ID}
    return Expected(**honest | values)


def read(message: saml.Message | str, asked: Expected | None = None, **options: Any) -> SamlIdentity:
    """Read a response as an answer to our request; with ``unsolicited`` as one that nobody asked for."""
    asked = asked or expected(request_id="" if options.get("unsolicited") else saml.REQUEST_ID)
    text = message if isinstance(message, str) else message.encoded()
    return saml_response.read(client(**options), text, asked)
