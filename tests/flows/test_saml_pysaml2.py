"""pysaml2's own identity provider (examples/development_idp.py) as that of a pool; Authlib is the client app.

What is expected: saml-profiles-2.0 4.1 (web browser SSO) and 4.4 (single logout), and for what the app gets W 8.2 to
8.5 and 11.1 to 11.3. It reads the pool's metadata, and believes nothing that the pool did not sign. The pool has two
such providers: one that it knows by an address, and one by a document that has the POST binding alone.
"""

import base64
import re
import signal
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from authlib.integrations.base_client.errors import OAuthError
from lxml import etree

from tests.flows import pools
from tests.flows.authlib_app import App, query
from tests.flows.server import ROOT, Deployment, Server
from tests.flows.simplesamlphp import SamlPerson
from tests.services import free_port, running

pytestmark = pytest.mark.xdist_group("pysaml2")
POOL_ID, CLIENT = "eu-west-1_Pysaml2x1", pools.AppClient("pysaml2app", "", "cognito")
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
WAYS = ["ByRedirect", "ByPost"]
HEDY = {
    "email": "hedy@partner.example.com",
    "given_name": "Hedy",
    "family_name": "Lamarr",
    "name": "Hedy Lamarr",
    "custom:affiliation": "[member,staff]",
    "custom:number": "1942",
}
MAPPING = {
    "email": "mail",
    "given_name": "givenName",
    "family_name": "sn",
    "name": "displayName",
    "custom:affiliation": "eduPersonAffiliation",
    "custom:number": "employeeNumber",
}


@dataclass(frozen=True)
class Partner:
    """An identity provider at ``base``, and the pool that it vouches to, which calls it by ``name``."""

    name: str
    base: str
    pool: Server

    @property
    def entity_id(self) -> str:
        return f"urn:userpool:development-idp:{self.base.rpartition(':')[2]}"

    def new(self) -> App:
        """The app, about to sign somebody in."""
        return App(self.pool, CLIENT)

    def link(self, app: App, **parameters: str) -> str:
        """The app's link to the provider."""
        return app.link(identity_provider=self.name, **parameters)

    def leave_link(self) -> str:
        """The app's link that signs out."""
        leave = {"client_id": CLIENT.client_id, "logout_uri": pools.LOGOUT}
        return f"{self.pool.issuer}/logout?{urlencode(leave)}"

    def shown(self, person: SamlPerson, app: App, **parameters: str) -> httpx.Response:
        """Follow the app's link to where the provider asks who it is."""
        page = person.visit(self.link(app, **parameters), until=pools.CALLBACK)
        assert asks(page), page if isinstance(page, str) else f"{page.url}\n{page.text}"
        assert isinstance(page, httpx.Response)
        return page

    def sign_in(self, person: SamlPerson, name: str = "hedy", **parameters: str) -> tuple[App, dict[str, Any]]:
        """Sign in at the provider; return the app and the claims that it got."""
        app = self.new()
        page = self.shown(person, app, **parameters)
        return app, app.redeem(landed(person.submit(page, pools.CALLBACK, person=name)))

    def silent(self, person: SamlPerson) -> dict[str, Any]:
        """Return the claims of somebody whom the provider remembers."""
        app = self.new()
        return app.redeem(landed(person.visit(self.link(app), until=pools.CALLBACK)))

    def leave(self, person: SamlPerson) -> None:
        """Sign out in the app."""
        assert landed(person.visit(self.leave_link(), until=pools.LOGOUT)) == pools.LOGOUT

    def sign_out_everywhere(self, person: SamlPerson) -> httpx.Response:
        """Sign out on the provider's own page; return where that ends."""
        home = person.visit(f"{self.base}/", until=pools.LOGOUT)
        assert isinstance(home, httpx.Response)
        ended = person.submit(home, pools.LOGOUT)
        assert isinstance(ended, httpx.Response)
        return ended

    def knows(self, person: SamlPerson) -> bool:
        """Whether the pool has a session with ``person``."""
        answer = query(landed(person.visit(self.new().link(prompt="none"), until=pools.CALLBACK)))
        assert "code" in answer or answer["error"] == "login_required"
        return "code" in answer


def asks(page: httpx.Response | str) -> bool:
    """Whether ``page`` is where the provider asks who somebody is."""
    return isinstance(page, httpx.Response) and "Who are you?" in page.text


def landed(came: httpx.Response | str) -> str:
    """Return the address in the app, where the browser has to be."""
    assert isinstance(came, str), f"stopped at {came.url}: {came.status_code}\n{came.text}"
    return came


def xml_of(message: dict[str, str]) -> str:
    """Return the document that a message carries."""
    decoded = base64.b64decode(message.get("SAMLRequest") or message["SAMLResponse"])
    return (zlib.decompress(decoded, -15) if message["method"] == "GET" else decoded).decode()


def is_signed(message: dict[str, str]) -> bool:
    """Whether it is signed in the way of its binding (saml-bindings-2.0 3.4.4.1, 3.5.5.2)."""
    return "Signature" in message if message["method"] == "GET" else "SignatureValue" in xml_of(message)


def entry(partner: Partner) -> dict[str, Any]:
    """Return the provider in the pool's file."""
    url = f"{partner.base}/metadata"
    details = {"MetadataURL": url, "RequestSigningAlgorithm": "rsa-sha256", "IDPInit": "true"}
    if partner.name == "ByPost":
        document = etree.fromstring(httpx.get(url).raise_for_status().content)
        for endpoint in document.xpath(f"//*[@Binding='{REDIRECT}']"):
            endpoint.getparent().remove(endpoint)
        # it asks for signed requests (WantAuthnRequestsSigned)
        details = {"MetadataFile": etree.tostring(document, encoding="unicode")}
    known = {"ProviderDetails": details | {"IDPSignout": "true"}, "AttributeMapping": MAPPING}
    return {"ProviderName": partner.name, "ProviderType": "SAML"} | known


def pool_file(partners: list[Partner]) -> dict[str, Any]:
    found = pools.federated_pool_file(POOL_ID, CLIENT, [])
    found["UserPool"]["SchemaAttributes"] = [
        {"Name": name, "AttributeDataType": "String", "Mutable": True} for name in ("affiliation", "number")
    ]
    found["UserPoolClients"][0]["SupportedIdentityProviders"] = [partner.name for partner in partners]
    return found | {"IdentityProviders": [entry(partner) for partner in partners]}


@contextmanager
def started(partner: Partner, folder: Path, deployment: Deployment) -> Iterator[None]:
    """Run the provider until the block ends."""
    asked = {"identity_provider": partner.name, "client_id": CLIENT.client_id, "redirect_uri": pools.CALLBACK}
    relay_state = urlencode(asked | {"response_type": "code", "scope": pools.SCOPE})
    command = [sys.executable, "-m", "examples.development_idp", "--port", partner.base.rpartition(":")[2]]
    command += ["--sp-metadata", f"{partner.pool.issuer}/saml2/metadata", "--data", str(folder / "keys")]

    def answers() -> None:
        try:
            httpx.get(f"{partner.base}/metadata").raise_for_status()
        except httpx.TransportError as error:
            raise ConnectionError from error

    log, environment = folder / "log", deployment.environment(partner.pool.base)
    command += ["--app", f"Notes={relay_state}"]
    with running(command, log, answers, signal.SIGTERM, cwd=ROOT, env=environment):
        yield
        assert log.read_text() == f"{partner.base}/\n"


@pytest.fixture(scope="module")
def partners(
    tmp_path_factory: pytest.TempPathFactory, journeys: Deployment, server: Server
) -> Iterator[dict[str, Partner]]:
    """Both providers."""
    pool = replace(server, pool_id=POOL_ID)
    found = {name: Partner(name, f"http://localhost:{free_port()}", pool) for name in WAYS}
    with ExitStack() as stack:
        for partner in found.values():
            stack.enter_context(started(partner, tmp_path_factory.mktemp("pysaml2"), journeys))
        journeys.apply(pool_file([*found.values()]))
        yield found


@pytest.fixture(params=WAYS)
def each(request: pytest.FixtureRequest, partners: dict[str, Partner]) -> Partner:
    """Either in turn."""
    return partners[request.param]


@pytest.fixture
def partner(partners: dict[str, Partner]) -> Partner:
    """The one for what does not depend on it."""
    return partners["ByRedirect"]


@pytest.fixture
def person() -> Iterator[SamlPerson]:
    """Somebody in front of a fresh browser, which sends on the forms of SAML."""
    person = SamlPerson()
    yield person
    person.browser.close()


def test_somebody_comes_in_with_the_attributes_that_the_provider_vouches_for(each: Partner, person: SamlPerson) -> None:
    app, claims = each.sign_in(person)
    asked, answered = person.messages
    assert (asked["to"], asked["method"]) == (f"{each.base}/sso", "POST" if each.name == "ByPost" else "GET")
    assert is_signed(asked)
    assert "ForceAuthn" not in xml_of(asked)
    assert (answered["to"], answered["RelayState"]) == (f"{each.pool.issuer}/saml2/idpresponse", asked["RelayState"])

    (identity,) = claims["identities"]
    told = {"providerName": each.name, "providerType": "SAML", "issuer": each.entity_id}
    assert {key: identity[key] for key in told} == told
    assert claims["cognito:username"] == f"{each.name}_{identity['userId']}"  # W 11.1
    assert claims["cognito:groups"] == [f"{POOL_ID}_{each.name}"]
    assert {claim: claims[claim] for claim in HEDY} == HEDY
    assert app.userinfo()["sub"] == claims["sub"]
    assert app.refresh()["identities"] == claims["identities"]

    # another browser, another sign-in, the same user; and somebody else is another one
    assert each.sign_in(SamlPerson())[1]["sub"] == claims["sub"]
    assert each.sign_in(SamlPerson(), "alan")[1]["sub"] != claims["sub"]


@pytest.mark.parametrize("parameters", [{"prompt": "login"}, {"max_age": "0"}])
def test_a_session_at_the_provider_signs_in_without_a_page_unless_the_app_wants_one(
    each: Partner, person: SamlPerson, parameters: dict[str, str]
) -> None:
    """W 3.2, saml-core-2.0 3.4.1: prompt=login becomes ForceAuthn."""
    _, first = each.sign_in(person)
    assert each.silent(person)["sub"] == first["sub"]
    person.messages.clear()
    _, forced = each.sign_in(person, **parameters)
    assert 'ForceAuthn="true"' in xml_of(person.messages[0])
    assert forced["sub"] == first["sub"]
    # and whoever chooses to be somebody else is somebody else
    assert each.sign_in(person, "alan", **parameters)[1]["name"] == "Alan Turing"


def test_a_sign_in_may_begin_at_the_provider(partner: Partner, person: SamlPerson) -> None:
    """W 8.4: RelayState is what the app would have asked for; the app gets a code and no state."""
    home = httpx.get(f"{partner.base}/").text
    link = re.search(r'href="(/app\?name=Notes)"', home)
    assert link
    page = person.visit(partner.base + link[1], until=pools.CALLBACK)
    assert isinstance(page, httpx.Response)
    came = query(landed(person.submit(page, pools.CALLBACK, person="alan")))
    assert "InResponseTo" not in xml_of(person.messages[0])
    assert came.keys() - {"iss"} == {"code"}
    form = {"grant_type": "authorization_code", "code": came["code"], "redirect_uri": pools.CALLBACK}
    answer = partner.pool.http.post(
        f"{partner.pool.issuer}/oauth2/token", data=form | {"client_id": CLIENT.client_id}
    ).raise_for_status()
    claims = partner.new().verified(answer.json()["id_token"])
    assert (claims["name"], claims["identities"][0]["providerName"]) == ("Alan Turing", "ByRedirect")
    # the person is the one who comes in by the app's own link
    assert partner.sign_in(SamlPerson(), name="alan")[1]["sub"] == claims["sub"]
    assert partner.knows(person)


def test_an_app_signs_out_of_the_pool_and_of_the_provider(each: Partner, person: SamlPerson) -> None:
    """W 8.5, saml-profiles-2.0 4.4: our signed request, the provider's answer by POST, and on to logout_uri."""
    elsewhere = SamlPerson()
    each.sign_in(elsewhere)
    each.sign_in(person)
    person.messages.clear()
    each.leave(person)
    asked, answered = person.messages
    assert (asked["to"], asked["method"]) == (f"{each.base}/slo", "POST" if each.name == "ByPost" else "GET")
    assert is_signed(asked)
    assert (answered["to"], answered["method"]) == (f"{each.pool.issuer}/saml2/logout", "POST")
    assert answered["RelayState"] == asked["RelayState"]
    assert not each.knows(person)
    each.shown(person, each.new())  # it asks again
    # in another browser the same person has another session there (saml-core-2.0 3.7.1, SessionIndex)
    assert each.silent(elsewhere)["name"] == "Hedy Lamarr"


def test_a_sign_out_at_the_provider_ends_the_session_and_the_tokens_here(each: Partner, person: SamlPerson) -> None:
    elsewhere = SamlPerson()
    app, _ = each.sign_in(person)
    time.sleep(1.1)  # to the pool, the same person in the same second (AuthnInstant) is the same authentication
    stays, _ = each.sign_in(elsewhere)
    person.messages.clear()
    ended = each.sign_out_everywhere(person)
    asked, answered = person.messages
    assert (asked["to"], answered["to"]) == (f"{each.pool.issuer}/saml2/logout", f"{each.base}/slo")
    assert is_signed(asked)
    assert is_signed(answered)
    assert "At the user pool as well" in ended.text  # pysaml2 has verified the answer
    assert not each.knows(person)
    with pytest.raises(OAuthError, match="invalid_grant"):
        app.refresh()
    assert each.knows(elsewhere)
    assert stays.refresh()["email"] == HEDY["email"]


def test_a_sign_out_at_the_provider_ends_all_that_its_session_began(partner: Partner, person: SamlPerson) -> None:
    """Each assertion has a SessionIndex of its own, and the request names them all."""
    first, _ = partner.sign_in(person)
    again, _ = partner.sign_in(person, prompt="login")
    partner.sign_out_everywhere(person)
    assert len(re.findall(r":SessionIndex>[^<]", xml_of(person.messages[-2]))) == 2
    for app in (first, again):
        with pytest.raises(OAuthError, match="invalid_grant"):
            app.refresh()


def test_what_the_pool_did_not_sign_is_refused_by_the_provider(partner: Partner, person: SamlPerson) -> None:
    """The control: it is the signature that lets a request pass."""
    partner.sign_in(person)
    for link in (partner.link(partner.new(), prompt="login"), partner.leave_link()):
        request = httpx.URL(person.browser.get(link).headers["Location"])
        for fields in (
            {name: value for name, value in request.params.items() if not name.startswith("Sig")},
            {**request.params, "RelayState": "another"},
        ):
            page = person.browser.get(request.copy_with(params=fields))
            assert page.status_code == 400
            assert "not signed by the service provider" in page.text
    assert partner.silent(person)["name"] == "Hedy Lamarr"
