"""Names, limits and rules of the Cognito API, held for the console's forms, for ``apply`` and for the models alike.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/ (the types), and the guide's pages on app
clients and resource servers. Every check raises ValidationError with the rule in words. What is left out: quotas of
the AWS account.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

from accounts.attributes import STANDARD_ATTRIBUTES, Schema

# Python's re has no \p{L}. What the API calls letters, marks, symbols, numbers and punctuation is everything but white
# space, control and format characters, surrogates, private use and unassigned code points; the last are let through.
# \Z, for $ would let a line feed pass at the end; (?a), for \w and \s are ASCII where the API was written.
PRINTABLE = (
    r"^[^\s\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ud800-\udfff\ue000-\uf8ff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\U000f0000-\U0010ffff]+\Z"
)
POOL_ID = r"(?a)^[\w-]+_[0-9a-zA-Z]+\Z"
CLIENT_ID = r"(?a)^[\w+]+\Z"
NAME = r"(?a)^[\w\s+=,.@-]{1,128}\Z"
NAME_256 = r"(?a)^[\w\s+=,.@-]{1,256}\Z"
SCOPE = r"^[\x21\x23-\x5B\x5D-\x7E]{1,256}\Z"
SCOPE_NAME = r"^[\x21\x23-\x2E\x30-\x5B\x5D-\x7E]{1,256}\Z"
CLIENT_SECRET = r"(?a)^[\w+]{24,64}\Z"  # noqa: S105 - a pattern
DOMAIN_PREFIX = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
IDP_IDENTIFIER = r"(?a)^[\w\s+=.@-]{1,40}\Z"
PROVIDER_NAME = r"^[^_\s][^\s\x00-\x1f\x7f-\x9f][^_\s\x00-\x1f\x7f-\x9f]+\Z"
ROLE_ARN = r"(?a)^arn:[\w+=/,.@-]+:[\w+=/,.@-]+:[\w+=/,.@-]*:[0-9]*:[\w+=/,.@-]+(:[\w+=/,.@-]+)?(:[\w+=/,.@-]+)?\Z"

SYSTEM_SCOPES = ("openid", "email", "phone", "profile", "aws.cognito.signin.user.admin")
OIDC_SCOPES = ("openid", "email", "phone", "profile")
FLOWS = ("code", "implicit", "client_credentials")
VERIFIABLE = ("email", "phone_number")
ALIASES = ("email", "phone_number", "preferred_username")
SOCIAL = ("Google", "Facebook", "LoginWithAmazon", "SignInWithApple")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def shown(pattern: str) -> str:
    """Return ``pattern`` as the API reference prints it."""
    return pattern.removeprefix("(?a)").removeprefix("^").removesuffix(r"\Z")


def check_pattern(value: str, pattern: str, what: str) -> None:
    if not isinstance(value, str) or not re.search(pattern, value):
        raise ValidationError(f"{what} {value!r} does not match {shown(pattern)}.")


def check_choices(values: Sequence[str], allowed: Iterable[str]) -> None:
    allowed = list(allowed)
    if not isinstance(values, list | tuple):
        raise ValidationError("Give a list.")
    for value in values:
        if value not in allowed:
            raise ValidationError(f"{value!r} is not one of {', '.join(allowed)}.")
    if len(set(values)) != len(values):
        raise ValidationError("A value is listed twice.")


def check_sign_in_attributes(username_attributes: Any, alias_attributes: Any) -> None:
    check_choices(username_attributes, VERIFIABLE)
    check_choices(alias_attributes, ALIASES)
    if username_attributes and alias_attributes:
        raise ValidationError("A pool has UsernameAttributes or AliasAttributes, not both.")


def check_domain(domain: str, is_custom: bool) -> None:
    """A prefix of one label, or a whole host name below a top-level domain."""
    labels = domain.split(".")
    for label in labels:
        check_pattern(label, DOMAIN_PREFIX, "The domain label")
    if is_custom and len(labels) < 2:
        raise ValidationError("A custom domain is a whole host name, such as auth.example.com.")
    if not is_custom and len(labels) > 1:
        raise ValidationError("A prefix domain is one label; for a whole host name use a custom domain.")
    suffix = settings.USERPOOL_DOMAIN_SUFFIX
    if is_custom and suffix and (domain == suffix or domain.endswith(f".{suffix}")):
        raise ValidationError(f"Names under {suffix} belong to prefix domains. Give the prefix as Domain.")
    host = domain if is_custom else f"{domain}.{suffix}"
    if len(host) > 253:
        raise ValidationError("A host name has at most 253 characters.")
    if host in {settings.USERPOOL_CONSOLE_HOST, urlsplit(settings.USERPOOL_ISSUER_BASE_URL).hostname}:
        raise ValidationError("This host serves the issuer or the console; a pool cannot take it.")


def check_url(url: str, what: str) -> None:
    """A callback or sign-out URL: absolute, no fragment, https, or http on a loopback host, or a custom scheme."""
    if not 1 <= len(url) <= 1024 or not re.search(PRINTABLE, url):
        raise ValidationError(f"{what} must have 1 to 1024 characters and no white space.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValidationError(f"{what} {url!r} is not a URL.") from error
    if not parts.scheme or not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*", parts.scheme):
        raise ValidationError(f"{what} {url!r} must be absolute.")
    if "#" in url:
        raise ValidationError(f"{what} {url!r} must not have a fragment.")
    if parts.scheme in ("http", "https"):
        if not parts.hostname:
            raise ValidationError(f"{what} {url!r} has no host.")
        if parts.username is not None:
            raise ValidationError(f"{what} {url!r} must not carry credentials.")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ValidationError(f"{what} {url!r}: http is for localhost, 127.0.0.1 and [::1] only; use https.")
    elif parts.scheme.lower() in ("javascript", "data", "vbscript", "file", "blob", "about"):
        raise ValidationError(f"{what} {url!r}: this scheme is never a place to send a user.")


def check_urls(urls: Sequence[str], what: str) -> None:
    if len(urls) > 100:
        raise ValidationError(f"At most 100 {what}s.")
    if len(set(urls)) != len(urls):
        raise ValidationError(f"A {what} is listed twice.")
    for url in urls:
        check_url(url, what)


def check_client_secret(secret: str) -> None:
    if not isinstance(secret, str) or not re.search(CLIENT_SECRET, secret):
        raise ValidationError("A client secret has 24 to 64 letters, digits, _ or +.")


def check_resource_server_scopes(scopes: Any) -> None:
    if not isinstance(scopes, list) or len(scopes) > 100:
        raise ValidationError("Give a list of at most 100 scopes.")
    for scope in scopes:
        if not isinstance(scope, dict) or not {"ScopeName", "ScopeDescription"} <= set(scope):
            raise ValidationError("Each scope has a ScopeName and a ScopeDescription.")
        check_pattern(scope["ScopeName"], SCOPE_NAME, "ScopeName")
        if not isinstance(scope["ScopeDescription"], str) or not 1 <= len(scope["ScopeDescription"]) <= 256:
            raise ValidationError("ScopeDescription has 1 to 256 characters.")
    if len({scope["ScopeName"] for scope in scopes}) != len(scopes):
        raise ValidationError("A ScopeName is listed twice.")


def check_provider_name(name: str, provider_type: str) -> None:
    """Social providers bear their type's name; others have 3 to 32 characters (CreateIdentityProvider)."""
    if provider_type in SOCIAL:
        if name != provider_type:
            raise ValidationError(f"A provider of type {provider_type} is named {provider_type}.")
        return
    if name == "COGNITO" or name in SOCIAL:
        raise ValidationError(f"{name} is a reserved name.")
    if len(name) > 32 or not re.search(PROVIDER_NAME, name):
        raise ValidationError(
            "A provider name has 3 to 32 characters, no white space, and an underscore at most as the second."
        )


def check_idp_identifiers(identifiers: Any) -> None:
    if not isinstance(identifiers, list) or len(identifiers) > 50:
        raise ValidationError("Give a list of at most 50 identifiers.")
    for identifier in identifiers:
        check_pattern(identifier, IDP_IDENTIFIER, "The identifier")
    if len(set(identifiers)) != len(identifiers):
        raise ValidationError("An identifier is listed twice.")


def check_attribute_mapping(mapping: Any, schema: Schema | None) -> None:
    """Each key is ``username`` or an attribute of ``schema`` (of any pool's, without), each value a claim's name."""
    if not isinstance(mapping, dict):
        raise ValidationError("Give a map from user pool attribute to claim.")
    known = {"username", *STANDARD_ATTRIBUTES} | ({*schema.names} if schema else set())
    for attribute, claim in mapping.items():
        if attribute not in known and (schema is not None or not attribute.startswith("custom:")):
            raise ValidationError(f"The pool has no attribute {attribute!r}.")
        if attribute == "sub":
            raise ValidationError("sub is the pool's own; map the IdP's to username.")
        if attribute == "identities":
            raise ValidationError("identities is the pool's own: it says which providers the user comes from.")
        if not isinstance(claim, str) or not 1 <= len(claim) <= 131072:
            raise ValidationError(f"The claim for {attribute} is empty.")
