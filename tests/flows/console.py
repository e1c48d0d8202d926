"""An operator with a browser that runs no JavaScript: httpx, and the forms of the console as it serves them."""

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.flows.server import Server

Fields = dict[str, list[str]]


class _Forms(HTMLParser):
    """Collects what a browser would send for each form of a page, were it sent as it stands."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Fields] = []
        self._select = self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({})
        elif tag == "input" and given.get("name") and given.get("type") not in ("submit", "button", "search"):
            if given.get("type") not in ("checkbox", "radio"):
                self._add(given["name"], given.get("value", ""))
            elif "checked" in given:
                self._add(given["name"], given.get("value", "on"))
        elif tag == "select":
            self._select = given.get("name", "")
        elif tag == "option" and self._select and ("selected" in given or self._select not in self.forms[-1]):
            self.forms[-1][self._select] = [given.get("value", "")]
        elif tag == "textarea":
            self._textarea = given.get("name", "")
            self._add(self._textarea, "")

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.forms[-1][self._textarea][-1] += data.removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("select", "textarea"):
            self._select = self._textarea = ""

    def _add(self, name: str, value: str) -> None:
        if self.forms and name:
            self.forms[-1].setdefault(name, []).append(value)


class Console:
    """The console of ``server``, signed in to."""

    def __init__(self, server: Server, username: str, password: str) -> None:
        self.browser = httpx.Client(base_url=server.base, verify=server.trust, timeout=30, follow_redirects=True)
        self.fill_in("/admin/login/?next=/admin/", username=username, password=password)

    def fill_in(self, path: str, **changes: Any) -> httpx.Response:
        """Open a page, change its form and save it; raise AssertionError when the console has something against it."""
        page = self.browser.get(path)
        assert page.status_code == 200, f"{page.url}: {page.status_code}"
        reader = _Forms()
        reader.feed(page.text)
        form = next(form for form in reader.forms if set(changes) & set(form) and "csrfmiddlewaretoken" in form)
        sent = {name: value for name, value in {**form, **changes}.items() if value is not None}
        origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
        saved = self.browser.post(urljoin(str(page.url), ""), data=sent, headers={"Origin": origin})
        assert saved.status_code == 200, f"{saved.url}: {saved.status_code}"
        assert saved.history, f"{path} was not saved:\n{saved.text}"  # the console redirects after it saved
        return saved
