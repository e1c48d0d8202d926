"""Sessions on the hosted pages: start, current, end.

One hour from the sign-in, not sliding (managed-login page). The cookie is host-only, bound to the path of the pool
and never readable by a script; the row keeps only its digest.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix

from accounts import clock, opaque
from accounts.linking import ExternalIdentity, UpstreamSession
from accounts.models import AuthorizationCode, IdentityProvider, PoolUser, RefreshToken, SignInSession, UserPool
from accounts.statements import insert

LIFETIME = timedelta(hours=1)
COOKIE = "userpool_session"
_FIELDS = [field for field in SignInSession._meta.concrete_fields if not field.primary_key]


def start(
    request: HttpRequest,
    user: PoolUser,
    identity: ExternalIdentity | None = None,
) -> tuple[SignInSession, str]:
    """End the session that the browser has, start one for ``user`` and return it with its cookie's value.

    ``identity`` is whom a provider vouched for, None for a password of the pool's own.
    """
    end(request, user.user_pool)
    token, now = opaque.random_token(), clock.now()
    upstream = identity.session if identity and identity.session else UpstreamSession()
    session = SignInSession(
        digest=opaque.digest(token),
        user=user,
        provider=identity.provider if identity else None,
        **asdict(upstream),
        auth_time=now,
        expires_at=now + LIFETIME,
    )
    stored = {field.attname: getattr(session, field.attname) for field in _FIELDS}
    insert(SignInSession._meta.db_table, stored)
    return session, token


def current(request: HttpRequest, pool: UserPool) -> SignInSession | None:
    """Return the live session of the browser at ``pool``, its user and provider at hand, or None. One statement."""
    token = request.COOKIES.get(COOKIE, "")
    if len(token) != 43:
        return None
    session = (
        SignInSession.objects.select_related("user", "provider")
        .filter(digest=opaque.digest(token), user__user_pool=pool, expires_at__gt=clock.now())
        .first()
    )
    if session is None or not session.user.enabled:
        return None
    signed_out = session.user.signed_out_at
    if signed_out is not None and session.auth_time <= signed_out:
        return None
    session.user.user_pool = pool
    return session


def end(request: HttpRequest, pool: UserPool) -> None:
    """End the session that the browser has at ``pool``, if any.

    The row goes, unless a SAML provider may yet sign its user out (``end_at_provider``): then it is over, and stays.
    """
    token = request.COOKIES.get(COOKIE, "")
    if token:
        close(SignInSession.objects.filter(digest=opaque.digest(token), user__user_pool=pool))


def close(one: QuerySet[SignInSession]) -> None:
    """End the session that ``one`` finds, if any; one that came through SAML keeps its row."""
    if not one.filter(name_id="").delete()[0]:
        one.filter(expires_at__gt=clock.now()).update(expires_at=clock.now())


@transaction.atomic
def end_at_provider(provider: IdentityProvider, name_id: str, indexes: Iterable[str]) -> list[PoolUser]:
    """End the sessions that began at ``provider`` as ``name_id``, revoke what was granted in them, return their users.

    ``indexes`` are the sessions at the provider that are over; none means all of this name (saml-core 3.7.1). Some
    providers give one session of theirs a new index at each sign-in and name the last: what came from the same
    authentication there is over as well.
    """
    found = list(SignInSession.objects.select_related("user").filter(provider=provider, name_id=name_id))
    wanted = set(indexes)
    named = [session for session in found if session.session_index in wanted]
    instants = {session.authn_instant for session in named if session.authn_instant is not None}
    over = [session for session in found if session in named or session.authn_instant in instants] if wanted else found
    now = clock.now()
    for session in over:
        # codes first: one that is being redeemed right now is a grant by the time its row can be written
        of_this = {"user": session.user_id, "auth_time": session.auth_time}
        AuthorizationCode.objects.filter(**of_this, consumed_at__isnull=True).update(consumed_at=now)
        RefreshToken.objects.filter(**of_this, revoked_at__isnull=True).update(revoked_at=now)
    SignInSession.objects.filter(pk__in=[session.pk for session in over]).delete()
    return list({session.user_id: session.user for session in over}.values())


def end_all(user: PoolUser, at: datetime | None = None) -> None:
    """Sign ``user`` out everywhere: sessions deleted, grants revoked, tokens from before this moment refused."""
    now = at or clock.now()
    SignInSession.objects.filter(user=user).delete()
    user.refresh_tokens.filter(revoked_at__isnull=True).update(revoked_at=now)
    user.authorization_codes.filter(consumed_at__isnull=True).update(consumed_at=now)
    user.signed_out_at = now
    user.save(update_fields=["signed_out_at", "updated_at"])


def set_cookie(response: HttpResponse, token: str) -> None:
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(LIFETIME.total_seconds()),
        path=get_script_prefix(),
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def delete_cookie(response: HttpResponse) -> None:
    response.delete_cookie(COOKIE, path=get_script_prefix(), samesite="Lax")
