"""The console's site: an explicit registry, served on the console's host only."""

from unfold.sites import UnfoldAdminSite


class ConsoleSite(UnfoldAdminSite):
    """Django's admin with a registry of its own: nothing appears here because a library registered it."""


console = ConsoleSite(name="admin")
