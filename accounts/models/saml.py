"""What SAML keeps: a pool's key pairs, the assertions that were used, and the sign-outs that wait for an answer.

A key pair has three times of life: made, activated, retired. See accounts/saml_keys.py.
"""

from django.db import models

from accounts.fields import EncryptedTextField
from accounts.models.pools import UserPool
from accounts.models.providers import IdentityProvider


class KeyUse(models.TextChoices):
    SIGNING = "signing", "signs requests"
    ENCRYPTION = "encryption", "decrypts assertions"


class SamlKey(models.Model):
    """An RSA key pair of a pool as a SAML service provider, with a certificate that providers register."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="saml_keys")
    use = models.CharField(max_length=10, choices=KeyUse)
    certificate = models.TextField(help_text="Base64 of the DER.")
    fingerprint = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the DER.")
    private_key = EncryptedTextField(help_text="PEM. Cleared once the key signs no more.")
    created_at = models.DateTimeField(auto_now_add=True)
    not_after = models.DateTimeField(help_text="When the certificate expires.")
    activated_at = models.DateTimeField(null=True, blank=True, help_text="Since when the key is used.")
    retired_at = models.DateTimeField(null=True, blank=True, help_text="Since when another one is used instead.")

    class Meta:
        verbose_name = "SAML key"
        ordering = ["user_pool_id", "use", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(use__in=KeyUse.values), name="saml_key_use_is_known"),
            # of two who make the first one, or its successor, at once the second finds it there
            models.UniqueConstraint(
                fields=["user_pool", "use"],
                condition=models.Q(activated_at__isnull=False, retired_at__isnull=True),
                name="one_active_saml_key",
            ),
            models.UniqueConstraint(
                fields=["user_pool", "use"],
                condition=models.Q(activated_at__isnull=True, retired_at__isnull=True),
                name="one_next_saml_key",
            ),
        ]

    def __str__(self) -> str:
        return self.fingerprint[:16]


class UsedSamlMessage(models.Model):
    """An assertion, or a request to sign out, that was taken. Until it is dead by itself it is not taken again."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=43, help_text="Of the issuer and the message's ID.")
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_pool", "digest"], name="saml_message_is_used_once")]

    def __str__(self) -> str:
        return self.digest


class SignOutRequest(models.Model):
    """A browser that is at a provider to sign out there. The session here has ended already."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="+")
    provider = models.ForeignKey(IdentityProvider, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=43, unique=True, help_text="Of the RelayState.")
    url = models.TextField(blank=True, default="", help_text="Where the app wants the browser back; a proven address.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"sign-out {self.pk} at provider {self.provider_id}"
