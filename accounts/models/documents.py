"""What identity providers publish about themselves, kept so that a sign-in need not ask and an outage does not matter.

The rows are shared by all processes. ``claimed_until`` is the turn to fetch: whoever sets it goes, the others wait or
use what is there.
"""

from django.db import models

from accounts.models.providers import IdentityProvider


class ProviderDocument(models.Model):
    """The last good copy of one document of one provider, and how the last attempt to read it again went."""

    provider = models.ForeignKey(IdentityProvider, models.CASCADE, related_name="documents")
    kind = models.CharField(max_length=16, help_text="discovery, jwks or saml.")
    url = models.CharField(max_length=2048)
    body = models.TextField(blank=True, default="")
    fetched_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=32, blank=True, default="", help_text="Why the last attempt failed.")
    failed_at = models.DateTimeField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "kind"], name="document_of_provider")]

    def __str__(self) -> str:
        return f"{self.kind} of provider {self.provider_id}"
