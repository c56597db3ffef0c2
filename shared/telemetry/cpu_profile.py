"""Where a process's CPU goes, by part of the system: each thread's CPU clock, and what the thread is at.

Python hands from thread to thread most often when one waits, so what is attributed leans towards calls that wait:
the database gets some tenth of the whole too much, at the cost of the method and the HTTP client.
"""

import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from types import FrameType

EVERY_S = 0.005


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


def part_of_stack(modules: Iterable[str], otherwise: Part = Part.REST) -> Part:
    """The part of the innermost module that belongs to any; the innermost module comes first."""
    return next(filter(None, map(part_of_module, modules)), otherwise)


class CpuProfile:
    """Adds up the CPU seconds of each part from now until `stop`, which writes them to `path` as JSON.

    `threads` names the part of threads whose stacks tell nothing, as of a loop that is written in C. Linux only.
    """

    def __init__(self, path: Path, threads: Mapping[str, Part]) -> None:
        self._path = path
        self._threads = threads
        self._seconds = dict.fromkeys(Part, 0.0)
        self._clocks: dict[int, float] = {}  # what each thread had used at the last look, by its kernel's id
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="cpu-profile", daemon=True)
        self._look()
        self._seconds = dict.fromkeys(Part, 0.0)  # what was used before now is not counted
        self._thread.start()

    def stop(self) -> None:
        """End, and write what there was."""
        self._stopping.set()
        self._thread.join()
        self._path.write_text(json.dumps(self._seconds))

    def _keep_looking(self) -> None:
        while not self._stopping.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        frames = sys._current_frames()
        for thread in threading.enumerate():
            frame = frames.get(thread.ident or 0)
            if frame is None or thread.native_id is None or thread is self._thread:
                continue
            used = self._used(thread.native_id)
            if used > 0:
                self._seconds[part_of_stack(_modules(frame), self._threads.get(thread.name, Part.REST))] += used

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


def _modules(frame: FrameType | None) -> Iterator[str]:
    while frame:
        yield frame.f_globals.get("__name__", "")
        frame = frame.f_back
