"""Our processes end when they should, with all they started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.local.processes import Child, NotReady, stop_together

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
""",
]
PARENT = """
import sys, time
from pathlib import Path
from services.local.processes import Child
child = Child.start("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], log=Path(sys.argv[1]))
print(child.pid, flush=True)
time.sleep(60)
"""


def gone(pid: int, timeout_s: float = 5) -> bool:
    """Whether the process ends in time; a zombie counts as ended."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_it_stops_when_asked(tmp_path: Path) -> None:
    child = Child.start("sleeper", SLEEP, log=tmp_path / "log")
    assert child.alive
    child.stop()
    assert not child.alive


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    child = Child.start("sleeper", SLEEP, log=tmp_path / "log")
    child.stop()
    child.stop()


def test_the_stubborn_are_killed_with_their_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child.start("stubborn", STUBBORN, log=log)
    child.wait_ready(lambda: log.read_text().endswith("\n"), timeout_s=10)
    child.stop(timeout_s=0.2)
    assert gone(int(log.read_text()))


def test_several_are_stopped_in_the_time_of_one(tmp_path: Path) -> None:
    logs = [tmp_path / f"log{number}" for number in range(3)]
    children = [Child.start("stubborn", STUBBORN, log=log) for log in logs]
    for child, log in zip(children, logs, strict=True):
        child.wait_ready(lambda log=log: log.read_text().endswith("\n"), timeout_s=10)  # type: ignore[misc]  # the default is a Path
    began = time.monotonic()
    stop_together(children, timeout_s=1)
    assert time.monotonic() - began < 2.5
    assert not any(child.alive for child in children)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    assert gone(pid)


def test_its_own_end_is_told_with_the_last_lines(tmp_path: Path) -> None:
    child = Child.start("failing", [sys.executable, "-c", "raise SystemExit('no such model')"], log=tmp_path / "log")
    with pytest.raises(NotReady, match=r"failing ended with status 1\. The end of .*log:\s+no such model"):
        child.wait_ready(lambda: False, timeout_s=10)


def test_patience_ends(tmp_path: Path) -> None:
    child = Child.start("sleeper", SLEEP, log=tmp_path / "log")
    with pytest.raises(NotReady, match=r"sleeper was not ready after 0\.1 s"):
        child.wait_ready(lambda: False, timeout_s=0.1)
    child.stop()
