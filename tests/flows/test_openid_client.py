"""openid-client (Node.js), the certified relying party library, given nothing but the issuer and its credentials.

What is expected: OpenID Connect Discovery 4, Core 3.1.2 and 3.1.3, RFC 7636, RFC 9207 2.4, RFC 7009, RP-Initiated
Logout 2 and 3. The library itself refuses an ID token, a userInfo answer or an authorization response that breaks them.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.flows import apps, pools
from tests.flows.person import Person
from tests.flows.server import Server
from tests.needs import needs_node

pytestmark = needs_node
WAYS = [
    (pools.PUBLIC, "none"),
    (pools.SECRET, "client_secret_basic"),
    (pools.PUBLIC_OIDC, "none"),
    (pools.SECRET_OIDC, "client_secret_basic"),
    (pools.SECRET_OIDC, "client_secret_post"),
]


@pytest.mark.parametrize(("client", "method"), WAYS, ids=str)
def test_openid_client_goes_the_whole_way_from_discovery_to_sign_out(
    server: Server, node: Path, person: Person, client: pools.AppClient, method: str
) -> None:
    options: dict[str, Any] = {"issuer": server.issuer, "clientId": client.client_id, "secret": client.secret}
    options |= {"method": method, "callback": pools.CALLBACK, "logout": pools.LOGOUT, "scope": pools.SCOPE}
    seen = apps.node(node, "openid_client.mjs", person, **options)

    # RFC 9207 2.4: because discovery promises iss, a response without it is as wrong as one with another's
    assert (seen["mixUp"], seen["missing"]) == ("OAUTH_INVALID_RESPONSE", "OAUTH_INVALID_RESPONSE")
    assert seen["claims"]["iss"] == server.issuer
    assert seen["claims"]["aud"] == client.client_id
    assert seen["claims"]["email"] == seen["userInfo"]["email"] == pools.ATTRIBUTES["email"]
    assert seen["userInfo"]["sub"] == seen["renewedUserInfo"]["sub"] == seen["claims"]["sub"]
    members = {"access_token", "id_token", "refresh_token", "token_type", "expires_in"}
    scope = {"scope"} if client.dialect == "oidc" else set()
    assert set(seen["tokenMembers"]) == members | scope
    assert set(seen["renewed"]["members"]) == members - {"refresh_token"} | scope
    assert seen["renewed"]["sub"] == seen["claims"]["sub"]
    assert not seen["renewed"]["sameToken"]
    assert seen["replay"] == "invalid_grant"
    assert seen["afterRevocation"] == "invalid_grant"
    assert seen["silent"]
    assert seen["logoutState"] == "bye+bye=&"
    assert seen["loginRequired"] == "login_required"
    assert person.signed_in == 1
    refused = seen["userInfoAfterRevocation"]
    assert refused["status"] == 401
    if client.dialect == "oidc":  # Cognito's challenge lacks the scheme word, so the library makes nothing of it
        assert refused["challenge"]["error"] == "invalid_token"


@pytest.mark.parametrize("client", pools.MACHINES, ids=str)
def test_openid_client_asks_for_a_token_of_its_own(
    server: Server, node: Path, person: Person, client: pools.AppClient
) -> None:
    options = {"issuer": server.issuer, "clientId": client.client_id, "secret": client.secret}
    seen = apps.node(node, "openid_client_machine.mjs", person, scope=f"{pools.API}/read", **options)
    assert set(seen["members"]) - {"scope"} == {"access_token", "expires_in", "token_type"}
    assert 3590 <= seen["expiresIn"] <= 3600  # what is left of it by the clock of the library
