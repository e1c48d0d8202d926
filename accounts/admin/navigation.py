"""The console's sidebar and its first page. Nobody is shown a link to what they may not see."""

from collections.abc import Callable
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

from accounts.models import AppClient, AuditEvent, IdentityProvider, PoolUser, UserPool

COUNTS_AGE = 60
LATEST = 10
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
    ("Users", (("Users", "person", "accounts.pooluser"), ("Groups", "group", "accounts.group"))),
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
    ("Operation", (("Jobs", "schedule", "accounts.jobrun"),)),
    ("Operators", (("Operators", "badge", "accounts.operator"), ("Operator groups", "lock_person", "auth.group"))),
)


def _may_see(label: str) -> Callable[[HttpRequest], bool]:
    app, _, model = label.partition(".")

    def may_see(request: HttpRequest) -> bool:
        return request.user.has_perm(f"{app}.view_{model}") or request.user.has_perm(f"{app}.change_{model}")

    return may_see


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the links of the sidebar, grouped (UNFOLD SIDEBAR)."""
    groups: list[dict[str, Any]] = [
        {"title": "", "items": [{"title": "Overview", "icon": "home", "link": reverse_lazy("admin:index")}]}
    ]
    for title, entries in GROUPS:
        items = [
            {"title": words, "icon": icon, "link": reverse_lazy(f"admin:{label.replace('.', '_')}_changelist")}
            for words, icon, label in entries
            if _may_see(label)(request)
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


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return ``context`` with what the first page shows: numbers, the pools changed last, the latest audit events."""
    context["numbers"] = [
        {
            "title": title,
            "count": _count(model),
            "link": reverse_lazy(f"admin:accounts_{model._meta.model_name}_changelist"),
        }
        for title, model in (
            ("User pools", UserPool),
            ("App clients", AppClient),
            ("Identity providers", IdentityProvider),
            ("Users", PoolUser),
        )
        if _may_see(f"accounts.{model._meta.model_name}")(request)
    ]
    if _may_see("accounts.userpool")(request):
        context["pools"] = UserPool.objects.order_by("-updated_at").prefetch_related("domains")[:LATEST]
    if _may_see("accounts.auditevent")(request):
        context["events"] = AuditEvent.objects.all()[:LATEST]
    return context


def _count(model: Any) -> int:
    """Counting a million rows takes a while; a minute-old number will do."""
    key = f"console-count:{model._meta.model_name}"
    found = cache.get(key)
    if found is None:
        found = model._default_manager.count()
        cache.set(key, found, COUNTS_AGE)
    return int(found)
