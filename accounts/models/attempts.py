"""What happened at each sign-in through an identity provider, for the operator who is asked why it did not work.

Rows are written once. They hold names of claims and never their values, and no code, token, secret or assertion; what
a SAML provider sent is kept without its values when it was refused.
"""

from django.db import models

from accounts.models.pools import UserPool
from accounts.models.providers import IdentityProvider
from accounts.models.users import PoolUser


class Outcome(models.TextChoices):
    SIGNED_IN = "signed_in", "Signed in"
    REFUSED = "refused", "Refused"
    SIGNED_OUT = "signed_out", "Signed out"


class SignInAttempt(models.Model):
    """One attempt: how it ended, and the steps that led there."""

    at = models.DateTimeField(auto_now_add=True)
    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="sign_in_attempts")
    provider = models.ForeignKey(
        IdentityProvider, models.SET_NULL, null=True, blank=True, related_name="sign_in_attempts"
    )
    provider_name = models.CharField(max_length=32, blank=True, default="")
    client_id = models.CharField(max_length=128, blank=True, default="")
    user = models.ForeignKey(PoolUser, models.SET_NULL, null=True, blank=True, related_name="sign_in_attempts")
    subject = models.CharField(max_length=512, blank=True, default="", help_text="Who it was, in the provider's words.")
    outcome = models.CharField(max_length=16, choices=Outcome)
    reason = models.CharField(max_length=48, blank=True, default="", help_text="Why it was refused, as one word.")
    error = models.CharField(max_length=48, blank=True, default="", help_text="The error code that the app was sent.")
    description = models.CharField(max_length=512, blank=True, default="", help_text="And the words with it.")
    steps = models.JSONField(default=list, blank=True)
    document = models.TextField(blank=True, default="", help_text="The refused SAML message, without its values.")
    request_id = models.CharField(max_length=36, blank=True, default="", db_index=True)

    class Meta:
        verbose_name = "sign-in attempt"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["user_pool", "-id"], name="attempts_of_pool"),
            models.Index(fields=["provider", "-id"], name="attempts_at_provider"),
            models.Index(fields=["at"], name="attempts_by_age"),
        ]
        constraints = [models.CheckConstraint(condition=models.Q(outcome__in=Outcome.values), name="outcome_is_known")]

    def __str__(self) -> str:
        return f"{self.provider_name or 'sign-in'} at {self.at:%Y-%m-%d %H:%M:%S}"
