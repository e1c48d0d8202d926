"""The ear of the journeys (tests/flows/hygiene.py): it finds a secret wherever it travels, in whatever form it leaks.

RFC 6749 4.1.2 (code in a redirect), 4.1.3 and 2.3.1 (form, Basic), 5.1 (JSON); RFC 6265 4 (cookies);
saml-bindings-2.0 3.5.
"""

import base64

import pytest

from accounts import opaque
from tests.fakes import saml
from tests.flows import hygiene

CODE = "c0de/with+signs=and-more"
IN_A_URL = "c0de%2Fwith%2Bsigns%3Dand-more"
TOKEN = "eyJraWQiOiJ4In0.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
FORM, JSON, HTML = "application/x-www-form-urlencoded", "application/json;charset=UTF-8", "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("environ", "sent", "headers", "body"),
    [
        ({"QUERY_STRING": "code=a-secret-value&x=1"}, b"", [], b""),
        ({"CONTENT_TYPE": FORM}, b"grant_type=refresh_token&refresh_token=a-secret-value", [], b""),
        ({"HTTP_COOKIE": "one=1; userpool=a-secret-value"}, b"", [], b""),
        ({"HTTP_AUTHORIZATION": "Bearer a-secret-value"}, b"", [], b""),
        (
            {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"client:a-secret-value").decode()},
            b"",
            [],
            b"",
        ),
        ({}, b"", [("Set-Cookie", "userpool=a-secret-value; Path=/; Secure")], b""),
        ({}, b"", [("Location", "https://app.example.test/callback?code=a-secret-value")], b""),
        ({}, b"", [("Location", "https://app.example.test/callback#access_token=a-secret-value")], b""),
        ({}, b"", [("Content-Type", JSON)], b'{"of": [{"access_token": "a-secret-value"}]}'),
        ({}, b"", [("Content-Type", HTML)], b'<input type="hidden" name="proof" value="a-secret-value">'),
        ({"CONTENT_TYPE": FORM}, b"RelayState=state%3Da-secret-value", [], b""),
    ],
)
def test_a_secret_is_found_wherever_it_travels(
    environ: dict[str, str], sent: bytes, headers: list[tuple[str, str]], body: bytes
) -> None:
    assert "a-secret-value" in set(hygiene.of_exchange(environ, sent, headers, body))


def test_what_an_assertion_says_is_secret_as_well() -> None:
    encoded = saml.Message(name_id="name-of-ada", attributes={"email": ["ada@private.example.test"]}).encoded()
    found = set(hygiene.of_fields([("SAMLResponse", encoded)]))
    assert {encoded, "name-of-ada", "ada@private.example.test"} <= found
    assert list(hygiene.of_fields([("SAMLResponse", "no base64")])) == ["no base64"]


@pytest.mark.parametrize(
    "line",
    [CODE, "GET /callback?code=c0de%2Fwith%2Bsigns%3Dand-more", f"digest {opaque.digest(CODE)}", f"token {TOKEN}"],
)
def test_a_line_with_a_secret_is_told(line: str) -> None:
    (leak,) = hygiene.leaks(f"nothing here\n{line}\nnor here", [CODE, "short"])
    assert line[:400] in leak


def test_a_line_without_one_is_not() -> None:
    assert hygiene.leaks('{"message": "short words, kid eyJhbGciOi, a dot."}', [CODE, "short"]) == []
