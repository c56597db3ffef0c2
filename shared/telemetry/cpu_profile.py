"""Where a process's CPU goes, by part of the system: each thread's CPU clock, and what the thread is at.

Python hands from thread to thread most often when one waits, so what is attributed leans towards calls that wait:
the database gets some tenth of the whole too much, at the cost of the method and the HTTP client.

What a thread is at comes from `faulthandler`: looking at another thread's frames as objects (`sys._current_frames`)
crashed one worker in ten.
"""

import faulthandler
import json
import os
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

EVERY_S = 0.1  # a look takes some milliseconds, in which nothing else runs
PROJECT = str(Path(__file__).parents[2])

_THREAD = re.compile(r"^(?:Thread|Current thread) (0x[0-9a-f]+) ", re.MULTILINE)
_FILE = re.compile(r'^  File "(.+)", line \S+ in ', re.MULTILINE)


class Part(StrEnum):
    """What CPU is spent on."""

    QUEUE = "queue"
    HTTP = "HTTP client"
    DATABASE = "database"
    METHOD = "method"
    REST = "the rest"


PACKAGES = {
    Part.QUEUE: ("celery", "kombu", "redis", "amqp", "billiard", "vine", "shared.queue"),
    Part.HTTP: ("httptools", "httpx2", "huggingface_hub", "shared.lm", "uvloop"),
    Part.DATABASE: ("sqlalchemy", "psycopg", "psycopg_binary", "shared.store"),
    Part.METHOD: ("shared.method", "jinja2", "rapidfuzz", "numpy"),
    Part.REST: ("workers",),
}


@lru_cache(maxsize=4096)
def part_of_module(module: str) -> Part | None:
    """The part whose package a module is in."""
    return next((part for part, packages in PACKAGES.items() if any(_within(module, each) for each in packages)), None)


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def part_of_stack(modules: Iterable[str]) -> Part | None:
    """The part of the innermost module that belongs to any; the innermost module comes first."""
    return next(filter(None, map(part_of_module, modules)), None)


class CpuProfile:
    """Adds up the CPU seconds of each part from now until `stop`, which writes them to `path` as JSON.

    What a thread used before it was seen to wait for its next work is shared out among the parts that it was seen at,
    or is the part's that `threads` has for its name, as of a loop that is written in C. Linux only.
    """

    def __init__(self, path: Path, threads: Mapping[str, Part]) -> None:
        self._path = path
        self._threads = threads
        self._seconds: defaultdict[tuple[str, Part | None], float] = defaultdict(float)  # by the threads' names
        self._clocks: dict[int, float] = {}  # what each thread had used at the last look, by its kernel's id
        self._stacks = os.memfd_create("stacks")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="cpu-profile", daemon=True)
        self._look()
        self._seconds.clear()  # what was used before now is not counted
        self._thread.start()

    def stop(self) -> None:
        """End, and write what there was."""
        self._stopping.set()
        self._thread.join()
        self._look()
        os.close(self._stacks)
        whole = dict.fromkeys(Part, 0.0)
        for name in {name for name, _ in self._seconds}:
            for part, seconds in self._shared_out(name).items():
                whole[part] += seconds
        self._path.write_text(json.dumps(whole))

    def _shared_out(self, name: str) -> dict[Part, float]:
        """The seconds of threads of one name, with what no part was seen for among the parts."""
        seen = {part: seconds for (each, part), seconds in self._seconds.items() if each == name and part}
        waited, known = self._seconds.get((name, None), 0.0), sum(seen.values())
        if name in self._threads or not known:
            part = self._threads.get(name, Part.REST)
            return {**seen, part: seen.get(part, 0.0) + waited}
        return {part: seconds * (1 + waited / known) for part, seconds in seen.items()}

    def _keep_looking(self) -> None:
        while not self._stopping.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        stacks = _stacks(self._stacks)
        for thread in threading.enumerate():
            if thread.native_id is None or thread is self._thread:
                continue
            used = self._used(thread.native_id)
            if used > 0:
                modules = map(_module_of, _FILE.findall(stacks.get(thread.ident or 0, "")))
                self._seconds[_kind(thread.name), part_of_stack(modules)] += used

    def _used(self, thread: int) -> float:
        """The CPU seconds of a thread since the last look."""
        try:
            now = time.clock_gettime(_clock_of(thread))
        except OSError:  # it has ended meanwhile
            return 0.0
        before = self._clocks.get(thread, 0.0)
        self._clocks[thread] = now
        return now - before if now >= before else now  # its id was another's before


def _clock_of(thread: int) -> int:
    """The kernel's clock of a thread's CPU; `time.pthread_getcpuclockid` crashes if the thread has just ended."""
    return (~thread << 3) | 6  # a thread's own, and scheduled time: MAKE_THREAD_CPUCLOCK in Linux


def _kind(name: str) -> str:
    """What threads of one pool have in common."""
    return name.rstrip("0123456789").rstrip("_-")


def _stacks(file: int) -> dict[int, str]:
    """What each thread is at, by its identity: lines of files, the innermost first."""
    os.truncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)
    faulthandler.dump_traceback(file)
    written = os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")
    _, *parts = _THREAD.split(written)
    return {int(thread, 16): stack for thread, stack in zip(parts[::2], parts[1::2], strict=True)}


@lru_cache(maxsize=4096)
def _module_of(path: str) -> str:
    """A file's module, as far as its name tells."""
    roots = [root for root in (PROJECT, *sys.path) if root and path.startswith(f"{root}/")]
    return path.removeprefix(max(roots, key=len, default="")).strip("/").removesuffix(".py").replace("/", ".")
