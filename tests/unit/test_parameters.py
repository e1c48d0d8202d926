"""Request parameters are decoded strictly.

RFC 6749 3.1 and 3.2 (a parameter without a value was not sent; none is repeated) and appendix B (form encoding, UTF-8);
the URL standard, application/x-www-form-urlencoded.
"""

import pytest
from django.test import RequestFactory

from federation import parameters
from federation.errors import InvalidRequest
from federation.parameters import FORM

DECODED = [
    ("", {}),
    ("a=b", {"a": "b"}),
    ("a=b&c=d", {"a": "b", "c": "d"}),
    ("a=b+c%20d%2Be", {"a": "b c d+e"}),
    ("a=%C3%A9%F0%9F%98%80", {"a": "é😀"}),
    ("a=b=c==", {"a": "b=c=="}),
    ("a", {}),
    ("a=", {}),
    ("=a", {"": "a"}),
    ("&&a=b&&", {"a": "b"}),
    ("a=%zz%", {"a": "%zz%"}),
    ("a=b;c=d", {"a": "b;c=d"}),
    ("A=b&a=c", {"A": "b", "a": "c"}),
    ("a%5B%5D=b", {"a[]": "b"}),
    ("a=%0D%0A", {"a": "\r\n"}),
    ("a=%EF%BB%BFb", {"a": "\ufeffb"}),
    ("__class__=x", {"__class__": "x"}),
]


@pytest.mark.parametrize(("raw", "expected"), DECODED)
def test_parameters_are_form_decoded_once(raw: str, expected: dict[str, str]) -> None:
    found = parameters.decode(raw)
    assert found.values == expected
    assert not found.repeated


@pytest.mark.parametrize(
    "raw", ["a=%ff", "%ff=a", "a=%C3%28", "a=%ED%A0%80", "a=%C0%AF", "a=%00", "a=b%00c", "a=\ud800"]
)
def test_what_is_not_text_is_refused_and_never_replaced(raw: str) -> None:
    with pytest.raises(InvalidRequest):
        parameters.decode(raw)


@pytest.mark.parametrize(
    ("raw", "repeated"),
    [
        ("a=b&a=b", {"a"}),
        ("a=b&c=d&a=e&c=f&g=h", {"a", "c"}),
        ("a=b&%61=c", {"a"}),
        ("a=&a=b", set()),
        ("a=b&A=c", set()),
    ],
)
def test_a_repeated_parameter_is_remembered_and_its_first_value_kept(raw: str, repeated: set[str]) -> None:
    found = parameters.decode(raw)
    assert found.repeated == repeated
    assert found.get("a") == "b"
    assert found.get("nothing") == ""
    assert found.get("nothing", "x") == "x"


def test_there_is_a_limit_to_length_and_number() -> None:
    assert parameters.decode("a=" + "x" * (parameters.MAX_QUERY - 2)).get("a")
    assert len(parameters.decode("&".join(f"p{n}=1" for n in range(parameters.MAX_FIELDS))).values) == 60
    for raw in ("a=" + "x" * parameters.MAX_QUERY, "&".join(f"p{n}=1" for n in range(parameters.MAX_FIELDS + 1))):
        with pytest.raises(InvalidRequest):
            parameters.decode(raw)


@pytest.mark.parametrize("content_type", [FORM, FORM.upper(), f"{FORM}; charset=UTF-8", f" {FORM} "])
def test_a_form_body_is_read(content_type: str) -> None:
    request = RequestFactory().generic("POST", "/?q=1", b"a=b", content_type=content_type)
    assert parameters.from_body(request).values == {"a": "b"}
    assert parameters.from_query(request).values == {"q": "1"}


@pytest.mark.parametrize(
    ("content_type", "body", "extra"),
    [
        ("", b"a=b", {}),
        ("text/plain", b"a=b", {}),
        ("application/json", b'{"a": "b"}', {}),
        ("multipart/form-data; boundary=x", b"--x--", {}),
        (FORM + "-and-more", b"a=b", {}),
        (FORM, b"a=\xff", {}),
        (FORM, "a=é".encode(), {}),
        (FORM, b"a=%ff", {}),
        (FORM, b"a=" + b"x" * parameters.MAX_BODY, {}),
        (FORM, b"a=b", {"CONTENT_LENGTH": "many"}),
        (FORM, b"a=b", {"CONTENT_LENGTH": "-3"}),
        (FORM, b"a=b", {"CONTENT_LENGTH": "99999999"}),
        (FORM, b"a=b", {"CONTENT_LENGTH": "٣"}),
        (FORM, b"a=b", {"CONTENT_LENGTH": "²"}),
        (FORM, b"a=b", {"CONTENT_LENGTH": "9" * 5_000}),
    ],
    ids=lambda value: str(value)[:24],
)
def test_any_other_body_is_refused(content_type: str, body: bytes, extra: dict[str, str]) -> None:
    request = RequestFactory().generic("POST", "/", body, content_type=content_type, **extra)
    with pytest.raises(InvalidRequest):
        parameters.from_body(request)


def test_an_unfinished_body_is_refused() -> None:
    """The client hung up, or something read the stream before."""
    request = RequestFactory().generic("POST", "/", b"a=b", content_type=FORM)
    request.read(1)
    with pytest.raises(InvalidRequest):
        parameters.from_body(request)
