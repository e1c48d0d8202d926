"""A provider that is deleted and made again under its name gets its users back, as Cognito's does.

Without this, whoever signed in through the first could never come in through the second: the username that the sign-in
would make is taken, and nobody is let into an account because its name fits. So the links are kept, subject and all.
"""

from typing import Any

from django.db.models import QuerySet
from django.db.models.signals import post_save, pre_delete

from accounts.models import FormerIdentity, IdentityProvider, LinkedIdentity, UserPool

CHUNK = 2000
FIELDS = ("user_id", "claim", "subject", "pinned_from", "issuer", "primary", "date_created")


def connect() -> None:
    """Follow the deletion and the making of providers."""
    pre_delete.connect(_keep, sender=IdentityProvider, dispatch_uid="keep-identities")
    post_save.connect(_give_back, sender=IdentityProvider, dispatch_uid="give-identities-back")


def _keep(instance: IdentityProvider, origin: Any = None, **_: Any) -> None:
    if _is_of_a_pool(origin):
        return  # the users go as well
    links = LinkedIdentity.objects.filter(provider=instance).order_by("pk").values(*FIELDS)
    name = instance.provider_name
    rows = (FormerIdentity(provider_name=name, **link) for link in links.iterator(chunk_size=CHUNK))
    FormerIdentity.objects.bulk_create(rows, batch_size=CHUNK)


def _give_back(instance: IdentityProvider, created: bool, **_: Any) -> None:
    if not created:
        return
    kept = FormerIdentity.objects.filter(
        provider_name=instance.provider_name, user__user_pool_id=instance.user_pool_id
    ).order_by("pk")
    rows = list(kept.values(*FIELDS))
    if not rows:
        return
    links = [LinkedIdentity(provider=instance, **row) for row in rows]
    LinkedIdentity.objects.bulk_create(links, batch_size=CHUNK)
    for link, row in zip(links, rows, strict=True):
        link.date_created = row["date_created"]  # which the insertion set to now
    LinkedIdentity.objects.bulk_update(links, ["date_created"], batch_size=CHUNK)
    kept.delete()


def _is_of_a_pool(origin: Any) -> bool:
    return isinstance(origin, UserPool) or (isinstance(origin, QuerySet) and origin.model is UserPool)
