"""Users and groups in the console: created, changed, found, disabled, signed out; and what is refused.

AdminCreateUser, AdminSetUserPassword, AdminDisableUser, AdminUserGlobalSignOut of the API reference (W 12, W 13), and
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-attributes.html
"""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import authentication
from accounts.models import AuditEvent, Group, IdentityProvider, PoolUser, RefreshToken, SignInSession, UserPool
from accounts.models.grants import Grant, Subject
from accounts.models.users import UserStatus
from tests import console, factories

POOL = "eu-west-1_Demo00001"
ADD = f"/admin/accounts/pooluser/add/?user_pool={POOL}"
LIST = "/admin/accounts/pooluser/"
GIVEN = "Given-password-1"


@pytest.fixture
def root(pool: UserPool) -> Client:
    return console.browser(console.operator(superuser=True))


def page(row: Any, name: str = "change") -> str:
    return f"/admin/accounts/{row._meta.model_name}/{row.pk}/{name}/"


def set_pool(pool: UserPool, **values: Any) -> None:
    for name, value in values.items():
        setattr(pool, name, value)
    pool.__dict__.pop("schema", None)
    pool.save()


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def audit_table() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_auditevent")
        return repr(cursor.fetchall())


def signed_in(user: PoolUser) -> tuple[SignInSession, RefreshToken]:
    """Give the user a session and a grant."""
    client, now = factories.make_client(user.user_pool), timezone.now()
    until = now + timedelta(hours=1)
    session = SignInSession.objects.create(digest="d" * 43, user=user, auth_time=now, expires_at=until)
    RefreshToken.open(Grant(Subject.of(user), "openid", now, "j" * 36, "e" * 36), client)
    return session, RefreshToken.objects.get(user=user)


# --- creating


def test_a_new_user_gets_a_temporary_password_that_is_shown_once(root: Client, pool: UserPool) -> None:
    factories.make_group(pool, "admins")
    data = console.values(
        root, ADD, username="Ada", attribute_email="ada@example.test", attribute_email_verified="true",
        groups_chosen=["admins"],
    )  # fmt: skip
    response = root.post(ADD, data)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    match = re.search(r"data-value>([^<]+)<", response.content.decode())
    assert match is not None
    password = match[1].replace("&amp;", "&").replace("&#x27;", "'").replace("&lt;", "<").replace("&gt;", ">")
    user = PoolUser.objects.get()
    assert user.status == UserStatus.FORCE_CHANGE_PASSWORD
    assert user.check_password(password)
    assert user.attributes == {"email": "ada@example.test", "email_verified": "true"}
    assert [group.group_name for group in user.groups.all()] == ["admins"]
    assert user.password_changed_at is not None
    text = audit_table()
    assert password not in text
    assert user.password not in text
    assert actions() == ["create", "change groups"]


@pytest.mark.parametrize(("kind", "status"), [("temporary", "FORCE_CHANGE_PASSWORD"), ("permanent", "CONFIRMED")])
def test_a_password_may_be_given(root: Client, kind: str, status: str) -> None:
    data = console.values(root, ADD, username="ada", first_password=kind, password_given=GIVEN)
    assert root.post(ADD, data).status_code == 302
    user = PoolUser.objects.get()
    assert (user.status, user.check_password(GIVEN)) == (status, True)
    assert GIVEN not in audit_table()


def test_in_a_pool_of_addresses_the_name_becomes_the_sub(root: Client, pool: UserPool) -> None:
    set_pool(pool, username_attributes=["email"])
    assert root.post(ADD, console.values(root, ADD, username="ada@example.test")).status_code == 200
    user = PoolUser.objects.get()
    assert user.username == user.sub
    assert user.attributes["email"] == "ada@example.test"
    assert authentication.find_user(pool, "ada@example.test") == user


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"username": ""}, "username", "required"),
        ({"username": "with space"}, "username", "valid value"),
        ({"username": "x" * 129}, "username", "at most 128"),
        ({"username": "ada@example.test"}, "username", "must not look like an e-mail address"),
        ({"username": "TAKEN"}, "username", "has a user of this name"),
        ({"attribute_email": "taken@example.test", "attribute_email_verified": "true"}, "attribute_email",
         "signs in with this already"),
        ({"attribute_email": "no address"}, "attribute_email", "not an e-mail address"),
        ({"attribute_phone_number": "12345"}, "attribute_phone_number", "a plus sign"),
        ({"attribute_birthdate": "today"}, "attribute_birthdate", "between 10 and 10"),
        ({"attribute_custom:level": "eleven"}, "attribute_custom:level", "whole number"),
        ({"attribute_custom:level": "11"}, "attribute_custom:level", "between 1 and 10"),
        ({"attribute_custom:tier": "platinum"}, "attribute_custom:tier", "between 0 and 6"),
        ({"attribute_email_verified": "maybe"}, "attribute_email_verified", "valid choice"),
        ({"attribute_name": ""}, "attribute_name", "required"),
        ({"first_password": "permanent", "password_given": "short"}, "password_given", "at least 8 characters"),
        ({"first_password": "permanent", "password_given": ""}, "password_given", "at least 8 characters"),
        ({"first_password": "generated", "password_given": GIVEN}, "password_given", "Leave this empty"),
        ({"first_password": "none"}, "first_password", "valid choice"),
        ({"groups_chosen": ["nobody"]}, "groups_chosen", "not one of the available"),
        ({"attribute_name": "\x00"}, "attribute_name", "Null characters"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_at_its_field(
    root: Client, pool: UserPool, changes: dict[str, Any], field: str, words: str
) -> None:
    schema: list[dict[str, Any]] = [
        {"Name": "name", "Required": True},
        {"Name": "tier", "StringAttributeConstraints": {"MaxLength": "6"}},
        {"Name": "level", "AttributeDataType": "Number",
         "NumberAttributeConstraints": {"MinValue": "1", "MaxValue": "10"}},
    ]  # fmt: skip
    set_pool(pool, schema_attributes=schema, alias_attributes=["email"])
    factories.make_user(pool, "taken")
    data = console.values(root, ADD, username="ada", attribute_name="Ada") | changes
    found = console.errors(root.post(ADD, data))
    assert words in " ".join(found.get(field, [])), found
    assert PoolUser.objects.count() == 1
    assert not AuditEvent.objects.exists()


# --- changing


def test_attributes_are_changed_cleared_and_recorded(root: Client, user: PoolUser) -> None:
    data = console.values(root, page(user), attribute_name="Ada L.", attribute_email="", attribute_email_verified="")
    assert root.post(page(user), data).status_code == 302
    user.refresh_from_db()
    assert user.attributes == {"name": "Ada L."}
    event = AuditEvent.objects.get()
    assert event.changes["attributes.name"] == [None, "Ada L."]
    assert event.changes["attributes.email"] == ["ada@example.test", None]
    assert event.target_id == user.sub


def test_an_immutable_attribute_stays(root: Client, pool: UserPool) -> None:
    set_pool(pool, schema_attributes=[{"Name": "tier", "Mutable": False}])
    user = factories.make_user(pool, attributes={"custom:tier": "gold"})
    data = console.values(root, page(user)) | {"attribute_custom:tier": "lead", "username": "eve"}
    assert root.post(page(user), data).status_code == 302
    user.refresh_from_db()
    assert (user.username, user.attributes) == ("ada", {"custom:tier": "gold"})


def test_an_alias_of_another_user_is_refused(root: Client, pool: UserPool) -> None:
    set_pool(pool, alias_attributes=["email"])
    factories.make_user(pool, "eve")
    user = factories.make_user(pool, "ada")
    data = console.values(root, page(user), attribute_email="eve@example.test")
    assert "signs in with this already" in str(console.errors(root.post(page(user), data))["attribute_email"])


def test_groups_are_those_of_the_pool_only(root: Client, pool: UserPool, user: PoolUser) -> None:
    factories.make_group(pool, "admins")
    factories.make_group(factories.make_pool(), "foreign")
    data = console.values(root, page(user), groups_chosen=["foreign"])
    assert "groups_chosen" in console.errors(root.post(page(user), data))
    assert root.post(page(user), console.values(root, page(user), groups_chosen=["admins"])).status_code == 302
    assert user.groups.get().group_name == "admins"
    event = AuditEvent.objects.get()
    assert (event.action, event.changes) == ("change groups", {"groups": [[], ["admins"]]})


def test_with_many_groups_their_names_are_typed(root: Client, pool: UserPool, user: PoolUser) -> None:
    Group.objects.bulk_create(Group(user_pool=pool, group_name=f"g{n}") for n in range(150))
    data = console.values(root, page(user), groups_chosen="g1\r\ng149")
    assert root.post(page(user), data).status_code == 302
    assert user.groups.count() == 2
    data["groups_chosen"] = "g1\nunknown"
    assert "no group unknown" in str(console.errors(root.post(page(user), data))["groups_chosen"])


def test_a_users_page_has_no_hash_in_it(root: Client, user: PoolUser) -> None:
    text = root.get(page(user)).content.decode()
    assert "argon2" not in text
    assert user.password not in text


# --- operations


def test_a_temporary_password_is_shown_once_and_ends_what_the_old_one_opened(root: Client, user: PoolUser) -> None:
    session, grant = signed_in(user)
    url = page(user, "temporary_password")
    root.get(url)
    assert user.check_password(factories.PASSWORD)
    response = root.post(url)
    assert "data-value" in response.content.decode()
    user.refresh_from_db()
    assert user.status == UserStatus.FORCE_CHANGE_PASSWORD
    assert not user.check_password(factories.PASSWORD)
    assert not SignInSession.objects.filter(pk=session.pk).exists()
    grant.refresh_from_db()
    assert grant.revoked_at is not None
    assert actions() == ["set temporary password"]
    assert AuditEvent.objects.get().changes["password"] == ["(hidden)", "(hidden)"]


def test_a_permanent_password_must_meet_the_policy(root: Client, user: PoolUser) -> None:
    url = page(user, "set_password")
    assert "at least 8 characters" in root.post(url, {"password": "short"}).content.decode()
    assert root.post(url, {"password": GIVEN}).status_code == 302
    user.refresh_from_db()
    assert user.check_password(GIVEN)
    assert user.status == UserStatus.CONFIRMED
    assert GIVEN not in audit_table()


def test_disabling_refuses_the_user_everywhere_at_once(root: Client, pool: UserPool, user: PoolUser) -> None:
    _, grant = signed_in(user)
    assert root.post(page(user, "disable")).status_code == 302
    user.refresh_from_db()
    assert not user.enabled
    assert not SignInSession.objects.exists()
    grant.refresh_from_db()
    assert grant.revoked_at is not None
    assert RefreshToken.subject_of(grant.app_client, user.sub, grant.origin_jti, 0) is None
    with pytest.raises(authentication.SignInRefused) as refused:
        authentication.authenticate(pool, "ada", factories.PASSWORD, "192.0.2.1")
    assert refused.value.reason == authentication.Refusal.DISABLED
    assert root.post(page(user, "enable")).status_code == 302
    assert authentication.authenticate(pool, "ada", factories.PASSWORD, "192.0.2.1") == user
    assert actions() == ["disable", "enable"]


def test_signing_out_everywhere_ends_sessions_and_grants(root: Client, user: PoolUser) -> None:
    _, grant = signed_in(user)
    assert root.post(page(user, "sign_out")).status_code == 302
    assert not SignInSession.objects.exists()
    grant.refresh_from_db()
    user.refresh_from_db()
    assert grant.revoked_at is not None
    assert user.signed_out_at is not None
    assert user.enabled
    assert actions() == ["sign out everywhere"]


@pytest.mark.parametrize("name", ["sign_out_selected", "disable_selected"])
def test_several_users_at_once(root: Client, pool: UserPool, name: str) -> None:
    users = [factories.make_user(pool, f"user{n}") for n in range(3)]
    signed_in(users[0])
    chosen = {"action": name, "_selected_action": [user.pk for user in users[:2]]}
    asked = root.post(LIST, chosen)
    assert "2 users" in asked.content.decode()
    assert SignInSession.objects.exists()
    assert root.post(LIST, chosen | {"confirmed": "1"}).status_code == 302
    assert not SignInSession.objects.exists()
    assert AuditEvent.objects.count() == 2
    assert PoolUser.objects.get(pk=users[2].pk).signed_out_at is None


def test_an_unconfirmed_user_is_confirmed(root: Client, pool: UserPool) -> None:
    user = factories.make_user(pool, status=UserStatus.UNCONFIRMED)
    assert root.post(page(user, "confirm")).status_code == 302
    user.refresh_from_db()
    assert user.status == UserStatus.CONFIRMED


def test_an_identity_is_unlinked(root: Client, pool: UserPool, user: PoolUser) -> None:
    link = user.identities.create(provider=factories.make_oidc_provider(pool), subject="upstream-1")
    assert root.post(page(user, "unlink"), {"link": "999"}).status_code == 200
    assert root.post(page(user, "unlink"), {"link": str(link.pk)}).status_code == 302
    assert not user.identities.exists()
    assert actions() == ["unlink identity"]


def test_a_session_and_a_grant_are_ended_by_who_may(root: Client, user: PoolUser) -> None:
    session, grant = signed_in(user)
    looker = console.browser(console.operator("view_signinsession", "view_refreshtoken", name="looker"))
    assert looker.post(page(session, "end")).status_code == 403
    assert looker.post(page(grant, "revoke")).status_code == 403
    assert root.post(page(session, "end")).status_code == 302
    assert root.post(page(grant, "revoke")).status_code == 302
    grant.refresh_from_db()
    assert grant.revoked_at is not None
    assert not SignInSession.objects.exists()
    assert actions() == ["end session", "revoke grant"]
    text = root.get(page(grant)).content.decode()
    assert grant.digest not in text
    assert grant.selector not in text


def test_a_user_is_deleted(root: Client, user: PoolUser) -> None:
    signed_in(user)
    assert root.post(page(user, "delete"), {"post": "yes"}).status_code == 302
    assert not PoolUser.objects.exists()
    assert actions() == ["delete"]


# --- identities


def linked(user: PoolUser) -> set[tuple[str, str, bool]]:
    return {(link.claim, link.subject, link.primary) for link in user.identities.all()}


def federated(pool: UserPool, subject: str = "4711") -> PoolUser:
    """A user who came from the provider Corp."""
    provider = IdentityProvider.objects.filter(user_pool=pool).first() or factories.make_oidc_provider(pool)
    user = factories.make_user(pool, f"corp_{subject}", None, status=UserStatus.EXTERNAL_PROVIDER)
    user.identities.create(provider=provider, subject=subject, primary=True)
    return user


@pytest.mark.parametrize("claim", ["", "sub", "Cognito_Subject", "NameID"])
def test_an_identity_is_linked_by_its_subject(root: Client, pool: UserPool, user: PoolUser, claim: str) -> None:
    """AdminLinkProviderForUser (W 11.4); the subject has one name here, whatever it is called."""
    provider = factories.make_oidc_provider(pool)
    url = page(user, "link_identity")
    assert "Link only what you know to be the same person" in root.get(url).content.decode()
    assert linked(user) == set()
    values = {"provider": str(provider.pk), "value": " 4711 ", "claim": claim}
    assert root.post(url, values)["Location"] == page(user)
    assert linked(user) == {("", "4711", False)}
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.target_id) == ("opal", "link identity", user.sub)
    assert event.changes == {"identities": [None, "Corp: 4711"]}


def test_a_link_by_another_claim_waits_for_the_first_sign_in(root: Client, pool: UserPool, user: PoolUser) -> None:
    provider = factories.make_oidc_provider(pool)
    values = {"provider": str(provider.pk), "value": "ada@corp.example", "claim": "email"}
    assert root.post(page(user, "link_identity"), values).status_code == 302
    assert linked(user) == {("email", "ada@corp.example", False)}
    assert AuditEvent.objects.get().changes == {"identities": [None, "Corp: email = ada@corp.example"]}
    looker = console.browser(console.operator("view_pooluser", name="looker"))
    for browser in (root, looker):
        text = browser.get(page(user)).content.decode()
        assert "email = ada@corp.example (waits for the first sign-in)" in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"value": ""}, "This field is required"),
        ({"value": "x" * 513}, "at most 512"),
        ({"value": "\x00"}, "Null characters"),
        ({"claim": "x" * 257}, "at most 256"),
        ({"provider": ""}, "This field is required"),
        ({"provider": "foreign"}, "not one of the available choices"),
        ({"provider": "Google", "claim": "email"}, "are linked by their subject"),
        ({"value": "his"}, "is linked to bob"),
        ({"value": "hers"}, "is linked to this user already"),
        ({"value": "own"}, "has a user of its own, corp_own"),
    ],
)
def test_a_link_that_cannot_be_made_is_told_in_the_form(
    root: Client, pool: UserPool, user: PoolUser, values: dict[str, str], words: str
) -> None:
    provider = factories.make_oidc_provider(pool)
    google = factories.make_oidc_provider(pool, "Google", provider_type="Google")
    foreign = factories.make_oidc_provider(factories.make_pool())
    federated(pool, "own")
    factories.make_user(pool, "bob").identities.create(provider=provider, subject="his")
    user.identities.create(provider=provider, subject="hers")
    given = {"provider": str(provider.pk), "value": "4711", "claim": ""} | values
    given["provider"] = {"foreign": str(foreign.pk), "Google": str(google.pk)}.get(given["provider"], given["provider"])
    response = root.post(page(user, "link_identity"), given)
    assert response.status_code == 200
    assert words in response.content.decode()
    assert linked(user) == {("", "hers", False)}
    assert not AuditEvent.objects.exists()


def test_a_user_has_five_identities_at_most(root: Client, pool: UserPool, user: PoolUser) -> None:
    provider = factories.make_oidc_provider(pool)
    for number in range(5):
        user.identities.create(provider=provider, subject=f"s{number}")
    response = root.post(page(user, "link_identity"), {"provider": str(provider.pk), "value": "s5", "claim": ""})
    assert "at most 5 identities" in response.content.decode()
    assert user.identities.count() == 5


def operations(browser: Client, user: PoolUser) -> set[str]:
    """Return the operations that the page of ``user`` offers."""
    text = browser.get(page(user)).content.decode()
    return {name for name in re.findall(rf"/pooluser/{user.pk}/(\w+)/", text) if name not in ("change", "history")}


def test_who_may_only_look_links_nobody(pool: UserPool, user: PoolUser) -> None:
    provider = factories.make_oidc_provider(pool)
    link = user.identities.create(provider=provider, subject="upstream-1")
    looker = console.browser(console.operator("view_pooluser", "change_identityprovider"))
    assert operations(looker, user) == set()
    values = {"provider": str(provider.pk), "value": "4711", "claim": "", "link": str(link.pk)}
    for name in ("link_identity", "unlink"):
        assert looker.get(page(user, name)).status_code == 403
        assert looker.post(page(user, name), values).status_code == 403
    assert linked(user) == {("", "upstream-1", False)}
    writer = console.browser(console.operator("view_pooluser", "change_pooluser", name="writer"))
    assert {"link_identity", "unlink"} <= operations(writer, user)


def test_what_cannot_be_done_is_not_offered(root: Client, pool: UserPool, user: PoolUser) -> None:
    assert not {"link_identity", "unlink"} & operations(root, user)
    came = federated(pool)
    assert {"link_identity", "set_password"} <= operations(root, came)
    assert not {"unlink", "temporary_password"} & operations(root, came)
    assert "link_identity" in operations(root, user)
    assert "temporary_password" in operations(root, user)


def test_the_identity_that_a_user_came_from_stays_while_it_is_the_only_way_in(root: Client, pool: UserPool) -> None:
    user = federated(pool)
    own = user.identities.get()
    other = user.identities.create(provider=own.provider, subject="second")
    assert "unlink" in operations(root, user)
    text = root.get(page(user, "unlink")).content.decode()
    assert f'value="{other.pk}"' in text
    assert f'value="{own.pk}"' not in text
    assert root.post(page(user, "unlink"), {"link": str(own.pk)}).status_code == 200
    assert user.identities.count() == 2
    assert root.post(page(user, "unlink"), {"link": str(other.pk)}).status_code == 302
    assert linked(user) == {("", "4711", True)}
    assert AuditEvent.objects.get().changes == {"identities": ["Corp: second", None]}
    # with a password there is another way in
    assert root.post(page(user, "set_password"), {"password": GIVEN}).status_code == 302
    assert root.post(page(user, "unlink"), {"link": str(own.pk)}).status_code == 302
    assert linked(user) == set()


def test_a_user_from_a_provider_gets_a_password_of_their_own_or_none(root: Client, pool: UserPool) -> None:
    """AdminSetUserPassword: a password makes the user CONFIRMED; a temporary one makes no sense (W 11.1)."""
    user = federated(pool)
    url = page(user, "temporary_password")
    assert [root.get(url).status_code, root.post(url).status_code] == [404, 404]
    user.refresh_from_db()
    assert user.status == UserStatus.EXTERNAL_PROVIDER
    assert "can sign in here as well" in root.get(page(user, "set_password")).content.decode()
    assert root.post(page(user, "set_password"), {"password": GIVEN}).status_code == 302
    user.refresh_from_db()
    assert (user.status, user.check_password(GIVEN)) == (UserStatus.CONFIRMED, True)
    assert "can sign in here as well" not in root.get(page(user, "set_password")).content.decode()


# --- finding


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ada", ["ada"]),
        ("ADA", ["ada"]),
        ("bob@example.test", ["bob"]),
        ("+4915", ["bob"]),
        ("custom:tier=gold", ["ada", "bob"]),
        ("custom:tier=gol", []),
        ('custom:tier="gold"', ["ada", "bob"]),
        ("gold bob", ["bob"]),
        ("Zuse", ["cleo"]),
        ('"Konrad Zuse"', ["cleo"]),
        ("Konrad_Zuse", []),
        ("100%", ["cleo"]),
        ("sub=5f0c2f4e-0000-4000-8000-000000000001", ["ada"]),
        ("5f0c2f4e-0000-4000-8000-000000000001", ["ada"]),
        ("username=BOB", ["bob"]),
        ("email=bob@example.test", ["bob"]),
        ("email", []),
        ("nobody", []),
        ("'; DROP TABLE", []),
        ("\\", []),
    ],
)
def test_users_are_found_by_everything_that_is_known_of_them(
    root: Client, pool: UserPool, typed: str, found: list[str]
) -> None:
    factories.make_user(
        pool, "ada", sub="5f0c2f4e-0000-4000-8000-000000000001", attributes={"custom:tier": "gold", "name": "A"}
    )
    bob = {"email": "bob@example.test", "phone_number": "+4915112345", "custom:tier": "gold"}
    factories.make_user(pool, "bob", attributes=bob)
    factories.make_user(pool, "cleo", attributes={"name": "Konrad Zuse", "custom:tier": "silver", "nickname": "100%"})
    response = root.get(LIST, {"q": typed})
    assert sorted(user.username for user in response.context["cl"].result_list) == found


def test_users_are_filtered_by_pool_status_and_group(root: Client, pool: UserPool, user: PoolUser) -> None:
    other = factories.make_user(factories.make_pool(), "bob", status=UserStatus.UNCONFIRMED, enabled=False)
    group = factories.make_group(pool, "admins", user)
    for query, found in (
        ({"user_pool__id__exact": pool.pk}, [user]),
        ({"status__exact": "UNCONFIRMED"}, [other]),
        ({"enabled__exact": "0"}, [other]),
        ({"groups__id__exact": str(group.pk)}, [user]),
    ):
        assert list(root.get(LIST, query).context["cl"].result_list) == found


# --- groups and operators


def test_a_group_is_created_and_refused(root: Client, pool: UserPool) -> None:
    add = f"/admin/accounts/group/add/?user_pool={POOL}"
    bad = console.errors(root.post(add, console.values(root, add, group_name="a b", role_arn="nothing")))
    assert set(bad) == {"group_name", "role_arn"}
    assert root.post(add, console.values(root, add, group_name="admins", precedence="0")).status_code == 302
    assert "already exists" in str(console.errors(root.post(add, console.values(root, add, group_name="admins"))))


def test_operators_are_made_by_superusers_and_recorded_without_their_password(root: Client) -> None:
    add = "/admin/accounts/operator/add/"
    data = {"username": "ines", "usable_password": "true", "password1": GIVEN, "password2": GIVEN, "is_staff": "on"}
    assert root.post(add, data).status_code == 302
    assert actions() == ["create"]
    assert GIVEN not in audit_table()
    assert "argon2" not in audit_table()


def test_an_operator_hands_out_no_rights_and_touches_nobody_above(db: None) -> None:
    boss = console.operator(name="boss", superuser=True)
    peer = console.operator("view_userpool", "view_pooluser", name="peer")
    lower = console.operator("view_userpool", name="lower")
    me = console.operator("view_userpool", "change_operator", "view_operator", "delete_operator", "add_operator")
    browser = console.browser(me)
    for target, status in ((boss, 403), (peer, 403), (lower, 200)):
        assert browser.get(f"/admin/accounts/operator/{target.pk}/password/").status_code == status
        data = {"password1": GIVEN, "password2": GIVEN, "usable_password": "true"}
        assert browser.post(f"/admin/accounts/operator/{target.pk}/password/", data).status_code in (403, 302)
        target.refresh_from_db()
        assert target.check_password(GIVEN) is (status == 200)
    data = console.values(browser, f"/admin/accounts/operator/{lower.pk}/change/") | {
        "is_superuser": "on", "user_permissions": [str(p.pk) for p in peer.user_permissions.all()],
    }  # fmt: skip
    browser.post(f"/admin/accounts/operator/{lower.pk}/change/", data)
    lower.refresh_from_db()
    assert not lower.is_superuser
    assert lower.user_permissions.count() == 1
    bulk = {"action": "delete_selected", "_selected_action": [boss.pk], "post": "yes"}
    assert browser.post("/admin/accounts/operator/", bulk).status_code in (200, 302, 403)
    boss.refresh_from_db()


def test_changing_ones_own_password_is_recorded(root: Client) -> None:
    data = {"old_password": "Operators-own-1", "new_password1": GIVEN, "new_password2": GIVEN}
    assert root.post("/admin/password_change/", data | {"old_password": "wrong"}).status_code == 200
    assert not AuditEvent.objects.exists()
    assert root.post("/admin/password_change/", data).status_code == 302
    assert actions() == ["set password"]
    assert GIVEN not in audit_table()


def test_the_last_superuser_stays(root: Client) -> None:
    from accounts.models import Operator

    me = Operator.objects.get()
    root.post(f"/admin/accounts/operator/{me.pk}/delete/", {"post": "yes"})
    assert Operator.objects.exists()
