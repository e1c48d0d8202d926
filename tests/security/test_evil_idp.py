"""What a hostile or broken OpenID Provider may try, and what becomes of it: each is refused with a reason of its own.

OpenID Connect Core 1.0 3.1.3.7 (ID Token Validation), 3.1.3.8 (at_hash), 5.3 (UserInfo), 10.1 (keys and rotation), 16
(attacks), Discovery 1.0 4.3, RFC 8725 (JWT best current practices), RFC 7515 4.1, RFC 7517 4, RFC 9207 (mix-up), RFC
9700 4.4; OWASP's prevention of server-side request forgery. A refusal is an error redirect to the app: no code, no
user, no session, never a 500. Signatures are joserfc's and cryptography's; Userpool's own library makes none of them.
"""

import base64
import gzip
import hashlib
import hmac
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpcore
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from httpcore._backends.sync import SyncStream

from accounts import directory, sessions
from accounts.models import AppClient, AuthEvent, IdentityProvider, PoolUser, ProviderDocument, UserPool
from accounts.models import SignInSession as Session
from federation.upstream import addresses, keys
from federation.upstream import http as outgoing
from tests.fakes.browser import at_provider, come_back, fields_of, register, through
from tests.fakes.oidc import Key, OidcIdp, key, signed
from tests.fakes.server import FakeServer, Handler, Reply, dribble, tls
from tests.wire.helpers import ask, query_of, sent_to_app, set_values

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:EdDSA is deprecated")]
DISCOVERY = "/.well-known/openid-configuration"
JSON = {"Content-Type": "application/json"}
Arrange = Callable[[OidcIdp], object]
Forge = Callable[[dict[str, Any], dict[str, Any]], str]


@pytest.fixture
def provider(idp: OidcIdp, pool: UserPool, app_client: AppClient) -> IdentityProvider:
    return register(idp, pool, app_client)


@pytest.fixture
def query(app_client: AppClient, provider: IdentityProvider) -> dict[str, str]:
    return query_of(app_client, identity_provider="Corp")


@pytest.fixture
def deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second for a whole sign-in, while a single read may still take five."""
    monkeypatch.setattr(outgoing, "TOTAL", 0.5)


def journey(browser: Client, query: dict[str, str], posted: bool = False) -> HttpResponse:
    """Go out and come back, or no further than the refusal on the way out."""
    sent = ask(browser, query)
    if sent["Location"].startswith(query["redirect_uri"]):
        return sent
    return come_back(browser, at_provider(sent), posted)


def refused(response: HttpResponse, reason: str, error: str = "invalid_request") -> str:
    """Check that the app is told of an error, the operator ``reason``, and nobody is in. Return the app's words."""
    told = sent_to_app(response)
    assert (told["error"], told["state"]) == (error, "xyz"), told
    assert "code" not in told
    attempt = AuthEvent.objects.latest("id")
    assert (attempt.outcome, attempt.reason, attempt.error) == ("refused", reason, error)
    assert sessions.COOKIE not in response.cookies
    assert not Session.objects.exists()
    assert not PoolUser.objects.exists()
    return told["error_description"]


def accepted(response: HttpResponse) -> None:
    assert "code" in sent_to_app(response)
    assert AuthEvent.objects.latest("id").outcome == "succeeded"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(payload: Any, header: Any, sign: Callable[[bytes], bytes]) -> str:
    """Return a JWS that no library would make."""
    parts = [b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, payload)]
    return ".".join([*parts, b64(sign(".".join(parts).encode()))])


def rs256(by: Key | None = None) -> Callable[[bytes], bytes]:
    """Sign as RS256 (RFC 7518 3.3), whatever the header says."""
    private = (by or key()).get_op_key("sign")
    return lambda data: private.sign(data, padding.PKCS1v15(), hashes.SHA256())


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda data: hmac.new(secret, data, hashlib.sha256).digest()


def jwk_of(by: Key, **changes: Any) -> dict[str, Any]:
    """Return the public JWK of a key, with changes; None takes a member out."""
    found = by.as_dict(private=False) | changes
    return {name: value for name, value in found.items() if value is not None}


def publish(idp: OidcIdp, *entries: Any) -> None:
    idp.misbehave("/jwks", Reply({"keys": list(entries)}))


def age_documents() -> None:
    """Make every copy older than the cool-down, and still fresh."""
    ProviderDocument.objects.update(fetched_at=timezone.now() - keys.COOLDOWN - timedelta(seconds=1))
    directory.forget()


# --- the claims of the ID token (Core 3.1.3.7)

NOW = int(time.time())
CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "iss of somebody else": ({"iss": "https://idp.example.test"}, "issuer"),
    "iss missing": ({"iss": None}, "issuer"),
    "iss a list": ({"iss": ["https://idp.example.test"]}, "issuer"),
    "iss empty": ({"iss": ""}, "issuer"),
    "aud of somebody else": ({"aud": "somebody"}, "audience"),
    "aud missing": ({"aud": None}, "audience"),
    "aud without us": ({"aud": ["somebody", "somebody else"]}, "audience"),
    "aud empty": ({"aud": []}, "audience"),
    "aud a map with us": ({"aud": {"userpool": "userpool"}}, "audience"),
    "aud in another case": ({"aud": "UserPool"}, "audience"),
    "aud that begins like us": ({"aud": "userpool2"}, "audience"),
    "aud a list in a list": ({"aud": [["userpool"]]}, "audience"),
    "aud with others and no azp": ({"aud": ["userpool", "somebody"]}, "azp"),
    "azp of somebody else": ({"azp": "somebody"}, "azp"),
    "azp of somebody else in a list": ({"aud": ["userpool", "somebody"], "azp": "somebody"}, "azp"),
    "azp a list": ({"azp": ["userpool"]}, "azp"),
    "nonce wrong": ({"nonce": "x" * 43}, "nonce"),
    "nonce missing": ({"nonce": None}, "nonce"),
    "nonce empty": ({"nonce": ""}, "nonce"),
    "nonce a list": ({"nonce": ["x"]}, "nonce"),
    "nonce that is no text": ({"nonce": "\ud800"}, "nonce"),
    "expired": ({"exp": NOW - 3600}, "expiry"),
    "exp missing": ({"exp": None}, "expiry"),
    "exp a string": ({"exp": str(NOW + 3600)}, "expiry"),
    "exp true": ({"exp": True}, "expiry"),
    "exp NaN": ({"exp": float("nan")}, "expiry"),
    "exp infinite": ({"exp": float("inf")}, "expiry"),
    "exp in milliseconds": ({"exp": NOW * 1000}, "expiry"),
    "exp negative": ({"exp": -1}, "expiry"),
    "iat in the future": ({"iat": NOW + 7200, "exp": NOW + 9000}, "issue_time"),
    "iat long before the sign-in": ({"iat": NOW - 3600}, "issue_time"),
    "iat missing": ({"iat": None}, "issue_time"),
    "iat a string": ({"iat": str(NOW)}, "issue_time"),
    "nbf in the future": ({"nbf": NOW + 7200}, "issue_time"),
    "nbf a string": ({"nbf": "0"}, "issue_time"),
    "sub missing": ({"sub": None}, "subject"),
    "sub empty": ({"sub": ""}, "subject"),
    "sub a number": ({"sub": 42}, "subject"),
    "sub a list": ({"sub": ["ada"]}, "subject"),
    "sub of 256 characters": ({"sub": "s" * 256}, "subject"),
    "at_hash wrong": ({"at_hash": b64(b"x" * 16)}, "at_hash"),
    "at_hash empty": ({"at_hash": ""}, "at_hash"),
    "at_hash a list": ({"at_hash": []}, "at_hash"),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_a_token_with_a_wrong_claim_is_refused(http: Client, query: dict[str, str], idp: OidcIdp, case: str) -> None:
    idp.claims, what = CLAIMS[case]
    assert refused(journey(http, query), f"id_token_{what}") == f"Bad id_token {what}"
    assert not idp.called("/userinfo")


def test_a_number_that_only_json_can_write_is_no_time(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    idp.claims = {"exp": "EXP"}
    idp.forge = lambda claims, header: signed(json.dumps(claims).replace('"EXP"', "1e999"), header, idp.key)
    refused(journey(http, query), "id_token_expiry")


@pytest.mark.parametrize("subject", ["a\x00da", "ada\ud800"])
def test_a_subject_that_cannot_be_stored_is_refused(
    http: Client, query: dict[str, str], idp: OidcIdp, subject: str
) -> None:
    """PostgreSQL stores neither NUL nor half of a surrogate pair."""
    idp.user = {"sub": subject}
    refused(journey(http, query), "subject_invalid")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["userpool"]},
        {"aud": ["userpool", "somebody"], "azp": "userpool"},
        {"azp": "userpool"},
        {"exp": NOW + 300.5},
        {"nbf": NOW - 10},
        {"sub": "ada", "extra": {"deep": [1, None, True]}},
    ],
)
def test_what_the_specification_allows_is_accepted(
    http: Client, query: dict[str, str], idp: OidcIdp, claims: dict[str, Any]
) -> None:
    """Each refusal above comes from what is wrong, and not from the claim's being there."""
    idp.claims = claims
    accepted(journey(http, query))


def test_the_issuer_of_another_provider_of_the_pool_is_wrong_here(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str], idp: OidcIdp
) -> None:
    with OidcIdp() as other:
        register(other, pool, app_client, name="Other")
        idp.claims = {"iss": other.issuer}
        refused(journey(http, query), "id_token_issuer")


def test_an_issuer_is_compared_as_the_provider_spells_it(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """Discovery 4.3, RFC 3986 6.2.1: string comparison; a slash at the end is another issuer."""
    idp.claims = {"iss": f"{idp.issuer}/"}
    refused(journey(http, query), "id_token_issuer")


def test_the_nonce_of_another_sign_in_is_wrong(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """RFC 9700 4.5: an injected code carries the nonce of the browser that it was stolen from."""
    idp.metadata = {"code_challenge_methods_supported": None}  # with PKCE the code would not even be redeemed
    stolen = fields_of(at_provider(ask(Client(headers={"host": "demo.auth.example.test"}), query)))["code"]
    back = at_provider(ask(http, query))
    refused(come_back(http, back, code=stolen), "id_token_nonce")


# --- algorithms and signatures (RFC 8725 3.1, 3.2)


def all_algorithms(idp: OidcIdp) -> None:
    idp.metadata = {"id_token_signing_alg_values_supported": ["RS256", "HS256", "ES256", "none"]}


def unsigned(alg: str) -> Arrange:
    def arrange(idp: OidcIdp) -> None:
        all_algorithms(idp)
        idp.forge = lambda claims, header: compact(claims, header | {"alg": alg}, lambda _: b"")

    return arrange


def shared_secret(secret: Callable[[OidcIdp], bytes]) -> Arrange:
    def arrange(idp: OidcIdp) -> None:
        all_algorithms(idp)
        idp.forge = lambda claims, header: compact(claims, header | {"alg": "HS256"}, hs256(secret(idp)))

    return arrange


def header_with(**changes: Any) -> Arrange:
    """Sign rightly, under a header with changes."""

    def arrange(idp: OidcIdp) -> None:
        idp.header = changes
        idp.forge = lambda claims, header: compact(claims, header, rs256())

    return arrange


def by_another_key(idp: OidcIdp) -> None:
    idp.forge = lambda claims, header: compact(claims, header, rs256(key("attacker")))


def changed_afterwards(idp: OidcIdp) -> None:
    def forge(claims: dict[str, Any], header: dict[str, Any]) -> str:
        head, _, signature = compact(claims, header, rs256()).split(".")
        return f"{head}.{b64(json.dumps(claims | {'sub': 'root'}).encode())}.{signature}"

    idp.forge = forge


SIGNATURES: dict[str, tuple[Arrange, str]] = {
    "alg none": (unsigned("none"), "algorithm"),
    "alg None": (unsigned("None"), "algorithm"),
    "alg empty": (unsigned(""), "algorithm"),
    "no signature": (unsigned("RS256"), "signature"),
    "HS256 with the client secret": (shared_secret(lambda idp: idp.client_secret.encode()), "algorithm"),
    "HS256 with the public key": (shared_secret(lambda idp: idp.key.as_pem(private=False)), "algorithm"),
    "HS256 with nothing": (shared_secret(lambda idp: b""), "algorithm"),
    "an algorithm that discovery does not list": (lambda idp: idp.header.update(alg="RS512"), "algorithm"),
    "alg in lower case": (header_with(alg="rs256"), "algorithm"),
    "alg missing": (header_with(alg=None), "algorithm"),
    "alg a list": (header_with(alg=["RS256"]), "algorithm"),
    "another key": (by_another_key, "signature"),
    "a payload that was changed": (changed_afterwards, "signature"),
    "crit": (header_with(crit=["exp"], exp=1), "format"),
    "crit that is empty": (header_with(crit=[]), "format"),
    "b64 false": (header_with(crit=["b64"], b64=False), "format"),
    "b64 without crit": (header_with(b64=False), "format"),
}


@pytest.mark.parametrize("case", SIGNATURES)
def test_a_token_that_is_not_signed_as_agreed_is_refused(
    http: Client, query: dict[str, str], idp: OidcIdp, case: str
) -> None:
    """The algorithm comes from the provider's configuration, never from the token alone."""
    arrange, what = SIGNATURES[case]
    arrange(idp)
    assert refused(journey(http, query), f"id_token_{what}") == f"Bad id_token {what}"


@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c"])
def test_a_key_that_the_token_brings_along_is_not_looked_at(
    http: Client, query: dict[str, str], idp: OidcIdp, member: str
) -> None:
    """RFC 7515 4.1.2 to 4.1.6, RFC 8725 3.10."""
    thief = key("attacker")
    with FakeServer() as evil:
        evil.routes = {"/keys": lambda _: Reply({"keys": [jwk_of(thief, kid=idp.key.kid)]})}
        value: Any = {"jwk": jwk_of(thief), "x5c": ["AAAA"]}.get(member, f"{evil.base}/keys")
        idp.header = {member: value}
        idp.forge = lambda claims, header: compact(claims, header, rs256(thief))
        refused(journey(http, query), "id_token_signature")
        assert not evil.calls


ACCEPTED_ALGORITHMS = {
    "RS256": ("RSA", "sha256"),
    "RS512": ("RSA", "sha512"),
    "PS256": ("RSA", "sha256"),
    "ES256": ("P-256", "sha256"),
    "ES384": ("P-384", "sha384"),
    "ES512": ("P-521", "sha512"),
    "EdDSA": ("Ed25519", "sha512"),
}


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("alg", ACCEPTED_ALGORITHMS)
def test_at_hash_fits_the_access_token(
    http: Client, query: dict[str, str], idp: OidcIdp, alg: str, right: bool
) -> None:
    """Core 3.1.3.6: the left half of the hash that the algorithm uses; Ed25519's is SHA-512 (RFC 8032 5.1)."""
    kind, name = ACCEPTED_ALGORITHMS[alg]
    idp.alg, idp.key = alg, key(f"for {kind}", kind)
    idp.published = [idp.key]
    idp.tokens = {"access_token": "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"}
    digest = hashlib.new(name, (idp.tokens["access_token"] if right else "another").encode()).digest()
    idp.claims = {"at_hash": b64(digest[: len(digest) // 2])}
    response = journey(http, query)
    if right:
        accepted(response)
    else:
        refused(response, "id_token_at_hash")


# --- keys (RFC 7517, Core 10.1)


def another_kid(kid: Any) -> Arrange:
    return header_with(kid=kid)


def under(by: Key, header: dict[str, Any], *entries: Any, sign: Callable[[bytes], bytes] | None = None) -> Arrange:
    """Sign with ``by``, name its kid, and publish ``entries``."""

    def arrange(idp: OidcIdp) -> None:
        all_algorithms(idp)
        publish(idp, *entries)
        idp.forge = lambda claims, head: compact(claims, head | {"kid": by.kid} | header, sign or rs256(by))

    return arrange


def ec(by: Key) -> Callable[[bytes], bytes]:
    """Sign with an EC key; the signature's form matters to nobody here."""
    return lambda data: b"x" * 64


ONE, TWO = key("one"), key("two")
ELLIPTIC, LARGER = key("for P-256", "P-256"), key("for P-384", "P-384")
WEAK = key("weak", "weak RSA")
OCT = {"kty": "oct", "kid": "one", "k": b64(b"upstream-secret"), "use": "sig"}
KEYS: dict[str, tuple[Arrange, str]] = {
    "kid unknown": (another_kid("unknown"), "key"),
    "kid a number": (another_kid(1), "key"),
    "kid a list": (another_kid(["one"]), "key"),
    "kid a map": (another_kid({"one": 1}), "key"),
    "kid in another case": (another_kid("ONE"), "key"),
    "kid empty": (another_kid(""), "key"),
    "kid a path": (another_kid("../../dev/null"), "key"),
    "kid that is no text": (another_kid("\ud800"), "key"),
    "kid missing with two keys": (under(ONE, {"kid": None}, jwk_of(ONE), jwk_of(TWO)), "key"),
    "two keys of one kid, neither right": (
        under(ONE, {}, jwk_of(TWO, kid="one"), jwk_of(key("three"), kid="one")),
        "signature",
    ),
    "a key for encryption": (under(ONE, {}, jwk_of(ONE, use="enc")), "key"),
    "a key that is for other operations": (under(ONE, {}, jwk_of(ONE, use=None, key_ops=["encrypt"])), "key"),
    "operations that are no list": (under(ONE, {}, jwk_of(ONE, key_ops="verify")), "key"),
    "a key for another algorithm": (under(ONE, {}, jwk_of(ONE, alg="RS512")), "key"),
    "a shared key of the same kid": (under(ONE, {}, OCT), "key"),
    "a shared key under HS256": (under(ONE, {"alg": "HS256"}, OCT, sign=hs256(b"upstream-secret")), "algorithm"),
    "RSA of 1024 bits": (under(WEAK, {}, jwk_of(WEAK)), "key"),
    "an EC key under RS256": (under(ELLIPTIC, {}, jwk_of(ELLIPTIC), sign=ec(ELLIPTIC)), "key"),
    "an RSA key under ES256": (under(ONE, {"alg": "ES256"}, jwk_of(ONE)), "key"),
    "a key of another curve under ES256": (under(LARGER, {"alg": "ES256"}, jwk_of(LARGER), sign=ec(LARGER)), "key"),
    "an EC key off its curve": (
        under(ELLIPTIC, {"alg": "ES256"}, jwk_of(ELLIPTIC, y=b64(b"\1" * 32)), sign=ec(ELLIPTIC)),
        "key",
    ),
    "an RSA key with exponent one": (under(ONE, {}, jwk_of(ONE, e="AQ")), "key"),
    "a key without its numbers": (under(ONE, {}, {"kty": "RSA", "kid": "one"}), "key"),
    "numbers that are no strings": (under(ONE, {}, jwk_of(ONE, n=1, e=[])), "key"),
    "no keys": (under(ONE, {}), "key"),
    "entries that are no keys": (under(ONE, {}, None, 1, "one", [jwk_of(ONE)], {"kty": ["RSA"]}), "key"),
}


@pytest.mark.parametrize("case", KEYS)
def test_a_key_that_is_not_for_this_token_verifies_nothing(
    http: Client, query: dict[str, str], idp: OidcIdp, case: str
) -> None:
    arrange, what = KEYS[case]
    arrange(idp)
    refused(journey(http, query), f"id_token_{what}")


@pytest.mark.parametrize(
    "arrange",
    [
        header_with(kid=None),  # one key only (Core 10.1)
        under(ONE, {}, jwk_of(TWO), jwk_of(ONE)),
        under(ONE, {}, jwk_of(TWO, kid="one"), jwk_of(ONE)),  # two keys of one kid, one of them right
        under(ONE, {"kid": None}, jwk_of(ONE), jwk_of(ELLIPTIC), jwk_of(TWO, use="enc")),  # one that fits
        under(ONE, {}, None, {"kty": "RSA", "kid": "one"}, {"kty": "new", "kid": "one"}, jwk_of(ONE)),
        under(ONE, {}, jwk_of(ONE, use=None, alg=None)),
    ],
    ids=["no kid", "among others", "twin", "no kid, one fits", "among junk", "bare"],
)
def test_the_right_key_is_found(http: Client, query: dict[str, str], idp: OidcIdp, arrange: Arrange) -> None:
    arrange(idp)
    accepted(journey(http, query))


def test_the_private_half_of_a_key_is_not_taken_up(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """A provider that publishes one is careless; what it signed is no worse, and we hold no key of anybody's."""
    publish(idp, ONE.as_dict(private=True))
    accepted(journey(http, query))
    body = ProviderDocument.objects.get(kind="jwks").body
    assert '"d"' in body
    [found] = keys.fitting(body, "RS256", "one")
    assert not found.has_private


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (Reply("<html>", headers={"Content-Type": "text/html"}), "jwks_not_json"),
        (Reply([]), "jwks_not_json"),
        (Reply({}), "jwks_unusable"),
        (Reply({"keys": {"one": jwk_of(ONE)}}), "jwks_unusable"),
        (Reply({"keys": None}), "jwks_unusable"),
        (Reply({}, 503), "jwks_status"),
        (Reply({"keys": [], "padding": "x" * 2**21}), "jwks_too_large"),
        (Reply(status=302, headers={"Location": "/jwks"}), "jwks_redirected"),
        (Reply(status=302, headers={"Location": "file:///etc/passwd"}), "jwks_not_a_url"),
    ],
)
def test_a_key_set_that_cannot_be_read_has_no_keys(
    http: Client, query: dict[str, str], idp: OidcIdp, behaviour: Reply, reason: str
) -> None:
    idp.misbehave("/jwks", behaviour)
    assert refused(journey(http, query), reason) == "Error in calling jwks uri"
    assert len(idp.called("/jwks")) <= outgoing.MAX_HOPS


def test_a_key_that_came_after_our_copy_is_fetched_once(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """Core 10.1.1: an unknown kid is the signal to look again. Rotation while a sign-in is under way."""
    accepted(journey(http, query))
    age_documents()
    back = at_provider(ask(http, query | {"prompt": "login"}))
    idp.rotate("rotated in mid-flight")
    accepted(come_back(http, back))
    assert len(idp.called("/jwks")) == 2
    accepted(journey(http, query | {"prompt": "login"}))
    assert len(idp.called("/jwks")) == 2


def test_a_key_that_was_withdrawn_verifies_nothing_once_the_copy_is_old(
    http: Client, query: dict[str, str], idp: OidcIdp
) -> None:
    through(http, query)
    PoolUser.objects.all().delete()
    Session.objects.all().delete()
    idp.published = [TWO]
    ProviderDocument.objects.filter(kind="jwks").update(fetched_at=timezone.now() - timedelta(minutes=16))
    directory.forget()
    refused(journey(http, query | {"prompt": "login"}), "id_token_key")


def test_made_up_key_ids_do_not_make_us_call(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """One look at the present set, and no further one until the cool-down is over."""
    through(http, query)
    PoolUser.objects.all().delete()
    age_documents()
    asked = query | {"prompt": "login"}
    for number in range(4):
        idp.header = {"kid": f"made up {number}"}
        refused(journey(http, asked), "id_token_key")
        assert len(idp.called("/jwks")) == 2
    age_documents()
    refused(journey(http, asked), "id_token_key")
    assert len(idp.called("/jwks")) == 3


# --- the form of the token


def token(value: Any) -> Arrange:
    return lambda idp: idp.tokens.update(id_token=value)


def payload(value: bytes) -> Arrange:
    def arrange(idp: OidcIdp) -> None:
        idp.forge = lambda claims, header: compact(value, header, rs256())

    return arrange


def head(value: bytes) -> Arrange:
    def arrange(idp: OidcIdp) -> None:
        idp.forge = lambda claims, header: compact(claims, value, rs256())

    return arrange


def altered(change: Callable[[str], Any]) -> Arrange:
    """Change a good token."""

    def arrange(idp: OidcIdp) -> None:
        idp.forge = lambda claims, header: change(compact(claims, header, rs256()))

    return arrange


def as_json(good: str) -> str:
    protected, body, signature = good.split(".")
    return json.dumps({"protected": protected, "payload": body, "signature": signature})


def as_long_json(good: str) -> str:
    protected, body, signature = good.split(".")
    return json.dumps({"payload": body, "signatures": [{"protected": protected, "signature": signature}]})


FORMS: dict[str, tuple[Arrange, str]] = {
    "missing": (token(None), "missing"),
    "empty": (token(""), "missing"),
    "a map": (token({"sub": "ada"}), "format"),
    "a list": (altered(lambda good: [good]), "format"),
    "a number": (token(42), "format"),
    "JSON serialization": (altered(as_json), "format"),
    "general JSON serialization": (altered(as_long_json), "format"),
    "two parts": (altered(lambda good: good.rpartition(".")[0]), "format"),
    "five parts": (altered(lambda good: f"{good}.AAAA.AAAA"), "format"),
    "100 kB": (altered(lambda good: good + "A" * 100_000), "format"),
    "not ASCII": (altered(lambda good: f"{good}ü"), "format"),
    "an encrypted one": (
        token(".".join([b64(b'{"alg":"dir","enc":"A256GCM"}'), "", "AAAA", "AAAA", "AAAA"])),
        "format",
    ),
    "a header that is no base64": (token("!!!.e30.AAAA"), "format"),
    "a header that is no JSON": (head(b"{alg: RS256}"), "format"),
    "a header that is a list": (head(b'["RS256"]'), "format"),
    "a header that is deep": (head(b"[" * 20_000), "format"),
    "a header in UTF-16": (head('{"alg":"RS256"'.encode("utf-16")), "format"),
    "a payload that is no JSON": (payload(b"sub=ada"), "format"),
    "a payload that is empty": (payload(b""), "format"),
    "a payload that is a list": (payload(b'[{"sub": "ada"}]'), "format"),
    "a payload that is a number": (payload(b"1"), "format"),
    "a payload that is deep": (payload(b'{"a":' * 9_000), "format"),
    "a payload that is not UTF-8": (payload(b'{"sub": "\xff"}'), "format"),
}


@pytest.mark.parametrize("case", FORMS)
def test_what_is_no_signed_token_in_compact_form_is_refused(
    http: Client, query: dict[str, str], idp: OidcIdp, case: str
) -> None:
    """RFC 7515 7.1, RFC 7519 7.2."""
    arrange, what = FORMS[case]
    arrange(idp)
    refused(journey(http, query), f"id_token_{what}")


# --- the token endpoint


def raw(data: bytes) -> Callable[[Handler], None]:
    def behaviour(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(data)

    return behaviour


UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
GOOD = {"access_token": "x", "id_token": "x"}
TOKEN_ANSWERS: dict[str, tuple[Any, str, str]] = {
    "not JSON": (Reply("access_token=x&id_token=x"), "token_not_json", "Bad token response"),
    "HTML": (Reply("<html>", headers={"Content-Type": "text/html"}), "token_not_json", "Bad token response"),
    "empty": (Reply(b""), "token_not_json", "Bad token response"),
    "a list": (Reply([GOOD]), "token_not_json", "Bad token response"),
    "deep": (Reply(b"[" * 100_000), "token_not_json", "Bad token response"),
    "no access token": (Reply({"id_token": "x"}), "token_response", "Bad token response"),
    "an access token that is a number": (Reply(GOOD | {"access_token": 1}), "token_response", "Bad token response"),
    "compressed, unasked": (
        Reply(gzip.compress(json.dumps(GOOD).encode()), headers={"Content-Encoding": "gzip"}),
        "token_encoded",
        "Connection reset",
    ),
    "2 MB": (Reply(GOOD | {"padding": "x" * 2**21}), "token_too_large", "Bad token response"),
    "2 MB of an error": (Reply("x" * 2**21, 500), "token_too_large", "Bad token response"),
    "an error with status 200": (Reply({"error": "bad_code"}), "token_error", "Corp Error - 200 error getting token"),
    "500": (Reply({"error": "server_error"}, 500), "token_error", "Corp Error - 500 error getting token"),
    "tokens with status 201": (Reply(GOOD, 201), "token_error", "Corp Error - 201 error getting token"),
    "not HTTP": (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "token_protocol", "Connection reset"),
    "headers without end": (
        raw(b"HTTP/1.1 200 OK\r\n" + b"X-Padding: x\r\n" * 20_000),
        "token_protocol",
        "Connection reset",
    ),
    "a body that is cut off": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"),
        "token_connection",
        "Connection reset",
    ),
}


@pytest.mark.parametrize("case", TOKEN_ANSWERS)
def test_a_broken_token_response_is_refused(http: Client, query: dict[str, str], idp: OidcIdp, case: str) -> None:
    behaviour, reason, words = TOKEN_ANSWERS[case]
    idp.misbehave("/token", behaviour)
    assert refused(journey(http, query), reason) == words


@pytest.mark.parametrize("path", ["/token", "/jwks", "/userinfo"])
@pytest.mark.parametrize(
    "slow",
    [dribble(UNTIL_CLOSED, b" "), dribble(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"), dribble(b"", b"H")],
    ids=["body", "headers", "status"],
)
def test_who_dribbles_is_ended_by_the_deadline(
    http: Client, query: dict[str, str], idp: OidcIdp, deadline: None, path: str, slow: Any
) -> None:
    """Each byte comes well within the read timeout; all of them never do."""
    idp.misbehave(path, slow)
    assert "ime" in refused(journey(http, query), f"{path[1:]}_timeout")


@pytest.mark.parametrize("access_token", ["tökén", "a\r\nX-Injected: 1", "a\x00b", "\ud800", "a" * 60_000])
def test_an_access_token_that_fits_no_header_harms_nobody(
    http: Client, query: dict[str, str], idp: OidcIdp, access_token: str
) -> None:
    """RFC 6750 2.1: b64token. It goes to userInfo in a header, or nowhere."""
    idp.tokens = {"access_token": access_token}
    response = journey(http, query)
    found = sent_to_app(response)
    assert found.get("error") in (None, "invalid_request"), found
    assert not [call for call in idp.calls if "x-injected" in call.headers]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", ["/token", "/userinfo"])
def test_what_is_secret_follows_no_redirect(
    http: Client, query: dict[str, str], idp: OidcIdp, path: str, status: int
) -> None:
    """Neither the client secret with the code, nor the access token, goes anywhere else."""
    with FakeServer() as thief:
        idp.misbehave(path, Reply(GOOD, status, {"Location": f"{thief.base}{path}"}))
        what = path[1:]
        assert refused(journey(http, query), f"{what}_redirected") == f"Bad {what} response"
        assert not thief.calls


# --- userInfo (Core 5.3.2, 5.3.4)


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (Reply({"sub": "grace", "email": "ada@corp.example.test"}), "userinfo_subject", "Bad userinfo subject"),
        (Reply({"email": "ada@corp.example.test"}), "userinfo_subject", "Bad userinfo subject"),
        (Reply({"sub": 42}), "userinfo_subject", "Bad userinfo subject"),
        (Reply({"sub": ["ada"]}), "userinfo_subject", "Bad userinfo subject"),
        (Reply({"sub": "ADA"}), "userinfo_subject", "Bad userinfo subject"),
        (Reply({"sub": "\ud800"}), "userinfo_subject", "Bad userinfo subject"),
        (Reply({"error": "x"}, 500), "userinfo_error", "Corp Error - 500 error getting user info"),
        (Reply({"sub": "ada"}, 401), "userinfo_error", "Corp Error - 401 error getting user info"),
        (Reply("<html>", headers={"Content-Type": "text/html"}), "userinfo_not_json", "Bad userinfo response"),
        (Reply("eyJ.eyJ.x", headers={"Content-Type": "application/jwt"}), "userinfo_not_json", "Bad userinfo response"),
        (Reply([{"sub": "ada"}]), "userinfo_not_json", "Bad userinfo response"),
        (Reply({"sub": "ada", "x": "x" * 2**21}), "userinfo_too_large", "Bad userinfo response"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_userinfo_that_speaks_of_somebody_else_or_badly_is_refused(
    http: Client, query: dict[str, str], idp: OidcIdp, answer: Reply, reason: str, words: str
) -> None:
    idp.misbehave("/userinfo", answer)
    assert refused(journey(http, query), reason) == words


def test_userinfo_cannot_overrule_what_the_token_says(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    idp.claims = {"email": "ada@corp.example.test", "email_verified": False}
    idp.user = {"sub": "ada", "email": "root@corp.example.test", "email_verified": True, "iss": "x", "aud": "x"}
    accepted(journey(http, query))
    assert PoolUser.objects.get().attributes == {"email": "ada@corp.example.test", "email_verified": "false"}


@pytest.mark.parametrize(
    "value", ["x" * 3000, "a\x00b@corp.example.test", "\ud800@corp.example.test", {"deep": [[[]]]}, 10**400, [1, "a"]]
)
def test_a_claim_that_no_attribute_can_hold_is_refused_by_name(
    http: Client, query: dict[str, str], idp: OidcIdp, value: Any
) -> None:
    idp.user = {"sub": "ada", "email": value}
    told = sent_to_app(journey(http, query))
    assert told["error"] == "invalid_request"
    assert told["error_description"].startswith("user.email: ")
    assert AuthEvent.objects.latest("id").reason in ("attribute_too_long", "attribute_invalid")
    assert not PoolUser.objects.exists()


def test_a_claim_cannot_name_what_is_the_pools_own(
    http: Client, query: dict[str, str], provider: IdentityProvider, idp: OidcIdp
) -> None:
    """Whatever a mapping says: neither the sub, nor the username, nor the identities of a user."""
    mapping = {"sub": "sub", "username": "name", "identities": "identities", "name": "name", "email": "email"}
    IdentityProvider.objects.filter(pk=provider.pk).update(attribute_mapping=mapping)
    directory.forget()
    idp.user |= {"name": "root", "identities": "[]", "cognito:username": "root", "cognito:groups": ["admins"]}
    accepted(journey(http, query))
    user = PoolUser.objects.get()
    assert (user.username, user.attributes) == (
        "corp_ada",
        {"name": "root", "email": "ada@corp.example.test"} | {"email_verified": "false"},
    )
    assert user.sub != "ada"
    assert [group.group_name for group in user.groups.all()] == [f"{user.user_pool_id}_Corp"]


# --- mix-up (RFC 9207, RFC 9700 4.4)


def test_an_answer_that_names_another_issuer_is_not_redeemed(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    for issuer in ("https://idp.example.test", f"{idp.issuer}/", idp.issuer.upper(), f"{idp.issuer}\x20"):
        idp.answer = {"iss": issuer}
        refused(journey(http, query), "answer_issuer")
    idp.answer = {"iss": "https://idp.example.test", "code": "", "error": "access_denied"}
    refused(journey(http, query), "answer_issuer")
    assert not idp.called("/token")


def test_an_answer_without_the_issuer_that_was_promised_is_not_redeemed(
    http: Client, query: dict[str, str], idp: OidcIdp
) -> None:
    """RFC 9207 2.4: a provider that supports it always says it."""
    idp.metadata = {"authorization_response_iss_parameter_supported": True}
    refused(journey(http, query), "answer_issuer")
    assert not idp.called("/token")
    idp.answer = {"iss": idp.issuer}
    accepted(journey(http, query))


@pytest.mark.parametrize("named", [True, False])
def test_an_answer_of_one_provider_is_not_taken_for_anothers(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str], idp: OidcIdp, named: bool
) -> None:
    """The victim chose B, and B's state comes with A's code; with ``iss`` nothing is sent to B at all."""
    with OidcIdp() as other:
        register(other, pool, app_client, name="Other")
        at_other = fields_of(at_provider(ask(http, query | {"identity_provider": "Other"})))
        back = at_provider(ask(http, query))
        changes = {"code": at_other["code"]} | ({"iss": other.issuer} if named else {})
        refused(come_back(http, back, **changes), "answer_issuer" if named else "token_error")
        assert len(idp.called("/token")) == (0 if named else 1)
        assert not other.called("/token")  # its code is still its own


# --- words


@pytest.mark.parametrize(
    "words",
    [
        "line one\r\nSet-Cookie: userpool_session=x",
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "x" * 10_000,
        "Zugriff verweigert für Ådä — 拒否 🙅",
        "\u202egnorw\u0000".replace("\u0000", ""),
        "%0d%0aX: y",
        "a\\b\x7f\x1b[31m",
    ],
)
@pytest.mark.parametrize("error", ["access_denied", "server_error"])
def test_the_words_of_a_provider_are_cleaned_before_they_go_anywhere(
    http: Client, query: dict[str, str], idp: OidcIdp, words: str, error: str
) -> None:
    """RFC 6749 4.1.2.1: %x20-21 / %x23-5B / %x5D-7E, and markup has no business there either."""
    idp.answer = {"code": "", "error": error, "error_description": words}
    response = journey(http, query)
    assert not set(response["Location"]) & set('\r\n<>"\\')
    told = sent_to_app(response)
    assert told["error"] in ("access_denied", "invalid_request")
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,300}", told["error_description"])
    assert not set(told["error_description"]) & set("<>%&")
    [attempt] = AuthEvent.objects.all()
    kept = json.dumps([attempt.steps, attempt.description, attempt.reason, attempt.error])
    assert not set(kept) & set("<>%")
    assert not re.search(r"\\u|\\r|\\n", kept)
    assert len(kept) < 1500


@pytest.mark.parametrize("code", ["<script>", "access_denied\r\nX: y", "ACCESS_DENIED", "ü", "x" * 10_000])
def test_an_error_code_of_a_provider_is_words_as_well(
    http: Client, query: dict[str, str], idp: OidcIdp, code: str
) -> None:
    """What is not one of the known codes is never the code that the app gets."""
    idp.answer = {"code": "", "error": code}
    assert refused(journey(http, query), "provider_error").startswith("Corp Error")


# --- discovery (Discovery 1.0 4.3)


METADATA: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://idp.example.test"},
    "issuer missing": {"issuer": None},
    "issuer a list": {"issuer": ["x"]},
    "authorization endpoint missing": {"authorization_endpoint": None},
    "token endpoint missing": {"token_endpoint": None},
    "jwks_uri missing": {"jwks_uri": None},
    "an endpoint that is a number": {"token_endpoint": 1},
    "a javascript endpoint": {"authorization_endpoint": "javascript:alert(document.domain)//"},
    "a data endpoint": {"authorization_endpoint": "data:text/html,x"},
    "a file endpoint": {"jwks_uri": "file:///etc/passwd"},
    "a gopher endpoint": {"token_endpoint": "gopher://127.0.0.1:6379/_FLUSHALL"},
    "a relative endpoint": {"authorization_endpoint": "/authorize"},
    "an endpoint without a scheme": {"authorization_endpoint": "//idp.example.test/authorize"},
    "an endpoint with a password": {"token_endpoint": "https://user:password@idp.example.test/token"},
    "an endpoint with a line break": {"authorization_endpoint": "https://idp.example.test/a\r\nSet-Cookie: x=y"},
    "an endpoint with a fragment": {"authorization_endpoint": "https://idp.example.test/authorize#x"},
    "an endpoint with no host": {"userinfo_endpoint": "https:///userinfo"},
    "an endpoint with half a name": {"token_endpoint": "https://xn--/token"},
    "no client secret": {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
    "no asymmetric signature": {"id_token_signing_alg_values_supported": ["HS256", "none"]},
    "no code flow": {"response_types_supported": ["id_token", "token"]},
}


@pytest.mark.parametrize("case", METADATA)
def test_a_discovery_document_that_cannot_be_used_ends_the_way_out(
    http: Client, query: dict[str, str], idp: OidcIdp, case: str
) -> None:
    idp.metadata = METADATA[case]
    response = ask(http, query)
    assert refused(response, "discovery_unusable") == "Bad openid configuration"
    assert "__Host-userpool_state" not in response.cookies


LOOP = Reply(status=302, headers={"Location": DISCOVERY})
DOCUMENTS: dict[str, tuple[Any, str]] = {
    "not JSON": (Reply("<html>", headers={"Content-Type": "text/html"}), "not_json"),
    "a list": (Reply([]), "not_json"),
    "deep": (Reply(b'{"a":' * 50_000), "not_json"),
    "NUL": (Reply(b'{"issuer": "\0"}'), "not_json"),
    "UTF-16": (Reply(json.dumps({"issuer": "x"}).encode("utf-16")), "not_json"),
    "huge": (Reply({"issuer": "x", "padding": "x" * 2**21}), "too_large"),
    "compressed": (Reply(gzip.compress(b"{}" * 10**6), headers={"Content-Encoding": "gzip"}), "encoded"),
    "a redirect to itself": (LOOP, "redirected"),
    "a redirect to a file": (Reply(status=302, headers={"Location": "file:///etc/passwd"}), "not_a_url"),
    "a redirect to a script": (Reply(status=302, headers={"Location": "javascript:1"}), "not_a_url"),
    "a redirect to half a name": (Reply(status=302, headers={"Location": "https://xn--/"}), "not_a_url"),
    "404": (Reply({}, 404), "status"),
    "304": (Reply(status=304), "status"),
    "not HTTP": (raw(b"\x16\x03\x01\x02"), "protocol"),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_discovery_document_that_cannot_be_read_ends_the_way_out(
    http: Client, query: dict[str, str], idp: OidcIdp, case: str
) -> None:
    behaviour, cause = DOCUMENTS[case]
    idp.misbehave(DISCOVERY, behaviour)
    assert refused(ask(http, query), f"discovery_{cause}") == "Error in calling openid configuration"
    assert len(idp.calls) <= outgoing.MAX_HOPS


def test_a_discovery_document_that_dribbles_is_ended_by_the_deadline(
    http: Client, query: dict[str, str], idp: OidcIdp, deadline: None
) -> None:
    idp.misbehave(DISCOVERY, dribble(UNTIL_CLOSED, b" "))
    assert refused(ask(http, query), "discovery_timeout") == "Timeout in calling openid configuration"


def test_a_discovery_document_may_be_elsewhere_and_not_somebody_elses(
    http: Client, query: dict[str, str], idp: OidcIdp
) -> None:
    """A redirect of what everybody may read is followed; what it ends at must still be this issuer's."""
    with OidcIdp() as other:
        idp.misbehave(DISCOVERY, Reply(status=302, headers={"Location": f"{other.base}{DISCOVERY}"}))
        refused(ask(http, query), "discovery_unusable")
        other.metadata = idp.discovery(None).body  # type: ignore[arg-type] # it looks at no call
        ProviderDocument.objects.all().delete()
        directory.forget()
        accepted(journey(http, query))


# --- addresses and TLS (OWASP SSRF; RFC 6890)


PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - it is refused
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00::1]",
    "[ff02::1]",
    "localhost",
    "127.1",
    "2130706433",
]


@pytest.fixture
def guarded(settings: Any) -> None:
    """As in production."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = False


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_not_called(
    http: Client,
    pool: UserPool,
    query: dict[str, str],
    provider: IdentityProvider,
    idp: OidcIdp,
    guarded: None,
    host: str,
) -> None:
    port = urlsplit(idp.base).port
    issuer = f"https://{host}:{port}"
    set_values(provider, provider_details=provider.provider_details | {"oidc_issuer": issuer})
    words = refused(ask(http, query), "discovery_private_address")
    assert words == "Error in calling openid configuration"  # not which address, nor what is there
    assert not idp.calls


def test_http_is_not_called(http: Client, query: dict[str, str], idp: OidcIdp, guarded: None, settings: Any) -> None:
    settings.USERPOOL_UPSTREAM_NETWORKS = ["127.0.0.0/8"]
    refused(ask(http, query), "discovery_not_https")
    assert not idp.calls


@pytest.mark.parametrize("name", ["authorize_url", "token_url", "jwks_uri", "attributes_url"])
def test_a_given_url_that_is_not_https_ends_the_way_out(
    http: Client, query: dict[str, str], provider: IdentityProvider, idp: OidcIdp, guarded: None, name: str
) -> None:
    urls = dict.fromkeys(("authorize_url", "token_url", "jwks_uri", "attributes_url"), "https://idp.example.test/")
    set_values(provider, provider_details=provider.provider_details | urls | {name: "http://idp.example.test/"})
    refused(ask(http, query), "endpoint_not_https")


class Resolver:
    """Stands for the name server: the first answer, then the others, the last of them for good."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        kinds = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(kinds[":" in one], socket.SOCK_STREAM, 6, "", (one, port)) for one in found]


@pytest.mark.parametrize("answer", [["10.1.2.3"], ["::1"], ["127.0.0.1", "169.254.169.254"], ["::ffff:10.0.0.1"]])
def test_a_name_that_stands_for_a_private_address_is_not_called(
    http: Client,
    query: dict[str, str],
    provider: IdentityProvider,
    guarded: None,
    monkeypatch: pytest.MonkeyPatch,
    answer: list[str],
) -> None:
    details = provider.provider_details | {"oidc_issuer": "https://idp.example.test"}
    set_values(provider, provider_details=details)
    called: list[str] = []
    monkeypatch.setattr(addresses.socket, "getaddrinfo", Resolver(answer))
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", lambda self, host, *_: called.append(host))
    refused(ask(http, query), "discovery_private_address")
    assert not called


@pytest.fixture
def secure(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pool: UserPool, app_client: AppClient
) -> Iterator[OidcIdp]:
    """A provider over TLS, trusted, on an address that the deployment names; everything else is as in production."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = False
    settings.USERPOOL_UPSTREAM_NETWORKS = ["127.0.0.1/32"]
    server, client = tls(tmp_path, "idp.example.test")
    monkeypatch.setattr(outgoing, "_tls", lambda: client)
    with OidcIdp(tls=server) as running:
        register(running, pool, app_client)
        yield running


@pytest.fixture
def secure_query(app_client: AppClient, secure: OidcIdp) -> dict[str, str]:
    return query_of(app_client, identity_provider="Corp")


def test_a_name_is_looked_up_once_and_called_at_the_address_that_was_checked(
    http: Client, secure: OidcIdp, secure_query: dict[str, str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when it is checked, private when it is called. TLS proves the name all the same."""
    settings.USERPOOL_UPSTREAM_NETWORKS = []
    port = urlsplit(secure.base).port
    secure.base = secure.issuer = f"https://idp.example.test:{port}"
    provider = IdentityProvider.objects.get()
    set_values(provider, provider_details=provider.provider_details | {"oidc_issuer": secure.issuer})
    resolver, called = Resolver(["10.0.0.1", "93.184.216.34"], ["127.0.0.1"]), []

    def connect_here(self: Any, host: str, *args: Any, **kwargs: Any) -> Any:
        called.append(host)
        stream = socket.socket()
        stream.connect(("127.0.0.1", port))
        return SyncStream(stream)

    monkeypatch.setattr(addresses.socket, "getaddrinfo", resolver)
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect_here)
    response = ask(http, secure_query)
    assert response["Location"].startswith(f"{secure.base}/authorize?")
    assert (resolver.asked, called) == (["idp.example.test"], ["93.184.216.34"])
    # the next call looks the name up again, and is not made
    response = http.get(
        "/oauth2/idpresponse?" + urlencode({"code": "x", "state": fields_of(response["Location"])["state"]})
    )
    refused(response, "token_private_address")
    assert called == ["93.184.216.34"]


def test_the_whole_sign_in_works_as_in_production(http: Client, secure: OidcIdp, secure_query: dict[str, str]) -> None:
    """So that what is refused below is refused for its own sake."""
    accepted(journey(http, secure_query))


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
def test_an_endpoint_over_http_makes_discovery_useless(
    http: Client, secure: OidcIdp, secure_query: dict[str, str], name: str
) -> None:
    secure.metadata = {name: "http://idp.example.test/"}
    refused(ask(http, secure_query), "discovery_unusable")


@pytest.mark.parametrize(
    ("name", "what"), [("token_endpoint", "token"), ("jwks_uri", "jwks"), ("userinfo_endpoint", "userinfo")]
)
@pytest.mark.parametrize("address", ["https://10.0.0.1/", "https://169.254.169.254/", "https://127.0.0.2/"])
def test_an_endpoint_on_a_private_address_is_not_called(
    http: Client, secure: OidcIdp, secure_query: dict[str, str], name: str, what: str, address: str
) -> None:
    secure.metadata = {name: address}
    refused(journey(http, secure_query), f"{what}_private_address")


@pytest.mark.parametrize(
    ("location", "cause"),
    [
        ("https://10.0.0.1/", "private_address"),
        ("https://169.254.169.254/latest/meta-data/", "private_address"),
        ("https://[::1]/", "private_address"),
        ("http://idp.example.test/", "not_https"),
    ],
)
@pytest.mark.parametrize(("path", "what"), [(DISCOVERY, "discovery"), ("/jwks", "jwks")])
def test_a_redirect_leads_nowhere_that_could_not_be_called_directly(
    http: Client,
    secure: OidcIdp,
    secure_query: dict[str, str],
    path: str,
    what: str,
    location: str,
    cause: str,
) -> None:
    """Each hop is checked like the first."""
    secure.misbehave(path, Reply(status=302, headers={"Location": location}))
    refused(journey(http, secure_query), f"{what}_{cause}")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_that_nobody_vouches_for_ends_the_way_out(
    http: Client, pool: UserPool, app_client: AppClient, settings: Any, tmp_path: Path, host: str
) -> None:
    """RFC 9110 4.3.4; development may call private addresses, and still not take any certificate."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    with OidcIdp(tls=tls(tmp_path)[0], host=host) as running:
        register(running, pool, app_client)
        refused(ask(http, query_of(app_client, identity_provider="Corp")), "discovery_tls")
        assert not running.calls


def test_a_certificate_for_another_name_ends_the_way_out(
    http: Client, pool: UserPool, app_client: AppClient, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 6125: trusted, and not for this host."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    server, client = tls(tmp_path, "idp.example.test")
    monkeypatch.setattr(outgoing, "_tls", lambda: client)
    with OidcIdp(tls=server, host="localhost") as running:
        register(running, pool, app_client)
        refused(ask(http, query_of(app_client, identity_provider="Corp")), "discovery_tls")
        assert not running.calls


@pytest.mark.parametrize(
    ("name", "what"), [("token_endpoint", "token"), ("jwks_uri", "jwks"), ("userinfo_endpoint", "userinfo")]
)
def test_a_certificate_that_nobody_vouches_for_gets_nothing_secret(
    http: Client, query: dict[str, str], idp: OidcIdp, tmp_path: Path, name: str, what: str
) -> None:
    with FakeServer(tls=tls(tmp_path)[0]) as thief:
        idp.metadata = {name: f"{thief.base}/{what}"}
        refused(journey(http, query), f"{what}_tls")
        assert not thief.calls
