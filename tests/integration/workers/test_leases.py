"""Workers that vanish, come late, are told to stop, or work on a run that was cancelled meanwhile."""

import time
import uuid
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import func, select

from services.local.postgres import Postgres
from shared.lm.fake import FakeServer
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.fake_responder import respond as plausible
from shared.queue import names
from shared.store.states import end_run
from shared.store.sweeping import expire_leases
from shared.store.tables.records import Candidate, Example, Generation, Instance, Instruction, Verdict
from shared.store.tables.runs import RunState
from shared.store.tables.work import WorkItem, WorkState
from shared.store.work import Claim, claim
from tests.integration.workers.driving import (
    HeldLM,
    begin,
    drive,
    in_threads,
    let_leases_run_out,
    one_round,
    rows,
    small_job,
    stream,
    until,
    work_in,
    work_on,
)
from workers.reconciler import reconcile
from workers.runtime import Runtime


def while_calls_are_under_way(runtime: Runtime, run_id: uuid.UUID, lm: HeldLM, then: Callable[[], object]) -> None:
    """Stream the instructions; do the other thing as soon as calls are under way, and only then let them end."""

    def meanwhile() -> None:
        lm.wait_for_a_call()
        then()
        lm.let_go()

    in_threads([lambda: stream(runtime, run_id, names.INSTRUCTIONS), meanwhile])


def test_an_answer_for_a_lost_lease_is_not_written(runtime: Runtime) -> None:
    lm = HeldLM()

    def lose() -> None:
        with runtime.sessions.begin() as session:  # at once, or the stream itself claims some of it again
            let_leases_run_out(session, run_id)
            expire_leases(session)
            claim(session, run_id, names.INSTRUCTIONS, count=99, lease_s=60, worker="another")

    with FakeServer(lm.respond) as server:
        run_id = begin(runtime, small_job(server.url, targets={"output_only": 2}))
        while_calls_are_under_way(runtime, run_id, lm, lose)

    assert rows(runtime, select(func.count(Generation.id))) == [0]
    assert {item.worker for item in work_in(runtime, run_id, WorkState.LEASED)} == {"another"}


def test_work_whose_worker_vanished_is_done_by_another(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 2}))
    with runtime.sessions.begin() as session:
        vanished = claim(session, run_id, names.INSTRUCTIONS, count=99, lease_s=60, worker="vanished")
        let_leases_run_out(session, run_id)
    run = drive(runtime, run_id)

    assert run.state == RunState.COMPLETED
    crashes = select(WorkItem.crashes).where(WorkItem.id.in_([each.id for each in vanished]))
    assert set(rows(runtime, crashes)) == {1}


@pytest.mark.parametrize(
    ("queue", "reasons"),
    [
        (names.INSTRUCTIONS, select(WorkItem.fault).where(WorkItem.stage == "instruction", WorkItem.crashes > 1)),
        (names.INSTANCES, select(Instance.reason)),
        (names.outputs("chat"), select(Candidate.reason).where(Candidate.voice == "chat")),
        (names.CONSENSUS, select(Verdict.reason)),
    ],
)
def test_what_makes_workers_vanish_too_often_is_given_up_as_crashed(
    runtime: Runtime, lm: FakeServer, queue: str, reasons: object
) -> None:
    job = small_job(lm.url, targets={"output_only": 1}, retry={"crashes": 2}, instructions={"patience": 4})
    run_id = begin(runtime, job)
    for _ in range(2):
        _vanish_with_all_of(runtime, run_id, queue)
    work_on(runtime, run_id, queue)

    found = rows(runtime, reasons)
    assert found
    assert set(found) == {"crashed"}


def _vanish_with_all_of(runtime: Runtime, run_id: uuid.UUID, queue: str) -> None:
    """Work on the queues before this one until it holds something, take that, and be gone."""
    taken: list[Claim] = []
    while not taken:
        with runtime.sessions.begin() as session:
            taken = claim(session, run_id, queue, count=99, lease_s=60, worker="vanished")
        if not taken:
            for earlier in (names.INSTRUCTIONS, names.INSTANCES, names.outputs("base"), names.outputs("chat")):
                if earlier != queue:
                    work_on(runtime, run_id, earlier)
    with runtime.sessions.begin() as session:
        let_leases_run_out(session, run_id)
    reconcile(runtime)


def test_a_run_goes_on_without_what_made_workers_vanish(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 1}, retry={"crashes": 2}))
    for _ in range(2):
        with runtime.sessions.begin() as session:
            claim(session, run_id, names.INSTRUCTIONS, count=1, lease_s=60, worker="vanished")
            let_leases_run_out(session, run_id)
        reconcile(runtime)
    run = drive(runtime, run_id)

    assert run.state == RunState.COMPLETED
    failed = select(WorkItem.position, WorkItem.fault).where(WorkItem.state == WorkState.FAILED)
    assert rows(runtime, failed) == [(0, "crashed")]


def test_the_calls_of_a_cancelled_run_are_broken_off_and_counted(runtime: Runtime) -> None:
    lm = HeldLM()

    def cancel() -> None:
        with runtime.sessions.begin() as session:
            assert end_run(session, run_id, RunState.CANCELLED, "cancelled by a test")
        context = runtime.context(run_id)
        assert context is not None
        until(lambda: runtime.window(context, "base").over)

    with FakeServer(lm.respond) as server:
        run_id = begin(runtime, small_job(server.url, models={"base": {"max_in_flight": 2}}))
        while_calls_are_under_way(runtime, run_id, lm, cancel)

    assert rows(runtime, select(func.count(Generation.id))) == [0]
    reconcile(runtime)  # what was claimed ahead was given back
    assert work_in(runtime, run_id, WorkState.READY, WorkState.LEASED) == []
    assert sum(each.earlier_tries for each in work_in(runtime, run_id, WorkState.DROPPED)) == 2


def test_the_second_call_of_a_slot_is_broken_off_and_given_back_as_its_first_would_be(runtime: Runtime) -> None:
    lm = HeldLM(answers=1)

    def stop() -> None:
        runtime.stop(0.0)
        until(lambda: sum(each.earlier_tries for each in work_in(runtime, run_id, WorkState.READY)))

    with FakeServer(lm.respond) as server:
        run_id = begin(runtime, small_job(server.url, models={"base": {"max_in_flight": 1}}))
        while_calls_are_under_way(runtime, run_id, lm, stop)

    assert work_in(runtime, run_id, WorkState.LEASED) == []
    (answered,) = work_in(runtime, run_id, WorkState.DONE)
    assert rows(runtime, select(Generation.work_item_id)) == [answered.id]
    assert answered.earlier_tries == 0
    assert sum(each.earlier_tries for each in work_in(runtime, run_id, WorkState.READY)) == 1


def test_a_cancelled_run_is_left_without_ready_work_even_by_those_who_come_late(runtime: Runtime) -> None:
    def respond(request: FakeRequest) -> FakeAnswer:
        with runtime.sessions.begin() as session:
            end_run(session, run_id, RunState.CANCELLED, "cancelled by a test")
        return plausible(request)

    with FakeServer(respond) as server:
        run_id = begin(runtime, small_job(server.url))
        with runtime.sessions.begin() as session:
            claim(session, run_id, names.INSTRUCTIONS, count=1, lease_s=60, worker="vanished")
        stream(runtime, run_id, names.INSTRUCTIONS)
        with runtime.sessions.begin() as session:
            let_leases_run_out(session, run_id)
        reconcile(runtime)

    assert work_in(runtime, run_id, WorkState.READY, WorkState.LEASED) == []


def test_nothing_new_comes_of_a_run_that_was_cancelled(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))
    one_round(runtime, run_id)
    with runtime.sessions.begin() as session:
        end_run(session, run_id, RunState.CANCELLED, "cancelled by a test")
    counts = [rows(runtime, select(func.count(each.id)))[0] for each in (WorkItem, Instruction, Example)]
    for queue in (names.INSTRUCTIONS, names.INSTANCES, names.outputs("base"), names.CONSENSUS):
        work_on(runtime, run_id, queue)
    reconcile(runtime)

    assert [rows(runtime, select(func.count(each.id)))[0] for each in (WorkItem, Instruction, Example)] == counts


def test_a_worker_told_to_stop_writes_what_is_under_way_and_takes_nothing_more(runtime: Runtime) -> None:
    lm = HeldLM()
    with FakeServer(lm.respond) as server:
        run_id = begin(runtime, small_job(server.url, models={"base": {"max_in_flight": 2}}))
        while_calls_are_under_way(runtime, run_id, lm, runtime.stopping.set)

    assert len(rows(runtime, select(Generation.response).where(Generation.response.is_not(None)))) == 2
    assert work_in(runtime, run_id, WorkState.LEASED) == []


@pytest.mark.parametrize(
    ("away", "back"),
    [
        ("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true"),
        ("SET default_transaction_read_only = on", "RESET default_transaction_read_only"),
    ],
)
def test_answers_outlast_a_database_that_takes_nothing_for_a_moment(
    postgres: Postgres, database_url: str, runtime: Runtime, away: str, back: str
) -> None:
    lm, name = HeldLM(), database_url.rpartition("/")[2]

    def be_away() -> None:
        with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} {away}")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            lm.let_go()
            time.sleep(1)  # the first try to write comes within 0.2 s
            connection.execute(f"ALTER DATABASE {name} {back}")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    with FakeServer(lm.respond, record=True) as server:
        run_id = begin(runtime, small_job(server.url, models={"base": {"max_in_flight": 2}}))
        while_calls_are_under_way(runtime, run_id, lm, be_away)

    assert len(rows(runtime, select(Generation.id))) == len(server.requests) > 2  # and the stream went on
    assert set(rows(runtime, select(Generation.attempt))) == {0}
    assert work_in(runtime, run_id, WorkState.LEASED) == []
