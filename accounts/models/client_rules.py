"""The rules of an app client that concern more than one field, or another row.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolClientType.html, and the
guide's pages on app clients and resource servers (W 13). Rules of single values are in accounts/rules.py.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError

from accounts import rules

if TYPE_CHECKING:
    from accounts.models.clients import AppClient


def check(client: "AppClient") -> None:
    """Every rule of UserPoolClientType that concerns more than one field, or a list."""
    errors: dict[str, list[str]] = {}

    def note(field: str, error: ValidationError | str) -> None:
        errors.setdefault(field, []).extend(error.messages if isinstance(error, ValidationError) else [error])

    callbacks, logouts = client.redirect_uris.split(), client.post_logout_redirect_uris.split()
    for field, urls, what in (
        ("redirect_uris", callbacks, "callback URL"),
        ("post_logout_redirect_uris", logouts, "sign-out URL"),
    ):
        try:
            rules.check_urls(urls, what)
        except ValidationError as error:
            note(field, error)
    if client.default_redirect and client.default_redirect not in callbacks:
        note("default_redirect", "The default redirect URI must be one of the callback URLs.")
    _check_flows(client, callbacks, note)
    _check_scopes(client, note)
    for field, low, high in (
        ("access_token_validity", timedelta(minutes=5), timedelta(days=1)),
        ("id_token_validity", timedelta(minutes=5), timedelta(days=1)),
        ("refresh_token_validity", timedelta(hours=1), timedelta(days=3650)),
    ):
        value = getattr(client, field)
        if value is not None and not low <= value <= high:
            note(field, f"Give a time between {_words(low)} and {_words(high)}.")
    _check_attributes(client, note)
    if errors:
        raise ValidationError(errors)


def _words(period: timedelta) -> str:
    hours = period.total_seconds() / 3600
    if hours < 1:
        return f"{int(hours * 60)} minutes"
    return f"{int(hours)} hours" if hours < 24 * 365 else f"{int(hours / 24 / 365)} years"


def _check_flows(client: "AppClient", callbacks: list[str], note: Any) -> None:
    flows = client.allowed_oauth_flows
    try:
        rules.check_choices(flows, rules.FLOWS)
    except ValidationError as error:
        note("allowed_oauth_flows", error)
        return
    if "client_credentials" in flows and len(flows) > 1:
        note("allowed_oauth_flows", "client_credentials cannot be combined with code or implicit.")
    if "client_credentials" in flows and not client.is_confidential:
        note("allowed_oauth_flows", "client_credentials needs a client secret.")
    if {"code", "implicit"} & set(flows) and not callbacks:
        note("redirect_uris", "code and implicit need at least one callback URL.")


def _check_scopes(client: "AppClient", note: Any) -> None:
    scopes = client.allowed_oauth_scopes
    if not isinstance(scopes, list) or len(scopes) > 50:
        note("allowed_oauth_scopes", "Give a list of at most 50 scopes.")
        return
    known = set(rules.SYSTEM_SCOPES)
    if client.user_pool_id:
        known |= {name for server in client.user_pool.resource_servers.all() for name in server.scope_names}
    if client.dialect == "oidc":
        known |= {"address"}
    for scope in scopes:
        if scope not in known and scope not in _associated(client):
            note("allowed_oauth_scopes", f"Invalid scope requested: {scope}")
    if {"email", "phone", "profile"} & set(scopes) and "openid" not in scopes:
        note("allowed_oauth_scopes", "email, phone and profile need openid.")
    if "client_credentials" in client.allowed_oauth_flows and set(scopes) & set(rules.SYSTEM_SCOPES):
        note("allowed_oauth_scopes", "client_credentials is for custom scopes only.")


def _associated(client: "AppClient") -> list[str]:
    """The scopes that the stored client has: one of a deleted resource server stays on, inactive (W 3.5)."""
    if not client.pk:
        return []
    stored = type(client).objects.filter(pk=client.pk).values_list("allowed_oauth_scopes", flat=True).first()
    return list(stored or [])


def _check_attributes(client: "AppClient", note: Any) -> None:
    if not client.user_pool_id:
        return
    schema = client.user_pool.schema
    for field in ("read_attributes", "write_attributes"):
        values = getattr(client, field)
        if values is None:
            continue
        if not isinstance(values, list):
            note(field, "Give a list of attribute names.")
            continue
        if unknown := sorted(set(values) - set(schema.names)):
            note(field, f"The pool has no attribute {', '.join(unknown)}.")
    if isinstance(client.write_attributes, list):
        if missing := sorted(set(schema.required) - {"sub"} - set(client.write_attributes)):
            note("write_attributes", f"Required attributes must be writable: {', '.join(missing)}.")
        if flags := sorted({"email_verified", "phone_number_verified"} & set(client.write_attributes)):
            note("write_attributes", f"A client never writes {', '.join(flags)}.")
