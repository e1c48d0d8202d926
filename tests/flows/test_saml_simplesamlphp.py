"""SimpleSAMLphp as the SAML identity provider of a pool; Authlib is the client app.

What is expected: saml-profiles-2.0 4.1 (web browser SSO) and 4.4 (single logout), the AWS pages on SAML providers, and
for what the app gets W 8.2 to 8.5, 11.1 to 11.3. The provider knows the pool by the metadata that the pool publishes,
and the pool the provider by the provider's. One pool has a provider of each kind.
"""

import base64
import re
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from authlib.integrations.base_client.errors import OAuthError
from playwright.sync_api import Page

from tests.flows import pools
from tests.flows import simplesamlphp as provider
from tests.flows.authlib_app import App, query
from tests.flows.conftest import DOMAIN_SUFFIX
from tests.flows.server import Deployment, Server
from tests.flows.simplesamlphp import Options, SamlPerson, SimpleSamlPhp, is_sign_in_form, simplesamlphp
from tests.needs import needs_chromium, needs_simplesamlphp

pytestmark = [needs_simplesamlphp, pytest.mark.xdist_group("simplesamlphp")]
GRACE = {"email": "grace@corp.example.com", "given_name": "Grace", "family_name": "Höpper"}
GRACE |= {"custom:affiliation": "[member,staff+%26+faculty]"}
ANNIE = {"email": "annie@corp.example.com", "given_name": "Annie", "family_name": "Easley & Sons"}
ANNIE |= {"custom:affiliation": "member"}
MAPPING = {
    "email": "mail",
    "given_name": "givenName",
    "family_name": "sn",
    "custom:affiliation": "eduPersonAffiliation",
}


@dataclass(frozen=True)
class Kind:
    """How a provider behaves, and what is switched on for it in the pool."""

    options: Options
    switches: dict[str, str]
    by_address: bool = False
    """Whether the pool reads the provider's metadata from its address or is given the document."""
    domain: str = ""
    """The pool's own, where only a browser finds it."""


KINDS = {
    "Plain": Kind(Options(), {"IDPSignout": "true", "IDPInit": "true"}, by_address=True),
    "Signed": Kind(
        Options(signed_requests=True, sign_response=True, name_id=provider.PERSISTENT),
        {"RequestSigningAlgorithm": "rsa-sha256"},
    ),
    "Posted": Kind(
        Options(signed_requests=True, sign_assertion=False, sign_response=True, bindings=(provider.POST,)),
        {"IDPSignout": "true"},
    ),
    "Encrypted": Kind(
        Options(encrypt=True, name_id=provider.UNSPECIFIED), {"EncryptedResponses": "true", "IDPSignout": "true"}
    ),
    "Unproven": Kind(Options(signed_logout=False), {"IDPSignout": "true"}),
    "Domain": Kind(Options(), {"IDPSignout": "true"}, domain="corporate"),
}


@dataclass(frozen=True)
class Corporation:
    """A provider of a pool, which has no users but those of its providers."""

    name: str
    pool: Server
    idp: SimpleSamlPhp

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    @property
    def client(self) -> pools.AppClient:
        return pools.AppClient("samlapp" + self.kind.domain, "", "cognito")

    @property
    def entity_id(self) -> str:
        """The pool's, at the provider."""
        return f"urn:amazon:cognito:sp:{self.pool.pool_id}"

    def new(self) -> App:
        """The app, about to sign somebody in."""
        return App(self.pool, self.client)

    def link(self, app: App, **parameters: str) -> str:
        """The app's link to the provider."""
        return app.link(identity_provider=self.name, **parameters)

    def entry(self) -> dict[str, Any]:
        """The provider in the pool's file."""
        metadata = (
            {"MetadataURL": self.idp.entity_id} if self.kind.by_address else {"MetadataFile": self.idp.metadata()}
        )
        details = {"ProviderDetails": metadata | self.kind.switches, "AttributeMapping": MAPPING}
        return {"ProviderName": self.name, "ProviderType": "SAML"} | details

    def meet(self, host: str = "") -> None:
        """Tell the provider of the pool, by its issuer's address or by that of its domain on ``host``."""
        base, headers = (self.pool.base, {"Host": host}) if host else (self.pool.issuer, {})
        self.idp.know(self.pool.http.get(f"{base}/saml2/metadata", headers=headers).raise_for_status().text)

    def sign_in(self, person: SamlPerson, name: str = "grace", **parameters: str) -> tuple[App, dict[str, Any]]:
        """Sign in at the provider; return the app and the claims that it got."""
        app = self.new()
        page = person.visit(self.link(app, **parameters), until=pools.CALLBACK)
        return app, app.redeem(landed(person.sign_in(page, pools.CALLBACK, name)))

    def leave_link(self, base: str = "") -> str:
        """The app's link that signs out, at the pool's issuer or at ``base``."""
        leave = {"client_id": self.client.client_id, "logout_uri": pools.LOGOUT}
        return f"{base or self.pool.issuer}/logout?{urlencode(leave)}"

    def knows(self, person: SamlPerson) -> bool:
        """Whether the pool has a session with ``person``."""
        app = self.new()
        answer = query(landed(person.visit(app.link(prompt="none"), until=pools.CALLBACK)))
        assert "code" in answer or answer["error"] == "login_required"
        return "code" in answer


def pool_file(corporations: list[Corporation]) -> dict[str, Any]:
    """Return the pool that ``corporations`` are the providers of."""
    one, names = corporations[0], [each.name for each in corporations]
    found = pools.federated_pool_file(one.pool.pool_id, one.client, [], one.kind.domain)
    custom = {"Name": "custom:affiliation", "AttributeDataType": "String", "Mutable": True}
    found["UserPool"]["SchemaAttributes"] = [custom]
    found["UserPoolClients"][0]["SupportedIdentityProviders"] = names
    return found | {"IdentityProviders": [each.entry() for each in corporations]}


@pytest.fixture(scope="module")
def corporations(
    tmp_path_factory: pytest.TempPathFactory, journeys: Deployment, server: Server
) -> Iterator[dict[str, Corporation]]:
    """One of each kind."""
    with ExitStack() as stack:
        found = {}
        for name, kind in KINDS.items():
            # Chromium knows every name under localhost
            host = "localhost" if kind.domain else "127.0.0.1"
            idp = stack.enter_context(simplesamlphp(tmp_path_factory.mktemp(name), kind.options, host))
            pool = replace(server, pool_id="eu-west-1_Saml" + (kind.domain or "00001"))
            found[name] = Corporation(name, pool, idp)
        *together, alone = found.values()
        journeys.apply(pool_file(together), pool_file([alone]))
        for one in together:
            one.meet()
        yield found


@pytest.fixture
def plain(corporations: dict[str, Corporation]) -> Corporation:
    """The one for what does not depend on it."""
    return corporations["Plain"]


@pytest.fixture
def person() -> Iterator[SamlPerson]:
    """Somebody in front of a fresh browser, which sends on the forms of SAML."""
    person = SamlPerson()
    yield person
    person.browser.close()


def landed(came: httpx.Response | str) -> str:
    """Return the address in the app, where the browser has to be."""
    assert isinstance(came, str), f"stopped at {came.url}: {came.status_code}\n{came.text}"
    return came


def xml_of(message: dict[str, str]) -> str:
    """Return the document that a message carries."""
    decoded = base64.b64decode(message.get("SAMLRequest") or message["SAMLResponse"])
    return (zlib.decompress(decoded, -15) if message["method"] == "GET" else decoded).decode()


@pytest.mark.parametrize("name", ["Plain", "Signed", "Posted", "Encrypted"])
def test_somebody_comes_in_with_the_attributes_that_the_provider_vouches_for(
    corporations: dict[str, Corporation], person: SamlPerson, name: str
) -> None:
    corp = corporations[name]
    options = corp.kind.options
    app, claims = corp.sign_in(person)
    asked, answered = person.messages
    assert (asked["to"], asked["method"]) == (corp.idp.sso, "POST" if name == "Posted" else "GET")
    assert ("Signature" in asked) == (name == "Signed")
    assert ("SignatureValue" in xml_of(asked)) == (name == "Posted")
    assert (answered["to"], answered["RelayState"]) == (f"{corp.pool.issuer}/saml2/idpresponse", asked["RelayState"])
    assert ("EncryptedAssertion" in xml_of(answered)) == options.encrypt != (GRACE["email"] in xml_of(answered))

    (identity,) = claims["identities"]
    told = {"providerName": name, "providerType": "SAML", "issuer": corp.idp.entity_id}
    assert {key: identity[key] for key in told} == told
    subject = {provider.EMAIL: "grace@corp.example.com", provider.UNSPECIFIED: "grace"}
    assert identity["userId"] == subject.get(options.name_id, identity["userId"])
    assert claims["cognito:username"] == f"{name}_{identity['userId']}"  # W 11.1
    assert claims["cognito:groups"] == [f"{corp.pool.pool_id}_{name}"]
    assert {claim: claims[claim] for claim in GRACE} == GRACE
    assert app.userinfo()["sub"] == claims["sub"]
    assert app.refresh()["identities"] == claims["identities"]

    # another browser, another sign-in, the same user
    assert corp.sign_in(SamlPerson())[1]["sub"] == claims["sub"]


def test_a_request_that_is_not_signed_or_was_changed_is_refused_by_the_provider(
    corporations: dict[str, Corporation], person: SamlPerson
) -> None:
    """The control: it is the signature that lets the request pass."""
    corp = corporations["Signed"]
    link = corp.link(corp.new())
    request = httpx.URL(person.browser.get(link).headers["Location"])
    fields = dict(parse_qsl(request.query.decode()))
    assert [*fields] == ["SAMLRequest", "RelayState", "SigAlg", "Signature"]
    assert fields["SigAlg"] == "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
    bare = {name: value for name, value in fields.items() if not name.startswith("Sig")}
    for query_string, words in (
        (urlencode(bare), "no signature found on message"),
        (urlencode(fields | {"RelayState": "another"}), "Unable to validate signature"),
    ):
        page = person.visit(f"{request.copy_with(query=query_string.encode())}", until=pools.CALLBACK)
        assert isinstance(page, httpx.Response)
        assert words in page.text
    assert is_sign_in_form(person.visit(str(request), until=pools.CALLBACK))


def test_a_wrong_password_at_the_provider_is_asked_for_again(plain: Corporation, person: SamlPerson) -> None:
    app = plain.new()
    page = person.visit(plain.link(app), until=pools.CALLBACK)
    page = person.sign_in(page, pools.CALLBACK, password="guessed")
    assert isinstance(page, httpx.Response)
    assert "Incorrect username or password" in page.text
    assert app.redeem(landed(person.sign_in(page, pools.CALLBACK)))["email"] == GRACE["email"]


def test_an_answer_of_the_provider_is_worth_nothing_in_another_browser_and_nothing_twice(
    plain: Corporation, person: SamlPerson
) -> None:
    """saml-profiles-2.0 4.1.4.5, RFC 9700 4.7: RelayState is bound to the browser that began, and of one use."""
    plain.sign_in(person)
    thief = SamlPerson()
    thief.visit(plain.link(plain.new()), until=pools.CALLBACK)  # one of its own
    sent = {name: person.messages[1][name] for name in ("SAMLResponse", "RelayState")}
    for somebody in (thief, person):
        for relay_state in (sent["RelayState"], "", thief.messages[0]["RelayState"]):
            answer = somebody.browser.post(person.messages[1]["to"], data=sent | {"RelayState": relay_state})
            assert "code=" not in answer.headers.get("Location", "")
    assert not plain.knows(thief)


def test_a_provider_that_takes_another_key_is_believed_once_it_has_published_it(
    plain: Corporation, journeys: Deployment, person: SamlPerson
) -> None:
    """W 8.1: the metadata behind an address is read again for a key that is not in the copy, at most once a minute."""
    _, first = plain.sign_in(person)
    plain.idp.sign_as("its successor")
    somebody = SamlPerson()
    page = somebody.visit(plain.link(plain.new()), until=pools.CALLBACK)
    came = query(landed(somebody.sign_in(page, pools.CALLBACK)))
    words = "Invalid SAML response received: SAML Assertion signature is invalid."
    assert (came["error"], came["error_description"]) == ("server_error", words)
    age = "from accounts.models import ProviderDocument as D; from datetime import timedelta as T; "
    age += f"documents = D.objects.filter(provider__user_pool='{plain.pool.pool_id}'); "
    age += "[D.objects.filter(pk=d.pk).update(fetched_at=d.fetched_at - T(minutes=2)) for d in documents]"
    journeys.manage("shell", "-c", age)
    assert plain.sign_in(SamlPerson())[1]["sub"] == first["sub"]


def test_two_people_of_the_provider_are_two_users(plain: Corporation) -> None:
    seen = [plain.sign_in(SamlPerson(), name)[1] for name in ("grace", "annie")]
    assert seen[0]["sub"] != seen[1]["sub"]
    assert [{claim: one[claim] for claim in GRACE} for one in seen] == [GRACE, ANNIE]


def test_a_session_at_the_provider_signs_in_without_a_page_unless_prompt_says_login(
    corporations: dict[str, Corporation], person: SamlPerson
) -> None:
    """W 3.2, saml-core-2.0 3.4.1: prompt=login becomes ForceAuthn."""
    corp = corporations["Signed"]
    _, first = corp.sign_in(person)
    # without IDPSignout the pool's session is all that ends
    assert person.visit(corp.leave_link(), until=pools.LOGOUT) == pools.LOGOUT
    assert not corp.knows(person)
    app = corp.new()
    again = app.redeem(landed(person.visit(corp.link(app), until=pools.CALLBACK)))
    assert (again["sub"], again["identities"]) == (first["sub"], first["identities"])
    assert "ForceAuthn" not in xml_of(person.messages[-2])

    _, forced = corp.sign_in(person, prompt="login")
    assert 'ForceAuthn="true"' in xml_of(person.messages[-2])
    assert forced["sub"] == first["sub"]
    assert person.signed_in == 2


def test_a_sign_in_may_begin_at_the_provider(plain: Corporation, person: SamlPerson) -> None:
    """W 8.4: RelayState is what the app would have asked for; the app gets a code and no state."""
    asked = {"identity_provider": plain.name, "client_id": plain.client.client_id, "redirect_uri": pools.CALLBACK}
    asked |= {"response_type": "code", "scope": pools.SCOPE}
    link = plain.idp.link(plain.entity_id, urlencode(asked))
    came = landed(person.sign_in(person.visit(link, until=pools.CALLBACK), pools.CALLBACK))
    assert "InResponseTo" not in xml_of(person.messages[0])
    assert query(came).keys() == {"code", "iss"}
    form = {"grant_type": "authorization_code", "code": query(came)["code"], "redirect_uri": pools.CALLBACK}
    form |= {"client_id": plain.client.client_id}
    app = plain.new()
    app.token = plain.pool.http.post(f"{plain.pool.issuer}/oauth2/token", data=form).raise_for_status().json()
    claims = app.verified(app.token["id_token"])
    assert claims["cognito:username"] == f"{plain.name}_{GRACE['email']}"
    assert plain.knows(person)


def test_a_sign_in_begins_at_the_provider_only_where_the_operator_allows_it(
    corporations: dict[str, Corporation], person: SamlPerson
) -> None:
    corp = corporations["Encrypted"]
    asked = {"identity_provider": corp.name, "client_id": corp.client.client_id, "redirect_uri": pools.CALLBACK}
    link = corp.idp.link(corp.entity_id, urlencode(asked | {"response_type": "code", "scope": pools.SCOPE}))
    came = landed(person.sign_in(person.visit(link, until=pools.CALLBACK), pools.CALLBACK))
    assert query(came)["error"] == "server_error"
    assert not corp.knows(person)


@pytest.mark.parametrize("name", ["Plain", "Posted", "Encrypted"])
def test_an_app_signs_out_of_the_pool_and_of_the_provider(
    corporations: dict[str, Corporation], person: SamlPerson, name: str
) -> None:
    """W 8.5, saml-profiles-2.0 4.4: our signed request, the provider's answer by POST, and on to logout_uri."""
    corp = corporations[name]
    corp.sign_in(person)
    person.messages.clear()
    assert landed(person.visit(corp.leave_link(), until=pools.LOGOUT)) == pools.LOGOUT
    asked, answered = person.messages
    assert (asked["to"], asked["method"]) == (corp.idp.slo, "POST" if name == "Posted" else "GET")
    assert "Signature" in asked or "SignatureValue" in xml_of(asked)
    assert (answered["to"], answered["method"]) == (f"{corp.pool.issuer}/saml2/logout", "POST")
    assert answered["RelayState"] == asked["RelayState"]
    assert not corp.knows(person)
    # and the provider asks again
    app = corp.new()
    assert is_sign_in_form(person.visit(corp.link(app), until=pools.CALLBACK))


def test_an_app_signs_out_though_the_provider_has_forgotten_the_person(plain: Corporation, person: SamlPerson) -> None:
    plain.sign_in(person)
    for cookie in [*person.browser.cookies.jar]:
        if cookie.domain == httpx.URL(plain.idp.base).host:
            person.browser.cookies.delete(cookie.name, cookie.domain)
    assert landed(person.visit(plain.leave_link(), until=pools.LOGOUT)) == pools.LOGOUT
    assert not plain.knows(person)


def test_a_sign_out_that_is_not_signed_is_refused_by_the_provider(plain: Corporation, person: SamlPerson) -> None:
    """The control: it is our signature that signs out there."""
    plain.sign_in(person)
    request = httpx.URL(person.browser.get(plain.leave_link()).headers["Location"])
    fields = dict(parse_qsl(request.query.decode()))
    assert [*fields] == ["SAMLRequest", "RelayState", "SigAlg", "Signature"]
    bare = urlencode({name: value for name, value in fields.items() if not name.startswith("Sig")})
    page = person.visit(f"{request.copy_with(query=bare.encode())}", until=pools.LOGOUT)
    assert isinstance(page, httpx.Response)
    assert "no signature found on message" in page.text


@pytest.mark.parametrize("name", ["Plain", "Posted", "Encrypted"])
def test_a_sign_out_at_the_provider_ends_the_session_and_the_tokens_here(
    corporations: dict[str, Corporation], person: SamlPerson, name: str
) -> None:
    corp, elsewhere = corporations[name], SamlPerson()
    app, _ = corp.sign_in(person)
    time.sleep(1.1)  # to the pool, the same person in the same second (AuthnInstant) is the same authentication
    stays, _ = corp.sign_in(elsewhere)
    person.messages.clear()
    assert landed(person.visit(corp.idp.logout_link(), until=corp.idp.logged_out)) == corp.idp.logged_out
    asked, answered = person.messages
    assert (asked["to"], answered["to"]) == (f"{corp.pool.issuer}/saml2/logout", corp.idp.slo)
    assert re.search(r"StatusCode[^>]*:status:Success\"", xml_of(answered))
    assert "PartialLogout" not in xml_of(answered)
    # SimpleSAMLphp has verified and accepted it
    assert f"Logged out of 'saml:{corp.entity_id}'" in corp.idp.log()
    assert "Unsuccessful logout" not in corp.idp.log()
    assert not corp.knows(person)
    with pytest.raises(OAuthError, match="invalid_grant"):
        app.refresh()
    # in another browser the same person has another session at the provider (saml-core-2.0 3.7.1, SessionIndex)
    assert corp.knows(elsewhere)
    assert stays.refresh()["email"] == GRACE["email"]


def test_a_sign_out_at_the_provider_reaches_the_tokens_of_a_session_that_was_over(
    corporations: dict[str, Corporation], person: SamlPerson
) -> None:
    corp = corporations["Signed"]
    app, _ = corp.sign_in(person)
    assert person.visit(corp.leave_link(), until=pools.LOGOUT) == pools.LOGOUT
    assert app.refresh()["email"] == GRACE["email"]
    assert landed(person.visit(corp.idp.logout_link(), until=corp.idp.logged_out)) == corp.idp.logged_out
    with pytest.raises(OAuthError, match="invalid_grant"):
        app.refresh()


def test_a_sign_out_that_the_provider_did_not_sign_ends_nothing(
    corporations: dict[str, Corporation], person: SamlPerson
) -> None:
    corp = corporations["Unproven"]
    app, _ = corp.sign_in(person)
    came = person.visit(corp.idp.logout_link(), until=corp.idp.logged_out)
    assert isinstance(came, httpx.Response)
    assert str(came.url).startswith(f"{corp.pool.issuer}/error?error=sign_out_refused")
    assert came.status_code == 400
    assert corp.knows(person)
    assert app.refresh()["email"] == GRACE["email"]


@needs_chromium
def test_a_browser_signs_in_and_out_from_the_pool_s_own_domain(
    corporations: dict[str, Corporation], page: Page, secure_server: Server
) -> None:
    """The forms of SAML cross sites and schemes here, as they do in life, and the cookies are those of a domain."""
    corp = corporations["Domain"]
    corp = replace(corp, pool=replace(secure_server, pool_id=corp.pool.pool_id))
    host = f"{corp.kind.domain}.{DOMAIN_SUFFIX}:{urlsplit(secure_server.base).port}"
    corp.meet(host)
    app = corp.new()
    page.goto(corp.link(app))
    page.locator("#username").fill("grace")
    page.locator("#password").fill(provider.PASSWORD)
    with (
        page.expect_request(f"https://{host}/saml2/idpresponse") as posted,
        page.expect_request(lambda request: request.url.startswith(pools.CALLBACK)) as sent,
    ):
        page.locator("#password").press("Enter")
    assert posted.value.method == "POST"
    answer = query(sent.value.url)
    assert (answer["state"], "code" in answer) == (app.state, True)

    # nothing listens where the app would be, so there is a new page for each link
    page = page.context.new_page()
    with page.expect_request(f"https://{host}/saml2/logout") as posted, page.expect_request(pools.LOGOUT):
        page.goto(corp.leave_link(f"https://{host}"))
    assert posted.value.method == "POST"
    page = page.context.new_page()
    page.goto(corp.link(corp.new()))
    assert page.url.startswith(corp.idp.base)
    assert page.locator("#password").is_visible()
