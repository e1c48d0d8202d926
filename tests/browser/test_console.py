"""The console in a real browser: its journeys, its policy, and that it works for everybody.

Accessible as WCAG 2.2 AA says, as far as axe judges it (tests/browser/axe.py), for what is ours; the theme's own
shortcomings are listed here by name. Watch (conftest.py) fails a page on which a script failed, which broke its
content security policy or asked somebody else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from django.contrib.admin.utils import quote
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from accounts import jobs, saml_keys
from accounts.findings import Severity
from accounts.models import (
    Alert,
    AppClient,
    AuthEvent,
    IdentityProvider,
    JobRun,
    OutgoingMail,
    PoolUser,
    ProviderDocument,
    UserPool,
)
from accounts.models.events import Outcome
from tests import console, factories, needs
from tests.browser import axe
from tests.fakes import saml
from tests.fakes.oidc import OidcIdp
from tests.fakes.server import Reply

pytestmark = needs.needs_chromium

Browse = Callable[..., Page]
LOOKS = [("light", 1280), ("dark", 390)]  # of what fits and what contrasts, neither depends on the other


@dataclass
class Place:
    """The console at the live server, with a pool to run."""

    base: str
    pool: UserPool
    client: AppClient
    user: PoolUser

    def page(self, row: Any, name: str = "change") -> str:
        return f"{self.base}/accounts/{row._meta.model_name}/{quote(row.pk)}/{name}/"


@pytest.fixture
def place(live_server: LiveServer, settings: Any, transactional_db: None) -> Place:
    """A console on the live server's host and one pool with a client and a user."""
    settings.USERPOOL_ISSUER_BASE_URL = live_server.url
    settings.USERPOOL_DOMAIN_SUFFIX = ""
    settings.USERPOOL_CONSOLE_HOST = "localhost"
    settings.HTTPS = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    pool = factories.make_pool("demo", id="eu-west-1_Demo00001", name="Acme", schema_attributes=[{"Name": "tier"}])
    client = factories.make_client(pool, secret="s" * 51, client_id="1exampleclient23456789abcd", name="Acme Notes")
    user = factories.make_user(pool, attributes={"email": "ada@example.test", "custom:tier": "gold"})
    factories.make_resource_server(pool)
    corp = factories.make_oidc_provider(pool)
    user.identities.create(provider=corp, claim="email", subject="ada@corp.example.test")
    steps = [
        {"step": "sent to the provider", "ms": 4},
        {"step": "token endpoint refused", "ms": 212, "words": "The client secret has expired.", "status": 401},
    ]
    for reason, outcome in (("token_error", Outcome.REFUSED), ("", Outcome.SUCCEEDED)):
        AuthEvent.objects.create(
            user_pool=pool, provider=corp, provider_name="Corp", client_id=client.client_id, outcome=outcome,
            reason=reason, error="invalid_request" if reason else "", steps=steps, subject="long-subject-" * 30,
            user=None if reason else user,
        )  # fmt: skip
    factories.make_group(pool, "admins", user)
    console.operator(superuser=True)
    return Place(f"{live_server.url}/admin", pool, client, user)


def sign_in(page: Page, place: Place) -> None:
    page.goto(f"{place.base}/")
    page.get_by_label("Username").fill("opal")
    page.get_by_label("Password").fill("Operators-own-1")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Pools changed last")).to_be_visible()


def test_an_operator_creates_a_client_and_copies_its_secret(place: Place, browse: Browse) -> None:
    page = browse()
    sign_in(page, place)
    page.get_by_role("link", name="App clients").first.click()
    page.goto(f"{place.base}/accounts/appclient/add/")
    page.get_by_label("Client name").fill("Shop")
    page.get_by_label("Generate a client secret").check()
    page.get_by_text("URLs", exact=True).click()
    page.get_by_label("Callback URLs").fill("https://shop.example/cb")
    page.get_by_text("OAuth", exact=True).click()
    page.get_by_label("code: authorization code, for users").check()
    page.get_by_label("openid", exact=True).check()
    page.get_by_role("button", name="Save", exact=True).click()
    secret = AppClient.objects.get(name="Shop").secrets.get().secret
    expect(page.get_by_text(secret, exact=True)).to_be_visible()


def test_a_row_is_added_to_a_table(place: Place, browse: Browse) -> None:
    page = browse()
    sign_in(page, place)
    page.goto(place.page(place.pool.resource_servers.get()))
    page.get_by_role("button", name="Add a row").click()
    page.get_by_label("Scope name, row 5").fill("delete")
    page.get_by_label("Description, row 5").fill("Delete")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    assert [one["ScopeName"] for one in place.pool.resource_servers.get().scopes] == ["read", "write", "delete"]


def test_a_provider_is_made_its_redirect_uri_copied_and_its_configuration_tested(
    place: Place, browse: Browse, settings: Any
) -> None:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    page = browse(permissions=["clipboard-read", "clipboard-write"])
    sign_in(page, place)
    page.goto(f"{place.base}/accounts/identityprovider/add/?user_pool={place.pool.pk}")
    page.get_by_role("link", name="OpenID Connect").click()
    page.get_by_role("button", name="Copy Without a domain").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{place.pool.issuer}/oauth2/idpresponse"
    with OidcIdp() as idp:
        page.get_by_label("Provider name").fill("Partner")
        page.get_by_label("Client id").fill("userpool")
        page.get_by_label("Client secret").fill("upstream-secret-1")
        page.get_by_label("Issuer").fill(idp.issuer)
        page.get_by_label("User pool attribute, row 1").fill("email")
        claim = page.get_by_label("Attribute of the provider, row 1")
        claim.fill("email")
        assert "given_name" in claim.evaluate("cell => [...cell.list.options].map((one) => one.value)")
        page.get_by_role("button", name="Save and continue editing").click()
        expect(page.get_by_text("was added successfully")).to_be_visible()
        page.get_by_role("link", name="Test configuration").click()
        assert idp.calls == []
        page.get_by_role("button", name="Call the provider").click()
        finding = page.get_by_role("listitem").filter(has_text=f"{idp.issuer}/jwks")
        expect(finding).to_contain_text("good")
        expect(page.get_by_text("must be mended")).to_have_count(0)
        assert axe_finds(page) == []
        idp.misbehave("/jwks", Reply({"keys": []}))
        page.get_by_role("link", name="Back to the provider").click()
        page.get_by_role("link", name="Test configuration").click()
        page.get_by_role("button", name="Call the provider").click()
        expect(page.get_by_role("listitem").filter(has_text="no key that could verify")).to_contain_text(
            "must be mended"
        )
        assert axe_finds(page) == []


def test_an_operator_sees_why_a_sign_in_was_refused(place: Place, browse: Browse) -> None:
    page = browse()
    sign_in(page, place)
    page.goto(place.page(place.pool.identity_providers.get()))
    page.get_by_role("link", name="Show the events").click()
    page.get_by_role("row", name="token_error").get_by_role("link").first.click()
    expect(page.get_by_text("Most often the client secret is wrong or has expired")).to_be_visible()
    expect(page.get_by_role("row", name="token endpoint refused")).to_contain_text("The client secret has expired.")


def saml_provider(place: Place) -> IdentityProvider:
    """A provider of SAML with certificates in every state, key pairs likewise, and a response that was refused."""
    days = {"idp": 3650, "expired": -1, "soon": 20}
    document = saml.metadata(
        *(saml.pair(name, days=left).certificate for name, left in days.items()),
        entity_id="https://idp.example.test/a-long-path-without-any-break/" + "x" * 60,
        attributes=' validUntil="2020-01-02T03:04:05Z"',
    )
    url = "https://idp.example.test/metadata/" + "a-long-name-" * 8
    details = {"MetadataURL": url, "IDPInit": "true"}
    row = factories.make_oidc_provider(place.pool, "Partner", provider_type="SAML", provider_details=details)
    now = timezone.now()
    ProviderDocument.objects.create(
        provider=row, kind="saml", url=url, body=document, fetched_at=now, failure="tls", failed_at=now
    )
    for use in ("signing", "encryption"):
        for _ in range(2):
            saml_keys.prepare(place.pool, use)
            saml_keys.activate(place.pool, use)
        saml_keys.prepare(place.pool, use)
    AuthEvent.objects.create(
        user_pool=place.pool, provider=row, provider_name="Partner", client_id=place.client.client_id,
        outcome=Outcome.REFUSED, reason="audience", document=saml.Message().plain_text(), error="server_error",
        steps=[{"step": "response refused", "ms": 31, "words": "It was [['urn:amazon:cognito:sp:another']]."}],
    )  # fmt: skip
    place.client.identity_providers.add(row)
    return row


def saml_pages(place: Place, row: IdentityProvider) -> list[str]:
    active, coming = saml_keys.published(place.pool, "signing")
    return [
        f"{place.base}/accounts/identityprovider/add/?user_pool={place.pool.pk}&provider_type=SAML",
        place.page(row),
        place.page(row, "test_configuration"),
        f"{place.base}/accounts/samlkey/",
        *(place.page(key) for key in place.pool.saml_keys.all()),
        place.page(active, "prepare_next"),
        place.page(coming, "let_it_take_over"),
        place.page(coming, "remove_pair"),
        place.page(row.auth_events.get()),
    ]


def test_an_operator_makes_a_saml_provider_and_sees_what_it_publishes(place: Place, browse: Browse) -> None:
    page = browse(permissions=["clipboard-read", "clipboard-write"])
    sign_in(page, place)
    page.goto(f"{place.base}/accounts/identityprovider/add/?user_pool={place.pool.pk}")
    page.get_by_role("link", name="SAML 2.0").click()
    page.get_by_role("button", name="Copy Signing certificate", exact=False).click()
    expect(page.get_by_text("Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert x509.load_pem_x509_certificate(copied.encode()).not_valid_after_utc.year > timezone.now().year + 8
    page.get_by_label("Provider name").fill("Partner")
    page.get_by_label("Metadata document").fill(saml.metadata(saml.pair("expired", days=-1).certificate))
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("Every signing certificate in the metadata has expired")).to_be_visible()
    page.get_by_label("Metadata document").fill(saml.metadata())
    page.get_by_label("Attribute of the provider, row 1").fill("urn:oid:0.9.2342.19200300.100.1.3")
    page.get_by_label("User pool attribute, row 1").fill("email")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_role("row", name="Entity id")).to_contain_text(saml.IDP)
    page.get_by_role("link", name="Test configuration").click()
    page.get_by_role("button", name="Call the provider").click()
    expect(page.get_by_role("listitem").filter(has_text="for signing, the last valid until")).to_contain_text("good")
    expect(page.get_by_text("must be mended")).to_have_count(0)
    assert axe_finds(page) == []


def test_a_saml_key_is_prepared_and_takes_over(place: Place, browse: Browse) -> None:
    first = saml_keys.active(place.pool, "signing")
    page = browse()
    sign_in(page, place)
    page.get_by_role("link", name="SAML keys").first.click()
    page.get_by_role("row", name="in use").get_by_role("link").first.click()
    page.get_by_role("link", name="Prepare the next certificate").click()
    page.get_by_role("button", name="Prepare it").click()
    expect(page.get_by_text("is the next certificate")).to_be_visible()
    page.goto(f"{place.base}/accounts/samlkey/")
    page.get_by_role("row", name="next, published").get_by_role("link").first.click()
    page.get_by_role("link", name="Let it take over").click()
    page.get_by_role("button", name="Let it take over").click()
    expect(page.get_by_text("is in use now")).to_be_visible()
    assert saml_keys.active(place.pool, "signing") != first


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_pages_of_saml_fit_their_window_and_are_accessible(
    place: Place, browse: Browse, scheme: str, width: int
) -> None:
    page = browse(width=width, color_scheme=scheme)
    sign_in(page, place)
    for url in saml_pages(place, saml_provider(place)):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, url
        assert axe_finds(page) == [], url


def test_an_identity_is_linked_in_the_form(place: Place, browse: Browse) -> None:
    page = browse()
    sign_in(page, place)
    page.goto(place.page(place.user))
    page.get_by_role("listitem").filter(has_text="More").locator("a").first.click()
    page.locator('a[href$="/link_identity/"]:visible').click()
    page.get_by_label("Identity", exact=False).first.fill("4711")
    page.get_by_role("button", name="Link", exact=True).click()
    expect(page.get_by_text("Corp: 4711 is linked to ada")).to_be_visible()
    assert place.user.identities.filter(subject="4711").exists()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_short_word_is_not_broken_in_a_cell(place: Place, browse: Browse, width: int) -> None:
    """What stands in a cell of one word has one line box, its heading has as many as it has words at most."""
    page = browse(width=width)
    sign_in(page, place)
    broken = """() => [...document.querySelectorAll(".console-table :is(th, td)")].filter((cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        const lines = new Set([...range.getClientRects()].filter((box) => box.width).map((box) => Math.round(box.top)));
        const text = cell.textContent.trim();
        return text.length <= 20 && lines.size > text.split(/[\\s-]+/).length;
    }).map((cell) => cell.textContent)"""
    for url in (f"{place.base}/", place.page(place.user), place.page(place.pool.auth_events.all()[0])):
        page.goto(url)
        if "pooluser" in url:
            page.get_by_text("Groups and identities", exact=True).first.click()
        assert page.locator(".console-table td").count() > 0
        assert page.evaluate(broken) == [], url
        assert page.evaluate("document.documentElement.scrollWidth") <= width, url
        assert axe_finds(page) == [], url


def test_an_error_in_another_tab_is_found(place: Place, browse: Browse) -> None:
    page = browse()
    sign_in(page, place)
    page.goto(place.page(place.client))
    page.get_by_text("URLs", exact=True).click()
    page.get_by_label("Callback URLs").fill("http://shop.example/cb")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("http is for localhost")).to_be_visible()


def test_a_user_is_found_by_a_custom_attribute_and_signed_out(place: Place, browse: Browse) -> None:
    page = browse()
    sign_in(page, place)
    page.goto(f"{place.base}/accounts/pooluser/")
    search = page.locator("#searchbar")
    search.fill("custom:tier=gold")
    search.press("Enter")
    page.get_by_role("link", name="ada").click()
    page.get_by_role("link", name="Sign out everywhere").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_text("is signed out everywhere")).to_be_visible()
    place.user.refresh_from_db()
    assert place.user.signed_out_at is not None


def test_users_are_filtered_by_a_pool(place: Place, browse: Browse) -> None:
    page = browse()
    sign_in(page, place)
    response = page.goto(f"{place.base}/accounts/pooluser/?user_pool__id__exact={place.pool.pk}")
    assert response is not None
    assert response.ok
    expect(page.get_by_role("link", name="ada")).to_be_visible()


def pages(place: Place) -> list[str]:
    key = place.pool.signing_keys.all()[0]
    jobs.ensure_rows()  # the tables were emptied since the migration made them
    job = JobRun.objects.get(name="purge_expired")
    return [
        f"{place.base}/",
        f"{place.base}/accounts/userpool/",
        place.page(place.pool),
        place.page(place.client),
        place.page(place.client, "show_secret"),
        place.page(place.pool.identity_providers.get()),
        place.page(place.pool.resource_servers.get()),
        f"{place.base}/accounts/identityprovider/add/?user_pool={place.pool.pk}",
        f"{place.base}/accounts/pooluser/",
        place.page(place.user),
        f"{place.base}/accounts/signingkey/",
        place.page(key),
        f"{place.base}/accounts/auditevent/",
        f"{place.base}/accounts/identityprovider/",
        f"{place.base}/accounts/identityprovider/add/?user_pool={place.pool.pk}&provider_type=Google",
        place.page(place.pool.identity_providers.get(), "test_configuration"),
        f"{place.base}/accounts/authevent/",
        *(place.page(attempt) for attempt in place.pool.auth_events.all()),
        f"{place.base}/request/?id={next(iter(place.pool.auth_events.all())).request_id or 'none'}",
        place.page(place.user, "link_identity"),
        f"{place.base}/accounts/jobrun/",
        place.page(job),
        place.page(job, "run_now"),
        *mail_pages(place),
    ]


def mail_pages(place: Place) -> list[str]:
    """Mail in every state, and alerts of every severity, with long names."""
    now = timezone.now()
    states: list[dict[str, Any]] = [
        {"next_attempt_at": now},
        {"attempts": 1, "sent_at": now},
        {"attempts": 3, "next_attempt_at": now, "failure": "SMTPDataError 452"},
        {"attempts": 1, "given_up_at": now, "failure": "SMTPRecipientsRefused 550"},
    ]
    for number, values in enumerate(states):
        mail = OutgoingMail.objects.create(
            kind="alert", recipient=f"opal@{'a-long-name.' * 4}example.test", user_pool=place.pool, created_at=now,
            subject=f"[Userpool] The last signing certificate of provider {'Partner' * 4} expires on 2026-12-01.",
            message_id=f"<{number}.{'0123456789' * 6}@example.test>", retry_until=now, text="...", **values,
        )  # fmt: skip
    for severity in Severity:
        alert = Alert.objects.create(
            key=f"certificates:pool:{place.pool.pk}:{severity.name}", severity=severity, since=now, told_at=now,
            words=f"The certificate of pool {'Acme' * 10} that signs requests (SAML) expires on 2026-12-01.",
            mend="Prepare the next one, let providers register it, then let it take over.", user_pool=place.pool,
            over_at=now if severity == Severity.WARNING else None,
        )  # fmt: skip
    listed = [f"{place.base}/accounts/outgoingmail/", f"{place.base}/accounts/alert/"]
    return [*listed, place.page(mail), place.page(mail, "send_again"), place.page(alert)]


# the theme's own: two scrolling regions of one name, a search button of 18 pixels, a column of delete buttons
THEME = ("landmark-unique", "target-size", "empty-table-header")


def axe_finds(page: Page) -> list[str]:
    return [line for line in axe.violations(page) if not line.startswith(THEME)]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_pages_fit_their_window_and_are_accessible(place: Place, browse: Browse, scheme: str, width: int) -> None:
    page = browse(width=width, color_scheme=scheme)
    page.goto(f"{place.base}/login/")
    assert axe.violations(page) == []
    sign_in(page, place)
    for url in pages(place):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, url
        assert axe_finds(page) == [], url
