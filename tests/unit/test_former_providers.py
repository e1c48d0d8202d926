"""A provider that is deleted and made again: its users keep their accounts (DeleteIdentityProvider leaves them be)."""

from typing import Any

import pytest

from accounts import linking
from accounts.linking import ExternalIdentity
from accounts.models import AppClient, FormerIdentity, IdentityProvider, LinkedIdentity, PoolUser, UserPool
from tests import factories

pytestmark = pytest.mark.django_db


def arrive(client: AppClient, provider: IdentityProvider, subject: str = "Ab1") -> PoolUser:
    """Sign in through ``provider``."""
    claims: dict[str, Any] = {"email": "ada@corp.example.test"}
    return linking.resolve_user(ExternalIdentity(provider, subject, claims, "https://idp.example.test"), client)


def test_its_users_come_back_to_the_accounts_that_they_had(app_client: AppClient, pool: UserPool) -> None:
    first = factories.make_oidc_provider(pool)
    ada, local = arrive(app_client, first), factories.make_user(pool)
    linking.link(local, first, "local-at-corp")
    made = {link.subject: link.date_created for link in LinkedIdentity.objects.all()}
    first.delete()
    assert not LinkedIdentity.objects.exists()
    second = factories.make_oidc_provider(pool)
    assert arrive(app_client, second) == ada
    assert arrive(app_client, second, "local-at-corp") == local
    assert {link.subject: link.date_created for link in LinkedIdentity.objects.all()} == made
    assert LinkedIdentity.objects.get(user=ada).primary
    assert not FormerIdentity.objects.exists()


def test_a_subject_that_differs_in_case_is_somebody_else(app_client: AppClient, pool: UserPool) -> None:
    """W 13: subjects are compared case-sensitively, while usernames of such a pool are not."""
    first = factories.make_oidc_provider(pool)
    arrive(app_client, first, "Ab1")
    first.delete()
    with pytest.raises(linking.IdentityRefused, match="username_taken"):
        arrive(app_client, factories.make_oidc_provider(pool), "aB1")


@pytest.mark.parametrize("where", ["another name", "another pool"])
def test_another_provider_gets_nothing(app_client: AppClient, pool: UserPool, where: str) -> None:
    first = factories.make_oidc_provider(pool)
    arrive(app_client, first)
    first.delete()
    if where == "another name":
        factories.make_oidc_provider(pool, "Partner")
    else:
        factories.make_oidc_provider(factories.make_pool())
    assert not LinkedIdentity.objects.exists()
    assert FormerIdentity.objects.count() == 1


def test_deleting_the_pool_or_the_user_leaves_nothing(app_client: AppClient, pool: UserPool) -> None:
    provider = factories.make_oidc_provider(pool)
    arrive(app_client, provider, "one").delete()
    arrive(app_client, provider, "two")
    UserPool.objects.filter(pk=pool.pk).delete()
    assert not PoolUser.objects.exists()
    assert not FormerIdentity.objects.exists()


def test_deleting_the_user_of_a_provider_that_is_gone_leaves_nothing(app_client: AppClient, pool: UserPool) -> None:
    provider = factories.make_oidc_provider(pool)
    ada = arrive(app_client, provider)
    provider.delete()
    ada.delete()
    assert not FormerIdentity.objects.exists()
