"""Single logout messages (saml-core-2.0 3.7, saml-profiles-2.0 4.4, W 8.5): two that are sent, two that are read.

All four are signed. What is read has to be signed as a whole, by the provider, for us, now; it is read by pysaml2 and
by lxml, and believed when both read the same. ``read_request`` and ``read_response`` raise SamlFailed and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from lxml import etree
from saml2 import BINDING_HTTP_POST, saml, samlp
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from accounts.linking import UpstreamSession
from federation.errors import SamlFailed, ServerError
from federation.upstream.saml import xml
from federation.upstream.saml.client import PoolSaml2Client
from federation.upstream.saml.metadata import POST, REDIRECT
from federation.upstream.saml.reading import SIGNATURE, SLACK
from federation.upstream.saml.response import Outgoing, outgoing
from federation.upstream.saml.xml import NAMESPACES, BadXml, content, moment, name

LIFETIME = timedelta(minutes=5)
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
PARTIAL = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
REQUEST, RESPONSE = name("samlp", "LogoutRequest"), name("samlp", "LogoutResponse")
MAX_INDEXES = 100


@dataclass(frozen=True, slots=True)
class SignedOut:
    """Whose sessions a provider has ended, in its words."""

    request_id: str
    name_id: str
    indexes: tuple[str, ...]
    """Of the sessions at the provider; none means all of them."""
    not_on_or_after: datetime
    """From then on the request is refused here whatever else."""


@dataclass(frozen=True, slots=True)
class _Message:
    root: etree._Element = field(repr=False)
    parsed: Any = field(repr=False)


def build_request(client: PoolSaml2Client, session: UpstreamSession, request_id: str, relay_state: str) -> Outgoing:
    """Return the signed request to end ``session`` at the provider; raise ServerError, LookupError without an address.

    By the redirect binding where the provider offers it (W 8.5).
    """
    binding = REDIRECT if REDIRECT in client.idp.slo else POST
    subject = saml.NameID(
        text=session.name_id,
        format=session.name_id_format or None,
        name_qualifier=session.name_qualifier or None,
        sp_name_qualifier=session.sp_name_qualifier or None,
    )
    location = client.idp.slo[binding]
    try:
        _, request = client.create_logout_request(
            location,
            client.idp.entity_id,
            name_id=subject,
            reason="urn:oasis:names:tc:SAML:2.0:logout:user",
            expire=_wire(timezone.now() + LIFETIME),
            message_id=request_id,
            session_indexes=[session.session_index] if session.session_index else None,
            sign=binding == POST,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )
        return outgoing(client, request, location, relay_state, binding, "SAMLRequest", sign=True)
    except Exception as error:  # pysaml2 raises bare ones
        raise ServerError("The identity provider cannot be asked to sign out.") from error


def build_response(client: PoolSaml2Client, request_id: str, relay_state: str) -> Outgoing:
    """Return the signed answer that all is done; raise ServerError, LookupError without an address.

    By the POST binding, which the request came by, where the provider takes answers that way.
    """
    binding = POST if POST in client.idp.slo_response else REDIRECT
    location = client.idp.slo_response[binding]
    try:
        response = client._status_response(
            samlp.LogoutResponse,
            client._issuer(),
            None,
            sign=binding == POST,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
            in_response_to=request_id,
            destination=location,
        )
        return outgoing(client, response, location, relay_state, binding, "SAMLResponse", sign=True)
    except Exception as error:  # likewise
        raise ServerError("The identity provider cannot be answered.") from error


def issuer(message: str) -> str:
    """Return who says that it sent the message, for the choice of the keys to verify it with; raise SamlFailed."""
    return content(_parse(message).find("saml:Issuer", NAMESPACES))


def read_request(client: PoolSaml2Client, message: str, url: str, now: datetime | None = None) -> SignedOut:
    """Return what a provider asks for; raise SamlFailed. ``url`` is our address that the request came to."""
    now = now or timezone.now()
    found = _verified(client, message, REQUEST, url, now, client.parse_logout_request)
    names = found.root.findall("saml:NameID", NAMESPACES)
    if len(names) != 1 or not content(names[0]):
        raise _refused("logout_unsupported", "NameID is missing, or encrypted.")
    indexes = [content(index) for index in found.root.findall("samlp:SessionIndex", NAMESPACES)]
    if len(indexes) > MAX_INDEXES or not all(indexes):
        raise _refused("logout_malformed", "SessionIndex is not valid.")
    if found.parsed is None or _reading(found.parsed.message) != (found.root.get("ID"), content(names[0]), indexes):
        raise _refused("logout_malformed", "The request is not valid.")
    issued = _moment(found.root, "IssueInstant") or now
    return SignedOut(found.root.get("ID") or "", content(names[0]), tuple(indexes), issued + LIFETIME + 2 * SLACK)


def read_response(
    client: PoolSaml2Client, message: str, url: str, request_id: str, now: datetime | None = None
) -> None:
    """Return when a provider says that the request ``request_id`` is done; raise SamlFailed."""
    now = now or timezone.now()
    found = _verified(client, message, RESPONSE, url, now, client.parse_logout_request_response)
    if found.root.get("InResponseTo") != request_id:
        raise _refused("logout_in_response_to", "InResponseTo is not valid.")
    codes = found.root.xpath("samlp:Status//samlp:StatusCode/@Value", namespaces=NAMESPACES)
    if codes[:1] != [SUCCESS] and PARTIAL not in codes:
        raise _refused("logout_status", "Status is not Success.", ", ".join(map(str, codes)))
    # pysaml2 gives a response to no status but Success
    if codes[:1] == [SUCCESS] and (found.parsed is None or found.parsed.response.id != found.root.get("ID")):
        raise _refused("logout_malformed", "The response is not valid.")


def _reading(request: samlp.LogoutRequest) -> tuple[str, str, list[str]]:
    """Return what pysaml2 read: the request's ID, the NameID, the sessions."""
    subject = request.name_id.text if request.name_id is not None else ""
    return request.id, (subject or "").strip(), [(index.text or "").strip() for index in request.session_index]


def _verified(
    client: PoolSaml2Client, message: str, tag: str, url: str, now: datetime, parse: Callable[..., Any]
) -> _Message:
    """Return a message that is the provider's, for us and of now."""
    root = _parse(message)
    if root.tag != tag or root.get("Version") != "2.0":
        raise _refused("logout_malformed", "The message is not the expected one.")
    if any(True for _ in root.iter(etree.Comment, etree.PI, etree.Entity)):
        raise _refused("logout_malformed", "Comments are not accepted.")
    if [content(found) for found in root.findall("saml:Issuer", NAMESPACES)] != [client.idp.entity_id]:
        raise _refused("logout_issuer", "Issuer is not valid.")
    if root.get("Destination") != url:
        raise _refused("logout_destination", "Destination is not valid.", f"It was {root.get('Destination')!r}.")
    issued, ends = _moment(root, "IssueInstant"), _moment(root, "NotOnOrAfter")
    if issued is None or not now - LIFETIME - SLACK <= issued <= now + SLACK or (ends and ends <= now - SLACK):
        raise _refused("logout_too_old", "The message is too old.")
    try:
        parsed = parse(message, BINDING_HTTP_POST)
    except Exception:  # noqa: BLE001 - pysaml2 raises bare ones, which quote the message
        parsed = None
    covered = {(str(node.tag), node.get("ID")) for node in client.crypto.verified}
    if root.find(SIGNATURE) is None or (tag, root.get("ID")) not in covered:
        raise _refused("logout_signature", "The message is not signed by the provider.")
    return _Message(root, parsed)


def _parse(message: str) -> etree._Element:
    try:
        return xml.parse_message(xml.decode(message))
    except BadXml as error:
        raise _refused("logout_malformed", "The message cannot be read.", str(error)) from error


def _moment(root: etree._Element, attribute: str) -> datetime | None:
    try:
        return moment(root.get(attribute))
    except BadXml as error:
        raise _refused("logout_malformed", "A date is not valid.") from error


def _refused(reason: str, words: str, detail: str = "") -> SamlFailed:
    return SamlFailed(reason, words, detail[:300])


def _wire(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
