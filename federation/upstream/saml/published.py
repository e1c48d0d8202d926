"""The pool's own metadata: what a provider's administrator would else copy by hand (saml-metadata-2.0).

Beyond Cognito, which publishes none (W 8.1). It lists every address of the pool, the one that it was asked at first,
and two signing certificates while one is about to take over from the other.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from djangosaml2.views import MetadataView
from saml2 import md
from saml2.config import SPConfig
from saml2.metadata import do_key_descriptor

from accounts import saml_keys
from accounts.models import UserPool
from accounts.models.saml import KeyUse
from accounts.provider_details import SAML_ACS, SAML_LOGOUT
from federation.upstream.saml.config import configuration, entity_id

MEDIA_TYPE = "application/samlmetadata+xml"
# the first is what users should be known by: it is nobody else's next year, and says nothing to another app
NAME_IDS = (
    "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
)


class _PoolMetadata(MetadataView):
    """djangosaml2's view, for one pool: the configuration is that of the request's pool."""

    config: SPConfig

    def get_sp_config(self, request: HttpRequest) -> SPConfig:
        return self.config


def document(request: HttpRequest, pool: UserPool, base_url: str) -> HttpResponse:
    """Return the metadata of ``pool`` as it is asked for at ``base_url``."""
    bases = [base_url, *(domain.base_url for domain in pool.domains.all() if domain.host), pool.issuer]
    addresses = tuple((base + SAML_ACS, base + SAML_LOGOUT) for base in dict.fromkeys(bases))
    (acs, slo), *others = addresses
    config = configuration(entity_id(pool.pk), acs, slo, unsolicited=False, others=tuple(others))
    response: HttpResponse = _PoolMetadata(config=config).get(request)
    described = md.entity_descriptor_from_string(response.content)
    (role,) = described.spsso_descriptor
    # djangosaml2 and pysaml2 take certificates from files, and these are in the database
    role.key_descriptor = do_key_descriptor(
        [key.certificate for key in saml_keys.published(pool, KeyUse.SIGNING)],
        [key.certificate for key in saml_keys.published(pool, KeyUse.ENCRYPTION)],
    )
    role.name_id_format = [md.NameIDFormat(text=name) for name in NAME_IDS]
    role.want_assertions_signed = "true"
    # "false" would switch an IdP's own rule off, that it takes signed requests only
    role.authn_requests_signed = "true" if _signs_requests(pool) else None
    response.content = str(described).encode()
    response["Content-Type"] = MEDIA_TYPE
    response["Content-Disposition"] = f'inline; filename="{pool.pk}.xml"'
    return response


def _signs_requests(pool: UserPool) -> bool:
    providers = [one for one in pool.identity_providers.all() if one.provider_type == "SAML"]
    details: list[Any] = [one.provider_details for one in providers]
    return any(found.get("RequestSigningAlgorithm") for found in details)
