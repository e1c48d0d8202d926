"""The whole corpus, by name."""

from tests.security.saml import ciphers, comments, documents, places, rules, signatures, wrappings
from tests.security.saml.corpus import Case

CASES = [case for part in (wrappings, signatures, places, comments, ciphers, rules, documents) for case in part.CASES]
ALL: dict[str, Case] = {case.id: case for case in CASES}
