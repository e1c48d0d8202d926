"""Where the processes of one machine put what they count, so that whichever of them is asked tells of all.

https://prometheus.github.io/client_python/multiprocess/: PROMETHEUS_MULTIPROC_DIR names the folder. The library gives
every process files of its own, named for its process id, and leaves it to the server to say who has died. granian has
no hook for that, and workers that recycle would leave files behind for ever. Here a process takes the lowest free
*slot* of the folder and holds it by a lock, which ends with the process however it ends. Who takes the slot next goes
on counting where its predecessor stopped. So there are files for as many processes as were ever there at once, no count
is lost, and nothing has to be wiped: a folder that outlives a restart is as good as a new one.

Room is reserved for what can be counted, because a write to a mapped file on a full disk kills the process.
"""

import errno
import fcntl
import logging
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

log = logging.getLogger("userpool.metrics")
ROOM = 512 * 1024
"""Bytes reserved for each file; every series that there can be fits in (tests/unit/test_metrics.py)."""
MOST = 1024
"""Processes that may count in one folder at a time."""
KINDS = ("counter", "histogram")
"""What is counted; gauges are read at the scrape (metric_state.py), so none is left by a process that died."""


class Slots:
    """Gives this process a number of its own in ``folder``; a child that was forked takes another one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine: int | None = None
        self._lock = -1

    def __call__(self) -> int:
        """Return the number of this process; raise OSError when none can be had. Asked at every count."""
        if self._mine is None:
            self._lock, self._mine = self._taken()
        return self._mine

    def forget(self) -> None:
        """Be another process: the parent keeps its slot, for the lock is open there as well."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock, self._mine = -1, None

    def _taken(self) -> tuple[int, int]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(MOST):
            lock = os.open(self._folder / f"slot_{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for kind in KINDS:
                    _reserve(self._folder / f"{kind}_{number}.db")
            except BlockingIOError:
                os.close(lock)
            except BaseException:
                os.close(lock)
                raise
            else:
                return lock, number
        raise OSError(errno.ENOSPC, "every slot is taken", str(self._folder))


def _reserve(path: Path) -> None:
    """Make ``path`` a file that can be counted in, with its room; what cannot be read is begun anew."""
    with path.open("a+b") as file:
        try:
            list(MmapedDict.read_all_values_from_file(str(path)))
        except (struct.error, RuntimeError, ValueError):  # new, or torn when the machine went down
            file.truncate(0)
        os.posix_fallocate(file.fileno(), 0, ROOM)


def share(folder: str) -> bool:
    """Let this process count in ``folder``; False when it counts for itself alone, as it does without one.

    To be called before the first metric is made. What cannot be shared is no reason not to start.
    """
    values.ValueClass = values.MutexValue
    if not folder:
        return False
    slots = Slots(Path(folder))
    try:
        slots()
    except OSError as error:
        log.warning("metrics are this process's own: %s", error.strerror, extra={"folder": folder})
        return False
    os.register_at_fork(after_in_child=slots.forget)
    values.ValueClass = values.MultiProcessValue(slots)
    return True


def collected(folder: str) -> Iterable[Metric]:
    """Return what all processes that share ``folder`` counted; nothing, and a line in the log, if a file is torn."""
    try:
        return list(MultiProcessCollector(None, folder).collect())
    except (OSError, struct.error, RuntimeError, ValueError):
        log.exception("what was counted cannot be read", extra={"folder": folder})
        return []
