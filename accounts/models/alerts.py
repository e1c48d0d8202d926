"""What needs an operator, from the moment that it was found until it is over (accounts/alerts.py)."""

from django.db import models

from accounts.models.pools import UserPool


class Alert(models.Model):
    """One finding, by its key, and how bad it was when operators were told last."""

    key = models.CharField(max_length=200, unique=True)
    user_pool = models.ForeignKey(UserPool, models.CASCADE, null=True, blank=True, related_name="alerts")
    severity = models.PositiveSmallIntegerField()
    words = models.CharField("what", max_length=500)
    mend = models.CharField("what to do", max_length=1000)
    since = models.DateTimeField()
    told_severity = models.PositiveSmallIntegerField(default=0, help_text="0: nobody was told.")
    told_at = models.DateTimeField(null=True, blank=True)
    over_at = models.DateTimeField(null=True, blank=True, db_index=True)

    def __str__(self) -> str:
        return self.words
