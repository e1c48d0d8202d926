"""ID tokens of providers at the function: examples of the specifications, every algorithm, and where each bound lies.

RFC 7515 appendices A.2 and A.3 (signatures), OpenID Connect Core 1.0 appendix A (whole ID tokens, their key and their
at_hash), section 3.1.3.7 (the checks) and 3.1.3.6 (at_hash); RFC 8037 (EdDSA). Tokens of today are joserfc's.
"""

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone
from joserfc import jws
from jwcrypto import jwk

from federation.errors import UpstreamFailed
from federation.upstream.discovery import ALGORITHMS
from federation.upstream.id_token import LATE, MAX_TOKEN, SKEW, Expected, at_hash, verified
from tests.fakes.oidc import Key, key

# RFC 7515 A.2 (RS256) and A.3 (ES256): the signed messages, and the public parts of the keys
JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
RFC7515_A2 = (
    f"eyJhbGciOiJSUzI1NiJ9.{JOE}."
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr"
    "7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--x"
    "i12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_Ioy"
    "pGlUPQGe77Rw"
)
RFC7515_A2_KEY = {
    "kty": "RSA",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SF"
    "d2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo"
    "7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkM"
    "Ls91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "e": "AQAB",
}
RFC7515_A3 = (
    f"eyJhbGciOiJFUzI1NiJ9.{JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
RFC7515_A3_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
# OpenID Connect Core, appendix A.7: the key of its examples; A.3: an ID token and the access token that came with it
CORE_KEY = {
    "kty": "RSA",
    "kid": "1e9gdk7",
    "n": "w7Zdfmece8iaB0kiTY8pCtiBtzbptJmP28nSWwtdjRu0f2GFpajvWE4VhfJAjEsOcwYzay7XGN0b-X84BfC8hmCTOj2b2eHT7NsZegFPKRUQz"
    "J9wW8ipn_aDJWMGDuB1XyqT1E7DYqjUCEOD1b4FLpy_xPn6oV_TYOfQ9fZdbE5HGxJUzekuGcOKqOQ8M7wfYHhHHLxGpQVgL0apWuP2gDDOdTtpuld4"
    "D2LK1MZK99s9gaSjRHE8JDb1Z4IGhEcEyzkxswVdPndUWzfvWBBWXWxtSUvQGBRkuy1BHOa4sP6FKjWEeeF7gm7UMs2Nm2QUgNZw6xvEDGaLk4KASdIx"
    "RQ",
    "e": "AQAB",
}
CORE_ACCESS_TOKEN = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
CORE_AT_HASH = "77QmUPtjPfzWtF2AnpK9RQ"
CORE_A3 = (
    "eyJraWQiOiIxZTlnZGs3IiwiYWxnIjoiUlMyNTYifQ."
    "ewogImlzcyI6ICJodHRwOi8vc2VydmVyLmV4YW1wbGUuY29tIiwKICJzdWIiOiAiMjQ4Mjg5NzYxMDAxIiwKICJhdWQiOiAiczZCaGRSa3F0MyIsCi"
    "Aibm9uY2UiOiAibi0wUzZfV3pBMk1qIiwKICJleHAiOiAxMzExMjgxOTcwLAogImlhdCI6IDEzMTEyODA5NzAsCiAiYXRfaGFzaCI6ICI3N1FtVVB0"
    "alBmeld0RjJBbnBLOVJRIgp9."
    "F9gRev0Dt2tKcrBkHy72cmRqnLdzw9FLCCSebV7mWs7o_sv2O5s6zMky2kmhHTVx9HmdvNnx9GaZ8XMYRFeYk8L5NZ7aYlA5W56nsG1iWOou_-gji0"
    "ibWIuuf4Owaho3YSoi7EvsTuLFz6tq-dLyz0dKABMDsiCmJ5wqkPUDTE3QTXjzbUmOzUDli-gCh5QPuZAq0cNW3pf_2n4zpvTYtbmj12cVcxGIMZby"
    "7TMWESRjQ9_o3jvhVNcCGcE0KAQXejhA1ocJhNEvQNqMFGlBb6_0RxxKjDZ-Oa329eGDidOvvp0h5hoES4a8IuGKS7NOcpp-aFwp0qVMDLI-Xnm-Pg"
)
CORE_MOMENT = 1311280970

NOW = 1_800_000_000
ISSUER, CLIENT, NONCE, ACCESS_TOKEN = "https://idp.example.test", "userpool", "n" * 43, "access-token"
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": CLIENT,
    "sub": "ada",
    "iat": NOW,
    "exp": NOW + 300,
    "nonce": NONCE,
}
CURVES = {
    "ES256": ("p256", "P-256"),
    "ES384": ("p384", "P-384"),
    "ES512": ("p521", "P-521"),
    "EdDSA": ("ed", "Ed25519"),
    "Ed25519": ("ed", "Ed25519"),
}
REGISTRY = jws.JWSRegistry(algorithms=[*ALGORITHMS], strict_check_header=False)
# joserfc would rather have it called Ed25519 (RFC 9864)
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, NOW)


def set_clock(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    monkeypatch.setattr(timezone, "now", lambda: datetime.fromtimestamp(now, UTC))


def expected(**changes: Any) -> Expected:
    values: dict[str, Any] = {
        "issuer": lambda issuer: issuer == ISSUER,
        "client_id": CLIENT,
        "algorithms": ALGORITHMS,
        "nonce": NONCE,
        "begun": datetime.fromtimestamp(NOW, UTC),
        "access_token": ACCESS_TOKEN,
    }
    return Expected(**values | changes)


def key_for(alg: str) -> Key:
    return key(*CURVES[alg]) if alg in CURVES else key()


def signed(claims: Any = None, alg: str = "RS256", signer: Key | None = None, **header: Any) -> str:
    payload = claims if isinstance(claims, bytes) else json.dumps(CLAIMS if claims is None else claims).encode()
    return jws.serialize_compact({"alg": alg} | header, payload, signer or key_for(alg), registry=REGISTRY)


def public(one: Key) -> jwk.JWK:
    return jwk.JWK(**{name: value for name, value in one.as_dict(private=False).items() if name != "use"})


def check(token: Any, wanted: Expected | None = None, *keys: jwk.JWK) -> dict[str, Any]:
    found = list(keys) or [public(key())]
    return verified(token, wanted or expected(), lambda alg, kid: found)


def reason(token: Any, wanted: Expected | None = None, *keys: jwk.JWK) -> str:
    with pytest.raises(UpstreamFailed) as caught:
        check(token, wanted, *keys)
    assert caught.value.description == f"Bad {caught.value.reason.replace('id_token_', 'id_token ')}"
    return caught.value.reason.removeprefix("id_token_")


def with_claims(**changes: Any) -> str:
    """A good token but for these claims; ``...`` takes one out."""
    return signed({name: value for name, value in (CLAIMS | changes).items() if value is not ...})


def replaced(token: str, number: int, part: str) -> str:
    parts = token.split(".")
    parts[number] = part
    return ".".join(parts)


def encoded(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


# --- the examples of the specifications


def core_expected(**changes: Any) -> Expected:
    return expected(
        **{
            "issuer": lambda issuer: issuer == "http://server.example.com",
            "client_id": "s6BhdRkqt3",
            "nonce": "n-0S6_WzA2Mj",
            "begun": datetime.fromtimestamp(CORE_MOMENT, UTC),
            "access_token": CORE_ACCESS_TOKEN,
        }
        | changes
    )


def test_the_id_token_of_openid_connect_core_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, CORE_MOMENT + 1)
    asked = []

    def keys(alg: str, kid: str | None) -> list[jwk.JWK]:
        asked.append((alg, kid))
        return [jwk.JWK(**CORE_KEY)]

    claims = verified(CORE_A3, core_expected(), keys)
    assert claims == {
        "iss": "http://server.example.com",
        "sub": "248289761001",
        "aud": "s6BhdRkqt3",
        "nonce": "n-0S6_WzA2Mj",
        "exp": 1311281970,
        "iat": 1311280970,
        "at_hash": CORE_AT_HASH,
    }
    assert asked == [("RS256", "1e9gdk7")]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"issuer": lambda issuer: issuer == "https://server.example.com"}, "issuer"),
        ({"client_id": "another"}, "audience"),
        ({"nonce": "n-0S6_WzA2MJ"}, "nonce"),
        ({"access_token": CORE_ACCESS_TOKEN + "Y"}, "at_hash"),
        ({"algorithms": ("ES256",)}, "algorithm"),
    ],
)
def test_the_id_token_of_openid_connect_core_is_for_nobody_else(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], what: str
) -> None:
    set_clock(monkeypatch, CORE_MOMENT + 1)
    assert reason(CORE_A3, core_expected(**changes), jwk.JWK(**CORE_KEY)) == what


@pytest.mark.parametrize(("token", "entry"), [(RFC7515_A2, RFC7515_A2_KEY), (RFC7515_A3, RFC7515_A3_KEY)])
def test_the_signatures_of_rfc_7515_verify(token: str, entry: dict[str, str]) -> None:
    """They are no ID tokens: the signature passes, and the audience is missing."""
    joe = expected(issuer=lambda issuer: issuer == "joe")
    assert reason(token, joe, jwk.JWK(**entry)) == "audience"
    assert reason(token, None, jwk.JWK(**entry)) == "issuer"
    for other in (RFC7515_A2_KEY, RFC7515_A3_KEY, CORE_KEY):
        if other != entry:
            assert reason(token, joe, jwk.JWK(**other)) == "signature"
    header, payload, signature = token.split(".")
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    assert reason(f"{header}.{payload}.{flipped}", joe, jwk.JWK(**entry)) == "signature"
    assert reason(f"{header}.{payload}.{signature[:-4]}", joe, jwk.JWK(**entry)) == "signature"


@pytest.mark.parametrize(
    ("alg", "access_token", "value"),
    [
        ("RS256", CORE_ACCESS_TOKEN, CORE_AT_HASH),  # Core A.3
        (
            "RS256",
            "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk",
            "LDktKdoQak3Pk0cnXxCltA",
        ),  # A.6, c_hash
        ("PS256", CORE_ACCESS_TOKEN, CORE_AT_HASH),
        ("ES256", CORE_ACCESS_TOKEN, CORE_AT_HASH),
    ],
)
def test_the_hashes_of_openid_connect_core_come_out(alg: str, access_token: str, value: str) -> None:
    assert at_hash(access_token, alg) == value


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_an_at_hash_is_the_left_half_of_the_hash_that_goes_with_the_algorithm(alg: str) -> None:
    """Core 3.1.3.6; Ed25519 hashes with SHA-512 (RFC 8032 5.1)."""
    by_size = {"256": hashlib.sha256, "384": hashlib.sha384}
    digest = by_size.get(alg[-3:], hashlib.sha512)(ACCESS_TOKEN.encode()).digest()
    value = base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")
    assert at_hash(ACCESS_TOKEN, alg) == value
    token = signed(CLAIMS | {"at_hash": value}, alg)
    assert check(token, None, public(key_for(alg)))["at_hash"] == value
    whole = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    for wrong in (whole, value + "=", value.lower() + "x", "", None, [value]):
        assert reason(signed(CLAIMS | {"at_hash": wrong}, alg), None, public(key_for(alg))) == "at_hash"


# --- algorithms and keys


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_every_algorithm_of_ours_verifies_what_joserfc_signs(alg: str) -> None:
    assert check(signed(alg=alg), None, public(key_for(alg))) == CLAIMS
    assert check(signed(alg=alg), expected(algorithms=(alg,)), public(key_for(alg))) == CLAIMS


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_an_algorithm_that_the_provider_does_not_announce_is_refused(alg: str) -> None:
    others = tuple(name for name in ALGORITHMS if name != alg)
    assert reason(signed(alg=alg), expected(algorithms=others), public(key_for(alg))) == "algorithm"


def test_a_token_that_is_signed_with_what_everybody_knows_is_refused() -> None:
    """CVE-2015-9235: a public key as the secret of an HMAC; and no signature at all (RFC 7515 A.5)."""
    message = f"{encoded({'alg': 'HS256'})}.{encoded(CLAIMS)}"
    for secret in (key().as_pem(private=False), json.dumps(key().as_dict(private=False)).encode(), b"client secret"):
        signature = hmac.new(secret, message.encode(), hashlib.sha256).digest()
        assert reason(f"{message}.{encoded(signature)}") == "algorithm"
    for alg in ("none", "None", "NONE", "", None, 256, ["RS256"], {"RS256": 1}):
        assert reason(f"{encoded({'alg': alg})}.{encoded(CLAIMS)}.") == "algorithm"
    assert reason(f"{encoded({})}.{encoded(CLAIMS)}.") == "algorithm"


@pytest.mark.parametrize("alg", ["rs256", "RS256 ", "RS1", "RSA-OAEP", "ES256K", "Ed448", "HS512"])
def test_an_algorithm_of_another_name_is_refused(alg: str) -> None:
    assert reason(replaced(signed(), 0, encoded({"alg": alg}))) == "algorithm"


def test_the_header_cannot_turn_one_algorithm_into_another() -> None:
    token = signed(alg="RS256")
    for alg in ALGORITHMS:
        if alg != "RS256":
            assert reason(replaced(token, 0, encoded({"alg": alg})), None, public(key_for(alg))) == "signature"
            assert reason(replaced(token, 0, encoded({"alg": alg})), None, public(key())) == "signature"


def test_a_key_in_the_token_is_not_used() -> None:
    """RFC 7515 4.1.3 and 10.7: jwk, jku, x5c and x5u say what the signer likes."""
    own = key("two")
    header = {"jwk": own.as_dict(private=False), "jku": "https://evil.example.test/jwks", "x5u": "https://evil.test/"}
    assert reason(signed(signer=own, **header)) == "signature"


def test_each_key_that_may_have_signed_is_tried() -> None:
    two = public(key("two"))
    assert check(signed(), None, two, public(key()), two) == CLAIMS
    assert reason(signed(), None, two) == "signature"
    with pytest.raises(UpstreamFailed) as caught:
        verified(signed(), expected(), lambda alg, kid: [])
    assert caught.value.reason == "id_token_signature"


@pytest.mark.parametrize("kid", [7, ["one"], {"a": 1}, True])
def test_a_kid_is_a_string(kid: Any) -> None:
    assert reason(replaced(signed(), 0, encoded({"alg": "RS256", "kid": kid}))) == "key"


# --- form


@pytest.mark.parametrize(
    "token",
    [
        None, 7, [], {}, b"a.b.c", "", ".", "..", "a.b", "a.b.c.d", "a.b.c.d.e", "ü.b.c", "!.b.c", "a" * 100,
        f"{encoded([])}.{encoded(CLAIMS)}.x", f"{encoded('RS256')}.{encoded(CLAIMS)}.x", f"{encoded(b'{')}.e30.x",
        f"{encoded(b'{' + b'[' * 30_000)}.e30.x", f"{encoded(bytes([0xff, 0xfe, 0]))}.e30.x",
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused(token: Any) -> None:
    assert reason(token) == "format"


def test_a_token_has_a_greatest_length() -> None:
    fits = MAX_TOKEN - len(signed(CLAIMS | {"pad": ""})) - 2000
    assert check(signed(CLAIMS | {"pad": "x" * (fits * 3 // 4)}))
    assert reason(signed(CLAIMS | {"pad": "x" * MAX_TOKEN})) == "format"


@pytest.mark.parametrize("header", [{"crit": ["b64"], "b64": False}, {"crit": []}, {"crit": ["exp"]}, {"b64": True}])
def test_extensions_that_we_do_not_know_are_refused(header: dict[str, Any]) -> None:
    """RFC 7515 4.1.11, RFC 7797."""
    assert reason(replaced(signed(), 0, encoded({"alg": "RS256"} | header))) == "format"


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b'"x"', b"{", b"\xff", b"[" * 30_000])
def test_what_is_signed_must_be_claims(payload: bytes) -> None:
    assert reason(signed(payload)) == "format"


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": "at+jwt"}, {"kid": "x", "x5t": "y"}, {"cty": "JWT"}])
def test_what_else_stands_in_the_header_does_not_matter(header: dict[str, Any]) -> None:
    assert check(signed(**header)) == CLAIMS


# --- claims


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"iss": ...}, "issuer"),
        ({"iss": f"{ISSUER}/"}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"aud": ...}, "audience"),
        ({"aud": ""}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": "userpool2"}, "audience"),
        ({"aud": {"userpool": 1}}, "audience"),
        ({"aud": [["userpool"]]}, "audience"),
        ({"aud": ["other", "another"], "azp": "userpool"}, "audience"),
        ({"aud": ["userpool", "other"]}, "azp"),
        ({"aud": ["userpool", "other"], "azp": "other"}, "azp"),
        ({"azp": "other"}, "azp"),
        ({"azp": None}, "azp"),
        ({"azp": ["userpool"]}, "azp"),
        ({"sub": ...}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": None}, "subject"),
        ({"sub": 7}, "subject"),
        ({"sub": ["ada"]}, "subject"),
        ({"sub": "x" * 256}, "subject"),
        ({"exp": ...}, "expiry"),
        ({"exp": str(NOW + 300)}, "expiry"),
        ({"exp": True}, "expiry"),
        ({"exp": None}, "expiry"),
        ({"exp": 0}, "expiry"),
        ({"exp": (NOW + 300) * 1000}, "expiry"),  # milliseconds
        ({"exp": NOW - SKEW}, "expiry"),
        ({"iat": ...}, "issue_time"),
        ({"iat": str(NOW)}, "issue_time"),
        ({"iat": -1}, "issue_time"),
        ({"iat": NOW + SKEW + 1}, "issue_time"),
        ({"iat": NOW - LATE - 1}, "issue_time"),
        ({"nbf": NOW + SKEW + 1}, "issue_time"),
        ({"nbf": "x"}, "issue_time"),
        ({"nbf": True}, "issue_time"),
        ({"nonce": ...}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"nonce": NONCE.upper()}, "nonce"),
        ({"nonce": [NONCE]}, "nonce"),
        ({"nonce": "\ud800"}, "nonce"),
        ({"nonce": "ü" * 43}, "nonce"),
    ],
)
def test_a_claim_that_is_wrong_ends_it(changes: dict[str, Any], what: str) -> None:
    assert reason(with_claims(**changes)) == what


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["userpool"]},
        {"aud": ["other", "userpool"], "azp": "userpool"},
        {"azp": "userpool"},
        {"sub": "x" * 255},
        {"exp": NOW - SKEW + 1},
        {"exp": NOW + 0.5},
        {"iat": NOW + SKEW},
        {"iat": NOW - LATE},
        {"iat": NOW + 0.25},
        {"nbf": NOW + SKEW},
        {"auth_time": "not asked for"},
        {"c_hash": "not looked at", "acr": None, "amr": ["pwd"]},
    ],
)
def test_what_is_within_the_bounds_passes(changes: dict[str, Any]) -> None:
    assert check(with_claims(**changes)) == CLAIMS | changes


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400"])
@pytest.mark.parametrize("name", ["exp", "iat"])
def test_a_moment_is_a_finite_number(name: str, value: str) -> None:
    """Python's parser takes what JSON does not know; NaN is smaller and greater than nothing."""
    payload = re.sub(rf'"{name}": \d+', f'"{name}": {value}', json.dumps(CLAIMS))
    assert reason(signed(payload.encode())) in ("expiry", "issue_time", "format")


@pytest.mark.parametrize(
    ("auth_time", "max_age", "good"),
    [
        (NOW - 3600 - SKEW, 3600, True),
        (NOW - 3601 - SKEW, 3600, False),
        (NOW, 0, True),
        (NOW - SKEW - 1, 0, False),
        (NOW - 10**6, None, True),
        ("x", 3600, False),
        (None, 3600, False),
    ],
)
def test_a_sign_in_that_was_to_be_recent_is(auth_time: Any, max_age: int | None, good: bool) -> None:
    """Core 3.1.2.1 and 3.1.3.7 step 13."""
    token, wanted = with_claims(auth_time=auth_time), expected(max_age=max_age)
    if good:
        assert check(token, wanted)["auth_time"] == auth_time
    else:
        assert reason(token, wanted) == "auth_time"


def test_a_token_of_another_sign_in_of_the_same_person_is_refused() -> None:
    assert reason(signed(), expected(nonce="m" * 43)) == "nonce"
    assert reason(signed(), expected(begun=datetime.fromtimestamp(NOW + LATE + 1, UTC))) == "issue_time"
    value = at_hash("another access token", "RS256")
    assert reason(with_claims(at_hash=value)) == "at_hash"
