"""The development IdP: our readers read what it says, it believes what is signed, and it is for development only.

saml-core-2.0 3.4 and 3.7, saml-bindings-2.0 3.4 and 3.5, saml-profiles-2.0 4.1 and 4.4. The service provider's half is
ours (federation/upstream/saml), with the fakes' keys; its metadata comes from a server of the test.
"""

import base64
import os
import re
import stat
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from accounts.linking import UpstreamSession
from examples.development_idp_entity import ATTRIBUTES, Entity
from examples.development_idp_saml import PEOPLE, Asked, Messages, Refused, Session
from examples.development_idp_web import Answer, DevelopmentIdp, Request
from federation.errors import SamlFailed
from federation.upstream.fetching import BadDocument
from federation.upstream.saml import development, logout, metadata, response
from federation.upstream.saml.client import PoolSaml2Client
from tests.fakes import saml, saml_pool
from tests.fakes.server import FakeServer, Reply

ROOT = Path(__file__).resolve().parents[2]
BASE = "http://localhost:8002"
STATE = "s" * 43


def sp_metadata(certificate: str) -> str:
    post = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
    return f"""<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="{saml.NS["ds"]}"
entityID="{saml.AUDIENCE}"><md:SPSSODescriptor protocolSupportEnumeration="{saml.NS["samlp"]}">
<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate>
</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
<md:SingleLogoutService Binding="{post}" Location="{saml.SLO}"/>
<md:AssertionConsumerService Binding="{post}" Location="{saml.ACS}" index="1"/>
</md:SPSSODescriptor></md:EntityDescriptor>"""


@pytest.fixture
def publisher() -> Iterator[FakeServer]:
    """Where the service provider describes itself."""
    with FakeServer() as fake:
        fake.misbehave("/sp", Reply(sp_metadata(saml.pair("pool").certificate)))
        yield fake


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The identity provider's own, so that its key is made once."""
    return tmp_path_factory.mktemp("idp") / "development-idp"


@pytest.fixture
def idp(publisher: FakeServer, folder: Path) -> DevelopmentIdp:
    return DevelopmentIdp(Messages(Entity(BASE, f"{publisher.base}/sp", folder)), {"Notes": "client_id=1&x=a b"})


def client(idp: DevelopmentIdp, unsolicited: bool = False, pool_keys: str = "pool") -> PoolSaml2Client:
    """Our half, which knows the other by its metadata."""
    described = idp.messages.entity.metadata
    return saml_pool.client(metadata=described, unsolicited=unsolicited, pool_keys=saml_pool.keys(pool_keys))


def asked_for(idp: DevelopmentIdp, *, sign: bool = True, pool_keys: str = "pool", **options: Any) -> Request:
    """Our request for a sign-in, as it arrives by the redirect binding."""
    made = response.build_request(client(idp, pool_keys=pool_keys), saml.REQUEST_ID, STATE, sign=sign, **options)
    return redirected(made.url)


def redirected(url: str) -> Request:
    parts = urlsplit(url)
    return Request("GET", parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()})


def fields(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))


def choose(idp: DevelopmentIdp, page: Answer, person: str = "hedy", cookie: str = "") -> tuple[dict[str, str], str]:
    """Send the sign-in page; return the fields of the answer's form, and the cookie."""
    assert "Who are you?" in page.body, page.body
    given = fields(page.body) | {"person": person}
    answer = idp.answer(Request("POST", "/sign-in", given, cookie, BASE))
    assert answer.status == 200, answer.body
    set_cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in set_cookie
    assert "SameSite=Lax" in set_cookie
    return fields(answer.body), set_cookie.partition("=")[2].partition(";")[0]


def identity(
    idp: DevelopmentIdp, sent: dict[str, str], request_id: str = saml.REQUEST_ID, **expected: Any
) -> response.SamlIdentity:
    asked = saml_pool.expected(issuer=idp.messages.entity.entity_id, request_id=request_id, **expected)
    return response.read(client(idp, unsolicited=not request_id), sent["SAMLResponse"], asked)


def document(encoded: str) -> etree._Element:
    return saml.element(base64.b64decode(encoded))


def inflated(encoded: str) -> bytes:
    """Return the XML of a message that came by the redirect binding (saml-bindings-2.0 3.4.4.1)."""
    return zlib.decompress(base64.b64decode(encoded), -15)


# --- what it says of itself -------------------------------------------------------------------------------------------


def test_its_metadata_is_read_by_our_reader(idp: DevelopmentIdp) -> None:
    answer = idp.answer(Request("GET", "/metadata", {}))
    assert answer.content_type == "application/samlmetadata+xml"
    found = metadata.parse(answer.body)
    assert found.entity_id == "urn:userpool:development-idp:8002"
    assert found.sso == {metadata.REDIRECT: f"{BASE}/sso", metadata.POST: f"{BASE}/sso"}
    assert found.slo == found.slo_response == {metadata.REDIRECT: f"{BASE}/slo", metadata.POST: f"{BASE}/slo"}
    assert found.wants_signed_requests
    assert len(found.certificates) == 1


def test_its_key_is_made_once_and_is_its_owner_s_alone(publisher: FakeServer, tmp_path: Path) -> None:
    first, second = (Entity(BASE, f"{publisher.base}/sp", tmp_path / "new") for _ in range(2))
    assert first.metadata == second.metadata
    for path in (first.key_file, first.certificate_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


# --- only for development ---------------------------------------------------------------------------------------------


def start(*options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "examples.development_idp", "--sp-metadata", "http://localhost:1/", *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "environment",
    [{}, {"USERPOOL_DEVELOPMENT": "0"}, {"USERPOOL_DEVELOPMENT": "0", "SECRET_KEY": "s" * 50, "DATABASE_URL": ""}],
)
def test_it_starts_in_development_only(tmp_path: Path, environment: dict[str, str]) -> None:
    ended = start("--data", str(tmp_path / "keys"), **environment)
    assert ended.returncode == 1
    assert "It needs USERPOOL_DEVELOPMENT=1" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "keys").exists()


def test_a_server_in_earnest_refuses_it_by_its_entity_id(idp: DevelopmentIdp, settings: Any) -> None:
    settings.USERPOOL_DEVELOPMENT = True
    development.refuse_outside_development(idp.messages.entity.entity_id)
    settings.USERPOOL_DEVELOPMENT = False
    with pytest.raises(BadDocument, match="for development only"):
        development.refuse_outside_development(idp.messages.entity.entity_id)
    development.refuse_outside_development(saml.IDP)


# --- sign-in ----------------------------------------------------------------------------------------------------------


def test_a_response_is_read_by_our_reader_with_its_six_attributes(idp: DevelopmentIdp) -> None:
    sent, _ = choose(idp, idp.answer(asked_for(idp)))
    assert sent["RelayState"] == STATE
    found = identity(idp, sent)
    assert found.name_id_format == "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
    assert found.attributes == {
        "mail": "hedy@partner.example.com",
        "givenName": "Hedy",
        "sn": "Lamarr",
        "displayName": "Hedy Lamarr",
        "eduPersonAffiliation": ["member", "staff"],
        "employeeNumber": "1942",
    }
    assert found.attributes.keys() == {*ATTRIBUTES}


def test_its_signatures_are_rsa_with_sha_256(idp: DevelopmentIdp) -> None:
    """pysaml2's own choice is SHA-1."""
    asked, session = Asked(STATE, saml.REQUEST_ID, saml.ACS), Session(PEOPLE["hedy"])
    says = idp.messages
    forms = [says.response(asked, session), says.nobody(asked), says.logout_request(session)[1]]
    ends = redirected(logout.build_request(client(idp), known_as(session), "_1", STATE).url)
    forms.append(says.logout_response(says.sign_out_request("GET", ends.given), STATE))
    for form in forms:
        (message,) = (value for name, value in form.fields.items() if name != "RelayState")
        (method,) = document(message).iter(f"{{{saml.NS['ds']}}}SignatureMethod")
        (digest,) = document(message).iter(f"{{{saml.NS['ds']}}}DigestMethod")
        assert (method.get("Algorithm"), digest.get("Algorithm")) == (SIG_RSA_SHA256, DIGEST_SHA256)


def test_a_session_answers_until_the_person_is_to_be_asked_again(idp: DevelopmentIdp) -> None:
    """saml-core-2.0 3.4.1, ForceAuthn."""
    first, cookie = choose(idp, idp.answer(asked_for(idp)))
    request = asked_for(idp)
    answer = idp.answer(Request(request.method, request.path, request.given, cookie))
    again = identity(idp, fields(answer.body))
    assert again.name_id == identity(idp, first).name_id
    forced = asked_for(idp, force_authn=True)
    page = idp.answer(Request(forced.method, forced.path, forced.given, cookie))
    other, new_cookie = choose(idp, page, "alan", cookie)
    assert identity(idp, other).name_id != again.name_id
    assert idp.sessions.keys() == {new_cookie}


def test_where_no_page_may_be_shown_nobody_is_signed_in(idp: DevelopmentIdp) -> None:
    """saml-core-2.0 3.4.1, IsPassive."""
    page = idp._respond(Request("GET", "/sso", {}), Asked(STATE, saml.REQUEST_ID, saml.ACS, passive=True))
    codes = document(fields(page.body)["SAMLResponse"]).xpath("//samlp:StatusCode/@Value", namespaces=saml.NS)
    assert codes[-1] == "urn:oasis:names:tc:SAML:2.0:status:NoPassive"
    with pytest.raises(SamlFailed) as failed:
        identity(idp, fields(page.body))
    assert failed.value.reason == "status"


def test_a_sign_in_may_begin_here(idp: DevelopmentIdp) -> None:
    """saml-profiles-2.0 4.1.5, W 8.4: no InResponseTo, and RelayState as it was configured."""
    assert "/app?name=Notes" in idp.answer(Request("GET", "/", {})).body
    sent, _ = choose(idp, idp.answer(Request("GET", "/app", {"name": "Notes"})), "alan")
    assert sent["RelayState"] == "client_id=1&amp;x=a b"
    assert identity(idp, sent, request_id="").attributes["mail"] == "alan@partner.example.com"
    assert idp.answer(Request("GET", "/app", {"name": "Another"})).status == 400


def test_a_page_is_of_use_once(idp: DevelopmentIdp) -> None:
    page = idp.answer(asked_for(idp))
    choose(idp, page)
    given = fields(page.body) | {"person": "alan"}
    assert idp.answer(Request("POST", "/sign-in", given, "", BASE)).status == 400


@pytest.mark.parametrize("origin", ["", "null", "http://localhost:8000", "https://evil.example"])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_no_other_site_signs_anybody_in_or_out(idp: DevelopmentIdp, path: str, origin: str) -> None:
    token = fields(idp.answer(asked_for(idp)).body)["asked"]
    answer = idp.answer(Request("POST", path, {"asked": token, "person": "hedy"}, "", origin))
    assert (answer.status, idp.sessions) == (400, {})


def test_a_request_that_is_not_signed_by_the_service_provider_is_refused(idp: DevelopmentIdp) -> None:
    good = asked_for(idp)
    cut = {name: value for name, value in good.given.items() if name not in ("SigAlg", "Signature")}
    others = {name: value for name, value in good.given.items() if name != "RelayState"} | {"RelayState": "another"}
    for given in (cut, others, {"RelayState": STATE}, {}, asked_for(idp, pool_keys="stranger").given):
        answer = idp.answer(Request("GET", "/sso", given))
        assert answer.status == 400
        assert "not signed by the service provider" in answer.body
    assert idp.asked == {}


def test_a_new_key_of_the_service_provider_is_found_in_its_metadata(idp: DevelopmentIdp, publisher: FakeServer) -> None:
    choose(idp, idp.answer(asked_for(idp)))
    assert len(publisher.called("/sp")) == 1
    publisher.misbehave("/sp", Reply(sp_metadata(saml.pair("next").certificate)))
    choose(idp, idp.answer(asked_for(idp, pool_keys="next")))
    assert len(publisher.called("/sp")) == 2


def test_without_the_service_provider_s_metadata_it_says_so(idp: DevelopmentIdp, publisher: FakeServer) -> None:
    publisher.misbehave("/sp", Reply("", 500))
    answer = idp.answer(asked_for(idp))
    assert answer.status == 400
    assert "metadata cannot be read" in answer.body


# --- sign-out ---------------------------------------------------------------------------------------------------------


def known_as(session: Session) -> UpstreamSession:
    """What we know a session by."""
    return UpstreamSession(session.name_id, "", "", "", session.indexes[-1])


def signed_in(idp: DevelopmentIdp) -> tuple[str, Session]:
    _, cookie = choose(idp, idp.answer(asked_for(idp)))
    return cookie, idp.sessions[cookie]


def as_posted(form: dict[str, str]) -> Request:
    return Request("POST", "/slo", form)


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_the_service_provider_signs_somebody_out(idp: DevelopmentIdp, binding: str) -> None:
    cookie, session = signed_in(idp)
    _, others = signed_in(idp)  # another browser
    ours = client(idp)
    if binding == "post":
        only_post = etree.fromstring(idp.messages.entity.metadata.encode())
        for found in only_post.xpath(f"//*[@Binding='{metadata.REDIRECT}']"):
            found.getparent().remove(found)
        ours = saml_pool.client(metadata=etree.tostring(only_post, encoding="unicode"))
    made = logout.build_request(ours, known_as(session), "_out", STATE)
    answer = idp.answer(as_posted(made.form) if binding == "post" else redirected(made.url))
    assert answer.status == 200, answer.body
    assert cookie not in idp.sessions
    assert [*idp.sessions.values()] == [others]
    sent = fields(answer.body)
    assert sent["RelayState"] == STATE
    logout.read_response(client(idp), sent["SAMLResponse"], saml.SLO, "_out")


def test_a_sign_out_that_nobody_signed_is_refused(idp: DevelopmentIdp) -> None:
    """pysaml2 takes one unless its configuration for requests for sign-ins says otherwise."""
    cookie, session = signed_in(idp)
    made = redirected(logout.build_request(client(idp), known_as(session), "_out", STATE).url)
    unsigned = {name: made.given[name] for name in ("SAMLRequest", "RelayState")}
    plain = {"SAMLRequest": base64.b64encode(inflated(made.given["SAMLRequest"])).decode()}
    stranger = client(idp, pool_keys="stranger")
    foreign = redirected(logout.build_request(stranger, known_as(session), "_out", STATE).url)
    for request in (Request("GET", "/slo", unsigned), as_posted(plain), as_posted(unsigned), as_posted({}), foreign):
        answer = idp.answer(request)
        assert answer.status == 400
        assert "not signed by the service provider" in answer.body
    assert cookie in idp.sessions


def test_signing_out_here_asks_the_service_provider_and_shows_what_it_said(idp: DevelopmentIdp) -> None:
    cookie, session = signed_in(idp)
    answer = idp.answer(Request("POST", "/sign-out", {}, cookie, BASE))
    assert idp.sessions == {}
    found = logout.read_request(client(idp), fields(answer.body)["SAMLRequest"], saml.SLO)
    assert (found.name_id, found.indexes) == (session.name_id, tuple(session.indexes))
    said = logout.build_response(client(idp), found.request_id, "").form
    unsigned = document(said["SAMLResponse"])
    unsigned.remove(saml.find(unsigned, "ds:Signature"))
    bare = {"SAMLResponse": base64.b64encode(etree.tostring(unsigned)).decode()}
    assert idp.answer(as_posted(bare)).status == 400
    result = idp.answer(as_posted(said))
    assert result.status == 200
    assert "At the user pool as well" in result.body
    assert idp.answer(as_posted(said)).status == 400  # it answers nothing any more


def test_whoever_was_in_no_app_is_signed_out_here_alone(idp: DevelopmentIdp) -> None:
    answer = idp.answer(Request("POST", "/sign-out", {}, "unknown", BASE))
    assert "You are signed out" in answer.body
    assert "SAMLRequest" not in answer.body


def test_refusals_are_said_in_words(idp: DevelopmentIdp) -> None:
    assert idp.answer(Request("GET", "/nothing", {})).status == 404
    answer = idp.answer(Request("GET", "/slo", {"SAMLResponse": "x"}))
    assert answer.status == 400
    assert 'role="alert"' in answer.body
    with pytest.raises(Refused):
        idp.messages.logout_answer({"SAMLResponse": "PHg+"})
