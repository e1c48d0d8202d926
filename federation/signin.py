"""From an authorization request to its answer: is a session good enough, and what is issued for it.

W 3.2 and OpenID Connect Core 3.1.2. Every sign-in ends in ``finish``, however the user was authenticated.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from accounts import clock, events, metrics, sessions
from accounts.events import Steps
from accounts.linking import ExternalIdentity
from accounts.models import AuthorizationCode, PoolUser, SignInSession
from accounts.models.grants import Grant, Subject, new_id
from federation import errors, responses, tokens
from federation.authorize_request import AuthorizeRequest, RefusedRequest
from federation.responses import Target

log = logging.getLogger("userpool.signin")


@contextmanager
def reported_to(target: Target) -> Iterator[None]:
    """Inside, a refusal is the app's to hear; so is a failure of ours, as server_error, once it is in the log."""
    try:
        yield
    except errors.OAuthError as error:
        raise RefusedRequest(error, target) from error
    except (RefusedRequest, errors.HostedPageError, errors.Busy, errors.CookieMissing):
        raise
    except Exception as error:
        log.exception("unexpected failure during sign-in")
        raise RefusedRequest(errors.ServerError(), target) from error


def usable_session(request: HttpRequest, asked: AuthorizeRequest) -> SignInSession | None:
    """Return the browser's session if it may answer ``asked`` without a page; raise InvalidRequest for a bad hint."""
    if "login" in asked.prompt:
        return None
    session = sessions.current(request, asked.pool)
    if session is None or not _same_method(session, asked):
        return None
    if asked.max_age is not None and session.auth_time + timedelta(seconds=asked.max_age) <= clock.now():
        return None
    if asked.id_token_hint and _hinted_sub(asked) != session.user.sub:
        return None
    return session


def _same_method(session: SignInSession, asked: AuthorizeRequest) -> bool:
    """A session answers for the provider that it came from (W 3.2), if the client has that provider."""
    if asked.provider is not None:
        return session.provider_id == asked.provider.pk
    if asked.names_cognito or session.provider_id is None:
        return session.provider_id is None and asked.client.cognito_sign_in
    return any(provider.pk == session.provider_id for provider in asked.client.providers)


def _hinted_sub(asked: AuthorizeRequest) -> str:
    try:
        hint = tokens.verify(asked.pool, asked.id_token_hint, "id", allow_expired=True)
    except tokens.InvalidJwt as error:
        raise errors.InvalidRequest("id_token_hint is not an ID token of this issuer.") from error
    return str(hint.get("sub"))


def sign_in(
    request: HttpRequest,
    asked: AuthorizeRequest,
    user: PoolUser,
    identity: ExternalIdentity | None = None,
    steps: Steps | None = None,
) -> HttpResponse:
    """Start the session of a user who has just been authenticated, here or as ``identity``, and answer the app.

    ``steps`` led there.

    Raise LoginRequired when somebody else signed in than id_token_hint names (OpenID Connect Core 3.1.2.1), or when
    the user was signed out meanwhile.
    """
    if asked.id_token_hint and _hinted_sub(asked) != user.sub:
        raise errors.LoginRequired
    with transaction.atomic():  # one commit: a session without its code would be a sign-in that nobody saw
        session, cookie = sessions.start(request, user, identity)
        if not user.signed_in(session.auth_time):
            raise errors.LoginRequired  # the session goes with the transaction
        response = finish(request, asked, session)
        # with the session or not at all; its provider and its user are there, or the session could not be
        events.signed_in(asked.pool, identity.provider if identity else None, asked.client.client_id, user, steps)
    sessions.set_cookie(response, cookie)
    return response


def finish(request: HttpRequest, asked: AuthorizeRequest, session: SignInSession) -> HttpResponse:
    """Issue what ``asked`` asked for on the strength of ``session``: a code, or tokens."""
    if asked.response_type == "token":
        return responses.authorization_response(request, asked.target, _implicit(asked, session))
    code = AuthorizationCode.issue(
        app_client=asked.client,
        user=session.user,
        redirect_uri=asked.target.redirect_uri,
        scope=asked.scope,
        nonce=asked.nonce,
        code_challenge=asked.code_challenge,
        resource=asked.resource,
        auth_time=session.auth_time,
    )
    metrics.code_issued()
    return responses.authorization_response(request, asked.target, {"code": code})


def _implicit(asked: AuthorizeRequest, session: SignInSession) -> dict[str, str]:
    """The fragment of response_type=token, in the order that captures show (W 3.4); never a refresh token."""
    grant = Grant(
        subject=Subject.of(session.user),
        scope=asked.scope,
        since=session.auth_time,
        origin_jti=new_id(),
        event_id=new_id(),
        nonce=asked.nonce,
        resource=asked.resource,
    )
    tokens.open_grant(asked.client, grant, with_token=False)
    answer = tokens.mint(asked.pool, asked.client, grant).as_response()
    metrics.token_issued("implicit")
    return {name: str(value) for name, value in answer.items()}
