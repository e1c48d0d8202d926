"""When the scheduled jobs run (the setting CELERY_BEAT_SCHEDULE): in words, the task, the moments.

Late, twice or on two machines at once: no job minds (accounts/jobs.py).
"""

from celery.schedules import crontab

SCHEDULE = {
    "delete what has expired": {"task": "accounts.tasks.purge_expired", "schedule": crontab(minute=7)},
    "count events for the dashboard": {"task": "accounts.tasks.count_events", "schedule": crontab()},
    "delete sign-ins that nobody finished": {"task": "accounts.tasks.purge_paused_sign_ins", "schedule": crontab()},
    "import users from uploaded files": {"task": "accounts.tasks.import_users", "schedule": crontab()},
    "read discovery documents and keys again": {
        "task": "federation.tasks.refresh_oidc_discovery",
        "schedule": crontab(minute="*/5"),
    },
    "read SAML metadata again": {"task": "federation.tasks.refresh_saml_metadata", "schedule": crontab(minute="*/10")},
    "send mail that waits": {"task": "accounts.tasks.send_mail", "schedule": crontab()},
    "tell operators what needs them": {"task": "accounts.tasks.alert_operators", "schedule": crontab(minute="*/10")},
    "rotate signing keys": {"task": "accounts.tasks.rotate_signing_keys", "schedule": crontab(minute=37)},
}
