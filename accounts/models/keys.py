"""Signing keys. Time decides what a key does, not a status: see accounts/signing.py."""

from django.db import models

from accounts.fields import EncryptedTextField
from accounts.models.pools import SigningAlgorithm, UserPool


class TokenUse(models.TextChoices):
    ID = "id", "ID tokens"
    ACCESS = "access", "access tokens"


class SigningKey(models.Model):
    """A key pair that signs from not_before to not_after and is published from its making until expires_at."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="signing_keys")
    token_use = models.CharField(max_length=6, choices=TokenUse)
    kid = models.CharField(max_length=44, unique=True)
    alg = models.CharField(max_length=5, choices=SigningAlgorithm)
    public_jwk = models.JSONField()
    private_jwk = EncryptedTextField(help_text="Cleared once the key no longer signs.")
    created_at = models.DateTimeField(auto_now_add=True)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        ordering = ["token_use", "not_before", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(not_after__isnull=True) | models.Q(expires_at__gte=models.F("not_after")),
                name="key_is_published_as_long_as_it_signs",
            ),
            # two workers that rotate at once: the second finds the successor there
            models.UniqueConstraint(
                fields=["user_pool", "token_use"],
                condition=models.Q(not_after__isnull=True),
                name="one_open_ended_key",
            ),
        ]

    def __str__(self) -> str:
        return self.kid
