"""A pool with SAML providers, and where hypothesis keeps what it remembers: among the files that are nobody's."""

from pathlib import Path

import pytest
from django.test import Client
from hypothesis.configuration import set_hypothesis_home_dir

from accounts.models import AppClient, IdentityProvider, UserPool
from tests import factories
from tests.fakes.saml import metadata, pair
from tests.fakes.saml_browser import endpoints
from tests.security.saml.at_pool import SECOND, saml_provider, sign_in_honestly, with_keys
from tests.wire.helpers import query_of, set_values

set_hypothesis_home_dir(Path(__file__).resolve().parents[3] / "var" / "hypothesis")


@pytest.fixture
def provider(pool: UserPool, app_client: AppClient) -> IdentityProvider:
    return saml_provider(with_keys(pool), app_client)


@pytest.fixture
def second(pool: UserPool, app_client: AppClient, provider: IdentityProvider) -> IdentityProvider:
    """Another provider of the same pool and client, with keys of its own."""
    document = metadata(pair("second").certificate, entity_id=SECOND, more=endpoints(slo="POST"))
    return saml_provider(pool, app_client, name="Second", document=document)


@pytest.fixture
def other_pool() -> UserPool:
    """Another pool with the same provider, and a client of the same redirect_uri."""
    pool = with_keys(factories.make_pool("other", id="eu-west-1_Other0001"), "other pool")
    saml_provider(pool, factories.make_client(pool, client_id="7exampleclient23456789abcd"))
    return pool


@pytest.fixture
def query(app_client: AppClient, provider: IdentityProvider) -> dict[str, str]:
    return query_of(app_client, identity_provider="Corp")


@pytest.fixture
def saml_only(pool: UserPool, provider: IdentityProvider) -> AppClient:
    """A client at which the provider may begin sign-ins (W 8.4)."""
    client = factories.make_client(pool, client_id="5exampleclient23456789abcd", cognito_sign_in=False)
    client.identity_providers.add(provider)
    set_values(provider, provider_details=provider.provider_details | {"IDPInit": "true"})
    return client


@pytest.fixture
def ada(http: Client, pool: UserPool, app_client: AppClient, provider: IdentityProvider) -> Client:
    """A browser in which ada is signed in, through the provider."""
    sign_in_honestly(http, pool, app_client)
    return http
