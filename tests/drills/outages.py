"""A PostgreSQL and a Redis that can be taken away and brought back, with what they had."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import redis

from tests.services import free_port, postgresql_programs, wait_for


class Database:
    """A PostgreSQL whose commits survive its own death. Not the machine's: it syncs nothing to the disk."""

    def __init__(self, folder: Path) -> None:
        programs = postgresql_programs()
        assert programs is not None
        self.programs, self.folder, self.log = programs, folder, folder / "log"
        self.options: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            shutil.chown(folder, user="postgres")
            self.options |= {"user": "postgres", "extra_groups": []}
        self.process: subprocess.Popen[bytes] | None = None
        self.target = f"host={folder} user=userpool dbname=postgres"
        self.url = f"postgres://userpool@{quote(str(folder), safe='')}/userpool"
        command = [str(programs / "initdb"), "--pgdata", str(folder / "data"), "--username", "userpool"]
        command += ["--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self.options)
        self.start()
        with psycopg.connect(self.target, autocommit=True) as connection:
            connection.execute("CREATE DATABASE userpool")

    def start(self) -> None:
        """Start it, and return when it answers."""
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        for setting in ("listen_addresses=", "fsync=off", "max_connections=100"):
            command += ["-c", setting]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True, **self.options
            )
        wait_for(lambda: psycopg.connect(self.target).close(), self.process, self.log)

    def crash(self) -> None:
        """End it at once, as ``pg_ctl stop --mode=immediate`` does: it recovers from its log when it starts."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)


class Redis:
    """A Redis that keeps what it has, as the compose file's does."""

    def __init__(self, folder: Path) -> None:
        self.port, self.folder, self.log = free_port(), folder, folder / "log"
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        command += ["--appendonly", "yes", "--save", ""]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        wait_for(redis.Redis(port=self.port).ping, self.process, self.log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def both() -> Iterator[tuple[Database, Redis]]:
    """A database and a Redis that are gone when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="userpool-drill-"))
    folder.chmod(0o755)
    for name in ("pg", "redis"):
        (folder / name).mkdir()
    started: list[Any] = []
    try:
        started += [Database(folder / "pg"), Redis(folder / "redis")]
        yield started[0], started[1]
    finally:
        for one in started:
            one.process.kill() if isinstance(one, Redis) else one.process.send_signal(signal.SIGQUIT)
            one.process.wait(30)
        time.sleep(0.2)
        shutil.rmtree(folder, ignore_errors=True)
