"""The rules of saml-core-2.0, saml-profiles-2.0 4.1.4 and W 8.3, each broken once, by a provider that signs it."""

import copy
from collections.abc import Callable

from lxml import etree

from tests.fakes import saml
from tests.fakes.saml import NS, Message, element, find
from tests.security.saml.corpus import Case, Change, Values, assertion_of, set_on, without

OTHER = "https://other.auth.example.test/saml2/idpresponse"
OLD = -10_000
SAML = f'xmlns:saml="{NS["saml"]}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
Rule = tuple[str, str, Values | Callable[[Message], Values]]


def second(path: str) -> Change:
    def change(root: etree._Element) -> None:
        found = find(assertion_of(root), path)
        found.addnext(copy.deepcopy(found))

    return change


def condition(text: str) -> Change:
    return lambda root: find(root, ".//saml:Conditions").append(element(text))


def other_audience(root: etree._Element) -> None:
    restriction = f'<saml:AudienceRestriction xmlns:saml="{NS["saml"]}"><saml:Audience>urn:other</saml:Audience>'
    find(root, ".//saml:Conditions").append(element(f"{restriction}</saml:AudienceRestriction>"))


def confirmed_from_later(root: etree._Element) -> None:
    find(root, ".//saml:SubjectConfirmationData").set("NotBefore", saml.at(90))


def never_confirmed(root: etree._Element) -> None:
    found = find(root, ".//saml:SubjectConfirmationData")
    found.set("NotBefore", found.get("NotOnOrAfter") or "")


def confirmed_twice(**attributes: str) -> Change:
    """Add a second confirmation, which differs in one attribute."""

    def change(root: etree._Element) -> None:
        found = find(root, ".//saml:SubjectConfirmation")
        other = copy.deepcopy(found)
        for name, value in attributes.items():
            find(other, "saml:SubjectConfirmationData").set(name, value)
        found.addnext(other)

    return change


def empty_attributes(root: etree._Element) -> None:
    """Say nothing, and white space, where nobody has to say anything: what operators see of it has to bear that."""
    for name, value in (("NameQualifier", ""), ("SPNameQualifier", " "), ("SPProvidedID", "")):
        find(root, ".//saml:NameID").set(name, value)


def second_issuer(path: str) -> Change:
    def change(root: etree._Element) -> None:
        found = find(root, path)
        other = copy.deepcopy(found)
        other.text = "https://evil.test"
        found.addnext(other)

    return change


def before(change: Change) -> Values:
    return {"before": change}


OF_RESPONSES: dict[str, Rule] = {
    "Destination of another pool": ("destination", "saml-bindings 3.5.5.2", {"destination": OTHER}),
    "Destination the audience": ("destination", "saml-bindings 3.5.5.2", lambda m: {"destination": m.audience}),
    "Destination with a slash": (
        "destination",
        "saml-bindings 3.5.5.2",
        lambda m: {"destination": f"{m.destination}/"},
    ),
    "Destination in capitals": (
        "destination",
        "saml-bindings 3.5.5.2",
        lambda m: {"destination": str(m.destination).upper()},
    ),
    "Destination empty": ("destination", "saml-bindings 3.5.5.2", {"destination": ""}),
    "Destination missing where signed": (
        "destination",
        "saml-bindings 3.5.5.2",
        {"destination": None, "sign_response": True},
    ),
    "Issuer of somebody else": ("response_issuer", "saml-profiles 4.1.4.2", {"response_issuer": "https://evil.test"}),
    "Issuer missing": ("response_issuer", "saml-profiles 4.1.4.2", {"response_issuer": None}),
    "Issuer of another format": (
        "response_issuer",
        "saml-core 2.2.5, saml-profiles 4.1.4.2",
        before(set_on("saml:Issuer", "Format", "urn:x")),
    ),
    "Issuer twice": ("response_issuer", "saml-core 3.2.2", before(second_issuer("saml:Issuer"))),
    "InResponseTo of another request": ("in_response_to", "saml-core 3.2.2", {"in_response_to": "_other"}),
    "InResponseTo missing": ("in_response_to", "W 8.3", {"in_response_to": None}),
    "InResponseTo empty": ("in_response_to", "saml-core 3.2.2", {"in_response_to": ""}),
    "InResponseTo missing in both places": (
        "in_response_to",
        "saml-profiles 4.1.5: nobody asked",
        {"in_response_to": None, "confirmation_in_response_to": None},
    ),
    "too old": ("response_too_old", "W 8.3: five minutes", {"response_issued": OLD, "issued": OLD}),
    "not issued yet": ("not_yet_issued", "saml-core 3.2.2", {"response_issued": 90}),
    "Status of an error": ("status", "saml-core 3.2.2.2", {"status": f"{STATUS}Responder"}),
    "Status empty": ("status", "saml-core 3.2.2.2", {"status": ""}),
    "Status missing": ("status", "saml-core 3.2.2.1", before(without("samlp:Status"))),
    "Status of an error and no assertion": (
        "status",
        "saml-core 3.2.2.2",
        {"status": f"{STATUS}Requester", "before": without("saml:Assertion")},
    ),
    "Version 1.1": ("version", "saml-core 3.2.2", {"version": "1.1"}),
    "Version 3.0": ("version", "saml-core 3.2.2", {"version": "3.0"}),
    "Version x": ("version", "saml-core 3.2.2", {"version": "x"}),
    "Version 1.1 of the assertion": ("version", "saml-core 2.3.3", {"assertion_version": "1.1"}),
    "two assertions": ("assertion_count", "saml-profiles 4.1.4.2", before(second("."))),
    "no assertion": ("assertion_count", "saml-profiles 4.1.4.2", before(without("saml:Assertion"))),
    "assertion without ID": (
        "assertion_id",
        "saml-core 2.3.3",
        before(set_on("saml:Assertion", "ID", "")) | {"sign_assertion": False, "sign_response": True},
    ),
}
OF_ASSERTIONS: dict[str, Rule] = {
    "Audience of another pool": ("audience", "saml-core 2.5.1.4", {"audience": "urn:amazon:cognito:sp:local_Other1"}),
    "Audience of another pool, and attributes that are empty": (
        "audience",
        "saml-core 2.5.1.4",
        {"audience": "urn:other", "before": empty_attributes},
    ),
    "Audience missing": ("audience", "saml-profiles 4.1.4.2", {"audience": None}),
    "Audience empty": ("audience", "saml-core 2.5.1.4", {"audience": ""}),
    "Audience in capitals": ("audience", "saml-core 2.5.1.4", lambda m: {"audience": str(m.audience).upper()}),
    "Audience that begins like ours": ("audience", "saml-core 2.5.1.4", lambda m: {"audience": f"{m.audience}0"}),
    "Audience of one restriction only": ("audience", "saml-core 2.5.1.4", before(other_audience)),
    "Conditions missing": ("conditions", "saml-profiles 4.1.4.2", {"conditions": False}),
    "Conditions twice": ("conditions", "saml-core 2.3.3", before(second("saml:Conditions"))),
    "Condition that nobody knows": (
        "conditions",
        "saml-core 2.5.1: what is not understood is not satisfied",
        before(condition(f'<saml:Condition {SAML} xsi:type="saml:OneTimeUseType"/>')),
    ),
    "Condition of another namespace": ("conditions", "saml-core 2.5.1", before(condition('<x xmlns="urn:x"/>'))),
    "Recipient of another pool": ("recipient", "saml-profiles 4.1.4.3", {"recipient": OTHER}),
    "Recipient the audience": ("recipient", "saml-profiles 4.1.4.3", lambda m: {"recipient": m.audience}),
    "Recipient missing": ("recipient", "saml-profiles 4.1.4.3", {"recipient": None}),
    "Recipient of a second confirmation": ("recipient", "saml-core 2.4.1.2", before(confirmed_twice(Recipient=OTHER))),
    "assertion's Issuer somebody else": ("assertion_issuer", "saml-profiles 4.1.4.3", {"issuer": "https://evil.test"}),
    "assertion's Issuer missing": (
        "assertion_issuer",
        "saml-core 2.3.3",
        {"issuer": None, "sign_assertion": False, "sign_response": True},
    ),
    "assertion's Issuer of another format": (
        "assertion_issuer",
        "saml-core 2.2.5, saml-profiles 4.1.4.2",
        before(set_on(".//saml:Assertion/saml:Issuer", "Format", "urn:x")),
    ),
    "assertion's Issuer twice": (
        "assertion_issuer",
        "saml-core 2.3.3",
        before(second_issuer(".//saml:Assertion/saml:Issuer")),
    ),
    "confirmed for another request": (
        "confirmation_in_response_to",
        "saml-profiles 4.1.4.3",
        {"confirmation_in_response_to": "_other"},
    ),
    "confirmed for no request": ("confirmation_in_response_to", "W 8.3", {"confirmation_in_response_to": None}),
    "confirmed twice, once for another request": (
        "confirmation_in_response_to",
        "saml-core 2.4.1.2",
        before(confirmed_twice(InResponseTo="_other")),
    ),
    "expired": ("conditions_expired", "saml-core 2.5.1.2", {"not_before": None, "not_on_or_after": -90}),
    "expired a second before the slack": (
        "conditions_expired",
        "saml-core 2.5.1.2",
        {"not_before": None, "not_on_or_after": -62},
    ),
    "not valid yet": ("conditions_early", "saml-core 2.5.1.2", {"not_before": 90}),
    "never valid": ("conditions_never", "saml-core 2.5.1.2", {"not_before": 50, "not_on_or_after": 50}),
    "confirmation expired": ("confirmation_expired", "saml-profiles 4.1.4.3", {"confirmation_not_on_or_after": -90}),
    "confirmation without end": (
        "confirmation_endless",
        "saml-profiles 4.1.4.2",
        {"confirmation_not_on_or_after": None},
    ),
    "confirmation not valid yet": ("confirmation_early", "saml-core 2.4.1.2", before(confirmed_from_later)),
    "confirmation never valid": ("confirmation_never", "saml-core 2.4.1.2", before(never_confirmed)),
    "method sender-vouches": ("not_bearer", "saml-profiles 4.1.4.2", {"method": saml.BEARER[:-6] + "sender-vouches"}),
    "method holder-of-key": ("not_bearer", "saml-profiles 4.1.4.2", {"method": saml.BEARER[:-6] + "holder-of-key"}),
    "method that nobody knows": ("not_bearer", "saml-profiles 4.1.4.2", {"method": "urn:x"}),
    "no confirmation": ("not_bearer", "saml-profiles 4.1.4.2", {"method": None}),
    "confirmation without data": (
        "confirmation_data",
        "saml-profiles 4.1.4.2",
        before(without(".//saml:SubjectConfirmationData")),
    ),
    "session over": ("session_over", "saml-core 2.7.2", {"session_not_on_or_after": -90}),
    "AuthnStatement missing": ("authn_statement", "saml-profiles 4.1.4.2", {"statement": False}),
    "AuthnStatement twice": ("authn_statement", "W 8.5: one session", before(second("saml:AuthnStatement"))),
    "SessionIndex too long": (
        "session_index",
        "our limit",
        before(set_on(".//saml:AuthnStatement", "SessionIndex", "x" * 513)),
    ),
    "Subject twice": ("subject", "saml-core 2.3.3", before(second("saml:Subject"))),
    "Subject missing": ("subject", "saml-profiles 4.1.4.2", before(without(".//saml:Subject"))),
    "NameID missing": ("name_id", "W 8.3", {"name_id": None}),
    "NameID empty": ("name_id", "W 8.3", {"name_id": ""}),
    "NameID of white space": ("name_id", "W 8.3", {"name_id": " "}),
    "NameID too long": ("name_id", "our limit", {"name_id": "x" * 1025}),
    "NameID with an element": ("name_id", "saml-core 2.2.2", {"name_id": "<x xmlns='urn:x'>y</x>"}),
    "NameID twice": ("name_id", "saml-core 2.4.1", before(second("saml:Subject/saml:NameID"))),
    "NameID of a format too long": ("name_id", "our limit", before(set_on(".//saml:NameID", "Format", "x" * 257))),
    "NameID with a qualifier too long": (
        "name_id",
        "our limit",
        before(set_on(".//saml:NameID", "SPNameQualifier", "x" * 1025)),
    ),
    "assertion too old": ("too_old", "W 8.3: five minutes", {"issued": -400}),
    "assertion much too old": ("too_old", "W 8.3: five minutes", {"issued": OLD}),
    "assertion not issued yet": ("not_yet_issued", "saml-core 2.3.3", {"issued": 90}),
    "IssueInstant missing": (
        "not_yet_issued",
        "saml-core 2.3.3",
        before(set_on(".//saml:Assertion", "IssueInstant", None)),
    ),
    "IssueInstant in words": (
        "time_invalid",
        "saml-core 1.3.3",
        before(set_on(".//saml:Assertion", "IssueInstant", "yesterday")),
    ),
    "IssueInstant without an hour": (
        "time_invalid",
        "saml-core 1.3.3",
        before(set_on(".//saml:Assertion", "IssueInstant", "2026-11-25")),
    ),
    "month 13": (
        "time_invalid",
        "saml-core 1.3.3",
        before(set_on(".//saml:Conditions", "NotOnOrAfter", "2026-13-01T00:00:00Z")),
    ),
    "year 99999": (
        "time_invalid",
        "saml-core 1.3.3",
        before(set_on(".//saml:SubjectConfirmationData", "NotOnOrAfter", "99999-01-01T00:00:00Z")),
    ),
    "four-byte characters": ("characters", "W 8.3", {"attributes": {"name": ["Ada \U0001f600"]}}),
}


RULES = OF_RESPONSES | OF_ASSERTIONS
# what is changed there is gone when an assertion is encrypted
IN_CLEAR = {"two assertions", "no assertion", "Status of an error and no assertion", "assertion without ID"}


def _case(name: str, rule: Rule, form: str) -> Case:
    reason, offends, change = rule
    return Case(name, form, reason, offends, change)


CASES = [
    *[_case(name, rule, form) for form in ("response", "assertion") for name, rule in RULES.items()],
    *[_case(name, rule, "sealed") for name, rule in RULES.items() if name not in IN_CLEAR],
    Case(
        "authenticated long ago where a new sign-in was asked for",
        "assertion",
        "forced_authentication",
        "saml-core 3.4.1 ForceAuthn",
        before(set_on(".//saml:AuthnStatement", "AuthnInstant", "2020-01-01T00:00:00Z")),
        provider={"forced": True},
    ),
    Case(
        "no AuthnInstant where a new sign-in was asked for",
        "assertion",
        "forced_authentication",
        "saml-core 2.7.2, 3.4.1 ForceAuthn",
        before(set_on(".//saml:AuthnStatement", "AuthnInstant", None)),
        provider={"forced": True},
    ),
]
