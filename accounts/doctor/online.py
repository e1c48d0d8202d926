"""From the outside in: does the issuer answer at its own address, and what does a proxy do to requests on the way?

The one place outside federation that calls anybody. It calls the deployment's own addresses only, which are often
private from here, so the rules of federation/upstream/http.py do not fit. No redirect is followed and no secret sent. A
made-up X-Forwarded-For goes along (an address of TEST-NET-1, RFC 5737): whoever takes it for the browser's would take
anybody's word.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.db.models import Exists, OuterRef

from accounts.doctor import probe
from accounts.doctor.database import compared
from accounts.doctor.findings import Finding, Scope, told, warning, wrong
from accounts.fields import encryption_keys
from accounts.models import UserPool, UserPoolDomain

PATIENCE = 5.0  # seconds
LONGEST = 256 * 1024  # bytes
FORGED = "192.0.2.99"
DISCOVERY = "/.well-known/openid-configuration"
HOST_MEND = "Let the proxy pass the Host on as it came (nginx: proxy_set_header Host $host)."
ADDRESS_MEND = (
    "Let the proxy append the address to X-Forwarded-For (nginx: proxy_set_header X-Forwarded-For "
    "$proxy_add_x_forwarded_for), and name the proxy's own addresses, and no others, in USERPOOL_TRUSTED_PROXIES."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, and the address that this machine had on the way."""

    body: bytes
    own_address: str

    def json(self) -> Any:
        """Return what the body says; raise ValueError when that is no JSON object."""
        found = json.loads(self.body)
        if not isinstance(found, dict):
            raise ValueError("not an object")
        return found


class Unheard(Exception):
    """Nobody answered, or not as Userpool does. ``finding`` says so."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.words)
        self.finding = finding


def issuer(scope: Scope) -> Iterator[Finding]:
    """Ask the issuer's own address for its health, and learn what arrived."""
    url = f"{settings.USERPOOL_ISSUER_BASE_URL}/healthz"
    before = time.time()
    try:
        answer = _asked("issuer", url, {probe.HEADER: probe.proof(), "X-Forwarded-For": FORGED})
    except Unheard as unheard:
        yield unheard.finding
        return
    try:
        seen = answer.json()
    except ValueError:
        yield warning(
            "issuer",
            f"{url} answers, and does not recognise this deployment's SECRET_KEY.",
            "Give every process the same SECRET_KEY and the same release, and restart them.",
        )
        return
    yield Finding("issuer", f"{url} answers.")
    yield from _same_settings(seen)
    yield compared("clock", "the web process", float(seen["time"]), before, time.time())
    yield from _host(seen)
    yield from _address(seen, answer.own_address)


def discovery(scope: Scope) -> Iterator[Finding]:
    """Read the discovery document of one pool, one with a domain if there is any, at its issuer and at its domain."""
    domains = UserPoolDomain.objects.filter(user_pool=OuterRef("pk"))
    pool: UserPool | None = scope.pools().order_by(~Exists(domains), "pk").first()
    if pool is None:
        return
    for base in dict.fromkeys((pool.issuer, pool.base_url)):
        url = base + DISCOVERY
        try:
            stated = _asked("discovery", url, {}).json().get("issuer")
        except Unheard as unheard:
            yield unheard.finding
            continue
        except ValueError:
            yield wrong("discovery", f"{url} is not a discovery document.", HOST_MEND, pool.pk)
            continue
        if stated == pool.issuer:
            yield Finding("discovery", f"{url} names its issuer.", pool=pool.pk)
        else:
            mend = f"{HOST_MEND} USERPOOL_ISSUER_BASE_URL must be the same in every process."
            yield wrong("discovery", f"{url} names another issuer than {pool.issuer}.", mend, pool.pk)


def _asked(subject: str, url: str, headers: dict[str, str]) -> Answer:
    """Return the answer to a GET of ``url``; raise Unheard for anything but a 200."""
    mend = "See DNS, the certificate, the proxy and the web processes, in this order; it may answer from elsewhere."
    try:
        with (
            httpx.Client(timeout=PATIENCE, follow_redirects=False) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            own = answer.extensions["network_stream"].get_extra_info("client_addr") or ("",)
            body = b""
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > LONGEST:
                    break
    except (httpx.HTTPError, OSError) as error:
        raise Unheard(wrong(subject, f"{url} does not answer: {told(error)}", mend)) from error
    if answer.status_code != httpx.codes.OK:
        if answer.status_code == httpx.codes.NOT_FOUND:
            mend = f"{HOST_MEND} {mend}"
        raise Unheard(wrong(subject, f"{url} answers with status {answer.status_code}.", mend))
    return Answer(body, str(own[0]))


def _same_settings(seen: dict[str, Any]) -> Iterator[Finding]:
    here, there = list(encryption_keys()), list(seen["encryption_keys"])
    if seen["issuer_base_url"] != settings.USERPOOL_ISSUER_BASE_URL:
        yield wrong(
            "settings of the web process",
            f"Its USERPOOL_ISSUER_BASE_URL is {seen['issuer_base_url']}, not {settings.USERPOOL_ISSUER_BASE_URL}.",
            "Give every process the same settings and restart them.",
        )
    if here == there:
        yield Finding("settings of the web process", "It has the same encryption keys as this process.")
    elif not {here[0], there[0]} <= {*here} & {*there}:
        yield wrong(
            "settings of the web process",
            "It and this process seal with keys that the other cannot open.",
            "List both keys in both, restart all, and only then change which is first (docs/operations.md).",
        )
    else:
        yield warning(
            "settings of the web process",
            "Its list of encryption keys is another one than this process's; each opens what the other seals.",
            "That is so while the keys are being replaced. Restart every process with the same list at the end.",
        )


def _host(seen: dict[str, Any]) -> Iterator[Finding]:
    expected = urlsplit(settings.USERPOOL_ISSUER_BASE_URL).netloc
    if _name(seen["host"]) != _name(expected):
        yield wrong("Host", f"Sent was {expected}, and {seen['host']} arrived: no pool is found by it.", HOST_MEND)
    else:
        yield Finding("Host", "It arrives as it was sent.")


def _name(host: str) -> str:
    return str(urlsplit(f"//{host}").hostname or "")


def _address(seen: dict[str, Any], own: str) -> Iterator[Finding]:
    """Judge which address the web process took for the browser's; ``own`` is this end's of the connection."""
    hops = [hop.strip() for hop in seen["forwarded_for"].split(",") if hop.strip()]
    direct = seen["peer"] == own
    if direct and hops in ([], [FORGED]):
        words = f"This machine reached the web process itself, as {own}: what a proxy does is not seen from here."
        if seen["address"] == FORGED:
            words += " It stands among USERPOOL_TRUSTED_PROXIES."
        yield Finding("browser's address", words)
    elif seen["address"] == FORGED and hops == [FORGED]:
        yield wrong(
            "browser's address",
            f"A made-up address was believed: {seen['peer']} is trusted and passes X-Forwarded-For on as it comes. "
            "Anybody can guess passwords under a new address each time.",
            ADDRESS_MEND,
        )
    elif seen["address"] == FORGED:
        yield warning(
            "browser's address",
            "This machine is itself trusted as a proxy, so what is believed of others cannot be told from here.",
            "Ask again from a machine outside USERPOOL_TRUSTED_PROXIES, or name the proxies' own addresses only.",
        )
    elif seen["address"] == seen["peer"]:
        yield warning(
            "browser's address",
            f"Every browser seems to be at {seen['peer']}: one that guesses passwords locks all of them out.",
            f"If {seen['peer']} is the proxy: {ADDRESS_MEND}",
        )
    else:
        yield Finding("browser's address", f"The proxy names it: {seen['address']} was believed, not the made-up one.")
