"""aws-jwt-verify, AWS's own verifier of Cognito tokens: over https, with its own fetcher, cache and checks.

What is expected is its README and the AWS page "Verifying JSON web tokens": the issuer, the ``kid`` among the keys of
``jwks.json``, ``token_use``, ``aud`` or ``client_id``, ``cognito:groups``, ``scope``, and a regional pool id.
Its CognitoJwtVerifier computes AWS's issuer from the pool id and has no option for another host: the host is what
changes here, and nothing else of it.
"""

from pathlib import Path

from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session

from tests.flows import apps, pools
from tests.flows.person import Person
from tests.flows.server import Server
from tests.needs import needs_node

pytestmark = needs_node


def test_aws_jwt_verify_accepts_our_tokens_and_refuses_what_is_wrong_with_them(
    secure_server: Server, node: Path
) -> None:
    issuer, verifier = secure_server.issuer, generate_token(48)
    session = OAuth2Session(
        pools.PUBLIC.client_id, scope=pools.SCOPE, redirect_uri=pools.CALLBACK, code_challenge_method="S256"
    )
    person = Person(secure_server.trust)
    link, state = session.create_authorization_url(f"{issuer}/oauth2/authorize", code_verifier=verifier)
    landed = person.open(link, until=pools.CALLBACK)
    token = session.fetch_token(
        f"{issuer}/oauth2/token",
        authorization_response=landed,
        state=state,
        code_verifier=verifier,
        verify=str(secure_server.certificate),
    )

    options = {"issuer": issuer, "userPoolId": pools.POOL_ID, "clientId": pools.PUBLIC.client_id}
    options |= {"idToken": token["id_token"], "accessToken": token["access_token"]}
    seen = apps.node(node, "jwt_verify.mjs", person, secure_server.certificate, **options)

    generic, moved = seen["generic"], seen["moved"]
    assert generic["id"]["token_use"] == "id"
    assert generic["access"]["token_use"] == "access"
    assert generic["audience"] == generic["id"]["aud"] == generic["access"]["client_id"] == pools.PUBLIC.client_id
    assert generic["swapped"] == "CognitoJwtInvalidTokenUseError"
    assert seen["elsewhere"] == "ParameterValidationError"  # "issuer not configured"
    assert moved["id"]["sub"] == moved["access"]["sub"] == moved["cached"]
    assert moved["id"]["cognito:groups"] == moved["access"]["cognito:groups"] == ["admins"]
    assert moved["scope"] == "JwtInvalidScopeError"
    assert moved["client"] == "CognitoJwtInvalidClientIdError"
    assert moved["group"] == "CognitoJwtInvalidGroupError"
    assert moved["tampered"] == "JwtInvalidSignatureError"
