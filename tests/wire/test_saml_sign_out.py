"""``/saml2/logout`` and ``/logout`` with a SAML provider: single logout, begun here or there.

AWS pages cognito-user-pools-saml-idp-sign-out and logout-endpoint (W 8.5, 9.3, 15 row 9); saml-profiles-2.0 4.4,
saml-core-2.0 3.7. What begins at the provider is beyond Cognito.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts import cleanup, events, saml_keys, saml_messages, sessions
from accounts.models import (
    AppClient,
    AuthEvent,
    IdentityProvider,
    RefreshToken,
    SignInSession,
    SignOutRequest,
    UserPool,
)
from accounts.models.events import EventType
from tests import factories
from tests.fakes import saml
from tests.fakes.saml import metadata
from tests.fakes.saml_browser import (
    SLO,
    Logout,
    Request,
    by_post,
    by_redirect,
    endpoints,
    post_logout,
    register,
    sign_in,
)
from tests.wire.helpers import ask, on_error_page, query_of, redeem, refresh, sent_to_app, set_values

pytestmark = pytest.mark.django_db
BASE = "https://demo.auth.example.test"
HERE = f"{BASE}/saml2/logout"


@pytest.fixture(autouse=True)
def _forget() -> None:
    events.forget_early()


@pytest.fixture
def provider(pool: UserPool, app_client: AppClient) -> IdentityProvider:
    return register(pool, app_client, document=metadata(more=endpoints(slo="Redirect POST")), IDPSignout="true")


@pytest.fixture
def query(app_client: AppClient, provider: IdentityProvider) -> dict[str, str]:
    return query_of(app_client, identity_provider="Corp")


def other_browser() -> Client:
    return Client(headers={"host": "demo.auth.example.test"})


def sign_out(browser: Client, client: AppClient, **more: str) -> HttpResponse:
    fields = {"client_id": client.client_id, "logout_uri": factories.LOGOUT} | more
    return browser.get("/logout?" + urlencode(fields))


def answer_to(request: Request, **values: Any) -> Logout:
    honest = {"destination": HERE, "kind": "LogoutResponse", "in_response_to": request.id, "not_on_or_after": None}
    return Logout(**honest | values)


def is_signed_in(browser: Client, query: dict[str, str]) -> bool:
    return "code=" in ask(browser, query)["Location"]


def last_attempt() -> AuthEvent:
    return AuthEvent.objects.latest("id")


# --- begun here


def test_signing_out_here_asks_the_provider_and_comes_back(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    """W 8.5: a signed request by redirect with NameID and SessionIndex; the answer by POST; on to logout_uri."""
    sent_to_app(sign_in(http, query, pool, BASE))
    response = sign_out(http, app_client)
    assert response.cookies[sessions.COOKIE].value == ""
    request = by_redirect(response)
    assert request.url == SLO
    assert (request.text("saml:Issuer"), request.text("saml:NameID")) == (
        f"urn:amazon:cognito:sp:{pool.pk}",
        "ada@example.test",
    )
    assert request.text("samlp:SessionIndex") == "_session1"
    assert request.root.get("Destination") == SLO
    verify_query(response["Location"], pool)
    arrived = post_logout(http, answer_to(request), request.relay_state)
    assert (arrived.status_code, arrived["Location"]) == (302, factories.LOGOUT)


def verify_query(url: str, pool: UserPool) -> None:
    """saml-bindings-2.0 3.4.4.1: the octets of SAMLRequest, RelayState and SigAlg as they stand in the query."""
    signed, _, _ = urlsplit(url).query.partition("&Signature=")
    fields = dict(parse_qsl(urlsplit(url).query))
    assert fields["SigAlg"] == "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
    der = saml.base64.b64decode(saml_keys.active(pool, "signing").certificate)
    key: Any = load_der_x509_certificate(der).public_key()
    key.verify(saml.base64.b64decode(fields["Signature"]), signed.encode(), padding.PKCS1v15(), SHA256())


def test_nobody_is_signed_in_here_when_the_provider_never_answers(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    sign_in(http, query, pool, BASE)
    cookie = http.cookies[sessions.COOKIE].value
    sign_out(http, app_client)
    http.cookies[sessions.COOKIE] = cookie  # a browser that kept it
    assert not is_signed_in(http, query)


def test_a_provider_that_takes_posts_only_gets_a_form(
    http: Client, pool: UserPool, app_client: AppClient, provider: IdentityProvider, query: dict[str, str]
) -> None:
    document = metadata(more=endpoints(slo="POST"))
    set_values(provider, provider_details=provider.provider_details | {"MetadataFile": document})
    sign_in(http, query, pool, BASE)
    request = by_post(sign_out(http, app_client))
    assert request.url == SLO
    assert request.root.find("ds:Signature", saml.NS) is not None
    assert post_logout(http, answer_to(request), request.relay_state)["Location"] == factories.LOGOUT


def test_the_name_id_is_repeated_with_all_that_it_came_with(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    """saml-core-2.0 3.7.3.1 and 3.3.4: a provider finds its session by the very NameID."""

    def qualified(root: Any) -> None:
        values = {"Format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", "NameQualifier": saml.IDP}
        saml.find(root, ".//saml:NameID").attrib.update(values | {"SPNameQualifier": "urn:sp"})

    sign_in(http, query, pool, BASE, before=qualified)
    said = saml.find(by_redirect(sign_out(http, app_client)).root, "saml:NameID")
    assert dict(said.attrib) == {
        "Format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
        "NameQualifier": saml.IDP,
        "SPNameQualifier": "urn:sp",
    }


@pytest.mark.parametrize("why", ["switched off", "no address", "a session of the pool's own"])
def test_a_provider_that_is_not_to_be_asked_is_not(
    http: Client, pool: UserPool, app_client: AppClient, provider: IdentityProvider, query: dict[str, str], why: str
) -> None:
    changes = {
        "switched off": {"IDPSignout": "false"},
        "no address": {"MetadataFile": metadata(more=endpoints())},
        "a session of the pool's own": {},
    }[why]
    sign_in(http, query, pool, BASE)
    set_values(provider, provider_details=provider.provider_details | changes)
    if not changes:
        SignInSession.objects.update(provider=None, name_id="")
    assert sign_out(http, app_client)["Location"] == factories.LOGOUT
    assert not is_signed_in(http, query)


def test_without_an_address_of_the_app_the_person_is_told(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    """OpenID Connect RP-Initiated Logout 1.0 2: only an id_token_hint."""
    code = sent_to_app(sign_in(http, query, pool, BASE))["code"]
    hint = redeem(http, app_client, code).json()["id_token"]
    request = by_redirect(http.get("/logout?" + urlencode({"id_token_hint": hint})))
    arrived = post_logout(http, answer_to(request), request.relay_state)
    assert arrived.status_code == 200
    assert b"signed out" in arrived.content


def test_a_partial_or_failed_sign_out_at_the_provider_still_leads_back_and_is_on_record(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    sign_in(http, query, pool, BASE)
    request = by_redirect(sign_out(http, app_client))
    failed = "urn:oasis:names:tc:SAML:2.0:status:Responder"
    assert post_logout(http, answer_to(request, status=failed), request.relay_state)["Location"] == factories.LOGOUT
    assert last_attempt().reason == "logout_status"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"signed": False}, "logout_signature"),
        ({"signer": "stranger"}, "logout_signature"),
        ({"issuer": "https://other.example.test"}, "logout_issuer"),
        ({"destination": "https://elsewhere.example.test/saml2/logout"}, "logout_destination"),
        ({"destination": None}, "logout_destination"),
        ({"in_response_to": "_another"}, "logout_in_response_to"),
        ({"in_response_to": None}, "logout_in_response_to"),
        ({"issued": -600}, "logout_too_old"),
        ({"issued": 600}, "logout_too_old"),
        ({"version": "1.1"}, "logout_malformed"),
    ],
)
def test_an_answer_that_is_not_the_providers_leads_nowhere(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str], values: dict[str, Any], reason: str
) -> None:
    """The person is signed out here and told so; the honest answer is still taken."""
    sign_in(http, query, pool, BASE)
    request = by_redirect(sign_out(http, app_client))
    if values.get("signer"):
        values = {"signer": saml.pair("stranger")}
    answer = post_logout(http, answer_to(request, **values), request.relay_state)
    assert on_error_page(http, answer) == "sign_out_unconfirmed"
    assert last_attempt().reason == reason
    assert post_logout(http, answer_to(request), request.relay_state)["Location"] == factories.LOGOUT


def test_an_answer_is_of_one_use_and_of_its_time(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    sign_in(http, query, pool, BASE)
    request = by_redirect(sign_out(http, app_client))
    message = answer_to(request)
    SignOutRequest.objects.update(expires_at=timezone.now())
    assert on_error_page(http, post_logout(http, message, request.relay_state)) == "sign_out_unconfirmed"
    SignOutRequest.objects.update(expires_at=timezone.now() + saml_messages.SIGN_OUT_LIFETIME)
    assert post_logout(http, message, request.relay_state)["Location"] == factories.LOGOUT
    assert on_error_page(http, post_logout(http, message, request.relay_state)) == "sign_out_unconfirmed"


def test_an_answer_to_another_pools_sign_out_is_none(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    sign_in(http, query, pool, BASE)
    request = by_redirect(sign_out(http, app_client))
    factories.make_pool("other")
    there = Client(headers={"host": "other.auth.example.test"})
    moved = answer_to(request, destination="https://other.auth.example.test/saml2/logout")
    assert on_error_page(there, post_logout(there, moved, request.relay_state)) == "sign_out_unconfirmed"


# --- begun at the provider


def two_sessions(pool: UserPool, app_client: AppClient, query: dict[str, str]) -> tuple[Client, Client, str, str]:
    """Sign the same person in from two browsers, in two sessions at the provider; return refresh tokens as well."""
    found: list[Any] = []
    for index in ("_session1", "_session2"):
        browser = other_browser()

        def named(root: Any, index: str = index, since: float = -60.0 * len(found)) -> None:
            statement = saml.find(root, ".//saml:AuthnStatement")
            statement.set("SessionIndex", index)
            statement.set("AuthnInstant", saml.at(since))

        code = sent_to_app(sign_in(browser, query, pool, BASE, before=named))["code"]
        found += [browser, redeem(browser, app_client, code).json()["refresh_token"]]
    return found[0], found[2], found[1], found[3]


def test_a_sign_out_at_the_provider_ends_its_session_here_and_what_was_granted_in_it(
    pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    """saml-core-2.0 3.7.1: by NameID and SessionIndex. The form comes without a cookie, from nowhere."""
    first, second, token1, token2 = two_sessions(pool, app_client, query)
    response = post_logout(other_browser(), Logout(HERE), "their-relay")
    sent = by_post(response, "SAMLResponse")
    assert (sent.url, sent.relay_state) == (SLO, "their-relay")
    assert sent.root.get("InResponseTo") == "_logout1"
    assert sent.root.find("ds:Signature", saml.NS) is not None
    assert saml.find(sent.root, "samlp:Status/samlp:StatusCode").get("Value").endswith(":Success")
    assert not is_signed_in(first, query)
    assert is_signed_in(second, query)
    assert refresh(first, app_client, token1).json()["error"] == "invalid_grant"
    assert refresh(second, app_client, token2).status_code == 200
    attempt = AuthEvent.objects.filter(event_type=EventType.SIGN_OUT).latest("id")
    assert (attempt.outcome, attempt.user.username) == ("succeeded", "corp_ada@example.test")


def test_without_a_session_index_all_sessions_of_the_person_end(
    pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    first, second, token1, token2 = two_sessions(pool, app_client, query)
    post_logout(other_browser(), Logout(HERE, indexes=()))
    assert not is_signed_in(first, query)
    assert not is_signed_in(second, query)
    assert {refresh(first, app_client, token).status_code for token in (token1, token2)} == {400}


def test_a_provider_that_renames_its_session_ends_all_of_it(
    pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    """SimpleSAMLphp gives its session a new SessionIndex at each sign-in and names the last: AuthnInstant tells."""
    tokens = []
    for index in ("_first", "_last"):
        browser = other_browser()

        def renamed(root: Any, index: str = index) -> None:
            statement = saml.find(root, ".//saml:AuthnStatement")
            statement.attrib.update({"SessionIndex": index, "AuthnInstant": "2026-01-02T03:04:05Z"})

        code = sent_to_app(sign_in(browser, query, pool, BASE, before=renamed))["code"]
        tokens.append(redeem(browser, app_client, code).json()["refresh_token"])
    post_logout(other_browser(), Logout(HERE, indexes=("_last",)))
    assert {refresh(other_browser(), app_client, token).status_code for token in tokens} == {400}


def test_nobody_elses_session_ends(pool: UserPool, app_client: AppClient, query: dict[str, str]) -> None:
    browser = other_browser()
    sign_in(browser, query, pool, BASE)
    for message in (Logout(HERE, name_id="grace@example.test"), Logout(HERE, id="_2", indexes=("_another",))):
        assert post_logout(other_browser(), message).status_code == 200
    assert is_signed_in(browser, query)


def test_a_code_that_was_not_redeemed_yet_dies_too(
    pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    browser = other_browser()
    code = sent_to_app(sign_in(browser, query, pool, BASE))["code"]
    post_logout(other_browser(), Logout(HERE))
    assert redeem(browser, app_client, code).json()["error"] == "invalid_grant"


def test_grants_are_found_after_the_session_here_is_over(
    http: Client, pool: UserPool, app_client: AppClient, provider: IdentityProvider, query: dict[str, str]
) -> None:
    """A session lasts an hour, a refresh token a month: the clean-up keeps what leads from one to the other."""
    set_values(provider, provider_details=provider.provider_details | {"IDPSignout": "false"})
    code = sent_to_app(sign_in(http, query, pool, BASE))["code"]
    token = redeem(http, app_client, code).json()["refresh_token"]
    sign_out(http, app_client)  # here only: that revokes no grant (W 9.3)
    cleanup.purge_expired()
    assert refresh(http, app_client, token).status_code == 200
    post_logout(other_browser(), Logout(HERE))
    assert refresh(http, app_client, token).json()["error"] == "invalid_grant"
    sign_in(http, query, pool, BASE)
    SignInSession.objects.update(expires_at=timezone.now() - cleanup.SAML_SESSIONS_KEPT)
    cleanup.purge_expired()
    assert not SignInSession.objects.exists()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"signed": False}, "logout_signature"),
        ({"signer": "stranger"}, "logout_signature"),
        ({"issuer": "https://other.example.test"}, "logout_unknown"),
        ({"issuer": None}, "logout_unknown"),
        ({"destination": "https://elsewhere.example.test/saml2/logout"}, "logout_destination"),
        ({"destination": None}, "logout_destination"),
        ({"issued": -600}, "logout_too_old"),
        ({"not_on_or_after": -120}, "logout_too_old"),
        ({"version": "1.1"}, "logout_malformed"),
        ({"name_id": None}, "logout_unsupported"),
        ({"indexes": ("",)}, "logout_malformed"),
    ],
)
def test_a_request_that_is_not_the_providers_ends_nothing(
    pool: UserPool, query: dict[str, str], values: dict[str, Any], reason: str
) -> None:
    browser = other_browser()
    sign_in(browser, query, pool, BASE)
    if values.get("signer"):
        values = {"signer": saml.pair("stranger")}
    answer = post_logout(other_browser(), Logout(**{"destination": HERE} | values))
    assert on_error_page(browser, answer) == "sign_out_refused"
    assert last_attempt().reason == reason
    assert is_signed_in(browser, query)


def test_a_request_is_of_one_use(pool: UserPool, query: dict[str, str]) -> None:
    browser = other_browser()
    message = Logout(HERE)
    post_logout(other_browser(), message)
    sign_in(browser, query, pool, BASE)
    assert on_error_page(browser, post_logout(other_browser(), message)) == "sign_out_refused"
    assert last_attempt().reason == "logout_replayed"
    assert is_signed_in(browser, query)


def test_a_provider_ends_no_session_of_another_one(
    pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    """Same NameID, same SessionIndex, another provider of the same pool."""
    other = saml.pair("other")
    register(
        pool,
        app_client,
        name="Other",
        document=metadata(other.certificate, entity_id="https://other.example.test", more=endpoints(slo="POST")),
    )
    browser = other_browser()
    sign_in(browser, query, pool, BASE)
    message = Logout(HERE, issuer="https://other.example.test", signer=other)
    assert post_logout(other_browser(), message).status_code == 200
    assert is_signed_in(browser, query)


def test_one_idp_that_is_two_providers_signs_out_of_both(
    pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    document = metadata(more=endpoints(slo="POST"))
    register(pool, app_client, name="Again", document=document)
    browsers = {name: other_browser() for name in ("Corp", "Again")}
    for name, browser in browsers.items():
        sign_in(browser, query_of(app_client, identity_provider=name), pool, BASE)
    post_logout(other_browser(), Logout(HERE))
    for name, browser in browsers.items():
        assert not is_signed_in(browser, query_of(app_client, identity_provider=name))


def test_a_broken_provider_keeps_nobody_else_from_signing_out(
    http: Client, pool: UserPool, app_client: AppClient, provider: IdentityProvider, query: dict[str, str]
) -> None:
    """Settings that no form would take, of whatever origin."""
    broken = register(pool, app_client, name="Broken")
    sign_in(http, query_of(app_client, identity_provider="Broken"), pool, BASE)
    set_values(broken, provider_details={"nonsense": "x"})
    assert sign_out(http, app_client)["Location"] == factories.LOGOUT
    sign_in(http, query, pool, BASE)
    assert post_logout(other_browser(), Logout(HERE)).status_code == 200
    assert not is_signed_in(http, query)


def test_the_answer_goes_where_the_metadata_says(
    pool: UserPool, provider: IdentityProvider, query: dict[str, str]
) -> None:
    """saml-metadata-2.0 2.2.2: ResponseLocation; by redirect where the provider takes no posts."""
    there = "https://idp.example.test/slo-answer"
    for slo, read in (("POST", by_post), ("Redirect", by_redirect)):
        document = metadata(more=endpoints(slo=slo, response_location=there))
        set_values(provider, provider_details=provider.provider_details | {"MetadataFile": document})
        sent = read(post_logout(other_browser(), Logout(HERE, id=f"_{slo}"), "r"), "SAMLResponse")
        assert (sent.url, sent.relay_state) == (there, "r")
        assert sent.root.get("InResponseTo") == f"_{slo}"


@pytest.mark.parametrize("fields", [{}, {"SAMLRequest": "x", "SAMLResponse": "y"}, {"RelayState": "x"}])
def test_nothing_or_everything_at_once_is_refused(http: Client, pool: UserPool, fields: dict[str, str]) -> None:
    answer = http.post("/saml2/logout", urlencode(fields), content_type="application/x-www-form-urlencoded")
    assert on_error_page(http, answer) == "invalid_request"


def test_sign_outs_under_way_are_deleted_in_time(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    sign_in(http, query, pool, BASE)
    sign_out(http, app_client)
    (waiting,) = SignOutRequest.objects.all()
    assert waiting.expires_at - waiting.created_at == timedelta(minutes=10)
    SignOutRequest.objects.update(expires_at=timezone.now())
    cleanup.purge_expired()
    assert not SignOutRequest.objects.exists()
    assert not RefreshToken.objects.exists()
