"""What the processes on `control` tell of runs is what Postgres holds."""

import pytest
from sqlalchemy import func, select, text, update

from shared.lm.fake import FakeFault, FakeServer
from shared.store.session import Sessions, make_engine, make_sessions
from shared.store.states import pause_run
from shared.store.tables.records import Example
from shared.store.tables.runs import Run, RunState
from tests.deploy.prometheus.alerts import ALERTS, series
from tests.deploy.prometheus.promql import evaluate
from tests.integration.workers.driving import Ended, begin, drive, one_round_until, rows, small_job, stream
from tests.integration.workers.test_dead_work import STAGES, Broken
from tests.integration.workers.told import Told, by, told, total
from workers.run_metrics import RunMetrics
from workers.runtime import Runtime


def of_runs(sessions: Sessions) -> Told:
    """What a process that has just begun tells."""
    return told(RunMetrics(sessions))


@pytest.fixture
def ended_run(ended: Ended) -> Told:
    return of_runs(ended.runtime.sessions)


def test_a_run_that_has_just_ended_is_told_of_with_its_state(ended_run: Told) -> None:
    states = by(ended_run, "run_state", "run", "state")
    assert states == {("small-1", state): state == "completed" for state in RunState}
    assert total(ended_run, "store_readable") == 1


def test_targets_and_examples_by_type(ended: Ended, ended_run: Told) -> None:
    assert by(ended_run, "run_target", "task_type") == {("input_output",): 5, ("output_only",): 4}
    made = select(Example.task_type, func.count()).group_by(Example.task_type)
    assert by(ended_run, "run_examples", "task_type") == {(kind,): count for kind, count in rows(ended.runtime, made)}


def test_calls_and_tokens_by_model_and_stage(ended: Ended, ended_run: Told) -> None:
    counted = text(
        "SELECT m.name, g.stage, count(*), sum(prompt_tokens), sum(completion_tokens)"
        " FROM generations g JOIN models m ON m.id = g.model_id GROUP BY 1, 2"
    )
    found = rows(ended.runtime, counted)
    assert len(found) == 4
    calls = by(ended_run, "run_calls_total", "model", "stage", outcome="answered")
    assert calls == {(model, stage): count for model, stage, count, _, _ in found}
    for column, direction in ((3, "read"), (4, "written")):
        tokens = by(ended_run, "run_tokens_total", "model", "stage", direction=direction)
        assert tokens == {(row[0], row[1]): row[column] for row in found}
    spent = by(ended_run, "run_spent", "resource")
    assert spent["generations",] == sum(row[2] for row in found)
    assert spent["tokens",] == sum(row[3] + row[4] for row in found)
    assert 0 < spent["hours",] < 1


def test_records_by_kind_state_and_reason(ended: Ended, ended_run: Told) -> None:
    counted = text(
        "SELECT 'instruction', state, coalesce(reason, ''), count(*) FROM instructions GROUP BY 2, 3"
        " UNION ALL SELECT 'instance', state, coalesce(reason, ''), count(*) FROM instances GROUP BY 2, 3"
        " UNION ALL SELECT 'candidate', state, coalesce(reason, ''), count(*) FROM candidates GROUP BY 2, 3"
        " UNION ALL SELECT 'verdict', state, coalesce(reason, ''), count(*) FROM verdicts GROUP BY 2, 3"
        " UNION ALL SELECT 'example', CASE WHEN surplus THEN 'surplus' ELSE 'wanted' END, '', count(*) FROM examples"
        " GROUP BY 2"
    )
    found = {tuple(row[:3]): row[3] for row in rows(ended.runtime, counted)}
    assert {kind for kind, _, _ in found} == {"instruction", "instance", "candidate", "verdict", "example"}
    assert by(ended_run, "run_records", "kind", "state", "reason") == found


def test_an_empty_queue_is_told_to_be(ended_run: Told) -> None:
    queues = by(ended_run, "run_work_items", "queue", "state")
    assert set(queues.values()) == {0}
    assert {queue for queue, _ in queues} == {"instructions", "instances", "outputs.base", "outputs.chat", "consensus"}
    assert set(by(ended_run, "run_oldest_work_seconds", "queue").values()) == {0}


def test_work_that_waits_is_told_with_its_age_and_what_was_given_up(runtime: Runtime, lm: FakeServer) -> None:
    job = small_job(lm.url, retry={"failures": 1}, budget={"tokens": 10_000, "hours": 2})
    run_id = begin(runtime, job)
    with runtime.sessions.begin() as session:
        session.execute(text("UPDATE work_items SET ready_at = now() - interval '90 seconds' WHERE position = 0"))
        session.execute(text("UPDATE work_items SET ready_at = now() + interval '90 seconds' WHERE position = 32"))
    waiting = of_runs(runtime.sessions)
    work = by(waiting, "run_work_items", "state", queue="instructions")
    assert work == {("ready",): 8, ("postponed",): 2, ("leased",): 0, ("dead",): 0}
    assert 90 <= by(waiting, "run_oldest_work_seconds", "queue")["instructions",] < 150
    assert by(waiting, "run_budget", "resource") == {("tokens",): 10_000, ("hours",): 2}
    assert total(waiting, "run_spent", resource="generations") == 0

    lm.respond = Broken(STAGES["instruction"], 3).respond
    stream(runtime, run_id, "instructions")
    after = of_runs(runtime.sessions)
    assert total(after, "run_work_items", queue="instructions", state="dead") == 3
    assert total(after, "run_calls_total", outcome="broken_answer") == 3


def test_a_model_that_answers_nobody_is_told_with_the_time(runtime: Runtime, lm: FakeServer) -> None:
    lm.respond = lambda request: FakeFault(status=503)
    run_id = begin(runtime, small_job(lm.url, retry={"backoff_s": 0.001, "backoff_cap_s": 0.001}))
    assert set(by(of_runs(runtime.sessions), "run_model_failing_seconds", "model").values()) == {0}

    def failing() -> dict[tuple[str, ...], float]:
        return by(of_runs(runtime.sessions), "run_model_failing_seconds", "model")

    one_round_until(runtime, run_id, lambda: failing()["base",] > 0)
    assert failing()["base",] > 0
    assert failing()["chat",] == 0
    down = ALERTS["EnsembleInstructModelDown"].expression
    assert evaluate(down, series(of_runs(runtime.sessions)), 0) == {}
    with runtime.sessions.begin() as session:
        session.execute(text("UPDATE endpoint_states SET failing_since = failing_since - interval '6 minutes'"))
    (found,) = evaluate(down, series(of_runs(runtime.sessions)), 0)
    assert dict(found) == {"model": "base", "run": "small-1"}


def test_runs_that_ended_long_ago_go_away_and_paused_ones_stay(runtime: Runtime, lm: FakeServer) -> None:
    old = drive(runtime, begin(runtime, small_job(lm.url, targets={"output_only": 1}), "old")).id
    paused = begin(runtime, small_job(lm.url), "paused")
    with runtime.sessions.begin() as session:
        pause_run(session, paused, "to see")
        session.execute(update(Run).where(Run.id == old).values(finished_at=text("now() - interval '61 minutes'")))
    samples = of_runs(runtime.sessions)
    runs = {dict(labels)["run"] for name, labels in samples if name.startswith("run_")}
    assert runs == {"paused"}
    assert by(samples, "run_state", "run", state="paused") == {("paused",): 1}


def test_two_processes_tell_the_same(ended: Ended) -> None:
    assert of_runs(ended.runtime.sessions) == of_runs(ended.runtime.sessions)


def test_nothing_is_told_of_runs_while_postgres_is_away() -> None:
    away = make_engine("postgresql://nobody@127.0.0.1:1/none")
    try:
        assert of_runs(make_sessions(away)) == {("store_readable", frozenset()): 0}
    finally:
        away.dispose()


def test_what_was_read_is_told_again_for_a_while(sessions: Sessions, runtime: Runtime) -> None:
    metrics = RunMetrics(sessions)
    before = told(metrics)
    with FakeServer() as server:
        begin(runtime, small_job(server.url))
    assert told(metrics) == before
    assert of_runs(sessions) != before
