"""Figures of an earlier run."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import floor

from sqlalchemy.orm import Session

from shared.capacity.crowd import Interval, crowd
from shared.capacity.figures import CallFigures, FaultFigures, Figures, Latency, ModelFigures, Yield, Yields
from shared.errors import UserError
from shared.job import JobSpec, ModelSpec
from shared.lm.errors import Fault
from shared.method.tasks import TaskType
from shared.store.measures import CallKind, CallTotals, Measures, RecordCount, measures
from shared.store.sizes import row_bytes
from shared.store.tables.runs import Run

QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
FAULTS = {str(fault) for fault in Fault} | {"crashed", "unrenderable"}  # reasons that say nothing of what was written
KINDS = {"instructions": "instruction", "instances": "instance", "verdicts": "verdict"}


class NoCallsError(UserError):
    """Run '{name}' has no answered call to measure by; `ensemble-instruct status {name}` shows how far it came."""


def figures_of(session: Session, run: Run) -> Figures:
    """The figures of a run, which may still go on. Raises `NoCallsError`."""
    measured = measures(session, run.id)
    answered = [each for each in measured.totals if each.fault is None]
    if not answered:
        raise NoCallsError(name=run.name)
    job = JobSpec.model_validate(run.job)
    latencies = _latencies(measured)
    return Figures(
        source=f"run {run.name}, {sum(each.calls for each in measured.totals):,} calls",
        calls=tuple(_call(each, measured, latencies.get(each.kind, [])) for each in answered),
        yields={task_type: _yields(task_type, measured) for task_type in job.targets},
        models=dict(_models(job.models, measured)),
        bytes_per_row=row_bytes(session),
    )


def _latencies(measured: Measures) -> Mapping[CallKind, list[float]]:
    latencies: defaultdict[CallKind, list[float]] = defaultdict(list)
    for call in measured.sample:
        latencies[call.kind].append(call.latency_s)
    return latencies


def _call(answered: CallTotals, measured: Measures, latencies: Sequence[float]) -> CallFigures:
    kind = answered.kind
    return CallFigures(
        stage=kind.stage,
        task_type=kind.task_type,
        model=kind.model,
        template=kind.template,
        calls=answered.calls,
        prompt_tokens=round(answered.prompt_tokens / answered.calls, 1),
        completion_tokens=round(answered.completion_tokens / answered.calls, 1),
        latency_s=latency(latencies, answered.latency_s / answered.calls),
        faults=tuple(faults_of(kind, measured)),
    )


def latency(latencies: Sequence[float], mean: float) -> Latency:
    """The quantiles of some seconds, with a mean that is known apart."""
    ordered = sorted(latencies)
    quantiles = {share: round(ordered[round(share * (len(ordered) - 1))], 4) for share in QUANTILES} if ordered else {}
    return Latency(mean=round(mean, 4), quantiles=quantiles)


def faults_of(kind: CallKind, measured: Measures) -> Iterable[FaultFigures]:
    """The faults of all calls that were tried; those that a server had no room for are not among the totals."""
    overloaded = measured.overloads.get((kind.stage, kind.model), 0.0)
    of_kind = [each for each in measured.totals if each.kind == kind]
    calls = sum(each.calls for each in of_kind)
    for each in of_kind:
        if each.fault:
            share, mean_s = (1 - overloaded) * each.calls / calls, round(each.latency_s / each.calls, 4)
            yield FaultFigures(fault=Fault(each.fault), share=_below(share), latency_s=mean_s)
    if overloaded:
        yield FaultFigures(fault=Fault.OVERLOADED, share=_below(overloaded))


def _below(share: float) -> float:
    """Rounded down, since shares that were rounded up may leave no call that is answered."""
    return floor(1e5 * share) / 1e5


def _yields(task_type: TaskType, measured: Measures) -> Yields:
    of_type = [each for each in measured.records if each.task_type is task_type]
    kept = {name: kept_of([each for each in of_type if each.kind == kind]) for name, kind in KINDS.items()}
    gated, instructions = measured.gated.get(task_type, 0), kept["instructions"]
    accepted = sum(each.records for each in of_type if (each.kind, each.state) == ("instruction", "accepted"))
    reasons = instructions.reasons if instructions else {}
    of_proposals = Yield(share=round(accepted / gated, 5), of=gated, reasons=reasons) if gated else None
    return Yields(instructions=of_proposals, instances=kept["instances"], verdicts=kept["verdicts"])


def kept_of(records: Sequence[RecordCount]) -> Yield | None:
    """Which part of these records was accepted, those left out that an LM's fault prevented."""
    written = [each for each in records if each.reason not in FAULTS]
    of = sum(each.records for each in written)
    if not of:
        return None
    reasons: defaultdict[str, int] = defaultdict(int)
    for each in written:
        if each.reason:
            reasons[each.reason] += each.records
    accepted = of - sum(reasons.values())
    return Yield(share=round(accepted / of, 5), of=of, reasons=dict(reasons))


def _models(specs: Mapping[str, ModelSpec], measured: Measures) -> Iterable[tuple[str, ModelFigures]]:
    """Models behind the same servers count together: a call meets the calls of all."""
    for name, servers in measured.servers.items():
        fellows = {other for other, spec in specs.items() if set(spec.urls) == set(specs[name].urls)}
        calls = [each for each in measured.totals if each.kind.model in fellows and each.fault is None]
        count, seconds = sum(each.calls for each in calls), sum(each.latency_s for each in calls)
        if not count or not seconds:
            continue
        yield name, ModelFigures.measured(servers, _in_flight(measured, fellows, seconds), count, seconds)


def _in_flight(measured: Measures, models: set[str], seconds: float) -> float:
    """How many calls a call saw; of a large run, of which a sample is known, how many there were in the mean."""
    if measured.sampled < 1:
        return max(seconds / measured.active_s, 0.01)
    calls = [each for each in measured.sample if each.kind.model in models]
    return crowd(Interval(each.ended_at - each.latency_s, each.ended_at) for each in calls)
