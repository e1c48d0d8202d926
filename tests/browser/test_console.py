"""The console in a real browser: its journeys, its policy, and that it works for everybody.

Accessible as WCAG 2.2 AA says, as far as axe judges it (tests/browser/axe.py), for what is ours; the theme's own
shortcomings are listed here by name. Watch (conftest.py) fails a page on which a script failed, which broke its
content security policy or asked somebody else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from accounts.models import AppClient, PoolUser, UserPool
from tests import console, factories, needs
from tests.browser import axe

pytestmark = needs.needs_chromium

Browse = Callable[..., Page]


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
    factories.make_oidc_provider(pool)
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_their_window(place: Place, browse: Browse, scheme: str, width: int) -> None:
    page = browse(width=width, color_scheme=scheme)
    sign_in(page, place)
    for url in pages(place):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, url


def pages(place: Place) -> list[str]:
    key = place.pool.signing_keys.all()[0]
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
    ]


# the theme's own: two scrolling regions of one name, a search button of 18 pixels, a column of delete buttons
THEME = ("landmark-unique", "target-size", "empty-table-header")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(place: Place, browse: Browse, scheme: str) -> None:
    page = browse(color_scheme=scheme)
    page.goto(f"{place.base}/login/")
    assert axe.violations(page) == []
    sign_in(page, place)
    for url in pages(place):
        page.goto(url)
        found = [line for line in axe.violations(page) if not line.startswith(THEME)]
        assert found == [], url
