"""People who sign in and apps that refresh, without a pause, who remember everything that they were given.

A client asks again where that is safe, as real ones do: a refresh is asked again with the same token; after a code that
was not answered the user is sent to sign in once more. What was answered with 200 must hold afterwards, and no code may
be redeemed twice.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from tests.flows import pools
from tests.flows.compose import WEB_ADDRESSES, Stack, Turns, challenge
from tests.flows.person import Person

PEOPLE = 6
CLIENT = pools.AppClient("5drilledclientofjourneys", "", "cognito")


def pool_file() -> dict[str, Any]:
    """Return the pool of the drills: a user for each who signs in, and one client whose refresh tokens rotate."""
    client = pools.people_client(CLIENT, "http://localhost:3000/single-page/") | {"AllowedOAuthScopes": ["openid"]}
    return {
        "UserPool": {"Id": pools.POOL_ID, "Name": "Drills"},
        "UserPoolClients": [client | {"RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 60}}],
        "Users": [{"Username": f"user{number}", "Password": pools.PASSWORD} for number in range(PEOPLE)],
    }


@dataclass
class Answer:
    """One answer, or none: ``status`` 0 is a connection that broke."""

    at: float
    what: str
    status: int


@dataclass
class Load:
    """``run`` starts it, ``stop`` ends it and waits."""

    stack: Stack
    answers: list[Answer] = field(default_factory=list)
    families: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The newest refresh and access token of each grant."""
    people: list[Person] = field(default_factory=list)
    """Browsers that hold a session."""
    redeemed: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    """What was refused that should not have been."""
    _lock: Lock = field(default_factory=Lock)
    _over: Event = field(default_factory=Event)
    _threads: list[Thread] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"{self.stack.issuer_base}/{pools.POOL_ID}"

    def run(self) -> None:
        self._threads = [Thread(target=self._live, args=(number,)) for number in range(PEOPLE)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(120)

    def _noted(self, what: str, answer: httpx.Response | None) -> None:
        with self._lock:
            self.answers.append(Answer(time.monotonic(), what, answer.status_code if answer is not None else 0))

    def ask(self, client: httpx.Client, what: str, path: str, **fields: Any) -> httpx.Response | None:
        """Return the answer, or None where the connection broke."""
        try:
            answer = client.post(f"{self.base}{path}", **fields) if fields else client.get(f"{self.base}{path}")
        except httpx.TransportError:
            answer = None
        self._noted(what, answer)
        return answer

    def _live(self, number: int) -> None:
        try:
            self._sign_in_and_refresh(number)
        except Exception as error:
            self.refused.append(f"the client of user{number} gave up: {error!r}")
            raise

    def _sign_in_and_refresh(self, number: int) -> None:
        turn = 0
        while not self._over.is_set():
            turn += 1
            person = Person()
            person.browser.timeout = httpx.Timeout(30)
            code, verifier = self.authorize(person, f"user{number}")
            if not code:
                time.sleep(0.1)
                continue
            self.people.append(person)
            if turn % 5 == 0:
                self.redeem_twice(code, verifier)
                continue
            tokens = self.redeem(person.browser, code, verifier)
            for _ in range(4):
                if not tokens or self._over.is_set():
                    break
                tokens = self.refresh(person.browser, tokens)

    def link(self, code_challenge: str) -> str:
        query = {"response_type": "code", "client_id": CLIENT.client_id, "redirect_uri": pools.CALLBACK}
        query |= {"scope": "openid", "code_challenge": code_challenge, "code_challenge_method": "S256"}
        return f"{self.base}/oauth2/authorize?{urlencode(query)}"

    def authorize(self, person: Person, username: str) -> tuple[str, str]:
        """Sign in where that is asked; return a code and its verifier, or empty strings."""
        verifier, code_challenge = challenge()
        try:
            page = person.visit(self.link(code_challenge), pools.CALLBACK)
            if isinstance(page, httpx.Response):
                self._noted("page", page)
                if page.status_code != 200:
                    return "", ""
                page = person.submit(page, pools.CALLBACK, username=username, password=pools.PASSWORD)
        except httpx.TransportError:
            self._noted("sign-in", None)
            return "", ""
        if isinstance(page, httpx.Response):
            self._noted("sign-in", page)
            if page.status_code < 500:
                self.refused.append(f"sign-in of {username}: {page.status_code} {page.url.path}")
            return "", ""
        landed = parse_qs(urlsplit(page).query)
        # the app is told of a failure by a redirect as well (RFC 6749 4.1.2.1)
        self._noted("sign-in", httpx.Response(302 if "code" in landed else 500))
        if "code" not in landed and landed["error"] != ["server_error"]:
            self.refused.append(f"sign-in of {username}: {landed}")
        return landed.get("code", [""])[0], verifier

    def redeem(self, client: httpx.Client, code: str, verifier: str, lasting: bool = True) -> dict[str, Any]:
        """Redeem a code once; return the tokens, or nothing."""
        fields = {"grant_type": "authorization_code", "client_id": CLIENT.client_id, "code": code}
        fields |= {"redirect_uri": pools.CALLBACK, "code_verifier": verifier}
        answer = self.ask(client, "code", "/oauth2/token", data=fields)
        if answer is None or answer.status_code != 200:
            if lasting and answer is not None and answer.status_code < 500:
                self.refused.append(f"code: {answer.text}")
            return {}
        found: dict[str, Any] = answer.json()
        with self._lock:
            self.redeemed[code] += 1
            if lasting:
                self.families[code] = found["refresh_token"], found["access_token"]
        return found | {"family": code}

    def redeem_twice(self, code: str, verifier: str) -> None:
        """Redeem one code at both web processes at the same moment."""

        def one(address: str) -> None:
            with httpx.Client(transport=Turns(self.stack, only=address), timeout=30) as client:
                self.redeem(client, code, verifier, lasting=False)

        both = [Thread(target=one, args=(address,)) for address in WEB_ADDRESSES]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()

    def refresh(self, client: httpx.Client, tokens: dict[str, Any]) -> dict[str, Any]:
        """Refresh until there is an answer; return the new tokens, or nothing."""
        fields = {"grant_type": "refresh_token", "client_id": CLIENT.client_id}
        fields["refresh_token"] = tokens["refresh_token"]
        while True:
            answer = self.ask(client, "refresh", "/oauth2/token", data=fields)
            if answer is not None and answer.status_code < 500:
                break
            time.sleep(0.2)
        if answer.status_code != 200:
            self.refused.append(f"refresh: {answer.text}")
            return {}
        found: dict[str, Any] = answer.json() | {"family": tokens["family"]}
        with self._lock:
            self.families[found["family"]] = found["refresh_token"], found["access_token"]
        return found

    def verify(self) -> dict[str, int]:
        """Hold what was given against what is there; return how much was looked at. Raise AssertionError."""
        assert self.refused == [], self.refused[:5]
        assert max(self.redeemed.values()) == 1, self.redeemed.most_common(3)
        with httpx.Client(timeout=30) as client:
            for refresh_token, access_token in self.families.values():
                fields = {"grant_type": "refresh_token", "client_id": CLIENT.client_id, "refresh_token": refresh_token}
                answer = client.post(f"{self.base}/oauth2/token", data=fields)
                assert answer.status_code == 200, answer.text
                for token in (access_token, answer.json()["access_token"]):
                    bearer = {"Authorization": f"Bearer {token}"}
                    assert client.get(f"{self.base}/oauth2/userInfo", headers=bearer).status_code == 200
        for person in self.people:
            landed = person.visit(self.link(challenge()[1]), pools.CALLBACK)
            assert isinstance(landed, str), landed.text
            person.browser.close()
        return {"grants": len(self.families), "sessions": len(self.people), "codes": len(self.redeemed)}

    def figures(self, broken: float, mended: float) -> dict[str, Any]:
        """Return what the outage between two moments looked like from outside."""
        bad = [answer for answer in self.answers if answer.status == 0 or answer.status >= 500]
        good = sorted(answer.at for answer in self.answers if 0 < answer.status < 500)
        after = [at for at in good if at >= mended]
        return {
            "requests": len(self.answers),
            "failed before": sum(answer.at < broken for answer in bad),
            "failed during": sum(broken <= answer.at < mended for answer in bad),
            "failed after": sum(answer.at >= mended for answer in bad),
            "answered during": sum(broken <= at < mended for at in good),
            "seconds until first answer": round(after[0] - mended, 2) if after else None,
            "seconds until last failure": round(max([answer.at - mended for answer in bad], default=0.0), 2),
            "by status": dict(Counter(answer.status for answer in bad)),
        }
