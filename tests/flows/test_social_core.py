"""social-core's Cognito back end, which Python Social Auth's Django and Flask apps use; only POOL_DOMAIN is changed.

It sends the browser to ``/login`` rather than to the authorize endpoint, puts the client's secret into the body, and
knows its user by userInfo's ``sub`` (by ``username`` before version 5). Expected: its documentation ("Amazon Cognito"),
and the AWS pages on the login, token and userInfo endpoints.
"""

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from social_core.backends.cognito import CognitoOAuth2
from social_core.exceptions import AuthConfigurationError
from social_core.storage import BaseStorage, NonceMixin
from social_core.strategy import BaseStrategy

from tests.flows import pools
from tests.flows.person import Person
from tests.flows.server import Server


class Nonces(NonceMixin):
    """Each value once, as the library asks of its storage."""

    known: set[tuple[str, int, str]] = set()

    @classmethod
    def use(cls, server_url: str, timestamp: int, salt: str) -> bool:
        fresh = (server_url, timestamp, salt) not in cls.known
        cls.known.add((server_url, timestamp, salt))
        return fresh

    @classmethod
    def consume(cls, server_url: str, timestamp: int, salt: str) -> bool:
        known = (server_url, timestamp, salt) in cls.known
        cls.known.discard((server_url, timestamp, salt))
        return known


class Storage(BaseStorage):
    nonce = Nonces


class Framework(BaseStrategy[Any]):
    """What a web framework gives the library: settings, a session, the request, redirects."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(Storage)
        self.settings, self.session, self.request = settings, {}, {}

    def get_setting(self, name: str) -> Any:
        return self.settings[name]

    def get_pipeline(self, backend: Any = None) -> list[str]:
        steps = ("social_core.pipeline.social_auth.social_details", "social_core.pipeline.social_auth.social_uid")
        return [*steps, f"{__name__}.sign_in"]

    def request_data(self, merge: bool = True) -> dict[str, Any]:
        return self.request

    def session_get(self, name: str, default: Any = None) -> Any:
        return self.session.get(name, default)

    def session_set(self, name: str, value: Any) -> None:
        self.session[name] = value

    def session_pop(self, name: str) -> Any:
        return self.session.pop(name, None)

    def redirect(self, url: str) -> str:
        return url

    def build_absolute_uri(self, path: str | None = None) -> str:
        return path or ""


def sign_in(*args: Any, uid: str, details: dict[str, Any], response: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """The last step of the pipeline: the user of the app."""
    return {"user": SimpleNamespace(uid=uid, details=details, response=response)}


def backend(server: Server, client: pools.AppClient) -> CognitoOAuth2[Any]:
    settings = {"POOL_DOMAIN": server.issuer, "KEY": client.client_id, "SECRET": client.secret}
    framework = Framework({f"SOCIAL_AUTH_COGNITO_{name}": value for name, value in settings.items()})
    return CognitoOAuth2(framework, redirect_uri=pools.SOCIAL_CALLBACK)


@pytest.mark.parametrize("client", [pools.SECRET, pools.SECRET_OIDC], ids=str)
def test_social_core_signs_a_user_in_by_way_of_the_login_page(
    server: Server, person: Person, client: pools.AppClient
) -> None:
    app = backend(server, client)
    link = app.start()
    assert urlsplit(link).path == f"/{pools.POOL_ID}/login"
    landed = person.open(link, until=pools.SOCIAL_CALLBACK)
    app.data = dict(parse_qsl(urlsplit(landed).query))
    user = app.complete()
    names = {name: user.details[name] for name in ("username", "email", "first_name", "last_name")}
    assert names == {
        "username": pools.USERNAME,
        "email": pools.ATTRIBUTES["email"],
        "first_name": pools.ATTRIBUTES["given_name"],
        "last_name": pools.ATTRIBUTES["family_name"],
    }
    bearer = {"Authorization": f"Bearer {user.response['access_token']}"}
    userinfo = server.http.get(f"{server.issuer}/oauth2/userInfo", headers=bearer).json()
    assert user.uid == userinfo["sub"]
    assert userinfo["username"] == pools.USERNAME  # what versions before 5 knew their users by


def test_social_core_hears_of_a_wrong_secret(server: Server, person: Person) -> None:
    app = backend(server, pools.SECRET)
    landed = person.open(app.start(), until=pools.SOCIAL_CALLBACK)
    app.strategy.settings["SOCIAL_AUTH_COGNITO_SECRET"] = "0" * 51
    app.data = dict(parse_qsl(urlsplit(landed).query))
    with pytest.raises(AuthConfigurationError):
        app.complete()
