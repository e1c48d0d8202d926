"""Client apps that are processes of their own: Node programs, and Python ones with settings of their own.

Such a program prints one JSON object a line. ``{"open": URL, "until": PREFIX}`` sends its user's browser off and
waits for a line with the address that the browser came back to; ``{"done": {...}}`` is its last word.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from tests.flows.person import Person
from tests.flows.server import ROOT

HERE = Path(__file__).resolve().parent
PACKAGES = ROOT / "var" / "node"
LIMIT = 120
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1")


def run(command: list[str], person: Person, options: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """Run an app to its end with ``options`` as its only argument, ``person`` at its browser; return what it says."""
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            [*command, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | environment,
        )
        watchdog = Timer(LIMIT, process.kill)
        watchdog.start()
        try:
            done = _converse(process, person)
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
        if done is None:
            complaints.seek(0)
            raise AssertionError(f"{command[-1]} failed:\n{complaints.read()}")
        return done


def _converse(process: "subprocess.Popen[str]", person: Person) -> dict[str, Any] | None:
    assert process.stdin is not None
    assert process.stdout is not None
    for line in process.stdout:
        said = json.loads(line)
        if "done" in said:
            done: dict[str, Any] = said["done"]
            return done
        process.stdin.write(person.open(said["open"], said["until"]) + "\n")
        process.stdin.flush()
    return None


def python(program: str, person: Person, **options: Any) -> dict[str, Any]:
    """Run tests/flows/``program`` with its own interpreter: the settings of its Django are not ours."""
    return run([sys.executable, str(HERE / program)], person, options, {"PYTHONPATH": str(ROOT)})


def node(folder: Path, program: str, person: Person, certificate: Path | None = None, **options: Any) -> dict[str, Any]:
    """Run a program of tests/flows/node in ``folder``, which trusts ``certificate`` besides the usual ones."""
    trust = {"NODE_EXTRA_CA_CERTS": str(certificate)} if certificate else {}
    return run(["node", str(folder / program)], person, options, trust)


def node_folder(folder: Path) -> Path:
    """Copy the Node programs to ``folder`` and put the packages beside them, as Node wants to find them."""
    for program in (HERE / "node").iterdir():
        if program.is_file():
            shutil.copy(program, folder)
    (folder / "node_modules").symlink_to(_packages() / "node_modules")
    return folder


def _packages() -> Path:
    """Return the folder of the pinned packages, installed once per package-lock.json; skip where that fails."""
    lock = HERE / "node" / "package-lock.json"
    target = PACKAGES / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with (PACKAGES / "lock").open("w") as turn:
        # the test processes take turns; one of them installs
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (target / "installed").exists():
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(lock.with_name(name), target)
            done = subprocess.run(INSTALL, cwd=target, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"needs Node.js packages, and npm could not install them: {done.stderr.strip()[-500:]}")
            (target / "installed").touch()
    return target
