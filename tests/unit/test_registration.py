"""What a sign-in name means: W 12, user-pool-settings-attributes page."""

import pytest
from django.core.exceptions import ValidationError

from accounts.authentication import find_user
from accounts.registration import new_user
from tests import factories

pytestmark = pytest.mark.django_db


def test_in_a_pool_of_email_addresses_the_username_becomes_the_sub() -> None:
    pool = factories.make_pool(username_attributes=["email"])
    user = new_user(pool, "Ada@example.test")
    user.save()
    assert user.username == user.sub
    assert user.attributes == {"email": "Ada@example.test"}
    assert find_user(pool, "ada@example.test") == user, "an unverified address signs in where it is the username"


@pytest.mark.parametrize("name", ["ada", "+12065551212", "ada@", "@example.test"])
def test_a_name_that_is_not_an_email_address_is_refused_there(name: str) -> None:
    with pytest.raises(ValidationError, match="a username is an e-mail address"):
        new_user(factories.make_pool(username_attributes=["email"]), name)


def test_a_user_who_comes_with_a_sub_for_a_username_keeps_it() -> None:
    pool = factories.make_pool(username_attributes=["email"])
    name = "8f8c1f2e-1f1c-7b1a-9e0a-0123456789ab"
    assert new_user(pool, name, {"email": "ada@example.test"}).username == name


@pytest.mark.parametrize(("aliases", "name"), [(["email"], "ada@example.test"), (["phone_number"], "+12065551212")])
def test_a_username_that_looks_like_an_alias_is_refused(aliases: list[str], name: str) -> None:
    with pytest.raises(ValidationError, match="must not look like"):
        new_user(factories.make_pool(alias_attributes=aliases), name)


def test_attributes_are_held_against_the_schema() -> None:
    with pytest.raises(ValidationError, match="no such attribute"):
        new_user(factories.make_pool(), "ada", {"custom:tier": "gold"})


@pytest.mark.parametrize(("name", "case_sensitive"), [("Corp_1", True), ("corp_1", False), ("CORP_", False)])
def test_nobody_takes_the_name_of_somebody_who_will_come_from_a_provider(name: str, case_sensitive: bool) -> None:
    """W 11.1: the username of a federated user is <ProviderName>_<subject>."""
    pool = factories.make_pool(case_sensitive=case_sensitive)
    factories.make_oidc_provider(pool)
    with pytest.raises(ValidationError, match="begin with Corp_"):
        new_user(pool, name)
    assert new_user(pool, "corporal").username == "corporal"
