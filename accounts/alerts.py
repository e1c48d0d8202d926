"""Telling operators what needs them: once when it appears, once when it is over, and again when it gets worse.

All findings of a run are one mail. With mail off, or nobody to tell, they are in the log and in the console all the
same, and are told once there is somebody. Two runs at once tell once: who sets ``told_severity`` tells.

What this cannot do is to say that the jobs do not run at all, being one of them: that is for a monitor outside.
"""

import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit, mail
from accounts.findings import COLLECTORS, Finding, Severity
from accounts.models import Alert, Operator, UserPool

log = logging.getLogger("userpool.alerts")
KIND = "alert"
SHOWN = 50
"""Findings in one mail; the console has them all."""


def tell() -> dict[str, int]:
    """Look for what needs an operator, tell what is to be told, and return the counts standing, told and over."""
    found, unread = collect()
    _write_down(found)
    ended = _gone({each.key for each in found}, unread)
    told = _tell(found, ended)
    return {"standing": len(found), "told": told, "over": len(ended), "not collected": len(unread)}


def collect() -> tuple[list[Finding], list[str]]:
    """Return what stands now, and the names of the collectors that failed: of theirs nothing is known."""
    found: list[Finding] = []
    unread = []
    for name, collector in COLLECTORS.items():
        try:
            with transaction.atomic():  # a failure must not spoil a transaction around it
                mine = list(collector())
        except Exception:
            log.exception("findings could not be collected", extra={"collector": name})
            unread.append(name)
        else:
            found += mine
    return found, unread


def recipients() -> list[str]:
    """Return the addresses that alerts go to: of operators who want them, and of USERPOOL_ALERT_EMAILS."""
    operators = Operator.objects.filter(receives_alerts=True, is_active=True).exclude(email="").order_by("pk")
    addresses = [*settings.USERPOOL_ALERT_EMAILS, *operators.values_list("email", flat=True)]
    return [address for address in dict.fromkeys(addresses) if _is_address(address)][: mail.MAX_RECIPIENTS]


def _write_down(found: list[Finding]) -> None:
    now = timezone.now()
    known = {alert.key: alert for alert in Alert.objects.filter(key__in=[each.key for each in found])}
    pools = set(UserPool.objects.filter(pk__in={each.pool for each in found if each.pool}).values_list("pk", flat=True))
    for each in found:
        if each.pool and each.pool not in pools:
            continue  # deleted since
        alert = known.get(each.key)
        values = {"severity": int(each.severity), "words": audit.printable(each.words)[:500], "mend": each.mend[:1000]}
        if alert is None:
            Alert.objects.get_or_create(key=each.key, defaults={**values, "user_pool_id": each.pool, "since": now})
        elif alert.over_at is not None:
            Alert.objects.filter(pk=alert.pk, over_at=alert.over_at).update(
                **values, since=now, over_at=None, told_severity=0, told_at=None
            )
        else:
            Alert.objects.filter(pk=alert.pk).update(**values)
        if alert is None or alert.over_at is not None or alert.severity < each.severity:
            log.warning("finding: %s", each.words, extra={"finding": each.key, "severity": each.severity.name})


def _gone(standing: set[str], unread: list[str]) -> list[Alert]:
    """Return the alerts that stand no more."""
    gone = Alert.objects.filter(over_at=None).exclude(key__in=standing)
    return [alert for alert in gone if alert.key.partition(":")[0] not in unread]


def _tell(found: list[Finding], ended: list[Alert]) -> int:
    """Mark what is new, worse or over, and queue the mail of it, in one transaction; return how many were told."""
    now, patience = timezone.now(), {each.key: each.patience for each in found}
    whom = recipients() if mail.enabled() else []
    news: list[tuple[str, Alert]] = []
    with transaction.atomic():
        for alert in ended:
            if not Alert.objects.filter(pk=alert.pk, over_at=None).update(over_at=now):
                continue
            log.info("finding is over", extra={"finding": alert.key})
            if alert.told_severity and whom:
                news.append(("over", alert))
        standing = Alert.objects.filter(key__in=patience, over_at=None).order_by("-severity", "since", "pk")
        for alert in standing if whom else ():
            if alert.severity <= alert.told_severity or now - alert.since < patience[alert.key]:
                continue
            mine = Alert.objects.filter(pk=alert.pk, told_severity=alert.told_severity, over_at=None)
            if mine.update(told_severity=alert.severity, told_at=now):
                news.append(("worse" if alert.told_severity else "new", alert))
        if news:
            mail.queue(KIND, whom, _subject(news), _text(news))
    return len(news)


def _subject(news: list[tuple[str, Alert]]) -> str:
    if len(news) == 1:
        how, alert = news[0]
        words = alert.words if how != "over" else f"Over: {alert.words}"
    else:
        counts = {how: sum(each == how for each, _ in news) for how in ("new", "worse", "over")}
        words = ", ".join(f"{count} {how}" for how, count in counts.items() if count)
    # names of pools may hold what a subject may not
    line = "".join(char for char in " ".join(f"[Userpool] {words}".split()) if char.isprintable())
    return line if len(line) <= 150 else f"{line[:147]}..."


def _text(news: list[tuple[str, Alert]]) -> str:
    lines = [f"Userpool at {settings.USERPOOL_ISSUER_BASE_URL} has something for its operators.", ""]
    for title, hows in (("Needs you", ("new", "worse")), ("Over", ("over",))):
        part = [(how, alert) for how, alert in news if how in hows]
        lines += [title, "-" * len(title), ""] if part else []
        for how, alert in part[:SHOWN]:
            lines += _entry(how, alert)
        if len(part) > SHOWN:
            lines += [f"... and {len(part) - SHOWN} more.", ""]
    return "\n".join([*lines, f"All of them: {_console()}", ""])


def _entry(how: str, alert: Alert) -> Iterable[str]:
    if how == "over":
        return [f"- {alert.words}", f"  It stood since {alert.since:%Y-%m-%d %H:%M} UTC and is not found any more.", ""]
    worse = ", worse than before" if how == "worse" else ""
    return [f"- {Severity(alert.severity).name.lower()}{worse}: {alert.words}", f"  {alert.mend}", ""]


def _console() -> str:
    issuer = urlsplit(settings.USERPOOL_ISSUER_BASE_URL)
    console = settings.USERPOOL_CONSOLE_HOST
    host = issuer.netloc if console == issuer.hostname else console  # with its port
    return f"{issuer.scheme}://{host}{reverse('admin:accounts_alert_changelist')}"


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True
