"""How the console looks: the settings of its theme (UNFOLD)."""

UNFOLD = {
    "SITE_TITLE": "Userpool",
    "SITE_HEADER": "Userpool",
    "SITE_SUBHEADER": "Operators' console",
    "SITE_ICON": "accounts.admin.navigation.icon",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "accounts.admin.navigation.icon"}],
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "8px",
    "STYLES": ["accounts.admin.navigation.stylesheet"],
    "SCRIPTS": ["accounts.admin.navigation.script"],
    "DASHBOARD_CALLBACK": "accounts.admin.dashboard.dashboard",
    "SIDEBAR": {"show_search": False, "navigation": "accounts.admin.navigation.sidebar"},
    "COLORS": {
        "primary": {
            "50": "oklch(97.5% .012 271)",
            "100": "oklch(94.5% .028 271)",
            "200": "oklch(89% .052 271)",
            "300": "oklch(81% .09 271)",
            "400": "oklch(74% .12 271)",
            "500": "oklch(66% .15 271)",
            "600": "oklch(50% .175 271)",
            "700": "oklch(44% .155 271)",
            "800": "oklch(38% .125 271)",
            "900": "oklch(32% .095 271)",
            "950": "oklch(24% .07 271)",
        },
    },
}
