"""Identity providers: where else the users of a pool may come from.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_IdentityProviderType.html
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from accounts import provider_details, rules, saml_metadata
from accounts.fields import EncryptedJSONField
from accounts.models.pools import UserPool
from accounts.provider_details import SamlDetails


class ProviderType(models.TextChoices):
    OIDC = "OIDC", "OpenID Connect"
    SAML = "SAML", "SAML 2.0"
    GOOGLE = "Google", "Google"
    FACEBOOK = "Facebook", "Facebook"
    LOGIN_WITH_AMAZON = "LoginWithAmazon", "Login with Amazon"
    SIGN_IN_WITH_APPLE = "SignInWithApple", "Sign in with Apple"


class IdentityProvider(models.Model):
    """An OpenID Connect, SAML 2.0 or social identity provider of one pool."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="identity_providers")
    provider_name = models.CharField(max_length=32)
    provider_type = models.CharField(max_length=16, choices=ProviderType)
    provider_details = EncryptedJSONField(blank=True, default=dict)
    attribute_mapping = models.JSONField(default=dict, blank=True, help_text="User pool attribute to IdP claim.")
    idp_identifiers = models.JSONField(
        default=list,
        blank=True,
        help_text="E-mail domains or names that lead to this provider; unique in the pool.",
    )
    other_fields = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["provider_name"]
        constraints = [
            models.UniqueConstraint(fields=["user_pool", "provider_name"], name="provider_in_pool"),
            models.CheckConstraint(
                condition=models.Q(provider_type__in=ProviderType.values), name="provider_type_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.provider_name

    def clean(self) -> None:
        errors: dict[str, Any] = {}
        pool = self.user_pool if self.user_pool_id else None
        for field, check in (
            ("provider_name", lambda: rules.check_provider_name(self.provider_name, self.provider_type)),
            ("provider_details", lambda: self._check_details()),
            (
                "attribute_mapping",
                lambda: rules.check_attribute_mapping(self.attribute_mapping, pool.schema if pool else None),
            ),
            ("idp_identifiers", lambda: self._check_identifiers()),
        ):
            try:
                check()
            except ValidationError as error:
                errors[field] = error
        if errors:
            raise ValidationError(errors)

    def _check_details(self) -> None:
        details = provider_details.parse(self.provider_type, self.provider_details)
        if not isinstance(details, SamlDetails) or not details.metadata_file:
            return
        stored: Any = IdentityProvider.objects.filter(pk=self.pk).values_list("provider_details", flat=True).first()
        try:
            saml_metadata.check(details.metadata_file, timezone.now(), (stored or {}).get("MetadataFile", ""))
        except ValidationError as error:
            raise ValidationError([f"MetadataFile: {message}" for message in error.messages]) from error

    def _check_identifiers(self) -> None:
        rules.check_idp_identifiers(self.idp_identifiers)
        others = IdentityProvider.objects.filter(user_pool=self.user_pool_id).exclude(pk=self.pk)
        taken = {name for other in others for name in other.idp_identifiers}
        if clash := sorted(taken & set(self.idp_identifiers)):
            raise ValidationError(f"Another provider of this pool has {', '.join(clash)} already.")
