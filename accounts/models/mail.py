"""The outbox: mail that waits to be sent, and for some days what became of it. One row for each recipient.

A row for each, because a server may take a mail for one and not for another: what was taken is never sent again. The
body may hold a code, so it is sealed, and deleted once nobody needs it any more (accounts/mail.py).
"""

from django.db import models

from accounts.fields import EncryptedTextField
from accounts.models.pools import UserPool


class OutgoingMail(models.Model):
    """One mail to one address.

    ``next_attempt_at`` is when it is due, and while it is being sent, until when it is taken.
    """

    kind = models.CharField(max_length=32)
    user_pool = models.ForeignKey(UserPool, models.CASCADE, null=True, blank=True, related_name="outgoing_mail")
    recipient = models.CharField(max_length=320)
    subject = models.CharField(max_length=200)  # operators see it: nothing secret belongs there
    text = EncryptedTextField(blank=True, default="")
    html = EncryptedTextField(blank=True, default="")
    message_id = models.CharField(max_length=320, unique=True, help_text="The same in every attempt.")
    key = models.CharField(max_length=128, blank=True, default="", help_text="Of two with one key there is one.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True, help_text="It is worth nothing afterwards.")
    retry_until = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=64, blank=True, default="", help_text="Why the newest attempt failed.")

    class Meta:
        verbose_name = "outgoing mail"
        verbose_name_plural = "outgoing mail"
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], name="mail_that_is_due", condition=models.Q(next_attempt_at__isnull=False)
            ),
            models.Index(fields=["created_at"], name="mail_by_age"),
            models.Index(fields=["recipient"], name="mail_by_recipient"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["key", "recipient"], condition=~models.Q(key=""), name="mail_is_queued_once"
            ),
            models.CheckConstraint(
                condition=models.Q(sent_at__isnull=True) | models.Q(given_up_at__isnull=True), name="mail_ends_one_way"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
