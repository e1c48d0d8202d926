"""App clients, resource servers and identity providers in the console: every rule at its field, secrets on demand.

Rules: https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-client-apps.html and the types
API_UserPoolClientType.html, API_ResourceServerType.html, API_IdentityProviderType.html (W 13, W 17).
"""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import AppClient, AppClientSecret, AuditEvent, IdentityProvider, ResourceServer, UserPool
from tests import console, factories

POOL = "eu-west-1_Demo00001"
ADD_CLIENT = f"/admin/accounts/appclient/add/?user_pool={POOL}"
ADD_SERVER = f"/admin/accounts/resourceserver/add/?user_pool={POOL}"
SECRETS = ("show_secret", "add_secret", "replace_secret", "delete_secret")


def add_provider(kind: str) -> str:
    return f"/admin/accounts/identityprovider/add/?user_pool={POOL}&provider_type={kind}"


@pytest.fixture
def root(pool: UserPool) -> Client:
    return console.browser(console.operator(superuser=True))


def page(row: Any, name: str = "change") -> str:
    return f"/admin/accounts/{row._meta.model_name}/{row.pk}/{name}/"


def audit_table() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_auditevent")
        return repr(cursor.fetchall())


def test_the_pool_is_chosen_first(root: Client) -> None:
    factories.make_pool("second")
    response = root.get("/admin/accounts/appclient/add/")
    assert "For which pool?" in response.content.decode()
    assert f"?user_pool={POOL}" in response.content.decode()
    assert f"?user_pool={POOL}" not in root.get("/admin/accounts/appclient/add/?q=second").content.decode()


def test_a_single_pool_needs_no_choice(root: Client) -> None:
    assert root.get("/admin/accounts/appclient/add/")["Location"] == f"?user_pool={POOL}"


def test_a_new_client_starts_with_what_a_sign_in_needs(root: Client) -> None:
    """Cognito's console starts a client with the code grant, openid and email; without a flow nobody signs in."""
    page = root.get(ADD_CLIENT).content.decode()
    for value in ("code", "openid", "email"):
        field = re.search(rf'<input[^>]*name="allowed_oauth_\w+"[^>]*value="{value}"[^>]*>', page)
        assert field, value
        assert "checked" in field[0]


def test_a_public_client_is_created_with_pkce_required(root: Client) -> None:
    data = console.values(
        root, ADD_CLIENT, name="web", client_id="1abc", redirect_uris="https://a.example/cb\r\nmyapp://cb\r\n",
        allowed_oauth_flows=["code"], allowed_oauth_scopes=["openid", "email"],
    )  # fmt: skip
    response = root.post(ADD_CLIENT, data)
    assert response.status_code == 302, console.errors(response)
    client = AppClient.objects.get()
    assert client.user_pool_id == POOL
    assert client.callback_urls == ("https://a.example/cb", "myapp://cb")
    assert (client.require_pkce, client.is_confidential, client.cognito_sign_in) == (True, False, True)
    assert client.read_attributes is None
    assert client.access_token_validity == timedelta(hours=1)
    assert not client.secrets.exists()


def test_a_confidential_client_shows_its_secret_once_saved(root: Client, pool: UserPool) -> None:
    factories.make_resource_server(pool)
    data = console.values(
        root, ADD_CLIENT, name="machine", generate_secret="on", allowed_oauth_flows=["client_credentials"],
        allowed_oauth_scopes=["https://api.example.test/read"], cognito_sign_in=None,
    )  # fmt: skip
    response = root.post(ADD_CLIENT, data)
    assert response.status_code == 200
    secret = AppClientSecret.objects.get().secret
    assert secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert AppClient.objects.get().is_confidential
    assert secret not in audit_table()


CODE = {"redirect_uris": "https://a.example/cb", "allowed_oauth_flows": ["code"], "allowed_oauth_scopes": ["openid"]}


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": ""}, "name", "required"),
        ({"client_id": "no spaces please"}, "client_id", "valid value"),
        ({"redirect_uris": "http://a.example/cb"}, "redirect_uris", "http is for localhost"),
        ({"redirect_uris": "https://a.example/cb#x"}, "redirect_uris", "fragment"),
        ({"redirect_uris": "/relative"}, "redirect_uris", "absolute"),
        ({"redirect_uris": "javascript:alert(1)"}, "redirect_uris", "never a place"),
        ({"redirect_uris": "https://[broken"}, "redirect_uris", "not a URL"),
        ({"redirect_uris": "\x00"}, "redirect_uris", "Null characters"),
        ({"redirect_uris": ""}, "redirect_uris", "at least one callback URL"),
        ({"redirect_uris": "\n".join(f"https://a.example/{n}" for n in range(101))}, "redirect_uris", "At most 100"),
        ({"post_logout_redirect_uris": "http://a.example/"}, "post_logout_redirect_uris", "http is for localhost"),
        ({"default_redirect": "https://b.example/"}, "default_redirect", "one of the callback URLs"),
        ({"allowed_oauth_flows": ["password"]}, "allowed_oauth_flows", "not one of the available choices"),
        ({"allowed_oauth_flows": ["client_credentials"], "allowed_oauth_scopes": []}, "allowed_oauth_flows",
         "needs a client secret"),
        ({"allowed_oauth_flows": ["code", "client_credentials"], "generate_secret": "on"}, "allowed_oauth_flows",
         "cannot be combined"),
        ({"allowed_oauth_flows": ["client_credentials"], "generate_secret": "on"}, "allowed_oauth_scopes",
         "custom scopes only"),
        ({"allowed_oauth_scopes": ["email"]}, "allowed_oauth_scopes", "need openid"),
        ({"allowed_oauth_scopes": ["openid", "unknown/scope"]}, "allowed_oauth_scopes", "not one of the available"),
        ({"allowed_oauth_scopes": ["openid", "address"]}, "allowed_oauth_scopes", "Invalid scope"),
        ({"access_token_validity_number": "4", "access_token_validity_unit": "minutes"}, "access_token_validity",
         "between 5 minutes and 24 hours"),
        ({"id_token_validity_number": "25"}, "id_token_validity", "between 5 minutes and 24 hours"),
        ({"refresh_token_validity_number": "59", "refresh_token_validity_unit": "minutes"}, "refresh_token_validity",
         "between 1 hours and 10 years"),
        ({"refresh_token_validity_number": "999999999", "refresh_token_validity_unit": "days"},
         "refresh_token_validity", "between"),
        ({"access_token_validity_number": "many"}, "access_token_validity", "whole number"),
        ({"access_token_validity_unit": "weeks"}, "access_token_validity", "valid choice"),
        ({"retry_grace_period_seconds": "61"}, "retry_grace_period_seconds", "less than or equal to 60"),
        ({"dialect": "klingon"}, "dialect", "valid choice"),
        ({"read_every_attribute": "", "read_attributes": ["custom:none"]}, "read_attributes", "not one of the"),
        ({"write_every_attribute": "", "write_attributes": ["email_verified"]}, "write_attributes", "not one of the"),
        ({"identity_providers": ["999"]}, "identity_providers", "not one of the available choices"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_at_its_field(
    root: Client, changes: dict[str, Any], field: str, words: str
) -> None:
    data = console.values(root, ADD_CLIENT, name="web", **CODE) | changes
    data = {name: value for name, value in data.items() if value != "" or not name.endswith("every_attribute")}
    found = console.errors(root.post(ADD_CLIENT, data))
    assert words in " ".join(found.get(field, [])), found
    assert not AppClient.objects.exists()
    assert not AuditEvent.objects.exists()


def test_required_attributes_must_be_writable(root: Client, pool: UserPool) -> None:
    pool.schema_attributes = [{"Name": "email", "Required": True}]
    pool.save()
    data = console.values(root, ADD_CLIENT, name="web", write_every_attribute=None, write_attributes=["name"], **CODE)
    assert "must be writable: email" in str(console.errors(root.post(ADD_CLIENT, data))["write_attributes"])


def test_a_provider_of_another_pool_cannot_be_chosen(root: Client) -> None:
    foreign = factories.make_oidc_provider(factories.make_pool())
    data = console.values(root, ADD_CLIENT, name="web", identity_providers=[str(foreign.pk)], **CODE)
    assert "not one of the available" in str(console.errors(root.post(ADD_CLIENT, data))["identity_providers"])


def test_a_client_id_is_taken_once(root: Client, app_client: AppClient) -> None:
    data = console.values(root, ADD_CLIENT, name="web", client_id=app_client.client_id, **CODE)
    assert "already exists" in str(console.errors(root.post(ADD_CLIENT, data))["client_id"])


def test_changes_are_saved_and_recorded(root: Client, pool: UserPool, app_client: AppClient) -> None:
    corp = factories.make_oidc_provider(pool)
    root.post(page(app_client), console.values(root, page(app_client)))
    changes = {
        "identity_providers": [str(corp.pk)],
        "access_token_validity_number": "30",
        "access_token_validity_unit": "minutes",
        "read_every_attribute": None,
        "read_attributes": ["email"],
    }
    response = root.post(page(app_client), console.values(root, page(app_client), **changes))
    assert response.status_code == 302, console.errors(response)
    app_client.refresh_from_db()
    assert app_client.access_token_validity == timedelta(minutes=30)
    assert app_client.token_validity_units["AccessToken"] == "minutes"
    assert app_client.read_attributes == ["email"]
    event = AuditEvent.objects.first()
    assert event is not None
    assert event.changes["identity_providers"] == [[], ["Corp"]]
    assert event.changes["access_token_validity"] == ["1:00:00", "0:30:00"]
    assert event.target_id == app_client.client_id


def test_pool_and_client_id_never_change(root: Client, app_client: AppClient) -> None:
    other = factories.make_pool()
    data = console.values(root, page(app_client)) | {"client_id": "another", "user_pool": other.pk}
    assert root.post(f"{page(app_client)}?user_pool={other.pk}", data).status_code == 302
    stored = AppClient.objects.get()
    assert (stored.client_id, stored.user_pool_id) == (app_client.client_id, POOL)


def test_a_scope_of_a_deleted_server_stays_until_it_is_unticked(root: Client, app_client: AppClient) -> None:
    AppClient.objects.update(allowed_oauth_scopes=["openid", "gone/read"])
    data = console.values(root, page(app_client))
    assert "gone/read" in data["allowed_oauth_scopes"]
    assert root.post(page(app_client), data).status_code == 302
    assert AppClient.objects.get().allowed_oauth_scopes == ["openid", "gone/read"]


# --- secrets


def test_no_list_and_no_form_has_a_secret_in_it(root: Client, secret_client: AppClient) -> None:
    for url in ("/admin/accounts/appclient/", page(secret_client), page(secret_client, "delete")):
        text = root.get(url).content.decode()
        assert "s" * 51 not in text
        assert secret_client.secret_digests[0] not in text


def test_a_secret_is_shown_by_post_only_and_noted(root: Client, secret_client: AppClient) -> None:
    url = page(secret_client, "show_secret")
    assert "s" * 51 not in root.get(url).content.decode()
    assert not AuditEvent.objects.exists()
    response = root.post(url)
    assert "s" * 51 in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.target_id) == ("opal", "show secret", secret_client.client_id)
    assert "s" * 51 not in audit_table()


@pytest.mark.parametrize(
    ("permission", "operation"),
    [("reveal", "show_secret"), ("add", "add_secret"), ("change", "replace_secret"), ("delete", "delete_secret")],
)
def test_each_operation_on_secrets_has_its_permission(
    secret_client: AppClient, permission: str, operation: str
) -> None:
    browser = console.browser(console.operator("change_appclient", f"{permission}_appclientsecret"))
    text = browser.get(page(secret_client)).content.decode()
    for name in SECRETS:
        assert (f"/{name}/" in text) is (name == operation)
        status = browser.post(page(secret_client, name), {"slot": "1"}).status_code
        assert status == 403 if name != operation else status in (200, 302)


def test_the_permission_for_secrets_alone_opens_no_client(secret_client: AppClient) -> None:
    browser = console.browser(console.operator("reveal_appclientsecret"))
    assert browser.post(page(secret_client, "show_secret")).status_code == 403


def test_a_second_secret_is_added_and_the_first_deleted(root: Client, secret_client: AppClient) -> None:
    given = "g" * 24
    assert given in root.post(page(secret_client, "add_secret"), {"secret": given}).content.decode()
    assert AppClient.objects.get().secret_matches("s" * 51)
    assert AppClient.objects.get().secret_matches(given)
    third = root.post(page(secret_client, "add_secret"), {"secret": ""})
    assert "at most two secrets" in third.content.decode()
    assert root.post(page(secret_client, "delete_secret"), {"slot": "1"}).status_code == 302
    stored = AppClient.objects.get()
    assert not stored.secret_matches("s" * 51)
    assert stored.secret_matches(given)
    assert stored.is_confidential
    assert list(AuditEvent.objects.order_by("id").values_list("action", flat=True)) == ["add secret", "delete secret"]
    assert given not in audit_table()


def test_replacing_ends_both_secrets(root: Client, secret_client: AppClient) -> None:
    secret_client.add_secret("t" * 51)
    response = root.post(page(secret_client, "replace_secret"), {"secret": ""})
    stored = AppClient.objects.get()
    assert not stored.secret_matches("s" * 51)
    assert not stored.secret_matches("t" * 51)
    assert stored.secrets.get().secret in response.content.decode()
    assert stored.secrets.get().secret not in audit_table()


@pytest.mark.parametrize("secret", ["short", "x" * 65, "with spaces in it, and enough of them"])
def test_a_bad_secret_is_refused_with_the_rule(root: Client, secret_client: AppClient, secret: str) -> None:
    response = root.post(page(secret_client, "add_secret"), {"secret": secret})
    assert response.status_code == 200
    assert AppClientSecret.objects.count() == 1


def test_the_last_secret_makes_the_client_public(root: Client, secret_client: AppClient) -> None:
    root.post(page(secret_client, "delete_secret"), {"slot": "1"})
    assert not AppClient.objects.get().is_confidential


def test_a_machines_last_secret_stays(root: Client, pool: UserPool) -> None:
    server = factories.make_resource_server(pool)
    client = factories.make_client(
        pool, secret=True, allowed_oauth_flows=["client_credentials"], allowed_oauth_scopes=server.scope_names[:1]
    )
    response = root.post(page(client, "delete_secret"), {"slot": "1"})
    assert "client_credentials needs a client secret" in response.content.decode()
    assert client.secrets.count() == 1


def test_a_made_up_slot_is_refused(root: Client, secret_client: AppClient) -> None:
    assert root.post(page(secret_client, "delete_secret"), {"slot": "9"}).status_code == 200
    assert secret_client.secrets.count() == 1


# --- resource servers


def test_a_resource_server_is_created_with_its_scopes(root: Client) -> None:
    data = console.values(root, ADD_SERVER, identifier="https://api.example.test", name="api") | {
        "scopes-0-ScopeName": "read", "scopes-0-ScopeDescription": "Read all",
    }  # fmt: skip
    assert root.post(ADD_SERVER, data).status_code == 302
    assert ResourceServer.objects.get().scope_names == ["https://api.example.test/read"]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"identifier": ""}, "identifier", "required"),
        ({"identifier": "with space"}, "identifier", "valid value"),
        ({"scopes-0-ScopeName": "a/b", "scopes-0-ScopeDescription": "x"}, "scopes", "ScopeName"),
        ({"scopes-0-ScopeName": "a", "scopes-0-ScopeDescription": ""}, "scopes", "1 to 256 characters"),
        ({"scopes-0-ScopeName": "a", "scopes-0-ScopeDescription": "x", "scopes-1-ScopeName": "a",
          "scopes-1-ScopeDescription": "x"}, "scopes", "twice"),
        ({f"scopes-{n}-{c}": f"s{n}" for n in range(101) for c in ("ScopeName", "ScopeDescription")}, "scopes",
         "at most 100"),
    ],
)  # fmt: skip
def test_a_bad_resource_server_is_refused(root: Client, changes: dict[str, Any], field: str, words: str) -> None:
    data = console.values(root, ADD_SERVER, identifier="api", name="api") | changes
    assert words in str(console.errors(root.post(ADD_SERVER, data))[field])
    assert not ResourceServer.objects.exists()


def test_an_identifier_is_taken_once_in_a_pool(root: Client, pool: UserPool) -> None:
    factories.make_resource_server(factories.make_pool(), "api")
    data = console.values(root, ADD_SERVER, identifier="api", name="api")
    assert root.post(ADD_SERVER, data).status_code == 302
    assert "already exists" in str(console.errors(root.post(ADD_SERVER, data)))


# --- identity providers

OIDC = {
    "provider_name": "Corp", "detail_client_id": "up", "detail_client_secret": "upstream-secret-1",
    "detail_oidc_issuer": "https://idp.example.test", "attribute_mapping-0-attribute": "email",
    "attribute_mapping-0-claim": "mail", "idp_identifiers": "corp.example\r\ncorp.test",
}  # fmt: skip


def test_the_type_is_chosen_before_the_form(root: Client) -> None:
    text = root.get(f"/admin/accounts/identityprovider/add/?user_pool={POOL}").content.decode()
    for kind in ("OIDC", "SAML", "Google", "Facebook", "LoginWithAmazon", "SignInWithApple"):
        assert f"provider_type={kind}" in text


def test_an_oidc_provider_is_created(root: Client) -> None:
    url = add_provider("OIDC")
    response = root.post(url, console.values(root, url) | OIDC)
    assert response.status_code == 302, console.errors(response)
    provider = IdentityProvider.objects.get()
    assert provider.provider_type == "OIDC"
    assert provider.provider_details == {
        "client_id": "up", "client_secret": "upstream-secret-1", "oidc_issuer": "https://idp.example.test",
        "authorize_scopes": "openid email profile", "attributes_request_method": "GET",
    }  # fmt: skip
    assert provider.attribute_mapping == {"email": "mail"}
    assert provider.idp_identifiers == ["corp.example", "corp.test"]
    assert "upstream-secret-1" not in audit_table()


@pytest.mark.parametrize("kind", ["Google", "Facebook", "LoginWithAmazon"])
def test_a_social_provider_bears_the_name_of_its_type(root: Client, kind: str) -> None:
    url = add_provider(kind)
    secret = {"detail_client_id": "x", "detail_client_secret": "y"}
    assert "is named" in str(console.errors(root.post(url, console.values(root, url, provider_name="Mine") | secret)))
    assert root.post(url, console.values(root, url) | secret).status_code == 302
    assert IdentityProvider.objects.get().provider_name == kind


def test_apples_private_key_is_never_shown_again(root: Client) -> None:
    url = add_provider("SignInWithApple")
    data = console.values(root, url, detail_client_id="c", detail_team_id="t", detail_key_id="k",
                          detail_private_key="-----BEGIN apple-key-----")  # fmt: skip
    assert root.post(url, data).status_code == 302
    assert "apple-key" not in root.get(page(IdentityProvider.objects.get())).content.decode()
    assert "apple-key" not in audit_table()


def test_a_saml_provider_needs_metadata(root: Client) -> None:
    url = add_provider("SAML")
    found = console.errors(root.post(url, console.values(root, url, provider_name="Corp")))
    assert "one of the two" in str(found["detail_MetadataURL"])
    data = console.values(root, url, provider_name="Corp", detail_MetadataURL="https://idp.example.test/metadata",
                          detail_IDPSignout="on")  # fmt: skip
    assert root.post(url, data).status_code == 302
    assert IdentityProvider.objects.get().provider_details["IDPSignout"] == "true"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"provider_name": "x"}, "provider_name", "3 to 32 characters"),
        ({"provider_name": "COGNITO"}, "provider_name", "reserved"),
        ({"detail_client_secret": ""}, "detail_client_secret", "required"),
        ({"detail_oidc_issuer": "https://idp.example.test/"}, "detail_oidc_issuer", "without a trailing slash"),
        ({"detail_oidc_issuer": "idp"}, "detail_oidc_issuer", "absolute URL"),
        ({"detail_authorize_scopes": "email"}, "detail_authorize_scopes", "Openid is required"),
        ({"detail_attributes_request_method": "PUT"}, "detail_attributes_request_method", "valid choice"),
        ({"detail_token_url": "https://idp.example.test/token"}, "detail_authorize_url", "all four URLs"),
        ({"attribute_mapping-0-attribute": "custom:none"}, "attribute_mapping", "no attribute 'custom:none'"),
        ({"attribute_mapping-0-attribute": "sub"}, "attribute_mapping", "sub is the pool's own"),
        ({"attribute_mapping-0-claim": ""}, "attribute_mapping", "is empty"),
        ({"attribute_mapping-1-attribute": "email", "attribute_mapping-1-claim": "e"}, "attribute_mapping", "twice"),
        ({"idp_identifiers": "a\nb\na"}, "idp_identifiers", "twice"),
        ({"idp_identifiers": "x" * 41}, "idp_identifiers", "does not match"),
    ],
)
def test_a_bad_provider_is_refused_at_its_field(root: Client, changes: dict[str, str], field: str, words: str) -> None:
    url = add_provider("OIDC")
    found = console.errors(root.post(url, console.values(root, url) | OIDC | changes))
    assert words in str(found[field])
    assert not IdentityProvider.objects.exists()


def test_an_identifier_leads_to_one_provider(root: Client, pool: UserPool) -> None:
    factories.make_oidc_provider(pool, "First", idp_identifiers=["corp.example"])
    url = add_provider("OIDC")
    found = console.errors(root.post(url, console.values(root, url) | OIDC))
    assert "Another provider of this pool has corp.example" in str(found["idp_identifiers"])


def test_an_empty_secret_keeps_the_stored_one(root: Client, pool: UserPool) -> None:
    provider = factories.make_oidc_provider(pool)
    data = console.values(root, page(provider), detail_client_id="changed")
    assert data["detail_client_secret"] == ""
    response = root.post(page(provider), data)
    assert response.status_code == 302, console.errors(response)
    provider.refresh_from_db()
    assert provider.provider_details["client_secret"] == "upstream-secret"
    assert provider.provider_details["client_id"] == "changed"
    data = console.values(root, page(provider), detail_client_secret="another-secret")
    assert root.post(page(provider), data).status_code == 302
    provider.refresh_from_db()
    assert provider.provider_details["client_secret"] == "another-secret"
    event = AuditEvent.objects.first()
    assert event is not None
    assert event.changes == {"provider_details.client_secret": ["(hidden)", "(hidden)"]}


def test_who_may_only_look_at_a_provider_sees_no_secret(pool: UserPool) -> None:
    provider = factories.make_oidc_provider(pool)
    text = console.browser(console.operator("view_identityprovider")).get(page(provider)).content.decode()
    assert "https://idp.example.test" in text
    assert "upstream-secret" not in text
