"""The form of the attack corpus: hostile SAML responses, each made from an honest one by one named mutation.

A Case says what is done to the honest message, with which reason ``read`` has to refuse, and which sentence of which
specification is offended. The cases stand in wrappings.py, signatures.py, ciphers.py, rules.py and documents.py;
catalogue.py has them all. They are given to ``read`` (test_corpus.py) and posted to the endpoint (test_endpoint.py).
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.utils import timezone
from lxml import etree

from federation.errors import SamlFailed
from tests.fakes import saml_pool
from tests.fakes.saml import NS, Message, find

ADA, EVIL = "ada@example.test", "admin@example.test"
INVALID = "Invalid SAML response received: "
RESPONSE_SIGNATURE = f"{INVALID}SAML Response signature is invalid."
ASSERTION_SIGNATURE = f"{INVALID}SAML Assertion signature is invalid."
DS = f"{{{NS['ds']}}}"

# What is signed and what is encrypted.
FORMS: dict[str, dict[str, Any]] = {
    "assertion": {},
    "response": {"sign_response": True, "sign_assertion": False},
    "both": {"sign_response": True},
    "encrypted": {"encryption": {}},
    "sealed": {"sign_response": True, "sign_assertion": False, "encryption": {}},
    "all": {"sign_response": True, "encryption": {}},
}

Change = Callable[[etree._Element], object]
Values = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One hostile response."""

    name: str
    form: str
    """What the honest response looks like: a key of FORMS."""
    reason: str
    offends: str
    change: Values | Callable[[Message], Values] | None = None
    """Values for the Message, or a function that tells them from the honest one."""
    text: Callable[[Message], str] | None = None
    """In place of ``change``: the form field as a whole."""
    words: str = ""
    """What the app is told, where that matters."""
    provider: Values = field(default_factory=dict)
    """What is switched on at the provider: encrypted, forced."""
    endpoint: str = ""
    """``page`` where the endpoint does not even look for a sign-in."""

    @property
    def id(self) -> str:
        return f"{self.name} ({self.form})"


def honest(form: str, **values: Any) -> Message:
    """Return an honest message of a form."""
    return Message(**values | FORMS[form])


def hostile(case: Case, message: Message | None = None) -> str:
    """Return the form field of ``case``, made from ``message``, an honest one of the form that the case asks for."""
    message = message or honest(case.form)
    if case.text is not None:
        return case.text(message)
    change = case.change(message) if callable(case.change) else case.change
    return message.changed(**change or {}).encoded()


def read_case(case: Case) -> SamlFailed:
    """Give ``case`` to ``read`` and return the refusal."""
    begun = timezone.now() if case.provider.get("forced") else None
    return refused(hostile(case), asked=saml_pool.expected(**case.provider, begun=begun))


def refused(message: Message | str, **options: Any) -> SamlFailed:
    """Check that ``read`` refuses, in Cognito's form, and that nothing of the document is in the refusal."""
    with pytest.raises(SamlFailed) as caught:
        saml_pool.read(message, **options)
    failed = caught.value
    assert failed.description.startswith(INVALID)
    assert failed.code == "server_error"
    error: BaseException | None = failed
    while error is not None:
        for secret in (EVIL, ADA, "PRIVATE KEY"):
            assert secret not in f"{error!r} {getattr(error, 'detail', '')}"
        error = error.__cause__ or error.__context__
    return failed


def reason(message: Message | str, **options: Any) -> str:
    return refused(message, **options).reason


# --- steps of mutations -----------------------------------------------------------------------------------------------


def encoded(octets: bytes | str) -> str:
    return base64.b64encode(octets.encode() if isinstance(octets, str) else octets).decode()


def assertion_of(root: etree._Element) -> etree._Element:
    return find(root, "saml:Assertion")


def set_name_id(node: etree._Element, value: str = EVIL) -> None:
    find(node, ".//saml:NameID").text = value


def set_on(path: str, name: str, value: str | None) -> Change:
    """Return a change that sets an attribute, or takes it away."""

    def change(root: etree._Element) -> None:
        found = root if path == "." else find(root, path)
        if value is None:
            found.attrib.pop(name, None)
        else:
            found.set(name, value)

    return change


def without(path: str) -> Change:
    def change(root: etree._Element) -> None:
        found = find(root, path)
        found.getparent().remove(found)

    return change
