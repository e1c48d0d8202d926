"""The audit trail: who changed what, when, from what to what. Secrets are masked before they get here."""

from django.db import models


class AuditEvent(models.Model):
    """One change, by an operator in the console or by a command. Rows are written once and never edited."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=150, help_text="The operator's username, or the command's name.")
    action = models.CharField(max_length=40)
    user_pool = models.CharField(max_length=55, blank=True, default="", db_index=True)
    target_type = models.CharField(max_length=40)
    target_id = models.CharField(max_length=200)
    target_name = models.CharField(max_length=256, blank=True, default="")
    changes = models.JSONField(default=dict, blank=True, help_text="Field to [before, after].")
    request_id = models.CharField(max_length=36, blank=True, default="")

    class Meta:
        ordering = ["-at", "-id"]
        permissions = [("export_auditevent", "Can export the audit trail")]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.target_type} {self.target_name}"
