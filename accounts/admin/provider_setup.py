"""What an operator registers at an identity provider, ready to copy: where it sends the browser back to.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-social-idp.html and W 7.1: one address for
each domain that the pool answers on. SAML has other addresses, which are not here.
"""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin import panels
from accounts.models import UserPool
from accounts.provider_details import CALLBACK

WHERE = {
    "OIDC": "Register every one of these as a redirect URI of the client at the provider.",
    "Google": 'In the Google Cloud console, paste every one into "Authorized redirect URIs" of the OAuth client.',
    "Facebook": 'In the Facebook app, under Facebook Login, paste every one into "Valid OAuth Redirect URIs".',
    "LoginWithAmazon": 'In the Web Settings of the security profile at Amazon, add every one to "Allowed Return URLs".',
    "SignInWithApple": 'In the Services ID at Apple, add every one to "Return URLs".',
}


def redirect_uris(pool: UserPool) -> dict[str, str]:
    """Return domain to redirect URI, the custom domain first; that of the issuer for a pool without a domain."""
    domains = sorted(pool.domains.all(), key=lambda domain: not domain.is_custom)
    found = {domain.host: domain.base_url + CALLBACK for domain in domains if domain.host}
    return found or {"Without a domain": pool.issuer + CALLBACK}


def panel(provider_type: str, pool: UserPool) -> SafeString:
    """Return the panel of the console that says what to register, and where."""
    words = format_html('<p class="console-after">{}</p>', WHERE[provider_type])
    return format_html("{}{}", panels.facts(redirect_uris(pool)), words)
