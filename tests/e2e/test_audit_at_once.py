"""An audit at the very moment when a run has ended, with calls under way: what is left of them is no violation."""

import time
from typing import Any

from shared.lm.fake import FakeServer
from tests.e2e.stack import Stack, a_job, all_queues

QUEUES = all_queues(["base", "chat"])
ENDED = "SELECT state FROM runs WHERE finished_at IS NOT NULL"
READY = "SELECT count(*) FROM work_items WHERE state = 'ready'"
OPEN = "SELECT count(*) FROM work_items WHERE state IN ('ready', 'leased')"


def busy_job(server: FakeServer) -> dict[str, Any]:
    """A job with more work at hand than its models take at once."""
    common = {"endpoints": [server.url], "timeout_s": 60, "max_in_flight": 3}
    models = {
        "base": {"protocol": "tgi", "kind": "vanilla", **common},
        "chat": {"protocol": "openai", "kind": "instruct", **common},
    }
    return a_job(models, {"input_output": 3, "output_only": 3})


def test_a_run_cancelled_with_its_workers_stopped_at_once_is_sound(stack: Stack) -> None:
    worker = stack.start(*QUEUES)
    with FakeServer(latency=1.0) as server:
        run_id = stack.enqueue(busy_job(server))
        stack.wait("a call", lambda: server.in_flight)
        stack.command("cancel", run_id)
        assert worker.stop() == 0, stack.logs()
    assert stack.rows(OPEN) == [0]
    stack.command("audit", run_id)


def test_a_run_is_sound_as_soon_as_it_is_complete(stack: Stack) -> None:
    stack.start(*QUEUES)
    with FakeServer(latency=1.0) as server:
        run_id = stack.enqueue(busy_job(server))
        stack.wait("the run's end", lambda: stack.rows(ENDED) == ["completed"])
        looked_until = time.monotonic() + 3
        while time.monotonic() < looked_until:
            assert stack.rows(READY) == [0]
        stack.command("audit", run_id)
