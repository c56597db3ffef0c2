"""Processes of our own: started, waited for, and surely ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from shared.errors import WorldError

LEASH = Path(__file__).with_name("leash.py")
POLL_S = 0.05


class NotReady(WorldError):
    """{name} {what}. The end of {log}:
    {tail}"""

    def __init__(self, name: str, what: str, log: Path) -> None:
        super().__init__(name=name, what=what, log=log, tail="\n" + last_lines(log))


def last_lines(log: Path, count: int = 20) -> str:
    """The last `count` lines of a log, indented; empty if there is none."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"  {line}" for line in lines[-count:])


def leashed(command: Sequence[str], *, parting: int = signal.SIGTERM, user: str | None = None) -> list[str]:
    """`command`, to be run as `user`, sent `parting` by the kernel when the thread that starts it ends."""
    return [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(int(parting)), user or "-", *command]


class Child:
    """A process in a session of its own (so Ctrl-C at the terminal is left to us), which dies with us.

    On Linux the kernel sends it `parting` when the *thread* that started it ends, even by kill -9: start it on a
    thread that lives as long as the child should. Elsewhere only `stop` ends it.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path, parting: int) -> None:
        self.name, self.log = name, log
        self._process, self._parting = process, parting
        self._asked = False

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        user: str | None = None,
        parting: int = signal.SIGTERM,
    ) -> Self:
        """Start `command` (an absolute path, then arguments); its output replaces what `log` holds."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                leashed(command, parting=parting, user=user),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=folder,
                start_new_session=True,
            )
        return cls(name, process, log, parting)

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        if self._process.returncode is None and self._process.poll() is not None:
            self._end_group()
        return self._process.returncode is None

    def require_alive(self) -> None:
        """Raises `NotReady`, with the end of its log, if it has ended."""
        if not self.alive:
            raise NotReady(self.name, f"ended with status {self._process.returncode}", self.log)

    def _end_group(self) -> None:
        # Only right after the process was reaped: later its id, and so its group's, may be another's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait_ready(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until `ready()` holds; raises NotReady when the process ends first, or after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.require_alive()
            if time.monotonic() > deadline:
                raise NotReady(self.name, f"was not ready after {timeout_s:g} s", self.log)
            time.sleep(POLL_S)

    def stop(self, timeout_s: float = 10) -> None:
        """Ask it to end; after `timeout_s` seconds, kill it. Its group goes with it. Harmless when it has ended."""
        self.ask_to_stop()
        if not self.alive:
            return
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._end_group()

    def ask_to_stop(self) -> None:
        """Ask it to end, once, without waiting; a second signal would have some servers drop what they finish."""
        if self.alive and not self._asked:
            self._asked = True
            self._process.send_signal(self._parting)

    def kill(self) -> None:
        """End it at once with SIGKILL, as a crash would."""
        self._process.kill()
        self._process.wait()
        self._end_group()


def stop_together(children: Sequence[Child], timeout_s: float) -> None:
    """Stop several at the same time: all are asked, and those that still run `timeout_s` seconds later are killed."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + timeout_s
    for child in children:
        child.stop(max(0.1, deadline - time.monotonic()))
