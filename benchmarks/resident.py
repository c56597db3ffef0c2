"""How much memory this process has."""

import resource
from pathlib import Path


def resident_mb() -> float:
    """Resident memory now, in millions of bytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def most_resident_mb() -> float:
    """The most it ever was."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
