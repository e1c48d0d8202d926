"""``/login``: the sign-in page. Its query is the authorize query, proven again on every request.

https://docs.aws.amazon.com/cognito/latest/developerguide/login-endpoint.html
A GET always shows the page, session or not: it is where /oauth2/authorize sends those who must sign in again.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts import authentication, events
from accounts.authentication import Refusal, SignInRefused
from accounts.middleware import pool_of
from accounts.models import IdentityProvider
from accounts.models.users import UserStatus
from federation import authorize_request, parameters, responses, signin
from federation.authorize_request import AuthorizeRequest
from federation.hosted import new_password
from federation.hosted.forms import form_protected
from federation.views.base import browser_endpoint

INCORRECT = "Incorrect username or password."
WORDS = {
    Refusal.INCORRECT: INCORRECT,
    Refusal.UNKNOWN_USER: "User does not exist.",
    Refusal.LOCKED: "Password attempts exceeded. Wait a while, then try again.",
    Refusal.DISABLED: "This account is disabled. Ask your administrator.",
    Refusal.UNCONFIRMED: "This account is not confirmed yet. Ask your administrator.",
    Refusal.RESET_REQUIRED: "Your password must be reset before you can sign in. Ask your administrator.",
    Refusal.TEMPORARY_PASSWORD_EXPIRED: "Your temporary password has expired. Ask your administrator for a new one.",
}
ICONS = {"Google": "google", "Facebook": "facebook", "LoginWithAmazon": "amazon", "SignInWithApple": "apple"}
LABELS = {"LoginWithAmazon": "Amazon", "SignInWithApple": "Apple"}
NAMES = {
    ("email",): ("E-mail address", "email"),
    ("phone_number",): ("Phone number", "tel"),
    ("email", "phone_number"): ("E-mail address or phone number", "text"),
}


@browser_endpoint("GET", "HEAD", "POST")
@form_protected
def login(request: HttpRequest) -> HttpResponse:
    """Show the page, or take what it sends: a sign-in, a company e-mail address, a new password."""
    asked = authorize_request.parse(pool_of(request), parameters.from_query(request))
    with signin.reported_to(asked.target):
        if request.method != "POST":
            return _page(request, asked, username=asked.login_hint)
        action = request.POST.get("action", "")
        if action == "corporate":
            return _company(request, asked)
        if not asked.client.cognito_sign_in:  # a proof from another client's page is a password all the same
            return _page(request, asked)
        if action == "new_password":
            return new_password.take(request, asked)
        return _sign_in(request, asked)


def _sign_in(request: HttpRequest, asked: AuthorizeRequest) -> HttpResponse:
    name, password = request.POST.get("username", "").strip(), request.POST.get("password", "")
    if not name or not password:
        field = "password" if name else "username"
        return _page(request, asked, name, field, f"Enter your {'password' if name else 'username'}.")
    address = str(request.META.get("REMOTE_ADDR", ""))
    hide = asked.client.prevent_user_existence_errors
    try:
        user = authentication.authenticate(asked.pool, name[:2048], password, address, hide)
    except SignInRefused as refused:
        # one that was not even tried costs nothing, and could fill the table
        early = refused.reason == Refusal.LOCKED
        events.refused(asked.pool, None, asked.client.client_id, None, refused.reason, user=refused.user, early=early)
        field = "password" if refused.reason == Refusal.INCORRECT else ""
        return _page(request, asked, name, field, WORDS[refused.reason])
    if user.status == UserStatus.FORCE_CHANGE_PASSWORD:
        return new_password.page(request, asked, user)
    return signin.sign_in(request, asked, user)


def _company(request: HttpRequest, asked: AuthorizeRequest) -> HttpResponse:
    """Route a company e-mail address to the provider that has its domain among its identifiers (W 8.6)."""
    email = request.POST.get("corporate_email", "").strip()[:2048]
    domain = email.rpartition("@")[2].lower()
    for provider in asked.client.providers:
        if domain and domain in (identifier.lower() for identifier in provider.idp_identifiers):
            query = asked.query_with(identity_provider=provider.provider_name, idp_identifier="", login_hint=email)
            return responses.redirect(f"{reverse('authorize')}?{query}")
    return _page(request, asked, field="corporate_email", message="No company sign-in is set up for this address.")


def _page(
    request: HttpRequest, asked: AuthorizeRequest, username: str = "", field: str = "", message: str = ""
) -> HttpResponse:
    client, pool = asked.client, asked.pool
    label, kind = NAMES.get(tuple(sorted(pool.username_attributes)), ("Username", "text"))
    if "email" in pool.alias_attributes:
        label = "Username or e-mail address"
    buttons, company = _choices(asked)
    context: dict[str, Any] = {
        "app_name": client.name,
        "form_action": f"{reverse('login')}?{asked.query}",
        "username": username[:2048],
        "error": {"field": field, "message": message} if message else None,
        "providers": buttons,
        "corporate": company,
        "show_password_form": client.cognito_sign_in and asked.provider is None,
        "username_label": label,
        "username_type": kind,
        "username_autocomplete": "username",
        "corporate_email": request.POST.get("corporate_email", "")[:2048],
    }
    return responses.page(request, "hosted/login.html", context, leads_out=True)


def _choices(asked: AuthorizeRequest) -> tuple[list[dict[str, str]], bool]:
    """Return the provider buttons, and whether to ask for a company e-mail address instead (W 8.6).

    Several company providers that all have identifiers share one e-mail box; otherwise each has a button.
    """
    company = [provider for provider in asked.client.providers if provider.provider_type in ("SAML", "OIDC")]
    box = len(company) > 1 and all(provider.idp_identifiers for provider in company)
    shown = [provider for provider in asked.client.providers if not (box and provider in company)]
    return [_button(asked, provider) for provider in shown], box


def _button(asked: AuthorizeRequest, provider: IdentityProvider) -> dict[str, str]:
    query = asked.query_with(identity_provider=provider.provider_name, idp_identifier="")
    return {
        "name": provider.provider_name,
        "label": LABELS.get(provider.provider_type, provider.provider_name),
        "icon": ICONS.get(provider.provider_type, provider.provider_type.lower()),
        "url": f"{reverse('authorize')}?{query}",
    }
