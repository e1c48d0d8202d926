"""The rows of a benchmark: one pool that is asked, and as many bystanders as wanted, whose number must not matter."""

import base64
import hashlib
import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from djangosaml2.cache import OutstandingQueriesCache

from accounts import opaque, pauses, signing
from accounts.models import (
    AppClient,
    AuthorizationCode,
    IdentityProvider,
    PoolUser,
    RefreshToken,
    ResourceServer,
    SigningKey,
    UserPool,
    UserPoolDomain,
)
from accounts.models.grants import Grant, Subject
from accounts.provider_details import SAML_ACS
from federation.upstream.saml.sign_in import Kept
from tests.fakes.saml import metadata

POOL_ID = "eu-west-1_Bench0001"
DOMAIN = "bench"
USERNAME, PASSWORD = "ada", "Correct-horse-7"
SECRET = "s" * 51
CALLBACK = "https://app.example.test/callback"
SCOPE = "openid email profile"
API = "https://api.example.test"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BATCH = 2000
SAML_ATTRIBUTES = {
    "mail": ["ada@example.test"],
    "givenName": ["Ada"],
    "sn": ["Lovelace"],
    "displayName": ["Ada Lovelace"],
    "eduPersonAffiliation": ["staff", "member"],
    "employeeNumber": ["1815"],
}


@dataclass(frozen=True, slots=True)
class Scene:
    """The rows that the flows ask for."""

    pool: UserPool
    machine: AppClient
    web: AppClient
    rotating: AppClient
    federated: AppClient
    provider: IdentityProvider
    partner: IdentityProvider
    """The one that speaks SAML."""
    user: PoolUser

    def codes(self, count: int) -> list[str]:
        """Return ``count`` unspent authorization codes of the web client, stored in one transaction."""
        now = timezone.now()
        row = {"app_client": self.web, "user": self.user, "redirect_uri": CALLBACK, "scope": SCOPE}
        row |= {"nonce": "n" * 22, "code_challenge": CHALLENGE, "auth_time": now}
        with transaction.atomic():
            return [AuthorizationCode.issue(**row) for _ in range(count)]

    def refresh_tokens(self, client: AppClient, count: int) -> list[str]:
        """Return ``count`` refresh tokens of ``client``, each of a grant of its own, stored in one transaction."""
        subject, now = Subject.of(self.user), timezone.now()
        grants = [Grant(subject, SCOPE, now, str(uuid.uuid4()), str(uuid.uuid4())) for _ in range(count)]
        with transaction.atomic():
            return [RefreshToken.open(grant, client) for grant in grants]

    def pauses(self, count: int, query: str) -> list[tuple[str, str, str]]:
        """Return state, nonce and browser of ``count`` sign-ins that wait for the provider."""
        found = [(opaque.random_token(), opaque.random_token(), opaque.random_token()) for _ in range(count)]
        callback = f"{self.pool.base_url}/oauth2/idpresponse"
        with transaction.atomic():
            for state, nonce, browser in found:
                kept = {"nonce": nonce, "callback": callback}
                pauses.put_away(self.pool, self.provider, state, browser, query, kept)
        return found

    def saml_pauses(self, count: int, query: str) -> list[tuple[str, str, str]]:
        """Return state, request id and browser of ``count`` sign-ins that wait for the SAML provider."""
        found = [(opaque.random_token(), f"_{uuid.uuid4()}", opaque.random_token()) for _ in range(count)]
        with transaction.atomic():
            for state, request_id, browser in found:
                kept = Kept()
                OutstandingQueriesCache(kept).set(request_id, self.pool.base_url + SAML_ACS)
                pauses.put_away(self.pool, self.partner, state, browser, query, dict(kept))
        return found


def scene(issuer: str) -> Scene:
    """Make the pool that is asked, its clients, its user and its provider, whose issuer is ``issuer``."""
    pool = UserPool.objects.create(id=POOL_ID, name="bench")
    UserPoolDomain.objects.create(user_pool=pool, domain=DOMAIN)
    ResourceServer.objects.create(
        user_pool=pool, identifier=API, name="api", scopes=[{"ScopeName": "read", "ScopeDescription": "Read"}]
    )
    user = PoolUser(user_pool=pool, username=USERNAME, attributes={"email": "ada@example.test", "name": "Ada Lovelace"})
    user.attributes |= {"email_verified": "true", "custom:tier": "gold"}
    user.set_password(PASSWORD)
    user.save()
    group = pool.groups.create(group_name="admins", precedence=1)
    group.users.add(user)
    details = {"client_id": "userpool", "client_secret": "upstream-secret", "oidc_issuer": issuer}
    details |= {"authorize_scopes": "openid email", "attributes_request_method": "GET"}
    provider = IdentityProvider.objects.create(
        user_pool=pool,
        provider_name="Corp",
        provider_type="OIDC",
        provider_details=details,
        attribute_mapping={"email": "email", "username": "sub"},
    )
    partner = IdentityProvider.objects.create(
        user_pool=pool,
        provider_name="Partner",
        provider_type="SAML",
        provider_details={"MetadataFile": metadata()},
        attribute_mapping={"email": "mail", "given_name": "givenName", "family_name": "sn", "name": "displayName"},
    )
    federated = _client(pool, "federated", ["code"], SCOPE.split())
    federated.identity_providers.add(provider, partner)
    return Scene(
        pool=pool,
        federated=federated,
        provider=provider,
        partner=partner,
        machine=_client(pool, "machine", ["client_credentials"], [f"{API}/read"]),
        web=_client(pool, "web", ["code"], SCOPE.split()),
        rotating=_client(pool, "rotating", ["code"], SCOPE.split(), refresh_token_rotation=True),
        user=user,
    )


def _client(pool: UserPool, name: str, flows: list[str], scopes: list[str], **values: object) -> AppClient:
    people = {"redirect_uris": CALLBACK, "cognito_sign_in": True} if flows == ["code"] else {}
    client = AppClient.objects.create(
        user_pool=pool,
        name=name,
        allowed_oauth_flows_user_pool_client=True,
        allowed_oauth_flows=flows,
        allowed_oauth_scopes=scopes,
        **people | values,
    )
    client.add_secret(SECRET)
    return client


def bystanders(scene: Scene, pools: int, users: int) -> None:
    """Add ``pools`` other pools, each with a domain, keys and a client; and ``users`` other users of the asked pool,
    each with an expired grant and a spent code.

    Written in bulk, past the signals that would make an RSA pair for each pool: all of them share one.
    """
    key = signing.generate("RS256")
    public, private, now = key.export_public(as_dict=True), key.export_private(), timezone.now()
    for start in range(1, pools + 1, BATCH):
        numbers = range(start, min(start + BATCH, pools + 1))
        made = UserPool.objects.bulk_create([UserPool(id=f"eu-west-1_P{n:08d}", name=f"pool {n}") for n in numbers])
        UserPoolDomain.objects.bulk_create(
            [UserPoolDomain(user_pool=pool, domain=f"pool{n}") for n, pool in zip(numbers, made, strict=True)]
        )
        AppClient.objects.bulk_create([AppClient(user_pool=pool, name="web") for pool in made])
        SigningKey.objects.bulk_create(
            SigningKey(
                user_pool=pool, token_use=use, kid=f"{pool.pk}-{use}", alg="RS256", not_before=now, public_jwk=public
            )
            for pool in made
            for use in ("id", "access")
        )
        SigningKey.objects.filter(user_pool__in=made).update(private_jwk=private)
    past = now - timedelta(days=1)
    for start in range(1, users + 1, BATCH):
        numbers = range(start, min(start + BATCH, users + 1))
        people = PoolUser.objects.bulk_create(
            PoolUser(user_pool=scene.pool, username=f"user{n}", username_key=f"user{n}", password="!") for n in numbers
        )
        old = {"app_client": scene.web, "scope": SCOPE, "auth_time": past, "expires_at": past}
        AuthorizationCode.objects.bulk_create(
            AuthorizationCode(user=user, digest=f"spent {user.pk}", consumed_at=past, origin_jti=str(user.pk), **old)
            for user in people
        )
        RefreshToken.objects.bulk_create(
            RefreshToken(
                user=user,
                selector=f"old {user.pk}",
                origin_jti=f"old {user.pk}",
                created_at=past,
                revoked_at=past,
                **old,
            )
            for user in people
        )
