"""Sign-in through a provider, in a real browser: which cookie comes along, what a POST of another page carries, and the
page that waits.

The journey: W 7.1 and 9.4; RFC 6265bis 5.6.7 on SameSite. WCAG 2.2 AA as far as axe judges it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from html import escape
from typing import Any
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Page, expect

from federation.hosted import wait
from federation.upstream import capacity
from tests import factories, needs
from tests.browser import axe
from tests.browser.conftest import Site
from tests.fakes.oidc import OidcIdp
from tests.fakes.server import Call, Reply

pytestmark = needs.needs_chromium

Browse = Callable[..., Page]


PAGE = '<!doctype html><link rel="icon" href="data:,"><title>IdP</title><h1>Provider</h1>'


class PageIdp(OidcIdp):
    """Answers by a redirect, by a form that sends itself (OAuth 2.0 Form Post Response Mode), or by a link."""

    mode = "redirect"
    before_answering: Callable[[], None] = staticmethod(lambda: None)

    def authorize(self, call: Call) -> Reply:
        answer = super().authorize(call)
        self.before_answering()
        if self.mode == "redirect":
            return answer
        address = answer.headers["Location"]
        if self.mode == "link":
            return self.page(f'<a href="{escape(address)}">Back</a>')
        target, _, query = address.partition("?")
        inputs = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in parse_qsl(query))
        send = "<script>document.forms[0].submit()</script>"
        return self.page(f'<form method="post" action="{escape(target)}">{inputs}</form>{send}')

    @staticmethod
    def page(body: str) -> Reply:
        return Reply(PAGE + body, headers={"Content-Type": "text/html"})


@pytest.fixture
def idp(site: Site, settings: Any) -> Iterator[PageIdp]:
    """A provider of the site's pool, on another port of the same machine."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    with PageIdp(host="localhost") as running:
        provider = factories.make_oidc_provider(site.pool)
        provider.provider_details["oidc_issuer"] = running.issuer
        provider.save()
        site.client.identity_providers.add(provider)
        yield running


def in_the_app(page: Page, site: Site) -> dict[str, str]:
    expect(page.get_by_role("heading")).to_have_text("In the app")
    return site.app.received[-1][1]


class Crowd:
    """Others who wait for the provider: while they are there, no place is free."""

    def __init__(self, provider_id: int) -> None:
        self.provider_id, self.places = provider_id, ExitStack()

    def come(self) -> None:
        for _ in range(2):
            self.places.enter_context(capacity.place(self.provider_id))

    def leave(self) -> None:
        self.places.close()


@pytest.fixture
def crowd(site: Site, idp: PageIdp) -> Iterator[Crowd]:
    crowd = Crowd(site.pool.identity_providers.get().pk)
    yield crowd
    crowd.leave()


@pytest.mark.parametrize("mode", ["redirect", "form"])
def test_a_button_leads_to_the_provider_and_back_to_the_app(
    site: Site, idp: PageIdp, browse: Browse, mode: str
) -> None:
    idp.mode = mode
    page = browse()
    page.goto(site.authorize())
    page.get_by_role("link", name="Continue with Corp").click()
    answer = in_the_app(page, site)
    assert answer["code"]
    assert answer["state"] == "a state/with+marks=&"
    # and the session answers without the provider from now on
    page.goto(site.authorize(identity_provider="Corp"))
    in_the_app(page, site)
    assert len(idp.called("/authorize")) == 1


def test_the_answer_to_one_browser_is_worth_nothing_in_another(site: Site, idp: PageIdp, browse: Browse) -> None:
    idp.mode = "link"
    first, second = browse(), browse()
    first.goto(site.authorize(identity_provider="Corp"))
    link = first.get_by_role("link", name="Back")
    second.goto(str(link.get_attribute("href")))
    expect(second.get_by_role("heading")).to_have_text("This sign-in cannot go on")
    assert axe.violations(second) == []
    link.click()
    in_the_app(first, site)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("mode", ["redirect", "form"])
def test_the_page_that_waits_goes_on_by_itself(
    site: Site, idp: PageIdp, crowd: Crowd, browse: Browse, mode: str, scheme: str
) -> None:
    idp.mode = mode
    page = browse(width=320, color_scheme=scheme)
    idp.before_answering = crowd.come  # type: ignore[method-assign]
    page.goto(site.authorize(identity_provider="Corp"))
    expect(page.get_by_role("heading")).to_have_text("One moment")
    assert axe.violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert not site.app.received
    crowd.leave()
    in_the_app(page, site)
    assert len(idp.called("/token")) == 1


def test_the_page_that_waits_has_a_link_for_who_is_in_a_hurry(
    site: Site, idp: PageIdp, crowd: Crowd, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait, "SECONDS", 60)
    page = browse(java_script_enabled=False)
    crowd.come()
    page.goto(site.authorize(identity_provider="Corp"))
    expect(page.get_by_role("heading")).to_have_text("One moment")
    crowd.leave()
    page.get_by_role("link", name="Continue").click()
    in_the_app(page, site)
