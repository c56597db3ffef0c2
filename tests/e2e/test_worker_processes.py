"""The main job with real worker processes, and what may happen to them on the way."""

import json
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import Engine

from services.local.valkey import Valkey
from shared.lm.fake import FakeServer
from tests.e2e.stack import DEADLINE_S, Stack, a_job, a_stack, all_queues
from tests.integration.workers.driving import HeldLM

QUEUES = all_queues(["base", "chat"])
DOUBLED = {
    "generations": "work_item_id, attempt",
    "instructions": "generation_id, position",
    "instances": "instruction_id",
    "candidates": "instance_id, number",
    "verdicts": "instance_id",
    "examples": "instance_id",
}


def job(server: FakeServer, targets: dict[str, int], **stages: Any) -> dict[str, Any]:
    """Two models of one fake LM, with time-outs and waits so short that a test need not wait."""
    common = {"endpoints": [server.url], "timeout_s": 3, "max_in_flight": 6}
    models = {
        "base": {"protocol": "tgi", "kind": "vanilla", **common},
        "chat": {"protocol": "openai", "kind": "instruct", **common},
    }
    return a_job(models, targets, retry={"backoff_s": 0.1}, **stages)


def the_run_is_whole(stack: Stack, run_id: str, targets: dict[str, int]) -> None:
    """Targets met, nothing doubled, nothing lost, every example's lineage reaching seed tasks."""
    kept = stack.rows(
        "SELECT task_type, count(*) FROM examples WHERE run_id = :id AND NOT surplus GROUP BY task_type", id=run_id
    )
    assert dict(kept) == targets
    for table, columns in DOUBLED.items():
        doubled = f"SELECT {columns} FROM {table} GROUP BY {columns} HAVING count(*) > 1"  # noqa: S608 - our names
        assert stack.rows(doubled) == []
    answered = (
        "SELECT w.id FROM work_items w LEFT JOIN generations g ON g.work_item_id = w.id AND g.response IS NOT NULL"
    )
    assert stack.rows(f"{answered} WHERE w.state = 'done' AND w.model IS NOT NULL AND g.id IS NULL") == []
    rootless = (
        "SELECT e.id FROM lineage.examples e WHERE NOT EXISTS"
        " (SELECT FROM lineage.ancestors('example', e.id) WHERE ancestor_kind = 'seed_task')"
    )
    assert stack.rows(rootless) == []


def test_workers_that_share_the_queues_make_the_dataset(stack: Stack, tmp_path: Path) -> None:
    targets = {"input_output": 4, "output_only": 3}
    stack.start("instructions", "outputs.base", "control")
    stack.start("instances", "outputs.chat", "consensus")
    with FakeServer() as server:
        run_id = stack.enqueue(job(server, targets))
        stack.wait_for_the_end(run_id)
    the_run_is_whole(stack, run_id, targets)

    path = Path(stack.command("export", run_id, "--out", str(tmp_path / "out")))
    exported = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(exported) == 7
    graph = json.loads(stack.command("lineage", exported[0]["id"], "--json"))
    assert {"seed_task", "model", "prompt_template"} <= {node["kind"] for node in graph["nodes"]}


def test_one_worker_with_one_thread_is_enough(stack: Stack) -> None:
    targets = {"output_only": 2}
    stack.start(*QUEUES, concurrency=1)
    with FakeServer(latency=0.02) as server:
        run_id = stack.enqueue(job(server, targets))
        stack.wait_for_the_end(run_id)
    the_run_is_whole(stack, run_id, targets)


def test_a_worker_told_to_stop_ends_in_order_and_leaves_nothing_leased(stack: Stack) -> None:
    worker = stack.start(*QUEUES)
    with FakeServer(latency=0.3) as server:
        stack.enqueue(job(server, {"input_output": 60, "output_only": 60}))
        stack.wait_for_examples(1)
        status = worker.stop()

    assert status == 0, stack.logs()
    assert "Traceback" not in worker.log.read_text()
    assert stack.rows("SELECT count(*) FROM work_items WHERE state = 'leased'") == [0]


def test_a_run_goes_on_when_its_only_worker_was_killed_and_comes_again(stack: Stack) -> None:
    targets = {"input_output": 3, "output_only": 3}
    doomed = stack.start(*QUEUES)
    lm = HeldLM()
    with FakeServer(lm.respond) as server:
        run_id = stack.enqueue(job(server, targets))
        lm.wait_for_a_call()
        doomed.kill()
        lm.let_go()
        stack.start(*QUEUES)
        stack.wait_for_the_end(run_id)
    assert stack.rows("SELECT sum(crashes) FROM work_items")[0] > 0
    the_run_is_whole(stack, run_id, targets)


def test_a_broker_that_forgets_everything_and_goes_away_costs_nothing_but_time(stack: Stack, broker: Valkey) -> None:
    targets = {"input_output": 4, "output_only": 4}
    stack.start(*QUEUES)
    with FakeServer(latency=0.1) as server, redis.Redis.from_url(broker.url) as client:
        run_id = stack.enqueue(job(server, targets))
        stack.wait_for_examples(1)
        client.flushall()
        stack.wait_for_examples(3)
        broker.stop()
        broker.start()
        stack.wait_for_the_end(run_id)
        assert client.llen("ae.undeliver") == 0  # where kombu puts what it cannot route
    the_run_is_whole(stack, run_id, targets)


def test_a_worker_that_is_new_takes_part_though_nobody_tells_it_of_work(stack: Stack, broker: Valkey) -> None:
    with FakeServer(latency=0.02) as server, redis.Redis.from_url(broker.url) as client:
        stack.enqueue(job(server, {"output_only": 2}))
        client.flushall()
        stack.start("instructions")
        stack.wait("a generation", lambda: stack.rows("SELECT count(*) FROM generations")[0])


def test_a_worker_refuses_a_database_without_tables(
    empty_database_url: str, engine: Engine, broker: Valkey, tmp_path: Path
) -> None:
    with a_stack(engine, empty_database_url, broker.url, tmp_path) as stack:
        worker = stack.start("control")
        assert worker.process.wait(DEADLINE_S) == 1
        assert "run `ensemble-instruct db upgrade`" in worker.log.read_text()
