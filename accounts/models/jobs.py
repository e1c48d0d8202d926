"""What the scheduled jobs did last, for operators and for the workers that take turns."""

from django.db import models


class JobRun(models.Model):
    """One scheduled job: its newest run. There is a row for every job of the schedule (accounts/jobs.py)."""

    name = models.CharField(max_length=64, unique=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    succeeded_at = models.DateTimeField(null=True, blank=True, help_text="When it last did all that it had to.")
    running_until = models.DateTimeField(null=True, blank=True, help_text="Until then nobody else begins it.")
    result = models.JSONField(default=dict, blank=True, help_text="What it counted.")
    failure = models.CharField(max_length=128, blank=True, default="", help_text="Why the newest run failed.")

    class Meta:
        verbose_name = "job"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
