"""Refresh tokens: what a user granted to an app client.

Access and ID tokens are never stored. A grant is one RefreshToken row, found again by the ``origin_jti`` that every
token minted from it carries; to revoke is to write ``revoked_at`` on that row. All bearer values are kept as digests.
"""

import base64
import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from django.conf import settings
from django.db import models

from accounts import clock, opaque
from accounts.models.clients import AppClient
from accounts.models.grants import SUBJECT_COLUMNS, Grant, Subject
from accounts.models.users import PoolUser
from accounts.statements import change, fetch, insert, json_value, time_param, time_value

MAX_GRACE = 60  # seconds; Cognito's bound of RetryGracePeriodSeconds
MAX_RETIRED = 16

_REFRESH = f"""SELECT t.id, t.digest, t.salt, t.retired, t.rotated_at, t.scope, t.resource, t.auth_time,
    t.origin_jti, t.event_id, t.expires_at, t.revoked_at, u.enabled, u.signed_out_at, {SUBJECT_COLUMNS}
    FROM accounts_refreshtoken t JOIN accounts_pooluser u ON u.id = t.user_id
    WHERE t.selector = %s AND t.app_client_id = %s"""  # noqa: S608 - constants only

_USERINFO = f"""SELECT {SUBJECT_COLUMNS}
    FROM accounts_refreshtoken t JOIN accounts_pooluser u ON u.id = t.user_id
    WHERE t.origin_jti = %s AND t.app_client_id = %s AND u.sub = %s AND u.enabled = {{true}}
      AND t.revoked_at IS NULL AND (u.signed_out_at IS NULL OR u.signed_out_at < t.auth_time)"""  # noqa: S608 - constants only

_USERINFO_BY_SUB = f"""SELECT {SUBJECT_COLUMNS}
    FROM accounts_pooluser u WHERE u.user_pool_id = %s AND u.sub = %s AND u.enabled = {{true}}
      AND (u.signed_out_at IS NULL OR u.signed_out_at <= %s)"""  # noqa: S608 - constants only

_REVOKE = "UPDATE accounts_refreshtoken SET revoked_at = %s"


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A refresh token as its row stands when it is presented."""

    pk: int
    grant: Grant
    live: bool
    """Whether the grant lives: not revoked, not expired, its user enabled and not signed out since."""
    current: bool
    """Whether it is the token that the row holds now."""
    in_grace: bool
    """Whether it was rotated away so lately that it may be a retry."""
    replaced_by: str = field(repr=False)
    """The current token, when this one is in its grace; else empty.

    Empty too when the key that the successor was computed under is not listed any more. Then nobody can be served,
    and nothing shows that somebody holds a copy.
    """
    reused: bool
    """Whether it was rotated away for good: somebody holds a copy (RFC 9700 4.14.2)."""
    salt: str = field(repr=False)
    retired: list[tuple[str, float]] = field(repr=False)


class RefreshToken(models.Model):
    """A grant, and the refresh token that stands for it now.

    A token is ``selector.secret``. The selector finds the row, whichever token of the family is presented; the
    digest says whether it is the current one. With rotation the successor is computed, not drawn: an HMAC over the
    token that it replaces, under a key of the server's and a salt of the row's. So a client that retries with the
    old token inside the grace gets the very same successor, however many of its requests arrive at once, and there
    is never more than one live token.

    An implicit grant has a row, for revocation, and no token: its digest is empty.
    """

    selector = models.CharField(max_length=22, unique=True)
    digest = models.CharField(max_length=43, blank=True, default="")
    salt = models.CharField(max_length=22)
    retired = models.JSONField(
        default=list, blank=True, help_text="[digest, epoch seconds] of each token in its grace."
    )
    rotated_at = models.DateTimeField(null=True, blank=True)
    app_client = models.ForeignKey(AppClient, models.CASCADE, related_name="refresh_tokens")
    user = models.ForeignKey(PoolUser, models.CASCADE, related_name="refresh_tokens")
    scope = models.TextField()
    resource = models.CharField(max_length=1024, blank=True, default="")
    auth_time = models.DateTimeField()
    origin_jti = models.CharField(max_length=36, unique=True)
    event_id = models.CharField(max_length=36)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            # for the clean-up; a live grant is not in it
            models.Index(fields=["revoked_at"], name="grant_revoked", condition=models.Q(revoked_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"grant {self.origin_jti}"

    @classmethod
    def open(cls, grant: Grant, app_client: AppClient, with_token: bool = True) -> str:
        """Store ``grant`` and return its refresh token; empty, and usable by nobody, unless ``with_token``."""
        selector, salt, now = secrets.token_urlsafe(16), secrets.token_urlsafe(16), clock.now()
        token = f"{selector}.{opaque.random_token()}" if with_token else ""
        lifetime = app_client.refresh_token_validity if with_token else app_client.access_token_validity
        stored = {
            "selector": selector,
            "digest": opaque.digest(token) if token else "",
            "salt": salt,
            "retired": "[]",
            "app_client_id": app_client.pk,
            "user_id": grant.subject.pk,
            "scope": grant.scope,
            "resource": grant.resource,
            "auth_time": grant.since,
            "origin_jti": grant.origin_jti,
            "event_id": grant.event_id,
            "created_at": now,
            "expires_at": now + lifetime,
        }
        insert(cls._meta.db_table, stored)
        return token

    @classmethod
    def present(cls, token: str, app_client: AppClient) -> PresentedToken | None:
        """Return what ``token`` stands for at ``app_client``, or None when no such family exists. One statement."""
        selector, dot, _ = token.partition(".")
        row = fetch(_REFRESH, (selector, app_client.pk)) if dot and len(selector) == 22 else None
        if row is None:
            return None
        pk, digest, salt, retired_json, rotated_at, scope, resource, auth_time, origin_jti, event_id = row[:10]
        since, expiry, out, now = (
            time_value(auth_time),
            time_value(row[10]),
            time_value(row[13]),
            clock.now(),
        )
        assert since is not None  # noqa: S101 - a column that is never null
        assert expiry is not None  # noqa: S101 - likewise
        live = row[11] is None and expiry > now and bool(row[12]) and (out is None or since > out)
        retired = [(str(known), float(at)) for known, at in json_value(retired_json)]
        presented = opaque.digest(token)
        current = bool(digest) and hmac.compare_digest(presented, digest)
        earliest = now.timestamp() - app_client.retry_grace_period_seconds
        in_grace = not current and any(known == presented and at > earliest for known, at in retired)
        replaced_by = _current_after(token, presented, salt, digest, retired) if in_grace else ""
        return PresentedToken(
            pk=pk,
            grant=Grant(Subject.from_row(row[14:]), scope, since, origin_jti, event_id, "", resource),
            live=live,
            current=current,
            in_grace=in_grace,
            replaced_by=replaced_by,
            reused=not current and not in_grace and rotated_at is not None,
            salt=salt,
            retired=retired,
        )

    @classmethod
    def rotate(cls, presented: PresentedToken, token: str) -> str:
        """Replace ``token`` and return its successor; empty when a concurrent request has replaced it.

        The UPDATE is the gate: of many requests with one token, one changes the row. The others present it again
        and find it retired.
        """
        now = clock.now()
        successor = _successor(settings.USERPOOL_ENCRYPTION_KEYS[0], token, presented.salt)
        old = opaque.digest(token)
        kept = [entry for entry in presented.retired if entry[1] > now.timestamp() - MAX_GRACE][-MAX_RETIRED:]
        text = """UPDATE accounts_refreshtoken SET digest = %s, retired = %s, rotated_at = %s
                  WHERE id = %s AND digest = %s AND revoked_at IS NULL"""
        retired = json.dumps([*kept, (old, now.timestamp())])
        changed = change(text, (opaque.digest(successor), retired, time_param(now), presented.pk, old))
        return successor if changed == 1 else ""

    @classmethod
    def revoke(cls, pk: int) -> int:
        """Revoke the grant of this row; 0 when it was revoked before."""
        return change(f"{_REVOKE} WHERE id = %s AND revoked_at IS NULL", (time_param(clock.now()), pk))

    @classmethod
    def revoke_origin(cls, origin_jti: str, app_client: AppClient) -> int:
        """Revoke the grant that an access token or a code of ``app_client`` names."""
        where = "WHERE origin_jti = %s AND app_client_id = %s AND revoked_at IS NULL"
        return change(f"{_REVOKE} {where}", (time_param(clock.now()), origin_jti, app_client.pk))

    @classmethod
    def subject_of(cls, app_client: AppClient, sub: str, origin_jti: str, issued_at: int) -> Subject | None:
        """Return the user behind an access token, or None when its grant or its user does not stand any more.

        Without ``origin_jti`` (a client with token revocation off) only the user is asked. ``iat`` has no fractions:
        a token of the very second of a global sign-out may be from after it and passes. One statement.
        """
        if origin_jti:
            row = fetch(_USERINFO, (origin_jti, app_client.pk, sub))
        else:
            issued_by = time_param(datetime.fromtimestamp(issued_at + 1, UTC))
            row = fetch(_USERINFO_BY_SUB, (app_client.user_pool_id, sub, issued_by))
        return Subject.from_row(row) if row else None


def _successor(key: bytes, token: str, salt: str) -> str:
    """Return the token that follows ``token``: same selector, a secret that only this server can compute."""
    mac = hmac.new(key, f"refresh successor\0{salt}\0{token}".encode(), sha256).digest()
    return f"{token.partition('.')[0]}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _current_after(token: str, presented: str, salt: str, current: str, retired: list[tuple[str, float]]) -> str:
    """Walk from a retired token to the current one; empty when no listed key leads there."""
    chain = [known for known, _ in retired]
    for following in [*chain[chain.index(presented) + 1 :], current]:
        candidates = [_successor(key, token, salt) for key in settings.USERPOOL_ENCRYPTION_KEYS]
        token = next((candidate for candidate in candidates if opaque.digest(candidate) == following), "")
        if not token:
            return ""
    return token
