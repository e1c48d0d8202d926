"""The scheduled jobs of federation as Celery tasks; when they run stands in the settings (CELERY_BEAT_SCHEDULE)."""

import logging

from celery import shared_task

from federation.upstream.saml import refresh

logger = logging.getLogger(__name__)


@shared_task
def refresh_saml_metadata() -> dict[str, int]:
    """Read the metadata again that is due, and return how many providers' was read and how many's could not be."""
    return refresh.refresh_due()
