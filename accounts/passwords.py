"""Passwords: the policy of a pool, and the hash.

Policy: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_PasswordPolicyType.html
Hash: argon2id with the parameters that OWASP recommends first (19 MiB, two passes, one lane), a tenth of the cost of
Django's default at the same strength against guessing.
"""

import base64
import secrets
import string
from dataclasses import dataclass
from typing import Any, Self

from argon2 import extract_parameters
from django.contrib.auth.hashers import Argon2PasswordHasher, BasePasswordHasher, identify_hasher
from django.core.exceptions import ValidationError

SYMBOLS = "^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+- "
MAX_LENGTH = 256
WIRE_NAMES = {
    "MinimumLength": "minimum_length",
    "RequireUppercase": "require_uppercase",
    "RequireLowercase": "require_lowercase",
    "RequireNumbers": "require_numbers",
    "RequireSymbols": "require_symbols",
    "TemporaryPasswordValidityDays": "temporary_password_validity_days",
    "PasswordHistorySize": "password_history_size",
}
# What a hash that came from elsewhere may cost at a sign-in: more would be a way to exhaust the server.
MAX_COST = {
    "memory_cost": 256 * 1024,
    "time_cost": 20,
    "parallelism": 16,
    "iterations": 5_000_000,
    "work_factor": 2**18,
    "block_size": 32,
}
MAX_HASH = 128  # the column's
RANGES = {"MinimumLength": (6, 99), "TemporaryPasswordValidityDays": (0, 365), "PasswordHistorySize": (0, 24)}


class Argon2idHasher(Argon2PasswordHasher):
    """argon2id, 19 MiB, t=2, p=1. The same algorithm name: Django re-hashes what has other parameters."""

    time_cost = 2
    memory_cost = 19456
    parallelism = 1


def import_hash(value: str) -> str:
    """Return a hash from elsewhere in the form that Django stores; raise ValidationError when none of ours verifies it.

    Taken are argon2 in the PHC form (``$argon2id$v=19$...``) and whatever PASSWORD_HASHERS lists in Django's form
    (``argon2$argon2id$...``, ``pbkdf2_sha256$...``). The hash is replaced by our own at the next sign-in.
    """
    encoded = f"argon2{value}" if value.startswith("$argon2") else value
    known = "an argon2 hash ($argon2id$v=19$...) or a hash in Django's form (pbkdf2_sha256$...)"
    if len(encoded) > MAX_HASH:
        raise ValidationError(f"longer than {MAX_HASH} characters.")
    if not encoded.isascii() or not encoded.isprintable():
        raise ValidationError(f"not {known}.")
    try:
        hasher = identify_hasher(encoded)
        parts = _decoded(hasher, encoded)
    except (ValueError, TypeError, AssertionError, KeyError, IndexError) as error:
        raise ValidationError(f"no configured hasher verifies it; give {known}.") from error
    for name, most in MAX_COST.items():
        cost = parts.get(name, 1)
        if not isinstance(cost, int) or not 1 <= cost <= most:
            raise ValidationError(f"its {name.replace('_', ' ')} must be 1 to {most}.")
    return encoded


def _decoded(hasher: BasePasswordHasher, encoded: str) -> dict[str, Any]:
    """Take a hash apart and prove that the hasher can be asked about it; raise ValueError and its kin."""
    if hasher.library:
        hasher._load_library()  # type: ignore[attr-defined]
    parts = dict(hasher.decode(encoded))
    if not parts["salt"] or not parts["hash"]:
        raise ValueError("a part is missing")
    if isinstance(hasher, Argon2PasswordHasher):
        _, phc = encoded.split("$", 1)
        found = extract_parameters(f"${phc}")
        salt, digest = (base64.b64decode(part + "=" * (-len(part) % 4), validate=True) for part in phc.split("$")[-2:])
        if len(digest) != found.hash_len or len(digest) < 16 or len(salt) < 8:
            raise ValueError("the salt or the hash is too short")
        parts |= {"memory_cost": found.memory_cost, "time_cost": found.time_cost, "parallelism": found.parallelism}
    elif "iterations" in parts and len(base64.b64decode(parts["hash"], validate=True)) < 16:
        raise ValueError("the hash is too short")
    return parts


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What a password must have. The defaults are those of the Cognito console."""

    minimum_length: int = 8
    require_uppercase: bool = True
    require_lowercase: bool = True
    require_numbers: bool = True
    require_symbols: bool = True
    temporary_password_validity_days: int = 7
    password_history_size: int = 0

    @classmethod
    def parse(cls, values: Any) -> Self:
        """Return the policy that a PasswordPolicyType describes; raise ValidationError naming the field."""
        if not isinstance(values, dict):
            raise ValidationError("Give an object.")
        if unknown := sorted(set(values) - set(WIRE_NAMES)):
            raise ValidationError(f"{unknown[0]}: no such field. Known: {', '.join(WIRE_NAMES)}.")
        found: dict[str, Any] = {}
        for wire, name in WIRE_NAMES.items():
            if wire not in values:
                continue
            value = values[wire]
            low, high = RANGES.get(wire, (None, None))
            if low is None:
                if not isinstance(value, bool):
                    raise ValidationError(f"{wire}: true or false.")
            elif isinstance(value, bool) or not isinstance(value, int) or not low <= value <= (high or 0):
                raise ValidationError(f"{wire}: a number from {low} to {high}.")
            found[name] = value
        if found.get("temporary_password_validity_days") == 0:
            del found["temporary_password_validity_days"]  # the API: 0 means the default
        return cls(**found)

    def to_wire(self) -> dict[str, Any]:
        return {wire: getattr(self, name) for wire, name in WIRE_NAMES.items()}

    @property
    def rules(self) -> list[tuple[str, str]]:
        """Each rule in force: a code for the page to check as one types, and the words."""
        found = [("length", f"at least {self.minimum_length} characters")]
        found += [("lower", "a lower-case letter")] * self.require_lowercase
        found += [("upper", "an upper-case letter")] * self.require_uppercase
        found += [("number", "a number")] * self.require_numbers
        found += [("symbol", "a symbol")] * self.require_symbols
        return found

    def check(self, password: str) -> None:
        """Raise ValidationError with one message for each rule that ``password`` breaks."""
        have = {
            "length": len(password) >= self.minimum_length,
            "lower": any(c in string.ascii_lowercase for c in password),
            "upper": any(c in string.ascii_uppercase for c in password),
            "number": any(c in string.digits for c in password),
            "symbol": any(c in SYMBOLS for c in password),
        }
        messages = [f"Use {words}." for code, words in self.rules if not have[code]]
        if len(password) > MAX_LENGTH:
            messages.append(f"Use at most {MAX_LENGTH} characters.")
        if password != password.strip():
            messages.append("Do not begin or end with a space.")
        if messages:
            raise ValidationError(messages)

    def temporary_password(self) -> str:
        """Return a random password that meets the policy and can be read out on the phone."""
        alphabet = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
        length = max(self.minimum_length, 14)
        while True:
            letters = [secrets.choice(alphabet) for _ in range(length - 1)]
            letters.insert(secrets.randbelow(length - 2) + 1, secrets.choice("-+=!#%"))
            password = "".join(letters)
            try:
                self.check(password)
            except ValidationError:
                continue
            return password
