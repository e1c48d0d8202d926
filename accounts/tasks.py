"""The scheduled jobs as Celery tasks: thin wrappers. When they run stands in the settings (CELERY_BEAT_SCHEDULE), and
that each is on record and takes turns with others is accounts/jobs.py.
"""

import logging
from datetime import timedelta
from functools import partial

from celery import current_app, shared_task

from accounts import alerts, cleanup, event_counts, mail, signing
from accounts.jobs import recorded
from accounts.models import UserPool
from accounts.userimport import work

logger = logging.getLogger(__name__)


@shared_task
@recorded
def rotate_signing_keys() -> int:
    """Make the signing keys that are due in any pool and return how many."""
    made = 0
    for pool in UserPool.objects.all():
        try:
            made += len(signing.rotate(pool))
        except Exception:  # one pool's fault, say a key that nobody can decrypt, must not stop the others
            logger.exception("The signing keys of pool %s were not rotated", pool.pk)
    return made


@shared_task
@recorded
def purge_expired() -> dict[str, int]:
    """Delete what has expired and return the counts by model name."""
    return cleanup.purge_expired()


@shared_task
@recorded
def purge_paused_sign_ins() -> int:
    """Delete the sign-ins at identity providers that were never finished and return how many."""
    return cleanup.purge_paused()


@shared_task
@recorded
def count_events() -> int:
    """Count the events of the hours that are not settled and return how many they had."""
    return event_counts.count()


@shared_task
@partial(recorded, lease=timedelta(minutes=3))  # it works for less than one at a time
def import_users() -> dict[str, int]:
    """Import the users of started import jobs, for a while, and return how many rows were decided."""
    found = work.run()
    if found["unfinished"] and not current_app.conf.task_always_eager:
        current_app.send_task(f"{__name__}.import_users", countdown=2)  # once this one has given its turn back
    return found


@shared_task
@partial(recorded, lease=mail.LEASE)
def send_mail() -> dict[str, int]:
    """Send the mail that is due and return the counts by outcome."""
    return mail.send_due()


@shared_task
def send_one_mail(mail_id: int) -> None:
    """Send a mail that was queued just now. A message that is lost is no harm: the job above sends what is due."""
    mail.send_now(mail_id)


@shared_task
@recorded
def alert_operators() -> dict[str, int]:
    """Tell operators what appeared, got worse or is over, and return the counts."""
    return alerts.tell()
