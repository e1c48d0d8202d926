"""CPU time of process trees, and which core runs what.

The figure is user plus system time from /proc/PID/stat (proc(5)), of every live process of a tree and of the children
that each has waited for. It counts work, not waiting, so a busy machine disturbs it far less than a clock. One tick
is 10 ms: a round must be long enough for that not to matter.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _stat(pid: str) -> tuple[int, int] | None:
    """Return the parent and the ticks of a process, or None when it has gone."""
    try:
        fields = (PROC / pid / "stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # after the name: state, ppid, ..., utime, stime, cutime, cstime at 11 to 14
    return int(fields[1]), sum(int(field) for field in fields[11:15])


def tree_ms(root: int) -> float:
    """Return the CPU milliseconds that ``root`` and its descendants have used."""
    known = {
        int(entry.name): found for entry in PROC.iterdir() if entry.name.isdigit() and (found := _stat(entry.name))
    }
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in known.items():
        children.setdefault(parent, []).append(pid)
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        if pid in known:
            total += known[pid][1]
        waiting += children.get(pid, [])
    return total * 1000 / TICKS_PER_SECOND


def cores() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Run the block, and the processes it starts, on ``core``; None changes nothing."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def steal_and_total() -> tuple[int, int]:
    """Return the ticks that the hypervisor took, and all ticks, since the machine started."""
    ticks = [int(field) for field in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[7], sum(ticks)


def model() -> str:
    """Return what the kernel calls the processor."""
    for line in (PROC / "cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return "unknown"
