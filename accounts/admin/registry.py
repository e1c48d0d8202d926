"""Everything that the console shows. Importing this module registers it; userpool/urls.py does."""

from accounts.admin import (
    activity,
    attempts,
    audit,
    clients,
    jobs,
    keys,
    operators,
    pools,
    providers,
    resource_servers,
    saml_keys,
    users,
)
from accounts.admin.site import console

__all__ = [
    "activity",
    "attempts",
    "audit",
    "clients",
    "console",
    "jobs",
    "keys",
    "operators",
    "pools",
    "providers",
    "resource_servers",
    "saml_keys",
    "users",
]
