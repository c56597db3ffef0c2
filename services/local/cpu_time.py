"""The CPUs there are, and the CPU time that processes and their children have used; that on Linux only."""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from shared.errors import WorldError

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class NoProcError(WorldError):
    """The CPU of processes is read from /proc, which this system does not have: run this on Linux"""


def usable_cpus() -> int:
    """How many CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all below it, those that have ended included. Raises `NoProcError`."""
    children, ticks = defaultdict(list), {}
    for process, parent, used in _processes():
        children[parent].append(process)
        ticks[process] = used
    below = [pid]
    for process in below:  # grows as it goes
        below += children[process]
    return sum(ticks.get(process, 0) for process in below) / TICKS_PER_S


def _processes() -> Iterator[tuple[int, int, int]]:
    """Each process with its parent and its ticks, with those of children that ended and were waited for."""
    if not (PROC / "self" / "stat").exists():
        raise NoProcError
    for folder in PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            status = (folder / "stat").read_text()
        except OSError:  # it has ended meanwhile
            continue
        fields = status.rpartition(")")[2].split()  # from the third on: a name may hold spaces
        yield int(folder.name), int(fields[1]), sum(map(int, fields[11:15]))
