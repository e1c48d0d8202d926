"""``/oauth2/authorize``: parameters, order of decisions, answers and errors.

AWS pages: authorization-endpoint, federation-endpoint-idp-responses, login-endpoint, client-apps,
define-resource-servers (W 3.1 to 3.7 of the reference). Standards: RFC 6749 3.1 and 4.1, RFC 7636, RFC 8707, RFC 9207,
OAuth 2.0 Multiple Response Types, OAuth 2.0 Form Post Response Mode, OpenID Connect Core 3.1.2.
"""

import base64
import hashlib
import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AppClient, AuthorizationCode, PoolUser, SignInSession, UserPool
from tests import factories
from tests.browser_like import FORM, sign_in
from tests.wire.helpers import (
    CHALLENGE,
    ask,
    forge,
    in_form,
    in_fragment,
    inline_code,
    new_code,
    on_error_page,
    on_login_page,
    query_of,
    redeem,
    sent_to_app,
    set_values,
    signed_in,
    tokens_for,
    verified,
)

pytestmark = pytest.mark.django_db
At = Callable[..., Client]
DIALECTS = ["cognito", "oidc"]
EVIL = "https://evil.example.test/callback"


@pytest.fixture
def user(pool: UserPool) -> PoolUser:
    """ada, who has no password: nobody signs in by one here, unless a test says so."""
    return factories.make_user(pool, password=None)


@pytest.fixture
def implicit_client(pool: UserPool) -> AppClient:
    return factories.make_client(pool, allowed_oauth_flows=["code", "implicit"])


# --- until client and redirect_uri are proven, nothing leaves for the app (W 3.2, W 3.6; RFC 6749 4.1.2.1)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        EVIL,
        factories.CALLBACK + "/",
        factories.CALLBACK + "?a=b",
        factories.CALLBACK + "#fragment",
        factories.CALLBACK + "/..",
        factories.CALLBACK + "x",
        factories.CALLBACK[:-1],
        factories.CALLBACK + "\n",
        factories.CALLBACK + " ",
        " " + factories.CALLBACK,
        factories.CALLBACK + "\t",
        f"{factories.CALLBACK} {EVIL}",
        f"{factories.CALLBACK}\n{EVIL}",
        "https://APP.example.test/callback",
        "HTTPS://app.example.test/callback",
        "http://app.example.test/callback",
        "https://app.example.test:443/callback",
        "https://app.example.test/%63allback",
        "https://app.example.test/./callback",
        "https://app.example.test//callback",
        "https://app.example.test\\@evil.example.test/callback",
        "https://app.example.test@evil.example.test/callback",
        "https://app.example.test.evil.example.test/callback",
        "//app.example.test/callback",
        "/callback",
        "app.example.test/callback",
        "javascript:alert(1)//https://app.example.test/callback",
        "data:text/html,hello",
        "x" * 5000,
    ],
)
def test_a_redirect_uri_that_is_not_registered_to_the_letter_ends_on_the_error_page(
    http: Client, app_client: AppClient, redirect_uri: str
) -> None:
    """authorization-endpoint page; W 3.6: 302 to /error?error=redirect_mismatch&client_id=..., there 400."""
    response = ask(http, query_of(app_client, redirect_uri=redirect_uri))
    assert on_error_page(http, response) == "redirect_mismatch"
    assert parse_qs(urlsplit(response["Location"]).query)["client_id"] == [app_client.client_id]


def test_a_live_session_does_not_help_a_foreign_redirect_uri(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    signed_in(http, user)
    assert on_error_page(http, ask(http, query_of(app_client, redirect_uri=EVIL))) == "redirect_mismatch"
    assert not AuthorizationCode.objects.exists()


@pytest.mark.parametrize("client_id", ["", "nobody", "nobody\x00", "é", "x" * 5000, "' OR 1=1 --", "<script>"])
def test_an_unknown_client_ends_on_the_error_page(http: Client, app_client: AppClient, client_id: str) -> None:
    on_error_page(http, ask(http, query_of(app_client, client_id=client_id)))


def test_another_pools_client_is_unknown(http: Client, pool: UserPool) -> None:
    other = factories.make_client(factories.make_pool())
    assert on_error_page(http, ask(http, query_of(other))) == "invalid_client"


@pytest.mark.parametrize(
    ("name", "value"),
    [("client_id", "nobody"), ("redirect_uri", EVIL), ("redirect_uri", factories.CALLBACK)],
)
def test_a_repeated_client_id_or_redirect_uri_proves_nothing(
    http: Client, app_client: AppClient, name: str, value: str
) -> None:
    """RFC 6749 3.1: parameters are not repeated; which of two would be meant nobody knows."""
    query = urlencode([*query_of(app_client).items(), (name, value)])
    assert on_error_page(http, ask(http, query)) == "invalid_request"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "&&&",
        "=",
        "client_id",
        "%",
        "state=%ff",
        "client_id=%C3%28",
        "state=%00",
        "state=a%00b",
        "&".join(f"p{n}=1" for n in range(100)),
    ],
    ids=lambda query: query[:12],
)
def test_what_cannot_be_read_ends_on_the_error_page(http: Client, app_client: AppClient, query: str) -> None:
    on_error_page(http, ask(http, query))
    if query:
        on_error_page(http, ask(http, f"{query}&{urlencode(query_of(app_client, client_id=''))}"))


def test_a_state_that_is_not_utf8_is_refused_and_not_replaced(http: Client, app_client: AppClient) -> None:
    """W 3.7: it must come back as it was sent, or not at all."""
    query = urlencode(query_of(app_client, state="")) + "&state=%ff%fe"
    assert on_error_page(http, ask(http, query)) == "invalid_request"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_get_405(http: Client, app_client: AppClient, method: str) -> None:
    response = http.generic(method, "/oauth2/authorize?" + urlencode(query_of(app_client)))
    assert response.status_code == 405
    assert response["Allow"] == "GET, POST"


# --- an omitted redirect_uri (client-apps page)


@pytest.mark.parametrize(
    ("callbacks", "default"),
    [([factories.CALLBACK], ""), (["https://a.example.test/", factories.CALLBACK], factories.CALLBACK)],
)
def test_an_omitted_redirect_uri_means_the_default_or_the_only_one(
    http: Client, pool: UserPool, user: PoolUser, callbacks: list[str], default: str
) -> None:
    client = factories.make_client(pool, redirect_uris="\n".join(callbacks), default_redirect=default)
    signed_in(http, user)
    assert "code" in sent_to_app(ask(http, query_of(client, redirect_uri="")))


def test_an_omitted_redirect_uri_means_nothing_with_several_callback_urls(http: Client, pool: UserPool) -> None:
    client = factories.make_client(pool, redirect_uris=f"{factories.CALLBACK}\nhttps://a.example.test/")
    on_error_page(http, ask(http, query_of(client, redirect_uri="")))


def test_an_omitted_redirect_uri_means_nothing_with_several_providers(http: Client, pool: UserPool) -> None:
    """client-apps page: the default is for clients with exactly one IdP."""
    client = factories.make_client(pool, default_redirect=factories.CALLBACK)
    client.identity_providers.add(factories.make_oidc_provider(pool))
    on_error_page(http, ask(http, query_of(client, redirect_uri="")))


# --- errors that the app is told of (W 3.5)


LONG = "x" * 9_000
ERRORS = [
    ({"response_type": ""}, "invalid_request"),
    ({"response_type": "token"}, "unauthorized_client"),
    ({"code_challenge": CHALLENGE}, "invalid_request"),
    ({"code_challenge_method": "S256"}, "invalid_request"),
    ({"code_challenge": CHALLENGE, "code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge": CHALLENGE, "code_challenge_method": "s256"}, "invalid_request"),
    ({"code_challenge": CHALLENGE[:42], "code_challenge_method": "S256"}, "invalid_request"),
    ({"code_challenge": "x" * 129, "code_challenge_method": "S256"}, "invalid_request"),
    ({"prompt": "create"}, "invalid_request"),
    ({"prompt": "Login"}, "invalid_request"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"max_age": "soon"}, "invalid_request"),
    ({"max_age": "1.5"}, "invalid_request"),
    ({"max_age": "٣"}, "invalid_request"),
    ({"max_age": "9" * 30}, "invalid_request"),
    ({"resource": "api"}, "invalid_target"),
    ({"resource": "/api"}, "invalid_target"),
    ({"resource": "https://"}, "invalid_target"),
    ({"resource": "https://api.example.test/#here"}, "invalid_target"),
    ({"resource": "http://api.example.test/"}, "invalid_target"),
    ({"resource": "https://[api"}, "invalid_target"),
    ({"resource": "https://api.example.test/a b"}, "invalid_target"),
    ({"response_mode": "web_message"}, "invalid_request"),
    ({"response_mode": "query.jwt"}, "invalid_request"),
    ({"identity_provider": "Nobody"}, "invalid_request"),
    ({"identity_provider": "cognito"}, "invalid_request"),
    ({"idp_identifier": "nobody.example.test"}, "invalid_request"),
    ({"nonce": LONG}, "invalid_request"),
    ({"resource": "https://api.example.test/" + LONG}, "invalid_request"),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("changes", "error"), ERRORS, ids=lambda value: str(value)[:40])
def test_the_app_is_told_what_was_wrong(
    http: Client, app_client: AppClient, pool: UserPool, dialect: str, changes: dict[str, str], error: str
) -> None:
    """authorization-endpoint page, W 3.5; RFC 6749 4.1.2.1; RFC 7636 4.4.1; RFC 8707 2; RFC 9207 2."""
    set_values(app_client, dialect=dialect)
    response = ask(http, query_of(app_client, **changes))
    carrier = in_fragment if changes.get("response_type") == "token" else sent_to_app
    told = carrier(response)
    assert told["error"] == error
    assert told["state"] == "xyz"
    assert told["iss"] == pool.issuer
    assert set(told) <= {"error", "error_description", "state", "iss"}


@pytest.mark.parametrize(("dialect", "error"), [("cognito", "invalid_request"), ("oidc", "unsupported_response_type")])
@pytest.mark.parametrize("response_type", ["id_token", "code token", "code id_token", "CODE", "none", "<b>", "x" * 500])
def test_another_response_type_is_refused(
    http: Client, app_client: AppClient, dialect: str, error: str, response_type: str
) -> None:
    """W 3.1: code or token, nothing else. RFC 6749 4.1.2.1 has a code of its own for it."""
    set_values(app_client, dialect=dialect)
    assert sent_to_app(ask(http, query_of(app_client, response_type=response_type)))["error"] == error


def test_a_client_without_the_code_flow_gets_no_code(http: Client, pool: UserPool) -> None:
    client = factories.make_client(pool, allowed_oauth_flows=["implicit"])
    assert sent_to_app(ask(http, query_of(client)))["error"] == "unauthorized_client"


def test_a_client_whose_oauth_switch_is_off_gets_nothing(http: Client, app_client: AppClient) -> None:
    """W 13: AllowedOAuthFlowsUserPoolClient must be true for any OAuth use."""
    set_values(app_client, allowed_oauth_flows_user_pool_client=False)
    assert sent_to_app(ask(http, query_of(app_client)))["error"] == "unauthorized_client"


def test_a_client_without_any_provider_gets_nothing(http: Client, app_client: AppClient) -> None:
    """W 3.1: a client with at least one enabled IdP."""
    set_values(app_client, cognito_sign_in=False)
    assert sent_to_app(ask(http, query_of(app_client)))["error"] == "unauthorized_client"


@pytest.mark.parametrize("name", ["scope", "nonce", "prompt", "response_type", "code_challenge", "unheard_of"])
def test_a_repeated_parameter_is_refused(http: Client, app_client: AppClient, name: str) -> None:
    """RFC 6749 3.1."""
    query = urlencode([*query_of(app_client, **{name: "code"}).items(), (name, "code")])
    assert sent_to_app(ask(http, query))["error"] in ("invalid_request", "invalid_scope")


def test_two_states_are_none(http: Client, app_client: AppClient) -> None:
    told = sent_to_app(ask(http, urlencode([*query_of(app_client).items(), ("state", "other")])))
    assert told["error"] == "invalid_request"
    assert "state" not in told


def test_two_resources_are_an_invalid_target(http: Client, app_client: AppClient) -> None:
    """W 3.1: one value. RFC 8707 2."""
    pairs = [
        *query_of(app_client).items(),
        ("resource", "https://a.example.test"),
        ("resource", "https://b.example.test"),
    ]
    assert sent_to_app(ask(http, urlencode(pairs)))["error"] == "invalid_target"


@pytest.mark.parametrize("name", ["request", "request_uri"])
def test_request_objects_are_ignored_as_cognito_does_or_refused_as_core_6_1_says(
    http: Client, app_client: AppClient, name: str
) -> None:
    query = query_of(app_client, **{name: "https://app.example.test/request.jwt"})
    assert name not in on_login_page(ask(http, query))
    set_values(app_client, dialect="oidc")
    assert sent_to_app(ask(http, query))["error"] == "request_not_supported"


@pytest.mark.parametrize(
    "name", ["claims", "display", "registration", "unheard_of", "acr_values", "lang", "ui_locales"]
)
def test_parameters_without_effect_do_no_harm(http: Client, app_client: AppClient, user: PoolUser, name: str) -> None:
    """RFC 6749 3.1: unrecognized parameters are ignored. W 16 row 16."""
    signed_in(http, user)
    assert "code" in sent_to_app(ask(http, query_of(app_client, **{name: "<&>"})))


# --- the answer


def test_success_is_a_code_the_state_and_the_issuer(
    http: Client, app_client: AppClient, pool: UserPool, user: PoolUser
) -> None:
    """W 3.3; RFC 9207 2."""
    signed_in(http, user)
    told = sent_to_app(ask(http, query_of(app_client)))
    assert set(told) == {"code", "state", "iss"}
    assert told["state"] == "xyz"
    assert told["iss"] == pool.issuer


def test_without_a_state_none_comes_back(http: Client, app_client: AppClient, user: PoolUser) -> None:
    signed_in(http, user)
    assert set(sent_to_app(ask(http, query_of(app_client, state="")))) == {"code", "iss"}


NASTY_STATES = [
    "a+b/c=d&e",
    "a b",
    "%41%zz%",
    "%2B%20",
    "?a=b&c=d",
    "#fragment",
    '"><script>alert(1)</script>',
    "'; DROP TABLE--",
    '{"a": [1, "é"]}',
    "päöü€😀\u202e",
    "line\r\nSet-Cookie: a=b",
    "\t\x01\x7f",
    "x" * 8_192,
    "eyJhIjoiKy8ifQ==",
    "\\u0041\\",
    ";a;b",
]


@pytest.mark.parametrize("state", NASTY_STATES, ids=lambda state: repr(state[:12]))
def test_the_state_comes_back_byte_for_byte(http: Client, app_client: AppClient, user: PoolUser, state: str) -> None:
    """RFC 6749 4.1.2: the exact value. Cognito decodes it once too often (W 3.7); that is not copied."""
    query = query_of(app_client, state=state)
    assert on_login_page(ask(http, query))["state"] == state
    signed_in(http, user)
    assert sent_to_app(ask(http, query))["state"] == state
    assert sent_to_app(ask(http, query | {"response_type": "nonsense"}))["state"] == state
    assert in_form(ask(http, query | {"response_mode": "form_post"}))["state"].splitlines() == state.splitlines()
    assert not ask(http, query).cookies


def test_the_state_survives_the_sign_in_page(http: Client, app_client: AppClient, pool: UserPool) -> None:
    factories.make_user(pool)
    for state in NASTY_STATES[:3]:
        landed = sign_in(http, query_of(app_client, state=state, prompt="login"))
        assert parse_qs(urlsplit(landed).query)["state"] == [state]


def test_a_state_beyond_the_limit_is_refused(http: Client, app_client: AppClient) -> None:
    told = sent_to_app(ask(http, query_of(app_client, state=LONG)))
    assert told["error"] == "invalid_request"


@pytest.mark.parametrize(("mode", "read"), [("query", sent_to_app), ("fragment", in_fragment), ("form_post", in_form)])
def test_code_and_error_travel_as_response_mode_says(
    http: Client, app_client: AppClient, pool: UserPool, user: PoolUser, mode: str, read: Callable[..., dict[str, str]]
) -> None:
    """OAuth 2.0 Multiple Response Type Encoding Practices 2.1; OAuth 2.0 Form Post Response Mode 2."""
    told = read(ask(http, query_of(app_client, response_mode=mode, prompt="none")))
    assert (told["error"], told["state"], told["iss"]) == ("login_required", "xyz", pool.issuer)
    signed_in(http, user)
    told = read(ask(http, query_of(app_client, response_mode=mode)))
    assert set(told) == {"code", "state", "iss"}
    assert redeem(http, app_client, told["code"]).status_code == 200


def test_the_form_post_page_may_send_its_form_to_the_app_and_runs_no_inline_script(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    signed_in(http, user)
    response = ask(http, query_of(app_client, response_mode="form_post"))
    assert "form-action" not in response["Content-Security-Policy"]  # it would hold the app's redirects as well
    assert "no-store" in response["Cache-Control"]
    assert inline_code(response) == []


@pytest.mark.parametrize(
    ("registered", "begins"),
    [
        ("myapp://cb", "myapp://cb?"),
        ("com.example.app:/oauth2redirect", "com.example.app:/oauth2redirect?"),
        ("http://localhost:3000/cb", "http://localhost:3000/cb?"),
        ("http://[::1]:8080/cb", "http://[::1]:8080/cb?"),
        ("https://app.example.test/cb?tenant=a%20b", "https://app.example.test/cb?tenant=a%20b&"),
        ("https://app.example.test/cb?", "https://app.example.test/cb?"),
        ("https://app.example.test", "https://app.example.test?"),
    ],
)
def test_the_redirect_uri_is_kept_as_registered_and_added_to(
    http: Client, pool: UserPool, user: PoolUser, registered: str, begins: str
) -> None:
    """RFC 6749 3.1.2: a query of the redirect_uri is retained. W 3.1, W 13: custom schemes, loopback."""
    client = factories.make_client(pool, redirect_uris=registered)
    signed_in(http, user)
    response = ask(http, query_of(client, redirect_uri=registered))
    assert response.status_code == 302
    assert response["Location"].startswith(begins + "code=")
    told = dict(parse_qs(response["Location"].removeprefix(begins)))
    answer = redeem(http, client, told["code"][0], redirect_uri=registered)
    assert answer.status_code == 200, answer.content
    refusal = ask(http, query_of(client, redirect_uri=registered, scope="nonsense"))
    assert refusal["Location"].startswith(begins + "error")
    posted = ask(http, query_of(client, redirect_uri=registered, response_mode="form_post"))
    assert set(in_form(posted, registered)) == {"code", "state", "iss"}


def test_a_code_lives_five_minutes_and_only_its_digest_is_kept(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    """authorization-endpoint page: five minutes."""
    signed_in(http, user)
    code = new_code(http, app_client)
    row = AuthorizationCode.objects.get()
    assert timedelta(seconds=295) < row.expires_at - timezone.now() <= timedelta(minutes=5)
    assert code not in str(vars(row))
    assert len(code) >= 43  # RFC 6749 10.10: not to be guessed


# --- implicit (W 3.4)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_implicit_answers_in_the_fragment_with_an_id_token_beside_the_access_token(
    http: Client, implicit_client: AppClient, pool: UserPool, user: PoolUser, dialect: str
) -> None:
    """authorization-endpoint page; order and ``Bearer`` as W 3.4; never a refresh token."""
    set_values(implicit_client, dialect=dialect)
    signed_in(http, user, ago=timedelta(minutes=3))
    told = in_fragment(ask(http, query_of(implicit_client, response_type="token", nonce="n-1")))
    assert list(told)[:4] == ["id_token", "access_token", "expires_in", "token_type"]
    assert (told["expires_in"], told["token_type"], told["state"]) == ("3600", "Bearer", "xyz")
    assert "refresh_token" not in told
    _, identity = verified(pool, told["id_token"])
    _, access = verified(pool, told["access_token"])
    assert identity["nonce"] == "n-1"
    assert access["sub"] == identity["sub"] == user.sub
    half = hashlib.sha256(told["access_token"].encode()).digest()[:16]
    assert identity["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert 180 <= time.time() - identity["auth_time"] < 190
    assert http.get("/oauth2/userInfo", headers={"authorization": f"Bearer {told['access_token']}"}).status_code == 200


def test_implicit_without_openid_has_no_id_token(http: Client, pool: UserPool, user: PoolUser) -> None:
    factories.make_resource_server(pool)
    scope = "https://api.example.test/read"
    client = factories.make_client(pool, allowed_oauth_flows=["implicit"], allowed_oauth_scopes=[scope])
    signed_in(http, user)
    told = in_fragment(ask(http, query_of(client, response_type="token", scope=scope)))
    assert "id_token" not in told
    assert verified(pool, told["access_token"])[1]["scope"] == scope


@pytest.mark.parametrize("changes", [{"prompt": "none"}, {"scope": "openid nonsense"}, {"response_mode": "query"}])
def test_implicit_errors_travel_in_the_fragment(
    http: Client, implicit_client: AppClient, changes: dict[str, str]
) -> None:
    """W 3.5. Tokens never travel in a query (Multiple Response Types 3), nor does an error about that."""
    told = in_fragment(ask(http, query_of(implicit_client, response_type="token", **changes)))
    assert "error" in told
    assert told["state"] == "xyz"


def test_implicit_takes_form_post(http: Client, implicit_client: AppClient, user: PoolUser) -> None:
    signed_in(http, user)
    told = in_form(ask(http, query_of(implicit_client, response_type="token", response_mode="form_post")))
    assert {"id_token", "access_token", "state"} <= set(told)


# --- scopes (W 3.5; authorization-endpoint, define-resource-servers pages)


def granted(http: Client, pool: UserPool, client: AppClient, scope: str) -> set[str]:
    access = tokens_for(http, client, scope=scope)["access_token"]
    return set(verified(pool, access)[1]["scope"].split())


def test_without_a_scope_the_client_gets_all_that_it_may_have(
    http: Client, app_client: AppClient, pool: UserPool, user: PoolUser
) -> None:
    signed_in(http, user)
    assert granted(http, pool, app_client, "") == {"openid", "email", "phone", "profile"}


def test_custom_scopes_and_the_admin_scope_are_granted(http: Client, pool: UserPool, user: PoolUser) -> None:
    factories.make_resource_server(pool)
    scopes = ["openid", "aws.cognito.signin.user.admin", "https://api.example.test/read"]
    client = factories.make_client(pool, allowed_oauth_scopes=scopes)
    signed_in(http, user)
    assert granted(http, pool, client, " ".join(scopes)) == set(scopes)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_scope_whose_resource_server_was_deleted_is_dropped(
    http: Client, pool: UserPool, user: PoolUser, dialect: str
) -> None:
    server = factories.make_resource_server(pool)
    scopes = ["openid", "https://api.example.test/read"]
    client = factories.make_client(pool, allowed_oauth_scopes=scopes, dialect=dialect)
    server.delete()
    signed_in(http, user)
    assert granted(http, pool, client, " ".join(scopes)) == {"openid"}
    assert sent_to_app(ask(http, query_of(client, scope=scopes[1])))["error"] == "invalid_scope"


@pytest.mark.parametrize(
    "scope",
    ["openid nonsense", "openid OPENID", "openid offline_access", "openid aws.cognito.signin.user.admin", "openid é"],
)
def test_a_foreign_scope_is_refused_or_ignored_by_dialect(
    http: Client, app_client: AppClient, pool: UserPool, user: PoolUser, scope: str
) -> None:
    """D3; resource-server page; RFC 6749 3.3 lets the server ignore it."""
    signed_in(http, user)
    assert sent_to_app(ask(http, query_of(app_client, scope=scope)))["error"] == "invalid_scope"
    set_values(app_client, dialect="oidc")
    assert granted(http, pool, app_client, scope) == {"openid"}
    assert sent_to_app(ask(http, query_of(app_client, scope="nonsense")))["error"] == "invalid_scope"


def test_email_phone_and_profile_need_openid(http: Client, app_client: AppClient) -> None:
    """W 3.1: ``email``, ``phone``, ``profile`` need ``openid``."""
    for scope in ("email", "phone", "profile", "profile email"):
        assert sent_to_app(ask(http, query_of(app_client, scope=scope)))["error"] == "invalid_scope"


def test_scope_address_exists_in_the_oidc_dialect_only(http: Client, pool: UserPool, user: PoolUser) -> None:
    client = factories.make_client(pool, allowed_oauth_scopes=["openid", "address"], dialect="oidc")
    signed_in(http, user)
    assert granted(http, pool, client, "openid address") == {"openid", "address"}
    set_values(client, dialect="cognito")
    assert granted(http, pool, client, "openid address") == {"openid"}


# --- PKCE (RFC 7636; W 3.1)


def test_a_client_that_requires_pkce_gets_no_code_without(http: Client, app_client: AppClient, user: PoolUser) -> None:
    signed_in(http, user)
    assert "code" in sent_to_app(ask(http, query_of(app_client)))
    set_values(app_client, require_pkce=True)
    assert sent_to_app(ask(http, query_of(app_client)))["error"] == "invalid_request"
    with_pkce = query_of(app_client, code_challenge=CHALLENGE, code_challenge_method="S256")
    assert "code" in sent_to_app(ask(http, with_pkce))


# --- sessions, prompt, max_age (W 3.2; OpenID Connect Core 3.1.2.1)


def test_without_a_session_the_browser_goes_to_login_with_the_same_query(http: Client, app_client: AppClient) -> None:
    """W 3.2 step 5."""
    query = query_of(
        app_client,
        nonce="n",
        code_challenge=CHALLENGE,
        code_challenge_method="S256",
        identity_provider="COGNITO",
        lang="de",
        ui_locales="de-CH de",
        login_hint='"><ada@example.test>',
        prompt="login consent",
        resource="https://api.example.test/",
        acr_values="urn:cognito:loa:2",
        max_age="60",
        response_mode="fragment",
    )
    assert on_login_page(ask(http, query)) == query


def test_the_alias_path_and_post_do_the_same(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """W 1.1: /authorize. OpenID Connect Core 3.1.2.1: GET and POST."""
    signed_in(http, user)
    query = query_of(app_client)
    assert "code" in sent_to_app(ask(http, query, "/authorize"))
    for path in ("/oauth2/authorize", "/authorize"):
        assert "code" in sent_to_app(http.post(path, urlencode(query), content_type=FORM))


def test_parameters_of_a_post_come_from_the_body_alone(http: Client, app_client: AppClient) -> None:
    response = http.post("/oauth2/authorize?" + urlencode(query_of(app_client)), "", content_type=FORM)
    on_error_page(http, response)


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_a_post_of_another_media_type_ends_on_the_error_page(
    http: Client, app_client: AppClient, content_type: str
) -> None:
    response = http.generic("POST", "/oauth2/authorize", urlencode(query_of(app_client)), content_type=content_type)
    assert on_error_page(http, response) == "invalid_request"


def test_a_live_session_answers_any_client_of_the_pool(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    signed_in(http, user)
    for client in (app_client, factories.make_client(pool)):
        assert "code" in sent_to_app(ask(http, query_of(client)))
        assert "code" in sent_to_app(ask(http, query_of(client, prompt="none")))


def test_a_session_ends_an_hour_after_the_sign_in_however_often_it_is_used(
    http: Client, app_client: AppClient, user: PoolUser
) -> None:
    """managed-login page: one hour, fixed; resuming does not extend it (W 9.4)."""
    session = signed_in(http, user, ago=timedelta(minutes=59))
    expiry = session.expires_at
    assert "code" in sent_to_app(ask(http, query_of(app_client)))
    session.refresh_from_db()
    assert session.expires_at == expiry == session.auth_time + timedelta(hours=1)
    SignInSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    on_login_page(ask(http, query_of(app_client)))


@pytest.mark.parametrize("case", ["disabled", "signed out", "deleted", "another cookie", "short cookie"])
def test_a_session_that_does_not_stand_is_none(http: Client, app_client: AppClient, user: PoolUser, case: str) -> None:
    session = signed_in(http, user)
    if case == "disabled":
        set_values(user, enabled=False)
    elif case == "signed out":
        set_values(user, signed_out_at=session.auth_time)
    elif case == "deleted":
        user.delete()
    else:
        http.cookies["userpool_session"] = "x" * (43 if case == "another cookie" else 5)
    on_login_page(ask(http, query_of(app_client)))
    assert sent_to_app(ask(http, query_of(app_client, prompt="none")))["error"] == "login_required"


def test_the_session_of_another_pool_is_none(http: Client, at: At, pool: UserPool, app_client: AppClient) -> None:
    other = factories.make_pool()
    signed_in(http, factories.make_user(other, password=None))
    on_login_page(ask(http, query_of(app_client)))


@pytest.mark.parametrize("prompt", ["select_account", "consent", "consent select_account"])
def test_these_prompts_have_no_local_effect(http: Client, app_client: AppClient, user: PoolUser, prompt: str) -> None:
    """authorization-endpoint page; W 3.2."""
    signed_in(http, user)
    assert "code" in sent_to_app(ask(http, query_of(app_client, prompt=prompt)))


@pytest.mark.parametrize("prompt", ["login", "login consent", "select_account login"])
def test_prompt_login_skips_the_session_and_leaves_it_alone(
    http: Client, app_client: AppClient, user: PoolUser, prompt: str
) -> None:
    signed_in(http, user)
    assert on_login_page(ask(http, query_of(app_client, prompt=prompt)))["prompt"] == prompt
    assert "code" in sent_to_app(ask(http, query_of(app_client)))


def test_prompt_none_without_a_session_is_login_required(http: Client, app_client: AppClient, pool: UserPool) -> None:
    told = sent_to_app(ask(http, query_of(app_client, prompt="none")))
    assert (told["error"], told["state"], told["iss"]) == ("login_required", "xyz", pool.issuer)


@pytest.mark.parametrize(
    ("ago", "max_age", "resumed"),
    [(0, "0", False), (61, "60", False), (10, "60", True), (600, "999999999", True), (0, "1000", True)],
)
def test_max_age_asks_for_a_sign_in_that_is_young_enough(
    http: Client, app_client: AppClient, user: PoolUser, ago: int, max_age: str, resumed: bool
) -> None:
    """OpenID Connect Core 3.1.2.1; W 3.1."""
    signed_in(http, user, ago=timedelta(seconds=ago))
    query = query_of(app_client, max_age=max_age)
    silent = sent_to_app(ask(http, query | {"prompt": "none"}))
    if resumed:
        assert "code" in sent_to_app(ask(http, query))
        assert "code" in silent
    else:
        assert on_login_page(ask(http, query))["max_age"] == max_age
        assert silent["error"] == "login_required"


def test_identity_provider_cognito_wants_a_session_of_the_pool_itself(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    """W 3.2: identity_provider selects which session may be resumed; amplify-js #14897."""
    provider = factories.make_oidc_provider(pool)
    app_client.identity_providers.add(provider)
    signed_in(http, user, provider)
    assert "code" in sent_to_app(ask(http, query_of(app_client)))
    assert "code" in sent_to_app(ask(http, query_of(app_client, identity_provider="Corp")))
    told = sent_to_app(ask(http, query_of(app_client, identity_provider="COGNITO", prompt="none")))
    assert told["error"] == "login_required"
    assert on_login_page(ask(http, query_of(app_client, identity_provider="COGNITO")))
    signed_in(http, user)
    assert "code" in sent_to_app(ask(http, query_of(app_client, identity_provider="COGNITO", prompt="none")))
    told = sent_to_app(ask(http, query_of(app_client, identity_provider="Corp", prompt="none")))
    assert told["error"] == "login_required"


def test_a_session_from_a_provider_that_the_client_lacks_does_not_answer_for_it(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    signed_in(http, user, factories.make_oidc_provider(pool))
    on_login_page(ask(http, query_of(app_client)))


def test_a_provider_of_another_pool_or_of_no_client_is_unknown(
    http: Client, pool: UserPool, app_client: AppClient
) -> None:
    factories.make_oidc_provider(pool, "Mine", idp_identifiers=["corp.example.test"])
    factories.make_oidc_provider(factories.make_pool(), "Theirs")
    for name, value in (
        ("identity_provider", "Mine"),
        ("identity_provider", "Theirs"),
        ("idp_identifier", "corp.example.test"),
    ):
        assert sent_to_app(ask(http, query_of(app_client, **{name: value})))["error"] == "invalid_request"


# --- id_token_hint (OpenID Connect Core 3.1.2.1)


def test_the_hinted_user_must_be_the_one_who_is_signed_in(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    signed_in(http, user)
    mine = tokens_for(http, app_client)["id_token"]
    assert "code" in sent_to_app(ask(http, query_of(app_client, id_token_hint=mine)))
    assert "code" in sent_to_app(ask(http, query_of(app_client, id_token_hint=mine, prompt="none")))
    signed_in(http, factories.make_user(pool, "bob", password=None))
    assert on_login_page(ask(http, query_of(app_client, id_token_hint=mine)))["id_token_hint"] == mine
    told = sent_to_app(ask(http, query_of(app_client, id_token_hint=mine, prompt="none")))
    assert told["error"] == "login_required"


def test_an_expired_id_token_is_still_a_hint(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    signed_in(http, user)
    claims = {"iss": pool.issuer, "sub": user.sub, "aud": app_client.client_id, "token_use": "id", "exp": 1_600_000_000}
    hint = forge(pool, "id", claims)
    assert "code" in sent_to_app(ask(http, query_of(app_client, id_token_hint=hint, prompt="none")))


def test_what_is_not_an_id_token_of_this_issuer_is_no_hint(
    http: Client, at: At, pool: UserPool, app_client: AppClient, user: PoolUser
) -> None:
    signed_in(http, user)
    own = tokens_for(http, app_client)
    other_pool = factories.make_pool()
    claims = {"iss": pool.issuer, "sub": user.sub, "aud": app_client.client_id, "token_use": "id", "exp": 2**40}
    head, body, signature = own["id_token"].split(".")
    for hint in (
        "garbage",
        "a.b.c",
        "..",
        "é.é.é",
        own["access_token"],
        own["refresh_token"],
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}.",
        forge(other_pool, "id", claims),
        forge(pool, "id", claims | {"iss": other_pool.issuer}),
        forge(pool, "access", claims),
        "x" * 10_000,
    ):
        told = sent_to_app(ask(http, query_of(app_client, id_token_hint=hint, prompt="none")))
        assert told["error"] == "invalid_request", hint


# --- login_hint and resource


def test_the_login_hint_fills_the_field_escaped(http: Client, app_client: AppClient) -> None:
    """login-endpoint page: pre-fills the username."""
    hint = '"><script>alert(1)</script>'
    page = http.get(ask(http, query_of(app_client, login_hint=hint))["Location"])
    text = page.content.decode()
    assert 'value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in text
    assert "<script>alert" not in text


@pytest.mark.parametrize(
    "resource", ["https://api.example.test/v1?x=1", "http://localhost:8000/api", "myapp://api", "urn:example:api"]
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_resource_becomes_the_audience_of_the_access_token_and_survives_a_refresh(
    http: Client, pool: UserPool, app_client: AppClient, user: PoolUser, resource: str, dialect: str
) -> None:
    """RFC 8707 2; authorization-endpoint page: sets ``aud``, survives refresh."""
    set_values(app_client, dialect=dialect)
    signed_in(http, user)
    body = tokens_for(http, app_client, resource=resource)
    assert verified(pool, body["access_token"])[1]["aud"] == resource
    assert verified(pool, body["id_token"])[1]["aud"] == app_client.client_id
    fields = {
        "grant_type": "refresh_token",
        "client_id": app_client.client_id,
        "refresh_token": body["refresh_token"],
    }
    again = http.post("/oauth2/token", urlencode(fields), content_type=FORM).json()
    assert verified(pool, again["access_token"])[1]["aud"] == resource


def test_quoting_of_the_query_does_not_matter(http: Client, app_client: AppClient, user: PoolUser) -> None:
    """RFC 6749 appendix B: form encoding; ``%20`` and ``+`` are both a space."""
    signed_in(http, user)
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in query_of(app_client).items())
    assert "%20" in query
    assert "code" in sent_to_app(ask(http, query))


def test_a_query_with_raw_bytes_is_refused(http: Client, app_client: AppClient) -> None:
    """RFC 3986 2: a URI is ASCII. Read as latin-1, a raw state would come back as another one."""
    query = urlencode(query_of(app_client, state="")) + "&state="
    response = http.generic("GET", "/oauth2/authorize", QUERY_STRING=query + "é".encode().decode("latin-1"))
    assert on_error_page(http, response) == "invalid_request"
