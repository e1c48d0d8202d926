"""Everything that the console shows. Importing this module registers it; userpool/urls.py does."""

from accounts.admin import (
    activity,
    alerts,
    audit,
    clients,
    event_export,
    events,
    jobs,
    keys,
    mail,
    operators,
    pools,
    providers,
    request_page,
    resource_servers,
    saml_keys,
    user_imports,
    users,
)
from accounts.admin.site import console

__all__ = [
    "activity",
    "alerts",
    "audit",
    "clients",
    "console",
    "event_export",
    "events",
    "jobs",
    "keys",
    "mail",
    "operators",
    "pools",
    "providers",
    "request_page",
    "resource_servers",
    "saml_keys",
    "user_imports",
    "users",
]
