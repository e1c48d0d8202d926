"""Nothing secret of a sign-in through a provider in a log line, in a record that operators read, or in ``repr``.

Codes and tokens leak through logs (RFC 9700 4.3); here also the client secret at the provider, the PKCE verifier, the
nonce, and what the provider says of its users. The ear of tests/security/test_logs.py hears every logger at DEBUG.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import AppClient, AuditEvent, AuthEvent, SignInRequest, UserPool
from federation.upstream import oidc
from federation.upstream.code_flow import CodeFlow
from tests import factories
from tests.fakes.browser import at_provider, come_back, fields_of
from tests.fakes.oidc import OidcIdp
from tests.fakes.server import Handler, Reply
from tests.security.test_logs import Listener, heard  # noqa: F401 - a fixture
from tests.wire.helpers import ask, query_of

pytestmark = pytest.mark.django_db
EMAIL, NAME = "ada.lovelace@private.example.test", "Augusta Ada King"


@pytest.fixture
def idp(settings: Any) -> Iterator[OidcIdp]:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    with OidcIdp() as running:
        running.user = {"sub": "a-subject", "email": EMAIL, "email_verified": True, "name": NAME}
        yield running


@pytest.fixture
def query(pool: UserPool, app_client: AppClient, idp: OidcIdp) -> dict[str, str]:
    provider = factories.make_oidc_provider(pool, attribute_mapping={"email": "email", "name": "name"})
    provider.provider_details |= {"oidc_issuer": idp.issuer, "client_secret": idp.client_secret}
    provider.save()
    app_client.identity_providers.add(provider)
    return query_of(app_client, identity_provider="Corp")


class Secrets:
    """Everything that must not be read anywhere, gathered on the way."""

    def __init__(self, idp: OidcIdp) -> None:
        self.idp, self.found = idp, {idp.client_secret, EMAIL, NAME}
        original = idp.token

        def token(call: Any) -> Reply:
            answer = original(call)
            if isinstance(answer.body, dict):
                self.found |= {answer.body[name] for name in ("access_token", "id_token") if name in answer.body}
            return answer

        idp.routes["/token"] = token

    def through(self, browser: Client, query: dict[str, str], **changes: str) -> None:
        sent = ask(browser, query)
        self.found |= {fields_of(sent["Location"])[name] for name in ("state", "nonce", "code_challenge")}
        back = at_provider(sent)
        self.found.add(fields_of(back)["code"])
        self.found |= {morsel.value for morsel in browser.cookies.values()}
        come_back(browser, back, **changes)
        self.found |= {call.form["code_verifier"] for call in self.idp.called("/token") if call.form}
        self.found |= {morsel.value for morsel in browser.cookies.values()}
        self.found.discard("")

    def leaked_in(self, text: str) -> list[str]:
        return sorted(secret for secret in self.found if secret in text)


def test_no_log_line_and_no_record_holds_a_secret(
    http: Client,
    query: dict[str, str],
    idp: OidcIdp,
    heard: Listener,  # noqa: F811 - the fixture
) -> None:
    secrets = Secrets(idp)
    secrets.through(http, query)
    for changes in ({"nonce": "another"}, {"aud": "another"}, {"exp": 1}):
        idp.claims = changes
        secrets.through(Client(headers={"host": "demo.auth.example.test"}), query)
    idp.claims = {}

    def echo(handler: Handler) -> None:
        sent = handler.call.form
        words = f"code {sent['code']}, secret {sent['client_secret']}, verifier {sent['code_verifier']}"
        handler.reply(Reply({"error": "invalid_grant", "error_description": words}, 400))

    for behaviour in (
        echo,
        Reply(b"<html>not JSON", 200),
        lambda handler: setattr(handler, "close_connection", True),
    ):
        idp.misbehave("/token", behaviour)
        secrets.through(Client(headers={"host": "demo.auth.example.test"}), query)
    idp.misbehaviours.clear()
    secrets.through(Client(headers={"host": "demo.auth.example.test"}), query, state="s" * 43)
    assert len(secrets.found) > 30
    assert "userpool.events" in heard.loggers
    for line in heard.lines:
        assert secrets.leaked_in(line) == [], line[:300]
    assert AuthEvent.objects.count() == 8
    for model in (AuthEvent, AuditEvent):
        for row in model._default_manager.values():
            assert secrets.leaked_in(repr(row)) == [], row
    for row in SignInRequest.objects.values():
        assert secrets.leaked_in(repr({**row, "upstream_state": ""})) == []


def test_a_failure_of_ours_is_logged_without_secrets(
    http: Client,
    query: dict[str, str],
    idp: OidcIdp,
    heard: Listener,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is full")

    secrets = Secrets(idp)
    monkeypatch.setattr(oidc.id_token, "verified", fail)
    secrets.through(http, query)
    assert any("the disk is full" in line for line in heard.lines)
    for line in heard.lines:
        assert secrets.leaked_in(line) == [], line[:300]
    attempt = AuthEvent.objects.get()
    assert (attempt.reason, attempt.error) == ("server_error", "server_error")
    assert "disk" not in repr(attempt.__dict__)


def test_repr_of_what_is_passed_around_tells_no_secret(
    http: Client, query: dict[str, str], idp: OidcIdp, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    original = CodeFlow.complete

    def complete(self: CodeFlow, request: Any, signin: Any) -> Any:
        identity = original(self, request, signin)
        seen.extend([signin, identity, getattr(self, "details", None)])
        return identity

    monkeypatch.setattr(CodeFlow, "complete", complete)
    secrets = Secrets(idp)
    secrets.through(http, query)
    assert len(seen) == 3
    for value in seen:
        assert secrets.leaked_in(repr(value)) == [], type(value)
    assert secrets.leaked_in(repr(SignInRequest.objects.get())) == []
