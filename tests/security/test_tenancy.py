"""Everything of pool A is worthless at pool B, endpoint by endpoint, by host and by path.

Design D2.8. RFC 6749 10.3 to 10.5 (tokens and codes are bound to their client), RFC 7519 4.1.1 and OpenID Connect
Core 3.1.3.7 (issuer), RFC 8414 2 (each issuer has its own keys). For each thing the test first shows that it works at
home: a refusal that would have come anyway proves nothing.
"""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts import directory, linking, sessions, signing
from accounts.authentication import set_password
from accounts.models import (
    AppClient,
    AuthEvent,
    LinkedIdentity,
    PoolUser,
    RefreshToken,
    SignInRequest,
    SignInSession,
    UserPool,
)
from federation import tokens as wire
from tests import factories
from tests.browser_like import FORM, csrf_of, open_login, sign_in, submit_login
from tests.fakes import saml_browser
from tests.fakes.browser import at_provider, come_back, fields_of, register
from tests.fakes.oidc import OidcIdp
from tests.fakes.saml import metadata
from tests.security.steps import basic, issue_code, post, redeem, refresh, tokens_of, userinfo

pytestmark = pytest.mark.django_db
SECRET = "s" * 51


@dataclass
class Tenant:
    """One pool, its clients and user, and how a browser gets to it."""

    pool: UserPool
    public: AppClient
    confidential: AppClient
    user: PoolUser
    host: str
    prefix: str

    def browser(self) -> "Mounted":
        return Mounted(self.host, self.prefix)

    def query(self, client: AppClient | None = None, **changes: str) -> dict[str, str]:
        client = client or self.public
        return {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": factories.CALLBACK,
            "scope": "openid email",
        } | changes


class Mounted(Client):
    """A browser whose paths are the pool's: it adds the path under which the pool is mounted."""

    def __init__(self, host: str, prefix: str) -> None:
        super().__init__(headers={"host": host})
        self.prefix = prefix

    def generic(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        mounted = path if path.startswith(f"{self.prefix}/") and self.prefix else f"{self.prefix}{path}"
        return super().generic(method, mounted, *args, **kwargs)


@dataclass
class Pair:
    a: Tenant
    b: Tenant


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """What argon2id costs is not what is tested here."""
    monkeypatch.setattr("accounts.passwords.Argon2idHasher.memory_cost", 64)
    monkeypatch.setattr("accounts.passwords.Argon2idHasher.time_cost", 1)


@pytest.fixture(params=["host", "path", "a by host, b by path"])
def pair(request: pytest.FixtureRequest) -> Pair:
    """Two pools with the same user, the same attributes, the same callback and the same client secret."""

    def tenant(name: str, by_path: bool) -> Tenant:
        pool = factories.make_pool(name)
        return Tenant(
            pool,
            factories.make_client(pool, dialect="oidc"),
            factories.make_client(pool, secret=SECRET, refresh_token_rotation=name == "b"),
            factories.make_user(pool),
            "id.example.test" if by_path else f"{name}.auth.example.test",
            f"/{pool.pk}" if by_path else "",
        )

    return Pair(tenant("a", request.param == "path"), tenant("b", request.param != "host"))


def error_of(response: HttpResponse) -> tuple[int, str]:
    return response.status_code, json.loads(response.content)["error"]


# --- the client


def test_a_client_of_another_pool_is_unknown_at_authorize_and_login(pair: Pair) -> None:
    query = urlencode(pair.a.query())
    assert pair.a.browser().get(f"/oauth2/authorize?{query}")["Location"].startswith(f"{pair.a.prefix}/login?")
    for path in ("/oauth2/authorize", "/authorize", "/login"):
        response = pair.b.browser().get(f"{path}?{query}")
        assert response["Location"].startswith(f"{pair.b.prefix}/error?error=invalid_client"), path
    assert (
        pair.b.browser()
        .get(f"/logout?client_id={pair.a.public.client_id}&logout_uri={factories.LOGOUT}")["Location"]
        .startswith(f"{pair.b.prefix}/error?error=invalid_client")
    )


@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token", "client_credentials"])
@pytest.mark.parametrize("method", ["basic", "body"])
def test_the_credentials_of_another_pools_client_are_worthless_at_the_token_endpoint(
    pair: Pair, grant: str, method: str
) -> None:
    client = pair.a.confidential
    fields = {"grant_type": grant, "redirect_uri": factories.CALLBACK, "code": "x", "refresh_token": "x"}
    headers = {}
    if method == "basic":
        headers["authorization"] = basic(client.client_id, SECRET)
    else:
        fields |= {"client_id": client.client_id, "client_secret": SECRET}
    at_home = post(pair.a.browser(), "/oauth2/token", fields, **headers)
    assert error_of(at_home)[1] != "invalid_client"
    assert error_of(post(pair.b.browser(), "/oauth2/token", fields, **headers)) == (400, "invalid_client")


def test_the_secret_of_another_pools_client_opens_no_client_here(pair: Pair) -> None:
    other = "t" * 51
    pair.b.confidential.secrets.all().delete()
    pair.b.confidential.add_secret(other)
    tried = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": pair.b.confidential.client_id}
    at_home = post(pair.b.browser(), "/oauth2/token", tried | {"client_secret": other})
    assert error_of(at_home) == (400, "invalid_grant")
    assert error_of(post(pair.b.browser(), "/oauth2/token", tried | {"client_secret": SECRET})) == (
        400,
        "invalid_client",
    )


def test_the_credentials_of_another_pools_client_are_worthless_at_revoke(pair: Pair) -> None:
    header = basic(pair.a.confidential.client_id, SECRET)
    assert post(pair.a.browser(), "/oauth2/revoke", {"token": "x"}, authorization=header).status_code == 200
    response = post(pair.b.browser(), "/oauth2/revoke", {"token": "x"}, authorization=header)
    assert error_of(response) == (401, "invalid_client")


# --- the code and the refresh token


def test_a_code_of_another_pool_is_worthless_and_stays_whole(pair: Pair) -> None:
    code = issue_code(pair.a.public, pair.a.user)
    for client in (pair.a.public, pair.b.public):
        refused = redeem(pair.b.browser(), client.client_id, code)
        assert refused.status_code in (400, 401)
        assert json.loads(refused.content)["error"] in ("invalid_client", "invalid_grant")
    refused = redeem(pair.b.browser(), pair.b.confidential.client_id, code, client_secret=SECRET)
    assert error_of(refused) == (400, "invalid_grant")
    assert redeem(pair.a.browser(), pair.a.public.client_id, code).status_code == 200


def test_a_spent_code_of_another_pool_revokes_nothing(pair: Pair) -> None:
    code = issue_code(pair.a.public, pair.a.user)
    body = json.loads(redeem(pair.a.browser(), pair.a.public.client_id, code).content)
    assert redeem(pair.b.browser(), pair.b.public.client_id, code).status_code == 400
    assert userinfo(pair.a.browser(), body["access_token"]).status_code == 200


def test_a_code_belongs_to_one_client_of_its_pool(pair: Pair) -> None:
    code = issue_code(pair.a.public, pair.a.user)
    neighbour = redeem(pair.a.browser(), pair.a.confidential.client_id, code, client_secret=SECRET)
    assert error_of(neighbour) == (400, "invalid_grant")
    assert redeem(pair.a.browser(), pair.a.public.client_id, code).status_code == 200


def test_a_refresh_token_of_another_pool_is_worthless_and_lives_on(pair: Pair) -> None:
    issued = tokens_of(pair.a.browser(), pair.a.public, pair.a.user)["refresh_token"]
    for client, extra in ((pair.b.public, {}), (pair.b.confidential, {"client_secret": SECRET})):
        assert error_of(refresh(pair.b.browser(), client.client_id, issued, **extra)) == (400, "invalid_grant")
    assert refresh(pair.b.browser(), pair.a.public.client_id, issued).status_code in (400, 401)
    neighbour = refresh(pair.a.browser(), pair.a.confidential.client_id, issued, client_secret=SECRET)
    assert error_of(neighbour) == (400, "invalid_grant")
    assert refresh(pair.a.browser(), pair.a.public.client_id, issued).status_code == 200


def test_a_rotated_token_of_another_pool_does_not_kill_its_family(pair: Pair) -> None:
    home, client = pair.b.browser(), pair.b.confidential
    first = tokens_of(home, client, pair.b.user, client_secret=SECRET)["refresh_token"]
    second = json.loads(refresh(home, client.client_id, first, client_secret=SECRET).content)["refresh_token"]
    foreign = refresh(pair.a.browser(), pair.a.confidential.client_id, first, client_secret=SECRET)
    assert error_of(foreign) == (400, "invalid_grant")
    assert refresh(home, client.client_id, second, client_secret=SECRET).status_code == 200


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_another_pool_cannot_revoke(pair: Pair, kind: str) -> None:
    body = tokens_of(pair.a.browser(), pair.a.public, pair.a.user)
    for client, extra in ((pair.b.public, {}), (pair.b.confidential, {"client_secret": SECRET})):
        post(pair.b.browser(), "/oauth2/revoke", {"token": body[kind], "client_id": client.client_id, **extra})
    neighbour = {"token": body[kind], "client_id": pair.a.confidential.client_id, "client_secret": SECRET}
    post(pair.a.browser(), "/oauth2/revoke", neighbour)
    assert userinfo(pair.a.browser(), body["access_token"]).status_code == 200
    post(pair.a.browser(), "/oauth2/revoke", {"token": body[kind], "client_id": pair.a.public.client_id})
    assert userinfo(pair.a.browser(), body["access_token"]).status_code == 401


# --- signed tokens and keys


def test_an_access_token_of_another_pool_is_worthless_at_userinfo(pair: Pair) -> None:
    token = tokens_of(pair.a.browser(), pair.a.public, pair.a.user)["access_token"]
    assert userinfo(pair.a.browser(), token).status_code == 200
    assert error_of(userinfo(pair.b.browser(), token)) == (401, "invalid_token")
    in_body = post(pair.b.browser(), "/oauth2/userInfo", {"access_token": token})
    assert error_of(in_body) == (401, "invalid_token")


def forged(tenant: Tenant, claims: dict[str, Any], key: signing.KeyPair, kid: str) -> str:
    """Return an access token as ``tenant`` makes it, with another key, key id or claims."""
    now = int(time.time())
    grant = RefreshToken.objects.get(app_client=tenant.public)
    payload = {
        "sub": tenant.user.sub,
        "client_id": tenant.public.client_id,
        "token_use": "access",
        "scope": "openid email",
        "iss": tenant.pool.issuer,
        "exp": now + 600,
        "iat": now,
        "origin_jti": grant.origin_jti,
    }
    head = wire.encode(json.dumps({"kid": kid, "alg": "RS256"}).encode())
    body = wire.encode(json.dumps(payload | claims).encode())
    return f"{head}.{body}.{wire.encode(key.sign(f'{head}.{body}'.encode()))}"


def test_neither_the_key_id_nor_the_issuer_of_a_pool_can_be_borrowed(pair: Pair) -> None:
    tokens_of(pair.b.browser(), pair.b.public, pair.b.user)
    own = signing.active_key(pair.b.pool, "access")
    foreign = signing.active_key(pair.a.pool, "access")
    identity = signing.active_key(pair.b.pool, "id")
    at_b = pair.b.browser()

    assert userinfo(at_b, forged(pair.b, {}, own, own.kid)).status_code == 200
    for claims, key, kid in (
        ({}, foreign, foreign.kid),  # signed elsewhere, for here
        ({}, foreign, own.kid),  # and naming our key
        ({"iss": pair.a.pool.issuer}, own, own.kid),  # signed here, for elsewhere
        ({"iss": pair.a.pool.issuer}, foreign, own.kid),
        ({"client_id": pair.a.public.client_id}, own, own.kid),  # another pool's client
        ({"sub": pair.a.user.sub}, own, own.kid),  # another pool's user
        ({}, identity, identity.kid),  # the key for ID tokens
        ({}, identity, own.kid),
    ):
        assert error_of(userinfo(at_b, forged(pair.b, claims, key, kid))) == (401, "invalid_token"), (claims, kid)


def test_two_pools_with_the_same_key_pair_still_tell_their_tokens_apart(pair: Pair) -> None:
    """Key material may be shared (an export applied twice); the issuer is signed, and checked."""
    token = tokens_of(pair.a.browser(), pair.a.public, pair.a.user)["access_token"]
    key = pair.a.pool.signing_keys.get(token_use="access")
    pair.b.pool.signing_keys.filter(token_use="access").delete()
    pair.a.pool.signing_keys.filter(pk=key.pk).delete()
    key.user_pool = pair.b.pool
    key.pk = None
    key.save(force_insert=True)
    assert (
        wire.decode(token.partition(".")[0])
        == json.dumps({"kid": key.kid, "alg": "RS256", "typ": "at+jwt"}, separators=(",", ":")).encode()
    )
    assert error_of(userinfo(pair.b.browser(), token)) == (401, "invalid_token")


def test_discovery_and_keys_name_their_own_pool_only(pair: Pair) -> None:
    published: list[set[str]] = []
    for tenant, other in ((pair.a, pair.b), (pair.b, pair.a)):
        document = tenant.browser().get("/.well-known/openid-configuration").content.decode()
        assert json.loads(document)["issuer"] == tenant.pool.issuer
        assert other.pool.pk not in document
        assert f"//{other.pool.domains.get().domain}." not in document
        keys = tenant.browser().get("/.well-known/jwks.json").json()["keys"]
        published.append({key["kid"] for key in keys})
    assert not published[0] & published[1]


def test_the_etag_of_a_pool_is_not_anothers(pair: Pair) -> None:
    etag = pair.a.browser().get("/.well-known/jwks.json")["ETag"]
    assert pair.a.browser().get("/.well-known/jwks.json", headers={"if-none-match": etag}).status_code == 304
    assert pair.b.browser().get("/.well-known/jwks.json", headers={"if-none-match": etag}).status_code == 200


def test_an_id_token_hint_of_another_pool_is_refused(pair: Pair) -> None:
    at_home = pair.a.browser()
    hint = tokens_of(at_home, pair.a.public, pair.a.user)["id_token"]
    sign_in(at_home, pair.a.query())
    hinted = at_home.get("/oauth2/authorize?" + urlencode(pair.a.query(id_token_hint=hint, prompt="none")))
    assert "code=" in hinted["Location"]

    away = pair.b.browser()
    sign_in(away, pair.b.query())
    response = away.get("/oauth2/authorize?" + urlencode(pair.b.query(id_token_hint=hint, prompt="none")))
    assert parse_qs(urlsplit(response["Location"]).query)["error"] == ["invalid_request"]
    for fields in (
        {"id_token_hint": hint},
        {"id_token_hint": hint, "client_id": pair.b.public.client_id},
        {"id_token_hint": hint, "client_id": pair.b.public.client_id, "logout_uri": factories.LOGOUT},
        {"id_token_hint": hint, "post_logout_redirect_uri": factories.LOGOUT},
    ):
        refused = away.get("/logout?" + urlencode(fields))
        assert refused["Location"].startswith(f"{pair.b.prefix}/error?error=invalid_request")
    assert SignInSession.objects.filter(user=pair.b.user).count() == 1


# --- the browser


def carry_cookies(source: Client, target: Client) -> None:
    """Hand over every cookie, as no browser would: names and values are all that the server sees."""
    for name, morsel in source.cookies.items():
        target.cookies[name] = morsel.value


def test_a_session_of_another_pool_signs_nobody_in_and_outlives_a_sign_out_there(pair: Pair) -> None:
    home = pair.a.browser()
    sign_in(home, pair.a.query())
    again = home.get("/oauth2/authorize?" + urlencode(pair.a.query(prompt="none")))
    assert "code=" in again["Location"]

    away = pair.b.browser()
    carry_cookies(home, away)
    refused = away.get("/oauth2/authorize?" + urlencode(pair.b.query(prompt="none")))
    assert "error=login_required" in refused["Location"]
    shown = away.get("/oauth2/authorize?" + urlencode(pair.b.query()))
    assert shown["Location"].startswith(f"{pair.b.prefix}/login?")
    away.get("/logout?" + urlencode({"client_id": pair.b.public.client_id, "logout_uri": factories.LOGOUT}))
    still = home.get("/oauth2/authorize?" + urlencode(pair.a.query(prompt="none")))
    assert "code=" in still["Location"]


def test_a_sign_in_at_another_pool_leaves_the_session_alone(pair: Pair) -> None:
    home = pair.a.browser()
    sign_in(home, pair.a.query())
    away = pair.b.browser()
    carry_cookies(home, away)
    sign_in(away, pair.b.query())
    still = home.get("/oauth2/authorize?" + urlencode(pair.a.query(prompt="none")))
    assert "code=" in still["Location"]


def test_the_cookies_of_a_pool_under_a_path_stay_below_that_path(pair: Pair) -> None:
    browser = pair.b.browser()
    sign_in(browser, pair.b.query())
    morsel = browser.cookies["userpool_session"]
    assert morsel["path"] == f"{pair.b.prefix}/"
    assert (morsel["domain"], morsel["httponly"], morsel["secure"], morsel["samesite"]) == ("", True, True, "Lax")


def test_a_password_of_another_pool_is_wrong_here_and_is_not_counted_there(pair: Pair) -> None:
    set_password(pair.b.user, "Another-horse-8")
    for _ in range(6):
        refused = submit_login(pair.b.browser(), pair.b.query(), username="ada", password=factories.PASSWORD)
        assert refused.status_code == 200
    assert sign_in(pair.a.browser(), pair.a.query())  # not locked out


def proof_of(page: HttpResponse) -> str:
    return page.content.decode().split('name="proof" value="')[1].split('"')[0]


def test_a_new_password_proof_of_another_pool_sets_no_password(pair: Pair) -> None:
    for tenant in (pair.a, pair.b):
        set_password(tenant.user, "Temporary-1!", temporary=True)
    home = pair.a.browser()
    asked = submit_login(home, pair.a.query(), username="ada", password="Temporary-1!")
    proof = proof_of(asked)
    fields = {"action": "new_password", "new_password": "Brand-new-9!", "confirm_password": "Brand-new-9!"}

    away = pair.b.browser()
    login, page = open_login(away, pair.b.query())
    stored = PoolUser.objects.get(pk=pair.b.user.pk).password
    sent = {**fields, "proof": proof, "_csrf": csrf_of(page)}
    refused = away.post(login, urlencode(sent), content_type=FORM)
    assert refused["Location"].startswith(f"{pair.b.prefix}/login?")
    assert PoolUser.objects.get(pk=pair.b.user.pk).password == stored

    login, page = open_login(home, pair.a.query())
    taken = home.post(login, urlencode({**fields, "proof": proof, "_csrf": csrf_of(page)}), content_type=FORM)
    assert taken["Location"].startswith(factories.CALLBACK)


def test_a_csrf_field_of_another_pool_does_not_fit_the_cookie_here(pair: Pair) -> None:
    _, page = open_login(pair.a.browser(), pair.a.query())
    away = Mounted(pair.b.host, pair.b.prefix)
    away.handler.enforce_csrf_checks = True
    login, _ = open_login(away, pair.b.query())
    fields = {"_csrf": csrf_of(page), "username": "ada", "password": factories.PASSWORD}
    refused = away.post(login, urlencode(fields), content_type=FORM, headers={"referer": f"https://{pair.b.host}/"})
    assert refused.status_code == 403
    assert "userpool_session" not in away.cookies


def test_an_identity_provider_of_another_pool_is_unknown(pair: Pair) -> None:
    provider = factories.make_oidc_provider(pair.a.pool, "Corp", idp_identifiers=["corp.example.test"])
    names = ("authorize_url", "token_url", "attributes_url", "jwks_uri")
    provider.provider_details |= {name: f"https://idp.example.test/{name}" for name in names}  # nothing to discover
    provider.save()
    pair.a.public.identity_providers.add(provider)
    for change in ({"identity_provider": "Corp"}, {"idp_identifier": "corp.example.test"}):
        at_a = pair.a.browser().get("/oauth2/authorize?" + urlencode(pair.a.query(**change)))
        assert "invalid_request" not in at_a["Location"]
        response = pair.b.browser().get("/oauth2/authorize?" + urlencode(pair.b.query(**change)))
        assert "error=invalid_request" in response["Location"]


def test_a_scope_of_another_pools_resource_server_is_not_granted(pair: Pair) -> None:
    factories.make_resource_server(pair.a.pool)
    scope = "https://api.example.test/read"
    for tenant in (pair.a, pair.b):
        factories.make_client(
            tenant.pool,
            secret=SECRET,
            client_id=f"machine{tenant.pool.pk[-5:]}",
            allowed_oauth_flows=["client_credentials"],
            allowed_oauth_scopes=[scope],
        )

    def ask(tenant: Tenant) -> HttpResponse:
        header = basic(f"machine{tenant.pool.pk[-5:]}", SECRET)
        return post(tenant.browser(), "/oauth2/token", {"grant_type": "client_credentials"}, authorization=header)

    assert ask(pair.a).status_code == 200
    assert error_of(ask(pair.b))[0] == 400


# --- sign-ins through identity providers


@pytest.fixture
def idp(pair: Pair, settings: Any) -> Iterator[OidcIdp]:
    """One provider, registered by both pools under one name with the same credentials."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    with OidcIdp() as running:
        for tenant in (pair.a, pair.b):
            register(running, tenant.pool, tenant.public)
        yield running


def sent_out(tenant: Tenant, browser: Mounted) -> HttpResponse:
    return browser.get("/oauth2/authorize?" + urlencode(tenant.query(identity_provider="Corp")))


@pytest.mark.parametrize("posted", [False, True])
def test_an_answer_of_a_provider_belongs_to_the_pool_that_asked(pair: Pair, idp: OidcIdp, posted: bool) -> None:
    """State, cookie and code of pool A at pool B, where a browser has a sign-in of its own under way."""
    home, away = pair.a.browser(), pair.b.browser()
    back = at_provider(sent_out(pair.a, home))
    sent_out(pair.b, away)
    carry_cookies(home, away)
    answer = urlencode(fields_of(back))
    if posted:
        refused = away.post("/oauth2/idpresponse", answer, content_type=FORM)
    else:
        refused = away.get(f"/oauth2/idpresponse?{answer}")
    assert refused["Location"].startswith(f"{pair.b.prefix}/error?error=sign_in_lost")
    assert sessions.COOKIE not in refused.cookies
    assert not idp.called("/token")
    assert SignInRequest.objects.filter(consumed_at__isnull=True).count() == 2
    attempt = AuthEvent.objects.get()
    assert (attempt.user_pool, attempt.reason, attempt.provider) == (pair.b.pool, "state_unknown", None)
    assert "code=" in come_back(home, back, posted)["Location"]  # at home it is as good as ever
    assert SignInRequest.objects.get(consumed_at__isnull=True).user_pool == pair.b.pool


@pytest.mark.parametrize("negligent", [False, True])
def test_a_code_of_the_provider_for_another_pool_does_not_fit_a_sign_in_here(
    pair: Pair, idp: OidcIdp, negligent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both pools are one client at the provider. It compares redirect_uri and PKCE; if not, the nonce is compared here
    (RFC 9700 4.5).
    """
    if negligent:
        monkeypatch.setattr(idp, "fits", lambda asked, form: True)
    stolen = fields_of(at_provider(sent_out(pair.a, pair.a.browser())))["code"]
    away = pair.b.browser()
    refused = come_back(away, at_provider(sent_out(pair.b, away)), code=stolen)
    assert parse_qs(urlsplit(refused["Location"]).query)["error"] == ["invalid_request"]
    assert AuthEvent.objects.latest("id").reason == ("id_token_nonce" if negligent else "token_error")
    assert not LinkedIdentity.objects.exists()


def test_one_person_at_one_provider_is_another_user_in_each_pool(pair: Pair, idp: OidcIdp) -> None:
    for tenant in (pair.a, pair.b):
        browser = tenant.browser()
        assert "code=" in come_back(browser, at_provider(sent_out(tenant, browser)))["Location"]
    links = LinkedIdentity.objects.select_related("user", "provider").order_by("id")
    assert [(link.user.user_pool, link.provider.user_pool) for link in links] == [
        (pair.a.pool, pair.a.pool),
        (pair.b.pool, pair.b.pool),
    ]
    assert links[0].user.sub != links[1].user.sub
    assert [group.user_pool for link in links for group in link.user.groups.all()] == [pair.a.pool, pair.b.pool]


def test_a_link_in_one_pool_is_none_in_another(pair: Pair, idp: OidcIdp) -> None:
    provider = pair.a.pool.identity_providers.get()
    with pytest.raises(linking.LinkRefused):
        linking.link(pair.b.user, provider, "ada")
    linking.link(pair.a.user, provider, "ada")
    for tenant in (pair.a, pair.b):
        browser = tenant.browser()
        come_back(browser, at_provider(sent_out(tenant, browser)))
    assert SignInSession.objects.filter(user=pair.a.user).exists()
    assert not SignInSession.objects.filter(user=pair.b.user).exists()
    assert pair.b.pool.users.get(identities__subject="ada").status == "EXTERNAL_PROVIDER"


def test_a_session_from_a_provider_is_worthless_at_another_pool_with_the_same_provider(
    pair: Pair, idp: OidcIdp
) -> None:
    home, away = pair.a.browser(), pair.b.browser()
    come_back(home, at_provider(sent_out(pair.a, home)))
    assert "code=" in sent_out(pair.a, home)["Location"]
    carry_cookies(home, away)
    assert sent_out(pair.b, away)["Location"].startswith(f"{idp.base}/authorize?")


def test_the_documents_of_a_provider_are_kept_for_each_pool_by_itself(pair: Pair, idp: OidcIdp) -> None:
    """What one tenant's provider publishes is never what verifies another's tokens, whatever the address."""
    for tenant in (pair.a, pair.b):
        browser = tenant.browser()
        come_back(browser, at_provider(sent_out(tenant, browser)))
        provider = tenant.pool.identity_providers.get()
        assert set(provider.documents.values_list("kind", flat=True)) == {"discovery", "jwks"}
    assert len(idp.called("/jwks")) == 2


def test_the_cookie_of_a_sign_in_stays_with_its_pool(pair: Pair, idp: OidcIdp) -> None:
    response = sent_out(pair.b, pair.b.browser())
    [(name, morsel)] = response.cookies.items()
    assert name == ("userpool_state" if pair.b.prefix else "__Host-userpool_state")
    assert (morsel["path"], morsel["domain"]) == (f"{pair.b.prefix}/", "")


@pytest.fixture
def partner(pair: Pair) -> None:
    """One SAML provider, registered by both pools under one name; both may be signed in to from there."""
    for tenant in (pair.a, pair.b):
        document = metadata(more=saml_browser.endpoints(slo="POST"))
        saml_browser.register(tenant.pool, tenant.public, name="Partner", document=document, IDPInit="true")
        AppClient.objects.filter(pk=tenant.public.pk).update(cognito_sign_in=False)
    directory.forget()


def saml_base(tenant: Tenant) -> str:
    return tenant.pool.issuer if tenant.prefix else tenant.pool.base_url


def test_a_response_of_a_saml_provider_belongs_to_the_pool_that_asked(pair: Pair, partner: None) -> None:
    """Audience, Destination and RelayState of pool A at pool B, whose provider has the very same keys."""
    home, away = pair.a.browser(), pair.b.browser()
    sent = home.get("/oauth2/authorize?" + urlencode(pair.a.query(identity_provider="Partner")))
    request = saml_browser.by_redirect(sent)
    away.get("/oauth2/authorize?" + urlencode(pair.b.query(identity_provider="Partner")))
    carry_cookies(home, away)
    message = saml_browser.answering(request, pair.a.pool, saml_base(pair.a)).encoded()
    fields = urlencode({"SAMLResponse": message, "RelayState": request.relay_state})
    refused = away.post("/saml2/idpresponse", fields, content_type=FORM)
    assert refused["Location"].startswith(f"{pair.b.prefix}/error?error=invalid_relay_state")
    assert sessions.COOKIE not in refused.cookies
    assert "code=" in home.post("/saml2/idpresponse", fields, content_type=FORM)["Location"]


def test_a_response_that_nobody_asked_for_is_for_one_pool(pair: Pair, partner: None) -> None:
    message = saml_browser.nobody_asked(pair.a.pool, saml_base(pair.a)).encoded()
    for tenant, there in ((pair.b, "error="), (pair.a, "code=")):
        said = tenant.query(identity_provider="Partner", state="")
        fields = urlencode({"SAMLResponse": message, "RelayState": urlencode({k: v for k, v in said.items() if v})})
        answer = tenant.browser().post("/saml2/idpresponse", fields, content_type=FORM)
        assert there in answer["Location"], answer["Location"]
    assert not PoolUser.objects.filter(user_pool=pair.b.pool, status="EXTERNAL_PROVIDER").exists()


def test_a_provider_signs_nobody_out_of_another_pool(pair: Pair, partner: None) -> None:
    """Same provider, same NameID, same session there: the request names one pool's address."""
    browsers = {}
    for tenant in (pair.a, pair.b):
        browsers[tenant.pool.pk] = tenant.browser()
        message = saml_browser.nobody_asked(tenant.pool, saml_base(tenant)).encoded()
        said = urlencode(tenant.query(identity_provider="Partner"))
        fields = urlencode({"SAMLResponse": message, "RelayState": said})
        browsers[tenant.pool.pk].post("/saml2/idpresponse", fields, content_type=FORM)
    asked = saml_browser.Logout(f"{saml_base(pair.a)}/saml2/logout").encoded()
    fields = urlencode({"SAMLRequest": asked})
    assert (
        "/error?error=sign_out_refused" in pair.b.browser().post("/saml2/logout", fields, content_type=FORM)["Location"]
    )
    assert SignInSession.objects.count() == 2
    assert pair.a.browser().post("/saml2/logout", fields, content_type=FORM).status_code == 200
    assert [session.user.user_pool_id for session in SignInSession.objects.all()] == [pair.b.pool.pk]


def test_each_pool_has_saml_keys_of_its_own(pair: Pair) -> None:
    documents = [tenant.browser().get("/saml2/metadata").content for tenant in (pair.a, pair.b)]
    certificates = [re.findall(rb"<[^<]*X509Certificate>([^<]+)<", document) for document in documents]
    assert [len(found) for found in certificates] == [2, 2]
    assert not set(certificates[0]) & set(certificates[1])
