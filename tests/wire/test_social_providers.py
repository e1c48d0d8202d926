"""Sign-in through Google, Facebook, Login with Amazon and Apple, at fakes that speak each one's dialect over HTTP.

The reference's 3.8 (texts), 7.3 (what is sent where), 11.1 to 11.3 (who comes out of it), and the providers' own pages,
which tests/fakes/social.py names. A fake refuses what the real one refuses, so a sign-in that succeeds proves the
requests; the rest is looked up in what the fake was asked.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.http import HttpResponse
from django.test import Client
from joserfc import jwt
from joserfc.jwk import ECKey

from accounts.models import AppClient, AuthEvent, PoolUser, UserPool
from federation.upstream import people, social
from tests.fakes.browser import post_from_elsewhere
from tests.fakes.oidc import key
from tests.fakes.server import Call, Reply
from tests.fakes.social import Amazon, Apple, Facebook, Google, Landing, SocialProvider
from tests.security.test_logs import Listener, heard
from tests.wire.helpers import query_of, redeem, sent_to_app, verified

__all__ = ["heard"]  # a fixture

pytestmark = pytest.mark.django_db
CALLBACK = "https://demo.auth.example.test/oauth2/idpresponse"
NAMES = ["Google", "Facebook", "LoginWithAmazon", "SignInWithApple"]
OF_OPENID = ["Google", "SignInWithApple"]
WITH_PROFILE = ["Facebook", "LoginWithAmazon", "Google"]


# --- the four ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def start(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[SocialProvider], SocialProvider]]:
    """``start(fake)``: let it run, and Userpool call it in place of the real one."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    running = []

    def go(fake: SocialProvider) -> SocialProvider:
        running.append(fake.__enter__())
        fake.stand_in(monkeypatch)
        return fake

    yield go
    for fake in running:
        fake.__exit__()


@pytest.fixture
def google(start: Any) -> Google:
    return start(Google())


@pytest.fixture
def facebook(start: Any) -> Facebook:
    return start(Facebook())


@pytest.fixture
def amazon(start: Any) -> Amazon:
    return start(Amazon())


@pytest.fixture
def apple(start: Any) -> Apple:
    return start(Apple())


@pytest.fixture
def fake(request: pytest.FixtureRequest, start: Any) -> SocialProvider:
    """The provider that the test names."""
    kinds = {kind.provider_type: kind for kind in (Google, Facebook, Amazon, Apple)}
    return start(kinds[request.param]())


def every(names: list[str] = NAMES) -> Any:
    return pytest.mark.parametrize("fake", names, indirect=True)


# --- the way there and back -------------------------------------------------------------------------------------------


def leave(browser: Client, client: AppClient, fake: SocialProvider, **changes: str) -> str:
    """Return the address at the provider that /oauth2/authorize sends the browser to."""
    query = query_of(client, identity_provider=fake.provider_type, **changes)
    response = browser.get("/oauth2/authorize?" + urlencode(query))
    assert response.status_code == 302, (response.status_code, response.content[:500])
    return response["Location"]


def come_back(browser: Client, landing: Landing, **changes: str) -> HttpResponse:
    fields = {name: value for name, value in (landing.fields | changes).items() if value}
    if landing.posted:
        return post_from_elsewhere(browser, landing.path, fields)
    return browser.get(f"{landing.path}?{urlencode(fields)}")


def go(browser: Client, client: AppClient, fake: SocialProvider, **changes: str) -> HttpResponse:
    """Go to the provider and back; ``changes`` are laid over the fields of its answer."""
    return come_back(browser, fake.visit(leave(browser, client, fake)), **changes)


def signed_in(browser: Client, client: AppClient, fake: SocialProvider) -> PoolUser:
    """Sign in, and return the user that it made or found."""
    found = sent_to_app(go(browser, client, fake))
    assert "code" in found, found
    user = AuthEvent.objects.latest("id").user
    assert user is not None
    return user


def asked(url: str) -> dict[str, str]:
    """Return the query of ``url``, in which no name comes twice."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def only_call(fake: SocialProvider, path: str) -> Call:
    (call,) = fake.called(path)
    return call


def refused(response: HttpResponse, words: str, reason: str, error: str = "invalid_request") -> AuthEvent:
    """Check what the app is told, and why; return the record."""
    found = sent_to_app(response)
    assert (found["error"], found.get("error_description"), found["state"]) == (error, words, "xyz")
    attempt = AuthEvent.objects.latest("id")
    assert (attempt.outcome, attempt.reason, attempt.error) == ("refused", reason, error)
    assert not PoolUser.objects.exists()
    return attempt


def with_profile(fake: SocialProvider) -> dict[str, str]:
    """A mapping for which the profile endpoint is called; Google's ID token says most of it otherwise."""
    return {"email": "email", "name": "names"} if isinstance(fake, Google) else fake.mapping


def steps_of(attempt: AuthEvent) -> str:
    return json.dumps(attempt.steps)


# --- whole sign-ins ---------------------------------------------------------------------------------------------------

USERNAMES = {
    "Google": "google_110169484474386276334",
    "Facebook": "facebook_10223456789012345",
    "LoginWithAmazon": "loginwithamazon_amzn1.account.k2li23kl2lk2",
    "SignInWithApple": "signinwithapple_001234.0a1b2c3d4e5f60718293a4b5c6d7e8f9.0123",
}


@every()
def test_a_sign_in_ends_in_tokens_for_a_user_of_the_providers(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider
) -> None:
    fake.register(pool, app_client)
    landed = go(http, app_client, fake)
    code = sent_to_app(landed)["code"]
    tokens = redeem(http, app_client, code).json()
    _, claims = verified(pool, tokens["id_token"])
    assert claims["cognito:username"] == USERNAMES[fake.provider_type]  # W 11.1: lower case in such a pool
    assert claims["cognito:groups"] == [f"{pool.pk}_{fake.provider_type}"]
    assert claims["email"] == fake.user["email"]
    (identity,) = claims["identities"]
    assert identity.pop("dateCreated").isdigit()
    assert identity == {
        "userId": fake.subject,
        "providerName": fake.provider_type,
        "providerType": fake.provider_type,
        "issuer": None,  # W 11.2: of social providers
        "primary": "true",
    }
    user = PoolUser.objects.get()
    assert (user.status, user.attributes["name"]) == ("EXTERNAL_PROVIDER", "Ada Lovelace")
    attempt = AuthEvent.objects.get()
    assert (attempt.outcome, attempt.subject, attempt.user) == ("succeeded", fake.subject, user)


@every()
def test_the_second_sign_in_finds_the_same_user_and_its_attributes_follow(
    http: Client, at: Any, pool: UserPool, app_client: AppClient, fake: SocialProvider
) -> None:
    fake.register(pool, app_client)
    first = signed_in(http, app_client, fake)
    fake.user["email"] = "countess@example.test"
    second = signed_in(at(pool), app_client, fake)
    assert (second.pk, second.attributes["email"]) == (first.pk, "countess@example.test")
    assert PoolUser.objects.count() == 1


# --- where it is sent: hosts and paths --------------------------------------------------------------------------------


def test_the_endpoints_are_those_that_describe_identity_provider_shows() -> None:
    """W 7.3, the column of Describe; the JWKS from the providers' discovery documents."""
    assert social.GOOGLE.authorize_url == "https://accounts.google.com/o/oauth2/v2/auth"
    assert social.GOOGLE.token_url == "https://www.googleapis.com/oauth2/v4/token"
    assert social.GOOGLE.jwks_uri == "https://www.googleapis.com/oauth2/v3/certs"
    assert social.GOOGLE.attributes_url == "https://people.googleapis.com/v1/people/me?personFields="
    assert social.GOOGLE.issuer == "https://accounts.google.com"
    assert social.APPLE.authorize_url == "https://appleid.apple.com/auth/authorize"
    assert social.APPLE.token_url == "https://appleid.apple.com/auth/token"
    assert social.APPLE.jwks_uri == "https://appleid.apple.com/auth/keys"
    assert (social.APPLE.issuer, social.APPLE.attributes_url) == ("https://appleid.apple.com", "")
    assert social.FACEBOOK == {
        "authorize_url": "https://www.facebook.com/{version}/dialog/oauth",
        "token_url": "https://graph.facebook.com/{version}/oauth/access_token",
        "attributes_url": "https://graph.facebook.com/{version}/me?fields=",
    }
    assert social.AMAZON == {
        "authorize_url": "https://www.amazon.com/ap/oa",
        "token_url": "https://api.amazon.com/auth/o2/token",
        "attributes_url": "https://api.amazon.com/user/profile",
    }


@pytest.mark.parametrize(("written", "version"), [({}, "v17.0"), ({"api_version": "v24.0"}, "v24.0")])
def test_facebooks_api_version_is_in_all_three_addresses(
    http: Client, pool: UserPool, app_client: AppClient, start: Any, written: dict[str, str], version: str
) -> None:
    fake = start(Facebook(version))
    fake.register(pool, app_client, details=written)
    signed_in(http, app_client, fake)
    paths = [call.path for call in fake.calls]
    assert paths == [f"/{version}/dialog/oauth", f"/{version}/oauth/access_token", f"/{version}/me"]


def test_an_api_version_cannot_lead_to_another_path(
    http: Client, pool: UserPool, app_client: AppClient, facebook: Facebook
) -> None:
    facebook.register(pool, app_client, details={"api_version": "v17.0/../../evil?x="})
    path = urlsplit(leave(http, app_client, facebook)).path
    assert path == "/v17.0%2F..%2F..%2Fevil%3Fx%3D/dialog/oauth"


# --- the authorization request ----------------------------------------------------------------------------------------

COMMON = {"client_id", "redirect_uri", "response_type", "scope", "state"}
PKCE = {"code_challenge", "code_challenge_method"}
SENT = {
    "Google": (COMMON | PKCE | {"nonce"}, "email profile openid"),
    "Facebook": (COMMON, "public_profile,email"),  # W 7.3: comma separated; Facebook takes no blanks
    "LoginWithAmazon": (COMMON | PKCE, "profile postal_code"),
    "SignInWithApple": (COMMON | {"nonce", "response_mode"}, "email name"),
}


@every()
def test_the_authorization_request_carries_this_and_nothing_else(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider
) -> None:
    fake.register(pool, app_client)
    found = asked(leave(http, app_client, fake))
    names, scope = SENT[fake.provider_type]
    assert set(found) == names
    assert (found["client_id"], found["response_type"], found["scope"]) == (fake.client_id, "code", scope)
    assert found["redirect_uri"] == CALLBACK
    assert found.get("response_mode") == ("form_post" if fake.provider_type == "SignInWithApple" else None)
    assert found["state"] != "xyz"  # our own, and not the app's


@every()
def test_prompt_is_passed_on_and_the_login_hint_never_is(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider
) -> None:
    """W 3.1: login_hint is "never" forwarded to these four; W 3.2: every prompt but none goes to the provider."""
    fake.register(pool, app_client)
    url = leave(http, app_client, fake, prompt="login consent", login_hint="ada@example.test")
    found = asked(url)
    assert set(found["prompt"].split(" ")) == {"login", "consent"}
    assert "login_hint" not in found
    assert "ada" not in url


@every()
def test_max_age_goes_to_those_that_speak_openid_connect(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider
) -> None:
    fake.register(pool, app_client)
    found = asked(leave(http, app_client, fake, max_age="300"))
    assert found.get("max_age") == ("300" if fake.provider_type in OF_OPENID else None)


def test_an_apple_session_older_than_the_app_allows_is_refused(
    http: Client, pool: UserPool, app_client: AppClient, apple: Apple
) -> None:
    apple.register(pool, app_client)
    apple.claims["auth_time"] = 1_700_000_000
    landing = apple.visit(leave(http, app_client, apple, max_age="300"))
    refused(come_back(http, landing), "Bad id_token auth_time", "id_token_auth_time")


# --- the token request ------------------------------------------------------------------------------------------------

CREDENTIALS = {"client_id", "client_secret"}
EXCHANGE = {"grant_type", "code", "redirect_uri"}
REDEEMED = {
    "Google": EXCHANGE | CREDENTIALS | {"code_verifier"},
    "LoginWithAmazon": EXCHANGE | CREDENTIALS | {"code_verifier"},
    "SignInWithApple": EXCHANGE | CREDENTIALS,
}


@every([name for name in NAMES if name in REDEEMED])
def test_the_code_is_redeemed_by_post_with_the_secret_in_the_form(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider
) -> None:
    """W 7.2: client_secret_post only."""
    fake.register(pool, app_client)
    signed_in(http, app_client, fake)
    call = only_call(fake, fake.token_path)
    assert (call.method, call.query, set(call.form)) == ("POST", {}, REDEEMED[fake.provider_type])
    assert (call.form["grant_type"], call.form["redirect_uri"]) == ("authorization_code", CALLBACK)
    assert "authorization" not in call.headers


def test_facebooks_code_is_redeemed_by_get(
    http: Client, pool: UserPool, app_client: AppClient, facebook: Facebook
) -> None:
    """W 7.3: token_request_method GET."""
    facebook.register(pool, app_client)
    signed_in(http, app_client, facebook)
    call = only_call(facebook, facebook.token_path)
    assert (call.method, call.form, set(call.query)) == ("GET", {}, EXCHANGE | CREDENTIALS)
    assert (call.query["client_secret"], call.query["redirect_uri"]) == (facebook.client_secret, CALLBACK)


def test_apples_secret_is_short_lived_and_made_for_each_sign_in(
    http: Client, at: Any, pool: UserPool, app_client: AppClient, apple: Apple
) -> None:
    """The fake verifies it as Apple does; here is how long it could be misused."""
    apple.register(pool, app_client)
    signed_in(http, app_client, apple)
    secret = only_call(apple, "/auth/token").form["client_secret"]
    token = jwt.decode(secret, apple.registered, algorithms=["ES256"])
    assert token.header["kid"] == apple.key_id
    assert 0 < token.claims["exp"] - token.claims["iat"] <= 300
    signed_in(at(pool), app_client, apple)
    assert apple.called("/auth/token")[1].form["client_secret"] != secret


@every([name for name in NAMES if name != "SignInWithApple"])
def test_a_wrong_secret_is_the_providers_refusal(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider
) -> None:
    fake.register(pool, app_client, details={"client_secret": "not-the-secret"})
    words = {
        "Google": "Google Error - 401 invalid_client",
        "Facebook": "Facebook Error - 400 error getting token",
        "LoginWithAmazon": "LoginWithAmazon Error - 401 invalid_client Client authentication failed",
    }[fake.provider_type]
    refused(go(http, app_client, fake), words, "token_error")


# --- Apple's client secret --------------------------------------------------------------------------------------------


def pem_of(found: ECKey, encoding: Any = NoEncryption()) -> str:  # noqa: B008 - it is a value
    return found.raw_value.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encoding).decode()


def bare(pem: str) -> str:
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))


@pytest.mark.parametrize(
    "written",
    [
        lambda pem: pem,
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem.replace("\n", ""),  # what the Amplify documentation asked for
        bare,  # all that Cognito takes (amplify-cli 7413)
    ],
    ids=["the file", "a file of Windows", "one line", "Cognito's form"],
)
def test_apples_private_key_may_be_written_in_all_of_these_ways(
    http: Client, pool: UserPool, app_client: AppClient, apple: Apple, written: Callable[[str], str]
) -> None:
    apple.register(pool, app_client, details={"private_key": written(apple.private_key)})
    signed_in(http, app_client, apple)


@pytest.mark.parametrize(
    "private_key",
    [
        "p",
        "-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nnot base64!\n-----END PRIVATE KEY-----",
        "kéy",
        key().as_pem(private=True).decode(),  # RSA
        pem_of(ECKey.generate_key("P-384")),
        pem_of(ECKey.generate_key("P-256"), BestAvailableEncryption(b"passphrase")),
        ECKey.generate_key("P-256").raw_value.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        ).decode(),
    ],
    ids=["a word", "empty", "not base64", "not ascii", "RSA", "P-384", "encrypted", "public"],
)  # fmt: skip
def test_an_unusable_private_key_is_a_refusal_with_its_own_reason(
    http: Client, pool: UserPool, app_client: AppClient, apple: Apple, private_key: str
) -> None:
    apple.register(pool, app_client, details={"private_key": private_key})
    words = "SignInWithApple Error - the private key is unusable"
    refused(go(http, app_client, apple), words, "private_key_unusable")
    assert not apple.called("/auth/token")


@pytest.mark.parametrize("changed", ["team_id", "key_id", "private_key"])
def test_apple_refuses_a_secret_that_is_not_the_registered_one(
    http: Client, pool: UserPool, app_client: AppClient, apple: Apple, changed: str
) -> None:
    value = pem_of(ECKey.generate_key("P-256")) if changed == "private_key" else "OTHER12345"
    apple.register(pool, app_client, details={changed: value})
    refused(go(http, app_client, apple), "SignInWithApple Error - 400 error getting token", "token_error")


# --- ID tokens --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", ["https://accounts.google.com", "accounts.google.com"])
def test_googles_issuer_comes_with_or_without_its_scheme(
    http: Client, pool: UserPool, app_client: AppClient, google: Google, issuer: str
) -> None:
    """OpenID Connect at Google, "Validating an ID token"."""
    google.register(pool, app_client)
    google.claims["iss"] = issuer
    signed_in(http, app_client, google)


@every(OF_OPENID)
@pytest.mark.parametrize(
    ("claims", "what"),
    [
        ({"iss": "https://evil.example.test"}, "issuer"),
        ({"iss": "http://accounts.google.com"}, "issuer"),
        ({"aud": "another-app"}, "audience"),
        ({"nonce": "another-nonce"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": None}, "subject"),
        ({"sub": ""}, "subject"),
        ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"),
    ],
)
def test_an_id_token_for_something_else_is_refused(
    http: Client, pool: UserPool, app_client: AppClient, fake: Any, claims: dict[str, Any], what: str
) -> None:
    fake.register(pool, app_client)
    fake.claims |= claims
    refused(go(http, app_client, fake), f"Bad id_token {what}", f"id_token_{what}")


@every(OF_OPENID)
def test_an_algorithm_that_the_provider_does_not_sign_with_is_refused(
    http: Client, pool: UserPool, app_client: AppClient, fake: Any
) -> None:
    """Both discovery documents list RS256 alone."""
    fake.register(pool, app_client)
    fake.alg, fake.key = "ES256", key("of P-256", "P-256")
    refused(go(http, app_client, fake), "Bad id_token algorithm", "id_token_algorithm")


def test_an_answer_that_names_another_issuer_than_google_is_not_redeemed(
    http: Client, pool: UserPool, app_client: AppClient, google: Google
) -> None:
    """RFC 9207: Google names itself in the answer."""
    google.register(pool, app_client)
    google.answer["iss"] = "https://evil.example.test"
    refused(go(http, app_client, google), "Bad issuer in the response", "answer_issuer")
    assert not google.called(google.token_path)


# --- profiles: which fields are asked for, and what comes of them -----------------------------------------------------


def test_the_people_api_is_not_called_for_what_the_id_token_says(
    http: Client, pool: UserPool, app_client: AppClient, google: Google
) -> None:
    google.register(pool, app_client, attribute_mapping={"email": "email", "name": "name", "username": "sub"})
    signed_in(http, app_client, google)
    assert not google.called(google.profile_path)


def test_the_people_api_is_asked_for_exactly_the_mapped_fields(
    http: Client, pool: UserPool, app_client: AppClient, google: Google
) -> None:
    """W 7.3: attributes_url_add_attributes appends the mapped names; the call is a GET with the access token."""
    mapping = {
        "username": "sub",
        "email": "email",
        "phone_number": "phoneNumbers",
        "birthdate": "birthdays",
        "nickname": "phoneNumbers",
    }
    google.register(pool, app_client, attribute_mapping=mapping)
    primary = {"metadata": {"primary": True}}
    google.person |= {
        "phoneNumbers": [
            {"value": "020 7946 0000", "canonicalForm": "+442079460000"},
            {"value": "020 7946 0018", "canonicalForm": "+442079460018", **primary},
        ],
        "birthdays": [{**primary, "date": {"year": 1815, "month": 12, "day": 10}, "text": "10/12/1815"}],
        "genders": [{**primary, "value": "female"}],
    }
    user = signed_in(http, app_client, google)
    call = only_call(google, google.profile_path)
    assert (call.method, set(call.query)) == ("GET", {"personFields"})
    assert sorted(call.query["personFields"].split(",")) == ["birthdays", "phoneNumbers"]  # each once
    assert user.attributes["phone_number"] == "+442079460018"
    assert user.attributes["birthdate"] == "1815-12-10"
    assert "gender" not in user.attributes


def test_what_people_does_not_tell_is_missing_and_no_error(
    http: Client, pool: UserPool, app_client: AppClient, google: Google
) -> None:
    google.register(pool, app_client, attribute_mapping={"email": "email", "gender": "genders"})
    user = signed_in(http, app_client, google)
    assert "gender" not in user.attributes


@pytest.mark.parametrize("name", ["people/999", "people/", "people/me", 110169484474386276334, None])
def test_a_person_who_is_somebody_else_is_refused(
    http: Client, pool: UserPool, app_client: AppClient, google: Google, name: Any
) -> None:
    google.register(pool, app_client, attribute_mapping={"email": "email", "gender": "genders"})
    google.person["resourceName"] = name
    refused(go(http, app_client, google), "Bad userinfo subject", "userinfo_subject")


# https://developers.google.com/people/api/rest/v1/people: the shape of each
ENTRIES: list[tuple[str, dict[str, Any], Any]] = [
    ("addresses", {"formattedValue": "12 St James's Square\nLondon", "type": "home", "city": "London"},
     "12 St James's Square\nLondon"),
    ("ageRanges", {"ageRange": "TWENTY_ONE_OR_OLDER"}, "TWENTY_ONE_OR_OLDER"),
    ("biographies", {"value": "Analyst", "contentType": "TEXT_PLAIN"}, "Analyst"),
    ("birthdays", {"date": {"year": 1815, "month": 12, "day": 10}, "text": "10 December 1815"}, "1815-12-10"),
    ("birthdays", {"date": {"month": 12, "day": 10}}, "0000-12-10"),  # OpenID Connect Core 5.1: the year is left out
    ("birthdays", {"date": {"year": 0, "month": 2, "day": 3}}, "0000-02-03"),
    ("birthdays", {"date": {"year": 1815}, "text": "1815"}, "1815"),
    ("birthdays", {"date": {"year": 1815}}, None),
    ("birthdays", {"date": {"year": "1815", "month": 12, "day": 10}}, None),
    ("birthdays", {"date": "1815-12-10"}, None),
    ("birthdays", {"text": "in the year 1815"}, "in the year 1815"),
    ("calendarUrls", {"url": "https://calendar.example.test/", "type": "home"}, "https://calendar.example.test/"),
    ("emailAddresses", {"value": "ada@example.test", "type": "home", "displayName": "Ada"}, "ada@example.test"),
    ("events", {"date": {"year": 1843, "month": 9, "day": 1}, "type": "anniversary"}, "1843-09-01"),
    ("genders", {"value": "female", "formattedValue": "Female"}, "female"),
    ("imClients", {"username": "ada", "protocol": "jabber"}, "ada"),
    ("locales", {"value": "en-GB"}, "en-GB"),
    ("memberships", {"domainMembership": {"inViewerDomain": True}}, {"domainMembership": {"inViewerDomain": True}}),
    ("names", {"displayName": "Ada Lovelace", "familyName": "Lovelace", "givenName": "Ada"}, "Ada Lovelace"),
    ("nicknames", {"value": "Countess", "type": "DEFAULT"}, "Countess"),
    ("occupations", {"value": "mathematician"}, "mathematician"),
    ("organizations", {"name": "Analytical Engines", "title": "Analyst", "type": "work"}, "Analytical Engines"),
    ("phoneNumbers", {"value": "020 7946 0018", "canonicalForm": "+442079460018", "type": "home"}, "+442079460018"),
    ("phoneNumbers", {"value": "+44 20 7946 0018"}, "+44 20 7946 0018"),
    ("photos", {"url": "https://lh3.example.test/ada=s100", "default": True}, "https://lh3.example.test/ada=s100"),
    ("relations", {"person": "Byron", "type": "father"}, "Byron"),
    ("urls", {"value": "https://ada.example.test/", "type": "blog"}, "https://ada.example.test/"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "entry", "value"), ENTRIES)
def test_an_entry_of_the_people_api_is_its_value(field: str, entry: dict[str, Any], value: Any) -> None:
    source = {"source": {"type": "PROFILE", "id": "1"}}
    person = {field: [{"metadata": source, "value": "not this"}, {"metadata": source | {"primary": True}, **entry}]}
    assert people.claims(person, [field]) == ({} if value is None else {field: value})


@pytest.mark.parametrize("listed", [None, [], {}, "ada", [None], ["ada"], 7])
def test_a_list_of_the_people_api_that_is_none_is_a_missing_claim(listed: Any) -> None:
    assert people.claims({"nicknames": listed}, ["nicknames"]) == {}


def test_the_first_entry_counts_where_none_is_the_primary_one() -> None:
    person = {"nicknames": [{"value": "Ada", "metadata": None}, {"value": "Countess", "metadata": {}}]}
    assert people.claims(person, ["nicknames"]) == {"nicknames": "Ada"}


def test_facebook_is_asked_for_its_id_and_the_mapped_fields_with_proof_of_the_app(
    http: Client, pool: UserPool, app_client: AppClient, facebook: Facebook
) -> None:
    """The fake checks the proof (Graph API, "Secure Graph API calls"), and sends what it is asked for."""
    mapping = {"username": "id", "email": "email", "name": "name", "preferred_username": "id", "nickname": "name"}
    facebook.register(pool, app_client, attribute_mapping=mapping | {"website": "access_token", "profile": "id_token"})
    user = signed_in(http, app_client, facebook)
    call = only_call(facebook, facebook.profile_path)
    assert (call.method, set(call.query)) == ("GET", {"fields", "appsecret_proof"})
    assert sorted(call.query["fields"].split(",")) == ["email", "id", "name"]  # each once
    assert call.headers["authorization"] == f"Bearer {facebook.issued[1]}"
    assert user.attributes["preferred_username"] == facebook.subject
    assert user.attributes["website"] == facebook.issued[1]  # W 11.3: a token may be mapped
    assert "profile" not in user.attributes


def test_facebooks_picture_is_kept_as_the_json_that_it_is(
    http: Client, pool: UserPool, app_client: AppClient, facebook: Facebook
) -> None:
    facebook.register(pool, app_client, attribute_mapping={"picture": "picture"})
    user = signed_in(http, app_client, facebook)
    assert json.loads(user.attributes["picture"]) == facebook.user["picture"]


def test_amazons_profile_is_called_as_it_is(
    http: Client, pool: UserPool, app_client: AppClient, amazon: Amazon
) -> None:
    """W 7.3: attributes_url_add_attributes is false."""
    amazon.register(pool, app_client)
    user = signed_in(http, app_client, amazon)
    call = only_call(amazon, amazon.profile_path)
    assert (call.method, call.query) == ("GET", {})
    assert user.attributes["zoneinfo"] == "98101"


@every(["Facebook", "LoginWithAmazon"])
@pytest.mark.parametrize("subject", [None, "", 7, ["1"]])
def test_a_profile_without_a_subject_is_nobody(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider, subject: Any
) -> None:
    fake.register(pool, app_client)
    fake.user[{"Facebook": "id", "LoginWithAmazon": "user_id"}[fake.provider_type]] = subject
    refused(go(http, app_client, fake), "Bad userinfo subject", "userinfo_subject")


@every(WITH_PROFILE)
@pytest.mark.parametrize("status", [401, 500])
def test_a_profile_endpoint_that_refuses_ends_the_sign_in(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider, status: int
) -> None:
    fake.register(pool, app_client, attribute_mapping=with_profile(fake))
    fake.misbehave(fake.profile_path, Reply(b"<html>Sorry</html>", status, {"Content-Type": "text/html"}))
    words = f"{fake.provider_type} Error - {status} error getting user info"
    refused(go(http, app_client, fake), words, "userinfo_error")


@pytest.mark.parametrize(
    ("provider_type", "field", "noted"),
    [("Facebook", "nickname", "OAuthException 100"), ("Google", "phoneNumbers", "PERMISSION_DENIED 403")],
)
def test_the_record_has_the_code_of_an_api_error_and_not_its_message(
    http: Client, pool: UserPool, app_client: AppClient, start: Any, provider_type: str, field: str, noted: str
) -> None:
    """A field that the Graph API does not know, and a project for which the People API was never switched on."""
    fake = start({"Facebook": Facebook, "Google": Google}[provider_type]())
    fake.register(pool, app_client, attribute_mapping={"nickname": field})
    if provider_type == "Google":
        words = "People API has not been used in project 1 before or it is disabled."
        error = {"error": {"code": 403, "message": words, "status": "PERMISSION_DENIED"}}
        fake.misbehave(fake.profile_path, Reply(error, 403))
    go(http, app_client, fake)
    attempt = AuthEvent.objects.get()
    assert attempt.reason == "userinfo_error"
    assert noted in steps_of(attempt)
    assert "field" not in steps_of(attempt)
    assert "project" not in steps_of(attempt)


# --- Apple's form -----------------------------------------------------------------------------------------------------


def test_apples_answer_is_a_form_from_another_site(
    at: Any, pool: UserPool, app_client: AppClient, apple: Apple
) -> None:
    """W 7.1; no CSRF token of ours can be in it, and Django's check would refuse the origin."""
    apple.register(pool, app_client)
    browser = at(pool, enforce_csrf_checks=True)
    landing = apple.visit(leave(browser, app_client, apple))
    assert landing.posted
    assert "code" in sent_to_app(come_back(browser, landing))


def test_apples_form_from_a_browser_that_did_not_begin_is_lost(
    http: Client, at: Any, pool: UserPool, app_client: AppClient, apple: Apple
) -> None:
    apple.register(pool, app_client)
    landing = apple.visit(leave(http, app_client, apple))
    response = come_back(at(pool), landing)
    assert urlsplit(response["Location"]).path == "/error"
    assert not apple.called("/auth/token")


def test_apples_name_comes_once_and_stays(
    http: Client, at: Any, pool: UserPool, app_client: AppClient, apple: Apple
) -> None:
    """W 11.3: a claim that is missing keeps what is stored."""
    apple.register(pool, app_client)
    first = signed_in(http, app_client, apple)
    names = {"name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace"}
    assert names.items() <= first.attributes.items()
    landing = apple.visit(leave(at(pool), app_client, apple))
    assert "user" not in landing.fields
    again = signed_in(at(pool), app_client, apple)
    assert (again.pk, again.attributes) == (first.pk, first.attributes)


def test_the_address_in_apples_form_is_never_believed(
    http: Client, pool: UserPool, app_client: AppClient, apple: Apple
) -> None:
    """The browser brings the form; the address counts as the ID token has it."""
    apple.register(pool, app_client)
    forged = {"email": "victim@example.test", "email_verified": "true", "name": {"email": "victim@example.test"}}
    landed = go(http, app_client, apple, user=json.dumps(forged | {"sub": "another", "custom:role": "admin"}))
    assert "code" in sent_to_app(landed)
    user = PoolUser.objects.get()
    assert (user.attributes["email"], user.username) == (apple.user["email"], USERNAMES["SignInWithApple"])
    assert "victim" not in json.dumps(user.attributes)


def test_the_address_in_apples_form_does_not_fill_in_for_one_that_is_missing(
    http: Client, pool: UserPool, app_client: AppClient, apple: Apple
) -> None:
    apple.register(pool, app_client)
    apple.claims |= {"email": None, "email_verified": None}
    user = signed_in(http, app_client, apple)
    assert "email" not in user.attributes
    assert user.attributes["name"] == "Ada Lovelace"


@pytest.mark.parametrize(
    "garbage",
    ["{", "[]", '"Ada"', "null", "7", "{}", '{"name": null}', '{"name": "Ada"}', '{"name": []}', "[" * 20_000,
     '{"name": {"firstName": 7, "lastName": ["Lovelace"], "middleName": {"a": 1}}}', '{"name": {"firstName": ""}}',
     "\ufeff{}", "NaN"],
)  # fmt: skip
def test_garbage_in_apples_form_is_a_name_that_is_missing(
    http: Client, pool: UserPool, app_client: AppClient, apple: Apple, garbage: str
) -> None:
    apple.register(pool, app_client)
    assert "code" in sent_to_app(go(http, app_client, apple, user=garbage))
    stored = PoolUser.objects.get().attributes
    assert not {"name", "given_name", "family_name"} & set(stored)


@pytest.mark.parametrize("part", ["\\u0000", "\\ud800"])
def test_a_name_that_cannot_be_stored_is_refused(
    http: Client, pool: UserPool, app_client: AppClient, apple: Apple, part: str
) -> None:
    apple.register(pool, app_client, attribute_mapping={"given_name": "firstName"})
    landed = go(http, app_client, apple, user=f'{{"name": {{"firstName": "A{part}"}}}}')
    words = "user.given_name: Invalid attribute value, characters that cannot be stored."
    refused(landed, words, "attribute_invalid")


def test_a_name_of_any_length_is_clipped(http: Client, pool: UserPool, app_client: AppClient, apple: Apple) -> None:
    apple.register(pool, app_client)
    apple.person["name"] = {"firstName": "A" * 10_000}
    assert signed_in(http, app_client, apple).attributes["given_name"] == "A" * 256


@pytest.mark.parametrize(("claim", "stored"), [("true", "true"), (True, "true"), ("false", "false"), (False, "false")])
def test_apple_says_verified_in_words_or_as_a_boolean(
    http: Client, pool: UserPool, app_client: AppClient, apple: Apple, claim: Any, stored: str
) -> None:
    """Authenticating users with Sign in with Apple: "a string or Boolean value"."""
    apple.register(pool, app_client)
    apple.user["email_verified"] = claim
    assert signed_in(http, app_client, apple).attributes["email_verified"] == stored


# --- no ---------------------------------------------------------------------------------------------------------------

CANCELLED = [
    ("Google", {"error": "access_denied"}, "The sign-in was cancelled."),
    ("LoginWithAmazon", {"error": "access_denied", "error_description": "Access not permitted."},
     "Access not permitted."),
    ("Facebook", {"error": "access_denied", "error_code": "200", "error_description": "Permissions error",
                  "error_reason": "user_denied"}, "Permissions error"),
    ("SignInWithApple", {"error": "user_cancelled_authorize"}, "The sign-in was cancelled."),
]  # fmt: skip


@pytest.mark.parametrize(("fake", "answer", "words"), CANCELLED, indirect=["fake"])
def test_who_says_no_at_the_provider_is_denied_at_the_app(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider, answer: dict[str, str], words: str
) -> None:
    fake.register(pool, app_client)
    fake.answer = {"code": "", "user": "", **answer}
    refused(go(http, app_client, fake), words, "access_denied", "access_denied")
    assert not fake.called(fake.token_path)


def test_what_facebooks_dialog_refuses_by_itself_is_told(
    http: Client, pool: UserPool, app_client: AppClient, facebook: Facebook
) -> None:
    """Not as OAuth has it: error_code and error_message (omniauth-facebook 116)."""
    facebook.register(pool, app_client)
    message = "App Not Setup: <b>This app</b> is still in development mode"
    facebook.answer = {"code": "", "error_code": "1349052", "error_message": message}
    words = "Facebook Error - 1349052 App Not Setup: b This app /b is still in development mode"
    response = go(http, app_client, facebook)
    attempt = AuthEvent.objects.get()
    assert (attempt.reason, " ".join(attempt.description.split())) == ("provider_error", words)
    assert sent_to_app(response)["error"] == "invalid_request"
    assert "1349052" in steps_of(attempt)


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        ("Google", "Google Error - 400 invalid_grant"),
        ("Facebook", "Facebook Error - 400 error getting token"),
        ("SignInWithApple", "SignInWithApple Error - 400 error getting token"),
        ("LoginWithAmazon",
         "LoginWithAmazon Error - 400 invalid_grant The request has an invalid grant parameter : code"),
    ],
    indirect=["fake"],
)  # fmt: skip
def test_a_code_that_the_provider_does_not_know_is_told_in_the_documented_words(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider, words: str
) -> None:
    """W 3.8, the rows of the token endpoint."""
    fake.register(pool, app_client)
    refused(go(http, app_client, fake, code="forged"), words, "token_error")


def test_amazons_words_arrive_with_their_colon(
    http: Client, pool: UserPool, app_client: AppClient, amazon: Amazon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W 3.8, the documented sample; the fake refuses a request without the secret, as Amazon does."""
    send = social.AmazonUpstream.token_request

    def without_secret(*given: Any) -> Any:
        url, form, headers = send(*given)
        return url, {name: value for name, value in form.items() if name != "client_secret"}, headers

    monkeypatch.setattr(social.AmazonUpstream, "token_request", without_secret)
    amazon.register(pool, app_client)
    words = "LoginWithAmazon Error - 400 invalid_request The request is missing a required parameter : client_secret"
    refused(go(http, app_client, amazon), words, "token_error")


def test_a_graph_error_at_the_token_endpoint_is_in_the_record_by_its_code(
    http: Client, pool: UserPool, app_client: AppClient, facebook: Facebook
) -> None:
    facebook.register(pool, app_client, details={"client_secret": "not-the-secret"})
    go(http, app_client, facebook)
    assert "OAuthException 1" in steps_of(AuthEvent.objects.get())


@every()
def test_a_broken_answer_of_the_token_endpoint_is_no_error_of_ours(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider
) -> None:
    fake.register(pool, app_client)
    fake.misbehave(fake.token_path, Reply("access_token=abc&expires=5183999"))  # Facebook's form until 2015
    refused(go(http, app_client, fake), "Bad token response", "token_not_json")


@every()
def test_an_unreachable_provider_is_told_as_such(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider
) -> None:
    fake.register(pool, app_client)
    landing = fake.visit(leave(http, app_client, fake))
    fake.__exit__()
    refused(come_back(http, landing), "Connection reset", "token_connection")


# --- what must stay secret --------------------------------------------------------------------------------------------


def secrets_of(fake: SocialProvider) -> set[str]:
    """Return everything that a sign-in at ``fake`` has carried and nobody else may read."""
    found = {*fake.issued, *fake.access_tokens, fake.client_secret}
    for call in fake.calls:
        sent = call.query | call.form
        found |= {sent[name] for name in ("state", "code_verifier", "nonce", "appsecret_proof") if name in sent}
    if isinstance(fake, Apple):
        found |= {bare(fake.private_key), *bare(fake.private_key).split("/")}
    return {secret for secret in found if len(secret) > 8}


ENDINGS = [(name, ending) for name in NAMES for ending in ("signed in", "no such code")]
ENDINGS += [(name, "no profile") for name in WITH_PROFILE]


@pytest.mark.parametrize(("fake", "ending"), ENDINGS, indirect=["fake"])
def test_nothing_secret_is_logged_or_recorded(
    http: Client, pool: UserPool, app_client: AppClient, fake: SocialProvider, heard: Listener, ending: str
) -> None:
    """Facebook's secret and code travel in an address, which every HTTP library likes to log."""
    provider = fake.register(pool, app_client, attribute_mapping=with_profile(fake))
    if ending == "no profile":
        fake.bearer_of = lambda call: ""  # type: ignore[method-assign]
    landed = go(http, app_client, fake, **({"code": "forged-code-0123456789"} if ending == "no such code" else {}))
    assert ("code" in sent_to_app(landed)) == (ending == "signed in")
    secret = secrets_of(fake) | {"forged-code-0123456789"}
    assert len(secret) > 3
    attempt = AuthEvent.objects.get()
    record = json.dumps([attempt.steps, attempt.description, attempt.reason, attempt.error, attempt.subject])
    logged = "\n".join(heard.lines)
    assert "userpool.events" in heard.loggers  # something was logged
    for value in secret:
        assert value not in record
        assert value not in logged
    assert not {name for name in heard.loggers if name.startswith(("httpx", "httpcore"))}
    assert fake.client_secret not in repr(provider) + str(provider)
