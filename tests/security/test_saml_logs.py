"""Nothing secret of a sign-in or sign-out through SAML in a log line or in a record that operators read.

An assertion is a bearer token until it is used, and says who somebody is (saml-sec-consider-2.0 7.1.1); pysaml2 and
djangosaml2 log whole messages, and quote them in exceptions. The ear of tests/security/test_logs.py hears every logger
at DEBUG.
"""

import base64
from typing import Any

import pytest
from django.test import Client
from lxml import etree

from accounts import events, saml_keys
from accounts.models import AppClient, AuditEvent, AuthEvent, SignInRequest, SignOutRequest, UserPool
from accounts.models.saml import KeyUse
from tests import factories
from tests.fakes import saml, saml_browser
from tests.fakes.saml import metadata
from tests.fakes.saml_browser import Logout, answering, endpoints, leave, nobody_asked, post, post_logout, relay
from tests.security.test_logs import Listener, heard  # noqa: F401 - a fixture
from tests.wire.helpers import query_of

pytestmark = pytest.mark.django_db
BASE = "https://demo.auth.example.test"
EMAIL, NAME, NAME_ID = "ada.lovelace@private.example.test", "Augusta Ada King", "persistent-name-of-ada"
MESSAGES: list[dict[str, Any]] = [
    {},
    {"audience": "urn:other"},
    {"signer": "stranger"},
    {"encryption": {}, "encrypt_to": "stranger"},
    {"in_response_to": "_another"},
    {"issued": -4000},
    {"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"},
    {"after": lambda root: root.append(etree.Comment(EMAIL))},
    {"after": lambda root: saml.find(root, ".//saml:NameID").set("Format", "x")},
    {"conditions": False},
    {"before": lambda root: etree.SubElement(root, "unknown").set("name", NAME)},
]


def test_no_log_line_and_no_record_holds_a_secret(
    pool: UserPool,
    app_client: AppClient,
    heard: Listener,  # noqa: F811 - the fixture
) -> None:
    events.forget_early()
    client = factories.make_client(pool, client_id="5exampleclient23456789abcd", cognito_sign_in=False)
    document = metadata(more=endpoints(slo="Redirect POST"))
    saml_browser.register(pool, app_client, client, document=document, IDPInit="true", IDPSignout="true")
    found = {EMAIL, NAME, NAME_ID}
    found |= {saml_keys.active(pool, use).private_key.split("\n")[1] for use in KeyUse.values}

    def remember(encoded: str) -> str:
        found.add(encoded)
        for element in etree.fromstring(base64.b64decode(encoded)).iter(f"{{{saml.NS['ds']}}}SignatureValue"):
            found.add((element.text or "").strip().split("\n")[0])
        return encoded

    who = {"name_id": NAME_ID, "attributes": {"email": [EMAIL], "name": [NAME]}}
    for changes in MESSAGES:
        browser = Client(headers={"host": "demo.auth.example.test"})
        request = leave(browser, query_of(app_client, identity_provider="Corp"))
        found |= {request.relay_state, *(morsel.value for morsel in browser.cookies.values())}
        values = changes | {name: saml.pair(value) for name, value in changes.items() if value == "stranger"}
        post(browser, remember(answering(request, pool, BASE, **who | values).encoded()), request.relay_state)
        found |= {morsel.value for morsel in browser.cookies.values() if morsel.value}
    browser = Client(headers={"host": "demo.auth.example.test"})
    post(browser, remember(nobody_asked(pool, BASE, **who).encoded()), relay(client))
    browser.get(f"/logout?client_id={client.client_id}&logout_uri={factories.LOGOUT}")
    for values in ({}, {"signed": False}, {"destination": "https://x.example.test"}, {"name_id": None}):
        here = {"destination": f"{BASE}/saml2/logout", "name_id": NAME_ID, "id": f"_{len(found)}"}
        post_logout(browser, remember(Logout(**here | values).encoded()), kind="SAMLRequest")

    def leaked_in(text: str) -> list[str]:
        return sorted(secret for secret in found if secret in text)

    assert len(found) > 40
    assert "userpool.events" in heard.loggers
    for line in heard.lines:
        assert leaked_in(line) == [], line[:300]
    assert AuthEvent.objects.count() >= len(MESSAGES) + 3
    for row in AuthEvent.objects.values():
        # who it was is what an operator looks for, once a signature says so
        known = {NAME_ID} if row["outcome"] != "refused" else set()
        assert set(leaked_in(repr(row))) <= known, row
    for model in (AuditEvent, SignOutRequest):
        for row in model._default_manager.values():
            assert leaked_in(repr(row)) == [], row
    for row in SignInRequest.objects.values():
        assert leaked_in(repr({**row, "upstream_state": ""})) == []
