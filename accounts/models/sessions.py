"""Sessions on the hosted pages, and the count of failed sign-ins.

A session is a row of ours, not one of Django's: it belongs to a pool, ends an hour after the sign-in whatever
happens, and can be found without a cookie (an IdP that signs its user out sends none).
"""

from django.db import models

from accounts.models.pools import UserPool
from accounts.models.providers import IdentityProvider
from accounts.models.users import PoolUser


class SignInSession(models.Model):
    """A browser in which a user signed in. Only the digest of the cookie is stored.

    One that came through a SAML provider outlives its end: by it a sign-out at the provider finds the grants, which
    have the same user and ``auth_time``.
    """

    digest = models.CharField(max_length=43, unique=True)
    user = models.ForeignKey(PoolUser, models.CASCADE, related_name="sessions")
    provider = models.ForeignKey(IdentityProvider, models.CASCADE, null=True, blank=True, related_name="sessions")
    name_id = models.CharField(max_length=1024, blank=True, default="")
    name_id_format = models.CharField(max_length=256, blank=True, default="")
    name_qualifier = models.CharField(max_length=1024, blank=True, default="")
    sp_name_qualifier = models.CharField(max_length=1024, blank=True, default="")
    session_index = models.CharField(max_length=512, blank=True, default="")
    authn_instant = models.DateTimeField(null=True, blank=True, help_text="When the provider authenticated the user.")
    auth_time = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-auth_time"]
        indexes = [
            models.Index(fields=["provider", "name_id"], name="session_at_provider"),
            # for the clean-up, which would read all that came through SAML to find the others
            models.Index(fields=["expires_at"], name="session_not_of_saml", condition=models.Q(name_id="")),
        ]

    def __str__(self) -> str:
        return f"session of {self.user_id} since {self.auth_time:%Y-%m-%d %H:%M}"


class SignInThrottle(models.Model):
    """Failed sign-ins of one name or one address. ``key`` is a digest: the table names nobody."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="+")
    key = models.CharField(max_length=43)
    failures = models.PositiveIntegerField(default=0)
    blocked_until = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_pool", "key"], name="throttle_in_pool")]

    def __str__(self) -> str:
        return f"{self.failures} failures"
