"""pysaml2's configuration of a pool as a service provider.

Facts of W 8.1. A configuration is made once per process for its few addresses, is only read afterwards, and may be
shared between threads (it cannot be pickled, so it is in no cache that processes share). A client (client.py) is
made for each message. There is no metadata in the configuration, because metadata.py is the only reader of metadata
and says which certificates count, and there is no key in it.
"""

from functools import lru_cache

from saml2 import BINDING_HTTP_POST
from saml2.config import SPConfig
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

SKEW = 60  # seconds by which the clocks of a provider and ours may differ


def entity_id(pool_id: str) -> str:
    """Return the pool's name as a service provider, which is the audience of assertions (W 8.1)."""
    return f"urn:amazon:cognito:sp:{pool_id}"


@lru_cache(maxsize=1024)
def configuration(
    entity: str, acs_url: str, slo_url: str, *, unsolicited: bool, others: tuple[tuple[str, str], ...] = ()
) -> SPConfig:
    """Return the configuration: one that takes answers to our requests only, or one for those nobody asked for.

    pysaml2 believes every InResponseTo once unsolicited answers are allowed. So that variant is for a response which
    has none (checks.py says so), at a provider that may begin sign-ins. ``others`` are further pairs of addresses.
    """
    addresses = ((acs_url, slo_url), *others)
    return SPConfig().load(
        {
            "entityid": entity,
            "crypto_backend": "XMLSecurity",  # or it looks for the xmlsec1 binary; PoolSaml2Client replaces it
            "only_use_keys_in_metadata": True,
            "allow_unknown_attributes": True,
            "accepted_time_diff": SKEW,
            "delete_tmpfiles": True,
            "service": {
                "sp": {
                    "endpoints": {
                        "assertion_consumer_service": [(acs, BINDING_HTTP_POST) for acs, _ in addresses],
                        "single_logout_service": [(slo, BINDING_HTTP_POST) for _, slo in addresses],
                    },
                    "allow_unsolicited": unsolicited,
                    "authn_requests_signed": False,  # build_request says so for each
                    "logout_requests_signed": True,
                    "logout_responses_signed": True,
                    "want_response_signed": False,
                    "want_assertions_signed": False,
                    "want_assertions_or_response_signed": True,
                    # at the top level pysaml2 ignores them and signs with SHA-1
                    "signing_algorithm": SIG_RSA_SHA256,
                    "digest_algorithm": DIGEST_SHA256,
                }
            },
        }
    )
