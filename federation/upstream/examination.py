"""What "test configuration" in the console does: fetch what a sign-in would fetch, and say in words what is wrong.

Nothing is taken from a kept copy; what is fetched and good replaces it. No sign-in is made, so a wrong client id or
secret does not show here. SAML's part is federation/upstream/saml/findings.py.
"""

from django.core.exceptions import ValidationError

from accounts import documents, provider_details
from accounts.models import IdentityProvider
from accounts.provider_details import AppleDetails, Details, OidcDetails, SamlDetails
from accounts.provider_examination import Finding, Verdict
from federation.errors import Busy, UpstreamFailed
from federation.upstream import capacity, discovery, keys, social
from federation.upstream.code_flow import mapped_claims
from federation.upstream.discovery import Endpoints
from federation.upstream.documents import DISCOVERY, JWKS, Judge, Kind, fetch
from federation.upstream.fetching import CAUSES, FetchFailed
from federation.upstream.http import Exchange
from federation.upstream.saml import findings as saml

UNTESTED = "Whether the client id and the secret are right shows at the first sign-in, in the events."


def examine(provider: IdentityProvider) -> list[Finding]:
    """Return what was found, in the order in which a sign-in would meet it."""
    try:
        details = provider_details.parse(provider.provider_type, provider.provider_details)
    except ValidationError as error:
        return [Finding("Settings", message, Verdict.BAD) for message in error.messages]
    try:
        with capacity.place(provider.pk), Exchange() as exchange:
            found = _looked_at(provider, details, exchange)
    except Busy:
        found = [Finding("Provider", "No thread is free to call it. Try again in a moment.", Verdict.BAD)]
    return [Finding("Settings", "Complete."), *found]


def _looked_at(provider: IdentityProvider, details: Details, exchange: Exchange) -> list[Finding]:
    found: list[Finding] = []
    if isinstance(details, SamlDetails):
        return saml.of(provider, details, exchange)
    if isinstance(details, OidcDetails):
        found += _oidc(provider, details, exchange)
    elif isinstance(details, AppleDetails):
        found += [_private_key(details), *_jwks(provider, social.APPLE, exchange)]
    elif provider.provider_type == "Google":
        found += _jwks(provider, social.GOOGLE, exchange)
    else:
        words = f"{provider.provider_type} publishes nothing that could be fetched without a sign-in."
        found.append(Finding("Provider", words, Verdict.NOTE))
    return [*found, Finding("Credentials", UNTESTED, Verdict.NOTE)]


def _oidc(provider: IdentityProvider, details: OidcDetails, exchange: Exchange) -> list[Finding]:
    if details.authorize_url:
        words = "Not used: all four endpoints are given. ID tokens must be signed with an asymmetric algorithm."
        try:
            given = discovery.endpoints(provider, details, exchange)
        except UpstreamFailed as failed:
            cause = CAUSES.get(failed.reason.removeprefix("endpoint_"), failed.description)
            return [Finding("Endpoints", f"One of the four: {cause}", Verdict.BAD)]
        return [Finding("Discovery", words, Verdict.NOTE), *_jwks(provider, given, exchange)]
    url = details.oidc_issuer + discovery.WELL_KNOWN
    try:
        body = _fetch(provider, DISCOVERY, url, exchange, lambda body: discovery.parse(body, details.oidc_issuer))
        endpoints = discovery.parse(body, details.oidc_issuer)
    except FetchFailed as failure:
        return [Finding("Discovery", f"{url}: {failure.words}", Verdict.BAD)]
    found = [Finding("Discovery", f"Read from {url}. The issuer calls itself {endpoints.issuer}.")]
    found += _jwks(provider, endpoints, exchange)
    method = "client_secret_basic" if endpoints.basic_auth else "client_secret_post"
    found.append(Finding("Client authentication", f"{method}, at {endpoints.token_url}."))
    found.append(
        Finding("PKCE", "S256 is sent with every sign-in.")
        if endpoints.pkce
        else Finding("PKCE", "The provider does not offer S256, so none is sent.", Verdict.NOTE)
    )
    if not endpoints.attributes_url:
        words = "The provider has no userInfo endpoint; attributes come from the ID token alone."
        found.append(Finding("userInfo", words, Verdict.NOTE))
    return found + _claims(provider, endpoints)


def _fetch(provider: IdentityProvider, kind: Kind, url: str, exchange: Exchange, judge: Judge) -> str:
    """Return the document at ``url``, fetched now, and keep it if it is good."""
    body = fetch(kind, url, exchange, judge)
    documents.claim(provider, kind.name, url, documents.NO_LEASE)
    documents.store(provider, kind.name, url, body)
    return body


def _jwks(provider: IdentityProvider, endpoints: Endpoints, exchange: Exchange) -> list[Finding]:
    try:
        body = _fetch(provider, JWKS, endpoints.jwks_uri, exchange, keys.check_set)
    except FetchFailed as failure:
        return [Finding("Keys", f"{endpoints.jwks_uri}: {failure.words}", Verdict.BAD)]
    usable = {alg: len(keys.fitting(body, alg, None)) for alg in endpoints.algorithms}
    named = ", ".join(f"{alg} ({count})" for alg, count in usable.items() if count)
    if not named:
        wanted = ", ".join(endpoints.algorithms)
        return [Finding("Keys", f"{endpoints.jwks_uri} has no key that could verify {wanted}.", Verdict.BAD)]
    return [Finding("Keys", f"Read from {endpoints.jwks_uri}: {named}.")]


def _claims(provider: IdentityProvider, endpoints: Endpoints) -> list[Finding]:
    """Say which mapped claims the provider does not list; lists are often incomplete, so it is a note."""
    missing = [name for name in mapped_claims(provider) if endpoints.claims and name not in endpoints.claims]
    if not missing:
        return []
    words = f"Not among the claims that the provider lists: {', '.join(missing)}."
    return [Finding("Attribute mapping", words, Verdict.NOTE)]


def _private_key(details: AppleDetails) -> Finding:
    try:
        social.apple_key(details.private_key)
        usable = True
    except ValueError:
        usable = False
    if usable:
        return Finding("Private key", "An EC P-256 private key, as Apple hands out.")
    return Finding("Private key", "Not an EC P-256 private key: paste what the .p8 file holds.", Verdict.BAD)
