"""Between Userpool and a fake that listens on a socket: a provider's registration, and a browser that carries
redirects over from Django's test client.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from django.http import HttpResponse
from django.test import Client

from accounts.models import AppClient, IdentityProvider, UserPool
from federation.parameters import FROM_HERE
from tests import factories
from tests.browser_like import FORM
from tests.fakes.oidc import OidcIdp


def register(
    idp: OidcIdp,
    pool: UserPool,
    *clients: AppClient,
    name: str = "Corp",
    details: dict[str, str] | None = None,
    **values: Any,
) -> IdentityProvider:
    """Make ``idp`` a provider of ``pool`` and of ``clients``; ``details`` are laid over its ProviderDetails."""
    registration = {
        "client_id": idp.client_id,
        "client_secret": idp.client_secret,
        "oidc_issuer": idp.issuer,
        "authorize_scopes": "openid email",
        "attributes_request_method": "GET",
    }
    values = {"attribute_mapping": {"email": "email", "email_verified": "email_verified"}} | values
    provider = factories.make_oidc_provider(pool, name, provider_details=registration | (details or {}), **values)
    for client in clients:
        client.identity_providers.add(provider)
    return provider


def at_provider(response: HttpResponse) -> str:
    """Follow a redirect to the provider and return where the provider sends the browser back to."""
    assert response.status_code == 302, (response.status_code, response.content[:500])
    answer = httpx.get(response["Location"], verify=False)  # noqa: S501 - a fake's own certificate
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def fields_of(url: str) -> dict[str, str]:
    """Return the parameters in the query of ``url``."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True))


def come_back(browser: Client, url: str, posted: bool = False, **changes: str) -> HttpResponse:
    """Bring a provider's answer to Userpool: as a GET, or as the form of response_mode=form_post."""
    parts = urlsplit(url)
    fields = {name: value for name, value in (fields_of(url) | changes).items() if value}
    if posted:
        # another site's page sends the form, so there is no CSRF token in it
        return post_from_elsewhere(browser, parts.path, fields)
    return browser.get(f"{parts.path}?{urlencode(fields)}")


def post_from_elsewhere(browser: Client, path: str, fields: dict[str, str]) -> HttpResponse:
    """Post a form as a page of another site does, and once more where Userpool asks for it from its own."""
    response = browser.post(path, urlencode(fields), content_type=FORM, headers={"origin": "https://idp.example.test"})
    if response.status_code == 200 and FROM_HERE.encode() in response.content:
        return browser.post(path, urlencode(fields | {FROM_HERE: "1"}), content_type=FORM)
    return response


def through(browser: Client, query: dict[str, str], posted: bool = False) -> HttpResponse:
    """Go from /oauth2/authorize through the provider and back; return Userpool's last answer."""
    sent = browser.get("/oauth2/authorize?" + urlencode(query))
    return come_back(browser, at_provider(sent), posted)
