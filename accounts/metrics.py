"""What this process counts for operators: small functions, so that callers need not know the library.

Prometheus, https://prometheus.io/docs/practices/naming/ and instrumentation/#use-labels: each value of a label is a
series that is kept, so a label's values are a closed set. What is not in it counts as ``other``: no client id, user,
host or word that a stranger chose becomes a label. There is no label for the pool either, for there may be ten
thousand; what happened in one of them, its events and the console say.

docs/metrics.md lists what there is. What is read from the database at a scrape is in metric_state.py. Counting raises
nothing: what cannot be counted is no reason to refuse anybody.
"""

import itertools
import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.metrics_core import Metric

from accounts import event_words, metric_files

log = logging.getLogger("userpool.metrics")
OTHER = "other"


def _same(*words: str) -> dict[str, str]:
    return {word: word for word in words}


# --- the values of labels: what callers say, and what it is called here

METHODS = _same("password", "oidc", "saml", "google", "facebook", "amazon", "apple") | {
    "OIDC": "oidc",
    "SAML": "saml",
    "Google": "google",
    "Facebook": "facebook",
    "LoginWithAmazon": "amazon",
    "SignInWithApple": "apple",
}
"""How somebody signs in; the types of identity providers by Cognito's names as well."""
PASSWORD_REASONS = (
    "incorrect", "unknown_user", "locked", "disabled", "unconfirmed", "reset_required", "temporary_password_expired",
)  # fmt: skip
"""accounts.authentication.Refusal, which may not be imported here: what it imports counts as well."""
REASONS = _same(
    *PASSWORD_REASONS,
    "rate_limited",
    *event_words.WORDS,
    *(f"{place}_{cause}" for place in event_words.PLACES for cause in event_words.CAUSES),
)
GRANTS = _same("authorization_code", "refresh_token", "client_credentials", "implicit")
ERRORS = _same(
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
    "invalid_scope", "invalid_target", "server_error",
)  # fmt: skip
"""RFC 6749 5.2, RFC 8707 2, and what a failure of ours is called."""
REVOCATIONS = _same("requested", "code_replayed", "refresh_token_reused")
PURPOSES = _same("discovery", "jwks", "token", "userinfo", "metadata")
NOT_CALLED = frozenset({"suspended", "not_https", "not_a_url"})
"""Outcomes of calls that were never made: they took no time that would tell of the provider."""
OUTCOMES = _same("2xx", "3xx", "4xx", "5xx", *event_words.CAUSES)
LIMITS = _same("address", "client", "user", "pool", "body")
EVENTS: dict[str, str] = {}
"""The types of events; the module that has them tells (``know_events``)."""
ENDPOINTS = _same(
    "authorize", "token", "userinfo", "revoke", "idpresponse", "openid-configuration", "jwks", "saml-idpresponse",
    "saml-logout", "saml-metadata", "login", "logout", "error", "console", "static", "healthz", "readyz", "metrics",
    "unmatched",
)  # fmt: skip
"""The names of the URLs; all of the console and all static files are one each."""
STATUSES = _same("1xx", "2xx", "3xx", "4xx", "5xx")
_told: set[str] = set()
_CLASSES = tuple(f"{digit}xx" for digit in range(10))
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# --- the metrics

disable_created_metrics()  # several processes that share a folder do not have them either
FEW = 150
"""So many series of a metric are there from the start, at zero: one that appears with its first count shows no rise."""
SHARED = metric_files.share(settings.PROMETHEUS_MULTIPROC_DIR)
REGISTRY = CollectorRegistry()


class Family:
    """A metric with its labels. A child is looked up once, and kept under the words that callers use."""

    def __init__(self, metric: Counter | Histogram, *words: Mapping[str, str]) -> None:
        self._metric, self._words = metric, words
        self._children: dict[tuple[str, ...], Any] = {} if words else {(): metric}
        if math.prod(map(len, words)) <= FEW:
            for values in itertools.product(*words):
                self.child(*values)

    def child(self, *values: str) -> Any:
        """Return the counter or the histogram for these values of the labels."""
        found = self._children.get(values)
        if found is None:
            named = [words.get(value, OTHER) for words, value in zip(self._words, values, strict=True)]
            found = self._metric.labels(*named)
            if OTHER not in named:  # what strangers say is not kept
                self._children[values] = found
        return found


def _counter(name: str, words: str, **labels: Mapping[str, str]) -> Family:
    return Family(Counter(name, words, list(labels), registry=REGISTRY), *labels.values())


def _histogram(name: str, words: str, **labels: Mapping[str, str]) -> Family:
    return Family(Histogram(name, words, list(labels), registry=REGISTRY, buckets=SECONDS), *labels.values())


_SIGN_INS = _counter("userpool_sign_ins_total", "Sign-ins.", method=METHODS)
_REFUSED = _counter("userpool_sign_ins_refused_total", "Refused sign-ins.", method=METHODS, reason=REASONS)
for _reason in PASSWORD_REASONS:
    _REFUSED.child("password", _reason)
_CODES = _counter("userpool_codes_issued_total", "Authorization codes issued.")
_TOKENS = _counter("userpool_tokens_issued_total", "Token responses.", grant_type=GRANTS)
_TOKENS_REFUSED = _counter("userpool_tokens_refused_total", "Refused token requests.", grant_type=GRANTS, error=ERRORS)
_REVOKED = _counter("userpool_grants_revoked_total", "Grants revoked, and why.", reason=REVOCATIONS)
_CALLS = _counter("userpool_upstream_calls_total", "Calls to providers.", purpose=PURPOSES, outcome=OUTCOMES)
_CALL_SECONDS = _histogram("userpool_upstream_call_duration_seconds", "Time of a call.", purpose=PURPOSES)
_LIMITED = _counter("userpool_rate_limited_total", "Requests over a limit.", kind=LIMITS)
_EVENTS = _counter("userpool_events_total", "Events recorded.", type=EVENTS)
_REQUESTS = _counter("userpool_http_requests_total", "HTTP requests.", endpoint=ENDPOINTS, status=STATUSES)
_REQUEST_SECONDS = _histogram("userpool_http_request_duration_seconds", "Time of a request.", endpoint=ENDPOINTS)


# --- what callers say


def signed_in(method: str) -> None:
    """Somebody signed in by ``method``: password, or the provider's type."""
    _count(_SIGN_INS, method)


def sign_in_refused(method: str, reason: str) -> None:
    """A sign-in by ``method`` was refused; ``reason`` is a Refusal or a word of accounts/event_words.py."""
    _count(_REFUSED, method, reason)


def code_issued() -> None:
    """An app got an authorization code."""
    _count(_CODES)


def token_issued(grant_type: str) -> None:
    """An app got tokens; ``implicit`` stands for response_type=token."""
    _count(_TOKENS, grant_type)


def token_refused(grant_type: str, error: str) -> None:
    """A token request was refused with ``error``; ``grant_type`` may be anything that was sent."""
    _count(_TOKENS_REFUSED, grant_type, error)


def grants_revoked(reason: str, count: int) -> None:
    """``count`` grants were revoked: because an app asked, or because a code or a refresh token came twice."""
    _count(_REVOKED, reason, amount=count)


def upstream_called(purpose: str, outcome: str, seconds: float) -> None:
    """A provider was called for ``purpose``; ``outcome`` is the class of its status, or why there is none."""
    _count(_CALLS, purpose, outcome)
    if outcome not in NOT_CALLED:
        _observe(_CALL_SECONDS, seconds, purpose)


def rate_limited(kind: str) -> None:
    """A request was refused because of a limit; ``kind`` is what was counted: address, client and so on."""
    _count(_LIMITED, kind)


def know_events(types: Iterable[str]) -> None:
    """Make these the types of events that are told apart; said once, by whoever defines them."""
    EVENTS.update(_same(*types))
    for event_type in EVENTS:
        _EVENTS.child(event_type)


def logged_event(event_type: str) -> None:
    """An event was recorded."""
    _count(_EVENTS, event_type)


def request_served(endpoint: str, status: int, seconds: float) -> None:
    """A request was answered; ``endpoint`` is the name of its URL."""
    _count(_REQUESTS, endpoint, _CLASSES[status // 100 % 10])
    _observe(_REQUEST_SECONDS, seconds, endpoint)


def collected() -> Iterable[Metric]:
    """Return what was counted: by all processes that share the folder, or by this one."""
    return metric_files.collected(settings.PROMETHEUS_MULTIPROC_DIR) if SHARED else REGISTRY.collect()


def _count(family: Family, *values: str, amount: int = 1) -> None:
    try:
        family.child(*values).inc(amount)
    except (OSError, ValueError) as error:
        _not_counted(error)


def _observe(family: Family, seconds: float, *values: str) -> None:
    try:
        family.child(*values).observe(seconds)
    except (OSError, ValueError) as error:
        _not_counted(error)


def _not_counted(error: Exception) -> None:
    """Say it once: whatever it is, it will be so at the next count."""
    name = type(error).__name__
    if name not in _told:
        _told.add(name)
        log.warning("metrics are not counted: %s", name)
