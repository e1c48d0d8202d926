"""Authorization codes (RFC 6749 4.1.2). Only digests are stored."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import models

from accounts import clock, opaque
from accounts.models.clients import AppClient
from accounts.models.grants import SUBJECT_COLUMNS, Grant, Subject, new_id
from accounts.models.users import PoolUser
from accounts.statements import change, fetch, insert, time_param, time_value

CODE_LIFETIME = timedelta(minutes=5)

_CODE = f"""SELECT c.id, c.redirect_uri, c.scope, c.nonce, c.code_challenge, c.resource, c.auth_time, c.origin_jti,
    c.event_id, c.expires_at, c.consumed_at, u.enabled, u.signed_out_at, {SUBJECT_COLUMNS}
    FROM accounts_authorizationcode c JOIN accounts_pooluser u ON u.id = c.user_id
    WHERE c.digest = %s AND c.app_client_id = %s {{lock}}"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True)
class PresentedCode:
    """An authorization code as its row stands; ``live`` says whether it may still be redeemed."""

    pk: int
    redirect_uri: str
    code_challenge: str
    consumed: bool
    live: bool
    grant: Grant


class AuthorizationCode(models.Model):
    """An authorization code: five minutes, one redemption, one client, one redirect_uri (RFC 6749 4.1.2)."""

    digest = models.CharField(max_length=43, unique=True)
    app_client = models.ForeignKey(AppClient, models.CASCADE, related_name="authorization_codes")
    user = models.ForeignKey(PoolUser, models.CASCADE, related_name="authorization_codes")
    redirect_uri = models.CharField(max_length=1024)
    scope = models.TextField()
    nonce = models.TextField(blank=True, default="")
    code_challenge = models.CharField(max_length=128, blank=True, default="")
    resource = models.CharField(max_length=1024, blank=True, default="")
    auth_time = models.DateTimeField()
    origin_jti = models.CharField(max_length=36)
    event_id = models.CharField(max_length=36)
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"code {self.pk}"

    @classmethod
    def issue(cls, **values: Any) -> str:
        """Store a new code and return it. ``values``: app_client, user, redirect_uri, scope, auth_time and so on."""
        code = opaque.random_token()
        stored = {
            "digest": opaque.digest(code),
            "nonce": "",
            "code_challenge": "",
            "resource": "",
            "origin_jti": new_id(),
            "event_id": new_id(),
            "expires_at": clock.now() + CODE_LIFETIME,
        }
        app_client, user = values.pop("app_client"), values.pop("user")
        insert(cls._meta.db_table, stored | values | {"app_client_id": app_client.pk, "user_id": user.pk})
        return code

    @classmethod
    def present(cls, code: str, app_client: AppClient) -> PresentedCode | None:
        """Return what ``code`` stands for at ``app_client``, its row locked until the transaction ends, or None."""
        row = fetch(_CODE, (opaque.digest(code), app_client.pk), lock="c")
        if row is None:
            return None
        pk, redirect_uri, scope, nonce, challenge, resource, auth_time, origin_jti, event_id = row[:9]
        expires_at, consumed_at, enabled, signed_out_at = row[9:13]
        since = time_value(auth_time)
        out = time_value(signed_out_at)
        expiry = time_value(expires_at)
        assert since is not None  # noqa: S101 - a column that is never null
        assert expiry is not None  # noqa: S101 - likewise
        live = consumed_at is None and expiry > clock.now() and bool(enabled) and (out is None or since > out)
        grant = Grant(Subject.from_row(row[13:]), scope, since, origin_jti, event_id, nonce, resource)
        return PresentedCode(pk, redirect_uri, challenge, consumed_at is not None, live, grant)

    @classmethod
    def spend(cls, presented: PresentedCode) -> bool:
        """Mark the code consumed; False when somebody else did. The UPDATE is the gate, before anything is minted."""
        now = time_param(clock.now())
        text = "UPDATE accounts_authorizationcode SET consumed_at = %s WHERE id = %s AND consumed_at IS NULL"
        return change(text, (now, presented.pk)) == 1
