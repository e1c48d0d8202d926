"""requests-oauthlib, the plainest of OAuth 2.0 clients: it knows no discovery and no ID token.

What is expected: RFC 6749 4.1, 4.4, 5.1 and 6, RFC 7636. Where the response names a ``scope`` other than the asked one,
the library raises unless it is told otherwise: silence means the asked one (RFC 6749 5.1).
"""

import pytest
from requests_oauthlib import OAuth2Session

from tests.flows import pools
from tests.flows.person import Person
from tests.flows.server import Server


@pytest.mark.parametrize("client", pools.PEOPLE, ids=str)
def test_requests_oauthlib_signs_a_user_in_and_renews_by_itself(
    server: Server, person: Person, client: pools.AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # this server is on loopback
    metadata, renewed = server.discovery, []
    session = OAuth2Session(
        client.client_id,
        redirect_uri=pools.CALLBACK,
        scope=pools.SCOPE.split(),
        pkce="S256",
        auto_refresh_url=metadata["token_endpoint"],
        auto_refresh_kwargs={"client_id": client.client_id}
        | ({"client_secret": client.secret} if client.secret else {}),
        token_updater=renewed.append,
    )
    link, _ = session.authorization_url(metadata["authorization_endpoint"])
    landed = person.open(link, until=pools.CALLBACK)
    token = session.fetch_token(
        metadata["token_endpoint"],
        authorization_response=landed,
        client_secret=client.secret or None,
        include_client_id=True if not client.secret else None,
    )
    session.token = {**token, "expires_at": 1}  # long ago
    userinfo = session.get(metadata["userinfo_endpoint"]).json()
    assert userinfo["username"] == pools.USERNAME
    assert [one["access_token"] != token["access_token"] for one in renewed] == [True]
