"""The whole corpus, posted to ``/saml2/idpresponse`` as the answer to a request that this server made (W 8.3).

Each case is refused for the reason that ``read`` gives, the app is told in Cognito's form, nobody comes in, nothing of
the document is kept or logged, and the next honest answer is accepted.
"""

import base64
import re

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import AppClient, AuthEvent, IdentityProvider, UserPool
from tests.browser_like import FORM
from tests.fakes.saml_browser import answering, leave, post
from tests.security.saml import catalogue
from tests.security.saml.at_pool import (
    BASE,
    last_refusal,
    nobody_came_in,
    sign_in_honestly,
    told_in,
)
from tests.security.saml.corpus import FORMS, INVALID, Case, hostile
from tests.security.test_logs import Listener, heard  # noqa: F401 - a fixture
from tests.wire.helpers import on_error_page, query_of, sent_to_app, set_values

MUCH = 1_000_000
pytestmark = pytest.mark.django_db
SIGNATURES = re.compile(rb"(?:SignatureValue|DigestValue|CipherValue|X509Certificate)>\s*([^<\s]{16,80})")


def written_in(text: str) -> list[str]:
    """Return what a leak would show: the beginning of the field, and of each value of a signature or a ciphertext."""
    try:
        octets = base64.b64decode(text)
    except ValueError:
        octets = b""
    return [*([text[:60]] if len(text) > 60 else []), *(found.decode() for found in SIGNATURES.findall(octets))]


def asked_by(case: Case, client: AppClient) -> dict[str, str]:
    query = query_of(client, identity_provider="Corp")
    return query | {"prompt": "login"} if case.provider.get("forced") else query


def post_much(browser: Client, text: str, relay_state: str) -> HttpResponse:
    """Post what needs no encoding, without spending seconds on it."""
    body = f"RelayState={relay_state}&SAMLResponse={text}".encode()
    return browser.post("/saml2/idpresponse", body, content_type=FORM)


@pytest.mark.parametrize("name", catalogue.ALL)
def test_a_hostile_response_lets_nobody_in_and_is_kept_by_nobody(
    name: str,
    http: Client,
    pool: UserPool,
    app_client: AppClient,
    provider: IdentityProvider,
    heard: Listener,  # noqa: F811 - the fixture
) -> None:
    case = catalogue.ALL[name]
    if case.provider.get("encrypted"):
        set_values(provider, provider_details=provider.provider_details | {"EncryptedResponses": "true"})
    request = leave(http, asked_by(case, app_client))
    text = hostile(case, answering(request, pool, BASE, **FORMS[case.form]))
    response = post(http, text, request.relay_state) if len(text) < MUCH else post_much(http, text, request.relay_state)
    nobody_came_in(response)
    if case.endpoint == "page":
        assert on_error_page(http, response) == ("too_large" if len(text) > MUCH else "invalid_request")
        assert [(event.reason, event.document, event.steps) for event in AuthEvent.objects.all()] == [
            ("invalid_request", "", [])
        ]
    else:
        told = sent_to_app(response)
        assert (told["error"], told["state"]) == ("server_error", "xyz")
        assert told["error_description"].startswith(INVALID)
        if case.words:
            assert told["error_description"] == case.words
        attempt = last_refusal(case.reason)
        assert AuthEvent.objects.count() == 1
        assert (attempt.error, attempt.subject, attempt.provider_name) == ("server_error", "", "Corp")
        assert told_in(f"{attempt.document} {attempt.steps} {attempt.description}", *written_in(text)) == []
    assert told_in(response.get("Location", ""), *written_in(text)) == []
    assert told_in(response.content.decode(), *written_in(text)) == []
    for line in heard.lines:
        assert told_in(line, *written_in(text)) == [], line[:300]
    assert not [line for line in heard.lines if "Traceback" in line]


@pytest.mark.parametrize("form", FORMS)
def test_an_honest_response_of_each_form_is_accepted_after_all_of_them(
    form: str, http: Client, pool: UserPool, app_client: AppClient, provider: IdentityProvider
) -> None:
    for case in [case for case in catalogue.CASES if case.form == form and not case.provider and not case.endpoint][
        ::9
    ]:
        request = leave(http, query_of(app_client, identity_provider="Corp"))
        response = post(http, hostile(case, answering(request, pool, BASE, **FORMS[form])), request.relay_state)
        assert "error" in sent_to_app(response)
    sign_in_honestly(http, pool, app_client, **FORMS[form])
