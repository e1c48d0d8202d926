"""Where an OpenID Provider's endpoints are, and with which keys it signs.

OpenID Connect Discovery 1.0 section 4, RFC 8414, RFC 9207; or the four URLs that an operator gave (W 7.2). What a
document says is checked like anything else from outside: an issuer that is somebody else's, an endpoint that is no
https URL, an algorithm that we would not accept.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from accounts.models import IdentityProvider
from accounts.provider_details import OidcDetails
from federation.errors import UpstreamFailed
from federation.upstream import documents
from federation.upstream.fetching import BadDocument, FetchFailed
from federation.upstream.http import Exchange, require_callable

WELL_KNOWN = "/.well-known/openid-configuration"
# asymmetric only: a key that the provider and we share would let either play the other
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a sign-in needs to know of an OpenID Provider. ``attributes_url`` is empty where there is no userInfo."""

    issuer: str
    authorize_url: str
    token_url: str
    jwks_uri: str
    attributes_url: str = ""
    algorithms: tuple[str, ...] = ALGORITHMS
    basic_auth: bool = False
    """Whether the token endpoint takes client_secret_basic only; Cognito sends client_secret_post."""
    pkce: bool = False
    says_iss: bool = False
    """Whether every authorization response carries ``iss`` (RFC 9207 3)."""
    claims: tuple[str, ...] = ()
    issuer_given: bool = False
    """Whether the issuer's name is an operator's, and not the provider's own (same_issuer)."""

    def issued(self, issuer: Any) -> bool:
        """Whether ``issuer``, as a token or an answer has it, is this provider's."""
        return same_issuer(self.issuer, issuer) if self.issuer_given else bool(issuer == self.issuer)


def same_issuer(configured: str, named: Any) -> bool:
    """Compare issuers as strings. Cognito's form has no slash at the end, some providers' names have one."""
    return isinstance(named, str) and named in (configured, f"{configured}/")


def endpoints(provider: IdentityProvider, details: OidcDetails, exchange: Exchange) -> Endpoints:
    """Return the endpoints of ``provider``; raise UpstreamFailed."""
    if details.authorize_url:
        return _given(details)
    url = details.oidc_issuer + WELL_KNOWN
    try:
        found = documents.document(
            provider, documents.DISCOVERY, url, exchange, judge=lambda body: parse(body, details.oidc_issuer)
        )
        return parse(found.body, details.oidc_issuer)
    except BadDocument as bad:
        raise UpstreamFailed("discovery_unusable", "Bad openid configuration") from bad
    except FetchFailed as failure:
        if failure.cause == "unusable":  # a moment ago, to somebody else
            raise UpstreamFailed("discovery_unusable", "Bad openid configuration") from failure
        words = "Timeout in calling" if failure.cause == "timeout" else "Error in calling"
        raise UpstreamFailed(f"discovery_{failure.cause}", f"{words} openid configuration") from failure


def _given(details: OidcDetails) -> Endpoints:
    for url in (details.authorize_url, details.token_url, details.jwks_uri, details.attributes_url):
        try:
            require_callable(url)
        except FetchFailed as failure:
            raise UpstreamFailed(f"endpoint_{failure.cause}", "Bad endpoint") from failure
    return Endpoints(
        issuer=details.oidc_issuer,
        authorize_url=details.authorize_url,
        token_url=details.token_url,
        jwks_uri=details.jwks_uri,
        attributes_url=details.attributes_url,
        issuer_given=True,
    )


@lru_cache(maxsize=512)
def parse(body: str, issuer: str) -> Endpoints:
    """Return the endpoints that a discovery document of ``issuer`` names; raise BadDocument."""
    found = json.loads(body)
    if not same_issuer(issuer, found.get("issuer")):
        raise BadDocument(f"The document is another issuer's: {str(found.get('issuer'))[:200]}.")
    urls = {
        "authorization_endpoint": _url(found, "authorization_endpoint"),
        "token_endpoint": _url(found, "token_endpoint"),
        "jwks_uri": _url(found, "jwks_uri"),
    }
    if found.get("userinfo_endpoint"):
        urls["userinfo_endpoint"] = _url(found, "userinfo_endpoint")
    offered = _words(found, "id_token_signing_alg_values_supported") or ("RS256",)
    algorithms = tuple(name for name in ALGORITHMS if name in offered)
    if not algorithms:
        raise BadDocument(f"ID tokens are signed with {', '.join(offered)}, and none of these is accepted.")
    methods = _words(found, "token_endpoint_auth_methods_supported") or ("client_secret_post",)
    if not {"client_secret_post", "client_secret_basic"} & set(methods):
        raise BadDocument(f"The token endpoint takes {', '.join(methods)} only, and no client secret.")
    response_types = _words(found, "response_types_supported")
    if response_types and "code" not in response_types:
        raise BadDocument("The code flow is not among response_types_supported.")
    return Endpoints(
        issuer=found["issuer"],
        authorize_url=urls["authorization_endpoint"],
        token_url=urls["token_endpoint"],
        jwks_uri=urls["jwks_uri"],
        attributes_url=urls.get("userinfo_endpoint", ""),
        algorithms=algorithms,
        basic_auth="client_secret_post" not in methods,
        pkce="S256" in _words(found, "code_challenge_methods_supported"),
        says_iss=found.get("authorization_response_iss_parameter_supported") is True,
        claims=_words(found, "claims_supported"),
    )


def _url(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise BadDocument(f"{name} is missing.")
    try:
        require_callable(value)
    except FetchFailed as failure:
        raise BadDocument(f"{name}: {failure.words}") from failure
    if "#" in value:
        raise BadDocument(f"{name} has a fragment.")
    return value


def _words(found: dict[str, Any], name: str) -> tuple[str, ...]:
    values = found.get(name)
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()
