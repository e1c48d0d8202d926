"""Fixtures of the whole suite."""

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.cache import caches
from django.test import Client
from jwcrypto import jwk

from accounts import directory, events, rate_limits, saml_keys, signing
from accounts.models import AppClient, PoolUser, UserPool
from federation.upstream import suspension
from tests import factories
from tests.fakes.oidc import OidcIdp

pytest_plugins = ["tests.needs"]
_key_pairs: dict[str, list[jwk.JWK]] = {}
_saml_keys: list[rsa.RSAPrivateKey] = []


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let ``--dist loadgroup`` see its groups: xdist 3.8 appends them to an attribute that pytest 9.2 does not read."""
    for item in items if hasattr(config, "workerinput") and config.getoption("loadgroup", default=False) else ():
        mark = item.get_closest_marker("xdist_group")
        if mark is not None and item.parent is not None and not item.nodeid.endswith(f"@{mark.args[0]}"):
            item._id = item.parent.id.child(f"{item.name}@{mark.args[0]}")


@pytest.fixture(autouse=True)
def _fresh_caches() -> Iterator[None]:
    """The directory outlives a rolled back transaction; a test must not see another's rows."""
    directory.forget()
    for cache in caches.all():
        cache.clear()
    suspension.forget()
    events.forget_early()
    rate_limits.forget()
    yield
    directory.forget()


@pytest.fixture(autouse=True)
def _quick_key_pairs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand out four real key pairs in turn: making an RSA pair takes 50 ms, and every pool wants two."""
    if request.node.get_closest_marker("real_keys"):
        return
    for alg in signing.PARAMETERS:
        if alg not in _key_pairs:
            _key_pairs[alg] = [signing.generate(alg) for _ in range(4)]
    supply = {alg: cycle(pairs) for alg, pairs in _key_pairs.items()}
    monkeypatch.setattr(signing, "generate", lambda alg: next(supply[alg]))
    if not _saml_keys:
        _saml_keys.extend(saml_keys.generate() for _ in range(2))
    keys = cycle(_saml_keys)
    monkeypatch.setattr(saml_keys, "generate", lambda: next(keys))


@pytest.fixture
def pool(db: None) -> UserPool:
    """A pool on demo.auth.example.test."""
    return factories.make_pool("demo", id="eu-west-1_Demo00001")


@pytest.fixture
def app_client(pool: UserPool) -> AppClient:
    """A public client of ``pool`` for the code flow."""
    return factories.make_client(pool, client_id="1exampleclient23456789abcd")


@pytest.fixture
def secret_client(pool: UserPool) -> AppClient:
    """A confidential client of ``pool`` whose secret is ``"s" * 51``."""
    return factories.make_client(pool, secret="s" * 51, client_id="2exampleclient23456789abcd")


@pytest.fixture
def user(pool: UserPool) -> PoolUser:
    """ada, whose password is factories.PASSWORD."""
    return factories.make_user(pool)


@pytest.fixture
def idp(settings: Any) -> Iterator[OidcIdp]:
    """An OpenID Provider on a port of this machine, honest until it is told otherwise."""
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    with OidcIdp() as running:
        yield running


@pytest.fixture
def at() -> Callable[[UserPool], Client]:
    """``at(pool)``: a browser whose requests go to the pool's prefix domain over https."""

    def browser(pool: UserPool, **extra: str) -> Client:
        host = pool.domains.get(is_custom=False).host
        return Client(headers={"host": host}, **extra)

    return browser


@pytest.fixture
def http(at: Callable[[UserPool], Client], pool: UserPool) -> Client:
    """A browser at ``pool``."""
    return at(pool)
