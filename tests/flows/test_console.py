"""A pool that was made in the console, form by form, and an unmodified client that signs in against it at once."""

from collections.abc import Iterator

import pytest
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.flows import pools
from tests.flows.console import Console
from tests.flows.person import Person
from tests.flows.server import Server, deployment, serving

OPERATOR, PASSWORD = "root", "Correct-horse-battery-7"
POOL_ID = "eu-west-1_Console01"


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Userpool without a pool, and one operator."""
    with deployment(tmp_path_factory.mktemp("console")) as made:
        made.manage(
            "createsuperuser",
            "--noinput",
            f"--username={OPERATOR}",
            "--email=root@example.com",
            DJANGO_SUPERUSER_PASSWORD=PASSWORD,
        )
        with serving(made, POOL_ID) as running:
            yield running


def test_an_operator_makes_a_pool_an_app_and_a_user_and_the_user_signs_in(empty_server: Server, person: Person) -> None:
    console = Console(empty_server, OPERATOR, PASSWORD)
    console.fill_in("/admin/accounts/userpool/add/", name="Made by hand", id=POOL_ID)
    of_pool = f"?user_pool={POOL_ID}"
    console.fill_in(
        f"/admin/accounts/appclient/add/{of_pool}",
        name="web",
        client_id="1consoleclientofjourneys",
        redirect_uris=pools.CALLBACK,
        allowed_oauth_flows=["code"],
        allowed_oauth_scopes=["openid", "email"],
        dialect="oidc",
    )
    console.fill_in(
        f"/admin/accounts/pooluser/add/{of_pool}",
        username="grace",
        attribute_email="grace@example.com",
        first_password="permanent",
        password_given=pools.PASSWORD,
    )

    metadata, verifier = empty_server.discovery, generate_token(48)
    session = OAuth2Session(
        "1consoleclientofjourneys", scope="openid email", redirect_uri=pools.CALLBACK, code_challenge_method="S256"
    )
    link, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
    landed = person.open(link, until=pools.CALLBACK, username="grace")
    token = session.fetch_token(
        metadata["token_endpoint"], authorization_response=landed, state=state, code_verifier=verifier
    )
    keys = KeySet.import_key_set(empty_server.http.get(metadata["jwks_uri"]).json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
    assert claims["iss"] == empty_server.issuer
    assert (claims["cognito:username"], claims["email"]) == ("grace", "grace@example.com")
