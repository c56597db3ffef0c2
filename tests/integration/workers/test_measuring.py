"""What a worker counts as it works is what it wrote; what it looks up is how its windows are."""

import time
import uuid
from random import Random

import pytest
from sqlalchemy import func, select, text

from shared.lm.errors import BrokenAnswer
from shared.lm.fake import FakeFault, FakeServer
from shared.method.tasks import Stage
from shared.store.tables.records import Generation
from shared.store.work import claim, finish
from shared.telemetry.metrics import COUNTED
from tests.deploy.prometheus.alerts import ALERTS, series
from tests.deploy.prometheus.promql import evaluate
from tests.integration.workers.driving import begin, drive, in_threads, one_round_until, rows, small_job, stream
from tests.integration.workers.test_dead_work import STAGES, Broken
from tests.integration.workers.told import Told, by, counted, told, total
from workers import measuring, output_generator
from workers.calls import Outcome, PreparedCall
from workers.measuring import KEPT_S, forget_unused
from workers.runtime import Runtime
from workers.stages import save
from workers.window_metrics import WindowMetrics


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    """As in a process that has just begun."""
    forget_unused((), time.monotonic() + 2 * KEPT_S)


def now() -> Told:
    """What was counted so far."""
    return told(COUNTED)


def test_calls_tokens_and_latencies_are_those_of_the_generations(runtime: Runtime, lm: FakeServer) -> None:
    lm.respond = Broken(STAGES["output"], 3).respond
    drive(runtime, begin(runtime, small_job(lm.url)))
    samples = now()
    statement = text(
        "SELECT m.name, g.stage, coalesce(g.fault, 'answered'), count(*), coalesce(sum(prompt_tokens), 0),"
        " coalesce(sum(completion_tokens), 0), sum(latency_s)"
        " FROM generations g JOIN models m ON m.id = g.model_id GROUP BY 1, 2, 3"
    )
    kept = {row[:3]: row[3:] for row in rows(runtime, statement)}
    assert ("chat", "output", "broken_answer") in kept
    assert counted(samples, "lm_calls_total", "model", "stage", "outcome") == {key: row[0] for key, row in kept.items()}
    answered = {key[:2]: row for key, row in kept.items() if key[2] == "answered"}
    for direction, column in (("read", 1), ("written", 2)):
        told_tokens = by(samples, "lm_tokens_total", "model", "stage", direction=direction)
        assert told_tokens == {key: row[column] for key, row in answered.items()}
    assert by(samples, "lm_call_seconds_count", "model", "stage") == {key: row[0] for key, row in answered.items()}
    sums = by(samples, "lm_call_seconds_sum", "model", "stage")
    assert sums == pytest.approx({key: row[3] for key, row in answered.items()})


def test_a_call_that_no_server_took_is_counted_with_its_fault(runtime: Runtime, lm: FakeServer) -> None:
    lm.respond = lambda request: FakeFault(status=429)
    run_id = begin(runtime, small_job(lm.url, models={"base": {"max_in_flight": 1}}))
    one_round_until(runtime, run_id, lambda: counted(now(), "lm_calls_total", "outcome"))
    assert counted(now(), "lm_calls_total", "outcome").keys() == {("overloaded",)}
    assert rows(runtime, select(func.count(Generation.id))) == [0]


def test_a_result_that_comes_too_late_is_counted_as_lost(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))
    context = runtime.context(run_id)
    assert context is not None
    with runtime.sessions.begin() as session:
        claims = claim(session, run_id, "instructions", count=2, lease_s=60, worker="me")
        finish(session, claims[:1])
    template = next(iter(context.templates.values()))
    calls = [PreparedCall(each, None, template, (), "base", uuid.uuid4()) for each in claims]  # type: ignore[arg-type]  # what is not looked at is left out
    outcomes = [Outcome(call, BrokenAnswer("http://h", "nonsense"), 0.1) for call in calls[:1]]
    save(runtime, context, output_generator.STAGE, outcomes, Random(0))
    assert counted(now(), "lm_calls_total", "outcome", stage=Stage.OUTPUT) == {("lost",): 1}


def test_transactions_batches_and_the_gate_are_timed(runtime: Runtime, lm: FakeServer) -> None:
    before = now()
    drive(runtime, begin(runtime, small_job(lm.url)))
    after = now()

    def grown(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    for operation in ("claim", "prepare", "save", "gate", "judge", "agree"):
        assert grown("transaction_seconds_count", operation=operation) > 0
        assert grown("transaction_seconds_sum", operation=operation) > 0
    generations, verdicts, proposals = (
        rows(runtime, text(f"SELECT count(*) FROM {what}"))[0]  # noqa: S608 - our words
        for what in ("generations", "verdicts", "work_items WHERE gated")
    )
    assert grown("batch_size_sum", operation="save") == generations
    assert grown("batch_size_sum", operation="judge") == verdicts
    assert grown("batch_size_sum", operation="gate") == proposals
    for task_type in ("input_output", "output_only"):
        passed = grown("gate_wait_seconds_count", task_type=task_type)
        assert passed == grown("gate_hold_seconds_count", task_type=task_type) > 0


def test_a_model_that_nobody_uses_is_told_of_for_a_while_and_then_no_more(runtime: Runtime, lm: FakeServer) -> None:
    drive(runtime, begin(runtime, small_job(lm.url)))
    later = time.monotonic()
    forget_unused((), later)
    assert by(now(), "lm_calls_total", "model").keys() == {("base",), ("chat",)}
    forget_unused({"chat"}, later + KEPT_S)
    assert by(now(), "lm_calls_total", "model").keys() == {("chat",)}
    assert by(now(), "lm_call_seconds_count", "model").keys() == {("chat",)}
    forget_unused((), later + KEPT_S)
    assert by(now(), "lm_tokens_total", "model") == {}
    assert not measuring._meters


def test_windows_are_told_while_they_are_in_use(runtime: Runtime) -> None:
    window = WindowMetrics(runtime)
    assert {name for name, _ in told(window)} == {"build_info"}
    with FakeServer(latency=0.5) as slow:
        run_id = begin(runtime, small_job(slow.url, targets={"output_only": 30}))
        context = runtime.context(run_id)
        assert context is not None
        seen: list[Told] = []

        def look() -> None:
            until = time.monotonic() + 60
            while not seen and time.monotonic() < until:
                samples = told(window)
                if total(samples, "lm_calls_in_flight") > 0:
                    seen.append(samples)

        in_threads([lambda: stream(runtime, run_id, "instructions"), look])
        (during,) = seen
        assert by(during, "lm_calls_in_flight", "model")["base",] <= 8
        assert by(during, "lm_window_slots", "model") == by(during, "lm_window_size", "model") == {("base",): 8}
        assert by(during, "streams", "queue") == {("instructions",): 1}
        circuits = by(during, "lm_endpoint_circuits", "model", "endpoint", "state")
        assert circuits == {("base", slow.url, state): state == "closed" for state in ("closed", "open", "half_open")}
        assert by(during, "lm_endpoint_limit", "endpoint") == {(slow.url,): 8}
    until = time.monotonic() + 60
    while total(told(window), "lm_window_size") and time.monotonic() < until:
        time.sleep(0.05)  # the share is given back a moment after the stream has ended
    assert by(told(window), "lm_window_size", "model") == by(told(window), "streams", "queue") == {}


def test_an_open_circuit_is_told(runtime: Runtime, lm: FakeServer) -> None:
    lm.respond = lambda request: FakeFault(status=404)

    def is_open() -> bool:
        circuits = by(told(WindowMetrics(runtime)), "lm_endpoint_circuits", "model", "state")
        return circuits.get(("base", "open")) == 1

    one_round_until(runtime, begin(runtime, small_job(lm.url)), is_open)
    circuits = by(told(WindowMetrics(runtime)), "lm_endpoint_circuits", "model", "state")
    assert circuits["base", "closed"] == 0
    assert circuits["base", "open"] + circuits["base", "half_open"] == 1
    assert by(told(WindowMetrics(runtime)), "lm_endpoint_limit", "model") == {("base",): 0}
    (down,) = evaluate(ALERTS["EnsembleInstructEndpointDown"].expression, series(told(WindowMetrics(runtime))), 0)
    assert dict(down) == {"model": "base", "endpoint": lm.url}


def test_a_server_that_answers_is_not_down(runtime: Runtime, lm: FakeServer) -> None:
    drive(runtime, begin(runtime, small_job(lm.url)))
    samples = told(WindowMetrics(runtime))
    assert total(samples, "lm_endpoint_circuits", state="closed") == 2
    assert evaluate(ALERTS["EnsembleInstructEndpointDown"].expression, series(samples), 0) == {}
