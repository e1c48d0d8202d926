"""A provider that takes every call and answers none, under load: it harms its own users, and nobody else.

The server is the real one (granian, four threads), the provider a fake on a socket that holds every connection until
the test lets go. What is asserted is order, not time: while all sign-ins at the dead provider hang, token requests
and sign-ins at a living provider are answered; afterwards every one of the hung sign-ins has an answer.
"""

import re
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.fakes.oidc import OidcIdp
from tests.flows.server import Server, deployment, serving

POOL_ID = "eu-west-1_Dead00001"
CLIENT, MACHINE, SECRET = "1publicclientofdead", "1machineclientofdead", "m" * 51
CALLBACK = "http://localhost:3000/callback"
API = "https://api.example.com"
AT_ONCE = 30
TOKEN_REQUESTS = 40


def provider(name: str, idp: OidcIdp) -> dict[str, Any]:
    return {
        "ProviderName": name,
        "ProviderType": "OIDC",
        "ProviderDetails": {
            "client_id": idp.client_id,
            "client_secret": idp.client_secret,
            "oidc_issuer": idp.issuer,
            "authorize_scopes": "openid email",
            "attributes_request_method": "GET",
        },
        "AttributeMapping": {"email": "email"},
    }


def pool_file(dead: OidcIdp, living: OidcIdp) -> dict[str, Any]:
    web = {
        "ClientName": "web",
        "ClientId": CLIENT,
        "CallbackURLs": [CALLBACK],
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": ["code"],
        "AllowedOAuthScopes": ["openid", "email"],
        "SupportedIdentityProviders": ["Dead", "Living"],
    }
    machine = {
        "ClientName": "machine",
        "ClientId": MACHINE,
        "ClientSecret": SECRET,
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": ["client_credentials"],
        "AllowedOAuthScopes": [f"{API}/read"],
    }
    return {
        "UserPool": {"Id": POOL_ID, "Name": "Dead"},
        "ResourceServers": [
            {"Identifier": API, "Name": "api", "Scopes": [{"ScopeName": "read", "ScopeDescription": "Read"}]}
        ],
        "IdentityProviders": [provider("Dead", dead), provider("Living", living)],
        "UserPoolClients": [web, machine],
    }


@pytest.fixture
def providers() -> Iterator[tuple[OidcIdp, OidcIdp]]:
    with OidcIdp() as dead, OidcIdp() as living:
        yield dead, living


@pytest.fixture
def server(providers: tuple[OidcIdp, OidcIdp], tmp_path: Any) -> Iterator[Server]:
    with deployment(tmp_path) as found:
        found.apply(pool_file(*providers))
        with serving(found, POOL_ID, USERPOOL_UPSTREAM_ALLOW_PRIVATE="1") as running:
            yield running


def begin(server: Server, name: str) -> tuple[httpx.Client, str]:
    """Begin a sign-in in a browser of its own; return it, and the address that the provider sends it back to."""
    browser = httpx.Client(timeout=60)
    query = {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": CALLBACK,
        "scope": "openid email",
        "state": secrets.token_urlsafe(8),
        "identity_provider": name,
    }
    sent = browser.get(f"{server.issuer}/oauth2/authorize?{urlencode(query)}")
    assert sent.status_code == 302, sent.text
    back = httpx.get(sent.headers["Location"])
    return browser, back.headers["Location"]


def finish(browser: httpx.Client, address: str) -> httpx.Response:
    """Come back from the provider, as often as the page asks for it."""
    for _ in range(60):
        response = browser.get(address)
        if response.status_code != 503:
            return response
        assert response.headers["Refresh"]
    raise AssertionError("never a place")


def machine_token(server: Server) -> int:
    form = {"grant_type": "client_credentials", "scope": f"{API}/read"}
    return httpx.post(f"{server.issuer}/oauth2/token", data=form, auth=(MACHINE, SECRET), timeout=60).status_code


def test_while_a_provider_hangs_everybody_else_is_served(server: Server, providers: tuple[OidcIdp, OidcIdp]) -> None:
    dead, _ = providers
    waiting = [begin(server, "Dead") for _ in range(AT_ONCE)]
    at_living = begin(server, "Living")
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        with dead.hanging("/token"):
            hung = [crowd.submit(browser.get, address) for browser, address in waiting]
            dead.wait_for_arrival()
            # the provider still holds what it was sent, and yet:
            assert Counter(machine_token(server) for _ in range(TOKEN_REQUESTS)) == {200: TOKEN_REQUESTS}
            landed = finish(*at_living)
            assert landed.headers["Location"].startswith(f"{CALLBACK}?code="), landed.text
        answers = [pending.result(60) for pending in hung]
    kinds = Counter(kind_of(answer) for answer in answers)
    assert set(kinds) <= {"come again", "told the app"}, kinds
    # two of the four threads may wait for one provider; the others were free all the time
    assert kinds["come again"] > AT_ONCE // 2
    assert len(dead.called("/token")) < AT_ONCE // 2


def test_who_was_asked_to_come_again_signs_in_once_the_provider_is_back(
    server: Server, providers: tuple[OidcIdp, OidcIdp]
) -> None:
    dead, _ = providers
    waiting = [begin(server, "Dead") for _ in range(8)]
    with ThreadPoolExecutor(8) as crowd:
        with dead.hanging("/token"):
            hung = [crowd.submit(browser.get, address) for browser, address in waiting]
            dead.wait_for_arrival()
        answers = [pending.result(60) for pending in hung]
    asked = [one for one, answer in zip(waiting, answers, strict=True) if kind_of(answer) == "come again"]
    assert asked
    for browser, address in asked:
        assert finish(browser, address).headers["Location"].startswith(f"{CALLBACK}?code=")


def kind_of(answer: httpx.Response) -> str:
    """Return what an answer is: the page that comes again, or a redirect with the documented error."""
    if answer.status_code == 503:
        assert re.search(r"One moment", answer.text)
        return "come again"
    assert answer.status_code == 302, answer.text
    fields = parse_qs(urlsplit(answer.headers["Location"]).query)
    if fields.get("error") == ["invalid_request"]:
        return "told the app"
    return "signed in" if "code" in fields else str(fields)
