"""Check the password of a user of a pool.

Sign-in names: the username, or an alias that SignInAlias reserves. Whether a user exists does not show in the work
done: an unknown name is hashed against all the same (PreventUserExistenceErrors; managing-errors page).
"""

from datetime import timedelta
from enum import StrEnum

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from accounts import clock, events, sessions, throttling
from accounts.models import PoolUser, SignInAlias, UserPool
from accounts.models.events import EventType
from accounts.models.users import UserStatus
from accounts.statements import fetch, json_value, time_value

MAX_PASSWORD = 256


class Refusal(StrEnum):
    """Why a sign-in was refused."""

    INCORRECT = "incorrect"
    UNKNOWN_USER = "unknown_user"
    LOCKED = "locked"
    DISABLED = "disabled"
    UNCONFIRMED = "unconfirmed"
    RESET_REQUIRED = "reset_required"
    TEMPORARY_PASSWORD_EXPIRED = "temporary_password_expired"  # noqa: S105 - a reason, not a password


class SignInRefused(Exception):
    """The sign-in was refused; ``reason`` says why, ``user`` whom it was for if that is known."""

    def __init__(self, reason: Refusal, user: PoolUser | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.user = user


_BY_NAME = """SELECT u.id, u.user_pool_id, u.sub, u.username, u.username_key, u.password, u.attributes, u.status,
    u.enabled, u.password_changed_at, u.signed_out_at
    FROM accounts_pooluser u WHERE u.id = COALESCE(
        (SELECT n.id FROM accounts_pooluser n WHERE n.user_pool_id = %s AND n.username_key = %s),
        (SELECT a.user_id FROM accounts_signinalias a WHERE a.user_pool_id = %s AND a.key = %s))"""
_COLUMNS = [
    "id", "user_pool_id", "sub", "username", "username_key", "password", "attributes", "status",
    "enabled", "password_changed_at", "signed_out_at",
]  # fmt: skip


def find_user(pool: UserPool, name: str) -> PoolUser | None:
    """Return the user of ``pool`` who signs in as ``name``, by username first. One statement, found or not."""
    key = pool.username_key(name.strip())
    if "\x00" in key:
        key = ""
    row = fetch(_BY_NAME, (pool.pk, key, pool.pk, key))
    if row is None:
        return None
    values = dict(zip(_COLUMNS, row, strict=True))
    values["attributes"] = json_value(values["attributes"])
    values["enabled"] = bool(values["enabled"])
    for column in ("password_changed_at", "signed_out_at"):
        values[column] = time_value(values[column])
    in_order = [field.attname for field in PoolUser._meta.concrete_fields if field.attname in values]
    user = PoolUser.from_db(connection.alias, in_order, [values[name] for name in in_order])
    user.user_pool = pool
    return user


def authenticate(pool: UserPool, name: str, password: str, address: str, hide_existence: bool = True) -> PoolUser:
    """Return the user whose password this is; raise SignInRefused.

    A user with a temporary password is returned as well, in status FORCE_CHANGE_PASSWORD: the caller must ask for a
    new one. Reasons that tell something of an account are given only to who knows its password.
    """
    user = find_user(pool, name)
    counted = f"id {user.pk}" if user else f"name {pool.username_key(name.strip())}"
    try:
        locks = throttling.count_attempts(pool, address, counted)
    except throttling.Blocked:
        raise SignInRefused(Refusal.LOCKED, user) from None
    if user is None or not user.has_usable_password() or len(password) > MAX_PASSWORD:
        make_password(password[:MAX_PASSWORD])  # the same work as for a user who exists
        unknown = user is None and not hide_existence
        _tell_locks(pool, user, locks)
        raise SignInRefused(Refusal.UNKNOWN_USER if unknown else Refusal.INCORRECT, user)
    if not user.check_password(password):
        _tell_locks(pool, user, locks)
        raise SignInRefused(Refusal.INCORRECT, user)
    throttling.succeeded(pool, counted, address)
    _check_status(user)
    return user


def _tell_locks(pool: UserPool, user: PoolUser | None, locks: list[str]) -> None:
    for kind in locks:
        events.happened(EventType.LOCK_OUT, pool, user, reason=f"{kind}_locked")


def _check_status(user: PoolUser) -> None:
    if not user.enabled:
        raise SignInRefused(Refusal.DISABLED, user)
    if user.status == UserStatus.UNCONFIRMED:
        raise SignInRefused(Refusal.UNCONFIRMED, user)
    if user.status == UserStatus.RESET_REQUIRED:
        raise SignInRefused(Refusal.RESET_REQUIRED, user)
    if user.status == UserStatus.FORCE_CHANGE_PASSWORD and user.password_changed_at is not None:
        validity = timedelta(days=user.user_pool.policy.temporary_password_validity_days)
        if clock.now() >= user.password_changed_at + validity:
            raise SignInRefused(Refusal.TEMPORARY_PASSWORD_EXPIRED, user)


@transaction.atomic
def set_password(user: PoolUser, password: str, temporary: bool = False) -> None:
    """Give ``user`` a password that meets the pool's policy; raise ValidationError with each rule it breaks.

    Everything that the old password opened is closed: sessions end and grants are revoked. A user who came from an
    identity provider can sign in here as well from now on (AdminSetUserPassword), by the aliases that are free.
    """
    user.user_pool.policy.check(password)
    was_external = user.status == UserStatus.EXTERNAL_PROVIDER
    user.set_password(password)
    user.password_changed_at = clock.now()
    user.status = UserStatus.FORCE_CHANGE_PASSWORD if temporary else UserStatus.CONFIRMED
    if was_external and (taken := SignInAlias.taken(user)):
        raise ValidationError(f"Another user of this pool signs in with the same {', '.join(taken)}.")
    user.save(update_fields=["password", "password_changed_at", "status", "updated_at"])
    events.happened(EventType.PASSWORD_CHANGE, user.user_pool, user, temporary=temporary)
    if was_external:
        SignInAlias.sync(user)
    sessions.end_all(user)
