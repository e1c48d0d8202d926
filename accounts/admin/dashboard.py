"""The first page of the console: what needs somebody, sign-ins and refusals over time, the latest changes.

The chart is SVG that the server draws; the same numbers stand in a table under it, for whoever hears the page.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.http import HttpRequest
from django.urls import reverse, reverse_lazy
from django.utils import timezone

from accounts import activity, event_words, findings
from accounts.activity import SPANS, Activity
from accounts.admin.navigation import may_see
from accounts.findings import Severity
from accounts.models import Alert, AppClient, AuditEvent, IdentityProvider, PoolUser, UserPool
from accounts.models.events import EventType

COUNTS_AGE = 60
LATEST = 10
POOLS_OFFERED = 200
KINDS = {Severity.URGENT: "bad", Severity.WARNING: "bad", Severity.NOTE: "note"}
WIDTH, HEIGHT = 720, 160
"""The chart's units; it is as wide as its card."""


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return ``context`` with what this operator may see of the first page (UNFOLD DASHBOARD_CALLBACK)."""
    may: Callable[[str], bool] = lambda name: may_see(f"accounts.{name}")(request)  # noqa: E731
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
        if may(str(model._meta.model_name))
    ]
    if may("alert"):
        context["attention"] = _attention(request.GET.get("pool", "")[:55])
    if may("authevent"):
        context["activity"] = _activity(request)
    if may("userpool"):
        context["pools"] = UserPool.objects.order_by("-updated_at").prefetch_related("domains")[:LATEST]
    if may("auditevent"):
        context["events"] = AuditEvent.objects.all()[:LATEST]
    return context


def _attention(pool: str) -> dict[str, Any]:
    """Return what stands, the most urgent first. Jobs are looked at now: if none ran, nobody wrote it down."""
    late = [
        Alert(severity=one.severity, words=one.words, mend=one.mend) for one in findings.of_jobs() if not one.patience
    ]
    rows = Alert.objects.filter(over_at__isnull=True).exclude(key__startswith="jobs:").select_related("user_pool")
    if pool:
        rows = rows.filter(user_pool=pool)
    found = [*late, *rows.order_by("-severity", "-since")[: LATEST + 1]]
    found.sort(key=lambda one: -one.severity)
    shown = [
        {"row": one, "kind": KINDS[Severity(one.severity)], "word": Severity(one.severity).name.lower()}
        for one in found
    ]
    return {"rows": shown[:LATEST], "more": len(shown) > LATEST}


def _count(model: Any) -> int:
    """Counting a million rows takes a while; a minute-old number will do."""
    key = f"console-count:{model._meta.model_name}"
    found = cache.get(key)
    if found is None:
        found = model._default_manager.count()
        cache.set(key, found, COUNTS_AGE)
    return int(found)


def _activity(request: HttpRequest) -> dict[str, Any]:
    chosen = request.GET.get("span", "day")
    span = SPANS.get(chosen, SPANS["day"])
    pools = list(UserPool.objects.values_list("pk", "name")[: POOLS_OFFERED + 1])
    pool = request.GET.get("pool", "")[:55]
    found = activity.read(span, timezone.now(), pool)
    return {
        "spans": [(name, one.words, one is span) for name, one in SPANS.items()],
        "pools": pools[:POOLS_OFFERED],
        "pool": pool,
        "span": span,
        "totals": _totals(found, pool),
        "chart": Chart.of(found),
        "reasons": [
            {"count": one.count, "words": _said(one), "link": _link(pool, one), "reason": one.reason or "-"}
            for one in found.reasons
        ],
        "counted_at": found.counted_at,
    }


def _totals(found: Activity, pool: str) -> list[dict[str, Any]]:
    shown = (
        ("Sign-ins", found.totals[EventType.SIGN_IN], {"event_type__exact": "SignIn", "outcome__exact": "succeeded"}),
        ("Refused", found.totals["refused"], {"event_type__exact": "SignIn", "outcome__exact": "refused"}),
        ("Token requests refused", found.totals[EventType.TOKEN_REQUEST], {"event_type__exact": "TokenRequest"}),
        ("Lock-outs", found.totals[EventType.LOCK_OUT], {"event_type__exact": "LockOut"}),
        ("Revocations", found.totals[EventType.TOKEN_REVOCATION], {"event_type__exact": "TokenRevocation"}),
    )
    return [{"title": title, "count": count, "link": _events(pool, where)} for title, count, where in shown]


def _said(one: activity.Reason) -> str:
    kind = str(EventType(one.event_type).label)
    where = f"{kind} through {one.provider_name}" if one.provider_name else kind
    return f"{where}: {event_words.why(one.reason) or one.reason}"


def _link(pool: str, one: activity.Reason) -> str:
    where = {"event_type__exact": one.event_type, "reason__icontains": one.reason}
    return _events(pool, where | ({"provider_name__icontains": one.provider_name} if one.provider_name else {}))


def _events(pool: str, where: dict[str, str]) -> str:
    if pool:
        where = where | {"user_pool__id__exact": pool}
    return f"{reverse('admin:accounts_authevent_changelist')}?{urlencode(where)}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A column of the chart, in its units: the refused part stands on the other."""

    x: float
    width: float
    succeeded: tuple[float, float]
    refused: tuple[float, float]
    column: activity.Column


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws."""

    bars: list[Bar]
    highest: int
    summary: str
    width: int = WIDTH
    height: int = HEIGHT

    @classmethod
    def of(cls, found: Activity) -> "Chart":
        highest = max((one.succeeded + one.refused for one in found.columns), default=0)
        each = WIDTH / len(found.columns)
        bars = []
        for number, one in enumerate(found.columns):
            good, bad = (round(count / (highest or 1) * HEIGHT, 1) for count in (one.succeeded, one.refused))
            x, width = round(number * each + each * 0.1, 1), round(each * 0.8, 1)
            bars.append(Bar(x, width, (round(HEIGHT - good, 1), good), (round(HEIGHT - good - bad, 1), bad), one))
        good, bad = found.totals[EventType.SIGN_IN], found.totals["refused"]
        return cls(bars, highest, f"{good} sign-ins and {bad} refusals; at most {highest} in one column.")
