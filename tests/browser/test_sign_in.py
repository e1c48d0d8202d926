"""The hosted pages in a real browser: that they work, for everybody, and ask nothing of anybody else.

The journey: https://docs.aws.amazon.com/cognito/latest/developerguide/login-endpoint.html (W 9.1, W 12). Accessible:
WCAG 2.2 AA, of which axe judges a part (tests/browser/axe.py) and the tests by name another. The policy that every
page carries is broken by an inline script or style: a page that broke it would fail here (Watch in conftest.py).
"""

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from django.core.exceptions import ValidationError
from django.test import override_settings
from playwright.sync_api import Page, expect

from accounts.models.users import UserStatus
from accounts.passwords import PasswordPolicy
from tests import factories, needs
from tests.browser import axe
from tests.browser.conftest import Site

pytestmark = needs.needs_chromium

Browse = Callable[..., Page]
TEMPORARY = "Temporary-pass-1"
STATE = "a state/with+marks=&"


def sign_in(page: Page, username: str = "ada", password: str = factories.PASSWORD) -> None:
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def arrived(page: Page, site: Site) -> dict[str, str]:
    """Wait until the browser is back in the app, and return what the app received."""
    expect(page.get_by_role("heading")).to_have_text("In the app")
    assert len(site.app.received) == 1
    return site.app.received[0][1]


def described_by(page: Page, field: str) -> str:
    """Return what a screen reader adds to the name of a field."""
    ids = (page.locator(field).get_attribute("aria-describedby") or "").split()
    return " ".join(page.locator(f"#{name}").inner_text() for name in ids)


def refusals(policy: PasswordPolicy, password: str) -> list[str]:
    try:
        policy.check(password)
    except ValidationError as error:
        return list(error.messages)
    return []


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))


# --- every page, in every state


def at_sign_in(page: Page, site: Site) -> None:
    page.goto(site.authorize())


def at_sign_in_with_providers(page: Page, site: Site) -> None:
    for number, name in enumerate(("Corp", "Partner")):
        provider = factories.make_oidc_provider(site.pool, name, idp_identifiers=[f"corp{number}.example"])
        site.client.identity_providers.add(provider)
    google = factories.make_oidc_provider(site.pool, "Google", provider_type="Google")
    site.client.identity_providers.add(google)
    page.goto(site.authorize())


def at_company_refused(page: Page, site: Site) -> None:
    at_sign_in_with_providers(page, site)
    page.get_by_text("Sign in with your company e-mail").click()
    page.get_by_label("Company e-mail address").fill("ada@elsewhere.example")
    page.get_by_role("button", name="Continue", exact=True).click()
    expect(page.locator("#corporate_email")).to_have_attribute("aria-invalid", "true")


def at_wrong_password(page: Page, site: Site) -> None:
    page.goto(site.authorize())
    sign_in(page, password="Wrong-horse-7")
    expect(page.get_by_role("alert")).to_be_visible()


def at_disabled(page: Page, site: Site) -> None:
    factories.make_user(site.pool, "eve", enabled=False)
    page.goto(site.authorize())
    sign_in(page, "eve")
    expect(page.get_by_role("alert")).to_be_visible()


def at_new_password(page: Page, site: Site) -> None:
    factories.make_user(site.pool, "grace", password=TEMPORARY, status=UserStatus.FORCE_CHANGE_PASSWORD)
    page.goto(site.authorize())
    sign_in(page, "grace", TEMPORARY)
    expect(page.get_by_role("heading")).to_have_text("Choose a new password")
    page.keyboard.type("aB3")  # some rules met, some not


def at_new_password_refused(page: Page, site: Site) -> None:
    at_new_password(page, site)
    page.locator("#confirm_password").fill("aB3")
    page.get_by_role("button", name="Save and sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()


def at_error(page: Page, site: Site) -> None:
    page.goto(site.authorize(redirect_uri="https://elsewhere.example/callback"))


def at_too_many_requests(page: Page, site: Site) -> None:
    with override_settings(USERPOOL_RATE_LIMIT_ADDRESS=1):
        for _ in range(20):  # a window ends after a second
            page.goto(site.authorize())
            if page.get_by_role("heading").inner_text() == "One moment, please":
                return
    raise AssertionError("never refused")


def at_signing_out(page: Page, site: Site) -> None:
    page.goto(site.authorize())
    sign_in(page)
    arrived(page, site)
    fields = {"client_id": site.client.client_id, "post_logout_redirect_uri": factories.LOGOUT}
    page.goto(f"{site.base}/logout?{urlencode(fields)}")


def at_form_post(page: Page, site: Site) -> None:
    page.route("**/submit.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(site.authorize(response_mode="form_post"))
    sign_in(page)
    expect(page.get_by_role("button", name="Continue")).to_be_visible()


STATES = [
    at_sign_in,
    at_sign_in_with_providers,
    at_company_refused,
    at_wrong_password,
    at_disabled,
    at_new_password,
    at_new_password_refused,
    at_error,
    at_too_many_requests,
    at_signing_out,
    at_form_post,
]
every_state = pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)


@every_state
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(state: Callable[[Page, Site], None], scheme: str, browse: Browse, site: Site) -> None:
    page = browse(color_scheme=scheme, reduced_motion="reduce")
    state(page, site)
    assert axe.violations(page) == []


@every_state
def test_a_small_screen_scrolls_one_way_and_has_targets_for_a_thumb(
    state: Callable[[Page, Site], None], browse: Browse, site: Site
) -> None:
    """WCAG 2.2, 1.4.10 Reflow (320 CSS pixels, which is also 200 % zoom of 640) and 2.5.5 Target Size (44 pixels)."""
    page = browse(width=320, height=640, has_touch=True)
    state(page, site)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    targets = page.locator("a, button, summary, input:not([type=hidden])")
    small = [
        element.evaluate("element => element.outerHTML")
        for element in targets.all()
        if (box := element.bounding_box()) and (round(box["height"]) < 44 or round(box["width"]) < 44)
    ]
    assert small == []


@every_state
def test_a_page_weighs_less_than_50_kilobytes(state: Callable[[Page, Site], None], browse: Browse, site: Site) -> None:
    page = browse()
    state(page, site)
    own = len(page.content().encode())
    linked = page.locator("link[href], script[src]").evaluate_all("all => all.map(one => one.href || one.src)")
    assert own + sum(len(page.request.get(url).body()) for url in linked) < 50_000


# --- signing in


def test_signing_in_by_keyboard_ends_at_the_app_with_a_code_and_the_state(browse: Browse, site: Site) -> None:
    """RFC 6749 4.1.2: the code, and the state exactly as it came. WCAG 2.1.1: nothing needs a mouse."""
    page = browse()
    page.goto(site.authorize(state=STATE))
    expect(page).to_have_title("Sign in to Acme Notes")
    assert focused(page) == "username"
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type(factories.PASSWORD)
    page.keyboard.press("Enter")
    received = arrived(page, site)
    assert received["code"]
    assert received["state"] == STATE


def test_signing_in_works_without_javascript(browse: Browse, site: Site) -> None:
    page = browse(java_script_enabled=False)
    page.goto(site.authorize())
    expect(page.locator("button.reveal")).to_be_hidden()
    sign_in(page, password="Wrong-horse-7")
    expect(page.locator("#password-error")).to_be_visible()
    sign_in(page)
    assert arrived(page, site)["code"]


def test_an_app_may_send_its_user_on_to_another_host_of_its_own(browse: Browse, site: Site) -> None:
    """CSP 3, form-action: Chromium holds every redirect that follows a form against it, the app's own as well."""
    site.app.sends_on_to = site.app.callback.replace("//localhost", "//app.localhost").replace("/callback", "/home")
    page = browse()
    page.goto(site.authorize())
    sign_in(page)
    assert arrived(page, site)["code"]
    assert page.url == site.app.sends_on_to


def test_a_wrong_password_is_reported_beside_its_field_which_keeps_the_focus(browse: Browse, site: Site) -> None:
    """WCAG 3.3.1 and 3.3.3: the field is named in error, in text; what was right is not asked for again."""
    page = browse()
    at_wrong_password(page, site)
    expect(page).to_have_title(re.compile("^Error: "))
    assert focused(page) == "password"
    assert page.locator("#password").get_attribute("aria-invalid") == "true"
    assert described_by(page, "#password") == "Incorrect username or password."
    assert page.locator("#username").input_value() == "ada"
    assert page.locator("#password").input_value() == ""
    page.keyboard.type(factories.PASSWORD)
    page.keyboard.press("Enter")
    assert arrived(page, site)["code"]


def test_the_fields_tell_a_password_manager_what_they_are(browse: Browse, site: Site) -> None:
    """WCAG 1.3.5 and https://html.spec.whatwg.org/#autofill: the tokens that browsers fill in by."""
    page = browse()
    at_new_password(page, site)
    tokens = {
        name: page.locator(f"[name={name}]").get_attribute("autocomplete")
        for name in ("username", "new_password", "confirm_password")
    }
    assert tokens == {"username": "username", "new_password": "new-password", "confirm_password": "new-password"}
    assert page.locator("[name=username]").input_value() == "grace"
    page.goto(site.authorize())
    assert page.locator("#username").get_attribute("autocomplete") == "username"
    assert page.locator("#password").get_attribute("autocomplete") == "current-password"


def test_a_login_hint_fills_in_the_name_and_the_focus_waits_at_the_password(browse: Browse, site: Site) -> None:
    """OpenID Connect Core 3.1.2.1, login_hint."""
    page = browse()
    page.goto(site.authorize(login_hint="ada"))
    assert page.locator("#username").input_value() == "ada"
    assert focused(page) == "password"


def test_the_password_can_be_shown_and_is_sent_under_cover_again(browse: Browse, site: Site) -> None:
    page = browse()
    page.goto(site.authorize())
    page.get_by_label("Username").fill("ada")
    field, button = page.locator("#password"), page.get_by_role("button", name="Show password")
    field.fill(factories.PASSWORD)
    assert (field.get_attribute("type"), button.get_attribute("aria-pressed")) == ("password", "false")
    button.click()
    assert (field.get_attribute("type"), button.get_attribute("aria-pressed")) == ("text", "true")
    page.route("**/login?*", lambda route: route.fulfill(status=204))  # the browser sends, and stays where it is
    with page.expect_request(lambda request: request.method == "POST"):
        page.get_by_role("button", name="Sign in").click()
    assert (field.get_attribute("type"), button.get_attribute("aria-pressed")) == ("password", "false")


def test_a_double_click_signs_in_once(browse: Browse, site: Site) -> None:
    page = browse()
    page.goto(site.authorize())
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password", exact=True).fill(factories.PASSWORD)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.get_by_role("button", name="Sign in").dblclick()
    arrived(page, site)
    assert sent.count("POST") == 1


def test_what_a_stranger_may_choose_is_shown_as_text(browse: Browse, site: Site) -> None:
    mark = "\"><img src=x onerror=alert(1)><script>alert(1)</script>'"
    site.client.name = mark
    site.client.save()
    page = browse()
    page.goto(site.authorize(login_hint=mark))
    assert page.locator("#username").input_value() == mark
    expect(page.locator(".lead strong")).to_have_text(mark)
    assert page.locator("img").count() == 0


# --- a temporary password


def test_a_temporary_password_asks_for_a_new_one(browse: Browse, site: Site) -> None:
    """NEW_PASSWORD_REQUIRED (W 12): the policy is told, the broken rules are named, then the sign-in goes on."""
    page = browse()
    at_new_password_refused(page, site)
    assert focused(page) == "new_password"
    assert "Use at least 8 characters." in described_by(page, "#new_password")
    page.locator("#new_password").fill(factories.PASSWORD)
    page.locator("#confirm_password").fill(factories.PASSWORD)
    page.keyboard.press("Enter")
    assert arrived(page, site)["code"]


def test_a_temporary_password_is_replaced_without_javascript(browse: Browse, site: Site) -> None:
    page = browse(java_script_enabled=False)
    at_new_password(page, site)
    page.locator("#new_password").fill(factories.PASSWORD)
    page.locator("#confirm_password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Save and sign in").click()
    assert arrived(page, site)["code"]


def test_the_rules_that_are_ticked_off_are_those_that_the_server_checks(browse: Browse, site: Site) -> None:
    """API_PasswordPolicyType: its lengths, classes and list of symbols, here and there."""
    page = browse()
    at_new_password(page, site)
    policy = PasswordPolicy()
    passwords = [
        "",
        "a",
        "A",
        "7",
        "é",
        "É",
        "²",
        "abcdefg",
        "abcdefgh",
        "😀" * 7,
        "😀" * 8,
        *"^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+-£€§",
    ]
    for password in passwords:
        page.locator("#new_password").fill(password)
        met = page.locator("li.met").evaluate_all("all => all.map(one => one.dataset.rule)")
        assert met == [code for code, words in policy.rules if f"Use {words}." not in refusals(policy, password)], (
            password
        )


# --- errors, and other ways out


def test_an_unregistered_redirect_uri_ends_on_our_page_which_reflects_nothing(browse: Browse, site: Site) -> None:
    """RFC 6749 4.1.2.1 and W 3.6: told to the person, never sent to that address."""
    page = browse()
    page.goto(site.authorize(redirect_uri="https://elsewhere.example/callback", state="reflected-state"))
    assert page.url.startswith(f"{site.base}/error")
    expect(page.locator("code#request-id")).not_to_be_empty()
    content = page.content()
    assert "elsewhere.example" not in content
    assert "reflected-state" not in content
    assert site.app.received == []


def test_the_request_id_can_be_copied(browse: Browse, site: Site) -> None:
    page = browse(permissions=["clipboard-read", "clipboard-write"])
    at_error(page, site)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#request-id").inner_text()


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_form_post_lands(scripts: bool, browse: Browse, site: Site) -> None:
    """OAuth 2.0 Form Post Response Mode 1.0, section 2."""
    page = browse(java_script_enabled=scripts)
    page.goto(site.authorize(response_mode="form_post", state=STATE))
    sign_in(page)
    if not scripts:
        page.get_by_role("button", name="Continue").click()
    received = arrived(page, site)
    assert received["code"]
    assert received["state"] == STATE
    assert site.app.received[0][0] == "POST"


def test_signing_out_asks_and_then_goes_where_the_app_wants(browse: Browse, site: Site) -> None:
    """OpenID Connect RP-Initiated Logout 1.0, section 2: asks, where no id_token_hint shows who is meant."""
    site.client.post_logout_redirect_uris = site.app.callback.replace("/callback", "/bye")
    site.client.save()
    page = browse()
    page.goto(site.authorize())
    sign_in(page)
    arrived(page, site)
    fields = {"client_id": site.client.client_id, "post_logout_redirect_uri": site.client.post_logout_redirect_uris}
    page.goto(f"{site.base}/logout?{urlencode(fields)}")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(site.client.post_logout_redirect_uris)
    page.goto(site.authorize())
    expect(page.get_by_label("Username")).to_be_visible()


def test_an_unknown_company_is_reported_beside_its_field_which_keeps_the_focus(browse: Browse, site: Site) -> None:
    """W 8.6: an address whose domain no provider has. The form stays open."""
    page = browse()
    at_company_refused(page, site)
    assert focused(page) == "corporate_email"
    assert described_by(page, "#corporate_email") == "No company sign-in is set up for this address."
