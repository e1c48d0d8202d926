"""The accounts application."""

from django.apps import AppConfig
from django.db.models.signals import post_save


class AccountsConfig(AppConfig):
    """Connects the in-process cache to the models, registers the system checks and the console."""

    name = "accounts"
    verbose_name = "Userpool"

    def ready(self) -> None:
        from accounts import checks, directory, former_providers, signing  # noqa: F401 - the registry must be ready first

        directory.connect()
        former_providers.connect()
        post_save.connect(signing.make_first_keys, sender="accounts.UserPool", dispatch_uid="first-keys")
