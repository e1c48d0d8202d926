"""The sample app believes nothing that it has not verified; people will copy it.

OpenID Connect Core 3.1.3.7 (ID token validation) and 5.3.2 (userInfo's sub), RFC 8725 3.1 (the algorithm is ours), and
AWS's "Verifying JSON web tokens" (token_use, client_id). A fake issuer signs; one thing is wrong in each case.
"""

import base64
import hashlib
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from jwcrypto import jwk, jws

ISSUER, CLIENT, OWN = "https://id.example.test/eu-west-1_Test00001", "1exampleclient", "http://localhost:8001"
KEY, OTHER = (jwk.JWK.generate(kty="RSA", size=2048, kid=kid) for kid in ("first", "other"))


def load() -> ModuleType:
    path = Path(__file__).resolve().parent.parent.parent / "examples" / "sample_app.py"
    spec = importlib.util.spec_from_file_location("sample_app", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sample_app"] = module
    spec.loader.exec_module(module)
    return module


sample_app = load()


def signed(claims: dict[str, Any], key: jwk.JWK = KEY, alg: str = "RS256", kid: str = "first") -> str:
    token = jws.JWS(json.dumps(claims))
    token.add_signature(key, alg, json.dumps({"alg": alg, "kid": kid}))
    return str(token.serialize(compact=True))


def unsigned(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none", "kid": "first"}, claims)
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return ".".join([*encoded, ""])


def hmac_with_public_key(claims: dict[str, Any]) -> str:
    """The confusion of RFC 8725 2.1: the public key as an HMAC secret."""
    secret = base64.urlsafe_b64encode(KEY.export_to_pem()).rstrip(b"=").decode()
    return signed(claims, jwk.JWK(kty="oct", k=secret), "HS256")


class Issuer:
    """Answers as an issuer does; ``changes`` are laid over the claims."""

    def __init__(self, attempt: Any, id_changes: dict[str, Any], access_changes: dict[str, Any]) -> None:
        now = int(time.time())
        common = {"iss": ISSUER, "sub": "u1", "iat": now, "exp": now + 3600}
        access = common | {"client_id": CLIENT, "token_use": "access"} | access_changes
        self.access_token = signed(access)
        half = hashlib.sha256(self.access_token.encode()).digest()[:16]
        at_hash = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
        rest = {"aud": CLIENT, "token_use": "id", "nonce": attempt.nonce, "at_hash": at_hash}
        self.id_claims = {name: value for name, value in (common | rest | id_changes).items() if value is not None}
        self.id_token = signed(self.id_claims)
        self.userinfo: dict[str, Any] = {"sub": "u1", "email": "ada@example.test"}
        self.sent: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        path = request.url.path.rpartition("/")[2]
        answers: dict[str, Any] = {
            "openid-configuration": {
                "issuer": ISSUER,
                "authorization_endpoint": f"{ISSUER}/oauth2/authorize",
                "token_endpoint": f"{ISSUER}/oauth2/token",
                "userinfo_endpoint": f"{ISSUER}/oauth2/userInfo",
                "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
            },
            "jwks.json": {"keys": [KEY.export_public(as_dict=True)]},
            "token": {"id_token": self.id_token, "access_token": self.access_token},
            "userInfo": self.userinfo,
        }
        return httpx.Response(200, json=answers[path])


Complete = Callable[..., Any]


@pytest.fixture
def complete() -> Complete:
    def run(
        id_changes: dict[str, Any] | None = None,
        access_changes: dict[str, Any] | None = None,
        spoil: Callable[[Issuer], None] = lambda issuer: None,
    ) -> Any:
        party = sample_app.RelyingParty(ISSUER, CLIENT, OWN)
        attempt = sample_app.Attempt(browser="b")
        issuer = Issuer(attempt, id_changes or {}, access_changes or {})
        spoil(issuer)
        party.http = httpx.Client(transport=httpx.MockTransport(issuer))
        done = party.complete("the code", attempt)
        return done, issuer, attempt

    return run


def test_what_is_right_is_believed_and_the_code_goes_out_with_its_verifier(complete: Complete) -> None:
    done, issuer, attempt = complete()
    assert done.id_claims["sub"] == done.access_claims["sub"] == done.userinfo["sub"] == "u1"
    form = dict(httpx.QueryParams(next(r for r in issuer.sent if r.url.path.endswith("/token")).content.decode()))
    assert form["code_verifier"] == attempt.verifier
    assert form["code"] == "the code"
    assert form["redirect_uri"] == f"{OWN}/callback"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example.test"},
        {"iss": f"{ISSUER}/"},
        {"aud": "another-client"},
        {"aud": None},
        {"exp": int(time.time()) - 1},
        {"exp": None},
        {"exp": "9999999999"},
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": "é"},
        {"token_use": "access"},
        {"at_hash": "another"},
        {"sub": None},
    ],
)
def test_an_id_token_with_a_wrong_claim_is_refused(complete: Complete, changes: dict[str, Any]) -> None:
    with pytest.raises(sample_app.SignInError):
        complete(id_changes=changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example.test"},
        {"client_id": "another-client"},
        {"exp": int(time.time()) - 1},
        {"token_use": "id"},
    ],
)
def test_an_access_token_with_a_wrong_claim_is_refused(complete: Complete, changes: dict[str, Any]) -> None:
    with pytest.raises(sample_app.SignInError):
        complete(access_changes=changes)


@pytest.mark.parametrize(
    "forge",
    [
        lambda claims: signed(claims, OTHER),
        lambda claims: signed(claims, OTHER, kid="other"),
        lambda claims: signed(claims, alg="PS256"),
        unsigned,
        hmac_with_public_key,
        lambda claims: signed(claims)[:-6] + "AAAAAA",
        lambda claims: "",
        lambda claims: "not.a.token",
        lambda claims: None,
        lambda claims: 7,
    ],
    ids=["foreign key", "unpublished key", "other algorithm", "none", "HMAC", "cut", "empty", "junk", "null", "number"],
)
def test_a_forged_id_token_is_refused(complete: Complete, forge: Callable[[dict[str, Any]], Any]) -> None:
    def spoil(issuer: Issuer) -> None:
        issuer.id_token = forge(issuer.id_claims)

    with pytest.raises(sample_app.SignInError):
        complete(spoil=spoil)


def test_userinfo_of_another_user_is_refused(complete: Complete) -> None:
    with pytest.raises(sample_app.SignInError, match="another user"):
        complete(spoil=lambda issuer: issuer.userinfo.update(sub="u2"))


def test_a_discovery_document_of_another_issuer_is_refused() -> None:
    party = sample_app.RelyingParty(ISSUER, CLIENT, OWN)
    other = httpx.MockTransport(lambda request: httpx.Response(200, json={"issuer": "https://evil.example.test"}))
    party.http = httpx.Client(transport=other)
    with pytest.raises(sample_app.SignInError, match="another issuer"):
        party.discover()


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(400, json={"error": "invalid_grant"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=["a"]),
        httpx.Response(502, text="bad gateway"),
    ],
)
def test_an_answer_that_is_no_json_object_is_an_error_page_and_no_failure(response: httpx.Response) -> None:
    party = sample_app.RelyingParty(ISSUER, CLIENT, OWN)
    party.http = httpx.Client(transport=httpx.MockTransport(lambda request: response))
    with pytest.raises(sample_app.SignInError, match="refused"):
        party.discover()


IDENTITY = {"userId": "<7>", "providerName": "Corp", "primary": "true", "dateCreated": "1642699117273"}


@pytest.mark.parametrize("value", [[IDENTITY], json.dumps([IDENTITY])], ids=["ID token", "userInfo"])
def test_the_identities_of_a_federated_user_are_shown_one_by_one(value: Any) -> None:
    """The sample of the AWS page on the ID token: a list there, and JSON in a string at userInfo."""
    shown = sample_app.table({"identities": value})
    assert "<dt>providerName</dt><dd>Corp</dd>" in shown
    assert "<dt>userId</dt><dd>&lt;7&gt;</dd>" in shown
    assert "1642699117273 <time" in shown
    assert "20 Jan 2022, 17:18:37 UTC" in shown


@pytest.mark.parametrize("value", ["<b>", "[1]", "{}", 7, [], ["<b>"], None, [{"dateCreated": "9" * 40}]], ids=repr)
def test_identities_that_are_something_else_are_shown_as_they_came(value: Any) -> None:
    shown = sample_app.table({"identities": value})
    assert "<b>" not in shown
    assert "<time" not in shown


@pytest.mark.parametrize(
    ("given", "expected"), [({}, None), ({"provider": "Corp"}, "Corp"), ({"provider": ""}, None)], ids=str
)
def test_the_link_names_a_provider_only_when_it_was_chosen(given: dict[str, str], expected: str | None) -> None:
    party = sample_app.RelyingParty(ISSUER, CLIENT, OWN, providers={"Corp": "Example <Corp>"})
    issuer = Issuer(sample_app.Attempt(browser=""), {}, {})
    party.http = httpx.Client(transport=httpx.MockTransport(issuer))
    app = sample_app.SampleApp(party)
    location = dict(app.sign_in(given, {}).headers)["Location"]
    assert httpx.URL(location).params.get("identity_provider") == expected
    assert 'href="/sign-in?provider=Corp">Sign in with Example &lt;Corp&gt;<' in app.home({}, {}).body


def test_a_provider_that_the_app_was_not_told_of_is_none() -> None:
    app = sample_app.SampleApp(sample_app.RelyingParty(ISSUER, CLIENT, OWN, providers={"Corp": "Corp"}))
    with pytest.raises(sample_app.SignInError, match="no such way"):
        app.sign_in({"provider": "corp"}, {})
