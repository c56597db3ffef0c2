"""A job's plan: what its target needs, pool by pool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.capacity.bottleneck import bottleneck
from shared.capacity.deadline import meet
from shared.capacity.figures import Figures
from shared.capacity.forecast import WHOLE, deviation, foreseen, refuse_barren
from shared.capacity.needs import Calls, QueueNeeds, ServerNeeds, TableNeeds, calls_of, queues, servers, tables
from shared.capacity.notes import notes
from shared.capacity.scenario import Planned, plan_scenario
from shared.capacity.workers import with_enough_workers
from shared.job import JobSpec
from shared.method.simulation.outcome import Made, Simulated
from shared.method.simulation.scenario import Scenario
from shared.method.tasks import TaskType


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asks for beside the job: worker processes on all queues (else as many as each queue takes), a
    deadline, what a GPU costs an hour, and how many GPUs a model's server has, if not one."""

    workers: int | None = None
    deadline_s: float | None = None
    gpu_price: float | None = None
    gpus: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Relief:
    """What the run waits for, what would relieve it, and how long the run would take then."""

    name: str
    relief: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DeadlinePlan:
    """What meets a deadline."""

    deadline_s: float
    seconds: float
    lookahead: int
    queues: Sequence[QueueNeeds]
    servers: Sequence[ServerNeeds]
    gpu_hours: float
    price: float | None


@dataclass(frozen=True, slots=True)
class JobPlan:
    """All that a job needs. `low_s` to `high_s` is how long it takes in nine cases of ten; of a job larger than
    `simulated` examples the rest is extrapolated."""

    job: str
    targets: Mapping[TaskType, int]
    source: str
    seconds: float
    low_s: float
    high_s: float
    simulated: int
    calls: Calls
    made: Mapping[str, Made]
    queues: Sequence[QueueNeeds]
    servers: Sequence[ServerNeeds]
    gpu_hours: float
    price: float | None
    tables: Sequence[TableNeeds]
    database_bytes: int
    bottleneck: Relief
    deadline: DeadlinePlan | None
    notes: Sequence[str]


def plan(job: JobSpec, figures: Figures, options: Options) -> JobPlan:
    """Plan a job by figures.

    Raises `NoFiguresError`, `NeverMetError`, `GivesUpError`, `OutOfReachError`.
    """
    planned = plan_scenario(job, figures, options.workers)
    refuse_barren(planned.scenario)
    fixed = options.workers is not None
    scenario = planned.scenario if fixed else with_enough_workers(planned.scenario)
    result = foreseen(scenario)
    factor = deviation(scenario, figures.yields)
    found = bottleneck(scenario, fixed_workers=fixed)
    serving = list(servers(job, figures, scenario, result, options.gpus))
    by_table = list(tables(job, figures, result))
    calls = calls_of(planned, result)
    return JobPlan(
        job=job.name,
        targets=job.targets,
        source=figures.source,
        seconds=result.seconds,
        low_s=result.seconds / factor,
        high_s=result.seconds * factor,
        simulated=min(WHOLE, sum(job.targets.values())),
        calls=calls,
        made=result.made,
        queues=list(queues(planned, scenario, result)),
        servers=serving,
        gpu_hours=_gpu_hours(serving),
        price=_price(serving, options),
        tables=by_table,
        database_bytes=sum(each.bytes for each in by_table),
        bottleneck=Relief(found.name, found.relief, found.leaves * result.seconds),
        deadline=_deadline(job, figures, planned, scenario, result, options) if options.deadline_s else None,
        notes=[*planned.notes, *notes(job, figures, result, serving, calls)],
    )


def _deadline(
    job: JobSpec, figures: Figures, planned: Planned, scenario: Scenario, result: Simulated, options: Options
) -> DeadlinePlan:
    deadline_s = options.deadline_s or 0.0
    met = meet(scenario, result, deadline_s, fixed_workers=options.workers is not None)
    serving = list(servers(job, figures, met.scenario, met.result, options.gpus))
    return DeadlinePlan(
        deadline_s=deadline_s,
        seconds=met.result.seconds,
        lookahead=met.scenario.lookahead,
        queues=list(queues(planned, met.scenario, met.result)),
        servers=serving,
        gpu_hours=_gpu_hours(serving),
        price=_price(serving, options),
    )


def _gpu_hours(serving: Sequence[ServerNeeds]) -> float:
    return sum(each.gpu_hours for each in serving)


def _price(serving: Sequence[ServerNeeds], options: Options) -> float | None:
    return None if options.gpu_price is None else options.gpu_price * _gpu_hours(serving)
