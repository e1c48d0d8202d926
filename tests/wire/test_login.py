"""``/login``: the sign-in page and the password.

AWS pages login-endpoint, managed-login, managing-errors, cognito-user-pools-managed-login (W 3.1, 9.1, 9.4, 12);
OpenID Connect Core 3.1.2.3 (the End-User is authenticated; clickjacking and CSRF are prevented).
"""

import html
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.core import signing
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts import authentication, sessions
from accounts.models import (
    AppClient,
    AuthorizationCode,
    IdentityProvider,
    PoolUser,
    SignInSession,
    SignInThrottle,
    UserPool,
)
from accounts.models.users import UserStatus
from accounts.registration import new_user
from tests import factories
from tests.browser_like import FORM, csrf_of, submit_login
from tests.wire import helpers
from tests.wire.helpers import (
    ask,
    inline_code,
    on_error_page,
    on_login_page,
    query_of,
    redeem,
    sent_to_app,
    set_values,
    signed_in,
    single,
    verified,
)

pytestmark = pytest.mark.django_db
At = Callable[..., Client]
INCORRECT = "Incorrect username or password."
EVIL = "https://evil.example.test/"
ORIGIN = "https://demo.auth.example.test"
NEW = "Another-horse-8"


def address(client: AppClient, **changes: str) -> str:
    return "/login?" + urlencode(query_of(client, **changes))


def submit(browser: Client, client: AppClient, **fields: str) -> HttpResponse:
    return browser.post(address(client), urlencode(fields), content_type=FORM)


def words_of(response: HttpResponse) -> str:
    """Return the messages that the page shows with role="alert"."""
    text = response.content.decode()
    found = re.findall(r'role="alert">.*?</(?:p|div)>', text, re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", " ", " ".join(found)))


def page_says(response: HttpResponse, words: str) -> None:
    """Check that the sign-in page is shown again with ``words``, and that nobody was signed in."""
    assert response.status_code == 200, response["Location"]
    assert words in words_of(response), words_of(response)
    assert sessions.COOKIE not in response.cookies
    assert not SignInSession.objects.exists()


def links_of(response: HttpResponse) -> list[tuple[str, dict[str, str]]]:
    """Return text and query of each provider button."""
    found = re.findall(r'<a class="way" href="([^"]+)">.*?<span>([^<]+)</span>', response.content.decode(), re.DOTALL)
    links = [(html.unescape(text), urlsplit(html.unescape(href))) for href, text in found]
    assert {link.path for _, link in links} <= {"/oauth2/authorize"}
    return [(text, single(link.query)) for text, link in links]


# --- the query is the authorize query, proven again (W 3.2)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": ""},
        {"client_id": "nobody"},
        {"redirect_uri": EVIL},
        {"redirect_uri": factories.CALLBACK + "x"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_not_proven_ends_on_the_error_page_even_with_the_right_password(
    http: Client, app_client: AppClient, user: PoolUser, changes: dict[str, str], method: str
) -> None:
    """login-endpoint page: the same parameters as authorize; W 3.6."""
    where = address(app_client, **changes)
    if method == "get":
        response = http.get(where)
    else:
        fields = {"username": "ada", "password": factories.PASSWORD}
        response = http.post(where, urlencode(fields), content_type=FORM)
    on_error_page(http, response)
    assert not SignInSession.objects.exists()


@pytest.mark.parametrize(
    "changes", [{"response_type": "nonsense"}, {"scope": "nonsense"}, {"max_age": "x"}, {"prompt": "x"}], ids=str
)
def test_other_defects_go_to_the_app(http: Client, app_client: AppClient, changes: dict[str, str]) -> None:
    assert "error" in sent_to_app(http.get(address(app_client, **changes)))
    posted = http.post(address(app_client, **changes), "username=ada&password=x", content_type=FORM)
    assert "error" in sent_to_app(posted)


@pytest.mark.parametrize("query", ["", "%ff", "x=%00", "client_id=a&client_id=b"])
def test_what_cannot_be_read_ends_on_the_error_page(http: Client, pool: UserPool, query: str) -> None:
    on_error_page(http, http.get("/login?" + query))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_get_405(http: Client, app_client: AppClient, method: str) -> None:
    assert http.generic(method, address(app_client)).status_code == 405


# --- the page


def test_the_page_is_a_form_with_the_names_that_scripts_know(http: Client, app_client: AppClient) -> None:
    """W 9.1: ``_csrf`` equals the cookie XSRF-TOKEN's; ``username``, ``password``, ``signInSubmitButton``."""
    page = http.get(address(app_client))
    assert page.status_code == 200
    text = page.content.decode()
    action = re.search(r'<form method="post" action="([^"]+)">', text)
    assert action
    assert html.unescape(action[1]) == address(app_client)
    for name in ("_csrf", "username", "password", "signInSubmitButton"):
        assert f'name="{name}"' in text
    cookie = page.cookies["XSRF-TOKEN"]
    assert (cookie["path"], bool(cookie["secure"]), bool(cookie["httponly"]), cookie["samesite"]) == (
        "/",
        True,
        True,
        "Lax",
    )


def test_there_is_no_inline_script_or_style(http: Client, app_client: AppClient) -> None:
    """Issue 2 section 3: strict CSP, no inline script, works without JavaScript."""
    hint = "\"'><b onclick=x style=y>"
    response = http.get(address(app_client, login_hint=hint, state=hint, nonce=hint))
    assert inline_code(response) == []
    assert "script-src 'self'" in response["Content-Security-Policy"]


def test_the_names_of_app_and_pool_are_escaped(http: Client, pool: UserPool, app_client: AppClient) -> None:
    UserPool.objects.filter(pk=pool.pk).update(name="<i>pool</i>")
    AppClient.objects.filter(pk=app_client.pk).update(name="<i>app</i>")
    set_values(pool.domains.get())  # lets the directory go
    text = http.get(address(app_client)).content.decode()
    assert "<i>" not in text
    assert "&lt;i&gt;app&lt;/i&gt;" in text


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ({}, "Username"),
        ({"username_attributes": ["email"]}, "E-mail address"),
        ({"username_attributes": ["phone_number"]}, "Phone number"),
        ({"username_attributes": ["phone_number", "email"]}, "E-mail address or phone number"),
        ({"alias_attributes": ["email"]}, "Username or e-mail address"),
    ],
)
def test_the_field_says_what_to_type(
    http: Client, pool: UserPool, app_client: AppClient, values: dict[str, list[str]], label: str
) -> None:
    """W 12: usernames, aliases, UsernameAttributes."""
    set_values(pool, **values)
    assert f'<label for="username">{label}</label>' in http.get(address(app_client)).content.decode()


def test_a_live_session_does_not_hide_the_page(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """It is where prompt=login and max_age lead."""
    signed_in(http, user)
    assert http.get(address(app_client)).status_code == 200


# --- the password


def test_the_right_password_starts_a_session_and_leads_back_to_the_app(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    """W 9.1: success is a 302. W 9.4: one hour; the cookie is for this host alone and no script's."""
    response = submit(http, app_client, username="ada", password=factories.PASSWORD, cognitoAsfData="x")
    told = sent_to_app(response)
    assert (told["state"], set(told)) == ("xyz", {"code", "state", "iss"})
    cookie = response.cookies[sessions.COOKIE]
    assert (cookie["max-age"], cookie["path"], cookie["samesite"], cookie["domain"]) == (3600, "/", "Lax", "")
    assert cookie["secure"]
    assert cookie["httponly"]
    row = SignInSession.objects.get()
    assert row.expires_at - row.auth_time == timedelta(hours=1)
    assert cookie.value not in str(vars(row))
    identity = verified(pool, redeem(http, app_client, told["code"]).json()["id_token"])[1]
    assert identity["auth_time"] == int(row.auth_time.timestamp())
    assert "code" in sent_to_app(ask(http, query_of(app_client, prompt="none")))


def test_a_new_sign_in_replaces_the_session_of_the_browser(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """Session fixation: the value that the browser came with is worth nothing afterwards."""
    signed_in(http, user, ago=timedelta(minutes=5))
    old = http.cookies[sessions.COOKIE].value
    submit(http, app_client, username="ada", password=factories.PASSWORD)
    assert http.cookies[sessions.COOKIE].value != old
    assert SignInSession.objects.count() == 1
    http.cookies[sessions.COOKIE] = old
    on_login_page(ask(http, query_of(app_client)))


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("ada", "wrong"),
        ("ada", factories.PASSWORD + " "),
        ("ada", factories.PASSWORD.lower()),
        ("nobody", factories.PASSWORD),
        ("ada\x00", factories.PASSWORD),
        ("' OR 1=1 --", "x"),
        ("é😀", "é😀"),
        ("x" * 5_000, "x" * 5_000),
        ("ada", "x" * 5_000),
        ("ada", "\x00"),
    ],
)
def test_a_wrong_name_and_a_wrong_password_read_the_same(
    http: Client, app_client: AppClient, user: PoolUser, username: str, password: str
) -> None:
    """managing-errors page, PreventUserExistenceErrors ENABLED; W 12: the text."""
    response = submit(http, app_client, username=username, password=password)
    page_says(response, INCORRECT)
    assert password in username + "x" or password not in response.content.decode()


@pytest.mark.parametrize(
    ("username", "password", "words"),
    [("nobody", "x", "User does not exist."), ("ada", "wrong", INCORRECT)],
)
def test_legacy_tells_an_unknown_user(
    http: Client, app_client: AppClient, user: PoolUser, username: str, password: str, words: str
) -> None:
    """managing-errors page, LEGACY: UserNotFoundException."""
    set_values(app_client, prevent_user_existence_errors=False)
    page_says(submit(http, app_client, username=username, password=password), words)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Enter your username."),
        ({"username": "ada"}, "Enter your password."),
        ({"username": " ", "password": "x"}, "Enter your username."),
        ({"username": "ada", "password": ""}, "Enter your password."),
    ],
)
def test_an_empty_field_is_asked_for_and_costs_no_attempt(
    http: Client, app_client: AppClient, user: PoolUser, fields: dict[str, str], words: str
) -> None:
    page_says(submit(http, app_client, **fields), words)
    assert not SignInThrottle.objects.exists()


def test_what_was_typed_comes_back_escaped_but_never_the_password(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    text = submit(http, app_client, username='"><script>x</script>', password="Pa55-typed").content.decode()
    assert 'value="&quot;&gt;&lt;script&gt;x&lt;/script&gt;"' in text
    assert "Pa55-typed" not in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"enabled": False}, "disabled"),
        ({"status": UserStatus.UNCONFIRMED}, "not confirmed"),
        ({"status": UserStatus.RESET_REQUIRED}, "must be reset"),
    ],
)
@pytest.mark.parametrize("hide", [True, False])
def test_the_state_of_an_account_is_told_to_who_knows_its_password(
    http: Client, app_client: AppClient, user: PoolUser, values: dict[str, object], words: str, hide: bool
) -> None:
    """W 12 (statuses); a wrong password learns nothing."""
    set_values(app_client, prevent_user_existence_errors=hide)
    set_values(user, **values)
    page_says(submit(http, app_client, username="ada", password="wrong"), INCORRECT)
    page_says(submit(http, app_client, username="ada", password=factories.PASSWORD), words)


def test_a_user_of_a_provider_has_no_password_here(http: Client, pool: UserPool, app_client: AppClient) -> None:
    """W 11.1: EXTERNAL_PROVIDER, no password."""
    factories.make_user(pool, "corp_1", password=None, status=UserStatus.EXTERNAL_PROVIDER)
    page_says(submit(http, app_client, username="corp_1", password="anything"), INCORRECT)


def test_another_pools_user_is_unknown(http: Client, app_client: AppClient) -> None:
    factories.make_user(factories.make_pool())
    page_says(submit(http, app_client, username="ada", password=factories.PASSWORD), INCORRECT)


def test_a_client_without_cognito_takes_no_password(http: Client, pool: UserPool, user: PoolUser) -> None:
    """W 13: SupportedIdentityProviders decides what the page offers, and what it takes."""
    client = factories.make_client(pool, cognito_sign_in=False)
    client.identity_providers.add(factories.make_oidc_provider(pool))
    assert 'name="password"' not in http.get(address(client)).content.decode()
    response = submit(http, client, username="ada", password=factories.PASSWORD)
    assert response.status_code == 200
    assert not SignInSession.objects.exists()


def test_five_failures_lock_the_name_out_whatever_the_password(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    """W 12: after 5 failures 2^(n-5) s, "Password attempts exceeded"."""
    for _ in range(5):
        page_says(submit(http, app_client, username="ada", password="wrong"), INCORRECT)
    page_says(submit(http, app_client, username="ada", password=factories.PASSWORD), "Password attempts exceeded")
    SignInThrottle.objects.update(blocked_until=timezone.now())
    assert "code" in sent_to_app(submit(http, app_client, username="ada", password=factories.PASSWORD))
    SignInSession.objects.all().delete()
    page_says(submit(http, app_client, username="ada", password="wrong"), INCORRECT)  # counted from one again
    assert "code" in sent_to_app(submit(http, app_client, username="ada", password=factories.PASSWORD))


def test_a_form_of_another_media_type_signs_nobody_in(http: Client, app_client: AppClient, user: PoolUser) -> None:
    for content_type, body in (
        ("application/json", f'{{"username": "ada", "password": "{factories.PASSWORD}"}}'),
        ("text/plain", f"username=ada&password={factories.PASSWORD}"),
        (FORM, b"\xff\xfe=%ff&username=%ff&password=%ff"),
        ("multipart/form-data; boundary=x", b"--x\r\nnonsense"),
        ("multipart/form-data", b""),
        (FORM, "&".join(f"p{n}=1" for n in range(2_000))),
    ):
        response = http.generic("POST", address(app_client), body, content_type=content_type)
        assert response.status_code in (200, 302, 400, 403), content_type
        assert not SignInSession.objects.exists()


# --- CSRF and framing


@pytest.fixture
def strict(at: At, pool: UserPool) -> Client:
    """A browser at ``pool`` whose CSRF tokens are checked, as a real one's are."""
    return at(pool, enforce_csrf_checks=True)


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("none", {"origin": ORIGIN}),
        ("foreign", {"origin": ORIGIN}),
        ("garbage", {"origin": ORIGIN}),
        ("own", {"origin": "https://evil.example.test"}),
        ("own", {"origin": "https://demo.auth.example.test.evil.test"}),
        ("own", {"origin": "http://demo.auth.example.test"}),
        ("own", {"origin": "null"}),
        ("own", {"referer": "https://evil.example.test/"}),
        ("own", {}),
    ],
)
def test_a_form_that_is_not_this_browsers_is_refused(
    strict: Client, at: At, pool: UserPool, app_client: AppClient, user: PoolUser, token: str, headers: dict[str, str]
) -> None:
    """Login CSRF: RFC 6749 10.12. 403 with the page."""
    own = csrf_of(strict.get(address(app_client)))
    foreign = csrf_of(at(pool).get(address(app_client)))
    fields = {"username": "ada", "password": factories.PASSWORD}
    fields |= {"none": {}, "foreign": {"_csrf": foreign}, "garbage": {"_csrf": "é"}, "own": {"_csrf": own}}[token]
    response = strict.post(address(app_client), urlencode(fields), content_type=FORM, headers=headers)
    assert response.status_code == 403
    assert "This page was open for too long" in response.content.decode()
    assert not SignInSession.objects.exists()


@pytest.mark.parametrize("headers", [{"origin": ORIGIN}, {"referer": ORIGIN + "/login"}])
def test_the_browsers_own_form_is_taken(
    strict: Client, app_client: AppClient, user: PoolUser, headers: dict[str, str]
) -> None:
    token = csrf_of(strict.get(address(app_client)))
    fields = {"username": "ada", "password": factories.PASSWORD, "_csrf": token}
    response = strict.post(address(app_client), urlencode(fields), content_type=FORM, headers=headers)
    assert "code" in sent_to_app(response)


def test_nobody_frames_the_page(http: Client, app_client: AppClient) -> None:
    response = http.get(address(app_client))
    assert response["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]


# --- other providers


@pytest.fixture
def google(pool: UserPool, app_client: AppClient) -> IdentityProvider:
    provider = factories.make_oidc_provider(pool, "Google", provider_type="Google")
    app_client.identity_providers.add(provider)
    return provider


def test_there_is_a_button_for_each_provider_of_the_client(
    http: Client, pool: UserPool, app_client: AppClient, google: IdentityProvider
) -> None:
    """W 3.2: it leads to authorize with identity_provider, and keeps the rest of the request."""
    app_client.identity_providers.add(factories.make_oidc_provider(pool, "Corp & Co"))
    factories.make_oidc_provider(pool, "Unused")
    query = query_of(app_client, state="a+b&c=d", idp_identifier="", prompt="login", nonce="n")
    links = links_of(http.get("/login?" + urlencode(query)))
    assert [(text, told["identity_provider"]) for text, told in links] == [
        ("Continue with Corp & Co", "Corp & Co"),
        ("Continue with Google", "Google"),
    ]
    for _, told in links:
        del told["identity_provider"]
        assert told == query


def test_a_provider_that_the_request_names_hides_the_password(
    http: Client, app_client: AppClient, google: IdentityProvider
) -> None:
    text = http.get(address(app_client, identity_provider="Google")).content.decode()
    assert 'name="password"' not in text
    assert 'name="password"' in http.get(address(app_client, identity_provider="COGNITO")).content.decode()


def corporate(pool: UserPool, client: AppClient) -> None:
    for name, identifiers in (("One", ["one.example.test", "Uno.Example.Test"]), ("Two", ["two.example.test"])):
        client.identity_providers.add(factories.make_oidc_provider(pool, name, idp_identifiers=identifiers))


@pytest.mark.parametrize(
    ("email", "provider"),
    [
        ("ada@one.example.test", "One"),
        (" ada@TWO.example.test ", "Two"),
        ("ada@uno.example.test", "One"),
        ("a@b@two.example.test", "Two"),
        ("two.example.test", "Two"),
    ],
)
def test_a_company_address_leads_to_the_provider_of_its_domain(
    http: Client, pool: UserPool, app_client: AppClient, email: str, provider: str
) -> None:
    """IdpIdentifiers: typically an e-mail domain (W 1.2, W 8.6)."""
    corporate(pool, app_client)
    page = http.get(address(app_client))
    assert 'name="corporate_email"' in page.content.decode()
    assert links_of(page) == []
    response = submit(http, app_client, action="corporate", corporate_email=email)
    assert response.status_code == 302
    parts = urlsplit(response["Location"])
    assert (parts.netloc, parts.path) == ("", "/oauth2/authorize")
    told = dict(parse_qsl(parts.query))
    assert (told["identity_provider"], told["login_hint"], told["state"]) == (provider, email.strip(), "xyz")


@pytest.mark.parametrize(
    "email", ["", "ada", "ada@", "ada@example.test", "ada@xone.example.test", "ada@.one.example.test", "<b>@<i>", "é@é"]
)
def test_an_address_of_nobody_is_told_so(http: Client, pool: UserPool, app_client: AppClient, email: str) -> None:
    corporate(pool, app_client)
    response = submit(http, app_client, action="corporate", corporate_email=email)
    page_says(response, "No company sign-in is set up for this address.")


def test_the_domains_of_providers_that_the_client_lacks_lead_nowhere(
    http: Client, pool: UserPool, app_client: AppClient
) -> None:
    factories.make_oidc_provider(pool, "Hidden", idp_identifiers=["hidden.example.test"])
    response = submit(http, app_client, action="corporate", corporate_email="ada@hidden.example.test")
    page_says(response, "No company sign-in")


# --- a temporary password (NEW_PASSWORD_REQUIRED, W 12)


@pytest.fixture
def newcomer(pool: UserPool) -> PoolUser:
    """bob, whose password is temporary and fresh."""
    return factories.make_user(pool, "bob", status=UserStatus.FORCE_CHANGE_PASSWORD, password_changed_at=timezone.now())


def proof_of(response: HttpResponse) -> str:
    found = re.search(r'name="proof" value="([^"]+)"', response.content.decode())
    assert found
    return html.unescape(found[1])


def choose(browser: Client, client: AppClient, proof: str, new: str, again: str | None = None) -> HttpResponse:
    return submit(
        browser,
        client,
        action="new_password",
        proof=proof,
        new_password=new,
        confirm_password=new if again is None else again,
    )


def test_a_temporary_password_must_be_replaced_before_anything_is_issued(
    http: Client, app_client: AppClient, newcomer: PoolUser
) -> None:
    page = submit(http, app_client, username="bob", password=factories.PASSWORD)
    assert page.status_code == 200
    assert not SignInSession.objects.exists()
    proof = proof_of(page)
    for new, again, words in (
        (NEW, NEW + "x", "The two passwords are not the same."),
        (factories.PASSWORD, None, "Choose a password other than the temporary one."),
        ("short", None, "Use at least 8 characters."),
        ("alllowercase-1", None, "Use an upper-case letter."),
        ("ALLUPPERCASE-1", None, "Use a lower-case letter."),
        ("No-numbers-here", None, "Use a number."),
        ("NoSymbols111", None, "Use a symbol."),
        ("", None, "Use at least 8 characters."),
        ("Aa1-" * 70, None, "Use at most 256 characters."),
    ):
        page_says(choose(http, app_client, proof, new, again), words)
    newcomer.refresh_from_db()
    assert newcomer.status == UserStatus.FORCE_CHANGE_PASSWORD
    assert "code" in sent_to_app(choose(http, app_client, proof, NEW))
    newcomer.refresh_from_db()
    assert newcomer.status == UserStatus.CONFIRMED
    assert newcomer.check_password(NEW)
    assert newcomer.password_changed_at is not None


def test_the_page_shows_the_rules_of_the_pool(
    http: Client, pool: UserPool, app_client: AppClient, newcomer: PoolUser
) -> None:
    """W 17.4: PasswordPolicyType."""
    set_values(pool, password_policy={"MinimumLength": 12, "RequireSymbols": False})
    text = submit(http, app_client, username="bob", password=factories.PASSWORD).content.decode()
    assert "at least 12 characters" in text
    assert "a symbol" not in text
    assert factories.PASSWORD not in text


def test_a_proof_that_does_not_hold_leads_back_to_the_sign_in(
    http: Client, pool: UserPool, app_client: AppClient, newcomer: PoolUser, user: PoolUser
) -> None:
    """The temporary password was not shown to be known: nothing changes."""
    proof = proof_of(submit(http, app_client, username="bob", password=factories.PASSWORD))
    payload = signing.loads(proof, salt="userpool.new-password")
    other = factories.make_user(pool, "eve", password=None, status=UserStatus.FORCE_CHANGE_PASSWORD)
    for wrong in (
        "",
        "garbage",
        proof[:-1],
        "é",
        signing.dumps(payload, salt="something else"),
        signing.dumps(payload | {"user": other.pk}, salt="userpool.new-password"),
        signing.dumps(payload | {"user": user.pk}, salt="userpool.new-password"),
        signing.dumps(payload | {"fingerprint": "x"}, salt="userpool.new-password"),
    ):
        response = choose(http, app_client, wrong, NEW)
        on_login_page(response)
        assert not SignInSession.objects.exists()
    newcomer.refresh_from_db()
    assert newcomer.check_password(factories.PASSWORD)


@pytest.mark.parametrize("case", ["expired", "used", "changed", "disabled", "deleted", "another pool"])
def test_a_proof_dies_with_what_it_proves(
    http: Client,
    at: At,
    app_client: AppClient,
    newcomer: PoolUser,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    browser, client = http, app_client
    proof = proof_of(submit(http, app_client, username="bob", password=factories.PASSWORD))
    if case == "expired":
        moment = signing.time.time() + 901  # a quarter of an hour, and a second
        monkeypatch.setattr(signing.time, "time", lambda: moment)
    elif case == "used":
        choose(http, app_client, proof, NEW)
        SignInSession.objects.all().delete()
    elif case == "changed":
        newcomer.set_password("Given-anew-99")
        newcomer.save()
    elif case == "disabled":
        set_values(newcomer, enabled=False)
    elif case == "deleted":
        newcomer.delete()
    else:
        pool = factories.make_pool()
        browser, client = at(pool), factories.make_client(pool)
    on_login_page(choose(browser, client, proof, "Yet-another-9"))
    assert not SignInSession.objects.exists()


def test_a_proof_is_no_way_into_a_client_without_cognito(
    http: Client, pool: UserPool, app_client: AppClient, newcomer: PoolUser
) -> None:
    """W 13: SupportedIdentityProviders holds for the second page of a password sign-in as for the first."""
    proof = proof_of(submit(http, app_client, username="bob", password=factories.PASSWORD))
    company = factories.make_client(pool, cognito_sign_in=False)
    company.identity_providers.add(factories.make_oidc_provider(pool))
    response = choose(http, company, proof, NEW)
    assert response.status_code == 200
    assert not SignInSession.objects.exists()
    newcomer.refresh_from_db()
    assert newcomer.check_password(factories.PASSWORD)


@pytest.mark.parametrize("before", [None, timezone.now() - timedelta(days=1)])
@pytest.mark.parametrize("case", ["password", "signed out", "disabled"])
def test_what_closes_an_account_while_its_password_is_checked_wins(
    http: Client,
    app_client: AppClient,
    user: PoolUser,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    before: datetime | None,
) -> None:
    """RFC 9700 4.14: a reset ends what the old password opened, the sign-in that is under way included."""
    set_values(user, signed_out_at=before)
    check = authentication.authenticate

    def slowly(*args: Any, **kwargs: Any) -> PoolUser:
        found = check(*args, **kwargs)
        stored = PoolUser.objects.get(pk=user.pk)
        if case == "password":
            authentication.set_password(stored, NEW)
        elif case == "signed out":
            sessions.end_all(stored)
        else:
            set_values(stored, enabled=False)
        return found

    monkeypatch.setattr(authentication, "authenticate", slowly)
    answer = sent_to_app(submit(http, app_client, username="ada", password=factories.PASSWORD))
    assert answer["error"] == "login_required"
    assert not SignInSession.objects.exists()
    assert not AuthorizationCode.objects.exists()


def test_a_new_password_is_asked_for_by_the_name_that_signs_in(
    http: Client, pool: UserPool, app_client: AppClient, newcomer: PoolUser
) -> None:
    """W 12: with UsernameAttributes the username is the sub, which no person knows."""
    set_values(pool, username_attributes=["email"], alias_attributes=[])
    set_values(newcomer, username=newcomer.sub, attributes={"email": "bob@example.com"})
    page = submit(http, app_client, username="bob@example.com", password=factories.PASSWORD)
    assert proof_of(page)
    assert "<strong>bob@example.com</strong>" in page.content.decode()
    assert str(newcomer.sub) not in page.content.decode()


def test_a_temporary_password_expires(http: Client, pool: UserPool, app_client: AppClient, newcomer: PoolUser) -> None:
    """W 12, W 17.4: TemporaryPasswordValidityDays, 7 by default."""
    set_values(newcomer, password_changed_at=timezone.now() - timedelta(days=7, seconds=1))
    page_says(submit(http, app_client, username="bob", password=factories.PASSWORD), "has expired")
    set_values(pool, password_policy={"TemporaryPasswordValidityDays": 8})
    assert proof_of(submit(http, app_client, username="bob", password=factories.PASSWORD))


# --- whole sign-ins


@pytest.mark.parametrize(
    "changes", [{"max_age": "0"}, {"prompt": "login"}, {"prompt": "login", "max_age": "0"}], ids=str
)
def test_a_sign_in_that_was_asked_for_is_enough_at_once(
    http: Client, app_client: AppClient, user: PoolUser, changes: dict[str, str]
) -> None:
    """OpenID Connect Core 3.1.2.1: the user signs in anew, once; the answer does not ask again."""
    signed_in(http, user, ago=timedelta(minutes=30))
    page = ask(http, query_of(app_client, **changes))
    on_login_page(page)
    fields = {"username": "ada", "password": factories.PASSWORD}
    assert "code" in sent_to_app(http.post(page["Location"], urlencode(fields), content_type=FORM))
    assert timezone.now() - SignInSession.objects.get().auth_time < timedelta(minutes=1)


def test_in_a_pool_of_addresses_the_username_on_the_wire_is_the_sub(http: Client, pool: UserPool) -> None:
    """W 10.1: cognito:username of an e-mail-as-username pool. W 12: one signs in by the address."""
    set_values(pool, username_attributes=["email"])
    user = new_user(pool, "Ada@example.test")
    user.set_password(factories.PASSWORD)
    user.save()
    client = factories.make_client(pool)
    told = sent_to_app(submit(http, client, username="ada@EXAMPLE.test", password=factories.PASSWORD))
    body = redeem(http, client, told["code"]).json()
    identity, access = verified(pool, body["id_token"])[1], verified(pool, body["access_token"])[1]
    assert identity["cognito:username"] == access["username"] == identity["sub"] == user.sub
    assert identity["email"] == "Ada@example.test"


def test_a_pool_under_a_path_keeps_to_its_path(pool: UserPool, app_client: AppClient, user: PoolUser) -> None:
    """D2.8, D5: /<pool id>/... on the issuer's host; cookies and addresses stay below it."""
    browser = Client(headers={"host": "id.example.test"})
    base = f"/{pool.pk}"
    page = ask(browser, query_of(app_client), f"{base}/oauth2/authorize")
    assert page["Location"].startswith(f"{base}/login?")
    assert f'action="{base}/login?' in browser.get(page["Location"]).content.decode()
    fields = {"username": "ada", "password": factories.PASSWORD}
    response = browser.post(page["Location"], urlencode(fields), content_type=FORM)
    assert response.cookies[sessions.COOKIE]["path"].rstrip("/") == base
    assert "code" in sent_to_app(response)
    assert "code" in sent_to_app(ask(browser, query_of(app_client, prompt="none"), f"{base}/oauth2/authorize"))
    refusal = ask(browser, query_of(app_client, redirect_uri=EVIL), f"{base}/oauth2/authorize")
    assert refusal["Location"].startswith(f"{base}/error?")
    leave = browser.get(
        f"{base}/logout?" + urlencode({"client_id": app_client.client_id, "logout_uri": factories.LOGOUT})
    )
    assert leave.cookies[sessions.COOKIE]["path"].rstrip("/") == base
    assert not SignInSession.objects.exists()


def test_somebody_else_than_the_hinted_user_is_not_signed_in(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    """OpenID Connect Core 3.1.2.1, id_token_hint: if another user signs in, an error such as login_required."""
    helpers.signed_in(http, user)
    hint = helpers.tokens_for(http, app_client)["id_token"]
    factories.make_user(pool, "bob")
    http.cookies.clear()
    query = query_of(app_client, id_token_hint=hint)
    told = sent_to_app(submit_login(http, query, username="bob", password=factories.PASSWORD))
    assert told["error"] == "login_required"
    assert not SignInSession.objects.filter(user__username="bob").exists()
    assert "code" in sent_to_app(submit_login(http, query, username="ada", password=factories.PASSWORD))
