"""What a worker does when it is told to stop: it ends what it can in the time that it has, and gives the rest back."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from services.local.valkey import Valkey
from shared.lm.fake import FakeServer
from tests.e2e.stack import DEADLINE_S, Stack, a_job, a_stack, all_queues

QUEUES = all_queues(["base", "chat"])
TARGETS = {"input_output": 1, "output_only": 1}
LONG_S = 600  # how long a call takes, and may take
WORK = "SELECT state, sum(earlier_tries), sum(crashes), sum(timeouts) FROM work_items GROUP BY state"


def patient_job(server: FakeServer) -> dict[str, Any]:
    """A job whose calls may take far longer than a worker that is told to stop has."""
    common = {"endpoints": [server.url], "timeout_s": LONG_S, "max_in_flight": 6}
    models = {
        "base": {"protocol": "tgi", "kind": "vanilla", **common},
        "chat": {"protocol": "openai", "kind": "instruct", **common},
    }
    return a_job(models, TARGETS)


@pytest.fixture
def hurried(engine: Engine, database_url: str, broker: Valkey, tmp_path: Path) -> Iterator[Stack]:
    """Workers that have half a second to stop in."""
    with a_stack(engine, database_url, broker.url, tmp_path, DRAIN_S="0.5") as stack:
        yield stack


def test_a_worker_that_is_told_to_stop_before_it_has_begun_ends_well(
    engine: Engine, broker: Valkey, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(DEADLINE_S)
        url = f"postgresql://someone@127.0.0.1:{silent.getsockname()[1]}/any"
        with a_stack(engine, url, broker.url, tmp_path) as stack:
            worker = stack.start(*QUEUES)
            connection, _ = silent.accept()
            with connection:
                assert worker.stop() == 0, stack.logs()


def test_calls_that_outlast_the_time_to_stop_are_broken_off_and_given_back(hurried: Stack) -> None:
    worker = hurried.start(*QUEUES)
    with FakeServer(latency=LONG_S) as server:
        run_id = hurried.enqueue(patient_job(server))
        hurried.wait("a call", lambda: server.in_flight)
        assert worker.stop() == 0, hurried.logs()
        ((state, broken_off, crashes, timeouts),) = hurried.rows(WORK)
        assert (state, crashes, timeouts) == ("ready", 0, 0)
        assert broken_off > 0
        assert hurried.rows("SELECT count(*) FROM model_shares") == [0]
        assert "Traceback" not in worker.log.read_text()

        server.latency = 0.0
        hurried.start(*QUEUES)
        hurried.wait_for_the_end(run_id)
    assert hurried.rows("SELECT sum(crashes) FROM work_items") == [0]
    hurried.command("audit", run_id)


def test_a_worker_without_a_broker_that_is_told_twice_gives_back_what_it_holds(hurried: Stack, broker: Valkey) -> None:
    worker = hurried.start(*QUEUES)
    with FakeServer(latency=LONG_S) as server:
        hurried.enqueue(patient_job(server))
        hurried.wait("a call", lambda: server.in_flight)
        broker.stop()
        worker.process.send_signal(signal.SIGTERM)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(DEADLINE_S) == 0, hurried.logs()
    assert [(state, crashes) for state, _, crashes, _ in hurried.rows(WORK)] == [("ready", 0)]


def test_a_worker_with_time_enough_ends_what_is_under_way(stack: Stack) -> None:
    worker = stack.start(*QUEUES)
    with FakeServer(latency=1.5) as server:
        stack.enqueue(patient_job(server))
        stack.wait("a call", lambda: server.in_flight)
        assert worker.stop() == 0, stack.logs()
    work = {state: tuple(counts) for state, *counts in stack.rows(WORK)}
    assert work == {"done": (0, 0, 0), "ready": (0, 0, 0)}
