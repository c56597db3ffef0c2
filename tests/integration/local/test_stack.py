"""The stack as a whole: what it starts it ends, in the foreground and in the background."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from services.local.home import Home
from services.local.processes import NotReady
from services.local.stack import (
    Stack,
    StackInfo,
    State,
    WorkerPool,
    down,
    running,
    status,
    temporary_postgres,
    up,
)
from services.local.whole_stack import AlreadyUp

POOL = WorkerPool("judge", ("consensus", "control"), 1)
SMALL = "from services.local.whole_stack import Stack\nsmall = lambda report: Stack(report, models=(), workers=())\n"
SUPERVISOR = ("-c", SMALL + "from services.local.supervisor import main\nmain(small)")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A state folder of the test's own; nothing may be left running in it."""
    home = Home.at(tmp_path / "home")
    yield home
    down(home)


def small(home: Home, **options: object) -> Stack:
    """A stack without LMs and workers."""
    return Stack(home=home, models=(), workers=(), **options)  # type: ignore[arg-type]  # a test gives what Stack takes


def gone(pid: int) -> bool:
    """Whether a process has ended, if only just."""
    for _ in range(200):
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def supervisor_log(home: Home) -> str:
    return (home.logs / "supervisor.log").read_text()


def kill(stack: Stack, number: int) -> None:
    """End a part as a crash would."""
    os.kill(stack.info.parts[number].pid, signal.SIGKILL)
    assert gone(stack.info.parts[number].pid)
    for _ in range(200):  # its other threads may take a moment longer
        if stack.ended():
            return
        time.sleep(0.05)
    raise AssertionError(f"part {number} has not ended")


@contextmanager
def taken(url: str) -> Iterator[None]:
    """Somebody listens at the address."""
    with socket.create_server(("127.0.0.1", urlsplit(url).port or 0), reuse_port=False):
        yield


def test_a_stack_starts_tells_and_ends(home: Home) -> None:
    told: list[str] = []
    with Stack(told.append, home=home, models=(), workers=(POOL,)) as stack:
        info = stack.info
        assert running(home) == info
        assert [(part.name, part.state) for part in status(home)] == [
            ("PostgreSQL", State.READY),
            ("Valkey", State.READY),
            ("judge", State.READY),
        ]
        with psycopg.connect(info.database_url) as connection:
            assert connection.execute("SELECT to_regnamespace('lineage')").fetchone() == ("lineage",)
    assert "worker judge for consensus, control" in told
    assert [part.name for part in info.parts if not gone(part.pid)] == []
    assert running(home) is None
    assert not home.stack_file.exists()


def test_a_failure_on_the_way_leaves_nothing_running(home: Home) -> None:
    seen: list[StackInfo] = []

    def fail(_: str) -> None:
        seen.append(stack.info)
        raise RuntimeError("the migration failed")

    stack = small(home, migrate=fail)
    with pytest.raises(RuntimeError, match="the migration failed"), stack:
        pass
    assert [part.name for part in seen[0].parts if not gone(part.pid)] == []
    assert running(home) is None


def test_an_error_inside_ends_it(home: Home) -> None:
    seen: list[StackInfo] = []

    def work() -> None:
        with small(home) as stack:
            seen.append(stack.info)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert all(gone(part.pid) for part in seen[0].parts)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_all(home: Home, number: signal.Signals) -> None:
    code = f"{SMALL}import time\nwith small(print) as stack:\n    print('ready', flush=True)\n    time.sleep(60)\n"
    environment = {**os.environ, "ENSEMBLE_INSTRUCT_HOME": str(home.root)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as program:
        assert program.stdout is not None
        assert "ready\n" in iter(program.stdout.readline, "")
        info = running(home)
        assert info
        program.send_signal(number)
    assert all(gone(part.pid) for part in info.parts)
    assert running(home) is None


def test_what_ends_by_itself_is_known(home: Home) -> None:
    with small(home) as stack:
        assert stack.ended() == []
        kill(stack, 1)
        assert stack.ended() == ["Valkey"]
        assert [part.state for part in status(home)] == [State.READY, State.ENDED]


def test_whose_a_stack_is_can_be_known(home: Home) -> None:
    with small(home, of="demo"):
        info = running(home)
        assert info
        assert info.of == "demo"


def test_a_second_stack_is_refused(home: Home) -> None:
    with small(home), pytest.raises(AlreadyUp, match="local down"):
        small(home).start()


def test_one_in_the_background_is_brought_up_and_down(home: Home) -> None:
    told: list[str] = []
    info = up(told.append, home, SUPERVISOR)
    assert told[-1].startswith("everything is up")
    assert [part.state for part in status(home)] == [State.READY, State.READY]
    assert up(told.append, home, SUPERVISOR) == info
    assert down(home)
    assert all(gone(pid) for pid in (info.pid, *(part.pid for part in info.parts)))
    assert not down(home)
    assert status(home) == []
    again = up(told.append, home, SUPERVISOR)
    assert (again.database_url, again.redis_url) == (info.database_url, info.redis_url)
    assert down(home)


def test_what_ends_by_itself_in_the_background_is_started_again_at_its_address(home: Home) -> None:
    info = up(lambda _: None, home, SUPERVISOR)
    os.kill(info.parts[1].pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (now := running(home)) == info or [part.state for part in status(home)] != [State.READY] * 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert now
    assert now.redis_url == info.redis_url
    assert now.parts[0] == info.parts[0]
    kept = home.logs / "valkey.ended.log"
    assert f"Valkey has ended by itself, and is started again; what it said is in {kept}" in supervisor_log(home)
    assert "Ready to accept connections" in kept.read_text()
    assert "Ready to accept connections" in (home.logs / "valkey.log").read_text()


def test_a_part_that_can_not_be_started_again_takes_nothing_else_with_it(home: Home) -> None:
    info = up(lambda _: None, home, SUPERVISOR)
    (home.logs / "valkey.ended.log").mkdir()  # in the way of the log of how it ended
    os.kill(info.parts[1].pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while "Valkey was not started again: [Errno 21] Is a directory" not in supervisor_log(home):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [part.state for part in status(home)] == [State.READY, State.ENDED]
    assert down(home)


def test_a_worker_that_ended_is_started_again(home: Home) -> None:
    with Stack(home=home, models=(), workers=(POOL,)) as stack:
        kill(stack, 2)
        stack.start_again("worker judge")
        assert stack.ended() == []
        deadline = time.monotonic() + 60
        while [part.state for part in status(home)] != [State.READY] * 3:
            assert time.monotonic() < deadline


def test_a_part_that_does_not_come_up_again_is_still_known(home: Home) -> None:
    with small(home) as stack:
        kill(stack, 1)
        with taken(stack.info.redis_url), pytest.raises(NotReady, match="Valkey"):
            stack.start_again("Valkey")
        assert stack.ended() == ["Valkey"]
        stack.start_again("Valkey")
        assert stack.ended() == []
        assert [part.state for part in status(home)] == [State.READY] * 2


def test_nothing_outlives_a_supervisor_that_is_killed(home: Home) -> None:
    info = up(lambda _: None, home, SUPERVISOR)
    os.kill(info.pid, signal.SIGKILL)
    assert all(gone(pid) for pid in (info.pid, *(part.pid for part in info.parts)))
    assert running(home) is None
    with temporary_postgres(home) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_database_outlives_the_stack(home: Home) -> None:
    with small(home) as stack, psycopg.connect(stack.info.database_url) as connection:
        connection.execute("CREATE TABLE words AS SELECT 'kept' AS word")
    with temporary_postgres(home) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT word FROM words").fetchone() == ("kept",)


def test_a_running_stack_lends_its_database(home: Home) -> None:
    with small(home) as stack, temporary_postgres(home) as url:
        assert url == stack.info.database_url


def test_commands_at_the_same_time_take_turns(home: Home) -> None:
    done: list[int] = []

    def command(number: int) -> None:
        with temporary_postgres(home) as url, psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS turns (number int)")
            connection.execute("INSERT INTO turns VALUES (%s)", [number])
        done.append(number)

    threads = [threading.Thread(target=command, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 1, 2]
