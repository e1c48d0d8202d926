"""Everything that the console shows. Importing this module registers it; userpool/urls.py does."""

from accounts.admin import (
    activity,
    audit,
    clients,
    events,
    jobs,
    keys,
    operators,
    pools,
    providers,
    request_page,
    resource_servers,
    saml_keys,
    users,
)
from accounts.admin.site import console

__all__ = [
    "activity",
    "audit",
    "clients",
    "console",
    "events",
    "jobs",
    "keys",
    "operators",
    "pools",
    "providers",
    "request_page",
    "resource_servers",
    "saml_keys",
    "users",
]
