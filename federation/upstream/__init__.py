"""Identity providers, each behind the same two verbs. This is the one place that knows which type speaks what."""

from accounts.models import IdentityProvider
from federation.errors import ServerError
from federation.upstream.base import Upstream
from federation.upstream.oidc import OidcUpstream
from federation.upstream.saml.sign_in import SamlUpstream
from federation.upstream.social import AmazonUpstream, AppleUpstream, FacebookUpstream, GoogleUpstream

UPSTREAMS: dict[str, type[Upstream]] = {
    "OIDC": OidcUpstream,
    "SAML": SamlUpstream,
    "Google": GoogleUpstream,
    "Facebook": FacebookUpstream,
    "LoginWithAmazon": AmazonUpstream,
    "SignInWithApple": AppleUpstream,
}


def upstream_for(provider: IdentityProvider) -> Upstream:
    """Return the upstream that speaks to ``provider``; raise ServerError for a type that none does."""
    kind = UPSTREAMS.get(provider.provider_type)
    if kind is None:
        raise ServerError("Sign-in with this identity provider is not available.")
    return kind(provider)
