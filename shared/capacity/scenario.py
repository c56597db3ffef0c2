"""From a job and figures to a scenario that can be simulated."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shared.capacity.figures import CallFigures, FaultFigures, Figures, Yield
from shared.errors import UserError
from shared.job import JobSpec
from shared.lm.errors import COUNTERS, NOT_TAKEN, Fault
from shared.method.simulation.scenario import BackOff, Call, Costs, FaultRate, Kind, Pool, Scenario
from shared.method.simulation.spread import Spread
from shared.method.tasks import Stage, TaskType
from shared.queue import names
from shared.store.keys import pool_key

# What each yield is of, and what it counts.
LED_TO = {
    "instructions": ("proposals", "accepted instruction"),
    "instances": ("instructions", "accepted instance"),
    "verdicts": ("instances", "example"),
}


class NoFiguresError(UserError):
    """{source} tells nothing of what the job needs: {models}{missing}. Measure it with --probe N, take a run that
    did it with --from RUN, or write it into a file for --figures FILE"""


class NeverMetError(UserError):
    """targets.{task_type} can't be met: of {of} measured none led to an {kept}{reasons}"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that a job makes: what it is for, and the figures it is foreseen with."""

    call: Call
    task_type: TaskType
    figures: CallFigures


@dataclass(frozen=True, slots=True)
class Planned:
    """A job's scenario, with all calls that it makes by name, and what a reader should know of the figures."""

    scenario: Scenario
    asked: dict[str, Asked]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Need:
    stage: Stage
    task_type: TaskType
    model: str
    template: str
    queue: str
    voice: str = ""

    @property
    def name(self) -> str:
        """What the call is called in a scenario."""
        return _name(self.task_type, self.stage, self.voice)

    def __str__(self) -> str:
        """As a person would say it."""
        return f"calls of {self.model} for {self.stage}s of {self.task_type}"


def _name(task_type: TaskType, stage: Stage, voice: str = "") -> str:
    return f"{task_type} {stage} {voice}".rstrip()


def plan_scenario(job: JobSpec, figures: Figures, workers: int | None = None) -> Planned:
    """The scenario of a job: `workers` processes on all queues, or one for each queue.

    Raises `NoFiguresError`, `NeverMetError`.
    """
    _refuse_hopeless(job, figures)
    needs = list(_needs(job))
    found = {need: figures.call(need.stage, need.task_type, need.model, need.template) for need in needs}
    missing = [str(need) for need, its in found.items() if its is None]
    missing += [f"how many {what} of {task_type} are kept" for task_type, what in _unknown_yields(job, figures)]
    if missing:
        told = _models_told(figures, {need.model for need in needs})
        raise NoFiguresError(source=figures.source, models=told, missing="; ".join(dict.fromkeys(missing)))
    asked = {
        need.name: Asked(_call(job, need, its), need.task_type, its) for need, its in found.items() if its is not None
    }
    queues = list(dict.fromkeys(need.queue for need in needs))
    scenario = Scenario(
        kinds=tuple(_kind(job, task_type, figures, asked) for task_type in job.targets),
        pools=tuple(_pools(job, figures, {need.model for need in needs})),
        workers=_workers(queues, workers),
        lookahead=job.instructions.lookahead,
        patience=job.instructions.patience,
        costs=Costs(call_s=figures.worker.call_ms / 1000, transaction_s=figures.worker.transaction_ms / 1000),
        back_off=BackOff(job.retry.backoff_s, job.retry.backoff_cap_s),
    )
    return Planned(scenario, asked, tuple(_notes(found)))


def _models_told(figures: Figures, needed: set[str]) -> str:
    """Which models there are figures of and which the job has, if some of these have none; that explains the rest."""
    known = {call.model for call in figures.calls}
    if needed <= known:
        return ""
    return f"it has the models {', '.join(sorted(known))}, and the job has {', '.join(sorted(needed))}; "


def _needs(job: JobSpec) -> Iterator[_Need]:
    for task_type in job.targets:
        writer, maker = job.instructions, job.instances
        yield _Need(Stage.INSTRUCTION, task_type, writer.model, writer.prompts[task_type], names.INSTRUCTIONS)
        yield _Need(Stage.INSTANCE, task_type, maker.model, maker.prompts[task_type], names.INSTANCES)
        for voice in job.outputs:
            queue, template = names.outputs(voice.model), job.voice_prompt(voice)
            yield _Need(Stage.OUTPUT, task_type, voice.model, template, queue, voice.label)


def _unknown_yields(job: JobSpec, figures: Figures) -> Iterator[tuple[TaskType, str]]:
    for task_type in job.targets:
        known = figures.yields.get(task_type)
        for what in LED_TO:
            if known is None or getattr(known, what) is None:
                yield task_type, what


def _call(job: JobSpec, need: _Need, figures: CallFigures) -> Call:
    limits = job.retry.model_dump()
    faults = tuple(_fault(each, int(limits[COUNTERS[each.fault]])) for each in figures.faults)
    return Call(need.name, need.queue, need.stage, need.model, figures.latency_s.spread, faults)


def _fault(figures: FaultFigures, most: int) -> FaultRate:
    tries = 1 if figures.fault is Fault.REFUSED_INPUT else most
    taken = figures.fault not in NOT_TAKEN
    return FaultRate(COUNTERS[figures.fault], figures.share, Spread.of(figures.latency_s), tries, taken)


def _kind(job: JobSpec, task_type: TaskType, figures: Figures, asked: dict[str, Asked]) -> Kind:
    yields = figures.yields[task_type]
    return Kind(
        name=task_type,
        target=job.targets[task_type],
        proposal=asked[_name(task_type, Stage.INSTRUCTION)].call,
        instance=asked[_name(task_type, Stage.INSTANCE)].call,
        outputs=tuple(asked[_name(task_type, Stage.OUTPUT, voice.label)].call for voice in job.outputs),
        instructions=_share(yields.instructions),
        instances=_share(yields.instances),
        verdicts=_share(yields.verdicts),
    )


def _share(figures: Yield | None) -> float:
    if figures is None:
        raise TypeError("missing yields were told of before")
    return figures.share


def _refuse_hopeless(job: JobSpec, figures: Figures) -> None:
    """Raises `NeverMetError` for the first yield that is 0."""
    for task_type in job.targets:
        for name, (of, kept) in LED_TO.items():
            known: Yield | None = getattr(figures.yields.get(task_type), name, None)
            if known and known.share == 0:
                count = f"{known.of:,} {of}" if known.of else f"all {of}"
                most = sorted(known.reasons.items(), key=lambda each: -each[1])[:3]
                reasons = f" ({', '.join(f'{reason} {times}' for reason, times in most)})" if most else ""
                raise NeverMetError(task_type=task_type, of=count, kept=kept, reasons=reasons)


def _pools(job: JobSpec, figures: Figures, models: set[str]) -> Iterator[Pool]:
    """Models that have the same servers share one window, as their runs' workers would."""
    pools: dict[uuid.UUID, list[str]] = {}
    for name, spec in job.models.items():
        if name in models:
            pools.setdefault(pool_key(spec.urls, spec.model), []).append(name)
    for members in pools.values():
        servers = len(set(job.models[members[0]].urls))
        known = [its.most_calls_per_s for name in members if (its := figures.models.get(name)) and its.most_calls_per_s]
        yield Pool(
            name="+".join(members),
            limits={name: job.models[name].max_in_flight for name in members},
            calls_per_s=servers * min(known) if known else None,
        )


def _workers(queues: Sequence[str], workers: int | None) -> tuple[frozenset[str], ...]:
    everything = (*queues, names.CONSENSUS)
    if workers is None:
        return tuple(frozenset([queue]) for queue in everything)
    return (frozenset(everything),) * workers


def _notes(found: dict[_Need, CallFigures | None]) -> Iterator[str]:
    for need, its in found.items():
        if its and its.template not in (None, need.template):
            yield f"{need}: the prompt '{need.template}' was not measured; figures of '{its.template}' stand in"


def scaled(scenario: Scenario, examples: int) -> Scenario:
    """A scenario of so many examples in all, whose instructions stand for those of the whole one."""
    whole = sum(kind.target for kind in scenario.kinds)
    share = min(1.0, examples / whole)
    kinds = tuple(replace(kind, target=max(1, round(kind.target * share))) for kind in scenario.kinds)
    return replace(scenario, kinds=kinds, stands_for=scenario.stands_for / share)
