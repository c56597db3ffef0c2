"""The embedded stack in the background, and its database for a moment."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.local.health import http_answers, postgres_answers, valkey_answers
from services.local.home import Home
from services.local.home_lock import HomeLock
from services.local.postgres import Postgres
from services.local.processes import last_lines
from services.local.stack_info import Kind, Part, StackInfo, read_info
from services.local.worker_pools import answering
from shared.errors import WorldError

SUPERVISOR = ("-m", "services.local.supervisor")
DOWN_TIMEOUT_S = 60.0
DATABASE_PATIENCE_S = 60.0


class StackFailed(WorldError):
    """The embedded stack did not come up. The end of {log}: {tail}"""


class StackStays(WorldError):
    """The embedded stack (process {pid}) has not ended after {seconds} s; see {log}"""


class DatabaseBusy(WorldError):
    """Process {pid} has kept the embedded database for {seconds} s; wait for it to end, or end it"""


class State(StrEnum):
    """How a part is."""

    READY = "ready"
    SILENT = "not answering"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One part of the stack, as a person wants to see it."""

    name: str
    address: str
    pid: int
    state: State


def running(home: Home | None = None) -> StackInfo | None:
    """The stack that is up, in the background or as a demo; None if none is."""
    home = home or Home.find()
    if HomeLock(home.lock_file).holder() is None:
        return None
    return read_info(home.stack_file)


def up(report: Callable[[str], None], home: Home | None = None, supervisor: Sequence[str] = SUPERVISOR) -> StackInfo:
    """Start the stack in the background, unless it is up, and wait until it is; raises StackFailed.

    `supervisor` is what Python is given to run.
    """
    home = home or Home.find()
    if info := running(home):
        return info
    home.logs.mkdir(exist_ok=True)
    log = home.logs / "supervisor.log"
    with log.open("wb") as errors:
        command = [sys.executable, *supervisor]
        environment = {**os.environ, "ENSEMBLE_INSTRUCT_HOME": str(home.root)}
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as starter:
            _relay(starter, report, home)
    if info := running(home):
        return info
    raise StackFailed(log=log, tail="\n" + last_lines(log))


def _relay(starter: subprocess.Popen[str], report: Callable[[str], None], home: Home) -> None:
    try:
        for line in starter.stdout or ():
            report(line.rstrip("\n"))
    except BaseException:
        if pid := HomeLock(home.lock_file).holder():  # on its way up it is in no stack.json yet
            _end(home, pid)
        raise


def down(home: Home | None = None) -> bool:
    """End the stack and wait until all its parts have; False if none was up. Raises StackStays."""
    home = home or Home.find()
    info = running(home)
    if info is None:
        return False
    _end(home, info.pid)
    return True


def _end(home: Home, pid: int) -> None:
    lock = HomeLock(home.lock_file)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_TIMEOUT_S
    while lock.holder() == pid:
        if time.monotonic() > deadline:
            raise StackStays(pid=pid, seconds=DOWN_TIMEOUT_S, log=home.logs)
        time.sleep(0.1)


def status(home: Home | None = None) -> list[PartStatus]:
    """Each part and whether it answers; empty if no stack is up."""
    info = running(home)
    if info is None:
        return []
    workers = {part.name for part in info.parts if part.kind is Kind.WORKER}
    answered = answering(info.redis_url, workers) if workers else set()
    return [PartStatus(part.name, part.address, part.pid, _state(part, info, answered)) for part in info.parts]


def _state(part: Part, info: StackInfo, workers: set[str]) -> State:
    checks: dict[Kind, Callable[[], bool]] = {
        Kind.DATABASE: lambda: postgres_answers(info.database_url),
        Kind.BROKER: lambda: valkey_answers(info.redis_url),
        Kind.LANGUAGE_MODEL: lambda: http_answers(f"{part.address}/health"),
        Kind.WORKER: lambda: part.name in workers,
    }
    if checks[part.kind]():
        return State.READY
    return State.SILENT if _alive(part.pid) else State.ENDED


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, as another user
        return True
    with contextlib.suppress(OSError):  # an ended child that its parent has not yet asked after is a zombie
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return True


@contextmanager
def temporary_postgres(home: Home | None = None) -> Iterator[str]:
    """The address of the embedded database: the running stack's, or one that is started for as long as this lasts.

    Commands that run at the same time take turns; raises DatabaseBusy when the turn does not come.
    """
    home = home or Home.find()
    lock = HomeLock(home.lock_file)
    deadline = time.monotonic() + DATABASE_PATIENCE_S
    while not lock.acquire():
        if info := running(home):
            yield info.database_url
            return
        if time.monotonic() > deadline:
            raise DatabaseBusy(pid=lock.holder(), seconds=DATABASE_PATIENCE_S)
        time.sleep(0.05)
    try:
        home.stack_file.unlink(missing_ok=True)  # left by a stack that was killed
        with Postgres(home.postgres, log=home.logs / "postgres.log") as server:
            yield server.url
    finally:
        lock.release()
