"""Pools in the console: created, changed, refused with the rule, protected from deletion; and their keys.

Limits: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateUserPool.html,
API_PasswordPolicyType.html, API_SchemaAttributeType.html, API_AddCustomAttributes.html (W 13, W 17).
"""

from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import signing
from accounts.models import AuditEvent, UserPool
from tests import console, factories

ADD = "/admin/accounts/userpool/add/"


@pytest.fixture
def root(db: None) -> Client:
    return console.browser(console.operator(superuser=True))


def page(pool: UserPool, name: str = "change") -> str:
    return f"/admin/accounts/userpool/{quote(pool.pk)}/{name}/"


def events() -> list[tuple[str, str]]:
    return list(AuditEvent.objects.order_by("id").values_list("action", "target_type"))


def test_a_pool_is_created_with_its_keys_domain_and_policy(root: Client) -> None:
    data = console.values(
        root, ADD, name="shop", id="eu-west-1_Shop00001", policy_minimum_length="12", policy_require_symbols=None,
        username_attributes=["email"], required_attributes=["name"],
    )  # fmt: skip
    data |= {"domains-TOTAL_FORMS": "1", "domains-0-domain": "Shop"}
    data |= {"new_attributes-0-Name": "tier", "new_attributes-0-AttributeDataType": "String",
             "new_attributes-0-Maximum": "20", "new_attributes-0-Mutable": "1"}  # fmt: skip
    response = root.post(ADD, data)
    assert response.status_code == 302, console.errors(response)
    pool = UserPool.objects.get(pk="eu-west-1_Shop00001")
    assert pool.policy.minimum_length == 12
    assert pool.policy.require_symbols is False
    assert pool.policy.require_numbers is True
    assert pool.username_attributes == ["email"]
    assert "name" in pool.schema.required
    tier = pool.schema.attributes["custom:tier"]
    assert (tier.data_type, tier.max_length, tier.mutable) == ("String", 20, True)
    assert pool.domains.get().domain == "shop"
    assert pool.signing_keys.count() == 2
    assert events() == [("create", "user pool domain"), ("create", "user pool")]


def test_an_empty_id_is_generated(root: Client) -> None:
    assert root.post(ADD, console.values(root, ADD, name="shop", id="")).status_code == 302
    assert UserPool.objects.get().pk.startswith("eu-west-1_")


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": ""}, "name", "required"),
        ({"name": "a\\b"}, "name", "valid value"),
        ({"id": "no underscore"}, "id", "valid value"),
        ({"policy_minimum_length": "5"}, "policy_minimum_length", "greater than or equal to 6"),
        ({"policy_minimum_length": "100"}, "policy_minimum_length", "less than or equal to 99"),
        ({"policy_password_history_size": "25"}, "policy_password_history_size", "less than or equal to 24"),
        ({"key_rotation_days": "999999"}, "key_rotation_days", "less than or equal to 3650"),
        ({"username_attributes": ["email"], "alias_attributes": ["email"]}, "username_attributes", "not both"),
        ({"username_attributes": ["nickname"]}, "username_attributes", "not one of the available choices"),
        ({"new_attributes-0-Name": "email"}, "new_attributes", "standard attribute"),
        ({"new_attributes-0-Name": "x" * 21}, "new_attributes", "1 to 20 characters"),
        ({"new_attributes-0-Name": "tier", "new_attributes-0-Maximum": "many"}, "new_attributes", "whole number"),
        ({"new_attributes-0-Name": "tier", "new_attributes-1-Name": "custom:tier"}, "new_attributes", "twice"),
        ({"new_attributes-0-Name": "tier", "new_attributes-0-AttributeDataType": "Text"}, "new_attributes", "choices"),
        ({"new_attributes-0-Name": "tier", "new_attributes-0-Minimum": "9", "new_attributes-0-Maximum": "3"},
         "new_attributes", "the smaller first"),
        ({"new_attributes-0-Name": "\x00"}, "new_attributes", "Null characters"),
        ({"domains-TOTAL_FORMS": "1", "domains-0-domain": "two.labels"}, "inlines", "one label"),
        ({"domains-TOTAL_FORMS": "1", "domains-0-domain": "nodots", "domains-0-is_custom": "on"},
         "inlines", "whole host"),
        ({"domains-TOTAL_FORMS": "1", "domains-0-domain": "console.example.test", "domains-0-is_custom": "on"},
         "inlines", "issuer or the console"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_at_its_field(
    root: Client, changes: dict[str, Any], field: str, words: str
) -> None:
    data = console.values(root, ADD, name="shop") | changes
    found = console.errors(root.post(ADD, data))
    assert words in " ".join(found[field])
    assert not UserPool.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_domain_is_one_pools_only(root: Client, pool: UserPool) -> None:
    data = console.values(root, ADD, name="shop") | {"domains-TOTAL_FORMS": "1", "domains-0-domain": "demo"}
    assert "already exists" in str(console.errors(root.post(ADD, data))["inlines"])


def test_an_id_is_taken_once(root: Client, pool: UserPool) -> None:
    data = console.values(root, ADD, name="shop", id=pool.pk)
    assert "already exists" in str(console.errors(root.post(ADD, data))["id"])


def test_what_cognito_fixes_at_creation_cannot_be_changed(root: Client, pool: UserPool) -> None:
    data = console.values(root, page(pool), name="renamed") | {
        "id": "eu-west-1_Other00001", "username_attributes": ["email"], "alias_attributes": ["email"],
        "case_sensitive": "on",
    }  # fmt: skip
    assert root.post(page(pool), data).status_code == 302
    pool.refresh_from_db()
    assert (pool.name, pool.username_attributes, pool.alias_attributes) == ("renamed", [], [])
    assert pool.case_sensitive is False
    assert UserPool.objects.count() == 1


def test_custom_attributes_are_only_added(root: Client) -> None:
    pool = factories.make_pool(schema_attributes=[{"Name": "tier"}, {"Name": "email", "Required": True}])
    data = console.values(root, page(pool)) | {"new_attributes-0-Name": "level", "new_attributes-0-AttributeDataType":
        "Number", "new_attributes-0-Minimum": "1"}  # fmt: skip
    assert root.post(page(pool), data).status_code == 302
    pool = UserPool.objects.get()
    assert {"custom:tier", "custom:level"} <= set(pool.schema.names)
    assert pool.schema.required == ["sub", "email"]
    assert pool.schema.attributes["custom:level"].min_value == 1
    data = console.values(root, page(pool)) | {"new_attributes-0-Name": "tier"}
    assert "twice" in str(console.errors(root.post(page(pool), data)))


def test_saving_without_a_change_changes_and_records_nothing(root: Client, pool: UserPool) -> None:
    root.post(page(pool), console.values(root, page(pool)))  # spells the policy out
    before = AuditEvent.objects.count()
    root.post(page(pool), console.values(root, page(pool)))
    assert AuditEvent.objects.count() == before


def test_a_change_is_recorded_with_before_and_after(root: Client, pool: UserPool) -> None:
    root.post(page(pool), console.values(root, page(pool)))
    root.post(page(pool), console.values(root, page(pool), policy_minimum_length="20", key_rotation_days="30"))
    event = AuditEvent.objects.first()
    assert event is not None
    assert (event.actor, event.action, event.user_pool) == ("opal", "change", pool.pk)
    assert event.changes == {"password_policy.MinimumLength": [8, 20], "key_rotation_days": [90, 30]}
    assert event.request_id


def test_the_page_has_what_clients_need(root: Client, pool: UserPool) -> None:
    text = root.get(page(pool)).content.decode()
    for value in (
        pool.pk,
        f"https://id.example.test/{pool.pk}",
        f"https://id.example.test/{pool.pk}/.well-known/openid-configuration",
        f"https://id.example.test/{pool.pk}/.well-known/jwks.json",
        "https://demo.auth.example.test/oauth2/authorize",
        "https://demo.auth.example.test/oauth2/token",
    ):
        assert f'data-copy="{value}"' in text


def test_a_protected_pool_is_not_deleted_and_the_reason_is_told(root: Client) -> None:
    pool = factories.make_pool(deletion_protection=True)
    for response in (root.get(page(pool, "delete")), root.post(page(pool, "delete"), {"post": "yes"})):
        assert "deletion protection is active" in response.content.decode()
    bulk = {"action": "delete_selected", "_selected_action": [pool.pk]}
    for extra in ({}, {"post": "yes"}):
        response = root.post("/admin/accounts/userpool/", bulk | extra)
        assert "deletion protection is active" in response.content.decode()
    assert UserPool.objects.filter(pk=pool.pk).exists()


def test_an_unprotected_pool_is_deleted_with_all_that_is_its(root: Client, pool: UserPool, user: Any) -> None:
    text = root.get(page(pool, "delete")).content.decode()
    assert "pool users" in text.lower()
    assert root.post(page(pool, "delete"), {"post": "yes"}).status_code == 302
    assert not UserPool.objects.exists()
    assert events() == [("delete", "user pool")]
    assert AuditEvent.objects.get().target_id == pool.pk


def test_several_pools_are_deleted_each_with_its_event(root: Client) -> None:
    pools = [factories.make_pool() for _ in range(3)]
    data = {"action": "delete_selected", "_selected_action": [pool.pk for pool in pools], "post": "yes"}
    assert root.post("/admin/accounts/userpool/", data).status_code == 302
    assert AuditEvent.objects.filter(action="delete").count() == 3


def test_a_pool_with_users_needs_the_permission_to_delete_users(pool: UserPool, user: Any) -> None:
    browser = console.browser(console.operator("view_userpool", "delete_userpool"))
    assert browser.post(page(pool, "delete"), {"post": "yes"}).status_code == 403
    assert UserPool.objects.exists()


def test_made_up_rows_of_an_action_are_refused(root: Client, pool: UserPool, user: Any) -> None:
    for model, pk in (("userpool", "no such"), ("pooluser", "x"), ("pooluser", "9" * 40)):
        data = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
        assert root.post(f"/admin/accounts/{model}/", data).status_code in (200, 302)


def test_rotating_makes_keys_that_sign_at_once_and_keeps_the_old_published(root: Client, pool: UserPool) -> None:
    old = {key.kid for key in pool.signing_keys.all()}
    assert "sign from now on" in root.get(page(pool, "rotate_keys")).content.decode()
    assert pool.signing_keys.count() == 2
    assert root.post(page(pool, "rotate_keys")).status_code == 302
    assert signing.active_key(pool, "id").kid not in old
    assert {key["kid"] for key in signing.published_jwks(pool)} > old
    assert events() == [("rotate keys", "user pool")]


def test_withdrawn_keys_leave_the_jwks(root: Client, pool: UserPool) -> None:
    old = {key.kid for key in pool.signing_keys.all()}
    key = pool.signing_keys.all()[0]
    assert root.post(f"/admin/accounts/signingkey/{key.pk}/withdraw_keys/").status_code == 302
    assert not old & {key["kid"] for key in signing.published_jwks(pool)}
    assert events() == [("withdraw keys", "user pool")]
    assert set(AuditEvent.objects.get().changes["signing_keys"][0]) == old


def test_keys_say_what_they_do_and_never_their_private_half(root: Client, pool: UserPool) -> None:
    signing.rotate(pool, at_once=True)
    signing.rotate(pool, withdraw=True)
    text = root.get("/admin/accounts/signingkey/").content.decode()
    assert "signs now" in text
    assert "expired" in text
    for key in pool.signing_keys.all():
        page_of_key = root.get(reverse("admin:accounts_signingkey_change", args=(key.pk,))).content.decode()
        assert "private" not in page_of_key.lower()
        assert '"d"' not in page_of_key
        assert key.not_before <= timezone.now()


@pytest.mark.parametrize("codes", [("view_userpool", "change_userpool"), ("view_userpool", "add_signingkey")])
def test_withdrawing_needs_its_own_permission(pool: UserPool, codes: tuple[str, ...]) -> None:
    browser = console.browser(console.operator(*codes))
    assert browser.post(page(pool, "withdraw_keys")).status_code == 403
    expected = 302 if "add_signingkey" in codes else 403
    assert browser.post(page(pool, "rotate_keys")).status_code == expected
