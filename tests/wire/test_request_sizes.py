"""What is too large or too long: a clear 413 or 414, from every endpoint, before anything is done with it.

RFC 9110 15.5.14 (413) and 15.5.15 (414); RFC 6749 5.2 (the code in the JSON); W 1.4 and 8.3 (a SAMLResponse has at most
100,000 characters, which a form may spell with three each); userInfo page (its errors come in WWW-Authenticate too).
"""

import logging
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import AppClient, UserPool
from federation import parameters
from tests import factories
from tests.browser_like import FORM
from tests.wire.helpers import query_of

pytestmark = pytest.mark.django_db
MACHINES = ("/oauth2/token", "/oauth2/revoke", "/oauth2/userInfo")
FORMS = ("/oauth2/authorize", "/logout", "/oauth2/idpresponse")
SAML = ("/saml2/idpresponse", "/saml2/logout")
ANSWERS_AT_ONCE = pytest.mark.parametrize("length", ["", "9" * 30], ids=["its true length", "no length that could be"])


def sent(http: Client, path: str, size: int, length: str = "") -> HttpResponse:
    extra = {"CONTENT_LENGTH": length} if length else {}
    return http.generic("POST", path, b"a=" + b"x" * (size - 2), content_type=FORM, **extra)


def is_page(response: HttpResponse, status: int) -> None:
    text = response.content.decode()
    assert response.status_code == status
    assert "<h1>This request is too large</h1>" in text
    assert f'<code id="request-id">{response["x-amz-cognito-request-id"]}<' in text
    assert "form-action 'self'" in response["Content-Security-Policy"]
    assert "Location" not in response
    assert "xxxx" not in text


@ANSWERS_AT_ONCE
@pytest.mark.parametrize("path", MACHINES)
def test_programs_are_told_in_json(http: Client, pool: UserPool, path: str, length: str) -> None:
    assert sent(http, path, parameters.MAX_BODY).status_code == 400  # read, and refused for what it says
    response = sent(http, path, parameters.MAX_BODY + 1, length)
    assert response.status_code == 413
    assert response.json()["error"] == "invalid_request"
    assert response["Access-Control-Allow-Origin"] == "*"


@ANSWERS_AT_ONCE
@pytest.mark.parametrize("path", FORMS)
def test_people_are_told_on_a_page(http: Client, pool: UserPool, path: str, length: str) -> None:
    assert sent(http, path, parameters.MAX_BODY).status_code == 302  # to the error page
    is_page(sent(http, path, parameters.MAX_BODY + 1, length), 413)


@pytest.mark.parametrize("path", SAML)
def test_a_saml_message_may_be_as_large_as_cognitos(http: Client, pool: UserPool, path: str) -> None:
    assert sent(http, path, parameters.MAX_SAML_BODY).status_code in (302, 400)
    is_page(sent(http, path, parameters.MAX_SAML_BODY + 1), 413)


def test_the_sign_in_form_is_bounded_as_well(
    http: Client, app_client: AppClient, caplog: pytest.LogCaptureFixture
) -> None:
    login = "/login?" + urlencode(query_of(app_client))
    with caplog.at_level(logging.INFO):
        is_page(sent(http, login, parameters.MAX_SAML_BODY + 1), 413)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("path", ["/oauth2/authorize", "/authorize", "/login", "/logout", "/oauth2/idpresponse"])
def test_a_query_that_is_too_long_is_414(http: Client, app_client: AppClient, path: str) -> None:
    query = urlencode(query_of(app_client) | {"x": ""})
    fits = f"{path}?{query}{'x' * (parameters.MAX_QUERY - len(query))}"
    assert http.get(fits).status_code in (200, 302)
    is_page(http.get(f"{fits}x"), 414)


def test_programs_bear_any_query(http: Client, pool: UserPool) -> None:
    """Nothing of it is read there."""
    for path in MACHINES:
        assert http.post(f"{path}?{'x' * 20_000}").status_code == 400


def test_nobody_is_sent_to_an_app_with_what_is_too_long(http: Client, app_client: AppClient) -> None:
    """The client and the redirect_uri are not proven yet."""
    query = urlencode(query_of(app_client, state="x" * parameters.MAX_QUERY))
    is_page(http.get(f"/oauth2/authorize?{query}"), 414)
    assert http.post("/oauth2/authorize", query, content_type=FORM)["Location"].startswith(factories.CALLBACK)
