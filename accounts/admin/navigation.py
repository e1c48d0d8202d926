"""The console's sidebar. Nobody is shown a link to what they may not see."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

GROUPS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "Pools",
        (
            ("User pools", "groups_3", "accounts.userpool"),
            ("App clients", "apps", "accounts.appclient"),
            ("Identity providers", "hub", "accounts.identityprovider"),
            ("Resource servers", "dns", "accounts.resourceserver"),
        ),
    ),
    (
        "Users",
        (
            ("Users", "person", "accounts.pooluser"),
            ("Groups", "group", "accounts.group"),
            ("User imports", "upload_file", "accounts.userimportjob"),
        ),
    ),
    (
        "Security",
        (
            ("Signing keys", "key", "accounts.signingkey"),
            ("SAML keys", "encrypted", "accounts.samlkey"),
            ("Events", "event_note", "accounts.authevent"),
            ("Sessions", "devices", "accounts.signinsession"),
            ("Grants", "token", "accounts.refreshtoken"),
            ("Audit trail", "history", "accounts.auditevent"),
        ),
    ),
    (
        "Operation",
        (
            ("Alerts", "notifications", "accounts.alert"),
            ("Jobs", "schedule", "accounts.jobrun"),
            ("Mail", "mail", "accounts.outgoingmail"),
        ),
    ),
    ("Operators", (("Operators", "badge", "accounts.operator"), ("Operator groups", "lock_person", "auth.group"))),
)


def may_see(label: str) -> Callable[[HttpRequest], bool]:
    """Return what says whether the operator of a request may look at the rows of a model (``accounts.userpool``)."""
    app, _, model = label.partition(".")

    def may_see(request: HttpRequest) -> bool:
        return request.user.has_perm(f"{app}.view_{model}") or request.user.has_perm(f"{app}.change_{model}")

    return may_see


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the links of the sidebar, grouped (UNFOLD SIDEBAR)."""
    groups: list[dict[str, Any]] = [
        {"title": "", "items": [{"title": "Overview", "icon": "home", "link": reverse_lazy("admin:index")}]}
    ]
    if may_see("accounts.authevent")(request):
        groups[0]["items"].append(
            {"title": "Why refused?", "icon": "troubleshoot", "link": reverse_lazy("admin:request")}
        )
    for title, entries in GROUPS:
        items = [
            {"title": words, "icon": icon, "link": reverse_lazy(f"admin:{label.replace('.', '_')}_changelist")}
            for words, icon, label in entries
            if may_see(label)(request)
        ]
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups


def stylesheet(request: HttpRequest) -> str:
    return static("console/console.css")


def script(request: HttpRequest) -> str:
    return static("console/landmarks.js")


def icon(request: HttpRequest) -> str:
    return static("hosted/favicon.svg")
