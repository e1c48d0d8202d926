"""The scheduled jobs of federation as Celery tasks; when they run stands in the settings (CELERY_BEAT_SCHEDULE)."""

import logging

from celery import shared_task

from accounts.jobs import recorded
from federation.upstream import refresh as oidc_refresh
from federation.upstream.saml import refresh

logger = logging.getLogger(__name__)


@shared_task
@recorded
def refresh_saml_metadata() -> dict[str, int]:
    """Read the metadata again that is due, and return how many providers' was read and how many's could not be."""
    return refresh.refresh_due()


@shared_task
@recorded
def refresh_oidc_discovery() -> dict[str, int]:
    """Read discovery documents and keys again, and return how many providers' were read and how many's not."""
    return oidc_refresh.refresh_due()
