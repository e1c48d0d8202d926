"""For whom, for which request and for how long: what the corpus cannot say with one message to one pool."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from federation.errors import SamlFailed
from federation.upstream.saml import response as saml_response
from tests.fakes import saml, saml_pool
from tests.fakes.saml import Message, pair
from tests.security.saml.corpus import ADA, reason, set_on

NOBODY_ASKED: dict[str, Any] = {"in_response_to": None, "confirmation_in_response_to": None}


@pytest.mark.parametrize("recipient", ["https://other.auth.example.test/saml2/idpresponse", saml.AUDIENCE])
def test_pysaml2_is_asked_to_look_at_the_recipient_as_well(recipient: str) -> None:
    """It does with conv_info only, and then lets our entity id pass unless conv_info says otherwise."""
    message = Message(recipient=recipient).encoded()
    parsed, error = saml_response._by_pysaml2(saml_pool.client(), message, saml_pool.expected())
    assert (parsed, type(error).__name__) == (None, "VerificationError")


def test_a_far_future_is_no_overflow() -> None:
    message = Message(before=set_on(".//saml:SubjectConfirmationData", "NotOnOrAfter", "9999-12-31T23:59:59Z"))
    found = saml_pool.read(message)
    assert found.not_on_or_after < datetime.now(UTC) + timedelta(minutes=7)


def test_an_assertion_older_than_the_request_is_refused() -> None:
    asked = saml_pool.expected(begun=datetime.now(UTC))
    assert saml_pool.read(Message(issued=-50, response_issued=-50), asked)
    with pytest.raises(SamlFailed) as caught:
        saml_pool.read(Message(issued=-90, response_issued=0), asked)
    assert caught.value.reason == "too_old"


EDGES = [
    ("conditions_expired", ".//saml:Conditions", "NotOnOrAfter"),
    ("confirmation_expired", ".//saml:SubjectConfirmationData", "NotOnOrAfter"),
    ("session_over", ".//saml:AuthnStatement", "SessionNotOnOrAfter"),
]


@pytest.mark.parametrize(("wanted", "path", "attribute"), EDGES)
def test_at_the_deadline_is_too_late(wanted: str, path: str, attribute: str) -> None:
    """With the minute by which clocks may differ, and not a moment more."""
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=100)
    message = Message(before=set_on(path, attribute, spelt(end))).encoded()
    slack = timedelta(seconds=60)
    moment = timedelta(microseconds=1)
    assert read_at(message, end + slack - moment) == ADA
    assert read_at(message, end + slack) == wanted


@pytest.mark.parametrize(("wanted", "path"), [(f"{edge[0].split('_')[0]}_early", edge[1]) for edge in EDGES[:2]])
def test_before_the_beginning_is_too_early(wanted: str, path: str) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=30)
    message = Message(before=set_on(path, "NotBefore", spelt(begin))).encoded()
    slack = timedelta(seconds=60)
    assert read_at(message, begin - slack) == ADA
    # so early that the message itself is of the future is refused before, so that it is issued earlier here
    early = Message(before=set_on(path, "NotBefore", spelt(begin)), issued=-60, response_issued=-60).encoded()
    assert read_at(early, begin - slack - timedelta(microseconds=1)) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"), [(".", "response_too_old"), (".//saml:Assertion", "too_old")], ids=["response", "assertion"]
)
def test_five_minutes_and_the_slack_is_old_enough(path: str, wanted: str) -> None:
    issued = datetime.now(UTC).replace(microsecond=0)
    message = Message(
        before=set_on(path, "IssueInstant", spelt(issued - timedelta(seconds=5))),
        not_on_or_after=900,
        confirmation_not_on_or_after=900,
        issued=20,
        response_issued=20,
    ).encoded()
    oldest = issued - timedelta(seconds=5) + timedelta(minutes=6)
    assert read_at(message, oldest) == ADA
    assert read_at(message, oldest + timedelta(microseconds=1)) == wanted


def spelt(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def read_at(message: str, now: datetime) -> str:
    """Return the NameID, or the reason of the refusal."""
    try:
        return saml_response.read(saml_pool.client(), message, saml_pool.expected(), now).name_id
    except SamlFailed as failed:
        return failed.reason


@pytest.mark.parametrize(
    ("wanted", "values"),
    [
        ("in_response_to", {"in_response_to": saml.REQUEST_ID}),
        ("in_response_to", {"in_response_to": ""}),
        ("confirmation_in_response_to", {"confirmation_in_response_to": saml.REQUEST_ID}),
        ("too_old", {"issued": -430, "response_issued": 0}),
        ("audience", {"audience": "urn:other"}),
        ("recipient", {"recipient": "https://other.example.test/"}),
        ("assertion_signature", {"signer": pair("stranger")}),
        ("not_signed", {"sign_assertion": False}),
    ],
)
def test_a_sign_in_that_the_provider_began_has_to_keep_the_rules(wanted: str, values: dict[str, Any]) -> None:
    assert reason(Message(**NOBODY_ASKED | values), unsolicited=True) == wanted
    assert saml_pool.read(Message(**NOBODY_ASKED, issued=-400, response_issued=-400), unsolicited=True)


def test_a_response_that_nobody_asked_for_is_refused_as_an_answer() -> None:
    assert reason(Message(**NOBODY_ASKED)) == "in_response_to"


def test_another_pools_and_another_providers_response_is_refused() -> None:
    other = {
        "audience": "urn:amazon:cognito:sp:local_Other1",
        "acs": "https://other.auth.example.test/saml2/idpresponse",
    }
    with pytest.raises(SamlFailed) as caught:
        saml_pool.read(Message(), saml_pool.expected(audience=other["audience"], acs_url=other["acs"]), **other)
    assert caught.value.reason == "destination"
    elsewhere = saml.metadata(pair("idp").certificate, entity_id="https://second.example.test")
    with pytest.raises(SamlFailed) as caught:
        saml_pool.read(Message(), saml_pool.expected(issuer="https://second.example.test"), metadata=elsewhere)
    assert caught.value.reason == "response_issuer"


def test_a_new_sign_in_is_believed_where_one_was_asked_for() -> None:
    asked = saml_pool.expected(forced=True, begun=timezone.now())
    assert saml_pool.read(Message(), asked).name_id == ADA
