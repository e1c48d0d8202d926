"""The seam between Userpool and every identity provider: ``begin`` sends the browser away, ``complete`` reads what
comes back.

An upstream is made for one provider and one sign-in. It knows its protocol and nothing of app clients, users or
sessions; what it returns is an ExternalIdentity, and everything after that is shared (federation/federated.py).
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.http import HttpRequest, HttpResponse

from accounts.events import Steps
from accounts.linking import ExternalIdentity, IdentityRefused
from accounts.models import IdentityProvider, UserPool
from federation.errors import OAuthError
from federation.parameters import Parameters


@dataclass(slots=True)
class SignIn:
    """A sign-in on its way through a provider."""

    pool: UserPool
    provider: IdentityProvider
    base_url: str
    """Where the browser knows the pool: the domain that it came by, without a slash at the end."""
    state: str = field(repr=False)
    """Our own ``state`` or RelayState: 43 URL-safe characters, of one use."""
    begun: datetime
    prompt: frozenset[str] = frozenset()
    login_hint: str = ""
    max_age: int | None = None
    kept: dict[str, Any] = field(default_factory=dict, repr=False)
    """What ``begin`` puts away for ``complete``; strings, numbers, lists and maps. It is stored encrypted."""
    answer: Parameters = field(default_factory=Parameters, repr=False)
    """What came back, for ``complete``."""
    steps: Steps = field(default_factory=Steps)
    """The record that operators see."""


class Upstream(Protocol):
    """One provider, spoken to in its protocol."""

    protocol: str
    """``oauth2`` or ``saml2``: which of the two answer endpoints is this provider's."""

    calls_out: bool
    """Whether a sign-in waits for the provider's servers and needs a place among those who may (capacity.py)."""

    def __init__(self, provider: IdentityProvider) -> None: ...

    def begin(self, request: HttpRequest, signin: SignIn) -> HttpResponse:
        """Return what sends the browser to the provider; may fill ``signin.kept``. Raise an OAuthError."""

    def complete(self, request: HttpRequest, signin: SignIn) -> ExternalIdentity:
        """Return whom the provider vouches for, verified; raise an OAuthError with the app's words (W 3.8)."""

    def refusal(self, refused: IdentityRefused) -> OAuthError:
        """Return what the app is told when the identity is genuine and cannot come in."""
