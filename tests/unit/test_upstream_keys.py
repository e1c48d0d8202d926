"""Which of a provider's keys may verify a token: RFC 7517 4 (kty, use, key_ops, alg, kid) and OpenID Connect Core 10.1.

The keys are those of RFC 7517 appendix A and of RFC 7515 appendices A.2 and A.3, and joserfc's.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from accounts import directory
from accounts.models import IdentityProvider, ProviderDocument, UserPool
from federation.errors import UpstreamFailed
from federation.upstream.http import Exchange
from federation.upstream.keys import COOLDOWN, MAX_KEYS, fitting, verification_keys
from tests import factories
from tests.fakes.oidc import OidcIdp, key
from tests.fakes.server import Reply

# RFC 7517 A.1: the example public keys, and their ids
EC_A1 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    "use": "enc",
    "kid": "1",
}
RSA_A1 = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3o"
    "knjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
    "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDK"
    "gw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
# RFC 7517 A.2: the private part of the first, and A.3: symmetric keys
EC_PRIVATE = EC_A1 | {"d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}
OCT = {
    "kty": "oct",
    "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "kid": "HMAC key used in JWS A.1 example",
}
RSA_KINDS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ALL = (*RSA_KINDS, "ES256", "ES384", "ES512", "EdDSA")


def jwks(*entries: Any) -> str:
    return json.dumps({"keys": list(entries)})


def without(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in names}


EC_SIG, RSA_ANY = without(EC_A1, "use"), without(RSA_A1, "alg")


def fits(entry: Any, alg: str, kid: str | None = None) -> bool:
    return bool(fitting(jwks(entry), alg, kid))


# --- one key, one algorithm


@pytest.mark.parametrize(
    ("entry", "algorithms"),
    [
        (RSA_A1, ("RS256",)),  # the key says which
        (RSA_ANY, RSA_KINDS),
        (RSA_ANY | {"alg": "PS512"}, ("PS512",)),
        (RSA_ANY | {"alg": "RSA-OAEP"}, ()),
        (RSA_ANY | {"alg": "HS256"}, ()),
        (RSA_ANY | {"use": "sig"}, RSA_KINDS),
        (RSA_ANY | {"use": "enc"}, ()),
        (RSA_ANY | {"use": None}, ()),
        (RSA_ANY | {"key_ops": ["verify"]}, RSA_KINDS),
        (RSA_ANY | {"key_ops": ["encrypt", "verify"]}, RSA_KINDS),
        (RSA_ANY | {"key_ops": ["encrypt"]}, ()),
        (RSA_ANY | {"key_ops": []}, ()),
        (RSA_ANY | {"key_ops": "verify"}, ()),
        (EC_A1, ()),  # for encryption
        (EC_SIG, ("ES256",)),
        (EC_SIG | {"alg": "ES256"}, ("ES256",)),
        (EC_SIG | {"crv": "P-384"}, ()),  # the point is not on that curve
        (EC_SIG | {"alg": "ES384"}, ()),
        (OCT, ()),
        (OCT | {"alg": "RS256"}, ()),
    ],
)
def test_a_key_verifies_what_it_is_for(entry: dict[str, Any], algorithms: tuple[str, ...]) -> None:
    assert tuple(alg for alg in ALL if fits(entry, alg)) == algorithms


@pytest.mark.parametrize(
    ("name", "kind", "alg"),
    [("p256", "P-256", "ES256"), ("p384", "P-384", "ES384"), ("p521", "P-521", "ES512"), ("ed", "Ed25519", "EdDSA")],
)
def test_each_curve_goes_with_one_algorithm(name: str, kind: str, alg: str) -> None:
    """RFC 7518 3.4, RFC 8037 3.1."""
    entry = key(name, kind).as_dict(private=False)
    assert [one for one in ALL if fits(entry, one)] == [alg]


def test_curves_that_no_algorithm_names_verify_nothing() -> None:
    for entry in (OKPKey.generate_key("X25519"), OKPKey.generate_key("Ed448"), ECKey.generate_key("secp256k1")):
        assert not any(fits(entry.as_dict(private=False), alg) for alg in ALL)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_shared_secret_is_no_key_of_a_provider(alg: str) -> None:
    assert not fits(OCT, alg)
    assert not fits(OCT | {"alg": alg, "use": "sig"}, alg)


def test_only_the_public_part_of_a_key_is_read() -> None:
    """RFC 7517 A.2: somebody published a private key by mistake."""
    (found,) = fitting(jwks(without(EC_PRIVATE, "use")), "ES256", None)
    assert not found.has_private
    assert found.export_public(as_dict=True).items() >= without(EC_SIG, "kid").items()


def test_what_else_a_key_says_is_not_looked_at() -> None:
    """x5u would be an address to call, x5c a certificate to trust (RFC 7517 4.6 and 4.7)."""
    entry = EC_SIG | {"x5u": "https://evil.example.test/", "x5c": ["no certificate"], "ext": True, "new": {"a": 1}}
    assert fits(entry, "ES256")


@pytest.mark.filterwarnings("ignore:Key size should be")
@pytest.mark.parametrize(("name", "kind", "expected"), [("weak", "weak RSA", False), ("one", "RSA", True)])
def test_a_short_rsa_key_is_not_used(name: str, kind: str, expected: bool) -> None:
    """RFC 7518 3.3: 2048 bits or more."""
    assert fits(key(name, kind).as_dict(private=False), "RS256") is expected


def test_a_huge_rsa_key_is_not_used() -> None:
    """One verification with it would take seconds."""
    entry = RSA_ANY | {"n": "_" + "_" * 5000}
    assert not fits(entry, "RS256")


@pytest.mark.parametrize(
    "entry",
    [
        None, "key", 7, [], {}, {"kty": "RSA"}, {"kty": ["RSA"]}, {"kty": {}}, RSA_ANY | {"n": 7}, RSA_ANY | {"n": ""},
        RSA_ANY | {"n": "!!!"}, RSA_ANY | {"e": "AA"}, RSA_ANY | {"e": "AQ"}, RSA_ANY | {"e": None},
        RSA_ANY | {"n": "ünicode"}, RSA_ANY | {"n": ["x"]}, without(EC_SIG, "y"), EC_SIG | {"x": "AAAA"},
        EC_SIG | {"y": EC_SIG["x"]}, EC_SIG | {"x": {}}, EC_SIG | {"crv": ["P-256"]}, EC_SIG | {"crv": None},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"}, {"kty": "OKP", "crv": "Ed25519"},
    ],
)  # fmt: skip
def test_what_is_no_key_is_passed_over(entry: Any) -> None:
    """RFC 7517 5: implementations ignore keys that they do not understand. The good one beside it is still found."""
    ec_good, rsa_good = EC_SIG | {"kid": "good"}, RSA_ANY | {"kid": "good"}
    for alg in ALL:
        assert not fits(entry, alg)
    assert len(fitting(jwks(entry, ec_good), "ES256", None)) == 1
    assert len(fitting(jwks(entry, rsa_good), "RS256", None)) == 1


@pytest.mark.parametrize("body", ["{}", '{"keys": null}', '{"keys": {}}', '{"keys": "x"}', '{"keys": []}'])
def test_a_set_without_keys_has_none(body: str) -> None:
    assert fitting(body, "RS256", None) == []


def test_of_a_very_long_set_the_beginning_is_read() -> None:
    assert fitting(jwks(*[{}] * (MAX_KEYS - 1), EC_SIG), "ES256", None)
    assert not fitting(jwks(*[{}] * MAX_KEYS, EC_SIG), "ES256", None)


# --- key ids


@pytest.mark.parametrize(
    ("kid", "expected"), [("a", 1), ("b", 1), ("A", 0), ("c", 0), ("", 0), (None, 2), ("../../etc/passwd", 0)]
)
def test_a_kid_is_compared_as_a_string(kid: str | None, expected: int) -> None:
    """RFC 7517 4.5: a case-sensitive string."""
    other = key("p256", "P-256").as_dict(private=False)
    assert len(fitting(jwks(EC_SIG | {"kid": "a"}, other | {"kid": "b"}), "ES256", kid)) == expected


def test_a_kid_does_not_make_a_key_fit_another_algorithm() -> None:
    assert not fits(RSA_A1, "ES256", "2011-04-29")
    assert fits(RSA_A1, "RS256", "2011-04-29")


def test_two_keys_may_bear_one_kid() -> None:
    """RFC 7517 4.5: of different types; and some providers do it with one type, so each is tried."""
    other = key("p256", "P-256").as_dict(private=False) | {"kid": "1"}
    assert len(fitting(jwks(EC_SIG, other, RSA_ANY | {"kid": "1"}), "ES256", "1")) == 2


# --- with a provider

DB = pytest.mark.django_db


@pytest.fixture
def corp(pool: UserPool) -> IdentityProvider:
    return factories.make_oidc_provider(pool)


def look(provider: IdentityProvider, idp: OidcIdp, kid: str | None, alg: str = "RS256") -> list[str]:
    """The ids of the keys that are found, or the reason why none is."""
    with Exchange() as exchange:
        try:
            found = verification_keys(provider, f"{idp.base}/jwks", alg, kid, exchange)
        except UpstreamFailed as failed:
            return [failed.reason]
    published = {one.thumbprint(): str(one.kid) for one in idp.published}
    return [published[one.thumbprint()] for one in found]


def pass_time(by: timedelta) -> None:
    row = ProviderDocument.objects.get()
    for name in ("fetched_at", "failed_at"):
        if (moment := getattr(row, name)) is not None:
            setattr(row, name, moment - by)
    row.save()
    directory.forget()


def calls(idp: OidcIdp) -> int:
    return len(idp.called("/jwks"))


@DB
def test_a_new_key_is_found_by_one_more_look(corp: IdentityProvider, idp: OidcIdp) -> None:
    """OpenID Connect Core 10.1.1: an unfamiliar kid is the sign to read the set again."""
    assert look(corp, idp, "one") == ["one"]
    idp.rotate("two")
    pass_time(COOLDOWN)
    assert look(corp, idp, "two") == ["two"]
    assert look(corp, idp, "one") == ["one"]
    assert calls(idp) == 2


@DB
def test_made_up_key_ids_make_one_call_in_a_cool_down(corp: IdentityProvider, idp: OidcIdp) -> None:
    for number in range(20):
        assert look(corp, idp, f"made up {number}") == ["id_token_key"]
    assert calls(idp) == 1
    pass_time(COOLDOWN)
    for number in range(20):
        assert look(corp, idp, f"made up {number}") == ["id_token_key"]
    assert calls(idp) == 2


@DB
def test_a_key_that_was_withdrawn_is_gone_when_the_copy_is_too_old(corp: IdentityProvider, idp: OidcIdp) -> None:
    assert look(corp, idp, "one") == ["one"]
    idp.rotate("two")
    idp.published = [idp.key]
    pass_time(timedelta(minutes=15))
    assert look(corp, idp, "one") == ["id_token_key"]
    assert look(corp, idp, "two") == ["two"]


@DB
def test_without_a_kid_there_is_one_key_or_none(corp: IdentityProvider, idp: OidcIdp) -> None:
    """OpenID Connect Core 10.1: a kid must be given when the set has several keys."""
    assert look(corp, idp, None) == ["one"]
    idp.rotate("ec", "P-256")
    pass_time(timedelta(minutes=15))
    assert look(corp, idp, None) == ["one"], "the other one is for another algorithm"
    idp.rotate("two")
    pass_time(timedelta(minutes=15))
    assert look(corp, idp, None) == ["id_token_key"]
    assert look(corp, idp, "two") == ["two"]


@DB
@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        (Reply(b"", 500), "jwks_status", "Error in calling jwks uri"),
        (Reply(b"<html>"), "jwks_not_json", "Error in calling jwks uri"),
        (Reply({"keys": []}), "id_token_key", "Bad id_token key"),
        (Reply({}), "jwks_unusable", "Error in calling jwks uri"),  # RFC 7517 5.1: keys is required
        (Reply({"keys": {"kty": "RSA"}}), "jwks_unusable", "Error in calling jwks uri"),
    ],
)
def test_a_set_that_cannot_be_had_is_told(
    corp: IdentityProvider, idp: OidcIdp, reply: Reply, reason: str, words: str
) -> None:
    idp.misbehave("/jwks", reply)
    with Exchange() as exchange, pytest.raises(UpstreamFailed) as caught:
        verification_keys(corp, f"{idp.base}/jwks", "RS256", "one", exchange)
    assert (caught.value.reason, caught.value.description) == (reason, words)


@DB
def test_a_timeout_has_cognitos_words(corp: IdentityProvider, idp: OidcIdp) -> None:
    """W 3.8, authorization-endpoint page."""
    with Exchange(total=0) as exchange, pytest.raises(UpstreamFailed) as caught:
        verification_keys(corp, f"{idp.base}/jwks", "RS256", "one", exchange)
    assert (caught.value.reason, caught.value.description) == ("jwks_timeout", "Timeout in calling jwks uri")


@DB
def test_what_joserfc_publishes_is_understood(corp: IdentityProvider, idp: OidcIdp) -> None:
    made = {
        "RS256": RSAKey.generate_key(2048, {"kid": "r"}),
        "ES256": ECKey.generate_key("P-256", {"kid": "e"}),
        "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "o"}),
    }
    idp.published = list(made.values())
    assert KeySet(idp.published).as_dict(private=False)["keys"]
    for alg, one in made.items():
        assert look(corp, idp, str(one.kid), alg) == [one.kid]
