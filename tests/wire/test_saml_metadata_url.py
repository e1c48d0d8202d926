"""Metadata by URL: read once, kept, read again in the background, and good enough while it cannot be read.

AWS page cognito-user-pools-managing-saml-idp-naming (W 8.1: cached for up to six hours); saml-metadata-2.0 2.3.1
(validUntil). How old a copy may be for a sign-in is ours (federation/upstream/saml/source.py).
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import directory, documents
from accounts.models import AppClient, AuthEvent, IdentityProvider, ProviderDocument, UserPool
from federation import tasks
from federation.upstream import capacity, suspension
from federation.upstream.saml import source
from tests.fakes.saml import metadata, pair
from tests.fakes.saml_browser import SSO, endpoints, leave, register, sign_in
from tests.fakes.server import FakeServer, Reply
from tests.wire.helpers import ask, query_of, sent_to_app, set_values

pytestmark = pytest.mark.django_db
BASE, PATH = "https://demo.auth.example.test", "/metadata"
HOUR = timedelta(hours=1)


@pytest.fixture
def web(settings: Settings) -> Iterator[FakeServer]:
    """What publishes the provider's metadata."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    suspension.forget()
    with FakeServer() as running:
        publish(running, metadata(more=endpoints()))
        yield running
    suspension.forget()


def publish(web: FakeServer, text: str | bytes) -> None:
    web.misbehave(PATH, Reply(text, headers={"Content-Type": "application/samlmetadata+xml"}))


@pytest.fixture
def provider(pool: UserPool, app_client: AppClient, web: FakeServer) -> IdentityProvider:
    row = register(pool, app_client)
    return set_values(row, provider_details={"MetadataURL": web.base + PATH})


@pytest.fixture
def query(app_client: AppClient, provider: IdentityProvider) -> dict[str, str]:
    return query_of(app_client, identity_provider="Corp", prompt="login")


def age(by: timedelta, *names: str) -> None:
    """Let time pass for the copy."""
    row = ProviderDocument.objects.get()
    for name in names or ("fetched_at", "failed_at", "claimed_until"):
        if (moment := getattr(row, name)) is not None:
            setattr(row, name, moment - by)
    row.save()
    directory.forget()


def test_it_is_read_at_the_first_sign_in_and_not_again(
    http: Client, pool: UserPool, query: dict[str, str], web: FakeServer
) -> None:
    for _ in range(3):
        assert "code" in sent_to_app(sign_in(http, query, pool, BASE))
    assert len(web.called(PATH)) == 1
    assert "xml" in web.calls[0].headers["accept"]


def test_the_job_reads_it_before_anybody_signs_in_and_again_before_it_is_six_hours_old(
    http: Client, pool: UserPool, query: dict[str, str], web: FakeServer
) -> None:
    assert tasks.refresh_saml_metadata() == {"read": 1, "failed": 0}
    sign_in(http, query, pool, BASE)
    assert tasks.refresh_saml_metadata() == {"read": 0, "failed": 0}
    age(5 * HOUR)
    assert tasks.refresh_saml_metadata() == {"read": 0, "failed": 0}
    age(HOUR)
    assert tasks.refresh_saml_metadata() == {"read": 1, "failed": 0}
    assert len(web.called(PATH)) == 2


def test_it_is_read_again_before_it_expires(query: dict[str, str], web: FakeServer) -> None:
    """saml-metadata-2.0 2.3.1: validUntil."""
    for left, due in ((2 * HOUR, 0), (HOUR / 3, 1)):
        until = (timezone.now() + left).strftime("%Y-%m-%dT%H:%M:%SZ")
        document = metadata(more=endpoints()).replace(
            "<md:EntityDescriptor", f'<md:EntityDescriptor validUntil="{until}"'
        )
        publish(web, document)
        ProviderDocument.objects.all().delete()
        directory.forget()
        tasks.refresh_saml_metadata()
        assert tasks.refresh_saml_metadata() == {"read": due, "failed": 0}


def test_what_is_over_when_it_is_read_is_not_read_again_at_every_run(query: dict[str, str], web: FakeServer) -> None:
    """Shibboleth's installer writes a validUntil that lies in the past."""
    publish(
        web,
        metadata(more=endpoints()).replace(
            "<md:EntityDescriptor", '<md:EntityDescriptor validUntil="2020-01-02T03:04:05Z"'
        ),
    )
    assert tasks.refresh_saml_metadata() == {"read": 1, "failed": 0}
    assert tasks.refresh_saml_metadata() == {"read": 0, "failed": 0}
    age(6 * HOUR)
    assert tasks.refresh_saml_metadata() == {"read": 1, "failed": 0}


@pytest.mark.parametrize(
    "trouble",
    [
        Reply("", 500),
        Reply("<html/>"),
        Reply(metadata(more=endpoints()).encode("utf-16")),
        Reply(b"\xff\xfe\x00"),
        Reply("<!DOCTYPE x []>" + metadata(more=endpoints())),
        Reply(metadata(more=endpoints()) + " " * 1024 * 1024),
        Reply("", 302, {"Location": "http://127.0.0.1:1/"}),
    ],
    ids=["500", "no metadata", "UTF-16", "no text", "DTD", "too large", "redirected to nowhere"],
)
def test_the_last_good_copy_stays_and_the_failure_is_on_record(
    http: Client, pool: UserPool, query: dict[str, str], web: FakeServer, trouble: Reply
) -> None:
    tasks.refresh_saml_metadata()
    web.misbehave(PATH, trouble)
    age(100 * HOUR)
    assert tasks.refresh_saml_metadata() == {"read": 0, "failed": 1}
    before = len(web.called(PATH))
    assert "code" in sent_to_app(sign_in(http, query, pool, BASE))
    assert len(web.called(PATH)) == before, "a sign-in waited for a provider that was known to be down"
    row = ProviderDocument.objects.get()
    assert row.failure
    assert row.failed_at
    assert row.body == metadata(more=endpoints())


def test_without_the_jobs_a_sign_in_reads_it_again_and_needs_it_no_more_than_that(
    http: Client, pool: UserPool, query: dict[str, str], web: FakeServer
) -> None:
    sign_in(http, query, pool, BASE)
    age(11 * HOUR)
    assert leave(http, query).url == SSO
    assert len(web.called(PATH)) == 1
    age(2 * HOUR)
    assert leave(http, query).url == SSO
    assert len(web.called(PATH)) == 2
    age(13 * HOUR)
    web.misbehave(PATH, Reply("", 503))
    assert leave(http, query).url == SSO
    assert len(web.called(PATH)) == 3


def test_without_any_copy_the_app_is_told(http: Client, query: dict[str, str], web: FakeServer) -> None:
    web.misbehave(PATH, Reply("", 503))
    told = sent_to_app(ask(http, query))
    assert (told["error"], told["error_description"]) == ("server_error", "Error in calling identity provider metadata")
    assert AuthEvent.objects.latest("id").reason == "metadata_status"


def test_what_cannot_be_used_is_said(http: Client, query: dict[str, str], web: FakeServer) -> None:
    publish(web, "<html/>")
    assert sent_to_app(ask(http, query))["error_description"] == "Bad identity provider metadata"
    assert AuthEvent.objects.latest("id").reason == "metadata_unusable"


def test_a_private_address_is_not_called(
    http: Client, query: dict[str, str], web: FakeServer, settings: Settings
) -> None:
    """Server-side request forgery: an operator's metadata URL is an outgoing call like any other."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = False
    assert sent_to_app(ask(http, query))["error"] == "server_error"
    assert not web.calls
    assert tasks.refresh_saml_metadata() == {"read": 0, "failed": 1}
    assert not web.calls


def test_a_provider_that_signs_with_a_new_key_is_read_again_at_once(
    http: Client, pool: UserPool, query: dict[str, str], web: FakeServer
) -> None:
    """IdP key roll-over without an outage, even when the provider publishes and signs in the same minute."""
    sign_in(http, query, pool, BASE)
    publish(web, metadata(pair("next").certificate, more=endpoints()))
    age(2 * source.ROLL_OVER)
    assert "code" in sent_to_app(sign_in(http, query, pool, BASE, signer=pair("next")))
    assert len(web.called(PATH)) == 2
    steps = [step["step"] for step in AuthEvent.objects.latest("id").steps]
    assert "metadata read again" in steps
    # and its former key is good for nothing from then on
    assert sent_to_app(sign_in(http, query, pool, BASE))["error"] == "server_error"


def test_a_foreign_key_makes_no_flood_of_calls(
    http: Client, pool: UserPool, query: dict[str, str], web: FakeServer
) -> None:
    sign_in(http, query, pool, BASE)
    age(2 * source.ROLL_OVER)
    for _ in range(5):
        told = sent_to_app(sign_in(http, query, pool, BASE, signer=pair("stranger")))
        assert told["error_description"].endswith("signature is invalid.")
    assert len(web.called(PATH)) == 2


def test_another_url_makes_the_copy_nobodys(
    http: Client, pool: UserPool, provider: IdentityProvider, query: dict[str, str], web: FakeServer
) -> None:
    sign_in(http, query, pool, BASE)
    web.misbehave("/other", Reply(metadata(entity_id="https://other.example.test", more=endpoints())))
    set_values(provider, provider_details={"MetadataURL": web.base + "/other"})
    answer = sign_in(http, query, pool, BASE)
    assert sent_to_app(answer)["error_description"].endswith("Issuer is not valid.")
    assert "code" in sent_to_app(
        sign_in(
            http,
            query,
            pool,
            BASE,
            issuer="https://other.example.test",
            response_issuer="https://other.example.test",
        )
    )


def test_two_workers_take_turns(query: dict[str, str], provider: IdentityProvider, web: FakeServer) -> None:
    assert documents.claim(provider, "saml", web.base + PATH, HOUR)
    assert tasks.refresh_saml_metadata() == {"read": 0, "failed": 0}
    assert not web.calls


def test_one_providers_fault_does_not_stop_the_others(
    pool: UserPool, app_client: AppClient, provider: IdentityProvider, web: FakeServer
) -> None:
    for number, details in enumerate([{"MetadataURL": "http://127.0.0.1:1/"}, {}, {"MetadataURL": "nonsense"}]):
        set_values(register(pool, app_client, name=f"Broken{number}"), provider_details=details)
    assert tasks.refresh_saml_metadata()["read"] == 1


def test_while_all_places_are_taken_the_browser_is_asked_to_come_again(
    http: Client, pool: UserPool, query: dict[str, str], web: FakeServer, settings: Settings
) -> None:
    """Only where there is no copy yet: nothing is spent, nobody is refused."""
    settings.USERPOOL_UPSTREAM_CONCURRENCY = 1
    with capacity.place(0):
        assert ask(http, query).status_code == 503
    assert leave(http, query).url == SSO
    age(13 * HOUR)
    with capacity.place(0):
        assert leave(http, query).url == SSO


def test_the_development_idp_is_believed_in_development_only(
    http: Client, query: dict[str, str], web: FakeServer, settings: Settings
) -> None:
    publish(web, metadata(entity_id="urn:userpool:development-idp", more=endpoints()))
    settings.USERPOOL_DEVELOPMENT = False
    assert sent_to_app(ask(http, query))["error_description"] == "Bad identity provider metadata"
    ProviderDocument.objects.all().delete()
    directory.forget()
    settings.USERPOOL_DEVELOPMENT = True
    assert leave(http, query).url == SSO
