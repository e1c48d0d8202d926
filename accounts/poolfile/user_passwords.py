"""The passwords and the hashes of a batch of users from a file.

A temporary password is for a user who has not chosen another since; a hash is for a user who has no password.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import TypeVar

from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import UserPool
from accounts.models.users import UserStatus
from accounts.passwords import import_hash
from accounts.poolfile.problems import Problem, from_validation
from accounts.poolfile.wanted import Wanted

INITIAL = (UserStatus.UNCONFIRMED, UserStatus.FORCE_CHANGE_PASSWORD)
T = TypeVar("T")
R = TypeVar("R")


def set_passwords(pool: UserPool, wanted: list[Wanted]) -> list[Problem]:
    """Set the passwords that are new; hashing runs in threads, for argon2 lets go of the interpreter."""
    problems: list[Problem] = []
    given = [one for one in wanted if one.entry.values.get("Password") and not _is_past_temporary(one)]
    plain = [one.entry.values["Password"] for one in given]
    same = in_threads(_is_password, [(text, one) for text, one in zip(plain, given, strict=True)])
    changed = [one for one, is_same in zip(given, same, strict=True) if not is_same]
    for one in changed:
        try:
            pool.policy.check(one.entry.values["Password"])
        except ValidationError as error:
            problems += from_validation(error, one.entry.at("Password"), {}).problems
    hashes = [] if problems else in_threads(make_password, [one.entry.values["Password"] for one in changed])
    for one, encoded in zip(changed, hashes, strict=False):
        one.password = encoded
        one.sign_out = one.sign_out or not one.is_new
    for one in wanted:
        problems += _import(one)
        if one.password is not None:
            one.user.password, one.user.password_changed_at = one.password, timezone.now()
            if not one.entry.values.get("UserStatus") and one.entry.values.get("Password"):
                one.user.status = UserStatus.CONFIRMED
        elif one.is_new:
            one.user.set_unusable_password()
    return problems


def _import(one: Wanted) -> list[Problem]:
    value = one.entry.values.get("PasswordHash")
    if not value:
        return []
    try:
        encoded = import_hash(value)
    except ValidationError as error:
        return from_validation(error, one.entry.at("PasswordHash"), {}).problems
    if one.is_new or not one.user.has_usable_password():
        one.password = encoded
    return []


def _is_past_temporary(one: Wanted) -> bool:
    """Whether the file's password is a temporary one and the user has chosen another since."""
    return one.entry.values.get("UserStatus") in INITIAL and not one.is_new and one.user.status not in INITIAL


def _is_password(pair: tuple[str, Wanted]) -> bool:
    text, one = pair
    return not one.is_new and one.user.has_usable_password() and check_password(text, one.user.password)


def in_threads(function: Callable[[T], R], items: list[T]) -> list[R]:
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(cpu_count() or 1) as threads:
        return list(threads.map(function, items))
