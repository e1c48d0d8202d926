"""``/oauth2/userInfo``: GET, and POST with the token in the header or the form body, never in the query.

OpenID Connect Core 5.3, RFC 6750. https://docs.aws.amazon.com/cognito/latest/developerguide/userinfo-endpoint.html
"""

from django.http import HttpRequest, HttpResponse

from accounts import directory
from accounts.middleware import pool_of
from accounts.models import RefreshToken
from federation import claims, parameters, responses, tokens
from federation.dialects import Rules, rules
from federation.errors import BadUserInfoRequest, InsufficientScope, InvalidRequest, InvalidToken, OAuthError, TooLarge
from federation.views.base import machine_endpoint


def bearer_token(request: HttpRequest) -> str:
    """Return the access token; raise BadUserInfoRequest when there is none, or more than one (RFC 6750 2).

    A body that is too large raises TooLarge.
    """
    header = request.META.get("HTTP_AUTHORIZATION", "")
    in_body = ""
    if request.method == "POST" and request.content_type == parameters.FORM:
        try:
            given = parameters.from_body(request)
        except TooLarge:
            raise
        except InvalidRequest as error:
            raise BadUserInfoRequest from error
        if "access_token" in given.repeated:
            raise BadUserInfoRequest
        in_body = given.get("access_token")
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if header and (scheme.lower() != "bearer" or not token or " " in token or in_body):
        raise BadUserInfoRequest
    if not (token or in_body) or "access_token" in request.META.get("QUERY_STRING", ""):
        raise BadUserInfoRequest
    return token or in_body


@machine_endpoint("GET", "POST")
def userinfo(request: HttpRequest) -> HttpResponse:
    """Answer with the attributes that the token's scopes open, if the grant and the user still stand."""
    pool = pool_of(request)
    dialect = rules("")
    try:
        verified = tokens.verify(pool, bearer_token(request), "access")
        client = directory.app_client(pool, str(verified.get("client_id", "")))
        if client is None:
            raise InvalidToken
        dialect = rules(client.dialect)
        scopes = str(verified.get("scope", "")).split()
        if "openid" not in scopes:
            raise InsufficientScope
        origin_jti = str(verified.get("origin_jti", ""))
        subject = RefreshToken.subject_of(client, str(verified["sub"]), origin_jti, int(verified["iat"]))
        if subject is None:
            raise InvalidToken
    except tokens.InvalidJwt:
        return _refusal(InvalidToken(), dialect)
    except OAuthError as error:
        return _refusal(error, dialect)
    return responses.json_response(claims.userinfo_claims(pool, client, subject, scopes))


def _refusal(error: OAuthError, dialect: Rules) -> HttpResponse:
    if isinstance(error, InsufficientScope) and not dialect.insufficient_scope:
        return responses.challenge(error, dialect.challenge_scheme, 401, InvalidToken.code)
    return responses.challenge(error, dialect.challenge_scheme)
