"""Authlib as the client app, unmodified: over its sessions, and over its Django integration.

What is expected: RFC 6749 4.1, 4.4 and 6, RFC 7636, RFC 7009, RFC 9207, OpenID Connect Core 3.1.3.7 (the validation of
the ID token, done by Authlib and joserfc), Discovery 4 and RP-Initiated Logout 2. The differences of the dialects are
those of docs/compatibility.md; Cognito's side of them is on the token-endpoint, revocation-endpoint and
userinfo-endpoint pages of the AWS guide.
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.django_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749.errors import MismatchingStateException
from authlib.oidc.core import CodeIDToken
from django.test import RequestFactory
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.flows import pools
from tests.flows.person import Person
from tests.flows.server import Server

CONFIDENTIAL = ("client_secret_basic", "client_secret_post")
WAYS = [
    *((client, "none") for client in pools.PEOPLE if not client.secret),
    *((client, method) for client in pools.PEOPLE if client.secret for method in CONFIDENTIAL),
]


def oauth_client(client: pools.AppClient, method: str = "client_secret_basic", **options: Any) -> OAuth2Session:
    """Authlib's session for ``client``."""
    options = {"scope": pools.SCOPE, "redirect_uri": pools.CALLBACK} | options
    return OAuth2Session(
        client.client_id,
        client.secret or None,
        token_endpoint_auth_method=method if client.secret else "none",
        revocation_endpoint_auth_method=method if client.secret else "none",
        code_challenge_method="S256",
        **options,
    )


def keys(server: Server) -> KeySet:
    return KeySet.import_key_set(server.http.get(server.discovery["jwks_uri"]).json())


@pytest.mark.parametrize(("client", "method"), WAYS, ids=str)
def test_an_app_signs_its_user_in_reads_userinfo_refreshes_and_revokes(
    server: Server, person: Person, client: pools.AppClient, method: str
) -> None:
    metadata = server.discovery
    assert metadata["issuer"] == server.issuer
    session, verifier, nonce = oauth_client(client, method), generate_token(48), generate_token(20)
    link, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
    )
    landed = person.open(link, until=pools.CALLBACK)
    assert parse_qs(urlsplit(landed).query)["iss"] == [server.issuer]

    token = session.fetch_token(
        metadata["token_endpoint"], authorization_response=landed, code_verifier=verifier, state=state
    )
    assert token["token_type"] == "Bearer"
    assert token.get("scope") == (None if client.dialect == "cognito" else pools.SCOPE)
    decoded = jwt.decode(token["id_token"], keys(server), algorithms=metadata["id_token_signing_alg_values_supported"])
    options = {"iss": {"essential": True, "value": server.issuer}, "aud": {"essential": True}}
    identity = CodeIDToken(
        decoded.claims,
        decoded.header,
        options,
        {"nonce": nonce, "client_id": client.client_id, "access_token": token["access_token"]},
    )
    identity.validate()
    assert identity["cognito:username"] == pools.USERNAME
    assert identity["cognito:groups"] == ["admins"]

    userinfo = session.get(metadata["userinfo_endpoint"]).json()
    assert userinfo["sub"] == identity["sub"]
    assert userinfo["email"] == pools.ATTRIBUTES["email"]
    assert userinfo["email_verified"] == ("true" if client.dialect == "cognito" else True)
    assert userinfo["phone_number_verified"] == ("false" if client.dialect == "cognito" else False)

    first = dict(token)
    renewed = session.refresh_token(metadata["token_endpoint"])
    assert renewed["refresh_token"] == first["refresh_token"]  # Authlib keeps the one that it has
    assert renewed["access_token"] != first["access_token"]
    again = jwt.decode(renewed["id_token"], keys(server), algorithms=["RS256"]).claims
    assert {name: again[name] for name in ("iss", "sub", "aud", "auth_time")} == {
        name: identity[name] for name in ("iss", "sub", "aud", "auth_time")
    }  # Core 12.2

    revoked = session.revoke_token(metadata["revocation_endpoint"], token=first["refresh_token"])
    assert (revoked.status_code, revoked.content) == (200, b"")
    with pytest.raises(OAuthError, match="invalid_grant"):
        session.refresh_token(metadata["token_endpoint"], refresh_token=first["refresh_token"])
    bearer = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert httpx.get(metadata["userinfo_endpoint"], headers=bearer).status_code == 401


@pytest.mark.parametrize("client", pools.MACHINES, ids=str)
@pytest.mark.parametrize("method", CONFIDENTIAL)
def test_a_machine_asks_for_a_token_of_its_own(server: Server, client: pools.AppClient, method: str) -> None:
    session = oauth_client(client, method, scope=f"{pools.API}/read", redirect_uri=None)
    token = session.fetch_token(server.discovery["token_endpoint"], grant_type="client_credentials")
    assert set(token) - {"expires_at", "scope"} == {"access_token", "expires_in", "token_type"}
    claims = jwt.decode(token["access_token"], keys(server), algorithms=["RS256"]).claims
    assert (claims["sub"], claims["client_id"]) == (client.client_id, client.client_id)
    assert claims["scope"] == f"{pools.API}/read"
    assert claims["iss"] == server.issuer


@pytest.mark.parametrize("client", [pools.PUBLIC, pools.PUBLIC_OIDC], ids=str)
def test_a_code_without_its_verifier_is_worth_nothing(server: Server, person: Person, client: pools.AppClient) -> None:
    session = oauth_client(client)
    link, state = session.create_authorization_url(
        server.discovery["authorization_endpoint"], code_verifier=generate_token(48)
    )
    landed = person.open(link, until=pools.CALLBACK)
    with pytest.raises(OAuthError, match="invalid_grant"):
        session.fetch_token(
            server.discovery["token_endpoint"],
            authorization_response=landed,
            state=state,
            code_verifier=generate_token(48),
        )


@pytest.mark.parametrize("client", [pools.SECRET, pools.SECRET_OIDC], ids=str)
def test_a_wrong_secret_is_named_as_such(server: Server, person: Person, client: pools.AppClient) -> None:
    session = oauth_client(client)
    session.client_secret = "0" * 51
    link, state = session.create_authorization_url(server.discovery["authorization_endpoint"])
    landed = person.open(link, until=pools.CALLBACK)
    with pytest.raises(OAuthError, match="invalid_client"):
        session.fetch_token(server.discovery["token_endpoint"], authorization_response=landed, state=state)


def test_a_second_app_is_signed_in_without_the_form_and_a_foreign_state_is_noticed(
    server: Server, person: Person
) -> None:
    for client in (pools.PUBLIC, pools.PUBLIC_OIDC, pools.PUBLIC):
        link, _ = oauth_client(client).create_authorization_url(
            server.discovery["authorization_endpoint"], code_verifier=generate_token(48)
        )
        landed = person.open(link, until=pools.CALLBACK)
    assert person.signed_in == 1
    with pytest.raises(MismatchingStateException):
        oauth_client(pools.PUBLIC).fetch_token(
            server.discovery["token_endpoint"], authorization_response=landed, state="another"
        )


@pytest.mark.parametrize("client", pools.PEOPLE, ids=str)
def test_a_django_app_is_configured_with_the_issuer_alone(
    server: Server, person: Person, client: pools.AppClient
) -> None:
    """Authlib's middleware reads everything from discovery, as Auth.js and Spring do."""
    app = OAuth().register(
        "userpool",
        client_id=client.client_id,
        client_secret=client.secret or None,
        server_metadata_url=f"{server.issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email",
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": "client_secret_basic" if client.secret else "none",
        },
    )
    session: dict[str, Any] = {}

    def arrive(url: str) -> Any:
        request = RequestFactory().get(url)
        request.session = session  # type: ignore[assignment]
        return request

    link = app.authorize_redirect(arrive("/"), pools.CALLBACK)["Location"]
    landed = person.open(link, until=pools.CALLBACK)
    token = app.authorize_access_token(arrive(landed))
    assert token["userinfo"]["email"] == pools.ATTRIBUTES["email"]  # of the ID token that it validated
    assert app.userinfo(token=token)["sub"] == token["userinfo"]["sub"]

    link = app.logout_redirect(arrive("/"), pools.LOGOUT, token["id_token"])["Location"]
    landed = person.open(link, until=pools.LOGOUT)
    assert app.validate_logout_response(arrive(landed))["post_logout_redirect_uri"] == pools.LOGOUT
    person.open(app.authorize_redirect(arrive("/"), pools.CALLBACK)["Location"], until=pools.CALLBACK)
    assert person.signed_in == 2
