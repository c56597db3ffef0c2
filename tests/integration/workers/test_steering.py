"""Runs that are paused, that spend their budget, and that go on afterwards."""

import uuid

import pytest
from sqlalchemy import func, select, text, update

from shared.job import JobSpec
from shared.job_changes import FixedSettingError, changed_job
from shared.lm import breaker
from shared.lm.fake import FakeFault, FakeServer
from shared.lm.fake_protocols import FakeRequest
from shared.method.tasks import TaskType
from shared.queue import names
from shared.queue.missing import add_missing_work
from shared.store.budgets import spending
from shared.store.gate import count, mark_gated
from shared.store.states import change_job, end_run, pause_run, resume_run
from shared.store.sweeping import drop_ready_work
from shared.store.tables.records import Example, Generation
from shared.store.tables.runs import Run, RunState
from shared.store.tables.work import WorkState
from shared.store.work import claim
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
    work_in,
)
from workers import streaming
from workers.consensus_judge import judge_page
from workers.runtime import Runtime


def _resume(runtime: Runtime, run_id: uuid.UUID, *changes: str) -> None:
    """What `ensemble-instruct resume --set …` does."""
    with runtime.sessions.begin() as session:
        run = session.get_one(Run, run_id)
        job = changed_job(JobSpec.model_validate(run.job), changes)
        change_job(session, run_id, job)
        assert resume_run(session, run_id)
        add_missing_work(session, job, run_id)


def _pause(runtime: Runtime, run_id: uuid.UUID) -> None:
    with runtime.sessions.begin() as session:
        assert pause_run(session, run_id, "a test")


def _examples(runtime: Runtime, run_id: uuid.UUID) -> list[tuple[str, str]]:
    wanted = select(Example.instruction, Example.output).where(Example.run_id == run_id, ~Example.surplus)
    return rows(runtime, wanted.order_by(Example.task_type, Example.position))


def _generations(runtime: Runtime, run_id: uuid.UUID) -> int:
    return int(rows(runtime, select(func.count()).where(Generation.run_id == run_id))[0])


def test_a_paused_run_keeps_what_was_under_way_and_takes_nothing_more(runtime: Runtime) -> None:
    held = HeldLM()
    with FakeServer(held.respond) as server:
        run_id = begin(runtime, small_job(server.url))

        def interfere() -> None:
            held.wait_for_a_call()
            _pause(runtime, run_id)
            held.let_go()

        in_threads([lambda: stream(runtime, run_id, names.INSTRUCTIONS), interfere])
        kept = _generations(runtime, run_id)
        one_round(runtime, run_id)
        assert kept > 0
        assert _generations(runtime, run_id) == kept
        assert not work_in(runtime, run_id, WorkState.LEASED)
        assert not work_in(runtime, run_id, WorkState.DROPPED)


def test_a_run_that_was_paused_makes_the_examples_that_it_would_have_made(runtime: Runtime, lm: FakeServer) -> None:
    job = small_job(lm.url)
    undisturbed = begin(runtime, job, "undisturbed")
    drive(runtime, undisturbed)
    paused = begin(runtime, job, "paused")
    for _ in range(3):
        one_round(runtime, paused)
        _pause(runtime, paused)
        one_round(runtime, paused)
        _resume(runtime, paused)
    assert drive(runtime, paused).state == RunState.COMPLETED
    assert _examples(runtime, paused) == _examples(runtime, undisturbed)


def test_a_paused_run_loses_none_of_its_work_to_the_reconciler(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))
    before = len(work_in(runtime, run_id, WorkState.READY))
    _pause(runtime, run_id)
    one_round(runtime, run_id)
    assert len(work_in(runtime, run_id, WorkState.READY)) == before > 0


def test_answers_that_come_while_a_run_is_paused_lead_to_work(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))
    while not (planned := [each for each in work_in(runtime, run_id, WorkState.READY) if each.stage == "instance"]):
        one_round(runtime, run_id)
    held = HeldLM()
    lm.respond = held.respond

    def interfere() -> None:
        held.wait_for_a_call()
        _pause(runtime, run_id)
        held.let_go()

    in_threads([lambda: stream(runtime, run_id, names.INSTANCES), interfere])
    ready = work_in(runtime, run_id, WorkState.READY)
    assert planned
    assert [each for each in ready if each.stage == "output"]


def test_a_dropped_proposal_that_the_gate_has_passed_is_not_made_when_the_run_goes_on(
    runtime: Runtime, lm: FakeServer
) -> None:
    run_id = begin(runtime, small_job(lm.url))
    passed, *_ = work_in(runtime, run_id, WorkState.READY)
    with runtime.sessions.begin() as session:
        drop_ready_work(session, run_id)
        mark_gated(session, [passed.id])
        count(session, run_id, TaskType(passed.task_type), gated=1)
    _pause(runtime, run_id)
    _resume(runtime, run_id)
    assert [each.id for each in work_in(runtime, run_id, WorkState.DROPPED)] == [passed.id]
    assert drive(runtime, run_id).state == RunState.COMPLETED
    assert rows(runtime, select(func.count()).where(Generation.work_item_id == passed.id)) == [0]


def test_a_cancelled_run_does_not_go_on(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))
    _pause(runtime, run_id)
    with runtime.sessions.begin() as session:
        assert end_run(session, run_id, RunState.CANCELLED, "a test")
        assert not resume_run(session, run_id)
    assert run_of(runtime, run_id).state == RunState.CANCELLED


@pytest.mark.parametrize("generations", [1, 7, 20])
def test_a_run_makes_as_many_calls_as_its_budget_allows_and_not_one_more(
    runtime: Runtime, database_url: str, redis_url: str, lm: FakeServer, generations: int
) -> None:
    job = small_job(lm.url, targets={"output_only": 50}, budget={"generations": generations})
    run_id = begin(runtime, job)
    with a_worker(database_url, redis_url) as another:
        for _ in range(50):
            if run_of(runtime, run_id).state != RunState.RUNNING:
                break
            in_threads([lambda: one_round(runtime, run_id), lambda: one_round(another, run_id)])
    run = run_of(runtime, run_id)
    assert run.state == RunState.SPENT
    assert f"{generations} of {generations} generations" in (run.reason or "")
    assert "of 50 examples of output_only" in (run.reason or "")
    assert _generations(runtime, run_id) == generations
    assert not work_in(runtime, run_id, WorkState.READY, WorkState.LEASED)


def test_tokens_are_counted_as_the_generations_say(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 50}, budget={"tokens": 2000}))
    run = drive(runtime, run_id)
    tokens = func.sum(Generation.prompt_tokens + Generation.completion_tokens)
    counted = rows(runtime, select(tokens).where(Generation.run_id == run_id))[0]
    with runtime.sessions() as session:
        assert spending(session, run_id).tokens == counted >= 2000
    assert run.state == RunState.SPENT
    assert "of 2,000 tokens" in (run.reason or "")


def test_hours_count_while_a_run_is_at_work_and_not_while_it_is_paused(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, budget={"hours": 2}))

    def an_hour_ago() -> None:
        with runtime.sessions.begin() as session:
            session.execute(update(Run).values(active_since=text("active_since - interval '1 hour'")))

    an_hour_ago()
    _pause(runtime, run_id)
    for _ in range(3):
        an_hour_ago()
    with runtime.sessions() as session:
        assert 1 <= spending(session, run_id).hours < 1.5
    _resume(runtime, run_id)
    an_hour_ago()
    one_round(runtime, run_id)
    run = run_of(runtime, run_id)
    assert run.state == RunState.SPENT
    assert "of 2 hours" in (run.reason or "")


@pytest.mark.parametrize("generations", [1, 9, 14])
def test_a_run_whose_budget_is_raised_makes_the_examples_that_it_would_have_made(
    runtime: Runtime, lm: FakeServer, generations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "WAIT_FOR_ROOM_S", 0.5)  # work that is due but not to be paid for looks like none
    whole = begin(runtime, small_job(lm.url), "whole")
    drive(runtime, whole)
    poor = begin(runtime, small_job(lm.url, budget={"generations": generations}), "poor")
    assert drive(runtime, poor).state == RunState.SPENT
    _resume(runtime, poor, "budget.generations=100000")
    run = drive(runtime, poor)
    assert (run.state, run.reason) == (RunState.COMPLETED, "every target is met")
    assert _examples(runtime, poor) == _examples(runtime, whole)


def test_a_run_that_failed_goes_on_when_its_servers_address_is_mended(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "LONGEST_WAIT_S", 0.05)

    def nonsense(_: FakeRequest) -> FakeFault:
        return FakeFault(body=b"nonsense")

    with FakeServer(nonsense) as broken:
        job = small_job(broken.url, instructions={"patience": 16}, retry={"failures": 1})
        run_id = begin(runtime, job)
        assert drive(runtime, run_id).state == RunState.FAILED
    _resume(runtime, run_id, *(f"models.{name}.endpoints=[{lm.url}]" for name in ("base", "chat")))
    assert drive(runtime, run_id).state == RunState.COMPLETED


def test_what_decides_a_runs_records_stays(runtime: Runtime, lm: FakeServer) -> None:
    with pytest.raises(FixedSettingError, match="max_in_flight"):
        changed_job(small_job(lm.url), ["instructions.novelty_threshold=0.9"])


def test_what_a_cancelled_run_made_beyond_its_target_is_surplus(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 2}))
    drive(runtime, run_id)
    with runtime.sessions.begin() as session:  # as it stood just before it was concluded
        session.execute(update(Run).values(state=RunState.RUNNING, finished_at=None))
        session.execute(update(Example).values(surplus=False))
        end_run(session, run_id, RunState.CANCELLED, "a test")
    assert len(_examples(runtime, run_id)) == 2


def test_verdicts_that_are_given_just_as_a_run_is_cancelled_add_none_too_many(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 1}))
    for queue in (names.INSTRUCTIONS, names.INSTANCES, names.outputs("base"), names.outputs("chat")):
        stream(runtime, run_id, queue)
    with runtime.sessions.begin() as session:
        claims = claim(session, run_id, names.CONSENSUS, count=99, lease_s=3600, worker="test")
        assert end_run(session, run_id, RunState.CANCELLED, "a test")
    context = runtime.context(run_id)
    assert context is not None
    judge_page(runtime, context, claims)
    made = rows(runtime, select(func.count()).where(Example.run_id == run_id))
    assert made[0] > len(_examples(runtime, run_id)) == 1
