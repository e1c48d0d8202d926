"""``POST /oauth2/token``.

RFC 6749 3.2. https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html
"""

from django.http import HttpRequest, HttpResponse

from accounts import events, metrics
from accounts.events import Steps
from accounts.middleware import pool_of
from accounts.models import UserPool
from accounts.models.events import EventType
from federation import parameters, responses
from federation.dialects import rules
from federation.errors import InvalidClient, OAuthError
from federation.oauth2 import server
from federation.views.base import machine_endpoint


@machine_endpoint("POST")
def token(request: HttpRequest) -> HttpResponse:
    """Exchange a code, a refresh token or a client's own credentials for tokens."""
    pool, grant_type = pool_of(request), ""
    try:
        given = parameters.from_body(request)
        grant_type = given.get("grant_type")
        answer = server.token(pool, given, request.META.get("HTTP_AUTHORIZATION", ""))
    except server.TokenRefused as refused:
        metrics.token_refused(grant_type, refused.error.code)
        return _refusal(pool, grant_type, refused)
    except OAuthError as error:  # there is no form to read
        metrics.token_refused(grant_type, error.code)
        raise
    metrics.token_issued(grant_type)
    return responses.json_response(answer)


def _refusal(pool: UserPool, grant_type: str, refused: server.TokenRefused) -> HttpResponse:
    """RFC 6749 5.2; the client's dialect decides the status of invalid_client and whether there are words."""
    client = refused.client
    steps = Steps().note("token request", grant_type=grant_type) if grant_type in server.GRANTS else None
    known = client.client_id if client else ""
    told = (refused.why, refused.error.code)
    kind = EventType.TOKEN_REQUEST
    events.refused(pool, None, known, steps, *told, event_type=kind, user=refused.user, early=True)
    dialect = rules(client.dialect if client else "")
    status = dialect.invalid_client_status if isinstance(refused.error, InvalidClient) else 0
    response = responses.error_json(refused.error, status, dialect.describes_errors)
    if status == 401:
        response["WWW-Authenticate"] = 'Basic realm="userpool", charset="UTF-8"'
    return response
