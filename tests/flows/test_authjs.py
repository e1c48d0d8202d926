"""Auth.js (next-auth) with its Cognito provider: OpenID Connect by discovery on the issuer, with PKCE, state and nonce.

What is expected: its documentation ("Cognito"), OpenID Connect Core 3.1.3.7. It verifies the ID token itself and makes
its session from the claims.
"""

from pathlib import Path

import pytest

from tests.flows import apps, pools
from tests.flows.person import Person
from tests.flows.server import Server
from tests.needs import needs_node

pytestmark = needs_node


@pytest.mark.parametrize("client", pools.PEOPLE, ids=str)
def test_authjs_makes_a_session_from_the_id_token(
    server: Server, node: Path, person: Person, client: pools.AppClient
) -> None:
    options = {"issuer": server.issuer, "clientId": client.client_id, "secret": client.secret}
    seen = apps.node(node, "authjs.mjs", person, callback=pools.AUTHJS_CALLBACK, **options)
    assert seen["arrived"] == "http://localhost:3000/welcome"
    session = seen["session"]
    assert session["user"]["email"] == pools.ATTRIBUTES["email"]
    assert session["account"]["provider"] == "cognito"
    assert session["account"]["providerAccountId"] == session["profile"]["sub"]
    assert session["profile"]["iss"] == server.issuer
