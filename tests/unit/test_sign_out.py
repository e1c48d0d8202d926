"""``manage.py sign_out``: what a restored backup brings back to life is worth nothing afterwards (docs/operations.md).

RFC 9700 4.14.2 (refresh tokens are ended for good), W 9 (GlobalSignOut: all tokens of a user).
"""

import io
from urllib.parse import urlencode

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts import pauses
from accounts.models import AuditEvent, AuthorizationCode, RefreshToken, SignInRequest, SignInSession, UserPool
from tests import factories
from tests.browser_like import sign_in
from tests.security.steps import issue_code, redeem, refresh, tokens_of, userinfo

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sign_out", *arguments, stdout=out)
    return out.getvalue()


def test_everything_from_before_is_over_and_users_sign_in_again(pool: UserPool, http: Client) -> None:
    client = factories.make_client(pool, refresh_token_rotation=True, retry_grace_period_seconds=60)
    query = {"response_type": "code", "client_id": client.client_id, "redirect_uri": factories.CALLBACK}
    user = factories.make_user(pool)
    sign_in(http, query)
    code, held = issue_code(client, user), tokens_of(http, client, user)
    pauses.put_away(pool, factories.make_oidc_provider(pool), "s" * 43, "browser", "client_id=x", {})

    assert run(pool.pk) == f"{pool.pk}: 1 users signed out\n"

    assert http.get("/oauth2/authorize?" + urlencode(query))["Location"].startswith("/login?")
    assert redeem(http, client.client_id, code).json() == {"error": "invalid_grant"}
    assert refresh(http, client.client_id, held["refresh_token"]).json() == {"error": "invalid_grant"}
    assert userinfo(http, held["access_token"]).status_code == 401
    assert not SignInSession.objects.exists()
    assert not SignInRequest.objects.filter(consumed_at=None).exists()
    assert not RefreshToken.objects.filter(revoked_at=None).exists()
    assert "code=" in sign_in(http, query)
    again = tokens_of(http, client, user)
    assert refresh(http, client.client_id, again["refresh_token"]).status_code == 200
    assert userinfo(http, again["access_token"]).status_code == 200
    event = AuditEvent.objects.get(action="sign out everybody")
    assert (event.actor, event.user_pool) == ("sign_out", pool.pk)


def test_small_batches_reach_every_user_and_no_other_pool(pool: UserPool) -> None:
    other = factories.make_pool()
    for place in (pool, other):
        client = factories.make_client(place)
        for number in range(5):
            issue_code(client, factories.make_user(place, f"user{number}", password=None))
    assert run(pool.pk, "--batch", "2") == f"{pool.pk}: 5 users signed out\n"
    live = AuthorizationCode.objects.filter(consumed_at=None)
    assert {code.user.user_pool_id for code in live.select_related("user")} == {other.pk}
    assert pool.users.filter(signed_out_at=None).count() == 0
    assert other.users.filter(signed_out_at=None).count() == 5
    assert len(run("--all").splitlines()) == 2
    assert not live.exists()


@pytest.mark.parametrize("arguments", [["eu-west-1_Nothing00"], ["--all", "--batch", "0"]])
def test_what_makes_no_sense_is_refused(pool: UserPool, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
    assert not AuditEvent.objects.exists()
