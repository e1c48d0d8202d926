"""What no two users of a pool may have: a username, a sub, an alias, an identity at a provider."""

from collections.abc import Iterator
from typing import Any

from accounts.models import LinkedIdentity, PoolUser, SignInAlias, UserPool
from accounts.poolfile.problems import Problem
from accounts.poolfile.wanted import Wanted


def check_unique(pool: UserPool, wanted: list[Wanted]) -> list[Problem]:
    """Refuse a sub, a username, an alias or an identity that another user has, here or in the database."""
    problems: list[Problem] = []
    claims: dict[tuple[str, Any], Wanted] = {}
    for one in wanted:
        one.user.username_key = pool.username_key(one.user.username)
        for wire, kind, key in _claims(one):
            other = claims.setdefault((kind, key), one)
            if other is not one:
                problems.append(one.problem(wire, f"{other.entry.path} has the same."))
        aliases = list(SignInAlias.wanted(one.user).values())
        if len(set(aliases)) != len(aliases):
            problems.append(one.problem("Attributes", "two of them are the same sign-in name."))
        identities = [_identity(link) for link in one.identities or []]
        if len(set(identities)) != len(identities):
            problems.append(one.problem("Identities", "one of them is listed twice."))
    if problems:
        return problems
    by_kind: dict[str, list[Any]] = {}
    for kind, key in claims:
        by_kind.setdefault(kind, []).append(key)
    for kind, key, owner in _taken(pool, by_kind):
        claimant = claims.get((kind, key))
        if claimant and claimant.user.pk != owner:
            wire = next(wire for wire, other, value in _claims(claimant) if (other, value) == (kind, key))
            problems.append(claimant.problem(wire, "another user of the pool has the same."))
    return problems


def _taken(pool: UserPool, claims: dict[str, list[Any]]) -> Iterator[tuple[str, Any, int]]:
    users = PoolUser.objects.filter(user_pool=pool)
    for column in ("sub", "username_key"):
        for key, owner in users.filter(**{f"{column}__in": claims.get(column, [])}).values_list(column, "pk"):
            yield column, key, owner
    aliases = SignInAlias.objects.filter(user_pool=pool, key__in=claims.get("alias", []))
    for key, owner in aliases.values_list("key", "user_id"):
        yield "alias", key, owner
    if identities := claims.get("identity", []):
        links = LinkedIdentity.objects.filter(
            provider__user_pool=pool, subject__in=[subject for _, _, subject in identities]
        )
        for link in links:
            yield "identity", _identity(link), link.user_id


def _identity(link: LinkedIdentity) -> tuple[int, str, str]:
    return link.provider_id, link.claim, link.subject


def _claims(one: Wanted) -> Iterator[tuple[str, str, Any]]:
    """Yield what no other user may have: wire name, kind, key."""
    yield "Username", "username_key", one.user.username_key
    yield "Sub", "sub", one.user.sub
    for key in SignInAlias.wanted(one.user).values():
        yield "Attributes", "alias", key
    for link in one.identities or []:
        yield "Identities", "identity", _identity(link)
