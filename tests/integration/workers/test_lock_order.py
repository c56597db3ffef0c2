"""Who holds a run and its targets holds the run first, or two would wait for each other."""

import threading

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from shared.lm.fake import FakeServer
from shared.lm.fake_protocols import FakeAnswer
from shared.method.planning import barren
from shared.method.tasks import TaskType
from shared.queue.follow import progress_of
from shared.store.loading import RunContext
from shared.store.records import completed_types
from shared.store.runs import targets_of
from shared.store.states import end_run, hold_run
from shared.store.tables.runs import RunState, RunTarget
from tests.integration.workers.driving import begin, drive, in_threads, rows, run_of, small_job, until
from workers import gate
from workers.endings import end_if_due
from workers.runtime import Runtime

WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = '%s'"
FOR_A_ROW, FOR_A_LOCK = text(WAITING % "transactionid"), text(WAITING % "advisory")


def test_a_judge_and_who_puts_work_back_do_not_wait_for_each_other(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))
    judging = threading.Event()

    def judge() -> None:
        with runtime.sessions.begin() as session:
            completed_types(session, run_id)
            judging.set()
            until(lambda: rows(runtime, FOR_A_ROW))
            session.execute(text("SELECT FROM runs FOR KEY SHARE"))  # as the first example of a voice does

    def put_back() -> None:
        judging.wait(60)
        with runtime.sessions.begin() as session:
            hold_run(session, run_id)
            session.execute(select(RunTarget).with_for_update())

    in_threads([judge, put_back])


def test_who_cancels_a_run_just_as_it_fails_is_not_refused(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm.respond = lambda request: FakeAnswer("")
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 2}, instructions={"patience": 4}))
    counted = threading.Event()
    conclude_or_plan = gate._conclude_or_plan

    def cancelled_meanwhile(session: Session, context: RunContext, task_type: TaskType) -> int:
        if barren(progress_of(targets_of(session, run_id)[task_type]), 4) and not counted.is_set():
            counted.set()
            until(lambda: rows(runtime, FOR_A_ROW))
        return conclude_or_plan(session, context, task_type)

    def cancel() -> None:
        counted.wait(60)
        with runtime.sessions.begin() as session:
            assert end_run(session, run_id, RunState.CANCELLED, "enough")

    monkeypatch.setattr(gate, "_conclude_or_plan", cancelled_meanwhile)
    in_threads([lambda: drive(runtime, run_id), cancel])
    assert counted.is_set()
    assert run_of(runtime, run_id).state == RunState.CANCELLED


@pytest.mark.parametrize(("patience_begins_anew", "state"), [(True, RunState.RUNNING), (False, RunState.FAILED)])
def test_a_run_whose_work_is_put_back_just_as_it_would_fail_goes_on(
    runtime: Runtime, lm: FakeServer, patience_begins_anew: bool, state: RunState
) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 2}, instructions={"patience": 4}))
    with runtime.sessions.begin() as session:
        session.execute(update(RunTarget).values(proposed=8, gated=8))
    held = threading.Event()

    def put_back() -> None:
        with runtime.sessions.begin() as session:
            hold_run(session, run_id)
            held.set()
            until(lambda: rows(runtime, FOR_A_LOCK))
            if patience_begins_anew:
                session.execute(update(RunTarget).values(gated_at_last_example=8))

    def end() -> None:
        held.wait(60)
        context = runtime.context(run_id)
        assert context
        end_if_due(runtime, context)

    in_threads([put_back, end])
    assert run_of(runtime, run_id).state == state
