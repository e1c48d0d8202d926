"""Earlier releases of the project, from the tags of its repository: which there are, their code, and what runs it."""

import fcntl
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from django.db.migrations.loader import MigrationLoader

from tests.flows.server import ROOT
from tests.migration_rules import judged

RELEASES = "v[0-9]*"
VENVS = ROOT / "var" / "releases"
MIGRATIONS = "accounts/migrations"


class NoHistory(Exception):
    """The repository does not know what was asked: there is none, or it is a shallow clone. The words say which."""


def git(repository: Path, *arguments: str) -> bytes:
    """Return what git prints; raise NoHistory with its words when it cannot say."""
    try:
        done = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, check=False)
    except OSError as error:
        raise NoHistory(f"git does not run here ({error.strerror})") from error
    if done.returncode:
        raise NoHistory(done.stderr.decode(errors="replace").strip() or f"git {arguments[0]} failed")
    return done.stdout


def newest_release(repository: Path) -> str:
    """Return the tag of the newest release before the code at hand; raise NoHistory when none is known."""
    # a release is not its own predecessor
    before = ("--merged", "HEAD", "--no-contains", "HEAD")
    tags = git(repository, "tag", "--list", RELEASES, "--sort=-version:refname", *before).decode().split()
    if tags:
        return tags[0]
    shallow = git(repository, "rev-parse", "--is-shallow-repository").strip() == b"true"
    raise NoHistory("this clone is shallow and has no release tag" if shallow else "there is no release tag yet")


def check_out(repository: Path, revision: str, folder: Path) -> Path:
    """Write the code of ``revision`` to ``folder`` and return it. The repository is left as it is."""
    with tarfile.open(fileobj=io.BytesIO(git(repository, "archive", "--format=tar", revision))) as archive:
        archive.extractall(folder)  # noqa: S202 - what git packed of this very repository; Python 3.11.2 knows no filter
    return folder


def newest_upgrade(repository: Path) -> tuple[str, str]:
    """Return two neighbouring commits, the second of which brought the newest migration that the rules let pass.

    Before the first release others came too, and no code had to survive them. Raise NoHistory.
    """
    loader = MigrationLoader(None)
    troubled = {operation.partition(":")[0] for operation, _ in judged(loader, first="0001_initial")}
    good = {name for app, name in loader.disk_migrations if app == "accounts" and f"accounts.{name}" not in troubled}
    paths = f"{MIGRATIONS}/0*.py"
    listed = git(repository, "log", "--diff-filter=A", "--format=commit %H", "--name-only", "--", paths).decode()
    for block in listed.split("commit ")[1:]:
        commit, *added = block.split()
        if {Path(path).stem for path in added} <= good - {"0001_initial"}:
            # the first commit of a shallow clone seems to bring everything, and its parent is not there
            return git(repository, "rev-parse", "--verify", f"{commit}^").decode().strip(), commit
    raise NoHistory("no commit that brought a migration stands in the history of this clone")


def migrations_of(root: Path) -> set[str]:
    return {path.stem for path in (root / MIGRATIONS).glob("0*.py")}


def python_of(root: Path) -> str:
    """Return the Python for the code in ``root``: this one, or one with the packages that it pins, made once and kept.

    Skip the test, with words, where they cannot be installed.
    """
    wanted = (root / "requirements.txt").read_bytes()
    if wanted == (ROOT / "requirements.txt").read_bytes():
        return sys.executable
    place = VENVS / hashlib.sha256(wanted).hexdigest()[:16]
    VENVS.mkdir(parents=True, exist_ok=True)
    with (VENVS / "lock").open("w") as turn:
        # the test processes take turns; one of them installs
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (place / "installed").exists():
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
            pip = [str(place / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            install = [*pip, "--require-hashes", "--requirement", str(root / "requirements.txt")]
            done = subprocess.run(install, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"needs the packages of the earlier release, and pip says: {done.stderr.strip()[-500:]}")
            (place / "installed").touch()
    return str(place / "bin" / "python")
