"""Where Cognito departs from a standard, an app client chooses whom to follow. This is the whole of the difference.

Nothing else asks which dialect a client speaks; it reads a field here. docs/compatibility.md gives the sources.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """One way of answering; every field is one difference."""

    boolean_strings: bool
    """userInfo: email_verified and phone_number_verified are strings (userInfo page) or booleans (Core 5.1)."""
    openid_alone_gives_all: bool
    """Scope ``openid`` alone gives every readable attribute, or ``sub`` only (Core 5.4)."""
    profile_gives_all: bool
    """Scope ``profile`` gives every readable attribute (client-apps page), or those of Core 5.4 and custom ones."""
    invalid_client_status: int
    """At the token endpoint: 400 without a challenge, or 401 with one (RFC 6749 5.2)."""
    names_granted_scope: bool
    """The token response says ``scope`` (RFC 6749 5.1)."""
    describes_errors: bool
    """The JSON errors of token and revoke carry error_description. Redirected ones always do, as AWS documents both."""
    rfc9068: bool
    """Access tokens have ``typ: at+jwt`` and an audience."""
    refuses_foreign_scopes: bool
    """A scope that the client may not use: invalid_scope, or ignored (RFC 6749 3.3)."""
    knows_address: bool
    """Scope ``address`` exists (Core 5.4)."""
    challenge_scheme: str
    """What WWW-Authenticate begins with at userInfo: nothing (userInfo page), or ``Bearer`` (RFC 6750 3)."""
    insufficient_scope: bool
    """userInfo without scope openid: 401 invalid_token, or 403 insufficient_scope (RFC 6750 3.1)."""
    revokes_access_tokens: bool
    """An access token at the revocation endpoint: 400, or revoked (RFC 7009 2)."""
    unsupported_response_type: bool
    """An unknown response_type: invalid_request (authorization page), or the RFC's own code."""
    refuses_request_objects: bool
    """``request`` and ``request_uri``: ignored, or refused (Core 6.1)."""


_COGNITO = Rules(
    boolean_strings=True,
    openid_alone_gives_all=True,
    profile_gives_all=True,
    invalid_client_status=400,
    names_granted_scope=False,
    describes_errors=False,
    rfc9068=False,
    refuses_foreign_scopes=True,
    knows_address=False,
    challenge_scheme="",
    insufficient_scope=False,
    revokes_access_tokens=False,
    unsupported_response_type=False,
    refuses_request_objects=False,
)
_OIDC = Rules(
    boolean_strings=False,
    openid_alone_gives_all=False,
    profile_gives_all=False,
    invalid_client_status=401,
    names_granted_scope=True,
    describes_errors=True,
    rfc9068=True,
    refuses_foreign_scopes=False,
    knows_address=True,
    challenge_scheme="Bearer ",
    insufficient_scope=True,
    revokes_access_tokens=True,
    unsupported_response_type=True,
    refuses_request_objects=True,
)
_RULES = {"cognito": _COGNITO, "oidc": _OIDC}


def rules(dialect: str) -> Rules:
    """Return the rules of ``dialect``; a request without a known client is answered as Cognito would."""
    return _RULES.get(dialect, _COGNITO)
