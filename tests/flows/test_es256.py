"""A pool that signs with ES256 (RFC 7518 3.4), met by libraries that read the algorithm from discovery.

What is expected: OpenID Connect Discovery 3 (``id_token_signing_alg_values_supported``) and Core 3.1.3.7.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.flows import apps, pools
from tests.flows.person import Person
from tests.flows.server import Server
from tests.needs import needs_node


@pytest.fixture(scope="module")
def elliptic(server: Server) -> Server:
    """The same server, for its other pool."""
    return replace(server, pool_id=pools.ELLIPTIC_POOL_ID)


def test_authlib_verifies_both_tokens(elliptic: Server, person: Person) -> None:
    metadata, verifier = elliptic.discovery, generate_token(48)
    assert metadata["id_token_signing_alg_values_supported"] == ["ES256"]
    session = OAuth2Session(
        pools.ELLIPTIC.client_id, scope=pools.SCOPE, redirect_uri=pools.CALLBACK, code_challenge_method="S256"
    )
    link, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
    landed = person.open(link, until=pools.CALLBACK)
    token = session.fetch_token(
        metadata["token_endpoint"], authorization_response=landed, state=state, code_verifier=verifier
    )
    keys = KeySet.import_key_set(elliptic.http.get(metadata["jwks_uri"]).json())
    for name in ("id_token", "access_token"):
        decoded = jwt.decode(token[name], keys, algorithms=["ES256"])
        assert decoded.claims["iss"] == elliptic.issuer


@needs_node
def test_openid_client_goes_the_whole_way(elliptic: Server, node: Path, person: Person) -> None:
    options: dict[str, Any] = {"issuer": elliptic.issuer, "clientId": pools.ELLIPTIC.client_id, "method": "none"}
    options |= {"callback": pools.CALLBACK, "logout": pools.LOGOUT, "scope": pools.SCOPE}
    seen = apps.node(node, "openid_client.mjs", person, **options)
    assert seen["claims"]["iss"] == elliptic.issuer
    assert seen["userInfo"]["sub"] == seen["claims"]["sub"]
