"""A proposal's trace, whatever becomes of it, and which proposals have one."""

from collections.abc import Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import select, text

from shared.lm.fake import FakeServer
from shared.method.tasks import TaskType
from shared.store.tables.records import Instruction
from shared.store.work import claim
from shared.telemetry.otlp import Traces
from shared.telemetry.steps import trace_id
from tests.e2e.collector import Collector, a_collector, told
from tests.integration.workers.driving import begin, drive, rows, small_job
from tests.integration.workers.test_dead_work import STAGES, Broken
from workers import instruction_generator
from workers.runtime import Runtime
from workers.stages import give_up
from workers.tracing import trace_of


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with a_collector() as listening:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", listening.url)
        yield listening


@pytest.fixture
def traced(runtime: Runtime, collector: Collector) -> Runtime:
    """A worker that tells of everything."""
    runtime.traces = Traces("me")
    return runtime


def spans_of(runtime: Runtime, collector: Collector) -> list[Span]:
    """All that the worker has told."""
    assert runtime.traces is not None
    runtime.traces.close()
    runtime.traces = None
    return collector.spans


def test_each_instruction_of_an_answer_goes_its_own_way_in_one_trace(
    traced: Runtime, lm: FakeServer, collector: Collector
) -> None:
    run = drive(traced, begin(traced, small_job(lm.url, instructions={"harvest": 3})))
    spans = {span.span_id: span for span in spans_of(traced, collector)}
    gates = [span for span in spans.values() if span.name == "novelty gate"]
    found = rows(traced, select(Instruction.id, Instruction.task_type, Instruction.position, Instruction.state))
    by_instruction = {told(span)["ensemble_instruct.instruction"]: span for span in gates}
    assert len(by_instruction) == len(gates) == len(found)
    for id, task_type, position, state in found:
        gate = by_instruction[str(id)]
        assert int.from_bytes(gate.trace_id) == trace_of(run.id, TaskType(task_type), position)
        assert told(gate)["ensemble_instruct.state"] == state
        proposal = spans[gate.parent_span_id]
        assert (proposal.trace_id, proposal.parent_span_id) == (gate.trace_id, b"")
        assert told(proposal)["ensemble_instruct.position"] == position // 32 * 32


def test_what_is_given_up_ends_its_trace_with_the_fault(traced: Runtime, lm: FakeServer, collector: Collector) -> None:
    lm.respond = Broken(STAGES["instance"], 2).respond
    drive(traced, begin(traced, small_job(lm.url, retry={"failures": 1})))
    faults = [
        (told(span)["ensemble_instruct.stage"], told(span)["error.type"])
        for span in spans_of(traced, collector)
        if span.status.code
    ]
    assert faults == [("instance", "broken_answer")] * 2


def test_work_that_is_given_up_without_a_call_is_told_too(
    traced: Runtime, lm: FakeServer, collector: Collector
) -> None:
    run_id = begin(traced, small_job(lm.url))
    context = traced.context(run_id)
    assert context is not None
    with traced.sessions.begin() as session:
        claims = claim(session, run_id, "instructions", count=1, lease_s=60, worker="me")
    give_up(traced, context, instruction_generator.STAGE, claims, "crashed", "its workers vanished")
    (span,) = spans_of(traced, collector)
    assert span.name == "give up instruction"
    assert told(span)["error.type"] == "crashed"
    assert span.parent_span_id == b""


@pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio"])
def test_every_process_picks_the_same_traces(
    sampler: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.2")
    one, other = Traces("one"), Traces("other")
    ids = [trace_id("run", number) for number in range(2000)]
    wanted = [id for id in ids if one.wants(id)]
    assert wanted == [id for id in ids if other.wants(id)]
    assert 300 < len(wanted) < 500
    one.close()
    other.close()


def test_only_wanted_traces_are_told_and_they_are_whole(
    runtime: Runtime, lm: FakeServer, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    runtime.traces = Traces("me")
    wants = runtime.traces.wants
    run = drive(runtime, begin(runtime, small_job(lm.url, targets={"input_output": 12})))
    spans_of(runtime, collector)
    found = rows(runtime, text("SELECT task_type, position FROM examples"))
    expected = {trace_of(run.id, TaskType(kind), position) for kind, position in found}
    picked = {id for id in expected if wants(id)}
    assert 0 < len(picked) < len(expected)
    traces = collector.traces()
    assert expected & traces.keys() == picked
    assert all(len(traces[id]) == 6 for id in picked)  # two calls, the gate, two voices, the verdict


def test_settings_of_the_environment_name_the_service(
    collector: Collector, runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
    runtime.traces = Traces("me")
    drive(runtime, begin(runtime, small_job(lm.url, targets={"output_only": 1})))
    spans_of(runtime, collector)
    resource = collector.resources[0]
    assert resource["service.name"] == "mine"
    assert resource["deployment.environment.name"] == "lab"
    assert resource["service.instance.id"] == "me"
