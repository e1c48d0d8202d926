"""Forms at ``/saml2/idpresponse`` that are not as they should be: twice, too much, another way, another method."""

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import (
    AuthEvent,
    SignInRequest,
    UserPool,
)
from tests.browser_like import FORM
from tests.fakes.saml import Message
from tests.fakes.saml_browser import answering, leave, post
from tests.security.saml.at_pool import (
    BASE,
    PATH,
    lost,
    nobody_came_in,
    refused,
)
from tests.security.saml.documents import bomb
from tests.wire.helpers import sent_to_app

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "state", ["", "x", "x" * 42, "x" * 43, "x" * 44, "x" * 5000, "a\nb", "ä" * 43, "https://evil.example.test/"]
)
def test_a_relay_state_that_is_none_of_ours_is_told_here(
    http: Client, pool: UserPool, query: dict[str, str], state: str
) -> None:
    message = answering(leave(http, query), pool, BASE)
    lost(http, post(http, message, state), "invalid_relay_state", "state_unknown")


def raw(browser: Client, body: str | bytes, content_type: str = FORM, **extra: Any) -> HttpResponse:
    return browser.post(PATH, body, content_type=content_type, **extra)


def forms(text: str, state: str) -> dict[str, str]:
    """Bodies that say something twice, or in a way that two readers may read in two ways."""
    response, evil = urlencode({"SAMLResponse": text}), urlencode({"SAMLResponse": Message().encoded()})
    return {
        "RelayState with NUL": f"{response}&RelayState={state}%00",
        "RelayState twice": f"{response}&RelayState={state}&RelayState={state}",
        "SAMLResponse twice": f"{response}&{evil}&RelayState={state}",
        "SAMLResponse twice, the same": f"{response}&{response}&RelayState={state}",
        "something else twice": f"{response}&RelayState={state}&a=1&a=2",
        "not UTF-8": f"{response}&RelayState={state}&a=%ff",
        "too many fields": f"{response}&RelayState={state}" + "&a=" * 70,
        "larger than 320,000": f"{response}&RelayState={state}&a=" + "x" * 320_000,
        "20 megabytes": f"{response}&RelayState={state}&a=" + "x" * 20_000_000,
    }


@pytest.mark.parametrize("name", forms("", ""))
def test_a_form_that_says_something_twice_or_too_much_is_told_here(
    http: Client, pool: UserPool, query: dict[str, str], name: str
) -> None:
    request = leave(http, query)
    text = answering(request, pool, BASE).encoded()
    page = "too_large" if name in ("larger than 320,000", "20 megabytes") else "invalid_request"
    lost(http, raw(http, forms(text, request.relay_state)[name]), page)
    assert [(event.reason, event.document, event.steps) for event in AuthEvent.objects.all()] == [
        ("invalid_request", "", [])
    ]
    sent_to_app(post(http, text, request.relay_state))  # nothing was spent


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data; boundary=x", "text/xml", "application/json", "text/plain"]
)
def test_another_media_type_is_not_read(http: Client, pool: UserPool, query: dict[str, str], content_type: str) -> None:
    request = leave(http, query)
    fields = {"SAMLResponse": answering(request, pool, BASE).encoded(), "RelayState": request.relay_state}
    lost(http, raw(http, urlencode(fields), content_type), "invalid_request")


@pytest.mark.parametrize("length", ["20000000", "-1", "x", "999999999999999999999"])
def test_what_says_that_it_is_too_large_is_not_read(
    http: Client, query: dict[str, str], length: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The length is believed before a byte of the body is."""

    def refuse(*_: Any) -> bytes:
        raise AssertionError("the body is not to be read")

    monkeypatch.setattr("django.core.handlers.wsgi.WSGIRequest.read", refuse)
    monkeypatch.setattr("django.core.handlers.wsgi.WSGIRequest.body", property(refuse))
    page = "too_large" if length.isdigit() else "invalid_request"
    lost(http, raw(http, "SAMLResponse=x", CONTENT_LENGTH=length), page)


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head", "options"])
def test_no_other_method_is_taken(http: Client, pool: UserPool, query: dict[str, str], method: str) -> None:
    """HTTP-Redirect would need an own signature, and an inflated message (saml-bindings 3.4.4.1)."""
    request = leave(http, query)
    fields = {"SAMLResponse": answering(request, pool, BASE).encoded(), "RelayState": request.relay_state}
    response = getattr(http, method)(f"{PATH}?{urlencode(fields)}")
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert SignInRequest.objects.get().consumed_at is None


def test_parameters_of_the_query_are_none(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    request = leave(http, query)
    text = answering(request, pool, BASE).encoded()
    response = http.post(f"{PATH}?RelayState={request.relay_state}", urlencode({"SAMLResponse": text}), FORM)
    lost(http, response, "invalid_relay_state", "state_unknown")


@pytest.mark.parametrize("more", [{"SAMLRequest": "x"}, {"SAMLart": "x"}, {"SAMLEncoding": "x"}, {"error": "x"}])
def test_what_else_is_in_the_form_changes_nothing(
    http: Client, pool: UserPool, query: dict[str, str], more: dict[str, str]
) -> None:
    request = leave(http, query)
    refused(post(http, answering(request, pool, BASE, audience="x"), request.relay_state, **more), "audience")
    request = leave(http, query)
    assert "code" in sent_to_app(post(http, answering(request, pool, BASE), request.relay_state, **more))


def test_a_request_alone_is_no_response(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    request = leave(http, query)
    text = answering(request, pool, BASE).encoded()
    response = raw(http, urlencode({"SAMLRequest": text, "RelayState": request.relay_state}))
    refused(response, "not_xml")


def test_a_deflated_body_is_not_inflated(http: Client, pool: UserPool, query: dict[str, str]) -> None:
    """Neither by the form's encoding nor by the transport's."""
    request = leave(http, query)
    body = f"RelayState={request.relay_state}&SAMLResponse={quote(bomb()[:40_000])}"
    response = http.post(PATH, body, content_type=FORM, headers={"content-encoding": "deflate"})
    assert response.status_code == 302
    nobody_came_in(response)
