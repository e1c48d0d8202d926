"""npm's oidc-provider, the certified OpenID Provider, as the identity provider of a pool; Authlib is the client app.

What is expected: OpenID Connect Core 3.1.2 and 5.4 (claims come from userInfo), RFC 7636 (it refuses whoever sends no
challenge), RFC 9207 (it promises ``iss`` and sends it), Core 10.1.1 (rotation of signing keys); and for what the app
hears, W 3.1, 3.8, 7.2 and 11. Its login and consent pages are its own, the ``devInteractions``.
"""

import html
import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin

import httpx
import pytest
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from tests.flows import pools
from tests.flows.authlib_app import App, query
from tests.flows.person import Person
from tests.flows.server import Deployment, Server, serving
from tests.needs import needs_node
from tests.services import free_port, running

pytestmark = needs_node
SECRET = "s" * 51
KEYS = {"RS256": lambda: RSAKey.generate_key(2048), "ES256": lambda: ECKey.generate_key("P-256")}
KEYS |= {"PS256": KEYS["RS256"], "EdDSA": lambda: OKPKey.generate_key("Ed25519")}


@dataclass(frozen=True)
class Registration:
    """A running oidc-provider's only client, and the pool that is this client."""

    name: str
    port: int
    algorithm: str
    method: str
    attributes_method: str = "GET"

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def pool_id(self) -> str:
        return f"eu-west-1_Node{self.name}"

    @property
    def app(self) -> pools.AppClient:
        return pools.AppClient(f"node{self.name}app".lower(), "", "cognito")

    def pool_file(self) -> dict[str, Any]:
        client = pools.AppClient(f"the pool/{self.name}", SECRET, "")
        provider = pools.Provider("Node", self.issuer, client, self.attributes_method)
        return pools.federated_pool_file(self.pool_id, self.app, [provider])


@contextmanager
def oidc_provider(node: Path, registration: Registration, callback: str) -> Iterator[None]:
    """Run oidc-provider with a key of its own until the block ends."""
    key = KEYS[registration.algorithm]()
    key.ensure_kid()
    options = {
        "issuer": registration.issuer,
        "port": registration.port,
        "clientId": f"the pool/{registration.name}",
        "secret": SECRET,
        "method": registration.method,
        "algorithm": registration.algorithm,
        "callbacks": [callback],
        "keys": KeySet([key]).as_dict(private=True)["keys"],
    }

    def answers() -> None:
        try:
            httpx.get(f"{registration.issuer}/.well-known/openid-configuration").raise_for_status()
        except httpx.TransportError as error:
            raise ConnectionError from error

    command = ["node", str(node / "oidc_provider.mjs"), json.dumps(options)]
    log = node / f"oidc-provider-{registration.port}.log"
    with running(command, log, answers, signal.SIGTERM):
        yield


WAYS = {
    "Post": Registration("Post", 0, "RS256", "client_secret_post"),
    "Basic": Registration("Basic", 0, "ES256", "client_secret_basic", "POST"),
    "Pss": Registration("Pss", 0, "PS256", "client_secret_post"),
    "Edwards": Registration("Edwards", 0, "EdDSA", "client_secret_basic"),
}


@dataclass(frozen=True)
class Federation:
    """A pool whose users all come from oidc-provider."""

    pool: Server
    registration: Registration

    def new(self) -> App:
        """The app, about to sign somebody in."""
        return App(self.pool, self.registration.app)

    def sign_out(self, person: Person) -> None:
        """Sign ``person`` out of the pool, and not of the provider."""
        leave = {"client_id": self.registration.app.client_id, "logout_uri": pools.LOGOUT}
        person.open(f"{self.pool.issuer}/logout?{urlencode(leave)}", until=pools.LOGOUT)


@contextmanager
def federation(node: Path, journeys: Deployment, server: Server, registration: Registration) -> Iterator[Federation]:
    registration = replace(registration, port=free_port())
    pool = replace(server, pool_id=registration.pool_id)
    journeys.apply(registration.pool_file())
    with oidc_provider(node, registration, f"{pool.issuer}/oauth2/idpresponse"):
        yield Federation(pool, registration)


@pytest.fixture(scope="module", params=list(WAYS))
def each(request: pytest.FixtureRequest, node: Path, journeys: Deployment, server: Server) -> Iterator[Federation]:
    """Every registration in turn."""
    with federation(node, journeys, server, WAYS[request.param]) as found:
        yield found


@pytest.fixture(scope="module")
def one(node: Path, journeys: Deployment, server: Server) -> Iterator[Federation]:
    """A registration for what does not depend on it."""
    with federation(node, journeys, server, replace(WAYS["Post"], name="One")) as found:
        yield found


def shown(person: Person, link: str) -> httpx.Response:
    """Follow ``link`` to a page of the provider."""
    page = person.visit(link, until=pools.CALLBACK)
    assert isinstance(page, httpx.Response), page
    assert page.status_code == 200, page.text
    assert "/interaction/" in page.url.path, f"{page.url}\n{page.text}"
    return page


def sign_in(person: Person, link: str, name: str = "grace") -> str:
    """Sign in at the provider and consent; return where the app's browser lands."""
    page = shown(person, link)
    assert 'name="login"' in page.text
    page = person.submit(page, pools.CALLBACK, login=name, password="any")
    assert isinstance(page, httpx.Response), page
    assert 'name="prompt" value="consent"' in page.text
    landed = person.submit(page, pools.CALLBACK)
    assert isinstance(landed, str), f"{landed.url}\n{landed.text}"
    return landed


def test_a_user_of_oidc_provider_comes_in_with_the_claims_of_userinfo(each: Federation, person: Person) -> None:
    metadata = httpx.get(f"{each.registration.issuer}/.well-known/openid-configuration").json()
    assert metadata["token_endpoint_auth_methods_supported"] == [each.registration.method]
    app = each.new()
    landed = sign_in(person, app.link(identity_provider="Node", max_age="600"))
    claims = app.redeem(landed)
    assert claims["cognito:username"] == "Node_grace"
    assert claims["cognito:groups"] == [f"{each.pool.pool_id}_Node"]
    attributes = {"given_name": "Grace", "family_name": "Hopper", "email": "grace@example.com"}
    assert {name: claims[name] for name in attributes} == attributes
    assert claims["email_verified"] is True
    (identity,) = claims["identities"]
    assert (identity["userId"], identity["providerType"]) == ("grace", "OIDC")
    assert identity["issuer"] == each.registration.issuer
    assert app.userinfo()["sub"] == claims["sub"]
    assert app.refresh()["identities"] == claims["identities"]


def test_whoever_cancels_at_the_provider_comes_back_to_the_app(one: Federation, person: Person) -> None:
    """RFC 6749 4.1.2.1 and W 3.8: the provider's error and words are handed on."""
    app = one.new()
    page = shown(person, app.link(identity_provider="Node"))
    cancel = re.search(r'<a href="([^"]+)">\[ Cancel \]', page.text)
    assert cancel
    landed = person.visit(urljoin(str(page.url), html.unescape(cancel[1])), until=pools.CALLBACK)
    assert isinstance(landed, str)
    answer = query(landed)
    assert (answer["state"], answer["iss"]) == (app.state, one.pool.issuer)
    assert (answer["error"], answer["error_description"]) == ("access_denied", "End-User aborted interaction")
    # and may try again
    app = one.new()
    assert app.redeem(sign_in(person, app.link(identity_provider="Node")))["email"] == "grace@example.com"


def test_a_session_at_the_provider_signs_in_without_a_page(one: Federation, person: Person) -> None:
    first = one.new()
    known = first.redeem(sign_in(person, first.link(identity_provider="Node")))
    one.sign_out(person)
    again = one.new()
    landed = person.visit(again.link(identity_provider="Node"), until=pools.CALLBACK)
    assert isinstance(landed, str), landed.text
    claims = again.redeem(landed)
    assert (claims["sub"], claims["identities"]) == (known["sub"], known["identities"])


@pytest.mark.parametrize(
    ("prompt", "field"),
    [("login", 'name="login"'), ("consent", 'name="prompt" value="consent"'), ("consent login", 'name="login"')],
)
def test_prompt_is_handed_on_and_the_provider_asks_again(
    one: Federation, person: Person, prompt: str, field: str
) -> None:
    """W 3.2: every value but none goes to the provider; without it no page would be shown."""
    app = one.new()
    known = app.redeem(sign_in(person, app.link(identity_provider="Node")))
    one.sign_out(person)
    app = one.new()
    page = shown(person, app.link(identity_provider="Node", prompt=prompt, login_hint="grace+hint"))
    assert field in page.text
    if "login" in prompt:
        assert 'value="grace+hint"' in page.text
    landed = person.submit(page, pools.CALLBACK, **({"login": "grace", "password": "any"} if "login" in prompt else {}))
    if isinstance(landed, httpx.Response):
        assert prompt == "consent login"
        landed = person.submit(landed, pools.CALLBACK)
    assert isinstance(landed, str), landed.text
    assert app.redeem(landed)["sub"] == known["sub"]


def test_two_people_of_the_provider_are_two_users(one: Federation) -> None:
    seen = {}
    for name in ("grace", "annie"):
        app = one.new()
        seen[name] = app.redeem(sign_in(Person(), app.link(identity_provider="Node"), name))
    assert seen["grace"]["sub"] != seen["annie"]["sub"]
    assert [claims["cognito:username"] for claims in seen.values()] == ["Node_grace", "Node_annie"]


def test_a_provider_that_rotates_its_keys_is_believed_at_the_next_sign_in(
    node: Path, journeys: Deployment, person: Person
) -> None:
    """Core 10.1.1: an unknown ``kid`` is looked for in the present key set, though the copy is not old yet.

    Another process of Userpool follows the first on its address, so that it goes by the copy in the database alone.
    """
    registration = replace(WAYS["Post"], name="Rotated", port=free_port())
    journeys.apply(registration.pool_file())
    port, seen = free_port(), []
    for _ in range(2):
        with serving(journeys, registration.pool_id, port=port, USERPOOL_UPSTREAM_ALLOW_PRIVATE="1") as server:
            found = Federation(server, registration)
            with oidc_provider(node, registration, f"{server.issuer}/oauth2/idpresponse"):
                keys = httpx.get(f"{registration.issuer}/jwks").json()["keys"]
                app = found.new()
                claims = app.redeem(sign_in(person, app.link(identity_provider="Node")))
                found.sign_out(person)
        seen.append((claims["sub"], {key["kid"] for key in keys}))
        # past the half minute in which unknown key ids are not asked for again
        age = "from accounts.models import ProviderDocument as D; from datetime import timedelta as T; "
        age += f"documents = D.objects.filter(provider__user_pool='{registration.pool_id}', kind='jwks'); "
        age += "[D.objects.filter(pk=d.pk).update(fetched_at=d.fetched_at - T(minutes=1)) for d in documents]"
        journeys.manage("shell", "-c", age)
    assert seen[0][0] == seen[1][0]
    assert not seen[0][1] & seen[1][1]
