"""``POST /oauth2/revoke``.

RFC 7009. https://docs.aws.amazon.com/cognito/latest/developerguide/revocation-endpoint.html
"""

from django.http import HttpRequest, HttpResponse

from accounts import events, metrics
from accounts.middleware import pool_of
from accounts.models import AppClient, RefreshToken, UserPool
from accounts.models.events import EventType
from federation import parameters, responses, tokens
from federation.dialects import rules
from federation.errors import InvalidClient, InvalidRequest, OAuthError, UnsupportedTokenType
from federation.oauth2 import server
from federation.views.base import machine_endpoint


@machine_endpoint("POST")
def revoke(request: HttpRequest) -> HttpResponse:
    """Revoke the grant of a refresh token. An unknown token is as revoked as can be: 200."""
    pool = pool_of(request)
    describe = False
    try:
        given = parameters.from_body(request)
        if given.repeated or not given.get("token"):
            raise InvalidRequest("token is missing, or a parameter is repeated.")
        client = server.authenticated_client(pool, given, request.META.get("HTTP_AUTHORIZATION", ""))
        describe = rules(client.dialect).describes_errors
        if not client.enable_token_revocation:
            raise InvalidRequest("Token revocation is off for this client.")
        _revoke(pool, client, given.get("token"))
    except InvalidClient as error:
        response = responses.error_json(error, 401, describe)
        response["WWW-Authenticate"] = 'Basic realm="userpool", charset="UTF-8"'
        return response
    except OAuthError as error:
        return responses.error_json(error, describe=describe)
    return HttpResponse(content_type=responses.JSON)


def _revoke(pool: UserPool, client: AppClient, token: str) -> None:
    """Revoke what ``token`` stands for, if it is ``client``'s; raise UnsupportedTokenType as the dialect has it."""
    presented = RefreshToken.present(token, client)
    if presented is not None:
        if (presented.current or presented.in_grace or presented.reused) and RefreshToken.revoke(pk=presented.pk):
            _record(pool, client, presented.grant.subject.pk)
        return
    if not tokens.looks_signed(token):
        return
    if not rules(client.dialect).revokes_access_tokens:
        raise UnsupportedTokenType
    try:
        verified = tokens.verify(pool, token, "access")
    except tokens.InvalidJwt:
        return
    ours = verified.get("client_id") == client.client_id and verified.get("origin_jti")
    if ours and RefreshToken.revoke_origin(str(verified["origin_jti"]), client):
        _record(pool, client, None)


def _record(pool: UserPool, client: AppClient, user: int | None) -> None:
    metrics.grants_revoked("requested", 1)
    events.happened(EventType.TOKEN_REVOCATION, pool, user, client.client_id, "revoked_by_client")
