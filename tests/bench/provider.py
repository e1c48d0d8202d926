"""An OpenID Provider for the benchmark: the tests' own, which takes the code itself for the nonce of the sign-in.

It runs beside the load generator, on the generator's core: what it spends is nobody's figure.
"""

from typing import Any

from tests.fakes.oidc import OidcIdp


class _AnyCode(dict[str, dict[str, str]]):
    def pop(self, code: str, default: Any = None) -> Any:
        return {"nonce": code}


class BenchIdp(OidcIdp):
    """Every code is good, and is the nonce that its sign-in was begun with."""

    def __init__(self) -> None:
        super().__init__()
        self.grants = _AnyCode()
