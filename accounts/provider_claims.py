"""Names of claims that an identity provider is known to send, for the console to suggest in the attribute mapping.

OpenID Connect Core 1.0 5.1, https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload,
https://developers.google.com/people/api/rest/v1/people, https://developers.facebook.com/docs/graph-api/reference/user,
https://developer.amazon.com/docs/login-with-amazon/obtain-customer-profile.html and
https://developer.apple.com/documentation/sign_in_with_apple. For SAML the object identifiers of inetOrgPerson (RFC
2798, RFC 4519) and eduPerson (https://refeds.org/eduperson), and the claim types of
https://learn.microsoft.com/entra/identity-platform/reference-saml-tokens. Suggestions only: whatever else a provider
sends can be mapped as well.
"""

import json
from collections.abc import Iterator

from accounts import events
from accounts.models import AuthEvent, IdentityProvider, ProviderDocument

STANDARD = (
    "sub", "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
    "website", "email", "email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number",
    "phone_number_verified", "address", "updated_at",
)  # fmt: skip
KNOWN: dict[str, tuple[str, ...]] = {
    "OIDC": STANDARD,
    "Google": (
        "sub", "email", "email_verified", "name", "given_name", "family_name", "picture", "profile", "locale", "hd",
        # the People API's
        "addresses", "birthdays", "emailAddresses", "genders", "locales", "names", "nicknames", "occupations",
        "organizations", "phoneNumbers", "photos", "urls",
    ),
    "Facebook": (
        "id", "email", "name", "first_name", "last_name", "middle_name", "picture", "birthday", "gender", "age_range",
        "hometown", "link", "location", "name_format", "short_name",
    ),
    "LoginWithAmazon": ("user_id", "name", "email", "postal_code"),
    "SignInWithApple": ("sub", "email", "email_verified", "firstName", "lastName", "name"),
    "SAML": (
        "NameID", "mail", "email", "givenName", "sn", "displayName", "uid",
        "urn:oid:0.9.2342.19200300.100.1.3",  # mail
        "urn:oid:2.5.4.42",  # givenName
        "urn:oid:2.5.4.4",  # sn
        "urn:oid:2.16.840.1.113730.3.1.241",  # displayName
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",  # eduPersonPrincipalName
        *(
            f"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/{name}"
            for name in ("emailaddress", "givenname", "surname", "name", "upn")
        ),
    ),
}  # fmt: skip
# what a token says of itself and not of the user
OF_THE_TOKEN = frozenset(
    {
        "acr", "amr", "at_hash", "aud", "auth_time", "azp", "c_hash", "exp", "iat", "iss", "jti", "nbf", "nonce",
        "nonce_supported", "s_hash", "sid",
    }
)  # fmt: skip
ATTEMPTS = 5
# a fact of a step as long as this may have been cut off in the middle of a name
CLIPPED = (events.MAX_WORDS, events.MAX_CLAIMS)
MAX_NAME, MAX_NAMES = 256, 100


def suggestions(provider_type: str, provider: IdentityProvider | None = None) -> tuple[str, ...]:
    """Return the claims to suggest for a provider of this type; for one that exists, with what it says and sends."""
    names = list(KNOWN.get(provider_type, ()))
    if provider is not None and provider.pk is not None:
        seen = [*_listed(provider), *sent(provider)] if provider_type == "OIDC" else [*sent(provider)]
        about_the_token = frozenset() if provider_type == "SAML" else OF_THE_TOKEN
        names += sorted({name for name in seen if 0 < len(name) <= MAX_NAME} - about_the_token - {*names})
    return tuple(names[:MAX_NAMES])


def _listed(provider: IdentityProvider) -> Iterator[str]:
    """Yield the claims_supported of the kept discovery document (OpenID Connect Discovery 1.0 3)."""
    kept = ProviderDocument.objects.filter(provider=provider, kind="discovery").first()
    try:
        found = json.loads(kept.body) if kept is not None and kept.body else {}
    except (ValueError, RecursionError):
        return
    names = found.get("claims_supported") if isinstance(found, dict) else None
    yield from (name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def sent(provider: IdentityProvider) -> Iterator[str]:
    """Yield the claims that the last sign-ins brought, as their steps tell."""
    for attempt in AuthEvent.objects.filter(provider=provider)[:ATTEMPTS]:
        for step in attempt.steps:
            fact = step.get("claims")
            if isinstance(fact, str):
                names = fact.split(", ")
                yield from names[:-1] if len(fact) in CLIPPED else names
