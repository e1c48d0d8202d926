"""What Amplify v6 sends and reads, pinned without Node and Chromium: byte for byte as its published code writes it.

Its functions signInWithRedirect, completeOAuthFlow and oAuthSignOutRedirect are the source, and the AWS pages on the
authorize, token and logout endpoints say what must come back. test_amplify.py runs the library itself.
"""

import base64
import hashlib
import json
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import pytest

from tests.flows import pools
from tests.flows.person import Person
from tests.flows.server import Server

VERIFIER = "v" * 128
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
STATE = "gF3yHk0Zq1VbN7sLxW2cTj8RmD5aEoPu-2f6e6f7465733f69643d37"  # random, a hyphen, "/notes?id=7" in hex
USER_AGENT = "aws-amplify/6.22.1 auth/4 framework/1"
UNESCAPED = "!'()*-._~"  # by encodeURIComponent (ECMA-262 19.2.6.4)
ORIGIN = {"Origin": "https://app.example.com"}


def signed_in(server: Server, person: Person, client: pools.AppClient) -> dict[str, list[str]]:
    asked = {
        "redirect_uri": pools.CALLBACK,
        "response_type": "code",
        "client_id": client.client_id,
        "identity_provider": "COGNITO",
        "scope": "openid email profile",
        "state": STATE,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    landed = person.open(f"{server.issuer}/oauth2/authorize?{urlencode(asked)}", until=pools.CALLBACK)
    return parse_qs(urlsplit(landed).query)


def exchange(server: Server, fields: dict[str, str]) -> httpx.Response:
    """POST as a browser does for Amplify: no Authorization header, encodeURIComponent for every value."""
    body = "&".join(f"{name}={quote(value, safe=UNESCAPED)}" for name, value in fields.items())
    headers = {"Content-Type": "application/x-www-form-urlencoded", "x-amz-user-agent": USER_AGENT}
    return httpx.post(f"{server.issuer}/oauth2/token", content=body, headers=headers | ORIGIN)


@pytest.mark.parametrize("client", [pools.PUBLIC, pools.PUBLIC_OIDC], ids=str)
def test_the_code_and_the_state_come_back_and_the_exchange_has_what_amplify_reads(
    server: Server, person: Person, client: pools.AppClient
) -> None:
    answer = signed_in(server, person, client)
    assert answer["state"] == [STATE]
    fields = {
        "grant_type": "authorization_code",
        "code": answer["code"][0],
        "client_id": client.client_id,
        "redirect_uri": pools.CALLBACK,
        "code_verifier": VERIFIER,
    }
    response = exchange(server, fields)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    body = response.json()
    assert {"access_token", "refresh_token", "id_token", "token_type", "expires_in"} <= set(body)
    assert "error" not in body
    payload = body["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["username"] == pools.USERNAME
    assert claims["origin_jti"]  # what tells Amplify that the session can be revoked

    replayed = exchange(server, fields)
    assert replayed.status_code == 400
    assert replayed.json()["error"] == "invalid_grant"
    assert replayed.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("oauth2/token", "POST", "x-amz-user-agent"),
        ("oauth2/userInfo", "GET", "authorization"),
        ("oauth2/revoke", "POST", "authorization,content-type"),
        (".well-known/openid-configuration", "GET", "content-type"),
    ],
)
def test_the_browser_s_preflight_is_answered(server: Server, path: str, method: str, headers: str) -> None:
    """Fetch 4.8: status in the 2xx range, the origin, the method and every header allowed."""
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    response = httpx.options(f"{server.issuer}/{path}", headers=ORIGIN | asked)
    assert response.is_success
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    allowed = {word.strip() for word in response.headers["Access-Control-Allow-Headers"].lower().split(",")}
    assert set(headers.split(",")) <= allowed
    assert method in response.headers["Access-Control-Allow-Methods"]


def test_sign_out_takes_client_id_and_logout_uri(server: Server, person: Person) -> None:
    signed_in(server, person, pools.PUBLIC)
    leave = f"{server.issuer}/logout?client_id={pools.PUBLIC.client_id}&logout_uri={quote(pools.LOGOUT, safe='')}"
    assert person.open(leave, until=pools.LOGOUT) == pools.LOGOUT
    signed_in(server, person, pools.PUBLIC)
    assert person.signed_in == 2
