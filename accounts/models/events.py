"""What happened: sign-ins, refusals, lock-outs, revocations, keys. For the operator who is asked why it did not work.

Rows are written once. They hold names of claims and never their values, and no code, token, secret or assertion; what
a SAML provider sent is kept without its values when it was refused. What an operator changed is in the audit trail
(accounts/models/audit.py). ``SignIn`` and ``PasswordChange`` are Cognito's words (AdminListUserAuthEvents, EventType).
"""

from django.db import models

from accounts.models.pools import UserPool
from accounts.models.providers import IdentityProvider
from accounts.models.users import PoolUser


class EventType(models.TextChoices):
    SIGN_IN = "SignIn", "Sign-in"
    SIGN_OUT = "SignOut", "Sign-out"
    PASSWORD_CHANGE = "PasswordChange", "Password change"
    LOCK_OUT = "LockOut", "Lock-out"
    TOKEN_REQUEST = "TokenRequest", "Token request"
    TOKEN_REVOCATION = "TokenRevocation", "Revocation"
    KEY_ROTATION = "KeyRotation", "Key rotation"
    PROVIDER_REFRESH = "ProviderRefresh", "Provider's documents"


class Outcome(models.TextChoices):
    SUCCEEDED = "succeeded", "Succeeded"
    REFUSED = "refused", "Refused"


class AuthEvent(models.Model):
    """One event: what, how it ended, who it was about, and the steps that led there."""

    at = models.DateTimeField(auto_now_add=True)
    event_type = models.CharField(max_length=16, choices=EventType, default=EventType.SIGN_IN)
    # each has an index below that begins with it
    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="auth_events", db_index=False)
    provider = models.ForeignKey(
        IdentityProvider, models.SET_NULL, null=True, blank=True, related_name="auth_events", db_index=False
    )
    provider_name = models.CharField(max_length=32, blank=True, default="")
    client_id = models.CharField(max_length=128, blank=True, default="")
    user = models.ForeignKey(
        PoolUser, models.SET_NULL, null=True, blank=True, related_name="auth_events", db_index=False
    )
    subject = models.CharField(max_length=512, blank=True, default="", help_text="Who it was, in the provider's words.")
    outcome = models.CharField(max_length=16, choices=Outcome)
    reason = models.CharField(max_length=48, blank=True, default="", help_text="Why, as one word.")
    error = models.CharField(max_length=48, blank=True, default="", help_text="The error code that the app was sent.")
    description = models.CharField(max_length=512, blank=True, default="", help_text="And the words with it.")
    steps = models.JSONField(default=list, blank=True)
    document = models.TextField(blank=True, default="", help_text="The refused SAML message, without its values.")
    address = models.CharField(max_length=45, blank=True, default="", help_text="The browser's or the app's address.")
    request_id = models.CharField(max_length=36, blank=True, default="", db_index=True)

    class Meta:
        verbose_name = "event"
        permissions = [("export_authevent", "Can export events")]
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["at"], name="events_by_time"),
            models.Index(fields=["user_pool", "-id"], name="events_of_pool"),
            models.Index(fields=["provider", "-id"], name="events_at_provider"),
            models.Index(fields=["user", "-id"], name="events_of_user"),
            models.Index(fields=["user_pool", "client_id", "-id"], name="events_of_client"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(outcome__in=Outcome.values), name="outcome_is_known"),
            models.CheckConstraint(condition=models.Q(event_type__in=EventType.values), name="event_type_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.get_event_type_display()}: {self.get_outcome_display().lower()}"


class EventCount(models.Model):
    """How many events of a kind a pool had in one hour (UTC); made again from the events, never added to."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="event_counts", db_index=False)
    hour = models.DateTimeField(db_index=True)
    event_type = models.CharField(max_length=16, choices=EventType)
    outcome = models.CharField(max_length=16, choices=Outcome)
    provider_name = models.CharField(max_length=32, blank=True, default="")
    reason = models.CharField(max_length=48, blank=True, default="")
    count = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user_pool", "hour", "event_type", "outcome", "provider_name", "reason"],
                name="one_count_of_a_kind",
            )
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.event_type}"
