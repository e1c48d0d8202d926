"""The line behind the corpus' wrapped signatures: what pysaml2 makes of them, with our cryptography and no checks."""

import pytest

from federation.upstream.saml import response as saml_response
from tests.fakes import saml_pool
from tests.security.saml import wrappings
from tests.security.saml.corpus import ADA, Case, hostile

IN_CLEAR = [case for case in wrappings.CASES if case.form != "encrypted"]
ENCRYPTED = [case for case in wrappings.CASES if case.form == "encrypted"]


@pytest.mark.parametrize("case", IN_CLEAR, ids=lambda case: case.id)
def test_a_wrapped_signature_would_gain_nothing_without_our_checks(case: Case) -> None:
    """pysaml2 refuses as well, or reads the honest assertion."""
    parsed, _ = saml_response._by_pysaml2(saml_pool.client(), hostile(case), saml_pool.expected())
    assert parsed is None or parsed.name_id is None or parsed.name_id.text == ADA


@pytest.mark.parametrize("case", ENCRYPTED, ids=lambda case: case.id)
def test_wrapping_inside_of_what_is_encrypted_would_gain_nothing_either(case: Case) -> None:
    parsed, _ = saml_response._by_pysaml2(saml_pool.client(), hostile(case), saml_pool.expected())
    assert parsed is None or parsed.name_id is None or parsed.name_id.text == ADA
