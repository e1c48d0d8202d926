"""A browser between Userpool's test client and a fake that listens on a socket: it carries redirects over."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from django.http import HttpResponse
from django.test import Client

from tests.browser_like import FORM


def at_provider(response: HttpResponse) -> str:
    """Follow a redirect to the provider and return where the provider sends the browser back to."""
    assert response.status_code == 302, (response.status_code, response.content[:500])
    answer = httpx.get(response["Location"], follow_redirects=False)
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
        origin = {"origin": "https://idp.example.test"}
        return browser.post(parts.path, urlencode(fields), content_type=FORM, headers=origin)
    return browser.get(f"{parts.path}?{urlencode(fields)}")


def through(browser: Client, query: dict[str, str], posted: bool = False) -> HttpResponse:
    """Go from /oauth2/authorize through the provider and back; return Userpool's last answer."""
    sent = browser.get("/oauth2/authorize?" + urlencode(query))
    return come_back(browser, at_provider(sent), posted)
