"""A SAML response from the form field to an identity, and the AuthnRequest that asks for one.

saml-bindings-2.0 3.4 (HTTP-Redirect) and 3.5 (HTTP-POST), saml-profiles-2.0 4.1, W 8.2 and 8.3. ``read`` raises
SamlFailed and nothing else, whatever comes. Left to the caller: that the request's state and the assertion's ID are
of one use, whose session it is, and that a provider may begin a sign-in.
"""

import base64
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone
from djangosaml2.utils import get_location
from lxml import etree
from saml2 import BINDING_HTTP_POST
from saml2.pack import http_redirect_message
from saml2.sigver import SigverError
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from federation.errors import SamlFailed, ServerError
from federation.upstream.saml import xml
from federation.upstream.saml.checks import check
from federation.upstream.saml.client import PoolSaml2Client
from federation.upstream.saml.metadata import POST, REDIRECT
from federation.upstream.saml.reading import ASSERTION, RESPONSE, SLACK, Expected, Read, refusal
from federation.upstream.saml.xml import NAMESPACES, BadXml, content, moment

UNVERIFIED = ("assertion_signature", "response_signature", "not_signed")


@dataclass(frozen=True, slots=True)
class SamlIdentity:
    """Whom the provider vouches for: read from what a signature covered, and from nothing else."""

    name_id: str
    name_id_format: str
    """As it was sent, for the sign-out: empty when the provider said none."""
    name_qualifier: str
    sp_name_qualifier: str
    attributes: dict[str, str | list[str]] = field(repr=False)
    """By the name that the provider gives them; a list where there is more than one value."""
    session_index: str
    authn_instant: datetime | None
    """When the provider authenticated the person."""
    assertion_id: str
    not_on_or_after: datetime
    """From then on the assertion is refused here whatever else; until then its ID is to be remembered."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """How the browser takes a message to the provider: a GET of ``url``, or a POST of ``form`` to it."""

    url: str = field(repr=False)
    form: dict[str, str] = field(repr=False)
    """Empty for the redirect binding."""


def read(client: PoolSaml2Client, saml_response: str, expected: Expected, now: datetime | None = None) -> SamlIdentity:
    """Return the identity that a response is about; raise SamlFailed.

    ``client`` is a fresh one, of the unsolicited configuration if and only if ``expected`` has no request id.
    """
    now = now or timezone.now()
    try:
        response = xml.parse_message(xml.decode(saml_response))
    except BadXml as error:
        raise refusal(error.reason, "The response cannot be read.") from error
    if response.tag != RESPONSE:
        raise refusal("not_a_response", "The message is not a response.")
    parsed, cause = _by_pysaml2(client, saml_response, expected)
    found = _found(client, response, parsed, expected, now)
    try:
        check(found)
    except SamlFailed as failed:
        # pysaml2's exceptions quote the document, so they are named and not chained
        detail = failed.detail or ("" if cause is None else f"pysaml2: {type(cause).__name__}")
        words = failed.description
        if found.was_encrypted and not found.signed:
            # one answer for all: the difference would help to decrypt AES-CBC without the key
            words = refusal("", "SAML Assertion signature is invalid.").description
        if failed.reason in UNVERIFIED and cause is not None and not isinstance(cause, SigverError):
            raise SamlFailed("not_understood", words, detail) from None  # it gave up before it came to the signature
        raise SamlFailed(failed.reason, words, detail) from None
    return _identity(found)


def _by_pysaml2(client: PoolSaml2Client, message: str, expected: Expected) -> tuple[Any, Exception | None]:
    try:
        # without conv_info every Recipient is good, and with our entity id in it that one is
        return client.parse_authn_request_response(
            message,
            BINDING_HTTP_POST,
            outstanding={expected.request_id: "/"} if expected.request_id else {},
            conv_info={"entity_id": None},
        ), None
    except Exception as error:  # noqa: BLE001 - pysaml2 raises bare ones, and whatever its libraries do
        return None, error


def _found(client: PoolSaml2Client, response: etree._Element, parsed: Any, expected: Expected, now: datetime) -> Read:
    """Put together what is known after pysaml2's reading."""
    root = response if client.crypto.decrypted is None else client.crypto.decrypted
    assertion = next(root.iter(ASSERTION), None)
    covered = frozenset((str(node.tag), node.get("ID") or "") for node in client.crypto.verified)
    reading = None
    if parsed is not None and parsed.assertion is not None and parsed.name_id is not None:
        reading = (parsed.assertion.id, (parsed.name_id.text or "").strip())
    return Read(response, assertion, covered, reading, expected, now)


def _identity(found: Read) -> SamlIdentity:
    assertion = found.known_assertion
    subject = assertion.find("saml:Subject/saml:NameID", NAMESPACES)
    statement = assertion.find("saml:AuthnStatement", NAMESPACES)
    until = [moment(data.get("NotOnOrAfter")) for data in found.confirmations]
    issued = moment(assertion.get("IssueInstant"))
    if subject is None or statement is None or issued is None:
        raise refusal("refused", "The response is not valid.")
    return SamlIdentity(
        name_id=content(subject),
        name_id_format=subject.get("Format") or "",
        name_qualifier=subject.get("NameQualifier") or "",
        sp_name_qualifier=subject.get("SPNameQualifier") or "",
        attributes=_attributes(assertion),
        session_index=statement.get("SessionIndex") or "",
        authn_instant=moment(statement.get("AuthnInstant")),
        assertion_id=assertion.get("ID") or "",
        not_on_or_after=min(issued + found.oldest, *(moment for moment in until if moment)) + SLACK,
    )


def _attributes(assertion: etree._Element) -> dict[str, str | list[str]]:
    values: dict[str, list[str]] = {}
    for attribute in assertion.iterfind("saml:AttributeStatement/saml:Attribute", NAMESPACES):
        of_this = values.setdefault(attribute.get("Name") or "", [])
        of_this.extend(content(value) for value in attribute.findall("saml:AttributeValue", NAMESPACES))
    return {name: found[0] if len(found) == 1 else found for name, found in values.items() if name and found}


def build_request(
    client: PoolSaml2Client, request_id: str, relay_state: str, *, sign: bool, force_authn: bool = False
) -> Outgoing:
    """Return an AuthnRequest, by the redirect binding where the provider offers it; raise ServerError.

    It is signed when asked for, and when the provider's metadata does.
    """
    sign = sign or client.idp.wants_signed_requests
    binding = REDIRECT if REDIRECT in client.idp.sso else POST
    location = client.idp.sso[binding]
    try:
        _, request = client.create_authn_request(
            location,
            message_id=request_id,
            binding=BINDING_HTTP_POST,  # of the answer
            sign=sign and binding == POST,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
            force_authn="true" if force_authn else None,
        )
        return outgoing(client, request, location, relay_state, binding, "SAMLRequest", sign=sign)
    except Exception as error:  # pysaml2 raises bare ones
        raise ServerError("The identity provider cannot be asked.") from error


def outgoing(
    client: PoolSaml2Client, message: Any, location: str, relay_state: str, binding: str, parameter: str, *, sign: bool
) -> Outgoing:
    """Put a message into the form of its binding; ``sign`` signs the query of the redirect binding."""
    if binding == POST:
        encoded = base64.b64encode(str(message).encode()).decode()
        return Outgoing(location, {parameter: encoded} | ({"RelayState": relay_state} if relay_state else {}))
    sent = http_redirect_message(
        message,
        location,
        relay_state,
        typ=parameter,
        sigalg=SIG_RSA_SHA256,
        sign=sign,
        backend=client.sec.sec_backend,
    )
    return Outgoing(get_location(sent), {})
