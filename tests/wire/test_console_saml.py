"""SAML in the console: what to register, what a provider publishes, the key pairs, and what was refused.

W 8.1 (entity id, addresses, certificates), 8.4 (IdP-initiated sign-in), RFC 7468 (PEM); the names of attributes are
those of the pages that accounts/provider_claims.py names.
"""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from django.test import Client
from django.utils import timezone

from accounts import event_words, events, saml_keys, sessions
from accounts.admin import provider_setup
from accounts.models import (
    AppClient,
    AuditEvent,
    AuthEvent,
    IdentityProvider,
    ProviderDocument,
    SamlKey,
    SignInSession,
    UserPool,
)
from accounts.models.events import EventType, Outcome
from federation.upstream.saml.config import entity_id
from tests import console, factories
from tests.fakes import saml
from tests.wire.helpers import signed_in
from tests.wire.test_console_providers import add, attempt, page, suggested, text_of

URL = "https://idp.example.test/metadata"
KEYS = "/admin/accounts/samlkey/"
HOSTILE = '"><script>alert(1)</script>'
BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"
SSO = f'<md:SingleSignOnService Binding="{BINDING}Redirect" Location="https://idp.example.test/sso"/>'
SLO = f'<md:SingleLogoutService Binding="{BINDING}POST" Location="https://idp.example.test/slo"/>'


@pytest.fixture
def root(pool: UserPool) -> Client:
    return console.browser(console.operator(superuser=True))


@pytest.fixture
def looker(pool: UserPool) -> Client:
    """Who may see everything and change nothing."""
    codes = ("view_identityprovider", "view_samlkey", "view_authevent", "view_appclient")
    return console.browser(console.operator(*codes, name="looker"))


def provider(pool: UserPool, name: str = "Corp", **details: str) -> IdentityProvider:
    details = details or {"MetadataFile": saml.metadata()}
    return factories.make_oidc_provider(pool, name, provider_type="SAML", provider_details=details)


def copied(browser: Client, url: str) -> dict[str, str]:
    """What the buttons of a page copy, by their names."""
    raw = browser.get(url).content.decode()
    found = re.findall(r'data-copy="([^"]*)" aria-label="Copy ([^"]*)"', raw)
    return {html.unescape(name): html.unescape(value) for value, name in found}


def fingerprint(pem: str) -> str:
    return x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex()


# --- what to register


def test_everything_that_a_provider_asks_for_is_there_to_copy_before_there_is_one(
    root: Client, looker: Client, pool: UserPool
) -> None:
    pool.domains.create(domain="sign-in.corp.example", is_custom=True)
    row = provider(pool)
    for browser, url in ((root, add("SAML")), (root, page(row)), (looker, page(row))):
        found = copied(browser, url)
        assert found["Entity id (audience)"] == "urn:amazon:cognito:sp:eu-west-1_Demo00001"
        for host in ("sign-in.corp.example", "demo.auth.example.test"):
            assert found[f"ACS URL of {host}"] == f"https://{host}/saml2/idpresponse"
            assert found[f"Single logout URL of {host}"] == f"https://{host}/saml2/logout"
            assert found[f"Metadata of {host}"] == f"https://{host}/saml2/metadata"
        for use in ("signing", "encryption"):
            (name,) = (name for name in found if name.lower().startswith(f"{use} certificate"))
            assert fingerprint(found[name]) == SamlKey.objects.get(use=use).fingerprint
        text = text_of(browser, url)
        for words in ("persistent format", "its case matters", "HTTP-POST", "console/copy.js"):
            assert words in text
        assert "PRIVATE KEY" not in text
        assert 'href="https://demo.auth.example.test/saml2/metadata"' in text
    assert provider_setup.ENTITY_ID.format(pool.pk) == entity_id(pool.pk)


def test_a_pool_without_a_host_of_its_own_answers_under_the_issuer(root: Client, settings: Any) -> None:
    settings.USERPOOL_DOMAIN_SUFFIX = ""
    found = copied(root, add("SAML"))
    assert found["ACS URL of Without a domain"] == "https://id.example.test/eu-west-1_Demo00001/saml2/idpresponse"


def test_the_next_certificates_are_there_once_they_are_prepared(root: Client, pool: UserPool) -> None:
    assert not [name for name in copied(root, add("SAML")) if name.startswith("Next")]
    made = {use: saml_keys.prepare(pool, use).fingerprint for use in ("signing", "encryption")}
    found = {name.split()[1]: pem for name, pem in copied(root, add("SAML")).items() if name.startswith("Next")}
    assert {use: fingerprint(pem) for use, pem in found.items()} == made


# --- the form


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("<x>", "not well-formed"),
        (saml.metadata().replace("https://idp.example.test/sso", "javascript:alert(1)"), "not a web address"),
        (saml.metadata(saml.pair("expired", days=-1).certificate), "has expired"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused_at_its_field(root: Client, document: str, words: str) -> None:
    data = console.values(root, add("SAML"), provider_name="Corp", detail_MetadataFile=document)
    found = console.errors(root.post(add("SAML"), data))
    assert words in str(found["detail_MetadataFile"])
    assert not IdentityProvider.objects.exists()


def test_a_provider_is_made_of_its_document(root: Client) -> None:
    data = console.values(
        root, add("SAML"), provider_name="Corp", detail_MetadataFile=saml.metadata(), detail_IDPInit="on"
    )
    assert root.post(add("SAML"), data).status_code == 302
    assert IdentityProvider.objects.get().provider_details["IDPInit"] == "true"


def test_usual_names_of_attributes_are_suggested(root: Client) -> None:
    """RFC 2798, RFC 4519, eduPerson, and the claims of Entra ID."""
    assert {
        "NameID", "mail", "givenName", "sn", "displayName", "uid", "urn:oid:0.9.2342.19200300.100.1.3",
        "urn:oid:2.5.4.42", "urn:oid:2.5.4.4", "urn:oid:2.16.840.1.113730.3.1.241", "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    } <= set(suggested(text_of(root, add("SAML"))))  # fmt: skip


def test_what_the_last_sign_ins_brought_is_suggested_whole(root: Client, pool: UserPool) -> None:
    row = provider(pool)
    steps = events.Steps()
    names = [f"http://claims.example.test/identity/claim_number_{number:03}" for number in range(60)]
    steps.note("response verified", claims=", ".join(["aud", "department", *names]))
    attempt(pool, row, steps=steps.taken)
    found = suggested(text_of(root, page(row)))
    # of a token aud speaks of the token; an attribute of SAML may be called anything
    assert {"aud", "department", names[0], names[20]} <= set(found)
    assert len(names[30]) * 60 > events.MAX_CLAIMS
    assert {name for name in found if name.startswith("http://claims.")} <= set(names)


def test_other_facts_are_still_short() -> None:
    steps = events.Steps()
    steps.note("x", "w" * 400, claims="c" * 3000, host="h" * 400)
    assert [len(steps.taken[0][name]) for name in ("words", "claims", "host")] == [300, 2000, 300]


# --- what the provider publishes


def test_the_document_is_told_in_words(root: Client, looker: Client, pool: UserPool) -> None:
    names = {"idp": 3650, "expired": -1, "soon": 20}
    certificates = [saml.pair(name, days=days).certificate for name, days in names.items()]
    document = saml.metadata(*certificates, more=SSO + SLO, attributes=' validUntil="2020-01-02T03:04:05Z"')
    row = provider(pool, MetadataFile=document)
    for browser in (root, looker):
        text = text_of(browser, page(row))
        for words in (
            "What the provider publishes", saml.IDP, "Sign-in by HTTP-Redirect", "https://idp.example.test/sso",
            "Sign-out by HTTP-POST", "https://idp.example.test/slo", "2020-01-02 03:04 UTC", ">over<",
            "It is used all the same", ">expired<", ">expires within 30 days<", ">valid<",
        ):  # fmt: skip
            assert words in text, words
        assert "Fetched" not in text


def test_a_url_that_was_not_fetched_yet_is_said_to_be_one(root: Client, pool: UserPool) -> None:
    row = provider(pool, MetadataURL=URL)
    text = text_of(root, page(row))
    assert "Not fetched yet" in text
    assert '"Test configuration"' in text
    assert f'href="{page(row, "test_configuration")}"' in text


def test_the_kept_copy_is_told_with_its_age_and_the_last_failure(root: Client, pool: UserPool) -> None:
    row = provider(pool, MetadataURL=URL, IDPSignout="true")
    when = timezone.now() - timedelta(hours=7)
    kept = ProviderDocument.objects.create(
        provider=row, kind="saml", url=URL, body=saml.metadata(), fetched_at=when, failure="tls", failed_at=when
    )
    text = text_of(root, page(row))
    for words in (saml.IDP, "Fetched", f"{when:%Y-%m-%d %H:%M} UTC", "Last attempt failed", "SSL_CERT_FILE",
                  '"Sign out at the provider as well" has no effect'):  # fmt: skip
        assert words in text, words
    kept.url = "https://former.example.test/"
    kept.save()
    text = text_of(root, page(row))
    assert "Sign-in by HTTP-Redirect" not in text
    assert "Not fetched yet" in text


@pytest.mark.parametrize("body", ["", "<x/>", "not xml"])
def test_a_copy_that_cannot_be_used_is_no_fault_of_ours(root: Client, pool: UserPool, body: str) -> None:
    row = provider(pool, MetadataURL=URL)
    ProviderDocument.objects.create(
        provider=row, kind="saml", url=URL, body=body, failure="unusable", failed_at=timezone.now()
    )
    assert "Last attempt failed" in text_of(root, page(row))


@pytest.mark.parametrize("details", [{}, {"MetadataFile": "<x/>"}, {"MetadataFile": 7}, {"x": "y"}])
def test_details_that_cannot_be_used_are_no_fault_of_ours(root: Client, pool: UserPool, details: Any) -> None:
    row = factories.make_oidc_provider(pool, provider_type="SAML", provider_details=details)
    assert root.get(page(row)).status_code == 200
    assert root.post(page(row, "test_configuration")).status_code == 200


def test_hostile_metadata_is_only_text(root: Client, looker: Client, pool: UserPool) -> None:
    quoted = html.escape(HOSTILE)
    row = provider(pool, MetadataFile=saml.metadata(entity_id=quoted))
    for browser in (root, looker):
        raw = browser.get(page(row)).content.decode()
        assert "<script>alert(1)" not in raw
        assert "&lt;script&gt;alert(1)" in raw
    raw = root.post(page(row, "test_configuration")).content.decode()
    assert "<script>alert(1)" not in raw
    assert "&lt;script&gt;alert(1)" in raw


# --- testing a configuration


def test_a_provider_is_tested_by_who_may_change_it(root: Client, looker: Client, pool: UserPool) -> None:
    row = provider(pool)
    url = page(row, "test_configuration")
    assert "its metadata, unless the settings hold the document itself" in text_of(root, url)
    assert "Every signing certificate" not in html.unescape(root.post(url).content.decode())
    assert url not in text_of(looker, page(row))
    assert [looker.get(url).status_code, looker.post(url).status_code] == [403, 403]
    careful = console.browser(console.operator(name="careful", superuser=True), enforce_csrf_checks=True)
    assert careful.post(url).status_code == 403


# --- key pairs


def pair(pool: UserPool, use: str = "signing") -> tuple[SamlKey, SamlKey]:
    return saml_keys.active(pool, use), saml_keys.prepare(pool, use)


def test_keys_say_what_they_do_and_never_their_private_half(root: Client, looker: Client, pool: UserPool) -> None:
    for use in ("signing", "encryption"):
        pair(pool, use)
        saml_keys.activate(pool, use)
        saml_keys.prepare(pool, use)
    assert f'href="{KEYS}"' in text_of(looker, "/admin/")
    for browser in (root, looker):
        text = text_of(browser, KEYS)
        for words in ("in use", "next, published", "retired, still decrypts", "signs requests", "decrypts assertions"):
            assert words in text, words
        for key in SamlKey.objects.all():
            text = text_of(browser, page(key))
            assert key.fingerprint in text
            assert fingerprint(copied(browser, page(key))["PEM"]) == key.fingerprint
            assert "PRIVATE" not in text
            assert 'name="_save"' not in text
            assert f"{key.not_after:%Y-%m-%d}" in text
    assert browser.get(f"{KEYS}add/").status_code == 403


@pytest.mark.parametrize(("days", "words"), [(-1, "expired"), (20, "within 30 days"), (400, "")])
def test_an_end_that_is_near_is_marked(root: Client, pool: UserPool, days: int, words: str) -> None:
    key = saml_keys.active(pool, "signing")
    SamlKey.objects.filter(pk=key.pk).update(not_after=timezone.now() + timedelta(days=days))
    text = text_of(root, KEYS)
    marks = [word for word in ("expired", "within 30 days") if f'console-verdict">{word}<' in text]
    assert marks == ([words] if words else [])


@pytest.mark.parametrize("use", ["signing", "encryption"])
def test_a_key_is_prepared_takes_over_and_the_old_one_is_removed(root: Client, pool: UserPool, use: str) -> None:
    active = saml_keys.active(pool, use)
    text = text_of(root, page(active, "prepare_next"))
    assert "Register the new certificate at every SAML provider" in text
    assert saml_keys.upcoming(pool, use) is None
    for _ in range(2):
        assert root.post(page(active, "prepare_next")).status_code == 302
    coming = saml_keys.upcoming(pool, use)
    assert coming is not None
    text = text_of(root, page(coming, "let_it_take_over"))
    assert coming.fingerprint in text
    assert "register the certificate at every provider" in text
    assert root.post(page(coming, "let_it_take_over")).status_code == 302
    assert saml_keys.active(pool, use) == coming
    text = text_of(root, page(active, "remove_pair"))
    assert ("can sign nobody in" if use == "encryption" else "its private key is gone already") in text
    response = root.post(page(active, "remove_pair"))
    assert response["Location"] == KEYS
    assert [*SamlKey.objects.all()] == [coming]
    told = AuditEvent.objects.order_by("id").values_list("action", "target_type", "changes")
    assert [*told] == [
        ("prepare SAML key", "SAML key", {"fingerprint": [None, coming.fingerprint]}),
        ("activate SAML key", "SAML key", {"fingerprint": [active.fingerprint, coming.fingerprint]}),
        ("remove SAML key", "SAML key", {"fingerprint": [active.fingerprint, None]}),
    ]


def test_a_key_has_the_operations_that_fit_what_it_does(root: Client, pool: UserPool) -> None:
    active, coming = pair(pool)
    names = ("prepare_next", "let_it_take_over", "remove_pair")
    for key, fitting in ((active, names[:1]), (coming, names[1:])):
        text = text_of(root, page(key))
        assert [name for name in names if f'href="{page(key, name)}"' in text] == [*fitting]
        for name in names:
            assert root.get(page(key, name)).status_code == (200 if name in fitting else 404)
        assert root.post(page(key, "remove_pair")).status_code == (302 if key == coming else 404)


@pytest.mark.parametrize("code", ["add", "change", "delete"])
def test_each_operation_needs_its_own_permission_and_a_form_of_ours(looker: Client, pool: UserPool, code: str) -> None:
    active, coming = pair(pool)
    wanted = {
        "add": (active, "prepare_next"),
        "change": (coming, "let_it_take_over"),
        "delete": (coming, "remove_pair"),
    }
    writer = console.operator("view_samlkey", f"{code}_samlkey", name="writer")
    for name, (key, operation) in wanted.items():
        url = page(key, operation)
        assert [looker.get(url).status_code, looker.post(url).status_code] == [403, 403]
        assert url not in text_of(looker, page(key))
        mine = console.browser(writer)
        assert mine.get(url).status_code == (200 if name == code else 403)
        assert (url in text_of(mine, page(key))) is (name == code)
        assert console.browser(writer, enforce_csrf_checks=True).post(url).status_code == 403
    assert SamlKey.objects.count() == 2
    assert not AuditEvent.objects.exists()


def test_permissions_are_there_to_tick(root: Client) -> None:
    target = console.operator(name="target")
    response = root.get(f"/admin/accounts/operator/{target.pk}/change/")
    labels = {str(label) for _, label in response.context["adminform"].form["user_permissions"].field.choices}
    assert {f"SAML key: {verb}" for verb in ("view", "add", "change", "delete")} <= labels
    assert {label for label in labels if label.startswith("event: ")} == {"event: view", "event: export"}


# --- attempts

MESSAGE = '<samlp:Response>\n  <saml:Issuer>"&gt;</saml:Issuer><script>alert(1)</script>\n</samlp:Response>'


def test_a_refused_message_is_shown_as_text(looker: Client, pool: UserPool) -> None:
    row = attempt(pool, provider(pool), reason="audience", document=MESSAGE)
    raw = looker.get(page(row)).content.decode()
    assert html.escape(MESSAGE) in raw
    assert "<script>alert(1)" not in raw
    assert event_words.WORDS["audience"] in html.unescape(raw)
    assert copied(looker, page(row)) == {"SAML message. Values that speak of the person are left out.": MESSAGE}
    assert "What the provider sent" not in text_of(looker, page(attempt(pool, provider(pool, "Other"))))


def test_a_sign_out_that_a_provider_began_is_an_event_of_its_own(root: Client, looker: Client, pool: UserPool) -> None:
    row = provider(pool)
    attempt(pool, row, outcome=Outcome.SUCCEEDED, reason="")
    out = attempt(pool, row, event_type=EventType.SIGN_OUT, outcome=Outcome.SUCCEEDED, reason="", subject="ada")
    attempt(pool, row, event_type=EventType.SIGN_OUT, reason="logout_signature")
    text = text_of(looker, page(out))
    assert "Sign-out" in text
    assert "What that means" not in text
    response = looker.get("/admin/accounts/authevent/", {"event_type__exact": "SignOut", "outcome__exact": "succeeded"})
    assert [one.pk for one in response.context["cl"].result_list] == [out.pk]
    # a sign-out is no sign-in
    assert "Signed in " in text_of(root, "/admin/accounts/identityprovider/")


@pytest.mark.parametrize(
    "reason", ["metadata_tls", "metadata_unusable", "logout_status", "relay_state", "conditions_never"]
)
def test_a_reason_of_saml_is_told(looker: Client, pool: UserPool, reason: str) -> None:
    row = attempt(pool, provider(pool), reason=reason)
    assert event_words.why(reason)
    assert event_words.why(reason) in text_of(looker, page(row))


# --- app clients


@pytest.mark.parametrize(
    ("begins_there", "others", "noted"),
    [("true", "pool", True), ("true", "oidc", True), ("true", "", False), ("false", "pool", False)],
)
def test_an_app_with_other_ways_to_sign_in_is_told_that_it_gets_no_sign_ins_from_there(
    root: Client, looker: Client, pool: UserPool, app_client: AppClient, begins_there: str, others: str, noted: bool
) -> None:
    corp = provider(pool, MetadataFile=saml.metadata(), IDPInit=begins_there)
    oidc = factories.make_oidc_provider(pool, "Partner")
    providers = [str(corp.pk), *([str(oidc.pk)] if others == "oidc" else [])]
    changes = {"identity_providers": providers, "cognito_sign_in": "on" if others == "pool" else None}
    response = root.post(page(app_client), console.values(root, page(app_client), **changes), follow=True)
    words = "A sign-in that begins at Corp is refused for this app"
    assert response.redirect_chain
    assert (words in html.unescape(response.content.decode())) is noted
    for browser in (root, looker):
        assert (words in text_of(browser, page(app_client))) is noted


def test_nothing_that_the_server_writes_itself_can_be_posted(root: Client, pool: UserPool) -> None:
    row = attempt(pool, provider(pool), document=MESSAGE)
    assert root.post(page(row), {"document": "x"}).status_code == 403
    assert AuthEvent.objects.get().document == MESSAGE


def test_a_session_that_an_operator_ends_is_over_and_still_found_by_the_provider(root: Client, pool: UserPool) -> None:
    """Its row leads from a sign-out at the provider to the grants; the list shows live sessions."""
    partner, user = provider(pool), factories.make_user(pool)
    session = signed_in(Client(), user, partner)
    SignInSession.objects.update(name_id="ada", session_index="_1")
    listed = "/admin/accounts/signinsession/"
    assert f"{listed}{session.pk}/" in root.get(listed).content.decode()
    assert root.post(page(session, "end")).status_code == 302
    assert f"{listed}{session.pk}/" not in root.get(listed).content.decode()
    assert SignInSession.objects.get().expires_at <= timezone.now()
    assert sessions.end_at_provider(partner, "ada", ["_1"]) == [user]
    assert not SignInSession.objects.exists()
