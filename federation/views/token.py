"""``POST /oauth2/token``.

RFC 6749 3.2. https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html
"""

import logging

from django.http import HttpRequest, HttpResponse

from accounts.middleware import pool_of
from federation import parameters, responses
from federation.dialects import rules
from federation.errors import InvalidClient
from federation.oauth2 import server
from federation.views.base import machine_endpoint

log = logging.getLogger("userpool.token")


@machine_endpoint("POST")
def token(request: HttpRequest) -> HttpResponse:
    """Exchange a code, a refresh token or a client's own credentials for tokens."""
    pool = pool_of(request)
    try:
        given = parameters.from_body(request)
        answer = server.token(pool, given, request.META.get("HTTP_AUTHORIZATION", ""))
    except server.TokenRefused as refused:
        return _refusal(refused)
    return responses.json_response(answer)


def _refusal(refused: server.TokenRefused) -> HttpResponse:
    """RFC 6749 5.2; the client's dialect decides the status of invalid_client and whether there are words."""
    client = refused.client
    log.info("refused: %s", refused.error.code, extra={"client": client.client_id if client else ""})
    dialect = rules(client.dialect if client else "")
    status = dialect.invalid_client_status if isinstance(refused.error, InvalidClient) else 0
    response = responses.error_json(refused.error, status, dialect.describes_errors)
    if status == 401:
        response["WWW-Authenticate"] = 'Basic realm="userpool", charset="UTF-8"'
    return response
