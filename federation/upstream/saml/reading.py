"""A SAML response as it was read, what it has to answer, and the form of a refusal (W 3.8); checks.py judges."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from lxml import etree

from federation.errors import SamlFailed
from federation.upstream.saml.config import SKEW
from federation.upstream.saml.xml import NAMESPACES, name

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ASSERTION, ENCRYPTED, RESPONSE = (
    name("saml", "Assertion"),
    name("saml", "EncryptedAssertion"),
    name("samlp", "Response"),
)
SIGNATURE = name("ds", "Signature")
SLACK = timedelta(seconds=SKEW)
SOLICITED, UNSOLICITED = timedelta(minutes=5), timedelta(minutes=6)  # how old an assertion may be (W 8.3)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the response has to be an answer to."""

    issuer: str
    """The provider's entity id."""
    audience: str
    """The pool's."""
    acs_url: str
    """Where it was to be posted to: the pool's domain that the browser was sent away from."""
    request_id: str = ""
    """Empty for a sign-in that the provider began."""
    begun: datetime | None = None
    """When the request was made."""
    encrypted: bool = False
    """Whether an assertion that is not encrypted is refused."""
    forced: bool = False
    """Whether the provider was asked to authenticate the person anew (ForceAuthn)."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read, and what is known of it."""

    response: etree._Element
    assertion: etree._Element | None
    """The only one there is; None when it could not be decrypted."""
    covered: frozenset[tuple[str, str]]
    """What good signatures cover: names and IDs of elements."""
    reading: tuple[str, str] | None
    """The assertion's ID and its NameID as pysaml2 read them; None when it refused."""
    expected: Expected
    now: datetime

    @property
    def was_encrypted(self) -> bool:
        return self.response.find(ENCRYPTED) is not None

    def is_covered(self, element: etree._Element | None) -> bool:
        return element is not None and (element.tag, element.get("ID")) in self.covered

    @property
    def signed(self) -> bool:
        """Whether a signature covers the assertion: its own, or the response's."""
        return self.is_covered(self.response) or self.is_covered(self.assertion)

    @property
    def known_assertion(self) -> etree._Element:
        if self.assertion is None:
            raise refusal("decryption", "SAML Assertion signature is invalid.", "The assertion cannot be decrypted.")
        return self.assertion

    @property
    def confirmations(self) -> Iterator[etree._Element]:
        """The data of every bearer confirmation."""
        for confirmation in self.known_assertion.iterfind("saml:Subject/saml:SubjectConfirmation", NAMESPACES):
            if confirmation.get("Method") == BEARER:
                data = confirmation.find("saml:SubjectConfirmationData", NAMESPACES)
                if data is None:
                    raise refusal("confirmation_data", "Invalid SubjectConfirmation.")
                yield data

    @property
    def oldest(self) -> timedelta:
        return SOLICITED if self.expected.request_id else UNSOLICITED


def refusal(reason: str, words: str, detail: str = "") -> SamlFailed:
    """Return a refusal in Cognito's form (W 3.8)."""
    return SamlFailed(reason, f"Invalid SAML response received: {words}", detail[:300])
