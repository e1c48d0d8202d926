"""The accounts application."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate, post_save


class AccountsConfig(AppConfig):
    """Connects the in-process cache to the models, registers the system checks and the console."""

    name = "accounts"
    verbose_name = "Userpool"

    def ready(self) -> None:
        from accounts import checks, clock, connections, directory, former_providers, jobs, signing  # noqa: F401 - the registry must be ready first

        connections.connect()
        clock.connect()
        directory.connect()
        former_providers.connect()
        post_migrate.connect(jobs.ensure_rows, sender=self, dispatch_uid="job-rows")
        post_save.connect(signing.make_first_keys, sender="accounts.UserPool", dispatch_uid="first-keys")
