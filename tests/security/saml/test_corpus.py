"""Every hostile response of the corpus is refused by ``read``, for its own reason, and what it was made from is not."""

import ast
from pathlib import Path

import pytest

from accounts import event_words
from federation.upstream import saml as source_folder
from tests.fakes import saml_pool
from tests.security.saml import catalogue
from tests.security.saml.corpus import ADA, FORMS, honest, read_case

FOLDER = Path(source_folder.__path__[0])


@pytest.mark.parametrize("form", FORMS)
def test_what_they_were_made_from_is_accepted(form: str) -> None:
    asked = saml_pool.expected(encrypted="encryption" in FORMS[form])
    found = saml_pool.read(honest(form), asked)
    assert (found.name_id, found.attributes) == (ADA, {"email": ADA})


@pytest.mark.parametrize("name", catalogue.ALL)
def test_every_one_is_refused_for_its_reason(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    case = catalogue.ALL[name]
    failed = read_case(case)
    assert failed.reason == case.reason, failed.detail
    if case.words:
        assert failed.description == case.words
    assert capfd.readouterr() == ("", "")  # libxml2 and libxmlsec1 like to say what they think


def test_names_are_not_used_twice() -> None:
    assert len(catalogue.ALL) == len(catalogue.CASES) > 400


SOURCES = ("checks", "reading", "response", "xml", "crypto")
# of crypto's BadXml only the words are used; "refused" is for two readings that differ (test_documents.py)
BEYOND = {"refused", "signature", ""}


def test_every_reason_that_there_is_is_somebodys() -> None:
    """Read from the source: a refusal that no case brings about would be one that nobody has tried."""
    found: set[str] = set()
    for source in SOURCES:
        for call in ast.walk(ast.parse((FOLDER / f"{source}.py").read_text())):
            if not isinstance(call, ast.Call):
                continue
            called, said = getattr(call.func, "id", ""), [a.value for a in call.args if isinstance(a, ast.Constant)]
            if called in ("refusal", "BadXml", "_recent", "_same_issuer"):
                found.add(next(word for word in [*said, ""] if " " not in word))
            elif called == "_within":
                found |= {f"{word}_{end}" for word in said for end in ("never", "early", "expired")}
    assert len(found) > 35
    assert found - BEYOND - {case.reason for case in catalogue.CASES} == set()


@pytest.mark.parametrize("reason", sorted({case.reason for case in catalogue.CASES}))
def test_an_operator_is_told_what_a_reason_means(reason: str) -> None:
    assert event_words.why(reason)
