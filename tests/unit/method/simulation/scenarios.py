"""Runs to simulate: one model, four kinds of calls, a second each unless said otherwise."""

from collections.abc import Sequence
from dataclasses import replace

from shared.method.simulation.scenario import Call, Costs, FaultRate, Kind, Pool, Scenario
from shared.method.simulation.spread import Spread
from shared.method.tasks import Stage

QUEUES = frozenset({"instructions", "instances", "outputs.lm", "consensus"})
FREE = Costs(call_s=0, transaction_s=0, verdict_s=0, decision_s=0, text_s=0)


def a_call(stage: Stage, latency_s: float = 1.0, model: str = "lm", faults: Sequence[FaultRate] = ()) -> Call:
    """A call whose latency does not vary."""
    queue = {Stage.INSTRUCTION: "instructions", Stage.INSTANCE: "instances"}.get(stage, f"outputs.{model}")
    return Call(f"{stage} {model}", queue, stage, model, Spread.of(latency_s), tuple(faults))


def a_kind(
    target: int = 40,
    *,
    instructions: float = 1.0,
    instances: float = 1.0,
    verdicts: float = 1.0,
    latency_s: float = 1.0,
    voices: int = 1,
    faults: Sequence[FaultRate] = (),
) -> Kind:
    """A task type, of which everything is kept."""
    calls = [a_call(stage, latency_s, faults=faults) for stage in (Stage.INSTRUCTION, Stage.INSTANCE, Stage.OUTPUT)]
    outputs = (calls[2],) * voices
    return Kind("output_only", target, calls[0], calls[1], outputs, instructions, instances, verdicts)


def a_scenario(
    *kinds: Kind, slots: int = 8, workers: Sequence[frozenset[str]] = (QUEUES,), **changes: object
) -> Scenario:
    """One window of the model, one worker whose CPU costs nothing."""
    scenario = Scenario(kinds or (a_kind(),), (Pool("lm", {"lm": slots}),), workers, costs=FREE, start_s=0)
    return replace(scenario, **changes)  # type: ignore[arg-type]  # what a test names is the field's
