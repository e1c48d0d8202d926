"""Sign-in and sign-out through a SAML provider, in a real browser: forms that send themselves from one site to another.

saml-bindings-2.0 3.5 (HTTP POST), saml-profiles-2.0 4.1 and 4.4; RFC 6265bis 5.6.7: a SameSite=Lax cookie does not come
along with another site's form, and over plain http there is no other kind. WCAG 2.2 AA as far as axe judges it.
"""

import base64
from collections.abc import Callable, Iterator
from html import escape

import pytest
from playwright.sync_api import Page, expect

from accounts.models import SignInSession
from tests import needs
from tests.browser import axe
from tests.browser.conftest import Site
from tests.fakes import saml_browser
from tests.fakes.saml import element, metadata
from tests.fakes.saml_browser import BINDING, Logout
from tests.fakes.server import Call, FakeServer, Reply

pytestmark = needs.needs_chromium

Browse = Callable[..., Page]
PAGE = '<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>IdP</title><main><h1>Provider</h1>'
NO_SCRIPTS = {"java_script_enabled": False}


class PageIdp(FakeServer):
    """A provider on another site, that speaks by posted forms alone and answers at once."""

    def __init__(self, site: Site) -> None:
        super().__init__(host="app.localhost")
        self.site, self.stops = site, False
        self.routes |= {"/sso": self.sso, "/slo": self.slo}

    def document(self) -> str:
        services = "".join(
            f'<md:{name} Binding="{BINDING}POST" Location="{self.base}/{path}"/>'
            for name, path in (("SingleLogoutService", "slo"), ("SingleSignOnService", "sso"))
        )
        return metadata(more=services)

    def form(self, url: str, fields: dict[str, str]) -> Reply:
        inputs = "".join(f'<input type="hidden" name="{name}" value="{escape(v)}">' for name, v in fields.items())
        send = "" if self.stops else "<script>document.forms[0].submit()</script>"
        body = f'<form method="post" action="{url}">{inputs}<button>Send</button></form></main>{send}'
        return Reply(PAGE + body, headers={"Content-Type": "text/html"})

    def sso(self, call: Call) -> Reply:
        asked = element(base64.b64decode(call.form["SAMLRequest"]))
        request = saml_browser.Request(asked, call.form["RelayState"], "")
        message = saml_browser.answering(request, self.site.pool, self.site.base)
        return self.form(
            str(message.destination), {"SAMLResponse": message.encoded(), "RelayState": request.relay_state}
        )

    def slo(self, call: Call) -> Reply:
        asked = element(base64.b64decode(call.form["SAMLRequest"]))
        here = f"{self.site.base}/saml2/logout"
        answer = Logout(here, kind="LogoutResponse", in_response_to=asked.get("ID"), not_on_or_after=None)
        return self.form(here, {"SAMLResponse": answer.encoded(), "RelayState": call.form["RelayState"]})


@pytest.fixture
def idp(site: Site) -> Iterator[PageIdp]:
    with PageIdp(site) as running:
        saml_browser.register(site.pool, site.client, document=running.document(), IDPSignout="true")
        yield running


def in_the_app(page: Page) -> None:
    expect(page.get_by_role("heading")).to_have_text("In the app")


def test_forms_lead_to_the_provider_and_back_across_sites(site: Site, idp: PageIdp, browse: Browse) -> None:
    page = browse()
    page.goto(site.authorize())
    page.get_by_role("link", name="Continue with Corp").click()
    in_the_app(page)
    assert site.app.received[-1][1]["code"]
    assert SignInSession.objects.get().name_id == "ada@example.test"


def test_signing_out_leads_through_the_provider_and_back(site: Site, idp: PageIdp, browse: Browse) -> None:
    out = site.app.callback
    site.client.post_logout_redirect_uris = out
    site.client.save()
    page = browse()
    page.goto(site.authorize(identity_provider="Corp"))
    in_the_app(page)
    page.goto(f"{site.base}/logout?client_id={site.client.client_id}&logout_uri={out}")
    in_the_app(page)
    assert len(idp.called("/slo")) == 1
    page.goto(site.authorize())
    expect(page.get_by_role("link", name="Continue with Corp")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_scripts_every_form_has_a_button(site: Site, idp: PageIdp, browse: Browse, scheme: str) -> None:
    """And every page of ours on the way is legible and accessible: to the provider, and once more from here."""
    page = browse(width=320, color_scheme=scheme, **NO_SCRIPTS)
    page.goto(site.authorize(identity_provider="Corp"))
    expect(page.get_by_role("heading")).to_have_text("Going to Corp")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading")).to_have_text("One moment")
    page.get_by_role("button", name="Continue").click()
    in_the_app(page)
    watched = browse(width=320, color_scheme=scheme)
    watched.route("**/submit.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    watched.goto(site.authorize(identity_provider="Corp"))
    expect(watched.get_by_role("heading")).to_have_text("Going to Corp")
    assert axe.violations(watched) == []
    assert watched.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_response_in_another_browser_lets_nobody_in(site: Site, idp: PageIdp, browse: Browse) -> None:
    """Login CSRF: an attacker's own response, posted from a page that a victim opens."""
    idp.stops = True
    attacker, victim = browse(), browse()
    attacker.goto(site.authorize(identity_provider="Corp"))
    attacker.get_by_role("button", name="Send").wait_for()
    form = attacker.content()
    victim.set_content(form)
    victim.get_by_role("button", name="Send").click()
    expect(victim.get_by_role("heading")).to_have_text("This sign-in cannot go on")
    assert axe.violations(victim) == []
    assert not site.app.received


@pytest.mark.parametrize(
    ("path", "fields", "title"),
    [
        ("idpresponse", {"SAMLResponse": "bm90aGluZw==", "RelayState": ""}, "This sign-in cannot go on"),
        ("logout", {"SAMLRequest": "bm90aGluZw=="}, "This sign-out request cannot be used"),
        ("logout", {"SAMLResponse": "bm90aGluZw==", "RelayState": "x"}, "You are signed out here"),
    ],
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_cannot_be_taken_is_said_in_plain_words(
    site: Site, browse: Browse, path: str, fields: dict[str, str], title: str, scheme: str
) -> None:
    page = browse(width=320, color_scheme=scheme)
    page.goto(f"{site.base}/error")
    inputs = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in fields.items())
    page.set_content(f'<form method="post" action="{site.base}/saml2/{path}">{inputs}<button>Send</button></form>')
    page.get_by_role("button").click()
    expect(page.get_by_role("heading")).to_have_text(title)
    assert axe.violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
