"""The main job: an app signs a user in on the hosted page and gets its tokens.

RFC 6749 4.1, RFC 7636, OpenID Connect Core 3.1. Tokens are verified by joserfc, an independent implementation.
"""

import base64
import hashlib
import re
import secrets
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client
from joserfc import jwt
from joserfc.jwk import KeySet

from accounts.models import AppClient, PoolUser, UserPool
from tests import factories
from tests.browser_like import sign_in

pytestmark = pytest.mark.django_db


def test_a_public_app_signs_a_user_in_and_reads_userinfo(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": app_client.client_id,
        "redirect_uri": factories.CALLBACK,
        "scope": "openid email",
        "state": "a+b/c=d&e",
        "nonce": "n-0S6_WzA2Mj",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    before = int(time.time())
    landed = sign_in(http, query)
    assert landed.startswith(factories.CALLBACK + "?")
    answer = parse_qs(urlsplit(landed).query)
    assert answer["state"] == ["a+b/c=d&e"]
    assert answer["iss"] == [pool.issuer]

    response = http.post(
        "/oauth2/token",
        urlencode(
            {
                "grant_type": "authorization_code",
                "client_id": app_client.client_id,
                "code": answer["code"][0],
                "redirect_uri": factories.CALLBACK,
                "code_verifier": verifier,
            }
        ),
        content_type="application/x-www-form-urlencoded",
    )
    assert response.status_code == 200, response.content
    body = response.json()
    assert list(body) == ["id_token", "access_token", "refresh_token", "expires_in", "token_type"]

    issuer = Client(headers={"host": "id.example.test"})
    keys = KeySet.import_key_set(issuer.get(f"/{pool.pk}/.well-known/jwks.json").json())
    identity = jwt.decode(body["id_token"], keys, algorithms=["RS256"]).claims
    assert identity["iss"] == pool.issuer == "https://id.example.test/eu-west-1_Demo00001"
    assert identity["aud"] == app_client.client_id
    assert identity["nonce"] == "n-0S6_WzA2Mj"
    assert identity["email"] == "ada@example.test"
    assert identity["email_verified"] is True
    assert before <= identity["auth_time"] <= identity["iat"] <= int(time.time())
    access = jwt.decode(body["access_token"], keys, algorithms=["RS256"])
    assert set(access.header) == {"kid", "alg"}
    assert access.claims["sub"] == identity["sub"] == user.sub

    userinfo = http.get("/oauth2/userInfo", headers={"authorization": f"Bearer {body['access_token']}"})
    assert userinfo.json() == {
        "sub": user.sub,
        "username": "ada",
        "email": "ada@example.test",
        "email_verified": "true",
    }
    refreshed = http.post(
        "/oauth2/token",
        urlencode(
            {"grant_type": "refresh_token", "client_id": app_client.client_id, "refresh_token": body["refresh_token"]}
        ),
        content_type="application/x-www-form-urlencoded",
    )
    assert list(refreshed.json()) == ["id_token", "access_token", "expires_in", "token_type"]
    again = http.get("/oauth2/authorize?" + urlencode(query))
    assert again["Location"].startswith(factories.CALLBACK + "?code=")


def test_the_login_page_is_reached_from_authorize(http: Client, app_client: AppClient) -> None:
    query = {"response_type": "code", "client_id": app_client.client_id, "redirect_uri": factories.CALLBACK}
    response = http.get("/oauth2/authorize?" + urlencode(query))
    assert response.status_code == 302
    assert re.match(r"/login\?", response["Location"])
