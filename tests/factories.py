"""Rows to test with. Every function takes what the test cares about and fills in the rest."""

from itertools import count
from typing import Any

from accounts.models import (
    AppClient,
    Group,
    IdentityProvider,
    PoolUser,
    ResourceServer,
    UserPool,
    UserPoolDomain,
)

PASSWORD = "Correct-horse-7"
CALLBACK = "https://app.example.test/callback"
LOGOUT = "https://app.example.test/"
_number = count(1)


def make_pool(domain: str = "", **values: Any) -> UserPool:
    """A pool with its keys, on the prefix domain ``domain`` (one of its own by default)."""
    number = next(_number)
    pool = UserPool.objects.create(**{"name": f"pool {number}", "id": f"eu-west-1_Test{number:05d}"} | values)
    UserPoolDomain.objects.create(user_pool=pool, domain=domain or f"pool{number}")
    return pool


def make_client(pool: UserPool, secret: str | bool = False, **values: Any) -> AppClient:
    """A client for the code flow. ``secret``: True for a generated one, or the secret."""
    defaults: dict[str, Any] = {
        "name": "web",
        "redirect_uris": CALLBACK,
        "post_logout_redirect_uris": LOGOUT,
        "allowed_oauth_flows_user_pool_client": True,
        "allowed_oauth_flows": ["code"],
        "allowed_oauth_scopes": ["openid", "email", "phone", "profile"],
        "cognito_sign_in": True,
    }
    client = AppClient.objects.create(user_pool=pool, **defaults | values)
    if secret:
        client.add_secret(secret if isinstance(secret, str) else None)
    return client


def make_user(pool: UserPool, username: str = "ada", password: str | None = PASSWORD, **values: Any) -> PoolUser:
    """A confirmed user with a verified e-mail address."""
    attributes = values.pop("attributes", {"email": f"{username}@example.test", "email_verified": "true"})
    user = PoolUser(user_pool=pool, username=username, attributes=attributes, **values)
    user.set_password(password)
    user.save()
    return user


def make_group(pool: UserPool, name: str, *users: PoolUser, **values: Any) -> Group:
    group = Group.objects.create(user_pool=pool, group_name=name, **values)
    group.users.add(*users)
    return group


def make_resource_server(pool: UserPool, identifier: str = "https://api.example.test", *scopes: str) -> ResourceServer:
    names = scopes or ("read", "write")
    return ResourceServer.objects.create(
        user_pool=pool,
        identifier=identifier,
        name="api",
        scopes=[{"ScopeName": name, "ScopeDescription": name} for name in names],
    )


def make_oidc_provider(pool: UserPool, name: str = "Corp", **values: Any) -> IdentityProvider:
    details = {
        "client_id": "userpool",
        "client_secret": "upstream-secret",
        "oidc_issuer": "https://idp.example.test",
        "authorize_scopes": "openid email",
        "attributes_request_method": "GET",
    }
    defaults: dict[str, Any] = {
        "provider_type": "OIDC",
        "provider_details": details,
        "attribute_mapping": {"email": "email", "username": "sub"},
    }
    return IdentityProvider.objects.create(user_pool=pool, provider_name=name, **defaults | values)
