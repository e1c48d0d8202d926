"""A person with a browser that runs no JavaScript: httpx, its cookies, and the forms of the hosted pages."""

import html
import re
import ssl
from urllib.parse import urljoin

import httpx

from tests.flows import pools

HOPS = 10


class Person:
    """Follows links, and signs in where a page asks for it."""

    def __init__(self, verify: ssl.SSLContext | bool = True) -> None:
        self.browser = httpx.Client(verify=verify, headers={"Accept": "text/html"}, timeout=30)
        self.signed_in = 0
        """How often the sign-in form was filled in."""

    def open(self, link: str, until: str, username: str = pools.USERNAME, password: str = pools.PASSWORD) -> str:
        """Follow ``link`` until the browser is sent to an address that begins with ``until``; return that address."""
        response = self.visit(link, until)
        if isinstance(response, httpx.Response):
            assert response.status_code == 200, f"{response.url}: {response.status_code}\n{response.text}"
            self.signed_in += 1
            response = self.submit(response, until, username=username, password=password)
        assert isinstance(response, str), f"stopped at {response.url}\n{response.text}"
        return response

    def visit(self, link: str, until: str) -> httpx.Response | str:
        """Follow ``link`` to a page, and return that, or to an address that begins with ``until``."""
        return self._follow(self.browser.get(link), until)

    def submit(self, page: httpx.Response, until: str, **fields: str) -> httpx.Response | str:
        """Send the form of ``page`` with ``fields`` and go on as ``visit`` does."""
        form = re.search(r'<form [^>]*\baction="([^"]+)"[^>]*>(.*?)</form>', page.text, re.DOTALL)
        assert form, page.text
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[2])
        sent = {name: html.unescape(value) for name, value in hidden}
        target = urljoin(str(page.url), html.unescape(form[1]))
        origin = f"{page.url.scheme}://{page.url.netloc.decode()}"  # as browsers send it with every form
        return self._follow(self.browser.post(target, data=sent | fields, headers={"Origin": origin}), until)

    def _follow(self, response: httpx.Response, until: str) -> httpx.Response | str:
        for _ in range(HOPS):
            if not response.has_redirect_location:
                return response
            target = urljoin(str(response.url), response.headers["Location"])
            if target.startswith(until):
                return target
            response = self.browser.get(target)
        raise AssertionError(f"more than {HOPS} redirects, the last one to {response.url}")
