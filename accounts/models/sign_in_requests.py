"""A sign-in that is paused at an identity provider.

One row a pause: ``state`` (RFC 6749 10.12) or RelayState finds it, the browser's cookie must fit it, and it is spent by
one conditional UPDATE. What is stored of the two are digests. The row stays until it expires: that is how a replay is
told from a state that was never ours.
"""

from django.db import models

from accounts.fields import EncryptedJSONField
from accounts.models.pools import UserPool
from accounts.models.providers import IdentityProvider


class SignInRequest(models.Model):
    """An authorize request that waits for the answer of ``provider``."""

    user_pool = models.ForeignKey(UserPool, models.CASCADE, related_name="sign_in_requests")
    provider = models.ForeignKey(IdentityProvider, models.CASCADE, related_name="sign_in_requests")
    digest = models.CharField(max_length=43, unique=True)
    browser_digest = models.CharField(max_length=43)
    authorize_query = models.TextField()
    upstream_state = EncryptedJSONField(
        blank=True, default=dict, help_text="What the protocol must remember: nonce, PKCE verifier, request id."
    )
    refusals = models.PositiveSmallIntegerField(
        default=0, help_text="How many answers were refused before the right one came."
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"sign-in {self.pk} at provider {self.provider_id}"
