"""The console as a place: which hosts have it, what it sends, who sees which page, and what a page costs.

Section 5 of the issue; Django's permissions: https://docs.djangoproject.com/en/5.2/topics/auth/default/#permissions.
"""

from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import shared_counts
from accounts.admin import sign_in
from accounts.models import AppClient, AuditEvent, PoolUser, UserPool
from tests import console, factories
from tests.needs import needs_redis

MODELS = (
    "accounts_userpool", "accounts_appclient", "accounts_resourceserver", "accounts_identityprovider",
    "accounts_pooluser", "accounts_group", "accounts_signingkey", "accounts_signinsession", "accounts_refreshtoken",
    "accounts_auditevent", "accounts_operator", "auth_group", "accounts_authevent", "accounts_samlkey",
    "accounts_jobrun",
)  # fmt: skip
READ_ONLY = (
    "accounts_signingkey", "accounts_signinsession", "accounts_refreshtoken", "accounts_auditevent",
    "accounts_authevent", "accounts_samlkey",
    "accounts_jobrun",
)  # fmt: skip


@pytest.fixture
def root(db: None) -> Any:
    return console.browser(console.operator(superuser=True))


def test_a_pools_host_has_no_console(pool: UserPool, http: Any) -> None:
    for path in ("/admin/", "/admin/login/", "/admin/accounts/userpool/"):
        assert http.get(path).status_code == 404


@pytest.mark.parametrize("host", ["id.example.test", "elsewhere.example.test"])
def test_no_other_host_has_the_console(db: None, host: str) -> None:
    browser = console.browser()
    assert browser.get("/admin/login/", headers={"host": host}).status_code == 404


def test_without_signing_in_there_is_only_the_sign_in_page(db: None) -> None:
    response = console.browser().get("/admin/accounts/userpool/")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_a_user_of_a_pool_is_no_operator(user: PoolUser) -> None:
    response = console.browser().post("/admin/login/", {"username": "ada", "password": factories.PASSWORD})
    assert response.status_code == 200
    assert "sessionid" not in response.cookies


def test_guessing_an_operators_password_is_slowed_down(db: None) -> None:
    console.operator(superuser=True)
    browser = console.browser()
    for _ in range(10):
        browser.post("/admin/login/", {"username": "opal", "password": "wrong"})
    response = browser.post("/admin/login/", {"username": "opal", "password": "Operators-own-1"})
    assert "Too many failed attempts" in response.content.decode()


def test_a_name_takes_more_failures_than_an_address_from_wherever_they_come(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or anybody who knows the name could lock its operator out; without any bound many addresses could guess on."""
    assert sign_in.ATTEMPTS["name"] > sign_in.ATTEMPTS["address"]
    monkeypatch.setitem(sign_in.ATTEMPTS, "name", 4)
    console.operator(superuser=True)
    right = {"username": "opal", "password": "Operators-own-1"}

    def guess(addresses: range) -> None:
        for n in addresses:
            form = {"username": ("opal", "OPAL")[n % 2], "password": "x"}
            console.browser().post("/admin/login/", form, REMOTE_ADDR=f"192.0.2.{n}")

    guess(range(3))
    assert console.browser().post("/admin/login/", right, REMOTE_ADDR="198.51.100.1").status_code == 302
    guess(range(10, 14))
    refused = console.browser().post("/admin/login/", right, REMOTE_ADDR="198.51.100.1")
    assert "Too many failed attempts" in refused.content.decode()


def test_a_lock_out_is_on_record_once_and_only_for_names_that_are_operators(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody is called may be a password in the wrong field."""
    monkeypatch.setitem(sign_in.ATTEMPTS, "address", 2)
    console.operator(superuser=True)
    for _ in range(6):
        console.browser().post("/admin/login/", {"username": "opal", "password": "wrong"})
    found = AuditEvent.objects.get(action="lock out")
    assert (found.actor, found.target_name) == ("sign-in page", "opal")
    assert found.changes == {
        "sign-in": ["open", "locked"],
        "from": [None, "127.0.0.1"],
        "by": [None, ["address"]],
    }
    for _ in range(4):
        form = {"username": "my-Secret-1", "password": "wrong"}
        console.browser().post("/admin/login/", form, REMOTE_ADDR="192.0.2.7")
    assert AuditEvent.objects.filter(action="lock out").count() == 1


@needs_redis
def test_guesses_are_counted_wherever_they_arrive_and_go_on_being_counted_without_redis(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sign_in.ATTEMPTS, "address", 3)
    monkeypatch.setattr(shared_counts, "TIMEOUT", 10.0)
    shared_counts.forget()
    console.operator(superuser=True)

    def locked() -> bool:
        response = console.browser().post("/admin/login/", {"username": "opal", "password": "x"})
        return "Too many failed attempts" in response.content.decode()

    assert [locked(), locked()] == [False, False]
    caches["process"].clear()  # another process
    assert [locked(), locked()] == [False, True]
    settings.REDIS_URL = ""
    assert [locked(), locked()] == [False, True]
    shared_counts.forget()


@pytest.mark.parametrize("form", ["x=" + "y" * 600_000, "x=1&" * 2500], ids=["size", "fields"])
@pytest.mark.parametrize("path", ["/admin/login/", "/admin/accounts/userpool/add/"])
def test_a_form_that_is_too_large_is_413_and_no_traceback(
    root: Any, form: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 9110 15.5.14. Anybody can send one to the sign-in page."""
    response = root.post(path, form, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 413
    assert "This request is too large" in response.content.decode()
    assert not [record for record in caplog.records if record.exc_info]


def test_a_path_that_is_none_gets_a_page_of_ours(root: Any) -> None:
    response = root.get("/admin/nothing")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_an_account_of_ones_own_does_not_clear_the_count_of_guesses(db: None) -> None:
    """OWASP Authentication Cheat Sheet, lock-out: a success resets its own account's count, nobody else's."""
    console.operator(name="mallory")
    browser = console.browser()
    for n in range(9):
        browser.post("/admin/login/", {"username": f"o{n}", "password": "x"})
    own = {"username": "mallory", "password": "Operators-own-1"}
    assert console.browser().post("/admin/login/", own).status_code == 302
    browser.post("/admin/login/", {"username": "o9", "password": "x"})
    assert "Too many failed attempts" in console.browser().post("/admin/login/", own).content.decode()


def test_a_guesser_of_operators_does_not_change_addresses_within_ipv6(db: None) -> None:
    """RFC 4291 2.5.1: whoever has one address of a /64 has them all."""
    console.operator(superuser=True)
    browser = console.browser()
    for n in range(10):
        browser.post("/admin/login/", {"username": f"o{n}", "password": "x"}, REMOTE_ADDR=f"2001:db8::{n + 1}")
    form = {"username": "opal", "password": "Operators-own-1"}
    response = browser.post("/admin/login/", form, REMOTE_ADDR="2001:db8::ffff")
    assert "Too many failed attempts" in response.content.decode()
    assert browser.post("/admin/login/", form, REMOTE_ADDR="2001:db8:0:1::1").status_code == 302


def test_every_page_says_what_it_may_load(root: Any, pool: UserPool) -> None:
    for response in (root.get("/admin/"), console.browser().get("/admin/login/"), root.get("/admin/jsi18n/")):
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self' 'unsafe-eval';" in policy
        assert "frame-ancestors 'none'" in policy
        assert response["X-Frame-Options"] == "DENY"
        assert response["Referrer-Policy"] == "same-origin"
        assert response["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in response["Permissions-Policy"]
        assert "no-store" in response["Cache-Control"] or "jsi18n" in response.wsgi_request.path


def test_nothing_comes_from_elsewhere(root: Any, pool: UserPool) -> None:
    text = root.get("/admin/").content.decode() + root.get(reverse("admin:accounts_userpool_add")).content.decode()
    for mark in ('src="http', 'src="//', 'href="//', "<script>"):
        assert mark not in text


@pytest.mark.parametrize("model", MODELS)
def test_every_list_opens_empty_and_full(root: Any, model: str) -> None:
    assert root.get(reverse(f"admin:{model}_changelist")).status_code == 200
    everything()
    response = root.get(reverse(f"admin:{model}_changelist"))
    assert response.status_code == 200
    assert root.get(reverse(f"admin:{model}_changelist") + "?q=demo%20x=y%20%22a%20b%22").status_code == 200


def everything() -> None:
    """A row of every kind."""
    from django.contrib.auth.models import Group as OperatorGroup
    from django.utils import timezone

    from accounts import audit, events
    from accounts.models import RefreshToken, SignInSession
    from accounts.models.grants import Grant, Subject

    pool = factories.make_pool("full", username_attributes=[], schema_attributes=[{"Name": "tier"}])
    client = factories.make_client(pool, secret=True)
    user = factories.make_user(pool)
    factories.make_group(pool, "admins", user)
    factories.make_resource_server(pool)
    provider = factories.make_oidc_provider(pool)
    user.identities.create(provider=provider, subject="upstream-1")
    now = timezone.now()
    SignInSession.objects.create(digest="d" * 43, user=user, auth_time=now, expires_at=now)
    RefreshToken.open(Grant(Subject.of(user), "openid", now, "j" * 36, "e" * 36), client)
    OperatorGroup.objects.create(name="support")
    events.refused(pool, provider, client.client_id, events.Steps(), "token_timeout", "invalid_request", "words")
    audit.record("change", pool, {"name": ["a", "b"], "list": [["a"], {"b": 1}]}, actor="ada")


@pytest.mark.parametrize("model", MODELS)
def test_every_row_opens_for_who_may_change_it_and_for_who_may_look(root: Any, model: str) -> None:
    everything()
    looker = console.browser(console.operator(model.replace("_", ".view_"), name="looker"))
    for browser in (root, looker):
        rows = browser.get(reverse(f"admin:{model}_changelist")).context["cl"].result_list
        for row in rows:
            url = reverse(f"admin:{model}_change", args=(console_quote(row.pk),))
            response = browser.get(url)
            assert response.status_code == 200
            if browser is looker or model in READ_ONLY:
                assert 'name="_save"' not in response.content.decode()


def console_quote(pk: Any) -> str:
    from django.contrib.admin.utils import quote

    return str(quote(pk))


@pytest.mark.parametrize("model", MODELS)
def test_without_the_permission_there_is_no_page(db: None, model: str) -> None:
    browser = console.browser(console.operator("view_appclient" if model == "accounts_userpool" else "view_userpool"))
    assert browser.get(reverse(f"admin:{model}_changelist")).status_code == 403
    assert reverse(f"admin:{model}_changelist") not in browser.get("/admin/").content.decode()


def test_a_looker_sees_no_buttons(pool: UserPool, secret_client: AppClient, user: PoolUser) -> None:
    looker = console.browser(console.operator("view_userpool", "view_appclient", "view_pooluser"))
    for row, words in (
        (pool, ("rotate_keys", "withdraw_keys")),
        (secret_client, ("show_secret", "add_secret", "replace_secret", "delete_secret")),
        (user, ("temporary_password", "sign_out", "disable")),
    ):
        url = reverse(f"admin:accounts_{row._meta.model_name}_change", args=(console_quote(row.pk),))
        text = looker.get(url).content.decode()
        for word in words:
            assert f"/{word}/" not in text
            address = f"{url.removesuffix('change/')}{word}/"
            for response in (looker.get(address), looker.post(address)):
                assert response.status_code == 403


def test_a_form_without_its_token_is_refused(pool: UserPool) -> None:
    browser = console.browser(console.operator(superuser=True), enforce_csrf_checks=True)
    url = f"/admin/accounts/userpool/{console_quote(pool.pk)}/rotate_keys/"
    assert browser.get(url).status_code == 200
    assert browser.post(url).status_code == 403
    assert pool.signing_keys.count() == 2


BAD_PATHS = (
    "pooluser/nobody/change/",
    "pooluser/0/sign_out/",
    "userpool/%00/change/",
    "nothing/",
    "pooluser/?p=x",
    "pooluser/?p=99999",
    "pooluser/?groups__id__exact=x",
    "pooluser/?q=%00",
    "pooluser/?q=" + "x" * 2000,
    "pooluser/?q=%22%5C",
    "pooluser/?q=custom:a__b=%25'%5C",
    "pooluser/?e=1",
    "pooluser/?user_pool__id__exact=%00",
    "pooluser/add/?user_pool=%00",
    "appclient/add/?user_pool=none",
    "identityprovider/add/?user_pool=eu-west-1_Demo00001&provider_type=Nothing",
    "auditevent/?at__gte=x",
)


@pytest.mark.parametrize("path", [f"/admin/accounts/{path}" for path in BAD_PATHS])
def test_a_bad_address_is_no_fault_of_ours(root: Any, pool: UserPool, path: str) -> None:
    assert root.get(path).status_code in (200, 302, 404)


@pytest.mark.parametrize("model", ["accounts_pooluser", "accounts_appclient", "accounts_userpool", "accounts_group"])
def test_a_list_asks_as_many_questions_for_one_row_as_for_fifty(root: Any, model: str) -> None:
    def cost() -> int:
        url = reverse(f"admin:{model}_changelist")
        root.get(url)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert root.get(url).status_code == 200
        return len(queries)

    everything()
    few = cost()
    for number in range(12):
        pool = factories.make_pool()
        factories.make_client(pool, secret=True)
        user = factories.make_user(pool, f"user{number}")
        factories.make_group(pool, "admins", user)
    assert cost() == few
    assert few <= 8


def test_the_list_of_users_never_counts_them(root: Any, user: PoolUser) -> None:
    with CaptureQueriesContext(connection) as queries:
        root.get(reverse("admin:accounts_pooluser_changelist"))
    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"].upper() and "pooluser" in query["sql"]]


def test_the_first_page_has_numbers_pools_and_changes(root: Any, pool: UserPool) -> None:
    AuditEvent.objects.create(actor="opal", action="change", target_type="user pool", target_id="1", target_name="demo")
    text = root.get("/admin/").content.decode()
    assert pool.pk in text
    assert "user pool demo" in text


def test_the_history_of_a_row_is_its_part_of_the_audit_trail(root: Any, app_client: AppClient) -> None:
    response = root.get(f"/admin/accounts/appclient/{app_client.pk}/history/")
    assert response["Location"] == f"/admin/accounts/auditevent/?q={app_client.client_id}"
    looker = console.browser(console.operator("view_appclient", name="looker"))
    assert looker.get(f"/admin/accounts/appclient/{app_client.pk}/history/").status_code == 403


def test_operators_are_given_permissions_by_ticking_them(root: Any) -> None:
    target = console.operator(name="target")
    url = f"/admin/accounts/operator/{target.pk}/change/"
    page = root.get(url)
    field = page.context["adminform"].form["user_permissions"].field
    choices = {str(label): str(value) for value, label in field.choices}
    assert "app client secret: reveal" in choices
    assert "operator group: change" in choices
    data = console.values(root, url, user_permissions=[choices["app client secret: reveal"]]) | {
        "last_login_0": "", "last_login_1": "",
    }  # fmt: skip
    assert root.post(url, data).status_code == 302
    assert [p.codename for p in target.user_permissions.all()] == ["reveal_appclientsecret"]
    event = AuditEvent.objects.get()
    assert event.changes["user_permissions"][0] == []


def test_a_pool_is_found_as_one_types_by_who_may_see_pools(root: Any, pool: UserPool) -> None:
    query = {"app_label": "accounts", "model_name": "pooluser", "field_name": "user_pool", "term": pool.name}
    assert root.get("/admin/autocomplete/", query).json()["results"] == [{"id": pool.pk, "text": pool.name}]
    looker = console.browser(console.operator("view_pooluser", name="looker"))
    assert looker.get("/admin/autocomplete/", query).status_code == 403
    assert root.get("/admin/autocomplete/", query | {"term": "\x00"}).status_code == 404
