"""Every check of a SAML response that pysaml2 leaves to its caller, and those that it makes without saying which.

saml-core-2.0, saml-profiles-2.0 4.1.4 (web browser SSO) with 4.1.4.3 and 4.1.5, and W 8.3. CHECKS reads like a table;
each function refuses with a reason of its own or returns. They run whether or not pysaml2 was content: what it refused,
they name. They look at lxml's reading of the document, and ``same_reading`` compares it with pysaml2's, so that no
difference between two parsers can be of use.
"""

from collections.abc import Callable

from lxml import etree

from federation.upstream.saml.reading import ASSERTION, ENCRYPTED, RESPONSE, SIGNATURE, SLACK, Read, refusal
from federation.upstream.saml.xml import NAMESPACES, BadXml, content, moment, name

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
CONDITIONS = [name("saml", local) for local in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")]
MAX_NAME_ID, MAX_FORMAT, MAX_SESSION_INDEX = 1024, 256, 512

# --- the response -----------------------------------------------------------------------------------------------------


def version(read: Read) -> None:
    assertion = read.assertion
    if read.response.get("Version") != "2.0" or (assertion is not None and assertion.get("Version") != "2.0"):
        raise refusal("version", "Unsupported SAML version.")


def status(read: Read) -> None:
    codes = read.response.xpath("samlp:Status//samlp:StatusCode/@Value", namespaces=NAMESPACES)
    if codes[:1] != [SUCCESS]:
        raise refusal("status", "Status is not Success.", ", ".join(map(str, codes)))


def one_assertion(read: Read) -> None:
    """Only one, directly in the response, and nothing of it hidden elsewhere: signature wrapping needs a second one."""
    response = read.response
    found = [*response.iter(ASSERTION, ENCRYPTED)]
    if len(found) != 1 or found[0].getparent() is not response or len([*response.iter(RESPONSE)]) != 1:
        raise refusal("assertion_count", "Exactly one assertion is expected.", f"There are {len(found)}.")
    encrypted = [*response.iter(name("xenc", "EncryptedData"))]
    if len(encrypted) != int(read.was_encrypted) or any(data.getparent() is not found[0] for data in encrypted):
        raise refusal("encrypted_parts", "Only a whole assertion may be encrypted.")
    if read.was_encrypted and read.assertion is not None:
        root = read.assertion.getroottree().getroot()
        if len([*root.iter(ASSERTION)]) != 1 or any(True for _ in root.iter(name("xenc", "EncryptedData"))):
            raise refusal("assertion_count", "Exactly one assertion is expected.", "More than one was encrypted.")
        inside = read.assertion.getparent()
        if inside is None or inside.tag != ENCRYPTED or inside.getparent() is not root:
            raise refusal("assertion_count", "Exactly one assertion is expected.", "It stands elsewhere.")


def no_comments(read: Read) -> None:
    """Comments and processing instructions end a text early for some readers, and a signature may not cover them."""
    roots = [read.response, *([] if read.assertion is None else [read.assertion])]
    if any(True for root in roots for _ in root.iter(etree.Comment, etree.PI, etree.Entity)):
        raise refusal("comments", "Comments are not accepted.")


def destination(read: Read) -> None:
    found, signed = read.response.get("Destination"), read.response.find(SIGNATURE) is not None
    if found != read.expected.acs_url and (signed or found is not None):
        raise refusal("destination", "Destination is not valid.", f"It was {found!r}.")


def response_issuer(read: Read) -> None:
    _same_issuer(read.response, read, "response_issuer")


def response_in_response_to(read: Read) -> None:
    if read.response.get("InResponseTo") != (read.expected.request_id or None):
        raise refusal("in_response_to", "InResponseTo is not valid.")


def response_issued_recently(read: Read) -> None:
    _recent(read.response, read, "response_too_old")


# --- the assertion ----------------------------------------------------------------------------------------------------


def encryption(read: Read) -> None:
    if read.expected.encrypted and not read.was_encrypted:
        raise refusal("not_encrypted", "The assertion is not encrypted.")


def assertion_present(read: Read) -> None:
    """pysaml2 says nothing when it cannot decrypt: its response is then an empty one."""
    if not read.known_assertion.get("ID"):
        raise refusal("assertion_id", "The assertion has no ID.")


def assertion_issuer(read: Read) -> None:
    _same_issuer(read.known_assertion, read, "assertion_issuer")


def assertion_issued_recently(read: Read) -> None:
    _recent(read.known_assertion, read, "too_old")


def conditions(read: Read) -> None:
    found = read.known_assertion.findall("saml:Conditions", NAMESPACES)
    if len(found) != 1 or any(child.tag not in CONDITIONS for child in found[0].iterchildren(etree.Element)):
        raise refusal("conditions", "Conditions are missing, or not understood.")
    _within(found[0], read, "conditions")


def audience(read: Read) -> None:
    """Every restriction has to name us, and there has to be one (saml-core 2.5.1.4)."""
    restrictions = read.known_assertion.findall("saml:Conditions/saml:AudienceRestriction", NAMESPACES)
    named = [[content(found) for found in each.findall("saml:Audience", NAMESPACES)] for each in restrictions]
    if not named or any(read.expected.audience not in names for names in named):
        raise refusal("audience", "Audience restriction was not satisfied.", f"It was {named}.")


def subject(read: Read) -> None:
    if len(read.known_assertion.findall("saml:Subject", NAMESPACES)) != 1:
        raise refusal("subject", "Exactly one subject is expected.")


def bearer(read: Read) -> None:
    if not any(True for _ in read.confirmations):
        raise refusal("not_bearer", "The subject is not confirmed as its bearer.")


def recipient(read: Read) -> None:
    for data in read.confirmations:
        if data.get("Recipient") != read.expected.acs_url:
            raise refusal("recipient", "Recipient is not valid.", f"It was {data.get('Recipient')!r}.")


def confirmed_for_now(read: Read) -> None:
    for data in read.confirmations:
        if data.get("NotOnOrAfter") is None:
            raise refusal("confirmation_endless", "SubjectConfirmationData has no NotOnOrAfter.")
        _within(data, read, "confirmation")


def confirmation_in_response_to(read: Read) -> None:
    for data in read.confirmations:
        if data.get("InResponseTo") != (read.expected.request_id or None):
            raise refusal("confirmation_in_response_to", "InResponseTo is not valid.")


def authentication(read: Read) -> None:
    found = read.known_assertion.findall("saml:AuthnStatement", NAMESPACES)
    if len(found) != 1:
        raise refusal("authn_statement", "Exactly one AuthnStatement is expected.")
    moment(found[0].get("AuthnInstant"))  # it is kept, so it has to be one
    until = moment(found[0].get("SessionNotOnOrAfter"))
    if until is not None and until <= read.now - SLACK:
        raise refusal("session_over", "The session at the identity provider is over.")
    if len(found[0].get("SessionIndex") or "") > MAX_SESSION_INDEX:
        raise refusal("session_index", "SessionIndex is too long.")


def forced_authentication(read: Read) -> None:
    """An app that asked for a fresh sign-in must not be told of an old one (saml-core 3.4.1, ForceAuthn)."""
    begun = read.expected.begun
    if read.expected.forced and begun is not None:
        found = read.known_assertion.find("saml:AuthnStatement", NAMESPACES)
        since = None if found is None else moment(found.get("AuthnInstant"))
        if since is None or since < begun - SLACK:
            raise refusal("forced_authentication", "The user was not authenticated again.")


def name_id(read: Read) -> None:
    found = read.known_assertion.findall("saml:Subject/saml:NameID", NAMESPACES)
    if len(found) != 1 or len(found[0]) or not 0 < len(content(found[0])) <= MAX_NAME_ID:
        raise refusal("name_id", "NameID is missing.")
    if len(found[0].get("Format", "")) > MAX_FORMAT or any(
        len(found[0].get(qualifier, "")) > MAX_NAME_ID for qualifier in ("NameQualifier", "SPNameQualifier")
    ):
        raise refusal("name_id", "NameID is not valid.")


def attribute_characters(read: Read) -> None:
    for value in read.known_assertion.iterfind(
        "saml:AttributeStatement/saml:Attribute/saml:AttributeValue", NAMESPACES
    ):
        if any(ord(character) > 0xFFFF for character in content(value)):
            raise refusal("characters", "An attribute has a character that is not supported.")


def signature(read: Read) -> None:
    """Only what a signature covered counts, and every signature that is there has to be good."""
    assertion = read.known_assertion
    if read.response.find(SIGNATURE) is not None and not read.is_covered(read.response):
        raise refusal("response_signature", "SAML Response signature is invalid.")
    if assertion.find(SIGNATURE) is not None and not read.is_covered(assertion):
        raise refusal("assertion_signature", "SAML Assertion signature is invalid.")
    if not read.signed:
        raise refusal("not_signed", "SAML Assertion signature is invalid.", "Neither response nor assertion is signed.")


def same_reading(read: Read) -> None:
    subject = content(read.known_assertion.find("saml:Subject/saml:NameID", NAMESPACES))
    if read.reading != (read.known_assertion.get("ID"), subject):
        raise refusal("refused", "The response is not valid.")


CHECKS: tuple[Callable[[Read], None], ...] = (
    *(no_comments, version, status, one_assertion, destination, response_issuer, response_in_response_to),
    *(response_issued_recently, encryption, assertion_present, assertion_issuer, assertion_issued_recently),
    *(conditions, audience, subject, bearer, recipient, confirmed_for_now, confirmation_in_response_to),
    *(authentication, forced_authentication, name_id, attribute_characters, signature, same_reading),
)


def check(read: Read) -> None:
    """Raise SamlFailed unless everything is as it has to be."""
    for each in CHECKS:
        try:
            each(read)
        except BadXml as error:
            raise refusal(error.reason, "A date is not valid.", each.__name__) from error


def _same_issuer(element: etree._Element, read: Read, reason: str) -> None:
    found = element.findall("saml:Issuer", NAMESPACES)
    if [content(issuer) for issuer in found] != [read.expected.issuer] or found[0].get("Format", ENTITY) != ENTITY:
        raise refusal(reason, "Issuer is not valid.", f"It was {[content(issuer) for issuer in found]}.")


def _recent(element: etree._Element, read: Read, reason: str) -> None:
    issued, begun = moment(element.get("IssueInstant")), read.expected.begun
    if issued is None or issued > read.now + SLACK:
        raise refusal("not_yet_issued", "IssueInstant is not valid.")
    if issued < read.now - SLACK - read.oldest or (begun is not None and issued < begun - SLACK):
        raise refusal(reason, "The response is too old.")


def _within(element: etree._Element, read: Read, what: str) -> None:
    """Compare NotBefore and NotOnOrAfter with the clock; at the deadline is too late."""
    begins, ends = moment(element.get("NotBefore")), moment(element.get("NotOnOrAfter"))
    if begins is not None and ends is not None and begins >= ends:
        raise refusal(f"{what}_never", "The assertion is never valid.")
    if begins is not None and begins > read.now + SLACK:
        raise refusal(f"{what}_early", "The assertion is not valid yet.")
    if ends is not None and ends <= read.now - SLACK:
        raise refusal(f"{what}_expired", "The assertion has expired.")
