"""``/saml2/idpresponse``: sign-in through a SAML provider, begun here or there.

AWS pages saml2-idpresponse-endpoint, cognito-user-pools-saml-idp-things-to-know and
cognito-user-pools-SAML-session-initiation (W 8.1 to 8.4, 8.6, 11, 15 row 8); saml-profiles-2.0 4.1. The provider is a
fake that shares nothing with the code under test; what a hostile one tries is in tests/security/saml/.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from lxml import etree

from accounts import events, pauses, saml_keys, sessions
from accounts.models import (
    AppClient,
    AuthEvent,
    IdentityProvider,
    LinkedIdentity,
    PoolUser,
    SignInRequest,
    SignInSession,
    UsedSamlMessage,
    UserPool,
)
from accounts.models.events import Outcome
from federation.parameters import FROM_HERE
from tests import factories
from tests.browser_like import FORM, submit_login
from tests.fakes import saml
from tests.fakes.saml import NS, metadata
from tests.fakes.saml_browser import (
    SSO,
    answering,
    by_post,
    by_redirect,
    endpoints,
    leave,
    nobody_asked,
    post,
    register,
    relay,
    sign_in,
)
from tests.wire.helpers import ask, on_error_page, query_of, redeem, sent_to_app, set_values, verified

pytestmark = pytest.mark.django_db
BASE = "https://demo.auth.example.test"
INVALID = "Invalid SAML response received: "


@pytest.fixture(autouse=True)
def _forget() -> None:
    events.forget_early()


@pytest.fixture
def provider(pool: UserPool, app_client: AppClient) -> IdentityProvider:
    return register(pool, app_client)


@pytest.fixture
def query(app_client: AppClient, provider: IdentityProvider) -> dict[str, str]:
    return query_of(app_client, identity_provider="Corp")


@pytest.fixture
def saml_client(pool: UserPool, app_client: AppClient) -> AppClient:
    """A client whose only provider is of SAML and may begin sign-ins (W 8.4)."""
    client = factories.make_client(pool, client_id="5exampleclient23456789abcd", cognito_sign_in=False)
    register(pool, client, IDPInit="true")
    return client


def details(provider: IdentityProvider, **changes: str) -> None:
    set_values(provider, provider_details=provider.provider_details | changes)


def last_attempt() -> AuthEvent:
    return AuthEvent.objects.latest("id")


def refused(response: HttpResponse, words: str, reason: str, state: str = "xyz") -> None:
    """Check that the app is told so in Cognito's form, nobody is signed in, and an operator sees why."""
    told = sent_to_app(response)
    assert (told["error"], told.get("error_description")) == ("server_error", words)
    assert told.get("state", "") == state
    assert sessions.COOKIE not in response.cookies
    assert (last_attempt().outcome, last_attempt().reason) == (Outcome.REFUSED, reason)


# --- the way out


def test_the_browser_is_sent_away_with_a_request(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    """saml-core-2.0 3.4.1, W 8.1 and 8.2; RelayState is a state of ours (at most 80 bytes: saml-bindings 3.4.3)."""
    request = leave(http, query)
    assert request.url == SSO
    assert request.root.tag == f"{{{NS['samlp']}}}AuthnRequest"
    assert request.text("saml:Issuer") == f"urn:amazon:cognito:sp:{pool.pk}"
    assert request.root.get("AssertionConsumerServiceURL") == f"{BASE}/saml2/idpresponse"
    assert request.root.get("ProtocolBinding") == "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
    assert re.fullmatch(r"_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", request.id)
    assert request.root.get("Destination") == SSO
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", request.relay_state)
    assert "Signature" not in request.fields
    assert request.root.get("ForceAuthn") is None


@pytest.mark.parametrize("more", [{"prompt": "login"}, {"max_age": "60"}])
def test_an_app_that_wants_a_fresh_sign_in_gets_one(http: Client, query: dict[str, str], more: dict[str, str]) -> None:
    assert leave(http, query | more).root.get("ForceAuthn") == "true"


def test_a_request_is_signed_when_the_operator_says_so(
    http: Client, pool: UserPool, query: dict[str, str], provider: IdentityProvider
) -> None:
    """W 8.2: RequestSigningAlgorithm. The signature is verified in tests/unit/test_saml_response.py."""
    details(provider, RequestSigningAlgorithm="rsa-sha256")
    fields = leave(http, query).fields
    assert fields["SigAlg"] == "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
    assert fields["Signature"]


def test_a_provider_that_takes_posts_only_gets_a_form(
    http: Client, pool: UserPool, query: dict[str, str], provider: IdentityProvider
) -> None:
    """saml-bindings-2.0 3.5. The form sends itself, and has a button where there are no scripts."""
    details(provider, MetadataFile=metadata(more=endpoints("POST")), RequestSigningAlgorithm="rsa-sha256")
    response = ask(http, query)
    request = by_post(response)
    assert request.url == SSO
    assert request.root.find("ds:Signature", NS) is not None
    assert b'type="submit"' in response.content
    assert "form-action" not in response["Content-Security-Policy"]  # it leads out
    answer = post(http, answering(request, pool, BASE), request.relay_state)
    assert "code" in sent_to_app(answer)


def test_the_way_out_costs_one_row(http: Client, query: dict[str, str]) -> None:
    leave(http, query)
    (paused,) = SignInRequest.objects.all()
    assert paused.expires_at - paused.created_at == timedelta(minutes=5)


@pytest.mark.parametrize(
    "named",
    [{"identity_provider": "Corp"}, {"idp_identifier": "corp.example.test"}],
)
def test_a_request_names_the_provider_or_one_of_its_identifiers(
    http: Client, app_client: AppClient, provider: IdentityProvider, named: dict[str, str]
) -> None:
    """W 8.6."""
    set_values(provider, idp_identifiers=["corp.example.test"])
    assert leave(http, query_of(app_client, **named)).url == SSO


def test_an_email_address_leads_to_the_provider_of_its_domain(
    http: Client, pool: UserPool, app_client: AppClient, provider: IdentityProvider
) -> None:
    """W 8.6: several providers that all have identifiers share one box."""
    set_values(provider, idp_identifiers=["corp.example.test"])
    other = register(pool, app_client, name="Other", document=metadata(entity_id="https://other.example.test"))
    set_values(other, idp_identifiers=["other.example.test"])
    asked = query_of(app_client)
    sent = submit_login(http, asked, action="corporate", corporate_email="Ada@Corp.Example.Test")
    assert "identity_provider=Corp" in sent["Location"]
    assert by_redirect(http.get(sent["Location"])).url == SSO


# --- the way back


def test_a_sign_in_ends_in_tokens_of_a_user_of_the_pool(
    http: Client, pool: UserPool, app_client: AppClient, query: dict[str, str]
) -> None:
    """W 8.3, 11.1, 11.2: the username is made of the provider and the NameID; `issuer` is the entity id."""
    found = sent_to_app(sign_in(http, query, pool, BASE))
    assert (found["state"], found["iss"]) == ("xyz", pool.issuer)
    answer = redeem(http, app_client, found["code"])
    _, claims = verified(pool, answer.json()["id_token"])
    assert claims["cognito:username"] == "corp_ada@example.test"
    assert claims["email"] == "ada@example.test"
    (identity,) = claims["identities"]
    assert identity["userId"] == "ada@example.test"
    assert (identity["providerName"], identity["providerType"]) == ("Corp", "SAML")
    assert (identity["issuer"], identity["primary"]) == (saml.IDP, "true")
    assert claims["cognito:groups"] == [f"{pool.pk}_Corp"]
    user = PoolUser.objects.get()
    assert (user.status, user.has_usable_password()) == ("EXTERNAL_PROVIDER", False)


def test_the_same_name_id_is_the_same_user_and_case_matters(
    http: Client, pool: UserPool, query: dict[str, str]
) -> None:
    """W 8.3: NameID is always case-sensitive; the pool's usernames are not here, so the second name is taken."""
    sign_in(http, query, pool, BASE)
    sent_to_app(sign_in(http, query | {"prompt": "login"}, pool, BASE, attributes={"email": ["new@example.test"]}))
    assert LinkedIdentity.objects.get().subject == "ada@example.test"
    assert PoolUser.objects.get().attributes["email"] == "new@example.test"
    refused(
        sign_in(http, query | {"prompt": "login"}, pool, BASE, name_id="ADA@example.test"),
        "Error in SAML response processing: Already found an entry for this username",
        "username_taken",
    )


def test_several_values_become_one_text(
    http: Client, pool: UserPool, provider: IdentityProvider, query: dict[str, str]
) -> None:
    """W 11.3."""
    set_values(provider, attribute_mapping={"profile": "roles", "name": "NameID"})
    sign_in(http, query, pool, BASE, attributes={"roles": ["a b", "c"]})
    attributes = PoolUser.objects.get().attributes
    assert attributes["profile"] == "[a+b,c]"
    assert attributes["name"] == "ada@example.test"


def test_what_is_kept_of_the_session_is_what_a_sign_out_needs(
    http: Client, pool: UserPool, query: dict[str, str]
) -> None:
    sign_in(http, query, pool, BASE)
    session = SignInSession.objects.get()
    assert (session.provider.provider_name, session.name_id) == ("Corp", "ada@example.test")
    assert session.session_index == "_session1"


def test_a_session_of_the_provider_answers_the_next_request(
    http: Client, pool: UserPool, query: dict[str, str]
) -> None:
    sign_in(http, query, pool, BASE)
    assert "code" in sent_to_app(ask(http, query))


def test_an_encrypted_assertion_is_read_and_required_where_the_operator_says_so(
    http: Client, pool: UserPool, provider: IdentityProvider, query: dict[str, str]
) -> None:
    """W 8.3. It is encrypted to the certificate that the pool publishes."""
    details(provider, EncryptedResponses="true")
    refused(sign_in(http, query, pool, BASE), f"{INVALID}The assertion is not encrypted.", "not_encrypted")
    published = saml_keys.active(pool, "encryption").certificate
    to = saml.Pair(b"", published)
    assert "code" in sent_to_app(sign_in(http, query, pool, BASE, encryption={}, encrypt_to=to))


def test_a_refused_response_is_told_to_the_app_and_shown_to_operators_without_its_values(
    http: Client, pool: UserPool, query: dict[str, str]
) -> None:
    """W 8.3, 15 row 8."""
    answer = sign_in(http, query, pool, BASE, audience="urn:amazon:cognito:sp:other", name_id="secret-name")
    refused(answer, f"{INVALID}Audience restriction was not satisfied.", "audience")
    shown = last_attempt().document
    assert "urn:amazon:cognito:sp:other" in shown
    assert "<saml:NameID>[11 characters]</saml:NameID>" in shown
    assert "secret-name" not in shown
    assert "ada@example.test" not in shown
    (signature,) = etree.fromstring(shown).iter(f"{{{NS['ds']}}}SignatureValue")
    assert re.fullmatch(r"\[\d+ characters\]", signature.text or "")
    assert last_attempt().steps[-1] == last_attempt().steps[-1] | {"step": "response refused", "reason": "audience"}


def test_a_required_attribute_that_is_not_sent_ends_the_sign_in_in_cognitos_words(
    http: Client, app_client: AppClient
) -> None:
    """W 3.8."""
    pool = factories.make_pool("strict", schema_attributes=[{"Name": "email", "Required": True, "Mutable": True}])
    client = factories.make_client(pool)
    register(pool, client)
    browser = Client(headers={"host": "strict.auth.example.test"})
    answer = sign_in(
        browser,
        query_of(client, identity_provider="Corp"),
        pool,
        "https://strict.auth.example.test",
        attributes={},
    )
    words = "Error in SAML response processing: Invalid user attributes: email: The attribute is required"
    refused(answer, words, "attributes_required")
    assert not PoolUser.objects.exists()


# --- one use


def test_a_response_is_of_one_use(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    request = leave(http, query)
    message = answering(request, pool, BASE).encoded()
    sent_to_app(post(http, message, request.relay_state))
    assert on_error_page(http, post(http, message, request.relay_state)) == "sign_in_lost"
    assert last_attempt().reason == "state_replayed"


def test_an_assertion_is_remembered_until_it_is_dead(http: Client, pool: UserPool, saml_client: AppClient) -> None:
    """saml-profiles-2.0 4.1.4.5; W 8.3: the assertion ID must be new."""
    message = nobody_asked(pool, BASE).encoded()
    sent_to_app(post(http, message, relay(saml_client)))
    refused(post(http, message, relay(saml_client)), f"{INVALID}The assertion was used before.", "replayed", "")
    (used,) = UsedSamlMessage.objects.all()
    assert timedelta(minutes=5) < used.expires_at - timezone.now() < timedelta(minutes=9)


def test_an_assertion_is_of_one_use_at_a_pool_that_has_its_idp_twice(
    http: Client, pool: UserPool, saml_client: AppClient
) -> None:
    register(pool, saml_client, name="Again", IDPInit="true")
    message = nobody_asked(pool, BASE).encoded()
    sent_to_app(post(http, message, relay(saml_client)))
    answer = post(http, message, relay(saml_client, provider="Again"))
    refused(answer, f"{INVALID}The assertion was used before.", "replayed", "")
    assert PoolUser.objects.count() == 1


def test_a_response_in_another_browser_is_refused(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    """Login CSRF: whoever began may not have another sign in as them. The form is first posted again from here."""
    request = leave(http, query)
    message = answering(request, pool, BASE).encoded()
    stranger = Client(headers={"host": "demo.auth.example.test"})
    fields = {"SAMLResponse": message, "RelayState": request.relay_state}
    first = stranger.post("/saml2/idpresponse", urlencode(fields), content_type=FORM)
    assert first.status_code == 200
    assert FROM_HERE.encode() in first.content
    assert on_error_page(stranger, post(stranger, message, request.relay_state)) == "sign_in_lost"
    assert last_attempt().reason == "state_foreign"
    assert "code" in sent_to_app(post(http, message, request.relay_state))


@pytest.mark.parametrize("relay_state", ["", "x" * 43, "x" * 500, "lost"])
def test_a_response_without_a_usable_relay_state_ends_on_our_page(
    http: Client, pool: UserPool, provider: IdentityProvider, relay_state: str
) -> None:
    """W 8.3: "Invalid relayState from identity provider"."""
    answer = post(http, nobody_asked(pool, BASE), relay_state)
    assert on_error_page(http, answer) == "invalid_relay_state"
    assert b"Invalid relayState from identity provider" in http.get(answer["Location"]).content


def test_a_response_that_took_too_long_is_lost(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    request = leave(http, query)
    SignInRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert on_error_page(http, post(http, answering(request, pool, BASE), request.relay_state)) == "sign_in_lost"


def test_the_state_of_an_oauth_sign_in_is_no_relay_state(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    """And the other way round: each answer endpoint takes its own protocol's."""
    request = leave(http, query)
    answer = http.get(f"/oauth2/idpresponse?code=x&state={request.relay_state}")
    assert on_error_page(http, answer) == "sign_in_lost"


@pytest.mark.parametrize("method", ["get", "put", "options", "delete"])
def test_only_post_is_taken(http: Client, method: str) -> None:
    for path in ("/saml2/idpresponse", "/saml2/logout"):
        assert getattr(http, method)(path).status_code == 405


def test_prompt_login_is_not_met_by_an_old_authentication(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    """saml-core-2.0 3.4.1: an IdP that ignores ForceAuthn says so by its AuthnInstant."""

    def old(root: etree._Element) -> None:
        saml.find(root, ".//saml:AuthnStatement").set("AuthnInstant", saml.at(-3600))

    asked = query | {"prompt": "login"}
    refused(
        sign_in(http, asked, pool, BASE, before=old),
        f"{INVALID}The user was not authenticated again.",
        "forced_authentication",
    )
    assert "code" in sent_to_app(sign_in(http, query, pool, BASE, before=old))


# --- begun by the provider


def test_a_provider_may_begin_and_the_code_comes_without_state(
    http: Client, pool: UserPool, saml_client: AppClient
) -> None:
    """W 8.4."""
    found = sent_to_app(post(http, nobody_asked(pool, BASE), relay(saml_client, state="x", prompt="none", max_age="0")))
    assert set(found) == {"code", "iss"}
    _, claims = verified(pool, redeem(http, saml_client, found["code"]).json()["id_token"])
    assert claims["cognito:username"] == "corp_ada@example.test"
    assert last_attempt().outcome == Outcome.SUCCEEDED


def test_an_identifier_may_name_the_provider(http: Client, pool: UserPool, saml_client: AppClient) -> None:
    set_values(IdentityProvider.objects.get(), idp_identifiers=["corp"])
    said = relay(saml_client, identity_provider="", idp_identifier="corp")
    assert "code" in sent_to_app(post(http, nobody_asked(pool, BASE), said))


def test_a_provider_begins_only_where_the_operator_says_so(
    http: Client, pool: UserPool, saml_client: AppClient
) -> None:
    details(IdentityProvider.objects.get(), IDPInit="false")
    answer = post(http, nobody_asked(pool, BASE), relay(saml_client))
    refused(answer, f"{INVALID}IdP-initiated sign-in is not enabled.", "unsolicited_off", "")


def test_a_client_that_has_other_ways_to_sign_in_takes_no_such_sign_in(
    http: Client, pool: UserPool, saml_client: AppClient
) -> None:
    """W 8.4."""
    set_values(saml_client, cognito_sign_in=True)
    answer = post(http, nobody_asked(pool, BASE), relay(saml_client))
    words = "IdP-initiated sign-in needs an app client with SAML providers only."
    refused(answer, f"{INVALID}{words}", "client_not_saml_only", "")


def test_a_response_that_answers_a_request_is_not_one_that_nobody_asked_for(
    http: Client, pool: UserPool, saml_client: AppClient
) -> None:
    """W 8.3: InResponseTo must be absent. Else a response stolen on its way could be brought in by another browser."""
    request = leave(http, query_of(saml_client, identity_provider="Corp"))
    answer = post(http, answering(request, pool, BASE), relay(saml_client))
    refused(answer, f"{INVALID}InResponseTo is not valid.", "in_response_to", "")


@pytest.mark.parametrize(
    ("changes", "page"),
    [
        ({"redirect_uri": "https://evil.example.test/"}, "redirect_mismatch"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
    ],
)
def test_relay_state_is_judged_like_an_authorize_request(
    http: Client, pool: UserPool, saml_client: AppClient, changes: dict[str, str], page: str
) -> None:
    answer = post(http, nobody_asked(pool, BASE), relay(saml_client, **changes))
    assert on_error_page(http, answer) == page
    assert not SignInSession.objects.exists()


def test_relay_state_has_to_name_the_provider(http: Client, pool: UserPool, saml_client: AppClient) -> None:
    told = sent_to_app(post(http, nobody_asked(pool, BASE), relay(saml_client, identity_provider="")))
    assert told["error"] == "invalid_request"
    assert "code" not in told


def test_what_anybody_may_post_fills_no_table(http: Client, pool: UserPool, saml_client: AppClient) -> None:
    for _ in range(25):
        post(http, "bm90aGluZw==", relay(saml_client))
    assert AuthEvent.objects.count() == events.CHEAP_PER_MINUTE


# --- what an operator changes meanwhile


def test_a_provider_that_was_deleted_meanwhile_signs_nobody_in(
    http: Client, pool: UserPool, provider: IdentityProvider, query: dict[str, str], at: Callable[[UserPool], Client]
) -> None:
    request = leave(http, query)
    message = answering(request, pool, BASE)
    provider.delete()
    response = post(http, message, request.relay_state)
    assert "code" not in (response.get("Location") or "")
    assert not PoolUser.objects.exists()


def test_a_new_key_in_the_metadata_counts_at_once(
    http: Client, pool: UserPool, provider: IdentityProvider, query: dict[str, str]
) -> None:
    """Several certificates at once: IdP key roll-over without an outage."""
    other = saml.pair("next")
    refused(
        sign_in(http, query, pool, BASE, signer=other),
        f"{INVALID}SAML Assertion signature is invalid.",
        "assertion_signature",
    )
    details(provider, MetadataFile=metadata(saml.pair("idp").certificate, other.certificate, more=endpoints()))
    assert "code" in sent_to_app(sign_in(http, query, pool, BASE, signer=other))
    assert "code" in sent_to_app(sign_in(http, query | {"prompt": "login"}, pool, BASE))


def test_the_pause_lasts_as_long_as_cognitos() -> None:
    assert timedelta(minutes=5) == pauses.LIFETIME
