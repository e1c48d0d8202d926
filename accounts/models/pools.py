"""User pools, the domains they answer on, and the resource servers whose scopes they grant.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolType.html
"""

from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Lower

from accounts import opaque, rules
from accounts.attributes import Schema
from accounts.passwords import PasswordPolicy

LONGEST_KEY = 256  # characters; PoolUser.username_key


def generate_pool_id() -> str:
    """Return an id that clients take for a regional one (aws-jwt-verify insists on the shape)."""
    return f"eu-west-1_{opaque.random_mixed(9)}"


class SigningAlgorithm(models.TextChoices):
    RS256 = "RS256", "RS256 (Cognito's)"
    ES256 = "ES256", "ES256 (smaller and faster; not every Cognito client verifies it)"


class UserPool(models.Model):  # type: ignore[django-manager-missing] # the toolkit is untyped
    """A directory of users with its own issuer, keys, app clients and identity providers."""

    id = models.CharField(
        "pool id",
        primary_key=True,
        max_length=55,
        default=generate_pool_id,
        validators=[RegexValidator(rules.POOL_ID)],
    )
    name = models.CharField(max_length=128, validators=[RegexValidator(rules.NAME)])
    schema_attributes = models.JSONField(
        default=list,
        blank=True,
        help_text="Custom attributes, and standard ones whose rules differ from the default.",
    )
    password_policy = models.JSONField(default=dict, blank=True)
    username_attributes = models.JSONField(
        default=list, blank=True, help_text="Sign in with these instead of a username: email, phone_number."
    )
    alias_attributes = models.JSONField(
        default=list,
        blank=True,
        help_text="Sign in with these as well: email, phone_number, preferred_username.",
    )
    auto_verified_attributes = models.JSONField(default=list, blank=True)
    case_sensitive = models.BooleanField("usernames are case-sensitive", default=False)
    deletion_protection = models.BooleanField(default=False)
    signing_algorithm = models.CharField(max_length=5, choices=SigningAlgorithm, default=SigningAlgorithm.RS256)
    key_rotation_days = models.PositiveIntegerField(
        default=90, help_text="How many days a signing key signs; 0 keeps it until it is rotated by hand."
    )
    event_retention_days = models.PositiveIntegerField(
        "events are kept for (days)",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text="Sign-ins, refusals and the like, with their addresses.",
    )
    audit_retention_days = models.PositiveIntegerField(
        "the audit trail is kept for (days)",
        default=365,
        validators=[MaxValueValidator(3650)],
        help_text="What operators and commands changed; 0 keeps it for ever.",
    )
    other_fields = models.JSONField(
        default=dict, blank=True, help_text="Fields of Cognito's that are kept for export and not acted upon."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(name=""), name="user_pool_is_named"),
            models.CheckConstraint(
                condition=models.Q(signing_algorithm__in=SigningAlgorithm.values), name="user_pool_algorithm"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def issuer(self) -> str:
        """The issuer URL; it never changes with the domains (W 1.1)."""
        return f"{settings.USERPOOL_ISSUER_BASE_URL}/{self.pk}"

    @property
    def base_url(self) -> str:
        """Where the pool's endpoints are published: the custom domain, else the prefix domain, else the issuer."""
        return self.domain_url(sorted(self.domains.all(), key=lambda domain: not domain.is_custom))

    def domain_url(self, domains: "list[UserPoolDomain]") -> str:
        for domain in domains:
            if domain.host:
                return domain.base_url
        return self.issuer

    @property
    def policy(self) -> PasswordPolicy:
        return PasswordPolicy.parse(self.password_policy)

    @cached_property
    def schema(self) -> Schema:
        return Schema.parse(self.schema_attributes)

    def username_key(self, value: str) -> str:
        """Return what usernames and aliases are compared by: as given, or case-folded.

        Folding may treble a name. One that is too long to be stored and indexed is compared by its digest, with a
        space before it: no name that somebody types begins with one.
        """
        key = value if self.case_sensitive else value.casefold()
        return key if len(key) <= LONGEST_KEY else f" {opaque.digest(key)}"

    def clean(self) -> None:
        self.__dict__.pop("schema", None)
        errors: dict[str, Any] = {}
        for field, check in (
            ("schema_attributes", lambda: Schema.parse(self.schema_attributes)),
            ("password_policy", lambda: PasswordPolicy.parse(self.password_policy)),
            (
                "username_attributes",
                lambda: rules.check_sign_in_attributes(self.username_attributes, self.alias_attributes),
            ),
            (
                "auto_verified_attributes",
                lambda: rules.check_choices(self.auto_verified_attributes, rules.VERIFIABLE),
            ),
        ):
            try:
                check()
            except ValidationError as error:
                errors[field] = error
        if errors:
            raise ValidationError(errors)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """Delete the pool and all that belongs to it; raise ValidationError while it is protected."""
        if self.deletion_protection:
            raise ValidationError("Deletion protection is active. Switch it off first.")
        return super().delete(*args, **kwargs)


class UserPoolDomain(models.Model):
    """A host that a pool answers on: a prefix under USERPOOL_DOMAIN_SUFFIX, or a custom domain."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="domains")
    domain = models.CharField(max_length=253, help_text="A prefix (demo) or a whole host (auth.example.com).")
    is_custom = models.BooleanField("custom domain", default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["domain"], name="domain_is_unique"),
            models.UniqueConstraint(fields=["user_pool", "is_custom"], name="one_domain_of_a_kind"),
            models.CheckConstraint(condition=models.Q(domain=Lower("domain")), name="domain_is_lower_case"),
        ]

    def __str__(self) -> str:
        return self.domain

    @property
    def host(self) -> str:
        """The host name without port; empty for a prefix while no USERPOOL_DOMAIN_SUFFIX is set."""
        if self.is_custom:
            return self.domain
        suffix = settings.USERPOOL_DOMAIN_SUFFIX
        return f"{self.domain}.{suffix}" if suffix else ""

    @property
    def base_url(self) -> str:
        base = urlsplit(settings.USERPOOL_ISSUER_BASE_URL)
        port = f":{base.port}" if base.port else ""
        return f"{base.scheme}://{self.host}{port}"

    def clean(self) -> None:
        self.domain = self.domain.lower()
        rules.check_domain(self.domain, self.is_custom)


class ResourceServer(models.Model):
    """An API whose custom scopes the pool grants; a scope on the wire is ``identifier/scope name``."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="resource_servers")
    identifier = models.CharField(max_length=256, validators=[RegexValidator(rules.SCOPE)])
    name = models.CharField(max_length=256, validators=[RegexValidator(rules.NAME_256)])
    scopes = models.JSONField(default=list, blank=True, help_text="[{ScopeName, ScopeDescription}], at most 100.")
    other_fields = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["identifier"]
        constraints = [models.UniqueConstraint(fields=["user_pool", "identifier"], name="resource_server_in_pool")]

    def __str__(self) -> str:
        return self.identifier

    @property
    def scope_names(self) -> list[str]:
        """The scopes as they stand on the wire."""
        return [f"{self.identifier}/{scope['ScopeName']}" for scope in self.scopes]

    def clean(self) -> None:
        try:
            rules.check_resource_server_scopes(self.scopes)
        except ValidationError as error:
            raise ValidationError({"scopes": error}) from error
