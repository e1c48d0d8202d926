"""A pool leaves as a file and arrives on another server: docs, "A pool as a file" (README) is what is promised.

Same pool id, client ids, secrets, ``sub``s and passwords; another database, other encryption keys, another host name.
"""

from pathlib import Path

import httpx
import pytest
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.flows import pools
from tests.flows.person import Person
from tests.flows.server import Deployment, Server, deployment, serving


def tokens_of(server: Server, client: pools.AppClient, person: Person) -> dict[str, str]:
    """Sign ``person`` in at ``server`` with ``client`` and return the token response."""
    session, verifier = oauth_session(client), generate_token(48)
    link, state = session.create_authorization_url(server.discovery["authorization_endpoint"], code_verifier=verifier)
    landed = person.open(link, until=pools.CALLBACK)
    token: dict[str, str] = session.fetch_token(
        server.discovery["token_endpoint"], authorization_response=landed, state=state, code_verifier=verifier
    )
    return token


def oauth_session(client: pools.AppClient) -> OAuth2Session:
    method = "client_secret_basic" if client.secret else "none"
    return OAuth2Session(
        client.client_id,
        client.secret or None,
        token_endpoint_auth_method=method,
        scope=pools.SCOPE,
        redirect_uri=pools.CALLBACK,
        code_challenge_method="S256",
    )


@pytest.fixture(scope="module")
def moved(journeys: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """An empty database to which the exported pool was applied."""
    file = tmp_path_factory.mktemp("export") / "pool.yaml"
    journeys.manage("export", pools.POOL_ID, "--output", str(file))
    assert file.stat().st_mode & 0o077 == 0  # it holds secrets
    with deployment(tmp_path_factory.mktemp("moved")) as found:
        found.manage("apply", str(file))
        yield found


@pytest.fixture(scope="module")
def moved_server(moved: Deployment) -> Server:
    with serving(moved, pools.POOL_ID) as running:
        yield running


@pytest.mark.parametrize("client", [pools.SECRET, pools.PUBLIC_OIDC], ids=str)
def test_the_same_app_and_the_same_user_sign_in_at_the_new_server(
    server: Server, moved_server: Server, client: pools.AppClient
) -> None:
    subs = []
    for place in (server, moved_server):
        person = Person()
        token = tokens_of(place, client, person)
        keys = KeySet.import_key_set(httpx.get(place.discovery["jwks_uri"]).json())
        claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
        assert claims["iss"] == place.issuer
        assert claims["aud"] == client.client_id
        assert claims["cognito:groups"] == ["admins"]
        assert claims["email"] == pools.ATTRIBUTES["email"]
        assert person.signed_in == 1
        subs.append(claims["sub"])
    assert subs[0] == subs[1]


@pytest.mark.parametrize("machine", pools.MACHINES, ids=str)
def test_a_machine_keeps_its_secret(moved_server: Server, machine: pools.AppClient) -> None:
    token = OAuth2Session(machine.client_id, machine.secret, scope=f"{pools.API}/read").fetch_token(
        moved_server.discovery["token_endpoint"], grant_type="client_credentials"
    )
    assert token["token_type"] == "Bearer"


def test_tokens_of_the_old_server_are_worthless_at_the_new_one(
    server: Server, moved_server: Server, person: Person
) -> None:
    """Signing keys and grants stay behind: what was issued for one issuer says nothing at another (RFC 7519 4.1.1)."""
    token = tokens_of(server, pools.PUBLIC_OIDC, person)
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert httpx.get(server.discovery["userinfo_endpoint"], headers=bearer).status_code == 200
    assert httpx.get(moved_server.discovery["userinfo_endpoint"], headers=bearer).status_code == 401
    fields = {"grant_type": "refresh_token", "client_id": pools.PUBLIC_OIDC.client_id}
    answer = httpx.post(
        moved_server.discovery["token_endpoint"], data=fields | {"refresh_token": token["refresh_token"]}
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_the_new_pool_exports_to_the_same_file(journeys: Deployment, moved: Deployment) -> None:
    first, second = (place.manage("export", pools.POOL_ID) for place in (journeys, moved))
    assert first == second


def test_applying_again_changes_nothing_and_an_app_can_be_added_while_the_server_runs(
    moved: Deployment, moved_server: Server, tmp_path: Path
) -> None:
    before = moved.manage("export", pools.POOL_ID)
    file = tmp_path / "pool.yaml"
    file.write_text(before, encoding="utf-8")
    moved.manage("apply", str(file))
    assert moved.manage("export", pools.POOL_ID) == before

    fresh = pools.AppClient("3publicclientofjourneys0", "", "oidc")
    added = {
        "UserPool": {"Id": pools.POOL_ID},
        "UserPoolClients": [pools.people_client(fresh, "http://localhost:3001/")],
    }
    moved.apply(added)
    assert "id_token" in tokens_of(moved_server, fresh, Person())
    assert "id_token" in tokens_of(moved_server, pools.PUBLIC, Person())  # what the file left out is still there
