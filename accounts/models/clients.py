"""App clients and their secrets. AppClient is the toolkit's swapped Application.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolClientType.html
"""

import hmac
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models, transaction
from oauth2_provider.models import AbstractApplication

from accounts import opaque, rules
from accounts.fields import EncryptedTextField
from accounts.models import client_rules
from accounts.models.pools import UserPool
from accounts.models.providers import IdentityProvider


def generate_client_id() -> str:
    return opaque.random_lower(26)


class Dialect(models.TextChoices):
    COGNITO = "cognito", "Cognito (what Cognito answers, to the byte)"
    OIDC = "oidc", "OpenID Connect (what the standards ask for)"


class AppClient(AbstractApplication):
    """An application that signs users of one pool in, or that asks for tokens of its own."""

    # what the toolkit keeps per application and Userpool keeps elsewhere, or not at all
    user = None
    client_secret = None
    hash_client_secret = None
    authorization_grant_type = None
    skip_authorization = None
    algorithm = None
    allowed_origins = None
    registration_source = None
    cimd_expires_at = None

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="app_clients")
    client_id = models.CharField(
        max_length=128, unique=True, default=generate_client_id, validators=[RegexValidator(rules.CLIENT_ID)]
    )
    name = models.CharField("client name", max_length=128, validators=[RegexValidator(rules.NAME)])
    client_type = models.CharField(
        max_length=32, choices=AbstractApplication.CLIENT_TYPES, default=AbstractApplication.CLIENT_PUBLIC
    )
    redirect_uris = models.TextField("callback URLs", blank=True, default="", help_text="One a line.")
    post_logout_redirect_uris = models.TextField("sign-out URLs", blank=True, default="", help_text="One a line.")
    default_redirect = models.CharField(
        "default redirect URI", max_length=1024, blank=True, default="", help_text="One of the callback URLs."
    )
    allowed_oauth_flows_user_pool_client = models.BooleanField(
        "OAuth is on", default=False, help_text="Without it the OAuth endpoints refuse this client."
    )
    allowed_oauth_flows = models.JSONField(
        "OAuth flows", default=list, blank=True, help_text="code and implicit, or client_credentials alone."
    )
    allowed_oauth_scopes = models.JSONField("OAuth scopes", default=list, blank=True)
    cognito_sign_in = models.BooleanField(
        "users of the pool itself", default=False, help_text="COGNITO among the supported identity providers."
    )
    identity_providers = models.ManyToManyField(IdentityProvider, blank=True, related_name="app_clients")
    access_token_validity = models.DurationField(default=timedelta(hours=1))
    id_token_validity = models.DurationField("ID token validity", default=timedelta(hours=1))
    refresh_token_validity = models.DurationField(default=timedelta(days=30))
    token_validity_units = models.JSONField(default=dict, blank=True)
    refresh_token_rotation = models.BooleanField(default=False)
    retry_grace_period_seconds = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(60)])
    enable_token_revocation = models.BooleanField(default=True)
    prevent_user_existence_errors = models.BooleanField(default=True)
    read_attributes = models.JSONField(null=True, blank=True, help_text="Empty: every attribute.")
    write_attributes = models.JSONField(null=True, blank=True, help_text="Empty: every attribute.")
    require_pkce = models.BooleanField("PKCE is required", default=False)
    dialect = models.CharField(max_length=8, choices=Dialect, default=Dialect.COGNITO)
    other_fields = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["name", "client_id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(retry_grace_period_seconds__lte=60), name="retry_grace_is_a_minute_at_most"
            ),
            models.CheckConstraint(condition=models.Q(dialect__in=Dialect.values), name="dialect_is_known"),
            models.CheckConstraint(
                condition=models.Q(
                    access_token_validity__gte=timedelta(minutes=5),
                    access_token_validity__lte=timedelta(days=1),
                ),
                name="access_token_validity_range",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    id_token_validity__gte=timedelta(minutes=5), id_token_validity__lte=timedelta(days=1)
                ),
                name="id_token_validity_range",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    refresh_token_validity__gte=timedelta(hours=1),
                    refresh_token_validity__lte=timedelta(days=3650),
                ),
                name="refresh_token_validity_range",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def callback_urls(self) -> tuple[str, ...]:
        return tuple(self.redirect_uris.split())

    @cached_property
    def logout_urls(self) -> tuple[str, ...]:
        return tuple(self.post_logout_redirect_uris.split())

    @cached_property
    def secret_digests(self) -> tuple[str, ...]:
        return tuple(secret.digest for secret in self.secrets.all())

    @cached_property
    def providers(self) -> tuple[IdentityProvider, ...]:
        """The identity providers of this client but the pool itself."""
        return tuple(self.identity_providers.all())

    @property
    def supported_identity_providers(self) -> list[str]:
        """Their names as the Cognito API lists them, ``COGNITO`` first."""
        return ["COGNITO"] * self.cognito_sign_in + [provider.provider_name for provider in self.providers]

    @property
    def is_confidential(self) -> bool:
        return bool(self.client_type == self.CLIENT_CONFIDENTIAL)

    @property
    def default_redirect_uri(self) -> str:
        """What an omitted redirect_uri means; empty unless the client has exactly one IdP (client-apps page)."""
        if len(self.supported_identity_providers) != 1:
            return ""
        return self.default_redirect or (self.callback_urls[0] if len(self.callback_urls) == 1 else "")

    def redirect_uri_allowed(self, uri: str) -> bool:
        """Whether ``uri`` is a callback URL, compared as a string and in no other way."""
        return uri in self.callback_urls

    def post_logout_redirect_uri_allowed(self, uri: str) -> bool:
        return uri in self.logout_urls

    def allows_flow(self, flow: str) -> bool:
        return self.allowed_oauth_flows_user_pool_client and flow in self.allowed_oauth_flows

    def secret_matches(self, secret: str) -> bool:
        """Whether ``secret`` is one of the client's secrets. Each is compared, in constant time."""
        presented = opaque.digest(secret)
        matches = [hmac.compare_digest(presented, known) for known in self.secret_digests]
        return True in matches

    def clean(self) -> None:
        client_rules.check(self)

    @transaction.atomic
    def add_secret(self, secret: str | None = None) -> "AppClientSecret":
        """Add a secret, generated unless given; raise ValidationError when two are live already."""
        slots = set(self.secrets.values_list("slot", flat=True))
        free = [slot for slot in AppClientSecret.SLOTS if slot not in slots]
        if not free:
            raise ValidationError("An app client has at most two secrets. Delete one first.")
        value = secret or opaque.random_lower(51)
        rules.check_client_secret(value)
        row = AppClientSecret.objects.create(app_client=self, slot=free[0], secret=value, digest=opaque.digest(value))
        self.client_type = self.CLIENT_CONFIDENTIAL
        type(self).objects.filter(pk=self.pk).update(client_type=self.client_type)
        self.__dict__.pop("secret_digests", None)
        return row


class AppClientSecret(models.Model):
    """One of at most two live secrets: its digest to compare with, and sealed for an operator who may see it."""

    SLOTS = (1, 2)

    app_client = models.ForeignKey(AppClient, models.CASCADE, related_name="secrets")
    slot = models.PositiveSmallIntegerField(choices=[(slot, slot) for slot in SLOTS])
    digest = models.CharField(max_length=43)
    secret = EncryptedTextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slot"]
        default_permissions = ("add", "change", "delete")
        # not "view": whoever may look at everything must not thereby hold every client's secret
        permissions = [("reveal_appclientsecret", "Can see a client secret in clear")]
        constraints = [
            models.UniqueConstraint(fields=["app_client", "slot"], name="client_secret_slot"),
            models.CheckConstraint(condition=models.Q(slot__in=(1, 2)), name="two_client_secrets_at_most"),
        ]

    def __str__(self) -> str:
        return f"secret {self.slot} of {self.app_client_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.digest = opaque.digest(self.secret)
        super().save(*args, **kwargs)
