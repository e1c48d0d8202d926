"""What an operator registers at an identity provider, ready to copy.

OAuth 2.0: where it sends the browser back to.
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-social-idp.html and W 7.1: one address for
each domain that the pool answers on. SAML: the pool as a service provider (W 8.1), which its metadata document says in
one. A provider's administrator often wants it before they give theirs, so it stands on the page of a new one as well.
"""

from collections.abc import Iterator

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts import saml_keys
from accounts.admin import panels
from accounts.models import UserPool
from accounts.models.saml import KeyUse
from accounts.provider_details import CALLBACK, SAML_ACS, SAML_LOGOUT, SAML_METADATA

WHERE = {
    "OIDC": "Register every one of these as a redirect URI of the client at the provider.",
    "Google": 'In the Google Cloud console, paste every one into "Authorized redirect URIs" of the OAuth client.',
    "Facebook": 'In the Facebook app, under Facebook Login, paste every one into "Valid OAuth Redirect URIs".',
    "LoginWithAmazon": 'In the Web Settings of the security profile at Amazon, add every one to "Allowed Return URLs".',
    "SignInWithApple": 'In the Services ID at Apple, add every one to "Return URLs".',
}
SAML = (
    "Give the provider the metadata link; if it takes none, copy the values one by one. The ACS URL and the single "
    "logout URL take HTTP-POST only."
)
ENTITY_ID = "urn:amazon:cognito:sp:{}"
NAME_ID = (
    "NameID: ask for the persistent format, a value that never changes and is never given to somebody else. It decides "
    "which user it is, and its case matters. An e-mail address makes another user when it changes; a transient NameID "
    "makes one at every sign-in."
)
CERTIFICATES = {
    KeyUse.SIGNING: "Signing certificate: for signed requests, and for every sign-out",
    KeyUse.ENCRYPTION: "Encryption certificate: only for a provider that encrypts assertions",
}
NEXT = {
    KeyUse.SIGNING: "Next signing certificate: register it beside the present one, which still signs",
    KeyUse.ENCRYPTION: "Next encryption certificate: register it in place of the present one; both decrypt",
}


def addresses(pool: UserPool) -> dict[str, str]:
    """Return domain to base URL, the custom domain first; that of the issuer for a pool without a domain."""
    domains = sorted(pool.domains.all(), key=lambda domain: not domain.is_custom)
    return {domain.host: domain.base_url for domain in domains if domain.host} or {"Without a domain": pool.issuer}


def redirect_uris(pool: UserPool) -> dict[str, str]:
    """Return domain to redirect URI."""
    return {host: base + CALLBACK for host, base in addresses(pool).items()}


def panel(provider_type: str, pool: UserPool) -> SafeString:
    """Return the panel of the console that says what to register, and where."""
    if provider_type == "SAML":
        return _saml(pool)
    return format_html("{}{}", panels.facts(redirect_uris(pool)), _after(WHERE[provider_type]))


def _saml(pool: UserPool) -> SafeString:
    parts = [panels.facts({"Entity id (audience)": ENTITY_ID.format(pool.pk)}), *_of_addresses(pool), _after(SAML)]
    return format_html_join("", "{}", ((part,) for part in [*parts, _after(NAME_ID), *_certificates(pool)]))


def _of_addresses(pool: UserPool) -> Iterator[SafeString]:
    for host, base in addresses(pool).items():
        values = {"ACS URL": SAML_ACS, "Single logout URL": SAML_LOGOUT, "Metadata": SAML_METADATA}
        yield format_html('<p class="console-part">{}</p>', host)
        yield panels.facts({name: base + path for name, path in values.items()}, of=host, links=("Metadata",))


def _certificates(pool: UserPool) -> Iterator[SafeString]:
    for use in KeyUse:
        coming = saml_keys.upcoming(pool, use)
        yield panels.document(CERTIFICATES[use], panels.pem(saml_keys.active(pool, use).certificate), folded=True)
        if coming is not None:
            yield panels.document(NEXT[use], panels.pem(coming.certificate), folded=True)


def _after(words: str) -> SafeString:
    return format_html('<p class="console-after">{}</p>', words)
