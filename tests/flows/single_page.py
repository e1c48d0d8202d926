"""A single page app in Chromium: bundled from tests/flows/node, published on this machine, watched."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import Page, Request

from tests.flows import pools

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>App</title>
<script type="application/json" id="config">{config}</script><script type="module" src="{script}"></script>"""


@dataclass(frozen=True)
class SinglePageApp:
    """Where the app is published, and the Node packages that it is made of."""

    address: str
    folder: Path
    packages: Path

    def publish(self, program: str, config: dict[str, Any]) -> None:
        """Bundle ``program`` as its developer would, and publish it with ``config``."""
        script = program.replace(".mjs", ".js")
        if not (self.folder / script).exists():
            command = [str(self.packages / "node_modules" / ".bin" / "esbuild"), str(self.packages / program)]
            command += ["--bundle", "--minify", "--format=esm", "--log-level=error"]
            subprocess.run([*command, f"--outfile={self.folder / script}"], check=True, cwd=self.packages)
        page = PAGE.format(config=json.dumps(config), script=script)
        self.folder.joinpath("index.html").write_text(page, encoding="utf-8")

    def sign_in(self, page: Page, options: dict[str, Any]) -> None:
        """Open the app, let it send the browser to the pool, fill in the form, and come back."""
        self.call(page, "signIn", options)
        page.get_by_label("Password", exact=True).fill(pools.PASSWORD)
        if not page.locator("#username").input_value():
            page.locator("#username").fill(pools.USERNAME)
        page.locator("#password").press("Enter")
        page.wait_for_url(f"{self.address}**")

    def call(self, page: Page, function: str, argument: Any = None) -> None:
        """Open the app afresh and call a function of it that leaves the page."""
        page.goto(self.address)
        page.wait_for_function(f"Boolean(window.{function})")
        page.evaluate(f"argument => {{ {function}(argument) }}", argument)


class Watched:
    """The requests of a page to some path, in order."""

    def __init__(self, page: Page) -> None:
        self.requests: list[Request] = []
        page.on("request", lambda request: self.requests.append(request))

    def to(self, path: str, method: str = "GET") -> list[Request]:
        found = [request for request in self.requests if urlsplit(request.url).path == path]
        return [request for request in found if request.method == method]

    def query(self, path: str) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.to(path)[-1].url).query)
