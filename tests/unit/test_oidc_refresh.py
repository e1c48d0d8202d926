"""Discovery documents and keys are read again in the background for providers that people come through."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import directory
from accounts.models import AppClient, AuthEvent, ProviderDocument, UserPool
from federation import tasks
from tests import factories
from tests.fakes.browser import register, through
from tests.fakes.oidc import OidcIdp
from tests.fakes.server import Reply
from tests.wire.helpers import query_of, sent_to_app

pytestmark = pytest.mark.django_db
DISCOVERY, JWKS = "/.well-known/openid-configuration", "/jwks"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def query(idp: OidcIdp, pool: UserPool, app_client: AppClient) -> dict[str, str]:
    register(idp, pool, app_client)
    return query_of(app_client, identity_provider="Corp")


def age(by: timedelta) -> None:
    for row in ProviderDocument.objects.all():
        for name in ("fetched_at", "failed_at", "claimed_until"):
            if (moment := getattr(row, name)) is not None:
                setattr(row, name, moment - by)
        row.save()
    directory.forget()


def calls(idp: OidcIdp) -> tuple[int, int]:
    return len(idp.called(DISCOVERY)), len(idp.called(JWKS))


def test_what_is_half_as_old_as_it_may_be_is_read_again(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    sent_to_app(through(http, query))
    assert tasks.refresh_oidc_discovery() == {"read": 0, "failed": 0}
    age(8 * MINUTE)
    assert tasks.refresh_oidc_discovery() == {"read": 1, "failed": 0}
    assert calls(idp) == (1, 2)  # keys after 7.5 minutes, discovery after 30
    age(31 * MINUTE)
    tasks.refresh_oidc_discovery()
    assert calls(idp) == (2, 3)
    sent_to_app(through(http, query | {"prompt": "login"}))
    assert calls(idp) == (2, 3)


def test_a_provider_that_nobody_came_through_is_not_called(http: Client, query: dict[str, str], idp: OidcIdp) -> None:
    assert tasks.refresh_oidc_discovery() == {"read": 0, "failed": 0}
    sent_to_app(through(http, query))
    age(100 * MINUTE)
    AuthEvent.objects.update(at=timezone.now() - timedelta(days=2))
    before = calls(idp)
    assert tasks.refresh_oidc_discovery() == {"read": 0, "failed": 0}
    assert calls(idp) == before


def test_a_failure_is_counted_keeps_the_copy_and_stops_nobody(
    http: Client, query: dict[str, str], idp: OidcIdp, pool: UserPool, app_client: AppClient
) -> None:
    sent_to_app(through(http, query))
    broken = factories.make_oidc_provider(pool, "Broken", provider_details={"nonsense": "1"})
    AuthEvent.objects.create(user_pool=pool, provider=broken, outcome="refused")
    age(8 * MINUTE)
    idp.misbehave(JWKS, Reply({}, 500))
    assert tasks.refresh_oidc_discovery() == {"read": 0, "failed": 1}
    assert ProviderDocument.objects.get(kind="jwks").body
    idp.misbehaviours.clear()
    sent_to_app(through(http, query | {"prompt": "login"}))
