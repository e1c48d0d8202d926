"""The settings: Django's system checks and ours, the encryption keys, and who may read the files of secrets."""

import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core import checks
from django.core.checks.registry import registry

from accounts.doctor.findings import Finding, Scope, count, told, warning, wrong

LEAST_DISTINCT_BYTES = 12  # 32 random bytes have fewer once in 10^25 times
MOUNTED = (Path("/run/secrets"), Path("/var/run/secrets"))
"""Where container engines put secrets, readable to all: nobody else lives in the container."""


def system_checks(scope: Scope) -> Iterator[Finding]:
    """Run every check of ``manage.py check --deploy``; one that fails does not keep the others from running."""
    found = ran = 0
    known = registry.get_checks(include_deployment_checks=True)
    for check in sorted(known, key=lambda check: str(getattr(check, "__qualname__", check))):
        if checks.Tags.database in getattr(check, "tags", ()):
            continue
        try:
            messages = list(check(app_configs=None, databases=None))
        except Exception as error:  # noqa: BLE001 - what it looks at is broken, and the other checks are wanted
            name = getattr(check, "__name__", "check")
            messages = [checks.Error(f"The check {name} failed: {told(error)}", "Run python manage.py check --deploy.")]
        ran += 1
        for message in messages:
            if message.is_silenced() or message.level < checks.WARNING:
                continue
            found += 1
            make = wrong if message.level >= checks.ERROR else warning
            yield make(message.id or "system check", str(message.msg), str(message.hint or ""))
    if not found:
        yield Finding("system checks", f"{ran} checks of the settings and the code found nothing.")


def encryption_keys(scope: Scope) -> Iterator[Finding]:
    """Look at USERPOOL_ENCRYPTION_KEYS: random, and each of them once."""
    keys, subject = settings.USERPOOL_ENCRYPTION_KEYS, "USERPOOL_ENCRYPTION_KEYS"
    dull = [place for place, key in enumerate(keys, 1) if len(set(key)) < LEAST_DISTINCT_BYTES]
    if dull:
        yield wrong(
            subject,
            f"Key {', '.join(map(str, dull))} of the list is not random: whoever reads the database can guess it.",
            "Put a random one in front (openssl rand -base64 32 | tr '+/' '-_'), restart, run python manage.py "
            "reencrypt, and take the old one out (docs/operations.md).",
        )
    if len(set(keys)) < len(keys):
        yield warning(subject, "A key is listed twice.", "List every key once, the newest first.")
    if not dull and len(set(keys)) == len(keys):
        yield Finding(subject, f"{count(len(keys), 'key')}; the first seals, all of them open.")


def secret_key(scope: Scope) -> Iterator[Finding]:
    """Look at the rotation of SECRET_KEY. How strong it is, the system checks say."""
    earlier = settings.SECRET_KEY_FALLBACKS
    if settings.SECRET_KEY in earlier:
        yield warning(
            "SECRET_KEY_FALLBACKS",
            "SECRET_KEY stands among its own fallbacks.",
            "Take it out of the fallbacks.",
        )
    elif earlier:
        yield Finding(
            "SECRET_KEY",
            f"{count(len(earlier), 'other value')} still accepted; can be taken out once every process signs with "
            "SECRET_KEY and the console's sessions of before have ended (8 hours).",
        )
    else:
        yield Finding("SECRET_KEY", "One value, and no other accepted.")


def secret_files(scope: Scope) -> Iterator[Finding]:
    """Look at who may read the files that hold secrets."""
    files = dict(settings.USERPOOL_SECRET_FILES)
    if settings.USERPOOL_DEVELOPMENT:
        files["the secrets of development"] = str(settings.USERPOOL_DATA_DIR / "development-secrets.json")
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        files["the SQLite database"] = str(database["NAME"])
    looked = 0
    for name, path in sorted(files.items()):
        file = Path(path)
        if not file.is_file():
            continue
        looked += 1
        if writable(file):
            yield wrong(name, f"Every account of this machine may write {path}.", f"chmod go-w {path}")
        elif readable(file) and not any(file.is_relative_to(folder) for folder in MOUNTED):
            yield warning(name, f"Every account of this machine may read {path}.", f"chmod 600 {path}")
        else:
            yield Finding(name, f"{path} is closed to other accounts.")
    if not looked:
        yield Finding("secret files", "No secret comes from a file.")


def readable(file: Path) -> bool:
    """Whether every account of the machine may read ``file``: its mode says so, and no folder above it is closed."""
    return bool(file.stat().st_mode & stat.S_IROTH) and _reachable(file)


def writable(file: Path) -> bool:
    return bool(file.stat().st_mode & stat.S_IWOTH) and _reachable(file)


def _reachable(file: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in file.resolve().parents)
