"""The Django project: the composition root, imported by nobody."""

from userpool.celery import app as celery_app

__all__ = ["celery_app"]
