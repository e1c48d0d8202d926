"""``/error``: what went wrong, said to a person; it reflects nothing.

W 3.6 (status 400, HTML), W 9.1: a request id that an operator can look up. OWASP: content injection.
"""

import logging
import re
from urllib.parse import urlencode, urlsplit

import pytest
from django.core import signing
from django.test import Client

from accounts.models import AppClient, UserPool
from tests.wire.helpers import ask, inline_code, query_of, single

pytestmark = pytest.mark.django_db
POISON = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{ 7*7 }}{% debug %}",
    "Your account is locked, call +1 555 0100",
    "\x00\x1b[31m\r\nX-Injected: 1",
    "é😀\u202e",
    "x" * 5_000,
]
PARAMETERS = [
    "error",
    "error_description",
    "error_uri",
    "client_id",
    "request_id",
    "redirect_uri",
    "state",
    "message",
    "next",
]


@pytest.mark.parametrize("poison", POISON, ids=lambda value: repr(value[:16]))
def test_nothing_of_the_address_is_shown(http: Client, pool: UserPool, poison: str) -> None:
    for name in PARAMETERS:
        response = http.get("/error?" + urlencode({"error": "redirect_mismatch"} | {name: poison}))
        text = response.content.decode()
        assert response.status_code == 400
        assert response["Content-Type"] == "text/html; charset=utf-8"
        assert poison not in text, name
        assert poison[:12].strip("\x00") not in text, name
        assert "X-Injected" not in response
        assert "Location" not in response


def test_the_raw_query_does_no_harm(http: Client, pool: UserPool) -> None:
    for query in ("%ff", "error=%ff%fe", "error", "&&&", "error=a&error=b", "%", "error[]=x", "x" * 10_000):
        assert http.get("/error?" + query).status_code == 400


@pytest.mark.parametrize("code", ["redirect_mismatch", "invalid_client", "invalid_request", "logout_mismatch"])
def test_each_code_has_words_of_its_own(http: Client, pool: UserPool, code: str) -> None:
    text = http.get(f"/error?error={code}").content.decode()
    assert f"<code>{code}</code>" in text
    assert "<h1>" in text


@pytest.mark.parametrize("code", ["", "nonsense", "__class__", "REDIRECT_MISMATCH", "constructor"])
def test_an_unknown_code_gets_the_general_words(http: Client, pool: UserPool, code: str) -> None:
    text = http.get("/error?" + urlencode({"error": code})).content.decode()
    assert "<code>invalid_request</code>" in text


def test_the_request_id_on_the_page_is_the_one_in_the_log(
    http: Client, app_client: AppClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Issue 2 section 3: the id leads an operator to the refusal."""
    with caplog.at_level(logging.INFO):
        refusal = ask(http, query_of(app_client, redirect_uri="https://evil.example.test/"))
    request_id = refusal["x-amz-cognito-request-id"]
    page = http.get(refusal["Location"])
    shown = re.search(r'<code id="request-id">([^<]+)</code>', page.content.decode())
    assert shown
    assert shown[1] == request_id != page["x-amz-cognito-request-id"]
    assert [record for record in caplog.records if "redirect_mismatch" in record.getMessage()]


@pytest.mark.parametrize("signed", ["", "11111111-1111-1111-1111-111111111111", "x:y", "11111111:é", ":", "a" * 5_000])
def test_a_request_id_that_this_server_did_not_sign_is_not_shown(http: Client, pool: UserPool, signed: str) -> None:
    others = [signed, signing.Signer(salt="other").sign("spoofed"), signing.Signer().sign("spoofed")]
    for value in others:
        response = http.get("/error?" + urlencode({"error": "invalid_request", "request_id": value}))
        text = response.content.decode()
        assert response["x-amz-cognito-request-id"] in text
        assert "spoofed" not in text
        assert "11111111" not in text


def test_the_refusal_hands_on_the_code_the_client_and_the_request_id_alone(http: Client, app_client: AppClient) -> None:
    """W 3.6: /error?error=redirect_mismatch&client_id=<id>."""
    query = query_of(app_client, redirect_uri="https://evil.example.test/", state="secret-state", nonce="secret-nonce")
    refusal = ask(http, query)
    fields = single(urlsplit(refusal["Location"]).query)
    assert set(fields) == {"error", "client_id", "request_id"}
    assert fields["client_id"] == app_client.client_id
    assert "evil" not in refusal["Location"]
    assert "secret" not in refusal["Location"]


def test_the_page_of_an_unknown_path_is_a_404_that_reflects_nothing(http: Client, pool: UserPool) -> None:
    response = http.get("/<script>alert(1)</script>")
    assert response.status_code == 404
    assert b"<script>alert" not in response.content
    assert b"alert(1)" not in response.content


def test_there_is_no_inline_script_or_style(http: Client, pool: UserPool) -> None:
    assert inline_code(http.get("/error?error=redirect_mismatch")) == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_is_only_ever_read(http: Client, pool: UserPool, method: str) -> None:
    assert http.generic(method, "/error").status_code == 405
    assert http.head("/error").content == b""
