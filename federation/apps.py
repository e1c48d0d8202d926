"""The federation application: protocols, no tables."""

from django.apps import AppConfig


class FederationConfig(AppConfig):
    """Has nothing to set up; it exists so that templates and tests find the application."""

    name = "federation"
