"""``manage.py demo`` as a person meets it: run it, follow the printed link, sign in, read the tokens.

What is expected is the promise of README.md ("Two commands") and, for the sample app, OpenID Connect Core 3.1.2 and
3.1.3. The browser is httpx without JavaScript; server, sample app and SAML identity provider are the real processes on
ports of their own.
"""

import html
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest

from tests.services import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
TIME_LIMIT = 120
pytestmark = pytest.mark.xdist_group("demo")  # one demo for all of them


@dataclass
class Running:
    """A demo that has printed its links."""

    process: "subprocess.Popen[str]"
    text: str
    server: str
    app: str
    partner: str

    def printed(self, pattern: str) -> re.Match[str]:
        found = re.search(pattern, self.text)
        assert found, self.text
        return found

    @property
    def link(self) -> str:
        return self.printed(r"Sign in +(\S+)")[1]


def demo(data: Path, *ports: int) -> "subprocess.Popen[str]":
    """Start the demo on ``ports``: of the server, of the sample app, of the SAML identity provider."""
    bare = {"PATH": os.environ["PATH"], "USERPOOL_DEVELOPMENT": "1", "USERPOOL_DATA_DIR": str(data)}
    named = zip(("--port", "--sample-port", "--idp-port"), map(str, ports), strict=True)
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo", *(word for option in named for word in option)],
        cwd=ROOT,
        env=bare | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def running(data: Path) -> Iterator[Running]:
    ports = [free_port() for _ in range(3)]
    process = demo(data, *ports)
    # for the start alone: the demo may then run for as long as the tests need it
    timer = threading.Timer(TIME_LIMIT, process.terminate)
    timer.start()
    try:
        text = ""
        assert process.stdout is not None
        while "as admin" not in text:
            line = process.stdout.readline()
            assert line, f"the demo ended:\n{text}"
            text += line
        timer.cancel()
        yield Running(process, text, *(f"http://localhost:{port}" for port in ports))
    finally:
        timer.cancel()
        process.send_signal(signal.SIGTERM)
        process.wait(TIME_LIMIT)


@pytest.fixture(scope="module")
def the_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("demo")) as started:
        yield started


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=True, timeout=20) as client:
        yield client


def form_of(page: httpx.Response) -> tuple[str, dict[str, str]]:
    """Return where the first form of ``page`` goes and its hidden fields."""
    form = re.search(r"<form[^>]*\bmethod=\"post\"[^>]*>.*?</form>", page.text, re.DOTALL | re.IGNORECASE)
    assert form, page.text
    action = re.search(r'<form[^>]*\baction="([^"]*)"', form[0])
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0])
    target = urljoin(str(page.url), html.unescape(action[1]) if action else "")
    return target, {name: html.unescape(value) for name, value in hidden}


ADA, CORPORATE = r"as (\S+), password (\S+)\n +or with", r'or with .*: "Continue with .*\n +as (\S+), password (\S+)'


def sign_in(browser: httpx.Client, the_demo: Running, link: str, account: str = ADA) -> httpx.Response:
    """Follow ``link`` to a sign-in form and send it, as whom the demo printed in the form of ``account``."""
    page = browser.get(link)
    assert page.status_code == 200, page.text
    assert str(page.url).startswith(the_demo.server)
    username, password = the_demo.printed(account).groups()
    target, fields = form_of(page)
    assert "_csrf" in fields
    origin = {"Origin": the_demo.server, "Referer": str(page.url)}
    return browser.post(target, data=fields | {"username": username, "password": password}, headers=origin)


def test_the_printed_link_is_a_whole_authorize_request_with_pkce(the_demo: Running) -> None:
    """RFC 7636 4.3, OpenID Connect Core 3.1.2.1."""
    parts = urlsplit(the_demo.link)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert f"{parts.scheme}://{parts.netloc}" == the_demo.server
    assert re.fullmatch(r"/[\w-]+_[0-9a-zA-Z]+/oauth2/authorize", parts.path)
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert re.fullmatch(r"[\w-]{43}", query["code_challenge"])
    assert query["redirect_uri"] == f"{the_demo.app}/callback"
    assert {"state", "nonce", "scope", "client_id"} <= query.keys()


def test_whoever_follows_the_printed_link_and_signs_in_sees_verified_tokens(
    the_demo: Running, browser: httpx.Client
) -> None:
    shown = sign_in(browser, the_demo, the_demo.link)
    assert str(shown.url) == f"{the_demo.app}/", shown.text
    text = html.unescape(shown.text)
    assert "Signed in as" in text
    for check in ("The ID token is signed with RS256", "The access token is signed with RS256", "for the same user"):
        assert check in text
    client_id = parse_qs(urlsplit(the_demo.link).query)["client_id"][0]
    issuer = the_demo.link.partition("/oauth2/")[0]
    for value in (client_id, issuer, "token_use", "origin_jti", "cognito:username"):
        assert value in text


def test_the_sample_app_signs_in_and_out_by_itself(the_demo: Running, browser: httpx.Client) -> None:
    assert "Sign in" in browser.get(the_demo.app).text
    assert "Signed in as" in sign_in(browser, the_demo, f"{the_demo.app}/sign-in").text
    # a live session at the pool: no page is asked for
    assert "Signed in as" in browser.get(f"{the_demo.app}/sign-in").text
    signed_out = browser.get(f"{the_demo.app}/sign-out")
    assert str(signed_out.url) == f"{the_demo.app}/"
    assert "Signed in as" not in signed_out.text
    assert browser.get(f"{the_demo.app}/sign-in").text.count('name="password"') == 1


def claims_shown(page: httpx.Response, title: str) -> dict[str, str]:
    """Return the claims on the card ``title`` of the sample app; those of ``identities`` among them."""
    card = page.text.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]
    return {name: html.unescape(value) for name, value in re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)", card)}


def test_whoever_signs_in_with_example_corp_sees_verified_tokens_that_say_so(
    the_demo: Running, browser: httpx.Client
) -> None:
    """W 7.2 and 11: a user of the second pool comes into the first with the attributes that its provider maps."""
    link = re.search(r'href="(/sign-in\?provider=[^"]+)">Sign in with ([^<]+)<', browser.get(the_demo.app).text)
    assert link
    assert link[2] == the_demo.printed(r"or with ([^:]+):")[1]
    begun = browser.get(the_demo.app + html.unescape(link[1]))
    demo_pool, corporate_pool = (str(url).split("/")[3] for url in (the_demo.link, begun.url))
    assert demo_pool != corporate_pool  # nobody was asked anything on the demo pool's own page

    shown = sign_in(browser, the_demo, the_demo.app + html.unescape(link[1]), CORPORATE)
    assert str(shown.url) == f"{the_demo.app}/", shown.text
    assert "The ID token is signed with RS256" in shown.text
    for title in ("ID token", "userInfo"):
        claims = claims_shown(shown, title)
        assert claims["providerName"] == "Corp"
        assert claims["issuer"] == f"{the_demo.server}/{corporate_pool}"
        assert claims["email"] == "katherine@corp.example.com"
        assert (claims["given_name"], claims["family_name"]) == ("Katherine", "Johnson")
        assert claims["email_verified"] == "true"
    claims = claims_shown(shown, "ID token")
    assert claims["iss"] == f"{the_demo.server}/{demo_pool}"
    assert claims["cognito:username"] == f"corp_{claims['userId']}"

    # signed out of the app and of the demo pool, but not of Example Corp, which does not ask again
    assert "Signed in as" not in browser.get(f"{the_demo.app}/sign-out").text
    assert "Signed in as Katherine" in browser.get(the_demo.app + html.unescape(link[1])).text


def carried(browser: httpx.Client, page: httpx.Response) -> httpx.Response:
    """Send on the forms in which SAML messages travel, until there is another page."""
    while re.search(r'name="SAML(Request|Response)"', page.text):
        target, fields = form_of(page)
        page = browser.post(target, data=fields)
    return page


def chosen(browser: httpx.Client, the_demo: Running, page: httpx.Response, person: str) -> httpx.Response:
    """Choose ``person`` on Partner's page and go where that leads."""
    assert str(page.url).startswith(the_demo.partner), page.text
    assert "Who are you?" in page.text, page.text
    target, fields = form_of(page)
    headers = {"Origin": the_demo.partner}
    return carried(browser, browser.post(target, data=fields | {"person": person}, headers=headers))


def test_whoever_signs_in_with_partner_sees_verified_tokens_and_signs_out_at_both(
    the_demo: Running, browser: httpx.Client
) -> None:
    """W 8.2, 8.3, 8.5 and 11: signed SAML messages in both directions, and the attributes that its provider maps."""
    assert the_demo.printed(r'or with Partner: "(Continue with Partner)"')
    page = carried(browser, browser.get(f"{the_demo.app}/sign-in?provider=Partner"))
    shown = chosen(browser, the_demo, page, "hedy")
    assert str(shown.url) == f"{the_demo.app}/", shown.text
    assert "The ID token is signed with RS256" in shown.text
    for title in ("ID token", "userInfo"):
        claims = claims_shown(shown, title)
        assert (claims["providerName"], claims["providerType"]) == ("Partner", "SAML")
        assert claims["issuer"].startswith("urn:userpool:development-idp:")
        assert claims["email"] == "hedy@partner.example.com"
        assert (claims["given_name"], claims["family_name"], claims["name"]) == ("Hedy", "Lamarr", "Hedy Lamarr")
        assert (claims["custom:affiliation"], claims["custom:employee_number"]) == ("[member,staff]", "1942")
    assert claims_shown(shown, "ID token")["cognito:username"].startswith("partner_")
    assert "Hello, Hedy Lamarr" in browser.get(the_demo.partner).text

    signed_out = carried(browser, browser.get(f"{the_demo.app}/sign-out"))
    assert str(signed_out.url) == f"{the_demo.app}/"
    assert "Signed in as" not in signed_out.text
    assert "Hello" not in browser.get(the_demo.partner).text
    page = carried(browser, browser.get(f"{the_demo.app}/sign-in?provider=Partner"))
    assert "Signed in as Alan Turing" in chosen(browser, the_demo, page, "alan").text


def test_a_sign_in_begins_at_partner_and_a_sign_out_as_well(the_demo: Running, browser: httpx.Client) -> None:
    """W 8.4: the sample app leaves the code alone that it did not ask for, and asks for one of its own."""
    home = browser.get(the_demo.printed(r"Partner +(http\S+)")[1])
    link = re.search(r'href="(/app\?[^"]+)"><span>Sample app', home.text)
    assert link, home.text
    page = browser.get(the_demo.partner + html.unescape(link[1]))
    shown = chosen(browser, the_demo, page, "alan")
    assert str(shown.url) == f"{the_demo.app}/", shown.text
    assert "Signed in as Alan Turing" in shown.text
    assert "nonce, at_hash and PKCE match" in shown.text

    home = browser.get(the_demo.partner)
    target, fields = form_of(home)
    ended = carried(browser, browser.post(target, data=fields, headers={"Origin": the_demo.partner}))
    assert "At the user pool as well" in ended.text
    assert 'name="password"' in browser.get(f"{the_demo.app}/sign-in").text  # the session at the pool is over


def test_the_sample_app_says_when_a_sign_in_that_began_elsewhere_failed(
    the_demo: Running, browser: httpx.Client
) -> None:
    answer = browser.get(f"{the_demo.app}/arrival?error=access_denied&error_description=%3Cb%3E")
    assert answer.status_code == 400
    assert "access_denied" in answer.text
    assert "<b>" not in answer.text


def test_the_printed_link_leads_to_a_page_that_offers_all_ways(the_demo: Running, browser: httpx.Client) -> None:
    page = browser.get(the_demo.link)
    ways = [
        re.search(rf'<a class="way" href="([^"]+)">(?:(?!</a>).)*{label}', page.text, re.DOTALL)
        for label in re.findall(r'"(Continue with [^"]+)"', the_demo.text)
    ]
    assert len(ways) == 2
    assert all(ways), page.text
    button = ways[0]
    assert button
    assert 'name="password"' in page.text
    shown = sign_in(browser, the_demo, urljoin(str(page.url), html.unescape(button[1])), CORPORATE)
    assert "Signed in as Katherine" in shown.text
    assert "Signed in as Ada" not in browser.get(f"{the_demo.app}/sign-in").text
    browser.get(f"{the_demo.app}/sign-out")
    assert "Signed in as Ada" in sign_in(browser, the_demo, f"{the_demo.app}/sign-in").text


def test_the_sample_app_leads_to_no_provider_that_it_was_not_told_of(the_demo: Running, browser: httpx.Client) -> None:
    answer = browser.get(f"{the_demo.app}/sign-in", params={"provider": "Another"}, follow_redirects=False)
    assert answer.status_code == 400
    assert "no such way to sign in" in answer.text


def test_the_demo_knows_every_job_of_its_schedule(tmp_path: Path) -> None:
    """A job that it did not know would be sent to a broker, and there is none. In a process of its own, as the demo."""
    program = """
import django
django.setup()
from celery import current_app
from accounts.management.commands.demo import schedule
with schedule():
    print({entry["task"] for entry in current_app.conf.beat_schedule.values()} - set(current_app.tasks))
"""
    settings = {"DJANGO_SETTINGS_MODULE": "userpool.settings", "USERPOOL_DATA_DIR": str(tmp_path)}
    bare = {"PATH": os.environ["PATH"], "USERPOOL_DEVELOPMENT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=bare | settings, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr


@pytest.mark.parametrize(
    "query",
    ["", "code=abc", "code=abc&state=unknown", "error=access_denied&error_description=%3Cscript%3E", "state=%FF"],
)
def test_the_sample_app_believes_no_answer_that_it_did_not_ask_for(
    the_demo: Running, browser: httpx.Client, query: str
) -> None:
    answer = browser.get(f"{the_demo.app}/callback?{query}")
    assert answer.status_code == 400
    assert "not signed in" in answer.text
    assert "<script>" not in answer.text


def test_an_answer_is_worth_nothing_in_another_browser(the_demo: Running, browser: httpx.Client) -> None:
    """RFC 6749 10.12: the state is bound to the browser that began."""
    begun = browser.get(f"{the_demo.app}/sign-in", follow_redirects=False)
    state = parse_qs(urlsplit(begun.headers["Location"]).query)["state"][0]
    with httpx.Client() as other:
        assert other.get(f"{the_demo.app}/callback", params={"state": state, "code": "x"}).status_code == 400


def test_the_sample_app_shows_the_server_s_error_escaped(the_demo: Running, browser: httpx.Client) -> None:
    state = parse_qs(urlsplit(the_demo.link).query)["state"][0]
    query = {"state": state, "error": "access_denied", "error_description": "<b>no</b>"}
    answer = browser.get(f"{the_demo.app}/callback", params=query)
    assert answer.status_code == 400
    assert "access_denied" in answer.text
    assert "&lt;b&gt;no&lt;/b&gt;" in answer.text


def test_the_console_lets_the_printed_operator_in(the_demo: Running, browser: httpx.Client) -> None:
    console = the_demo.printed(r"Console +(\S+)")[1]
    page = browser.get(console)
    username, password = the_demo.printed(r"as (admin), password (\S+)").groups()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token, page.text
    fields = {"csrfmiddlewaretoken": token[1], "username": username, "password": password}
    inside = browser.post(str(page.url), data=fields, headers={"Referer": str(page.url)})
    assert inside.status_code == 200
    assert 'name="password"' not in inside.text


def test_a_second_demo_on_the_same_port_says_so_and_ends(the_demo: Running, tmp_path: Path) -> None:
    taken = [int(address.rpartition(":")[2]) for address in (the_demo.server, the_demo.app, the_demo.partner)]
    for place, option in enumerate(("--port", "--sample-port", "--idp-port")):
        ports = [free_port() for _ in range(3)]
        ports[place] = taken[place]
        second = demo(tmp_path, *ports)
        output, _ = second.communicate(timeout=TIME_LIMIT)
        assert second.returncode != 0
        assert f"Port {taken[place]} is in use" in output
        assert f'ARGS="{option} ' in output
        assert "Traceback" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_starts_again_on_what_it_left_and_takes_its_processes_along(
    tmp_path: Path, number: signal.Signals
) -> None:
    passwords = set()
    for _ in range(2):
        with running(tmp_path) as started:
            passwords.add(started.printed(r"as admin, password (\S+)")[1])
            started.process.send_signal(number)
            started.process.send_signal(signal.SIGTERM)  # an impatient person presses twice
            assert started.process.wait(TIME_LIMIT) == 0
            for address in (started.server, started.app, started.partner):
                port = int(address.rpartition(":")[2])
                with closing(socket.socket()) as probe:
                    assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert len(passwords) == 1
