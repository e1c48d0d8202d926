"""The pool of the client journeys, as the file that ``manage.py apply`` takes (docs: README, "A pool as a file").

Two clients of each dialect sign users in, one public and one with a secret; two more ask for tokens of their own. The
callback URLs are those that the client libraries insist on; nothing listens at most of them, the journeys only look
at where the browser is sent.
"""

from dataclasses import dataclass
from typing import Any

POOL_ID = "eu-west-1_Flows0001"
DOMAIN = "flows"
ELLIPTIC_POOL_ID = "eu-west-1_Flows0256"
CALLBACK = "http://localhost:3000/callback"
LOGOUT = "http://localhost:3000/"
ALLAUTH_CALLBACK = "http://localhost:3000/accounts/amazon-cognito/login/callback/"
AUTHJS_CALLBACK = "http://localhost:3000/auth/callback/cognito"
SOCIAL_CALLBACK = "http://localhost:3000/complete/cognito/"
API = "https://api.example.com"
SCOPE = "openid email phone profile"
USERNAME, PASSWORD = "ada", "Correct-horse-7"
ATTRIBUTES = {
    "email": "ada@example.com",
    "email_verified": "true",
    "phone_number": "+441632960001",
    "phone_number_verified": "false",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "picture": "https://cdn.example.com/ada.png",
    "profile": "https://people.example.com/ada",
}


@dataclass(frozen=True, slots=True)
class AppClient:
    """What the developer of an app is given by whoever runs the pool."""

    client_id: str
    secret: str
    dialect: str

    def __str__(self) -> str:
        return self.client_id


def _pair(number: int, dialect: str) -> tuple[AppClient, AppClient]:
    public = AppClient(f"{number}publicclientofjourneys0", "", dialect)
    secret = AppClient(f"{number}secretclientofjourneys0", f"{number}" + "s" * 50, dialect)
    return public, secret


PUBLIC, SECRET = _pair(1, "cognito")
PUBLIC_OIDC, SECRET_OIDC = _pair(2, "oidc")
PEOPLE = (PUBLIC, SECRET, PUBLIC_OIDC, SECRET_OIDC)
MACHINE = AppClient("1machineclientofjourneys", "1" + "m" * 50, "cognito")
MACHINE_OIDC = AppClient("2machineclientofjourneys", "2" + "m" * 50, "oidc")
MACHINES = (MACHINE, MACHINE_OIDC)
ELLIPTIC = AppClient("3ellipticclientofjourneys", "", "oidc")
MAPPED = ("email", "email_verified", "given_name", "family_name")
ATTRIBUTES_IN_TOKENS = {name: ATTRIBUTES[name] for name in MAPPED} | {"email_verified": True}


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID Provider, and how a pool is registered there."""

    name: str
    issuer: str
    client: AppClient
    method: str = "GET"
    """How userInfo is asked for attributes."""

    def __str__(self) -> str:
        return self.name


def pool_file(browser_app: str) -> dict[str, Any]:
    """Return the whole pool; ``browser_app`` is the address of the single page app, where something does listen."""
    return {
        "UserPool": {"Id": POOL_ID, "Name": "Journeys", "Domain": DOMAIN},
        "ResourceServers": [
            {"Identifier": API, "Name": "api", "Scopes": [{"ScopeName": "read", "ScopeDescription": "Read"}]}
        ],
        "UserPoolClients": [
            *(people_client(client, browser_app) for client in PEOPLE),
            *(_machine(client) for client in MACHINES),
        ],
        "Groups": [{"GroupName": "admins", "Precedence": 1}],
        "Users": [_user() | {"Groups": ["admins"]}],
    }


def elliptic_pool_file() -> dict[str, Any]:
    """Return a second pool, which signs with ES256."""
    return {
        "UserPool": {"Id": ELLIPTIC_POOL_ID, "Name": "Elliptic journeys", "SigningAlgorithm": "ES256"},
        "UserPoolClients": [
            _client(ELLIPTIC, ["code"], SCOPE.split())
            | {"CallbackURLs": [CALLBACK], "LogoutURLs": [LOGOUT], "SupportedIdentityProviders": ["COGNITO"]}
        ],
        "Users": [_user()],
    }


def federated_pool_file(pool_id: str, app: AppClient, providers: list[Provider], domain: str = "") -> dict[str, Any]:
    """Return a pool whose ``app`` signs users in through ``providers`` and has none of its own."""
    return {
        "UserPool": {"Id": pool_id, "Name": "Federated journeys"} | ({"Domain": domain} if domain else {}),
        "IdentityProviders": [_provider(provider) for provider in providers],
        "UserPoolClients": [
            _client(app, ["code"], SCOPE.split())
            | {"CallbackURLs": [CALLBACK], "LogoutURLs": [LOGOUT]}
            | {"SupportedIdentityProviders": [provider.name for provider in providers]}
        ],
    }


def corporate_pool_file(
    pool_id: str, clients: list[AppClient], callbacks: list[str], algorithm: str, users: list[str]
) -> dict[str, Any]:
    """Return a pool that is other pools' identity provider: they are its ``clients`` and live at ``callbacks``."""
    return {
        "UserPool": {"Id": pool_id, "Name": "Corporate journeys", "SigningAlgorithm": algorithm},
        "UserPoolClients": [
            _client(client, ["code"], SCOPE.split())
            | {"CallbackURLs": [*callbacks, CALLBACK], "SupportedIdentityProviders": ["COGNITO"]}
            for client in clients
        ],
        "Users": [_user(name) for name in users],
    }


def _provider(provider: Provider) -> dict[str, Any]:
    return {
        "ProviderName": provider.name,
        "ProviderType": "OIDC",
        "ProviderDetails": {
            "client_id": provider.client.client_id,
            "client_secret": provider.client.secret,
            "oidc_issuer": provider.issuer,
            "authorize_scopes": "openid email profile",
            "attributes_request_method": provider.method,
        },
        "AttributeMapping": {name: name for name in MAPPED} | {"username": "sub"},
    }


def _user(name: str = USERNAME) -> dict[str, Any]:
    attributes = [{"Name": name, "Value": value} for name, value in ATTRIBUTES.items()]
    return {"Username": name, "Attributes": attributes, "Password": PASSWORD}


def _client(client: AppClient, flows: list[str], scopes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ClientName": client.client_id,
        "ClientId": client.client_id,
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": flows,
        "AllowedOAuthScopes": scopes,
        "Dialect": client.dialect,
    }
    return found | ({"ClientSecret": client.secret} if client.secret else {})


def people_client(client: AppClient, browser_app: str) -> dict[str, Any]:
    return _client(client, ["code", "implicit"], [*SCOPE.split(), f"{API}/read"]) | {
        "CallbackURLs": [CALLBACK, ALLAUTH_CALLBACK, SOCIAL_CALLBACK, AUTHJS_CALLBACK, browser_app],
        "LogoutURLs": [LOGOUT, browser_app],
        "SupportedIdentityProviders": ["COGNITO"],
    }


def _machine(client: AppClient) -> dict[str, Any]:
    return _client(client, ["client_credentials"], [f"{API}/read"])
