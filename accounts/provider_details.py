"""ProviderDetails: Cognito's map of strings for each type of identity provider, parsed into a frozen dataclass.

The console's form, ``apply`` and the sign-in flow read a provider through the same ``parse``, so what one of them
accepts the others can use. https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_IdentityProviderType.html
Not read here, for a sign-in would pay for it: a SAML provider's metadata document (accounts/saml_metadata.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

MAX_METADATA = 1024 * 1024
CALLBACK = "/oauth2/idpresponse"  # under each address of the pool: what a provider of OAuth 2.0 is told and asked
# and those of SAML: where responses and sign-outs arrive, and what the pool publishes of itself
SAML_ACS = "/saml2/idpresponse"
SAML_LOGOUT = "/saml2/logout"
SAML_METADATA = "/saml2/metadata"


@dataclass(frozen=True, slots=True)
class OidcDetails:
    """A relying party's registration at an OpenID Provider. Without the four URLs, discovery gives them."""

    client_id: str
    client_secret: str = field(repr=False)
    oidc_issuer: str
    authorize_scopes: str
    attributes_request_method: str = "GET"
    authorize_url: str = ""
    token_url: str = ""
    attributes_url: str = ""
    jwks_uri: str = ""
    attributes_url_add_attributes: bool = False


@dataclass(frozen=True, slots=True)
class SocialDetails:
    """A registration at Google, Facebook or Login with Amazon; their endpoints are known."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_scopes: str
    api_version: str = ""


@dataclass(frozen=True, slots=True)
class AppleDetails:
    """A Services ID at Apple; the client secret is a JWT signed with ``private_key``."""

    client_id: str
    team_id: str
    key_id: str
    private_key: str = field(repr=False)
    authorize_scopes: str


@dataclass(frozen=True, slots=True)
class SamlDetails:
    """A SAML 2.0 IdP: its metadata, by URL or as a document, and what is switched on for it."""

    metadata_url: str = ""
    metadata_file: str = field(default="", repr=False)
    idp_signout: bool = False
    idp_init: bool = False
    encrypted_responses: bool = False
    request_signing_algorithm: str = ""


Details = OidcDetails | SocialDetails | AppleDetails | SamlDetails

# keys that a description carries and that Cognito fills in itself: accepted, and kept, but never configured by them
DESCRIBED = {
    "attributes_url_add_attributes",
    "token_request_method",
    "ActiveEncryptionCertificate",
    "SLORedirectBindingURI",
    "SSORedirectBindingURI",
}
FIXED = {"authorize_url", "token_url", "attributes_url", "oidc_issuer", "jwks_uri"}
REQUIRED: dict[str, tuple[str, ...]] = {
    "OIDC": ("client_id", "client_secret", "oidc_issuer", "authorize_scopes", "attributes_request_method"),
    "Google": ("client_id", "client_secret", "authorize_scopes"),
    "Facebook": ("client_id", "client_secret", "authorize_scopes"),
    "LoginWithAmazon": ("client_id", "client_secret", "authorize_scopes"),
    "SignInWithApple": ("client_id", "team_id", "key_id", "private_key", "authorize_scopes"),
    "SAML": (),
}
OPTIONAL: dict[str, tuple[str, ...]] = {
    "OIDC": ("authorize_url", "token_url", "attributes_url", "jwks_uri"),
    "Facebook": ("api_version",),
    "SAML": (
        "MetadataURL",
        "MetadataFile",
        "IDPSignout",
        "IDPInit",
        "EncryptedResponses",
        "RequestSigningAlgorithm",
    ),
}
SECRET_KEYS = ("client_secret", "private_key")


def known_keys(provider_type: str) -> tuple[str, ...]:
    """The keys that an operator writes for this type."""
    return REQUIRED[provider_type] + OPTIONAL.get(provider_type, ())


def parse(provider_type: str, details: Any) -> Details:
    """Return ``details`` as the dataclass of ``provider_type``; raise ValidationError naming each bad key."""
    if provider_type not in REQUIRED:
        raise ValidationError(f"ProviderType {provider_type!r} is not one of {', '.join(REQUIRED)}.")
    if not isinstance(details, dict):
        raise ValidationError("Give a map of strings.")
    problems = [f"{key}: values are strings." for key, value in details.items() if not isinstance(value, str)]
    known = {*known_keys(provider_type)} | DESCRIBED | (FIXED if provider_type != "SAML" else set())
    problems += [f"{key}: no such key for {provider_type}." for key in sorted(set(details) - known)]
    problems += [f"{key}: missing." for key in REQUIRED[provider_type] if not details.get(key)]
    if problems:
        raise ValidationError(problems)
    if provider_type == "SAML":
        return _parse_saml(details)
    if provider_type == "OIDC":
        return _parse_oidc(details)
    values = {key: details[key] for key in known_keys(provider_type) if key in details}
    return AppleDetails(**values) if provider_type == "SignInWithApple" else SocialDetails(**values)


def _parse_oidc(details: Mapping[str, str]) -> OidcDetails:
    problems = []
    issuer = details["oidc_issuer"]
    if not _is_url(issuer) or issuer.endswith("/"):
        problems.append("oidc_issuer: an absolute URL without a trailing slash.")
    if "openid" not in details["authorize_scopes"].split():
        problems.append("authorize_scopes: openid is required.")
    if details["attributes_request_method"] not in ("GET", "POST"):
        problems.append("attributes_request_method: GET or POST.")
    urls = {key: details.get(key, "") for key in OPTIONAL["OIDC"]}
    problems += [f"{key}: not an absolute URL." for key, url in urls.items() if url and not _is_url(url)]
    if any(urls.values()) and not all(urls.values()):
        missing = ", ".join(key for key, url in urls.items() if not url)
        problems.append(f"{missing}: give all four URLs, or none and let discovery find them.")
    if problems:
        raise ValidationError(problems)
    return OidcDetails(
        client_id=details["client_id"],
        client_secret=details["client_secret"],
        oidc_issuer=issuer,
        authorize_scopes=details["authorize_scopes"],
        attributes_request_method=details["attributes_request_method"],
        attributes_url_add_attributes=details.get("attributes_url_add_attributes") == "true",
        **urls,
    )


def _parse_saml(details: Mapping[str, str]) -> SamlDetails:
    problems = []
    url, document = details.get("MetadataURL", ""), details.get("MetadataFile", "")
    if bool(url) == bool(document):
        problems.append("MetadataURL, MetadataFile: give one of the two.")
    if url and not _is_url(url):
        problems.append("MetadataURL: not an absolute URL.")
    if len(document) > MAX_METADATA:
        problems.append("MetadataFile: larger than 1 MiB.")
    problems += [
        f"{key}: true or false, as a string."
        for key in ("IDPSignout", "IDPInit", "EncryptedResponses")
        if details.get(key, "false").lower() not in ("true", "false")
    ]
    if details.get("RequestSigningAlgorithm", "") not in ("", "rsa-sha256"):
        problems.append("RequestSigningAlgorithm: rsa-sha256.")
    if problems:
        raise ValidationError(problems)
    return SamlDetails(
        metadata_url=url,
        metadata_file=document,
        idp_signout=details.get("IDPSignout", "").lower() == "true",
        idp_init=details.get("IDPInit", "").lower() == "true",
        encrypted_responses=details.get("EncryptedResponses", "").lower() == "true",
        request_signing_algorithm=details.get("RequestSigningAlgorithm", ""),
    )


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment
