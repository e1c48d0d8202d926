"""The people of the console. They are Django's users; a user of a pool can never be one."""

from django.contrib.auth.models import AbstractUser


class Operator(AbstractUser):
    """Somebody who configures pools in the console, with Django's permissions (AUTH_USER_MODEL)."""

    class Meta(AbstractUser.Meta):
        verbose_name = "operator"
        verbose_name_plural = "operators"
