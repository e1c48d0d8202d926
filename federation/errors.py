"""Every refusal, as a class that carries its code on the wire.

RFC 6749 4.1.2.1 and 5.2, RFC 6750 3.1, RFC 7009 2.2.1, OpenID Connect Core 3.1.2.6, and the AWS pages of the
endpoints. ``description`` is public and fixed; what really happened goes to the log. An OAuthError is answered where
it was asked, or redirected to the app; a HostedPageError never leaves for the app, because it is raised while the
client or its redirect_uri is not proven.
"""

from typing import ClassVar


class OAuthError(Exception):
    """A refusal with an OAuth error code. ``status`` is for answers that are not redirects."""

    code: ClassVar[str]
    status: ClassVar[int] = 400
    default_description: ClassVar[str] = ""

    def __init__(self, description: str = "") -> None:
        self.description = description or self.default_description
        super().__init__(f"{self.code}: {self.description}")


class InvalidRequest(OAuthError):
    code = "invalid_request"
    default_description = "A parameter is missing, repeated or malformed."


class TooLarge(InvalidRequest):
    """RFC 9110 15.5.14: the body is larger than anything that an endpoint takes."""

    status = 413
    default_description = "The body is too large."


class TooLong(InvalidRequest):
    """RFC 9110 15.5.15: the query is longer than anything that an endpoint takes."""

    status = 414
    default_description = "The query is too long."


class TooManyRequests(OAuthError):
    """RFC 6585 4. The code is Cognito's TooManyRequestsException in the spelling of RFC 6749 (W 1.4)."""

    code = "too_many_requests"
    status = 429
    default_description = "Too many requests. Wait a second, then try again."


class InvalidClient(OAuthError):
    """Client authentication failed. The status is the endpoint's and the dialect's affair."""

    code = "invalid_client"
    default_description = "Client authentication failed."


class InvalidGrant(OAuthError):
    code = "invalid_grant"
    default_description = "The code or the refresh token is invalid, expired, revoked or not this client's."


class UnauthorizedClient(OAuthError):
    code = "unauthorized_client"
    default_description = "This client may not do that."


class UnsupportedGrantType(OAuthError):
    code = "unsupported_grant_type"
    default_description = "The grant type is not supported."


class UnsupportedResponseType(OAuthError):
    code = "unsupported_response_type"
    default_description = "The response type is not supported."


class InvalidScope(OAuthError):
    code = "invalid_scope"
    default_description = "A scope is unknown, malformed or not this client's."


class InvalidTarget(OAuthError):
    """RFC 8707 2."""

    code = "invalid_target"
    default_description = "The resource is not an absolute URI, or given more than once."


class LoginRequired(OAuthError):
    """Without words, as the authorize page shows it: Amplify shows the description in place of the code."""

    code = "login_required"


class RequestNotSupported(OAuthError):
    """OpenID Connect Core 6.1: a request object was sent to a server that reads none."""

    code = "request_not_supported"
    default_description = "Request objects are not supported."


class ServerError(OAuthError):
    code = "server_error"
    status = 500
    default_description = "Something went wrong here."


class UpstreamFailed(InvalidRequest):
    """An identity provider's answer cannot be used (W 3.8). ``reason`` is the word in the operators' record."""

    def __init__(self, reason: str, description: str) -> None:
        self.reason = reason
        super().__init__(description)


class SamlFailed(ServerError):
    """A SAML response cannot be used (W 3.8, 8.3). ``reason`` and ``detail`` are for the operators' record only.

    ``detail`` may quote what the provider sent: it goes to no app and to no log.
    """

    def __init__(self, reason: str, description: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(description)


class AccessDenied(OAuthError):
    """The person said no at the identity provider, or it did (RFC 6749 4.1.2.1)."""

    code = "access_denied"
    default_description = "The sign-in was cancelled."


class UnsupportedTokenType(OAuthError):
    code = "unsupported_token_type"
    default_description = "Only refresh tokens can be revoked."


class InvalidToken(OAuthError):
    """The text is the documented one (userInfo page)."""

    code = "invalid_token"
    status = 401
    default_description = "Access token is expired, disabled, or deleted, or the user has globally signed out."


class BadUserInfoRequest(OAuthError):
    """The text is the documented one (userInfo page)."""

    code = "invalid_request"
    default_description = "Bad OAuth2 request at UserInfo Endpoint"


class InsufficientScope(OAuthError):
    """A Cognito client gets 401 invalid_token; the dialect says."""

    code = "insufficient_scope"
    status = 403
    default_description = "Access token does not contain openid scope"


class HostedPageError(Exception):
    """Something to tell the person in front of the browser; ``code`` selects the words (hosted/error.py)."""

    def __init__(self, code: str, client_id: str = "") -> None:
        self.code = code
        self.client_id = client_id
        super().__init__(code)


class CookieMissing(Exception):
    """A form came from another site without the cookie of this browser: it is to be posted again from ours."""


class Busy(Exception):
    """No thread is free to wait for an identity provider: the browser is asked to come again in a moment."""
