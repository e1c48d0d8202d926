"""Replacing USERPOOL_ENCRYPTION_KEYS and SECRET_KEY while people are signed in (docs/operations.md).

The steps are the document's, and at each of them two processes serve side by side, one of which was restarted already:
a retry, a second tab or the next request may meet the other. What is made under the keys: what is sealed
(accounts/fields.py), the successors of refresh tokens (W 4.4), the console's sessions and the proofs between two pages
(https://docs.djangoproject.com/en/5.2/ref/settings/#secret-key-fallbacks).
"""

import io
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import directory, pauses, saml_keys
from accounts.doctor.examination import examine
from accounts.doctor.findings import Severity
from accounts.fields import encrypted_fields
from accounts.models import AppClient, AuthEvent, OutgoingMail, PoolUser, RefreshToken, UserImportJob, UserPool
from accounts.models.saml import KeyUse
from accounts.models.users import UserStatus
from federation.hosted import new_password
from tests import console, factories
from tests.browser_like import csrf_of, sign_in, submit_login
from tests.security.steps import post, refresh, tokens_of, userinfo

pytestmark = pytest.mark.django_db
A, B = (bytes(range(start, start + 32)) for start in (1, 101))


@pytest.fixture
def process(settings: Settings) -> Callable[..., None]:
    """``process(keys)``: from here on it is a process with this list that serves, its caches empty."""

    def become(keys: list[bytes]) -> None:
        settings.USERPOOL_ENCRYPTION_KEYS = keys
        directory.forget()

    return become


@pytest.fixture
def pool(process: Any, db: None) -> UserPool:
    """A pool whose keys are sealed under A."""
    process([A])
    return factories.make_pool("demo", id="eu-west-1_Demo00001")


@pytest.fixture
def everything(pool: UserPool) -> UserPool:
    """The pool with a row in every column that is sealed."""
    factories.make_client(pool, secret="s" * 51, client_id="secretclient", refresh_token_rotation=False)
    factories.make_client(pool, client_id="rotatingclient", refresh_token_rotation=True, retry_grace_period_seconds=60)
    provider = factories.make_oidc_provider(pool)
    pauses.put_away(pool, provider, "s" * 43, "browser", "client_id=x", {"nonce": "n"})
    saml_keys.active(pool, KeyUse.SIGNING)
    job = UserImportJob.objects.create(user_pool=pool, job_name="people", format="csv", created_by="opal")
    job.parts.create(number=1, payload='[[2, {"Username": "eve"}]]')
    now = timezone.now()
    OutgoingMail.objects.create(
        kind="test", recipient="eve@example.test", subject="x", text="x", html="x", message_id="x",
        created_at=now, retry_until=now,
    )  # fmt: skip
    return pool


def test_everything_that_is_sealed_is_here(everything: UserPool) -> None:
    """A new encrypted column has to stand in the fixture above: what is not tried, is not known to survive."""
    empty = [f"{model.__name__}.{name}" for model, name in encrypted_fields() if not _sealed(model, name)]
    assert empty == []


def _sealed(model: Any, field: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {model._meta.db_table} WHERE {field} <> ''")  # noqa: S608
        return int(cursor.fetchone()[0])


def opened(pool: UserPool) -> dict[str, Any]:
    """Every sealed value, in clear."""
    return {
        f"{model.__name__}.{name}": list(model._default_manager.order_by("pk").values_list(name, flat=True))
        for model, name in encrypted_fields()
    }


def pass_a_minute() -> None:
    for row in RefreshToken.objects.all():
        row.retired = [[digest, at - 61] for digest, at in row.retired]
        row.save()


def test_the_encryption_key_is_replaced_and_nobody_notices(
    everything: UserPool, process: Any, http: Client, user: PoolUser
) -> None:
    before = opened(everything)
    secret, rotating = (AppClient.objects.get(client_id=name) for name in ("secretclient", "rotatingclient"))
    query = {"response_type": "code", "client_id": rotating.client_id, "redirect_uri": factories.CALLBACK}
    sign_in(http, query)
    kept = tokens_of(http, secret, user, client_secret="s" * 51)
    newest = tokens_of(http, rotating, user)["refresh_token"]

    def serves(here: list[bytes], there: list[bytes]) -> None:
        """Whatever a process with the list ``here`` begins, one with ``there`` goes on with."""
        nonlocal newest
        for one, other in ((here, there), (there, here)):
            process(one)
            answer = refresh(http, rotating.client_id, newest)
            assert answer.status_code == 200, answer.content
            followed, newest = newest, answer.json()["refresh_token"]
            process(other)
            retried = refresh(http, rotating.client_id, followed)
            assert (retried.status_code, retried.json().get("refresh_token")) == (200, newest)
            assert refresh(http, secret.client_id, kept["refresh_token"], client_secret="s" * 51).status_code == 200
            assert userinfo(http, answer.json()["access_token"]).status_code == 200
            assert "code=" in http.get("/oauth2/authorize?" + urlencode(query))["Location"]
            process(one)
            made = factories.make_client(everything, secret=True)  # sealed by one, read by the other
            process(other)
            assert AppClient.objects.get(pk=made.pk).secrets.get().secret
            made.delete()
            assert opened(everything) == before

    serves([A], [A, B])
    serves([A, B], [B, A])
    process([B, A])
    assert found() == {"older keys": "warning"}
    call_command("reencrypt", stdout=io.StringIO())
    assert found() == {}
    pass_a_minute()
    serves([B, A], [B])
    assert found() == {}


def found() -> dict[str, str]:
    """What the doctor says of the stored secrets that is not in order."""
    return {each.subject: each.severity.value for each in examine(["secrets"]) if each.severity != Severity.OK}


def test_dropping_the_old_key_a_minute_too_early_signs_nobody_out(
    everything: UserPool, process: Any, http: Client, user: PoolUser
) -> None:
    """A retry that nobody can answer any more is refused, and is not taken for a theft (RFC 9700 4.14.2)."""
    rotating = AppClient.objects.get(client_id="rotatingclient")
    first = tokens_of(http, rotating, user)["refresh_token"]
    second = refresh(http, rotating.client_id, first).json()["refresh_token"]
    process([B, A])
    call_command("reencrypt", stdout=io.StringIO())
    process([B])
    assert refresh(http, rotating.client_id, first).json() == {"error": "invalid_grant"}
    assert AuthEvent.objects.latest("id").reason == "refresh_key_gone"
    third = refresh(http, rotating.client_id, second)
    assert third.status_code == 200
    # who signs out with a token that was just rotated away is signed out all the same
    answer = post(http, "/oauth2/revoke", {"token": first, "client_id": rotating.client_id})
    assert answer.status_code == 200
    assert refresh(http, rotating.client_id, third.json()["refresh_token"]).status_code == 400


def test_a_key_that_is_missing_is_said_with_its_mend(everything: UserPool, process: Any) -> None:
    process([B])
    wrong = [each for each in examine(["secrets"]) if each.severity == Severity.WRONG]
    assert {each.subject for each in wrong} == {f"{model.__name__}.{name}" for model, name in encrypted_fields()}
    assert all("Add the key that is missing to the end" in each.mend for each in wrong)


# --- SECRET_KEY

S1, S2 = "one " * 15, "two " * 15
STEPS = [(S1, []), (S1, [S2]), (S2, [S1]), (S2, [])]


def test_the_secret_key_is_replaced_and_nobody_is_signed_out(settings: Settings, http: Client, user: PoolUser) -> None:
    """Operators who come by between the steps stay signed in: their sessions move to the new key as they are used."""
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = STEPS[0]
    client = factories.make_client(user.user_pool)
    query = {"response_type": "code", "client_id": client.client_id, "redirect_uri": factories.CALLBACK}
    sign_in(http, query)
    operator = console.browser()
    operator.force_login(console.operator(superuser=True))
    idle = Client(headers={"host": console.HOST})
    idle.force_login(console.operator(name="ivan", superuser=True))

    def serves() -> None:
        assert operator.get("/admin/").status_code == 200
        session = operator.session
        session["note"] = settings.SECRET_KEY
        session.save()
        assert "code=" in http.get("/oauth2/authorize?" + urlencode(query))["Location"]

    for old, new in pairwise(STEPS):
        for secret, fallbacks in (old, new, old, new):
            settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = secret, fallbacks
            serves()
    assert Session.objects.count() == 2
    assert idle.get("/admin/").status_code == 302  # whoever was away all the time signs in again


@pytest.mark.parametrize(("begun", "ended"), [(0, 1), (1, 2), (2, 1), (1, 0), (2, 3)])
def test_what_one_page_signs_the_next_page_reads_in_the_other_process(
    settings: Settings, http: Client, pool: UserPool, begun: int, ended: int
) -> None:
    """The step after a temporary password is the longest of them: a quarter of an hour."""
    temporary = {"status": UserStatus.FORCE_CHANGE_PASSWORD, "password_changed_at": timezone.now()}
    newcomer = factories.make_user(pool, "bob", **temporary)
    client = factories.make_client(pool)
    query = {"response_type": "code", "client_id": client.client_id, "redirect_uri": factories.CALLBACK}
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = STEPS[begun]
    page = submit_login(http, query, username="bob", password=factories.PASSWORD)
    assert b'name="proof"' in page.content
    proof = page.content.decode().partition('name="proof" value="')[2].partition('"')[0]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = STEPS[ended]
    fields = {"action": "new_password", "_csrf": csrf_of(page), "proof": proof, "new_password": "Another-horse-8"}
    fields |= {"confirm_password": "Another-horse-8"}
    done = post(http, f"/login?{urlencode(query)}", fields)
    assert done["Location"].startswith(factories.CALLBACK), done["Location"]
    newcomer.refresh_from_db()
    assert newcomer.status == UserStatus.CONFIRMED
    assert new_password.PROOF_SECONDS == 900
