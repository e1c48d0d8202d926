"""The people of the console. They are Django's users; a user of a pool can never be one."""

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models


class Operator(AbstractUser):
    """Somebody who configures pools in the console, with Django's permissions (AUTH_USER_MODEL)."""

    receives_alerts = models.BooleanField(
        default=False,
        db_default=False,  # for the previous version's code, which knows no such column
        help_text="Is told by e-mail what needs an operator: failing jobs and providers, expiring keys.",
    )

    class Meta(AbstractUser.Meta):
        verbose_name = "operator"
        verbose_name_plural = "operators"

    def clean(self) -> None:
        super().clean()
        if self.receives_alerts and not self.email:
            raise ValidationError({"email": "Alerts are sent there. Give an address."})
