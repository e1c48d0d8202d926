"""Request parameters, decoded strictly.

Django replaces what is not UTF-8 and keeps the last of repeated parameters. Here the first is an error, because
``state`` must come back as it was sent, and the second is remembered, because RFC 6749 3.1 forbids it. A parameter
without a value is one that was not sent (same paragraph).
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from django.http import HttpRequest
from django.http.request import RawPostDataException, UnreadablePostError

from federation.errors import InvalidRequest, TooLarge, TooLong

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 60
MAX_QUERY = 16_000
MAX_BODY = 64_000
FROM_HERE = "userpool_from_here"
"""The field of a form that says that a page of ours posted it."""
MAX_SAML_BODY = 320_000  # a response of 100,000 characters (W 8.3), each of which may be three in a form


@dataclass(frozen=True, slots=True)
class Parameters:
    """Names to values, and the names that came more than once (their first value is kept)."""

    values: dict[str, str] = field(default_factory=dict)
    repeated: frozenset[str] = frozenset()

    def get(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)


def decode(raw: str, limit: int = MAX_QUERY) -> Parameters:
    """Return the parameters in ``raw``; raise InvalidRequest when they are too many, too long or not UTF-8.

    A query with anything but ASCII in it is not one (RFC 3986 2): WSGI hands its bytes on as latin-1.
    """
    if len(raw) > limit:
        raise InvalidRequest("The request is too large.")
    if not raw.isascii():
        raise InvalidRequest("The parameters are malformed.")
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidRequest("The parameters are malformed.") from error
    values: dict[str, str] = {}
    repeated = set()
    for name, value in pairs:
        if name in values:
            repeated.add(name)
        elif value:
            if "\x00" in value:
                raise InvalidRequest("The parameters are malformed.")
            values[name] = value
    return Parameters(values, frozenset(repeated))


def from_query(request: HttpRequest) -> Parameters:
    """Return the parameters of the query, decoded once; raise InvalidRequest, as TooLong when it is that."""
    kept: Parameters | None = request.__dict__.get("_query_parameters")
    if kept is None:
        raw = request.META.get("QUERY_STRING", "")
        if len(raw) > MAX_QUERY:
            raise TooLong
        kept = request.__dict__["_query_parameters"] = decode(raw)
    return kept


def require_form(request: HttpRequest) -> int:
    """Return the length of the form that ``request`` carries; raise InvalidRequest when it carries anything else, and
    TooLarge when no endpoint takes so much.

    To be asked before request.POST, which fails on a broken multipart body and on a length that is no number.
    """
    media, length = (request.content_type or "").strip().lower(), str(request.META.get("CONTENT_LENGTH") or "0")
    if media != FORM and (media or length != "0"):
        raise InvalidRequest(f"The body must be {FORM}.")
    if not (length.isascii() and length.isdigit()):
        raise InvalidRequest("The length of the body is not a number.")
    if len(length) > 9 or int(length) > MAX_SAML_BODY:
        raise TooLarge
    return int(length)


def from_body(request: HttpRequest, limit: int = MAX_BODY) -> Parameters:
    """Return the parameters of a form body, decoded once.

    Raise InvalidRequest for another media type or an unreadable body, as TooLarge when it is larger than ``limit``.
    """
    if require_form(request) > limit:
        raise TooLarge
    kept: Parameters | None = request.__dict__.get("_body_parameters")
    if kept is None:
        try:
            raw = request.body.decode("ascii")
        except (UnicodeDecodeError, UnreadablePostError, RawPostDataException) as error:
            raise InvalidRequest("The body is malformed.") from error
        kept = request.__dict__["_body_parameters"] = decode(raw, limit)
    return kept
