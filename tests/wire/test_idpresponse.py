"""``/oauth2/idpresponse``, and the way through an OpenID Provider that leads there and on.

AWS page federation-endpoint-idp-responses and cognito-user-pools-oidc-flow (W 3.8, 7.1, 7.2, 11); OpenID Connect Core
3.1, Discovery 1.0, RFC 6749 4.1 and 10.12, RFC 7636, RFC 9207. The provider is a fake that speaks over a socket; what
a hostile one tries is in tests/security/test_evil_idp.py.
"""

import base64
import hashlib
import html
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import unquote_plus, urlencode, urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts import events, pauses, sessions
from accounts.models import (
    AppClient,
    AuthEvent,
    IdentityProvider,
    LinkedIdentity,
    PoolUser,
    SignInRequest,
    SignInSession,
    UserPool,
    UserPoolDomain,
)
from accounts.models.users import UserStatus
from federation.upstream import capacity
from federation.upstream import http as outgoing
from tests import factories
from tests.browser_like import FORM, open_login, submit_login
from tests.fakes.browser import at_provider, come_back, fields_of, register, through
from tests.fakes.oidc import OidcIdp
from tests.fakes.server import Handler, Reply, hang, hang_up, reset
from tests.wire.helpers import (
    CHALLENGE,
    VERIFIER,
    ask,
    in_form,
    in_fragment,
    new_code,
    on_error_page,
    query_of,
    redeem,
    sent_to_app,
    set_values,
    signed_in,
    tokens_for,
    userinfo,
    verified,
)
from tests.wire.test_login import links_of, words_of

pytestmark = pytest.mark.django_db
DISCOVERY = "/.well-known/openid-configuration"
HOST = "demo.auth.example.test"
HERE = f"https://{HOST}/oauth2/idpresponse"
COOKIE = "__Host-userpool_state"
Arrange = Callable[[OidcIdp], object]


@pytest.fixture
def provider(idp: OidcIdp, pool: UserPool, app_client: AppClient) -> IdentityProvider:
    """``idp`` as the provider Corp of the pool and its client."""
    return register(idp, pool, app_client, idp_identifiers=["corp.example.test"])


@pytest.fixture
def query(app_client: AppClient, provider: IdentityProvider) -> dict[str, str]:
    """A request that names the provider."""
    return query_of(app_client, identity_provider="Corp")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no call wait for long."""
    monkeypatch.setattr(outgoing, "READ_TIMEOUT", 0.2)


def details(provider: IdentityProvider, **changes: str) -> None:
    set_values(provider, provider_details=provider.provider_details | changes)


def another_browser(host: str = HOST) -> Client:
    return Client(headers={"host": host})


def sent_to_provider(response: HttpResponse, idp: OidcIdp) -> dict[str, str]:
    """Return what a redirect to the provider's authorization endpoint carries."""
    assert response.status_code == 302, (response.status_code, response.content[:500])
    assert response["Location"].startswith(f"{idp.base}/authorize?"), response["Location"]
    return fields_of(response["Location"])


def claims_of(http: Client, pool: UserPool, client: AppClient, response: HttpResponse, **fields: str) -> dict[str, Any]:
    """Redeem the code that a sign-in ended with; return the claims of the ID token."""
    answer = redeem(http, client, sent_to_app(response)["code"], **fields)
    assert answer.status_code == 200, answer.content
    return verified(pool, answer.json()["id_token"])[1]


def refused(response: HttpResponse, error: str, description: str) -> None:
    """Check that the app is told so, in these words, and nobody is signed in."""
    told = sent_to_app(response)
    assert (told["error"], told.get("error_description", "")) == (error, description)
    assert told["state"] == "xyz"
    assert "code" not in told
    assert sessions.COOKIE not in response.cookies


def last_attempt() -> AuthEvent:
    return AuthEvent.objects.latest("id")


# --- the way out


@pytest.mark.parametrize("named", [{"identity_provider": "Corp"}, {"idp_identifier": "corp.example.test"}])
def test_a_request_that_names_the_provider_leads_to_it_and_back_to_the_app(
    http: Client, pool: UserPool, app_client: AppClient, provider: IdentityProvider, named: dict[str, str]
) -> None:
    found = sent_to_app(through(http, query_of(app_client, **named)))
    assert set(found) == {"code", "state", "iss"}
    assert (found["state"], found["iss"]) == ("xyz", pool.issuer)  # RFC 9207 2


def test_a_button_on_the_sign_in_page_leads_to_it(
    http: Client, app_client: AppClient, idp: OidcIdp, provider: IdentityProvider
) -> None:
    _, page = open_login(http, query_of(app_client))
    [(label, query)] = links_of(page)
    assert label == "Continue with Corp"
    assert sent_to_provider(ask(http, query), idp)["client_id"] == "userpool"


def test_a_company_address_on_the_sign_in_page_leads_to_its_provider_and_is_the_hint(
    http: Client, pool: UserPool, app_client: AppClient, idp: OidcIdp, provider: IdentityProvider
) -> None:
    """W 8.6: several company providers with identifiers share one box."""
    with OidcIdp() as other:
        register(other, pool, app_client, name="Other", idp_identifiers=["other.example.test"])
        for email, expected in (("ada@Corp.example.test", idp), ("bob@other.example.test", other)):
            browser = another_browser()
            response = submit_login(browser, query_of(app_client), action="corporate", corporate_email=email)
            assert urlsplit(response["Location"]).path == "/oauth2/authorize"
            sent = browser.get(response["Location"])
            assert sent_to_provider(sent, expected)["login_hint"] == email
            assert "code" in sent_to_app(come_back(browser, at_provider(sent)))
        page = submit_login(http, query_of(app_client), action="corporate", corporate_email="eve@else.example.test")
        assert "No company sign-in" in words_of(page)


def test_what_the_provider_is_asked(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """Core 3.1.2.1, RFC 7636 4.3. state and nonce are ours and new each time; the app's go no further than us."""
    app_values = {"state": "the app's state", "nonce": "the app's nonce", "code_challenge": CHALLENGE}
    first, second = (
        sent_to_provider(ask(http, query | app_values | {"code_challenge_method": "S256"}), idp) for _ in range(2)
    )
    random = {"state", "nonce", "code_challenge"}
    assert {name: value for name, value in first.items() if name not in random} == {
        "client_id": "userpool",
        "redirect_uri": HERE,
        "response_type": "code",
        "scope": "openid email",
        "code_challenge_method": "S256",
    }
    for name in random:
        assert len(first[name]) == 43  # 256 bits in base64url
        assert first[name] not in (*app_values.values(), second[name])


def test_the_verifier_fits_the_challenge(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """RFC 7636 4.6, checked here as the provider would."""
    sent_to_app(through(http, query))
    [asked], [redeemed] = idp.called("/authorize"), idp.called("/token")
    digest = hashlib.sha256(redeemed.form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked.query["code_challenge"]


def test_a_provider_that_does_not_offer_s256_gets_no_challenge(
    http: Client, query: dict[str, str], idp: OidcIdp
) -> None:
    idp.metadata = {"code_challenge_methods_supported": ["plain"]}
    sent_to_app(through(http, query))
    assert not [call for call in idp.calls if {"code_challenge", "code_verifier"} & {*call.query, *call.form}]


@pytest.mark.parametrize("prompt", ["login", "select_account", "consent login"])
def test_prompt_goes_on_to_the_provider(http: Client, query: dict[str, str], idp: OidcIdp, prompt: str) -> None:
    assert sent_to_provider(ask(http, query | {"prompt": prompt}), idp)["prompt"] == prompt


def test_prompt_none_never_reaches_the_provider(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """Core 3.1.2.1: without a session there is nothing to answer with, and no page may be shown to get one."""
    assert sent_to_app(ask(http, query | {"prompt": "none"}))["error"] == "login_required"
    assert not idp.calls
    assert not SignInRequest.objects.exists()


def test_hint_and_age_go_on_to_the_provider(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    asked = sent_to_provider(ask(http, query | {"login_hint": "ada@corp.example.test", "max_age": "0"}), idp)
    assert (asked["login_hint"], asked["max_age"]) == ("ada@corp.example.test", "0")


def test_a_sign_in_at_the_provider_that_is_older_than_max_age_is_refused(
    http: Client, query: dict[str, str], idp: OidcIdp
) -> None:
    """Core 3.1.2.1 and 3.1.3.7 step 13."""
    idp.claims = {"auth_time": int(time.time()) - 3600}
    refused(through(http, query | {"max_age": "600"}), "invalid_request", "Bad id_token auth_time")
    assert last_attempt().reason == "id_token_auth_time"
    assert "code" in sent_to_app(through(http, query | {"max_age": "7200"}))


@pytest.mark.parametrize("way", ["prefix domain", "custom domain", "path"])
def test_the_provider_sends_the_browser_back_to_the_domain_that_it_came_by(
    pool: UserPool, app_client: AppClient, query: dict[str, str], idp: OidcIdp, way: str
) -> None:
    """W 7.1: both domains are registered at the provider; the cookie is on the one that the browser came by."""
    UserPoolDomain.objects.create(user_pool=pool, domain="login.customer.test", is_custom=True)
    host, prefix = {
        "prefix domain": (HOST, ""),
        "custom domain": ("login.customer.test", ""),
        "path": ("id.example.test", f"/{pool.pk}"),
    }[way]
    browser = another_browser(host)
    sent = browser.get(f"{prefix}/oauth2/authorize?{urlencode(query)}")
    expected = f"https://{host}{prefix}/oauth2/idpresponse"
    assert sent_to_provider(sent, idp)["redirect_uri"] == expected
    back = at_provider(sent)
    assert back.startswith(expected + "?")
    assert "code" in sent_to_app(come_back(browser, back))
    assert idp.called("/token")[0].form["redirect_uri"] == expected  # RFC 6749 4.1.3


# --- the cookie


def state_cookies(response: HttpResponse) -> dict[str, tuple[str, bool, bool, str, str]]:
    """Return name to path, Secure, HttpOnly, SameSite and Domain of each cookie that an answer sets."""
    return {
        name: (c["path"], bool(c["secure"]), bool(c["httponly"]), c["samesite"], c["domain"])
        for name, c in response.cookies.items()
    }


def test_the_cookie_is_the_hosts_alone_and_comes_along_with_a_post(http: Client, query: dict[str, str]) -> None:
    """RFC 6265bis 4.1.3.2 (__Host-); form_post answers need SameSite=None."""
    response = ask(http, query)
    assert state_cookies(response) == {COOKIE: ("/", True, True, "None", "")}
    assert response.cookies[COOKIE]["max-age"] == 300


def test_the_cookie_of_a_pool_under_a_path_stays_there(pool: UserPool, query: dict[str, str]) -> None:
    """A path other than / forbids the prefix; the POST of another site comes here as well."""
    response = another_browser("id.example.test").get(f"/{pool.pk}/oauth2/authorize?{urlencode(query)}")
    assert state_cookies(response) == {"userpool_state": (f"/{pool.pk}/", True, True, "None", "")}


def test_the_cookie_over_http_is_lax(http: Client, query: dict[str, str], settings: Any) -> None:
    """Browsers refuse SameSite=None without Secure; http is for development (D2.7)."""
    settings.HTTPS = False
    response = ask(http, query)
    assert state_cookies(response) == {"userpool_state": ("/", False, True, "Lax", "")}
    assert "code" in sent_to_app(come_back(http, at_provider(response)))


def test_two_tabs_of_one_browser_both_finish(http: Client, query: dict[str, str]) -> None:
    first, second = (at_provider(ask(http, query | {"state": tab})) for tab in ("one", "two"))
    assert sent_to_app(come_back(http, second))["state"] == "two"
    found = sent_to_app(come_back(http, first))
    assert (found["state"], "code" in found) == ("one", True)


@pytest.mark.parametrize("planted", ["", "x", "y" * 42, "z" * 4000])
def test_a_cookie_that_cannot_be_ours_is_replaced(http: Client, query: dict[str, str], planted: str) -> None:
    http.cookies[COOKIE] = planted
    response = ask(http, query)
    assert len(response.cookies[COOKIE].value) == 43
    assert "code" in sent_to_app(come_back(http, at_provider(response)))


# --- the answer


@pytest.mark.parametrize("posted", [False, True])
def test_the_answer_comes_by_get_or_by_another_sites_form(query: dict[str, str], posted: bool) -> None:
    """OAuth 2.0 Form Post Response Mode. The POST has no CSRF token of ours, and a foreign Origin."""
    browser = Client(headers={"host": HOST}, enforce_csrf_checks=True)
    assert "code" in sent_to_app(through(browser, query, posted))


@pytest.mark.parametrize("method", ["PUT", "HEAD", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_not_allowed(http: Client, query: dict[str, str], method: str) -> None:
    back = at_provider(ask(http, query))
    response = http.generic(method, f"/oauth2/idpresponse?{urlsplit(back).query}")
    assert (response.status_code, response["Allow"], response.content) == (405, "GET, POST", b"")
    assert "code" in sent_to_app(come_back(http, back))  # nothing was spent


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain"])
def test_a_body_that_is_no_form_is_refused(http: Client, query: dict[str, str], content_type: str) -> None:
    back = at_provider(ask(http, query))
    body = json.dumps(fields_of(back))
    response = http.post("/oauth2/idpresponse", body, content_type=content_type)
    assert on_error_page(http, response) == "invalid_request"
    assert "code" in sent_to_app(come_back(http, back))


def test_the_parameters_of_a_posts_address_are_not_its_answer(http: Client, query: dict[str, str]) -> None:
    back = at_provider(ask(http, query))
    response = http.post(f"/oauth2/idpresponse?{urlsplit(back).query}", "", content_type=FORM)
    assert on_error_page(http, response) == "sign_in_lost"


# --- what the provider is told at its token endpoint


def test_the_secret_travels_in_the_form(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """W 7.2: client_secret_post, even where client_secret_basic is offered as well."""
    sent_to_app(through(http, query))
    [call] = idp.called("/token")
    code = idp.called("/authorize")
    assert call.method == "POST"
    assert "authorization" not in call.headers
    assert {name: value for name, value in call.form.items() if name not in ("code", "code_verifier")} == {
        "grant_type": "authorization_code",
        "client_id": "userpool",
        "client_secret": "upstream-secret",
        "redirect_uri": HERE,
    }
    assert len(code) == 1


def test_the_secret_travels_in_a_header_where_nothing_else_is_taken(
    http: Client, query: dict[str, str], provider: IdentityProvider, idp: OidcIdp
) -> None:
    """RFC 6749 2.3.1: both parts are form-encoded before they are joined."""
    client_id, secret = "user:pool +1", "a:b+c%20d e/&ü"
    details(provider, client_id=client_id, client_secret=secret)
    idp.client_id = client_id
    idp.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"]}
    sent_to_app(through(http, query))
    [call] = idp.called("/token")
    scheme, _, credentials = call.headers["authorization"].partition(" ")
    assert scheme == "Basic"
    pair = base64.b64decode(credentials).decode("ascii").split(":")
    assert [unquote_plus(part) for part in pair] == [client_id, secret]
    assert not {"client_id", "client_secret"} & set(call.form)


def test_four_given_urls_replace_discovery(
    http: Client, query: dict[str, str], provider: IdentityProvider, idp: OidcIdp
) -> None:
    """W 7.3. What no document promises is not assumed: no PKCE."""
    paths = {"authorize_url": "authorize", "token_url": "token", "attributes_url": "userinfo", "jwks_uri": "jwks"}
    details(provider, **{name: f"{idp.base}/{path}" for name, path in paths.items()})
    assert "code" in sent_to_app(through(http, query))
    assert not idp.called(DISCOVERY)
    assert "code_challenge" not in idp.called("/authorize")[0].query
    assert "code_verifier" not in idp.called("/token")[0].form


def test_a_given_authorization_url_may_have_a_query_of_its_own(
    http: Client, query: dict[str, str], provider: IdentityProvider, idp: OidcIdp
) -> None:
    """RFC 6749 3.1: it must be retained."""
    idp.metadata = {"authorization_endpoint": f"{idp.base}/authorize?tenant=a%20b"}
    asked = sent_to_provider(ask(http, query), idp)
    assert (asked["tenant"], asked["client_id"]) == ("a b", "userpool")


def test_what_the_provider_calls_arrive_with(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """One User-Agent, and no cookie of anybody's."""
    sent_to_app(through(http, query))
    ours = [call for call in idp.calls if call.path != "/authorize"]
    assert {call.headers["user-agent"].partition("/")[0] for call in ours} == {"Userpool"}
    assert not [call for call in ours if "cookie" in call.headers]


# --- who it is: the user, the tokens


def test_the_user_and_the_id_token_say_where_they_come_from(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str], idp: OidcIdp
) -> None:
    """W 11.1, 11.2: the username, the status, the group of the provider, and ``identities``, its flags as strings."""
    before = int(time.time() * 1000)
    claims = claims_of(http, pool, app_client, through(http, query))
    user = PoolUser.objects.get()
    assert (user.username, user.status, user.enabled) == ("corp_ada", UserStatus.EXTERNAL_PROVIDER, True)
    assert not user.has_usable_password()
    assert user.attributes == {"email": "ada@corp.example.test", "email_verified": "true"}
    assert claims["cognito:username"] == "corp_ada"
    assert claims["cognito:groups"] == [f"{pool.pk}_Corp"]
    assert (claims["email"], claims["email_verified"]) == ("ada@corp.example.test", True)
    assert claims["sub"] == user.sub != "ada"
    [identity] = claims["identities"]
    created = identity.pop("dateCreated")
    assert isinstance(created, str)
    assert before - 1000 <= int(created) <= int(time.time() * 1000) + 1000
    assert identity == {
        "userId": "ada",
        "providerName": "Corp",
        "providerType": "OIDC",
        "issuer": idp.issuer,
        "primary": "true",
    }


def test_a_pool_that_minds_case_keeps_it(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    set_values(pool, case_sensitive=True)
    sent_to_app(through(http, query))
    assert PoolUser.objects.get().username == "Corp_ada"


def test_the_second_sign_in_finds_the_user_and_brings_it_up_to_date(
    http: Client, query: dict[str, str], idp: OidcIdp
) -> None:
    """W 11.3: each sign-in writes what changed; a claim that is missing keeps what was stored."""
    sent_to_app(through(http, query))
    idp.user = {"sub": "ada", "email": "lovelace@corp.example.test", "email_verified": False}
    sent_to_app(through(another_browser(), query))
    assert PoolUser.objects.get().attributes == {"email": "lovelace@corp.example.test", "email_verified": "false"}
    idp.user = {"sub": "ada"}
    sent_to_app(through(another_browser(), query))
    assert PoolUser.objects.get().attributes["email"] == "lovelace@corp.example.test"


def test_a_user_of_the_pool_with_the_same_address_is_somebody_else(
    http: Client, pool: UserPool, query: dict[str, str], idp: OidcIdp
) -> None:
    """Never matched by e-mail on its own."""
    local = factories.make_user(pool, "local", None, attributes={"email": "ada@corp.example.test"})
    sent_to_app(through(http, query))
    assert set(PoolUser.objects.values_list("username", flat=True)) == {"local", "corp_ada"}
    assert not LinkedIdentity.objects.filter(user=local).exists()


def test_the_apps_nonce_is_in_its_token_and_ours_is_not(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str], idp: OidcIdp
) -> None:
    """Cognito leaks its own nonce when the app sent none (W 7.2); that is not copied."""
    assert "nonce" not in claims_of(http, pool, app_client, through(http, query))
    asked = query | {"nonce": "n-0S6_WzA2Mj"}
    assert claims_of(another_browser(), pool, app_client, through(another_browser(), asked))["nonce"] == "n-0S6_WzA2Mj"
    assert "n-0S6_WzA2Mj" not in [call.query["nonce"] for call in idp.called("/authorize")]


def test_the_apps_own_pkce_holds_through_the_pause(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    """RFC 7636 4.6, between the app and us."""
    asked = query | {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    code = sent_to_app(through(http, asked))["code"]
    assert redeem(http, app_client, code).status_code == 400
    claims_of(http, pool, app_client, through(another_browser(), asked), code_verifier=VERIFIER)


@pytest.mark.parametrize("state", ["a b+c%20&=/?#ü", "%7B%22a%22%3A1%7D", "x" * 2000])
def test_the_apps_state_comes_back_as_it_was(http: Client, query: dict[str, str], state: str) -> None:
    assert sent_to_app(through(http, query | {"state": state}))["state"] == state


def test_the_implicit_grant_and_form_post_survive_the_pause(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    """W 3.4: tokens in the fragment; OAuth 2.0 Form Post Response Mode."""
    set_values(app_client, allowed_oauth_flows=["code", "implicit"])
    found = in_fragment(through(http, query | {"response_type": "token"}))
    assert verified(pool, found["id_token"])[1]["cognito:username"] == "corp_ada"
    assert "code" in in_form(through(another_browser(), query | {"response_mode": "form_post"}))


def test_the_session_answers_afterwards_without_the_provider(
    http: Client, app_client: AppClient, query: dict[str, str], idp: OidcIdp
) -> None:
    """W 3.2: for the provider that it came from, and when none is named; not for COGNITO, nor for prompt=login."""
    response = through(http, query)
    assert response.cookies[sessions.COOKIE]["samesite"] == "Lax"
    count = len(idp.calls)
    for asked in (query, query_of(app_client), query | {"prompt": "none"}):
        assert "code" in sent_to_app(ask(http, asked))
    assert urlsplit(ask(http, query_of(app_client, identity_provider="COGNITO"))["Location"]).path == "/login"
    assert len(idp.calls) == count
    sent_to_provider(ask(http, query | {"prompt": "login"}), idp)


def test_a_session_of_one_provider_does_not_answer_for_another(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    sent_to_app(through(http, query))
    with OidcIdp() as other:
        register(other, pool, app_client, name="Other")
        sent_to_provider(ask(http, query | {"identity_provider": "Other"}), other)


def test_somebody_else_than_the_hint_names_is_not_signed_in(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str], user: PoolUser
) -> None:
    """Core 3.1.2.1, id_token_hint."""
    elsewhere = another_browser()
    signed_in(elsewhere, user)
    hint = tokens_for(elsewhere, app_client)["id_token"]
    refused(through(http, query | {"id_token_hint": hint}), "login_required", "")
    assert not SignInSession.objects.filter(user__username="corp_ada").exists()
    assert last_attempt().reason == "login_required"
    own = redeem(http, app_client, sent_to_app(through(http, query))["code"]).json()["id_token"]
    assert "code" in sent_to_app(through(another_browser(), query | {"id_token_hint": own}))


def test_the_access_token_opens_userinfo(http: Client, app_client: AppClient, query: dict[str, str]) -> None:
    """The whole journey: the identity at the app is the one at the provider."""
    body = redeem(http, app_client, sent_to_app(through(http, query))["code"]).json()
    said = userinfo(http, body["access_token"]).json()
    assert (said["username"], said["email"]) == ("corp_ada", "ada@corp.example.test")


# --- userInfo, issuer


def test_claims_of_the_id_token_win(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """W 7.2: the token is signed."""
    idp.claims = {"email": "signed@corp.example.test"}
    sent_to_app(through(http, query))
    assert PoolUser.objects.get().attributes == {"email": "signed@corp.example.test", "email_verified": "true"}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_userinfo_is_asked_as_the_provider_wants_it(
    http: Client, query: dict[str, str], provider: IdentityProvider, idp: OidcIdp, method: str
) -> None:
    """attributes_request_method (W 7.2); the token goes in the header (RFC 6750 2.1), never in the address."""
    details(provider, attributes_request_method=method)
    idp.tokens = {"access_token": "upstream-access-token"}
    sent_to_app(through(http, query))
    [call] = idp.called("/userinfo")
    assert (call.method, call.query) == (method, {})
    assert call.headers["authorization"] == "Bearer upstream-access-token"


def test_a_provider_without_userinfo_is_asked_for_none(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    idp.metadata = {"userinfo_endpoint": None}
    idp.claims = {"email": "ada@corp.example.test"}
    sent_to_app(through(http, query))
    assert not idp.called("/userinfo")
    assert PoolUser.objects.get().attributes["email"] == "ada@corp.example.test"


def test_a_provider_whose_issuer_ends_in_a_slash_is_configured_without_it(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str], idp: OidcIdp
) -> None:
    """W 7.2: Cognito's form has none. The provider's own spelling is what its tokens must have and ours show."""
    idp.issuer = f"{idp.base}/"
    claims = claims_of(http, pool, app_client, through(http, query))
    assert claims["identities"][0]["issuer"] == f"{idp.base}/"


# --- the provider says no


def test_somebody_who_cancels_comes_back_to_the_app_with_access_denied(
    http: Client, query: dict[str, str], idp: OidcIdp
) -> None:
    """RFC 6749 4.1.2.1, W 3.8; the words are the provider's, what no URL could carry taken out."""
    idp.answer = {"code": "", "error": "access_denied", "error_description": 'Ada said "no" twice\\'}
    refused(through(http, query), "access_denied", "Ada said  no  twice")
    attempt = last_attempt()
    assert (attempt.outcome, attempt.reason, attempt.error) == ("refused", "access_denied", "access_denied")
    assert not idp.called("/token")
    idp.answer = {"code": "", "error": "access_denied"}
    refused(through(http, query), "access_denied", "The sign-in was cancelled.")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": "temporarily_unavailable"}, "Corp Error - temporarily_unavailable"),
        ({"error": "server_error", "error_description": "Try later."}, "Corp Error - server_error Try later."),
        ({"error": "login_required"}, "Corp Error - login_required"),
    ],
)
def test_any_other_error_of_the_provider_is_an_invalid_request(
    http: Client, query: dict[str, str], idp: OidcIdp, answer: dict[str, str], words: str
) -> None:
    idp.answer = {"code": "", **answer}
    refused(through(http, query), "invalid_request", words)
    assert last_attempt().reason == "provider_error"
    assert not idp.called("/token")


def test_an_error_beside_a_code_is_an_error(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    idp.answer = {"error": "access_denied"}
    refused(through(http, query), "access_denied", "The sign-in was cancelled.")
    assert not idp.called("/token")


@pytest.mark.parametrize("code", ["", "x" * 5000])
def test_an_answer_without_a_code_is_refused(http: Client, query: dict[str, str], idp: OidcIdp, code: str) -> None:
    idp.answer = {"code": code}
    refused(through(http, query), "invalid_request", "Corp Error - no code in the response")
    assert last_attempt().reason == "code_missing"
    assert not idp.called("/token")


# --- the provider fails (W 3.8)


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


FAILURES: dict[str, tuple[Arrange, str, str]] = {
    "token endpoint 400": (
        lambda idp: idp.misbehave(
            "/token", Reply({"error": "invalid_grant", "error_description": "Secret words"}, 400)
        ),
        "token_error",
        "Corp Error - 400 error getting token",
    ),
    "token endpoint 500": (
        lambda idp: idp.misbehave("/token", Reply("<html>trace</html>", 500, {"Content-Type": "text/html"})),
        "token_error",
        "Corp Error - 500 error getting token",
    ),
    "token endpoint hangs": (
        lambda idp: idp.misbehave("/token", hang),
        "token_timeout",
        "Timeout occurred in calling IdP token endpoint",
    ),
    "JWKS hang": (lambda idp: idp.misbehave("/jwks", hang), "jwks_timeout", "Timeout in calling jwks uri"),
    "JWKS 500": (lambda idp: idp.misbehave("/jwks", Reply({}, 500)), "jwks_status", "Error in calling jwks uri"),
    "userInfo hangs": (lambda idp: idp.misbehave("/userinfo", hang), "userinfo_timeout", "Read timed out"),
    "userInfo 403": (
        lambda idp: idp.misbehave("/userinfo", Reply({}, 403)),
        "userinfo_error",
        "Corp Error - 403 error getting user info",
    ),
    "connection reset": (lambda idp: idp.misbehave("/token", reset), "token_connection", "Connection reset"),
    "connection closed": (lambda idp: idp.misbehave("/token", hang_up), "token_connection", "Connection reset"),
    "connection refused": (
        lambda idp: idp.metadata.update(token_endpoint=f"{closed_port()}/token"),
        "token_connection",
        "Connection reset",
    ),
    "userInfo reset": (lambda idp: idp.misbehave("/userinfo", reset), "userinfo_connection", "Connection reset"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_of_the_provider_is_told_in_the_documented_words(
    http: Client, query: dict[str, str], idp: OidcIdp, impatient: None, failure: str
) -> None:
    arrange, reason, words = FAILURES[failure]
    arrange(idp)
    refused(through(http, query), "invalid_request", words)
    attempt = last_attempt()
    assert (attempt.reason, attempt.error, attempt.description) == (reason, "invalid_request", words)
    assert not PoolUser.objects.exists()


@pytest.mark.parametrize(
    ("behaviour", "reason", "words"),
    [
        (hang, "discovery_timeout", "Timeout in calling openid configuration"),
        (Reply({}, 404), "discovery_status", "Error in calling openid configuration"),
        (reset, "discovery_connection", "Error in calling openid configuration"),
    ],
)
def test_a_failure_on_the_way_out_is_told_as_well(
    http: Client, query: dict[str, str], idp: OidcIdp, impatient: None, behaviour: Any, reason: str, words: str
) -> None:
    """The app hears of it at once; there is no pause, and no cookie for one."""
    idp.misbehave(DISCOVERY, behaviour)
    response = ask(http, query)
    refused(response, "invalid_request", words)
    assert (last_attempt().reason, SignInRequest.objects.count()) == (reason, 0)
    assert COOKIE not in response.cookies


@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/userinfo"])
def test_a_get_whose_connection_breaks_is_tried_once_more(
    http: Client, query: dict[str, str], idp: OidcIdp, path: str
) -> None:
    """RFC 9110 9.2.2: a safe method may be repeated; the code is never presented twice (the failures above)."""

    def once(handler: Handler) -> None:
        idp.misbehaviours.pop(path)
        reset(handler)

    idp.misbehave(path, once)
    assert "code" in sent_to_app(through(http, query))
    assert len(idp.called(path)) == 2


def test_the_code_is_presented_once_however_the_connection_ends(
    http: Client, query: dict[str, str], idp: OidcIdp
) -> None:
    """RFC 6749 4.1.2: presented twice, it would revoke what it gave."""
    idp.misbehave("/token", reset)
    through(http, query)
    assert len(idp.called("/token")) == 1


# --- the user cannot come in


def test_required_attributes_that_are_missing_are_named_in_schema_order(
    http: Client, pool: UserPool, query: dict[str, str]
) -> None:
    """W 3.8, 11.3."""
    schema = [{"Name": name, "Required": True} for name in ("given_name", "email", "family_name")]
    set_values(pool, schema_attributes=schema)
    refused(through(http, query), "invalid_request", "attributes required: [given_name, family_name]")
    assert last_attempt().reason == "attributes_required"
    assert not PoolUser.objects.exists()


def test_a_user_who_is_disabled_stays_out(http: Client, query: dict[str, str]) -> None:
    sent_to_app(through(http, query))
    set_values(PoolUser.objects.get(), enabled=False)
    refused(through(another_browser(), query), "invalid_request", "User is disabled.")
    attempt = last_attempt()
    assert (attempt.reason, attempt.subject) == ("user_disabled", "ada")


def test_an_immutable_attribute_that_changes_ends_the_sign_in(
    http: Client, pool: UserPool, query: dict[str, str], provider: IdentityProvider, idp: OidcIdp
) -> None:
    """W 3.8: the text, 11.3: the rule."""
    set_values(pool, schema_attributes=[{"Name": "custom:tenant", "Mutable": False}])
    set_values(provider, attribute_mapping={"custom:tenant": "tenant"})
    idp.user = {"sub": "ada", "tenant": "one"}
    sent_to_app(through(http, query))
    idp.user = {"sub": "ada", "tenant": "two"}
    words = "user.custom:tenant: Attribute cannot be updated."
    refused(through(another_browser(), query), "invalid_request", words)
    assert PoolUser.objects.get().attributes == {"custom:tenant": "one"}


def test_a_username_that_would_be_too_long_is_refused(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """W 11.1: 128 in total, the name of the provider included."""
    idp.user = {"sub": "s" * 124}
    told = sent_to_app(through(http, query))
    assert "Member must have length less than or equal to 128" in told["error_description"]
    assert last_attempt().reason == "username_too_long"
    idp.user = {"sub": "s" * 123}
    assert "code" in sent_to_app(through(http, query))


# --- lost sign-ins (W 1.4)


def lost(browser: Client, response: HttpResponse, reason: str) -> None:
    """Check that the person sees the error page, the app nothing, and the operator ``reason``."""
    assert on_error_page(browser, response) == "sign_in_lost"
    attempt = last_attempt()
    assert (attempt.outcome, attempt.reason, attempt.error) == ("refused", reason, "")


@pytest.mark.parametrize(
    "state",
    ["", "x", "A" * 42, "A" * 43, "A" * 44, "ü" * 43, "x" * 8000, "' OR 1=1 --"],
    ids=lambda state: f"{len(state)} of {state[:1]}",
)
@pytest.mark.parametrize("posted", [False, True])
def test_a_state_that_was_never_ours(
    http: Client, query: dict[str, str], idp: OidcIdp, state: str, posted: bool
) -> None:
    back = at_provider(ask(http, query))
    lost(http, come_back(http, back, posted, state=state), "state_unknown")
    assert not idp.called("/token")
    assert "code" in sent_to_app(come_back(http, back))


@pytest.mark.parametrize("raw", ["state=%ff", "state=a%00b", "state=ü", "&" * 100])
def test_an_answer_that_is_no_query_is_refused(http: Client, raw: str, idp: OidcIdp) -> None:
    response = http.get("/oauth2/idpresponse", QUERY_STRING=raw)
    assert on_error_page(http, response) in ("invalid_request", "sign_in_lost")


def test_a_state_that_comes_twice_in_one_answer_is_none(http: Client, query: dict[str, str]) -> None:
    """RFC 6749 3.1: parameters must not be repeated."""
    back = at_provider(ask(http, query))
    state = fields_of(back)["state"]
    parts = urlsplit(back)
    lost(http, http.get(f"{parts.path}?{parts.query}&state={state}"), "state_unknown")
    assert "code" in sent_to_app(come_back(http, back))


def test_a_state_is_good_for_five_minutes(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """The whole round trip (managed-login page)."""
    back = at_provider(ask(http, query))
    row = SignInRequest.objects.get()
    assert (row.expires_at - row.created_at).total_seconds() == 300
    set_values(row, expires_at=timezone.now())
    lost(http, come_back(http, back), "state_expired")
    assert not idp.called("/token")


def test_a_state_is_good_once(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    back = at_provider(ask(http, query))
    sent_to_app(come_back(http, back))
    lost(http, come_back(http, back), "state_replayed")
    assert len(idp.called("/token")) == 1


def test_a_refused_answer_spends_the_state_too(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """Or a browser could be made to try codes until one fits."""
    back = at_provider(ask(http, query))
    assert "error" in sent_to_app(come_back(http, back, code="guessed"))
    lost(http, come_back(http, back), "state_replayed")


@pytest.mark.parametrize("posted", [False, True])
def test_an_answer_in_another_browser_is_refused_and_costs_the_right_one_nothing(
    http: Client, query: dict[str, str], idp: OidcIdp, posted: bool
) -> None:
    """RFC 6749 10.12 (login CSRF): a bare browser, and one that has a sign-in of its own under way."""
    back = at_provider(ask(http, query))
    stranger = another_browser()
    lost(stranger, come_back(stranger, back, posted), "state_foreign")
    ask(stranger, query)
    lost(stranger, come_back(stranger, back, posted), "state_foreign")
    assert not idp.called("/token")
    assert sessions.COOKIE not in stranger.cookies
    assert "code" in sent_to_app(come_back(http, back, posted))


def test_a_stranger_is_not_told_what_became_of_a_state(http: Client, query: dict[str, str]) -> None:
    """Spent or expired, it is foreign first."""
    back = at_provider(ask(http, query))
    sent_to_app(come_back(http, back))
    stranger = another_browser()
    lost(stranger, come_back(stranger, back), "state_foreign")


def test_a_state_of_another_pool_is_unknown(http: Client, query: dict[str, str], at: Callable[..., Client]) -> None:
    """Even with the cookie, which the neighbour's host would never see."""
    back = at_provider(ask(http, query))
    neighbour = factories.make_pool("neighbour")
    browser = at(neighbour)
    browser.cookies[COOKIE] = http.cookies[COOKIE].value
    lost(browser, come_back(browser, back), "state_unknown")
    assert last_attempt().user_pool == neighbour
    assert "code" in sent_to_app(come_back(http, back))


# --- what changes between the way out and the way back


def test_a_provider_that_was_deleted_meanwhile(http: Client, query: dict[str, str], provider: IdentityProvider) -> None:
    back = at_provider(ask(http, query))
    provider.delete()
    lost(http, come_back(http, back), "state_unknown")


def test_another_provider_of_the_same_name_does_not_take_the_answer(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str], provider: IdentityProvider
) -> None:
    back = at_provider(ask(http, query))
    provider.delete()
    with OidcIdp() as other:
        register(other, pool, app_client)
        lost(http, come_back(http, back), "state_unknown")
        assert not other.calls


def test_a_provider_that_was_taken_from_the_client_meanwhile(
    http: Client, app_client: AppClient, query: dict[str, str], provider: IdentityProvider, idp: OidcIdp
) -> None:
    back = at_provider(ask(http, query))
    app_client.identity_providers.remove(provider)
    words = "The identity provider is not one of this client's."
    refused(come_back(http, back), "invalid_request", words)
    attempt = last_attempt()
    assert (attempt.reason, attempt.error, attempt.provider) == ("request_outdated", "invalid_request", provider)
    assert not idp.called("/token")


@pytest.mark.parametrize("change", ["deleted", "callback"])
def test_an_app_that_is_no_more_gets_nothing(
    http: Client, app_client: AppClient, query: dict[str, str], idp: OidcIdp, change: str
) -> None:
    """What the pause remembers is proven again: a redirect_uri may have been taken out because it was stolen."""
    back = at_provider(ask(http, query))
    if change == "deleted":
        app_client.delete()
    else:
        set_values(app_client, redirect_uris="https://app.example.test/elsewhere")
    error = "invalid_client" if change == "deleted" else "redirect_mismatch"
    assert on_error_page(http, come_back(http, back)) == error
    assert (last_attempt().reason, last_attempt().error) == ("request_outdated", error)
    assert not idp.called("/token")


def test_changed_settings_of_the_provider_are_used_at_once(
    http: Client, query: dict[str, str], provider: IdentityProvider, idp: OidcIdp
) -> None:
    back = at_provider(ask(http, query))
    details(provider, client_secret="rotated")
    sent_to_app(come_back(http, back))
    assert idp.called("/token")[0].form["client_secret"] == "rotated"


# --- the record (accounts/events.py)


def test_a_sign_in_is_recorded_with_its_steps(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str], provider: IdentityProvider
) -> None:
    response = through(http, query)
    [attempt] = AuthEvent.objects.all()
    assert (attempt.user_pool, attempt.provider, attempt.provider_name) == (pool, provider, "Corp")
    assert (attempt.outcome, attempt.reason, attempt.error) == ("succeeded", "", "")
    assert (attempt.client_id, attempt.subject) == (app_client.client_id, "ada")
    assert attempt.user == PoolUser.objects.get()
    assert attempt.request_id == response["x-amz-cognito-request-id"]
    assert [step["step"] for step in attempt.steps] == [
        "answered with a code",
        "token endpoint answered",
        "ID token verified",
        "userInfo answered",
        "user found",
        "signed in",
    ]
    assert attempt.steps[2]["claims"] == "aud, exp, iat, iss, nonce, sub"


@pytest.mark.parametrize("failure", ["", *FAILURES])
def test_a_record_holds_nothing_secret(
    http: Client, query: dict[str, str], idp: OidcIdp, impatient: None, failure: str
) -> None:
    """Names of claims and never their values; no code, token, secret, state, nonce or verifier; no page of the IdP."""
    if failure:
        FAILURES[failure][0](idp)
    idp.tokens |= {"access_token": "upstream-access-token", "refresh_token": "upstream-refresh-token"}
    sent = ask(http, query)
    back = at_provider(sent)
    come_back(http, back)
    come_back(http, back)
    come_back(another_browser(), back)
    kept = json.dumps(list(AuthEvent.objects.values()), default=str)
    asked, answered = fields_of(sent["Location"]), fields_of(back)
    forbidden = [answered["code"], asked["state"], asked["nonce"], asked["code_challenge"], http.cookies[COOKIE].value]
    forbidden += [idp.client_secret, "upstream-access-token", "upstream-refresh-token", "ada@corp", "<html", "eyJ"]
    forbidden += [call.form.get("code_verifier", answered["code"]) for call in idp.called("/token")]
    assert AuthEvent.objects.count() == 3
    assert [word for word in forbidden if word in kept] == []


def test_each_refusal_is_recorded_under_its_request(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    """An operator finds a refusal by the number on the error page and in the response."""
    back = at_provider(ask(http, query))
    stranger = another_browser()
    foreign = come_back(stranger, back)
    assert last_attempt().request_id == foreign["x-amz-cognito-request-id"]
    assert last_attempt().request_id in stranger.get(foreign["Location"]).content.decode()
    idp.misbehave("/token", Reply({}, 500))
    failed = come_back(http, back)
    assert last_attempt().request_id == failed["x-amz-cognito-request-id"]
    assert last_attempt().steps[-1]["status"] == 500


def test_who_has_a_state_cannot_fill_the_record_with_it(http: Client, query: dict[str, str]) -> None:
    back = at_provider(ask(http, query))
    for _ in range(pauses.MAX_REFUSALS + 4):
        stranger = another_browser()
        assert on_error_page(stranger, come_back(stranger, back)) == "sign_in_lost"
    assert AuthEvent.objects.filter(reason="state_foreign").count() == pauses.MAX_REFUSALS
    assert "code" in sent_to_app(come_back(http, back))
    assert last_attempt().outcome == "succeeded"


def test_made_up_states_are_recorded_a_few_times_a_minute(http: Client, idp: OidcIdp) -> None:
    for number in range(events.CHEAP_PER_MINUTE + 5):
        response = http.get(f"/oauth2/idpresponse?code=x&state={number:043}")
        assert on_error_page(http, response) == "sign_in_lost"
    assert AuthEvent.objects.filter(reason="state_unknown").count() == events.CHEAP_PER_MINUTE


def test_being_refused_on_the_way_out_is_recorded_a_few_times_a_minute(
    http: Client, query: dict[str, str], idp: OidcIdp
) -> None:
    idp.misbehave("/.well-known/openid-configuration", Reply({}, 500))
    for _ in range(events.CHEAP_PER_MINUTE + 5):
        assert sent_to_app(ask(http, query))["error"] == "invalid_request"
    assert AuthEvent.objects.count() == events.CHEAP_PER_MINUTE
    assert len(idp.called("/.well-known/openid-configuration")) == 1


# --- too many at once (federation/upstream/capacity.py)


@pytest.fixture
def full(settings: Any, provider: IdentityProvider) -> Iterator[ExitStack]:
    """Every place is held; closing the stack gives them back."""
    with ExitStack() as places:
        for number in range(settings.USERPOOL_UPSTREAM_CONCURRENCY):
            places.enter_context(capacity.place(-number))
        yield places


@pytest.fixture
def back(http: Client, query: dict[str, str]) -> str:
    """Where the provider sent the browser, while there was room."""
    return at_provider(ask(http, query))


def test_without_a_place_the_browser_is_asked_to_come_again_and_nothing_is_spent(
    http: Client, back: str, full: ExitStack
) -> None:
    """RFC 9110 15.6.4 and 10.2.3."""
    response = come_back(http, back)
    assert (response.status_code, response["Retry-After"], response["Refresh"]) == (503, "2", "2")
    assert "no-store" in response["Cache-Control"]
    parts = urlsplit(back)
    assert f'href="{html.escape(f"{parts.path}?{parts.query}")}"' in response.content.decode()
    assert SignInRequest.objects.get().consumed_at is None
    assert not AuthEvent.objects.exists()
    full.close()
    assert "code" in sent_to_app(come_back(http, back))


def test_without_a_place_a_posted_answer_waits_in_a_form(http: Client, back: str, full: ExitStack) -> None:
    response = come_back(http, back, posted=True)
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert "Refresh" not in response
    text = response.content.decode()
    action = html.unescape(re.findall(r'<form method="post" action="([^"]*)"', text)[0])
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', text)
    fields = {html.unescape(name): html.unescape(value) for name, value in inputs}
    assert (action, fields) == ("/oauth2/idpresponse", fields_of(back))
    assert SignInRequest.objects.get().consumed_at is None
    full.close()
    assert "code" in sent_to_app(http.post(action, urlencode(fields), content_type=FORM))


def test_without_a_place_nobody_is_sent_out(http: Client, query: dict[str, str], full: ExitStack) -> None:
    response = ask(http, query)
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert not SignInRequest.objects.exists()
    full.close()
    assert "code" in sent_to_app(through(http, query))


def test_a_state_that_is_nobodys_does_not_wait_for_a_place(http: Client, back: str, full: ExitStack) -> None:
    stranger = another_browser()
    assert on_error_page(stranger, come_back(stranger, back)) == "sign_in_lost"


def test_a_session_needs_no_place(http: Client, app_client: AppClient, back: str, full: ExitStack) -> None:
    full.close()
    sent_to_app(come_back(http, back))
    with ExitStack() as places:
        for number in range(3):
            places.enter_context(capacity.place(-number))
        assert new_code(http, app_client, identity_provider="Corp")
