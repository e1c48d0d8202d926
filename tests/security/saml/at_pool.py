"""A pool with a SAML provider, for tests over the endpoint: keys made once, and what may be told to nobody."""

import hashlib
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_plus

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts import sessions
from accounts.models import (
    AppClient,
    AuthEvent,
    IdentityProvider,
    LinkedIdentity,
    PoolUser,
    SamlKey,
    SignInSession,
    UsedSamlMessage,
    UserPool,
)
from accounts.models.events import Outcome
from tests.fakes.saml import Message, metadata, pair
from tests.fakes.saml_browser import answering, endpoints, leave, post, register
from tests.security.saml.corpus import ADA, EVIL
from tests.wire.helpers import on_error_page, query_of, sent_to_app

BASE, OTHER_BASE = "https://demo.auth.example.test", "https://other.auth.example.test"
SECOND = "https://second.example.test/metadata"
PATH = "/saml2/idpresponse"
SECRETS = (ADA, EVIL, "PRIVATE KEY", "ada@", "admin@")


def with_keys(pool: UserPool, name: str = "pool") -> UserPool:
    """Give a pool the key pairs of tests/fakes/saml.py: making them anew would take 200 ms."""
    now = timezone.now()
    for use, found in (("encryption", pair(name)), ("signing", pair(f"{name} signing"))):
        SamlKey.objects.create(
            user_pool=pool,
            use=use,
            certificate=found.certificate,
            fingerprint=hashlib.sha256(found.certificate.encode()).hexdigest(),
            private_key=found.pem.decode(),
            not_after=now + timedelta(days=3650),
            activated_at=now,
        )
    return pool


def saml_provider(pool: UserPool, *clients: AppClient, name: str = "Corp", **details: str) -> IdentityProvider:
    document = details.pop("document", "") or metadata(more=endpoints(slo="POST"))
    return register(pool, *clients, name=name, document=document, **{"IDPSignout": "true"} | details)


def sign_in_honestly(
    browser: Client, pool: UserPool, client: AppClient, provider: str = "Corp", base: str = BASE, **values: Any
) -> HttpResponse:
    """Go the whole way with an honest response and return the answer, which has a code."""
    request = leave(browser, query_of(client, identity_provider=provider))
    message: Message = answering(request, pool, base, **values)
    response = post(browser, message, request.relay_state)
    assert "code" in sent_to_app(response)
    return response


def nobody_came_in(response: HttpResponse) -> None:
    """Check that no cookie was given and no row made by which anybody is somebody."""
    assert sessions.COOKIE not in response.cookies
    assert "code=" not in response.get("Location", "")
    for model in (SignInSession, PoolUser, LinkedIdentity, UsedSamlMessage):
        assert not model._default_manager.exists(), model


def last_refusal(reason: str) -> AuthEvent:
    """Return the newest attempt, which was refused for ``reason`` and tells nothing that is secret.

    Of whom a used assertion was is told: it was the provider's word.
    """
    attempt = AuthEvent.objects.latest("id")
    assert (attempt.outcome, attempt.reason) == (Outcome.REFUSED, reason), attempt.steps
    beyond = {"_state", "subject"} if reason == "replayed" else {"_state"}
    assert told_in(repr({name: value for name, value in vars(attempt).items() if name not in beyond})) == []
    return attempt


def told_in(text: str, *more: str) -> list[str]:
    """Return what of the document is in ``text``: a name, an address, a signature."""
    read = unquote_plus(text)
    return [secret for secret in (*SECRETS, *more) if secret and (secret in text or secret in read)]


def refused(response: HttpResponse, reason: str, state: str = "xyz") -> None:
    told = sent_to_app(response)
    assert (told["error"], told.get("state", "")) == ("server_error", state)
    assert sessions.COOKIE not in response.cookies
    last_refusal(reason)


def lost(browser: Client, response: HttpResponse, page: str, reason: str = "") -> None:
    """Check that the browser is told here and the app is not."""
    assert on_error_page(browser, response) == page
    nobody_came_in(response)
    if reason:
        last_refusal(reason)


def browser_at(pool: UserPool) -> Client:
    return Client(headers={"host": pool.domains.get(is_custom=False).host})
