"""A pool as the identity provider of another pool, both on one running server, with Authlib as the client app.

What is expected: OpenID Connect Core 3.1, for the provider's half and for the relying party's; for what the app gets,
the AWS pages on the OIDC flow, on attribute mapping and on the ID token's ``identities`` (W 7.2, 11.1 to 11.3), and for
refusals W 3.8. Over http by path, over https by path, and over https with the pool on a domain of its own in Chromium.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import Page

from tests.flows import pools
from tests.flows.authlib_app import App, query
from tests.flows.conftest import DOMAIN_SUFFIX
from tests.flows.person import Person
from tests.flows.server import Deployment, Server
from tests.needs import needs_chromium

USERS = [pools.USERNAME, "grace"]
ALGORITHMS = ("RS256", "ES256")
DIALECTS = ("cognito", "oidc")
PROVIDERS = [f"{algorithm}{dialect}" for algorithm in ALGORITHMS for dialect in DIALECTS]
DOMAIN = "federated"


@dataclass(frozen=True)
class Federation:
    """A pool without users of its own, and the pools that it takes them from: one for each algorithm."""

    server: Server
    app: pools.AppClient
    wrong: tuple[Server, pools.AppClient]
    """The same for another pool, which has the wrong client secrets."""
    providers: dict[str, pools.Provider]
    files: dict[str, dict[str, Any]] = field(repr=False)
    """The provider's pool by the provider's name, as it was applied."""

    @property
    def issuer(self) -> str:
        return self.server.issuer

    def corporate(self, name: str) -> Server:
        """The pool that plays the provider ``name``."""
        return replace(self.server, pool_id=self.providers[name].issuer.rpartition("/")[2])


def federation(deployment: Deployment, server: Server, mark: str, domain: str = "") -> Federation:
    """Apply the pools of a federation whose ids carry ``mark``."""
    right, wrong = (
        (replace(server, pool_id=f"eu-west-1_{mark}{kind}"), pools.AppClient(f"{mark}{kind}".lower(), "", "cognito"))
        for kind in ("App", "Wrong")
    )
    bases = [right[0].issuer, wrong[0].issuer]
    if domain:
        bases.append(f"https://{domain}.{DOMAIN_SUFFIX}:{urlsplit(server.base).port}")
    callbacks = [f"{base}/oauth2/idpresponse" for base in bases]
    providers, files = {}, {}
    for algorithm in ALGORITHMS:
        corporate = f"eu-west-1_{mark}{algorithm}"
        clients = {
            f"{algorithm}{dialect}": pools.AppClient(f"{mark}{algorithm}{dialect}".lower(), "c" * 51, dialect)
            for dialect in DIALECTS
        }
        file = pools.corporate_pool_file(corporate, list(clients.values()), callbacks, algorithm, USERS)
        for name, client in clients.items():
            providers[name] = pools.Provider(name, f"{server.base}/{corporate}", client)
            files[name] = file
    denied = [replace(one, client=replace(one.client, secret="w" * 51)) for one in providers.values()]
    deployment.apply(
        *(files[f"{algorithm}cognito"] for algorithm in ALGORITHMS),
        pools.federated_pool_file(right[0].pool_id, right[1], list(providers.values()), domain),
        pools.federated_pool_file(wrong[0].pool_id, wrong[1], denied),
    )
    return Federation(*right, wrong, providers, files)


@pytest.fixture(scope="module", params=["server", "secure_server"], ids=["http", "https"])
def pair(request: pytest.FixtureRequest, journeys: Deployment) -> Federation:
    """The federation by path, over http and over https."""
    mark = {"server": "Plain", "secure_server": "Secure"}[request.param]
    return federation(journeys, request.getfixturevalue(request.param), mark)


@pytest.fixture
def browser(pair: Federation) -> Iterator[Person]:
    """Somebody whose browser trusts the server."""
    person = Person(pair.server.trust)
    yield person
    person.browser.close()


def subject_at(pair: Federation, name: str, username: str = pools.USERNAME) -> str:
    """Return who somebody is at the provider, by signing in there without the pool between."""
    app = App(pair.corporate(name), pair.providers[name].client)
    landed = Person(pair.server.trust).open(app.link(), until=pools.CALLBACK, username=username)
    return str(app.redeem(landed)["sub"])


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_user_of_one_pool_comes_into_another_with_attributes_and_identity(
    pair: Federation, browser: Person, name: str
) -> None:
    app, provider = App(pair.server, pair.app), pair.providers[name]
    first = app.redeem(browser.open(app.link(identity_provider=name), until=pools.CALLBACK))

    subject = subject_at(pair, name)
    assert first["cognito:username"] == f"{name}_{subject}"  # W 11.1
    assert first["cognito:groups"] == [f"{pair.server.pool_id}_{name}"]
    (identity,) = first["identities"]
    assert isinstance(identity["dateCreated"], str)
    assert identity["dateCreated"].isdecimal()
    assert identity == {
        "dateCreated": identity["dateCreated"],
        "userId": subject,
        "providerName": name,
        "providerType": "OIDC",
        "issuer": provider.issuer,
        "primary": "true",
    }  # W 11.2
    assert {claim: first[claim] for claim in pools.MAPPED} == pools.ATTRIBUTES_IN_TOKENS

    told = app.userinfo()
    assert told["sub"] == first["sub"] != subject
    assert json.loads(told["identities"])[0]["userId"] == subject
    renewed = app.refresh()
    for claim in ("sub", "auth_time", "cognito:username", "identities"):
        assert renewed[claim] == first[claim]

    # the pool's own session answers, with and without the provider's name, and with no page at all
    for parameters in ({"identity_provider": name}, {}, {"prompt": "none"}):
        again = App(pair.server, pair.app)
        claims = again.redeem(browser.open(again.link(**parameters), until=pools.CALLBACK))
        assert (claims["sub"], claims["auth_time"]) == (first["sub"], first["auth_time"])
    assert browser.signed_in == 1

    # signed out there, the person is still known at the provider
    leave = {"client_id": pair.app.client_id, "logout_uri": pools.LOGOUT}
    browser.open(f"{pair.issuer}/logout?{urlencode(leave)}", until=pools.LOGOUT)
    refused = browser.open(App(pair.server, pair.app).link(prompt="none"), until=pools.CALLBACK)
    assert query(refused)["error"] == "login_required"
    again = App(pair.server, pair.app)
    claims = again.redeem(browser.open(again.link(identity_provider=name), until=pools.CALLBACK))
    assert claims["sub"] == first["sub"]
    assert browser.signed_in == 1

    # another browser is asked, and its user is the same
    other, again = Person(pair.server.trust), App(pair.server, pair.app)
    claims = again.redeem(other.open(again.link(identity_provider=name), until=pools.CALLBACK))
    assert (claims["sub"], claims["identities"]) == (first["sub"], first["identities"])
    assert other.signed_in == 1


def test_the_answer_of_a_provider_is_worth_nothing_in_another_browser(pair: Federation, browser: Person) -> None:
    """RFC 6749 10.12, RFC 9700 4.7: the state is bound to the browser that began, and of one use."""
    app, thief = App(pair.server, pair.app), Person(pair.server.trust)
    answer = browser.open(app.link(identity_provider=PROVIDERS[0]), until=f"{pair.issuer}/oauth2/idpresponse")
    assert query(answer)["iss"] == pair.providers[PROVIDERS[0]].issuer
    thief.visit(App(pair.server, pair.app).link(identity_provider=PROVIDERS[0]), until=pools.CALLBACK)  # one of its own
    for person in (thief, browser, browser):
        came = person.visit(answer, until=pools.CALLBACK)
        if person is browser and not app.token:
            assert isinstance(came, str), came.text
            app.redeem(came)
        else:
            assert isinstance(came, httpx.Response), came
            assert came.status_code == 400
            assert "This sign-in cannot go on" in came.text
    assert app.token


def test_what_changes_at_the_provider_changes_here_at_the_next_sign_in(
    pair: Federation, journeys: Deployment, browser: Person
) -> None:
    """W 11.3: each sign-in writes the mapped attributes; somebody else's profile stays as it is."""
    name, username = PROVIDERS[0], "grace"
    app = App(pair.server, pair.app)
    first = app.redeem(browser.open(app.link(identity_provider=name), until=pools.CALLBACK, username=username))
    changed = {"given_name": "Brewster", "email": "grace@example.org", "email_verified": "false"}
    user = {"Username": username, "Attributes": [{"Name": key, "Value": value} for key, value in changed.items()]}
    journeys.apply({"UserPool": pair.files[name]["UserPool"], "Users": [user]})

    other, app = Person(pair.server.trust), App(pair.server, pair.app)
    later = app.redeem(other.open(app.link(identity_provider=name), until=pools.CALLBACK, username=username))
    assert later["sub"] == first["sub"]
    assert (later["given_name"], later["email"], later["email_verified"]) == ("Brewster", "grace@example.org", False)
    assert later["family_name"] == first["family_name"]
    assert later["identities"] == first["identities"]


@pytest.mark.parametrize("name", ["RS256cognito", "ES256oidc"])
def test_prompt_and_login_hint_reach_the_provider_s_page(pair: Federation, browser: Person, name: str) -> None:
    """W 3.1: prompt=login asks again although both pools know the browser, and the hint fills the field."""
    app = App(pair.server, pair.app)
    first = app.redeem(browser.open(app.link(identity_provider=name), until=pools.CALLBACK))
    app = App(pair.server, pair.app)
    link = app.link(identity_provider=name, prompt="login", login_hint="ada+hint@example.com", max_age="600")
    page = browser.visit(link, until=pools.CALLBACK)
    assert isinstance(page, httpx.Response)
    assert str(page.url).startswith(f"{pair.providers[name].issuer}/login?")
    assert 'value="ada+hint@example.com"' in page.text
    landed = browser.submit(page, pools.CALLBACK, username=pools.USERNAME, password=pools.PASSWORD)
    assert isinstance(landed, str)
    assert app.redeem(landed)["sub"] == first["sub"]


@pytest.mark.parametrize(("name", "status"), [("RS256cognito", 400), ("ES256oidc", 401)])
def test_a_provider_that_refuses_our_credentials_is_the_app_s_to_hear_of(
    pair: Federation, browser: Person, name: str, status: int
) -> None:
    """W 3.8: "[IdP name] Error - [status] error getting token"; the statuses are those of the two dialects."""
    app = App(*pair.wrong)
    answer = query(browser.open(app.link(identity_provider=name), until=pools.CALLBACK))
    assert answer["state"] == app.state
    assert (answer["error"], answer["error_description"]) == (
        "invalid_request",
        f"{name} Error - {status} error getting token",
    )


@needs_chromium
@pytest.mark.parametrize("name", ["RS256oidc", "ES256cognito"])
def test_a_browser_goes_from_the_pool_s_own_domain_to_the_provider_and_back(
    page: Page, secure_server: Server, journeys: Deployment, name: str
) -> None:
    """W 1.1 and 8.6: domain and issuer are two hosts, so are pool and provider; the button leads there."""
    pair = federation(journeys, secure_server, "Domain", DOMAIN)
    host = f"https://{DOMAIN}.{DOMAIN_SUFFIX}:{urlsplit(secure_server.base).port}"
    app = App(pair.server, pair.app)
    assert app.server.discovery["authorization_endpoint"] == f"{host}/oauth2/authorize"
    page.goto(app.link())
    assert page.url.startswith(f"{host}/login?")
    page.get_by_text(f"Continue with {name}", exact=True).click()
    page.wait_for_url(f"{pair.providers[name].issuer}/login?**")
    page.locator("#username").fill(pools.USERNAME)
    page.locator("#password").fill(pools.PASSWORD)
    with page.expect_request(lambda request: request.url.startswith(pools.CALLBACK)) as sent:
        page.locator("#password").press("Enter")
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies(host)}
    assert (cookies["__Host-userpool_state"]["sameSite"], cookies["__Host-userpool_state"]["secure"]) == ("None", True)

    answer = query(sent.value.url)
    assert (answer["state"], answer["iss"]) == (app.state, pair.issuer)
    token = f"{pair.issuer}/oauth2/token"  # the same endpoint by a name that resolves outside of browsers
    form = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": pools.CALLBACK}
    form |= {"client_id": pair.app.client_id, "code_verifier": app.verifier}
    claims = app.verified(pair.server.http.post(token, data=form).json()["id_token"])
    assert claims["identities"][0]["issuer"] == pair.providers[name].issuer
    assert claims["email"] == pools.ATTRIBUTES["email"]
