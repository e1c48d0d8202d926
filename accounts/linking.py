"""Whose sign-in it is: from an identity that a provider vouches for to a user of the pool.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-identity-federation-consolidate-users.html
(W 11.1, 11.4). An identity belongs to the user that it is linked to; without a link a user is made for it. Nothing else
decides: two accounts with one e-mail address are two accounts until an operator links them. This module knows no
protocol.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from accounts import mapping, rules
from accounts.models import AppClient, Group, IdentityProvider, LinkedIdentity, PoolUser, SignInAlias, UserPool
from accounts.models.users import MAX_IDENTITIES, UserStatus

MAX_SUBJECT = 512
MAX_USERNAME = 128
MAX_CLAIM_NAMES = 5  # AdminLinkProviderForUser: by so many different claims a provider's users may be linked
TRIES = 3
SUBJECT_NAMES = ("Cognito_Subject", "sub", "NameID")  # ProviderAttributeName of the subject itself


@dataclass(frozen=True, slots=True)
class UpstreamSession:
    """The session at the provider, as far as signing out there needs it (SAML): a NameID is compared with all of it."""

    name_id: str = ""
    name_id_format: str = ""
    name_qualifier: str = ""
    sp_name_qualifier: str = ""
    session_index: str = ""
    authn_instant: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """Who somebody is in the words of ``provider``, verified. A claim is a string, or what JSON has beside strings."""

    provider: IdentityProvider
    subject: str
    claims: Mapping[str, Any] = field(repr=False)
    issuer: str = ""
    """Empty for social providers, whose ``identities`` entry has none."""
    session: UpstreamSession | None = None


class IdentityRefused(Exception):
    """The identity is genuine and cannot come in. ``reason`` is a word for operators, ``names`` the attributes."""

    def __init__(self, reason: str, names: list[str] | None = None, words: str = "") -> None:
        self.reason, self.names, self.words = reason, names or [], words
        super().__init__(reason)


def resolve_user(identity: ExternalIdentity, client: AppClient) -> PoolUser:
    """Return the user that ``identity`` is, its attributes brought up to date; raise IdentityRefused.

    Two sign-ins at once, or an operator who links the identity meanwhile, make one user: the unique rows decide, and
    the loser looks again.
    """
    _check_subject(identity.subject)
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                return _known(identity, client) or _created(identity, client)
        except mapping.MappingRefused as refused:
            raise IdentityRefused(refused.reason, refused.names, refused.words) from refused
        except (IntegrityError, PoolUser.DoesNotExist):
            continue
    if not IdentityProvider.objects.filter(pk=identity.provider.pk).exists():
        raise IdentityRefused("provider_deleted")
    raise IdentityRefused("username_taken")


def _check_subject(subject: str) -> None:
    if not subject or len(subject) > MAX_SUBJECT or "\x00" in subject or re.search("[\ud800-\udfff]", subject):
        raise IdentityRefused("subject_invalid")


def _known(identity: ExternalIdentity, client: AppClient) -> PoolUser | None:
    links = LinkedIdentity.objects.filter(provider=identity.provider)
    link = links.filter(claim="", subject=identity.subject).first() or _by_claim(identity)
    if link is None:
        return None
    user = PoolUser.objects.select_for_update().get(pk=link.user_id)
    user.user_pool = client.user_pool
    if not user.enabled:
        raise IdentityRefused("user_disabled")
    attributes = _attributes(identity, client, user.attributes, new=False)
    if attributes != user.attributes:
        user.attributes = attributes
        if taken := SignInAlias.taken(user):
            raise IdentityRefused("alias_taken", taken)
        user.save(update_fields=["attributes", "updated_at"])
    return user


def _by_claim(identity: ExternalIdentity) -> LinkedIdentity | None:
    """Find a link that an operator made by another claim than the subject, and pin it to the subject.

    Pinned, because the claim may be somebody else's next year. An address that the provider does not stand for links
    nobody.
    """
    links = LinkedIdentity.objects.filter(provider=identity.provider, claim__gt="")
    for claim in list(links.values_list("claim", flat=True).distinct()[:MAX_CLAIM_NAMES]):
        value = identity.claims.get(claim)
        if not isinstance(value, str) or not value or len(value) > MAX_SUBJECT or "\x00" in value:
            continue
        if claim in mapping.VERIFIED.values() and not _vouched_for(identity, claim):
            continue
        link = links.filter(claim=claim, subject=value).first()
        if link is not None:
            now = {"claim": "", "subject": identity.subject, "issuer": identity.issuer}
            if not links.filter(pk=link.pk).update(pinned_from=waiting_name(claim, value), **now):
                raise IntegrityError("somebody else signed in by this link at the same time")
            return link
    return None


def waiting_name(claim: str, value: str) -> str:
    """Return how a link by another claim is remembered once it is pinned."""
    return f"{claim}={value}"


def _vouched_for(identity: ExternalIdentity, claim: str) -> bool:
    return str(identity.claims.get(f"{claim}_verified", "true")).lower() == "true"


def _created(identity: ExternalIdentity, client: AppClient) -> PoolUser:
    pool, provider = client.user_pool, identity.provider
    username = f"{provider.provider_name}_{identity.subject}"
    if not pool.case_sensitive:
        username = username.lower()
    if len(username) > MAX_USERNAME:
        raise IdentityRefused("username_too_long")
    if not re.search(rules.PRINTABLE, username):
        raise IdentityRefused("username_invalid")
    user = PoolUser(user_pool=pool, username=username, status=UserStatus.EXTERNAL_PROVIDER)
    user.attributes = _attributes(identity, client, {}, new=True)
    user.set_unusable_password()
    user.save()
    LinkedIdentity.objects.create(
        user=user, provider=provider, subject=identity.subject, issuer=identity.issuer, primary=True
    )
    user.groups.add(provider_group(pool, provider))
    return user


def _attributes(
    identity: ExternalIdentity, client: AppClient, stored: Mapping[str, str], *, new: bool
) -> dict[str, str]:
    return mapping.merged(
        identity.provider.attribute_mapping,
        client.user_pool.schema,
        client.write_attributes,
        stored,
        identity.claims,
        new=new,
    )


def provider_group(pool: UserPool, provider: IdentityProvider) -> Group:
    """Return the group that users join who come from ``provider`` by themselves; it is made for the first of them."""
    words = f"Autogenerated group for users who sign in using {provider.provider_name}"
    group, _ = Group.objects.get_or_create(
        user_pool=pool, group_name=f"{pool.pk}_{provider.provider_name}", defaults={"description": words}
    )
    return group


class LinkRefused(Exception):
    """An operator's link cannot be made; the message says why, in words."""


@transaction.atomic
def link(user: PoolUser, provider: IdentityProvider, value: str, claim: str = "") -> LinkedIdentity:
    """Link an identity at ``provider`` to ``user`` (AdminLinkProviderForUser); raise LinkRefused.

    ``value`` is the subject, or with ``claim`` the value that this claim will have at the first sign-in.
    """
    claim = "" if claim in SUBJECT_NAMES else claim
    PoolUser.objects.select_for_update().get(pk=user.pk)  # one at a time, or six could be five
    if provider.user_pool_id != user.user_pool_id:
        raise LinkRefused("The provider belongs to another pool.")
    if claim and provider.provider_type in rules.SOCIAL:
        raise LinkRefused(f"Identities at {provider.provider_name} are linked by their subject.")
    if user.identities.count() >= MAX_IDENTITIES:
        raise LinkRefused(f"A user has at most {MAX_IDENTITIES} identities. Unlink one first.")
    others = LinkedIdentity.objects.filter(provider=provider)
    names = set(others.filter(claim__gt="").values_list("claim", flat=True).distinct())
    if claim and claim not in names and len(names) >= MAX_CLAIM_NAMES:
        raise LinkRefused(f"At most {MAX_CLAIM_NAMES} different claims of one provider link users.")
    taken = others.filter(claim=claim, subject=value).select_related("user").first()
    if taken is not None and taken.user_id == user.pk:
        raise LinkRefused("This identity is linked to this user already.")
    if taken is not None and taken.primary:
        words = "Delete that user first; its next sign-in will then be this user's."
        raise LinkRefused(f"This identity signed in by itself and has a user of its own, {taken.user}. {words}")
    if taken is not None:
        raise LinkRefused(f"This identity is linked to {taken.user}. Unlink it there first.")
    try:
        with transaction.atomic():
            return LinkedIdentity.objects.create(user=user, provider=provider, claim=claim, subject=value)
    except IntegrityError as error:
        raise LinkRefused("Somebody signed in with this identity, or linked it, a moment ago. Look again.") from error


@transaction.atomic
def unlink(identity: LinkedIdentity) -> None:
    """Take an identity from its user; raise LinkRefused for the one that the user came from.

    Such a user has no other way in, and its name would stand in the way of a new one.
    """
    if identity.primary and identity.user.status == UserStatus.EXTERNAL_PROVIDER:
        raise LinkRefused("The user came from this identity and has no other way in. Disable or delete the user.")
    identity.delete()
