"""A browser without JavaScript, over Django's test client: follow the sign-in to the app's door."""

import html
import re
from urllib.parse import urlencode

from django.http import HttpResponse
from django.test import Client

from tests import factories

FORM = "application/x-www-form-urlencoded"


def csrf_of(response: HttpResponse) -> str:
    """Return the value of the hidden field ``_csrf``."""
    found = re.search(r'name="_csrf" value="([^"]+)"', response.content.decode())
    assert found, response.content.decode()[:2000]
    return html.unescape(found[1])


def open_login(browser: Client, query: dict[str, str]) -> tuple[str, HttpResponse]:
    """Follow /oauth2/authorize to the sign-in page; return its address and the page."""
    response = browser.get("/oauth2/authorize?" + urlencode(query))
    assert response.status_code == 302, response.content
    login = response["Location"]
    page = browser.get(login)
    assert page.status_code == 200, page.content
    return login, page


def submit_login(browser: Client, query: dict[str, str], **fields: str) -> HttpResponse:
    """Open the sign-in page and send its form with ``fields``."""
    login, page = open_login(browser, query)
    return browser.post(login, urlencode({"_csrf": csrf_of(page), **fields}), content_type=FORM)


def sign_in(browser: Client, query: dict[str, str], username: str = "ada", password: str = factories.PASSWORD) -> str:
    """Sign in and return the address in the app that the browser is sent to."""
    response = submit_login(browser, query, username=username, password=password)
    assert response.status_code == 302, response.content.decode()[:3000]
    return str(response["Location"])
