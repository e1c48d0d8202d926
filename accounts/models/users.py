"""The users of a pool, what they sign in by, their groups and their identities at other providers.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserType.html
"""

import uuid
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import check_password, make_password
from django.core.validators import RegexValidator
from django.db import models, transaction

from accounts import rules
from accounts.models.pools import UserPool
from accounts.models.providers import IdentityProvider
from accounts.statements import change, time_param

MAX_IDENTITIES = 5  # of one user (quotas page)


def generate_sub() -> str:
    return str(uuid.uuid4())


class UserStatus(models.TextChoices):
    UNCONFIRMED = "UNCONFIRMED", "Unconfirmed"
    CONFIRMED = "CONFIRMED", "Confirmed"
    RESET_REQUIRED = "RESET_REQUIRED", "Password reset required"
    FORCE_CHANGE_PASSWORD = "FORCE_CHANGE_PASSWORD", "Temporary password"
    EXTERNAL_PROVIDER = "EXTERNAL_PROVIDER", "From an identity provider"


class Group(models.Model):
    """A named set of users; it appears in ``cognito:groups``, its role in ``cognito:roles``."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="groups")
    group_name = models.CharField(max_length=128, validators=[RegexValidator(rules.PRINTABLE)])
    description = models.CharField(max_length=2048, blank=True, default="")
    role_arn = models.CharField(
        "role ARN", max_length=2048, blank=True, default="", validators=[RegexValidator(rules.ROLE_ARN)]
    )
    precedence = models.PositiveIntegerField(null=True, blank=True, help_text="0 is the highest; empty the lowest.")
    other_fields = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["group_name"]
        constraints = [models.UniqueConstraint(fields=["user_pool", "group_name"], name="group_in_pool")]

    def __str__(self) -> str:
        return self.group_name


class PoolUser(AbstractBaseUser):
    """An end user of one pool. ``sub`` is the user's id in every token; attributes are strings, as on the wire."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="users")
    sub = models.CharField(max_length=64, default=generate_sub)
    username = models.CharField(max_length=128, validators=[RegexValidator(rules.PRINTABLE)])
    username_key = models.CharField(max_length=256, editable=False)
    attributes = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=24, choices=UserStatus, default=UserStatus.CONFIRMED)
    enabled = models.BooleanField(default=True)
    password_changed_at = models.DateTimeField(null=True, blank=True)
    signed_out_at = models.DateTimeField(
        null=True, blank=True, help_text="Tokens from before this moment are refused (global sign-out)."
    )
    groups = models.ManyToManyField(Group, blank=True, related_name="users")
    other_fields = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    USERNAME_FIELD = "username"

    class Meta:
        ordering = ["username"]
        constraints = [
            models.UniqueConstraint(fields=["user_pool", "username_key"], name="username_in_pool"),
            models.UniqueConstraint(fields=["user_pool", "sub"], name="sub_in_pool"),
            models.CheckConstraint(condition=models.Q(status__in=UserStatus.values), name="user_status_is_known"),
        ]
        # not "view": whoever may look at a page of users must not thereby carry all of them away
        permissions = [
            ("export_pooluser", "Can export users"),
            ("export_password_hashes", "Can export users with their password hashes"),
        ]

    def __str__(self) -> str:
        return self.username

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the user and what the user may sign in by; IntegrityError when a name or an alias is taken."""
        self.username_key = self.user_pool.username_key(self.username)
        super().save(*args, **kwargs)
        fields = kwargs.get("update_fields")
        if fields is None or "attributes" in fields:
            SignInAlias.sync(self)

    def check_password(self, raw_password: Any) -> bool:
        """Whether this is the password. A hash of another kind is replaced, unless the password was meanwhile."""
        found = self.password

        def replace(password: str) -> None:
            hashed = make_password(password)
            if type(self).objects.filter(pk=self.pk, password=found).update(password=hashed):
                self.password = hashed

        return check_password(raw_password, found, replace)

    def signed_in(self, at: datetime) -> bool:
        """Note the moment of the last sign-in; False when the user was signed out or disabled since it was read.

        Checking a password takes long enough for it to be replaced meanwhile, and that signs the user out.
        """
        text = "UPDATE accounts_pooluser SET last_login = %s WHERE id = %s AND enabled = {true} AND signed_out_at"
        if self.signed_out_at is None:
            return change(f"{text} IS NULL", (time_param(at), self.pk)) == 1
        return change(f"{text} = %s", (time_param(at), self.pk, time_param(self.signed_out_at))) == 1


class SignInAlias(models.Model):
    """An attribute value that one user of a pool may type instead of the username. The row is the reservation."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="+")
    user = models.ForeignKey(PoolUser, models.CASCADE, related_name="aliases")
    attribute = models.CharField(max_length=32)
    key = models.CharField(max_length=2048)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user_pool", "key"], name="alias_in_pool"),
            models.UniqueConstraint(fields=["user", "attribute"], name="one_alias_per_attribute"),
        ]

    def __str__(self) -> str:
        return f"{self.attribute} of {self.user_id}"

    @classmethod
    def wanted(cls, user: PoolUser) -> dict[str, str]:
        """Return attribute to key for what ``user`` may sign in by: as username always, as alias once verified.

        Nothing for a user who comes from an identity provider: there is no password to it, and the address may well be
        that of a user who has one.
        """
        if user.status == UserStatus.EXTERNAL_PROVIDER:
            return {}
        pool, values = user.user_pool, user.attributes
        names = set(pool.username_attributes)
        for name in pool.alias_attributes:
            if name == "preferred_username" or values.get(f"{name}_verified") == "true":
                names.add(name)
        return {name: pool.username_key(values[name]) for name in sorted(names) if values.get(name)}

    @classmethod
    def taken(cls, user: PoolUser) -> list[str]:
        """Return the attributes of ``user`` by which another user of the pool signs in already."""
        others = cls.objects.filter(user_pool_id=user.user_pool_id).exclude(user_id=user.pk)
        wanted = cls.wanted(user)
        keys = set(others.filter(key__in=wanted.values()).values_list("key", flat=True)) if wanted else set()
        return [name for name, key in wanted.items() if key in keys]

    @classmethod
    def sync(cls, user: PoolUser) -> None:
        """Make the rows of ``user`` what they should be; IntegrityError when another user has one of them."""
        wanted = cls.wanted(user)
        present = {row.attribute: row for row in cls.objects.filter(user=user)}
        for name, row in present.items():
            if wanted.get(name) != row.key:
                row.delete()
        missing = [name for name, key in wanted.items() if name not in present or present[name].key != key]
        for name in missing:
            cls.objects.create(user_pool_id=user.user_pool_id, user=user, attribute=name, key=wanted[name])


class LinkedIdentity(models.Model):
    """A user's identity at a provider: where the user came from (``primary``), or a link that an operator made.

    A link by another claim than the subject waits for the first sign-in, which pins it to the subject.
    """

    user = models.ForeignKey(PoolUser, models.CASCADE, related_name="identities")
    provider = models.ForeignKey(IdentityProvider, models.CASCADE, related_name="identities")
    claim = models.CharField(max_length=256, blank=True, default="", help_text="Empty for the subject itself.")
    subject = models.CharField(max_length=512, help_text="The subject, or the value of the claim.")
    pinned_from = models.CharField(
        max_length=769, blank=True, default="", help_text="The claim and value by which it was linked, once pinned."
    )
    issuer = models.CharField(max_length=1024, blank=True, default="", help_text="Empty for social providers.")
    primary = models.BooleanField(default=False)
    date_created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["date_created", "id"]
        verbose_name_plural = "linked identities"
        constraints = [
            models.UniqueConstraint(fields=["provider", "claim", "subject"], name="identity_at_provider"),
            models.CheckConstraint(condition=models.Q(claim="") | models.Q(primary=False), name="origin_is_a_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.provider_id}: {self.subject}"


class FormerIdentity(models.Model):
    """A link to a provider that was deleted. A provider of the same name in the same pool gets its users back."""

    user = models.ForeignKey(PoolUser, models.CASCADE, related_name="former_identities")
    provider_name = models.CharField(max_length=32)
    claim = models.CharField(max_length=256, blank=True, default="")
    subject = models.CharField(max_length=512)
    pinned_from = models.CharField(max_length=769, blank=True, default="")
    issuer = models.CharField(max_length=1024, blank=True, default="")
    primary = models.BooleanField(default=False)
    date_created = models.DateTimeField()

    class Meta:
        verbose_name_plural = "former identities"
        indexes = [models.Index(fields=["provider_name"], name="former_by_provider")]

    def __str__(self) -> str:
        return f"{self.provider_name}: {self.subject}"
