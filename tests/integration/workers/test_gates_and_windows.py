"""Several workers at once: the novelty gate, the window of calls, the end of a run, a thread of one's own."""

import threading
import time
import uuid
from dataclasses import replace
from functools import partial

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sqlalchemy import func, select, text, update

from shared.lm.fake import FakeServer
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.method.tasks import TaskType
from shared.queue import names
from shared.store import locks
from shared.store.dead import put_back
from shared.store.gate import complete_target, count
from shared.store.keys import key, pool_key, position
from shared.store.loading import RunContext
from shared.store.locks import held_by_one, lock
from shared.store.records import completed_types
from shared.store.runs import targets_of
from shared.store.shares import Holder, renew
from shared.store.tables.records import Example, Generation, Instruction, RecordState
from shared.store.tables.runs import Run, RunState, RunTarget
from shared.store.tables.work import WorkItem, WorkState
from shared.store.work import Failure, claim, fail
from tests.integration.workers.driving import (
    HeldLM,
    a_worker,
    begin,
    drive,
    in_threads,
    one_round,
    rows,
    run_of,
    small_job,
    stream,
    work_on,
)
from workers import streaming
from workers.gate import advance
from workers.reconciler import reconcile
from workers.runtime import Runtime

WORDS = [
    "sort",
    "count",
    "name",
    "list",
    "rank",
    "weigh",
    "draw",
    "fold",
    "merge",
    "split",
    "trim",
    "join",
    "map",
    "scan",
    "pack",
]


def alike(request: FakeRequest) -> FakeAnswer:
    """Proposals of which many are alike, as they come from few words."""
    dice = (request.seed or 0) % 3375
    chosen = [WORDS[dice % 15], WORDS[dice // 15 % 15], WORDS[dice // 225]]
    return FakeAnswer(f" Please {chosen[0]} the {chosen[1]} and {chosen[2]} them.\n\nTask 9:")


def test_gates_that_run_at_once_accept_no_two_instructions_that_are_alike(
    database_url: str, redis_url: str, runtime: Runtime
) -> None:
    with FakeServer(alike) as server, a_worker(database_url, redis_url) as other:
        job = small_job(server.url, targets={"output_only": 40}, instructions={"lookahead": 96, "patience": 200})
        run_id = begin(runtime, job)
        in_threads([partial(stream, worker, run_id, names.INSTRUCTIONS) for worker in (runtime, other)])
        in_threads([partial(reconcile_and_advance, worker, run_id) for worker in (runtime, other) for _ in range(3)])

    accepted = select(Instruction.text).where(Instruction.state == RecordState.ACCEPTED)
    texts = rows(runtime, accepted.order_by(Instruction.accepted_order))
    scorer = RougeScorer(["rougeL"])
    pairs = [(a, b) for index, a in enumerate(texts) for b in texts[:index]]
    assert [pair for pair in pairs if scorer.score(*pair)["rougeL"].fmeasure > 0.7] == []
    assert rows(runtime, select(func.count()).where(Instruction.reason == "not_novel"))[0] > 5
    assert len(texts) > 5


def reconcile_and_advance(worker: Runtime, run_id: uuid.UUID) -> None:
    """What several processes do at any moment."""
    context = worker.context(run_id)
    assert context is not None
    advance(worker, context)
    reconcile(worker)


def test_accepted_instructions_are_numbered_without_gaps_in_the_order_of_proposals(
    runtime: Runtime, lm: FakeServer
) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 4}))
    stream(runtime, run_id, names.INSTRUCTIONS)

    accepted = select(Instruction.accepted_order).where(Instruction.state == RecordState.ACCEPTED)
    numbers = rows(runtime, accepted.order_by(Instruction.position))
    assert numbers == list(range(len(numbers)))
    assert numbers


def test_the_gate_waits_for_an_earlier_proposal_on_its_first_try(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 4}))
    with runtime.sessions.begin() as session:
        claim(session, run_id, names.INSTRUCTIONS, count=1, lease_s=600, worker="slow")
    stream(runtime, run_id, names.INSTRUCTIONS)

    assert rows(runtime, select(func.count(Instruction.id))) == [0]


def test_the_gate_waits_for_another_process_that_is_at_it(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 4}))
    with runtime.sessions.begin() as session:
        first = claim(session, run_id, names.INSTRUCTIONS, count=1, lease_s=600, worker="slow")
    stream(runtime, run_id, names.INSTRUCTIONS)
    with runtime.sessions.begin() as session:
        fail(session, [Failure(first[0], "refused_input", "so that the gate may pass over it")])

    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with runtime.sessions.begin() as another:
        lock(another, "gate", run_id, TaskType.OUTPUT_ONLY)
        advancing = threading.Thread(target=reconcile, args=(runtime,))
        advancing.start()
        while advancing.is_alive() and not rows(runtime, waiting)[0]:
            time.sleep(0.01)
        assert advancing.is_alive()
        assert rows(runtime, select(func.count(Instruction.id))) == [0]
    advancing.join()
    assert rows(runtime, select(func.count(Instruction.id)))[0] > 0


def test_an_answer_to_what_had_failed_is_judged_though_it_comes_while_the_gate_waits(
    runtime: Runtime, lm: FakeServer, database_url: str, redis_url: str
) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 4}))
    with runtime.sessions.begin() as session:
        first = claim(session, run_id, names.INSTRUCTIONS, count=1, lease_s=600, worker="slow")[0]
        fail(session, [Failure(first, "refused_input", "so that it is the gate's turn")])

    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    answered = select(func.count(Generation.id)).where(Generation.work_item_id == first.id, Generation.response != "")
    with a_worker(database_url, redis_url) as answering:
        working = threading.Thread(target=stream, args=(answering, run_id, names.INSTRUCTIONS))
        with runtime.sessions.begin() as another:
            lock(another, "gate", run_id, TaskType.OUTPUT_ONLY)
            advancing = threading.Thread(target=reconcile, args=(runtime,))
            advancing.start()
            while not rows(runtime, waiting)[0]:
                time.sleep(0.01)
            with runtime.sessions.begin() as session:
                put_back(session, run_id, [first.id])
            working.start()
            while not rows(runtime, answered)[0]:
                time.sleep(0.01)
        advancing.join()
        working.join()
    written = select(func.count(Instruction.id)).join(Generation).where(Generation.work_item_id == first.id)
    assert rows(runtime, written)[0] > 0


def test_the_gate_does_not_wait_for_a_proposal_that_is_tried_again(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 4}))
    with runtime.sessions.begin() as session:
        first = claim(session, run_id, names.INSTRUCTIONS, count=1, lease_s=600, worker="slow")[0]
        session.execute(update(WorkItem).where(WorkItem.id == first.id).values(overloads=1))
    stream(runtime, run_id, names.INSTRUCTIONS)

    assert rows(runtime, select(func.count(Instruction.id)))[0] > 0


def test_an_index_that_may_hold_what_was_never_committed_is_dropped(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))
    context = runtime.context(run_id)
    assert context is not None
    try:
        with runtime.indexes.turn(run_id, TaskType.OUTPUT_ONLY), runtime.sessions.begin() as session:
            runtime.indexes.current(session, context, TaskType.OUTPUT_ONLY).synced += 5
            raise ConnectionResetError
    except ConnectionResetError:
        pass
    with runtime.sessions() as session:
        assert runtime.indexes.current(session, context, TaskType.OUTPUT_ONLY).synced == 0


def test_workers_together_have_no_more_calls_under_way_than_the_job_allows(
    database_url: str, redis_url: str, runtime: Runtime
) -> None:
    with FakeServer(latency=0.05) as server, a_worker(database_url, redis_url) as other:
        models = {"base": {"max_in_flight": 3}}
        run_id = begin(runtime, small_job(server.url, models=models, targets={"output_only": 8}))
        in_threads([partial(stream, worker, run_id, names.INSTRUCTIONS) for worker in (runtime, other)])

    assert server.most_in_flight == 3


def test_a_stream_without_room_leaves_its_thread_to_others(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "WAIT_FOR_ROOM_S", 1.0)
    models = {"base": {"max_in_flight": 1}}
    job = small_job(lm.url, models=models, targets={"output_only": 4})
    run_id = begin(runtime, job)
    with runtime.sessions.begin() as session:
        spec = job.models["base"]
        holder = Holder(run_id, "base", "another", pool_key(spec.urls, spec.model), spec.max_in_flight)
        renew(session, holder, wanted=[1, 0, 0], share=1, holding=1)
    leaving = threading.Thread(target=stream, args=(runtime, run_id, names.INSTRUCTIONS))
    leaving.start()
    leaving.join(15)  # a turn takes 30 s

    assert not leaving.is_alive()
    assert rows(runtime, select(Generation.id)) == []


def test_one_thread_is_enough_for_all_queues(runtime: Runtime, lm: FakeServer) -> None:
    models = {"base": {"max_in_flight": 1}, "chat": {"max_in_flight": 1}}
    run_id = begin(runtime, small_job(lm.url, models=models, targets={"output_only": 1}))
    queues = (names.INSTRUCTIONS, names.INSTANCES, names.outputs("base"), names.outputs("chat"), names.CONSENSUS)
    for _ in range(10):
        for queue in queues:
            work_on(runtime, run_id, queue)
        reconcile(runtime)

    assert run_of(runtime, run_id).state == RunState.COMPLETED


def test_a_second_stream_of_a_queue_in_a_worker_leaves_at_once(runtime: Runtime) -> None:
    lm = HeldLM()
    with FakeServer(lm.respond) as server:
        run_id = begin(runtime, small_job(server.url, targets={"output_only": 4}))
        first = threading.Thread(target=stream, args=(runtime, run_id, names.INSTRUCTIONS))
        first.start()
        lm.wait_for_a_call()
        stream(runtime, run_id, names.INSTRUCTIONS)
        assert first.is_alive()
        lm.let_go()
        first.join()


def test_two_types_that_are_met_at_the_same_moment_end_the_run(
    database_url: str, redis_url: str, runtime: Runtime, lm: FakeServer
) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"input_output": 1, "output_only": 1}))
    assert drive(runtime, run_id).state == RunState.COMPLETED
    with runtime.sessions.begin() as session:  # as if nobody had noticed yet
        session.execute(update(RunTarget).values(completed_at=None))
        session.execute(update(Run).values(state=RunState.RUNNING, finished_at=None))
    context = runtime.context(run_id)
    assert context is not None
    of_one_type = [
        replace(context, job=context.job.model_copy(update={"targets": {task_type: 1}}))
        for task_type in context.job.targets
    ]

    def hold_both_back() -> None:
        with runtime.sessions.begin() as session:
            completed_types(session, run_id)
            both.wait()
            session.execute(text("SELECT pg_sleep(0.5)"))  # both come to the rows that this one holds

    def advance_one(worker: Runtime, one: RunContext) -> None:
        both.wait()
        advance(worker, one)

    both = threading.Barrier(3, timeout=20)
    with a_worker(database_url, redis_url) as other:
        advances = [partial(advance_one, *pair) for pair in zip((runtime, other), of_one_type, strict=True)]
        in_threads([hold_both_back, *advances])
    assert run_of(runtime, run_id).state == RunState.COMPLETED


def test_an_example_written_while_its_type_closes_is_surplus(runtime: Runtime, lm: FakeServer) -> None:
    run = drive(runtime, begin(runtime, small_job(lm.url, targets={"output_only": 1})))
    with runtime.sessions.begin() as session:
        session.execute(update(RunTarget).where(RunTarget.run_id == run.id).values(completed_at=None))
    locked, closing = threading.Event(), threading.Event()

    def judge() -> None:
        with runtime.sessions.begin() as session:
            assert completed_types(session, run.id) == set()
            locked.set()
            assert closing.wait(20)
            late = session.scalars(select(Example).where(Example.run_id == run.id).limit(1)).one()
            session.execute(
                update(Example).where(Example.id == late.id).values(position=position(10**6), surplus=False)
            )

    def close() -> None:
        assert locked.wait(20)
        with runtime.sessions.begin() as session:
            closing.set()
            complete_target(session, run.id, TaskType.OUTPUT_ONLY, position(10**5))

    in_threads([judge, close])
    assert rows(runtime, select(Example.surplus).where(Example.position == position(10**6))) == [True]


def test_a_type_that_is_met_gets_no_more_work_while_the_other_goes_on(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))
    with runtime.sessions.begin() as session:
        complete_target(session, run_id, TaskType.OUTPUT_ONLY, 0)
    one_round(runtime, run_id)

    of_type = select(WorkItem.state).where(WorkItem.task_type == TaskType.OUTPUT_ONLY)
    assert set(rows(runtime, of_type)) == {WorkState.DROPPED}


def test_a_run_that_cannot_be_advanced_holds_up_no_other(runtime: Runtime, lm: FakeServer) -> None:
    broken = begin(runtime, small_job(lm.url))
    with runtime.sessions.begin() as session:
        session.execute(update(Run).where(Run.id == broken).values(job={"from": "another version"}))
    sound = begin(runtime, small_job(lm.url, targets={"output_only": 1}))
    with runtime.sessions.begin() as session:
        session.execute(update(RunTarget).where(RunTarget.run_id == sound).values(target=99))
    planned = select(func.count()).where(WorkItem.run_id == sound)
    before = rows(runtime, planned)[0]
    reconcile(runtime)

    assert rows(runtime, planned)[0] > before


def test_only_one_process_reconciles_at_a_time(database_url: str, redis_url: str, runtime: Runtime) -> None:
    with a_worker(database_url, redis_url) as other, held_by_one(other.engine, "reconciler") as held:
        assert held
        assert not reconcile(runtime)
    assert reconcile(runtime)


def test_a_reconciler_that_stands_still_is_replaced(
    database_url: str, redis_url: str, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "STANDSTILL_S", 0.2)
    with a_worker(database_url, redis_url) as other, held_by_one(other.engine, "reconciler") as held:
        assert held
        while not reconcile(runtime):
            time.sleep(0.05)


def test_a_worker_forgets_runs_that_ended(runtime: Runtime, lm: FakeServer) -> None:
    ended = drive(runtime, begin(runtime, small_job(lm.url, targets={"output_only": 1}))).id
    assert runtime.context(ended) is not None
    runtime.context(begin(runtime, small_job(lm.url)))

    with runtime.sessions() as session:
        context = runtime.context(ended)
        assert context is not None
        assert runtime.indexes.current(session, context, TaskType.OUTPUT_ONLY).synced > 0  # made anew, and up to date


def test_counting_adds_to_what_others_counted(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))

    def concluded_one() -> None:
        with runtime.sessions.begin() as session:
            count(session, run_id, TaskType.OUTPUT_ONLY, concluded=1)

    in_threads([concluded_one] * 8)
    with runtime.sessions() as session:
        assert targets_of(session, run_id)[TaskType.OUTPUT_ONLY].concluded == 8


def test_the_same_proposal_has_the_same_key_in_every_process(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 1}))

    expected = key("work", run_id, "instruction", "output_only", position(0), "")
    assert expected in rows(runtime, select(WorkItem.id))
