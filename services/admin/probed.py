"""What a probe found, and the figures that follow."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.admin.listed import Listed
from shared.capacity.crowd import Interval, crowd
from shared.capacity.figures import CallFigures, FaultFigures, Figures, ModelFigures, Yield, Yields
from shared.capacity.from_run import latency
from shared.errors import WorldError
from shared.job import JobSpec
from shared.lm.errors import Fault, LMError
from shared.lm.protocol import Answer
from shared.method.tasks import Stage, TaskType


class ProbeFailedError(Listed, WorldError):
    """No answer came to the probe; look at the servers, or plan with an earlier run's figures (--from RUN):"""


@dataclass(frozen=True, slots=True)
class ProbedCall:
    """One call of a probe; times are of one clock."""

    stage: Stage
    task_type: TaskType
    model: str
    template: str
    begin: float
    end: float
    result: Answer | LMError


@dataclass(slots=True)
class Tally:
    """How much of what a stage made was kept, and why the rest was not."""

    of: int = 0
    kept: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def count(self, *reasons: str | None) -> None:
        """One more, and the records that came of it, each kept if there is no reason why not."""
        self.of += 1
        for reason in reasons:
            if reason is None:
                self.kept += 1
            else:
                self.reasons[reason] = self.reasons.get(reason, 0) + 1

    @property
    def figure(self) -> Yield | None:
        """As a figure; `None` if there was nothing to keep."""
        return Yield(share=round(self.kept / self.of, 5), of=self.of, reasons=self.reasons) if self.of else None


@dataclass(slots=True)
class Tallies:
    """Those of a task type."""

    instructions: Tally = field(default_factory=Tally)
    instances: Tally = field(default_factory=Tally)
    verdicts: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found."""

    calls: Sequence[ProbedCall]
    tallies: Mapping[TaskType, Tallies]


Kind = tuple[Stage, TaskType, str, str]


def figures_of_probe(job: JobSpec, probed: Probed) -> Figures:
    """The figures of a probe. Raises `ProbeFailedError` where a kind of call was never answered."""
    kinds: defaultdict[Kind, list[ProbedCall]] = defaultdict(list)
    for call in probed.calls:
        kinds[call.stage, call.task_type, call.model, call.template].append(call)
    if silent := [_why_silent(kind, calls) for kind, calls in kinds.items() if not _answers(calls)]:
        raise ProbeFailedError(silent)
    return Figures(
        source=f"a probe of {len(probed.calls):,} calls",
        calls=tuple(_call(kind, calls) for kind, calls in kinds.items()),
        yields={task_type: _yields(tallies) for task_type, tallies in probed.tallies.items()},
        models=dict(_models(job, probed.calls)),
    )


def _answers(calls: Iterable[ProbedCall]) -> list[Answer]:
    return [call.result for call in calls if isinstance(call.result, Answer)]


def _errors(calls: Iterable[ProbedCall]) -> list[tuple[ProbedCall, LMError]]:
    return [(call, call.result) for call in calls if isinstance(call.result, LMError)]


def _why_silent(kind: Kind, calls: Sequence[ProbedCall]) -> str:
    stage, task_type, model, _ = kind
    return f"models.{model}, {stage}s of {task_type}: {_errors(calls)[-1][1]}"


def _call(kind: Kind, calls: Sequence[ProbedCall]) -> CallFigures:
    stage, task_type, model, template = kind
    if stage is Stage.CONSENSUS:
        raise TypeError("a verdict needs no LM call")
    answers = _answers(calls)
    seconds = [answer.latency_s for answer in answers]
    return CallFigures(
        stage=stage,
        task_type=task_type,
        model=model,
        template=template,
        calls=len(answers),
        prompt_tokens=_mean([answer.prompt_tokens for answer in answers]),
        completion_tokens=_mean([answer.completion_tokens for answer in answers]),
        latency_s=latency(seconds, sum(seconds) / len(seconds)),
        faults=tuple(_faults(calls)),
    )


def _mean(counts: Sequence[int | None]) -> float | None:
    known = [count for count in counts if count is not None]
    return round(sum(known) / len(known), 1) if known else None


def _faults(calls: Sequence[ProbedCall]) -> Iterator[FaultFigures]:
    seconds: defaultdict[Fault, list[float]] = defaultdict(list)
    for call, error in _errors(calls):
        seconds[error.fault].append(call.end - call.begin)
    for fault, each in seconds.items():
        share, mean_s = round(len(each) / len(calls), 5), round(sum(each) / len(each), 4)
        yield FaultFigures(fault=fault, share=share, latency_s=mean_s)


def _yields(tallies: Tallies) -> Yields:
    return Yields(
        instructions=tallies.instructions.figure,
        instances=tallies.instances.figure,
        verdicts=tallies.verdicts.figure,
    )


def _models(job: JobSpec, calls: Sequence[ProbedCall]) -> Iterator[tuple[str, ModelFigures]]:
    for name, spec in job.models.items():
        urls = set(spec.urls)
        fellows = {other for other, its in job.models.items() if set(its.urls) == urls}
        met = [call for call in calls if call.model in fellows and isinstance(call.result, Answer)]
        seconds = sum(call.end - call.begin for call in met)
        if not seconds:
            continue
        in_flight = crowd(Interval(call.begin, call.end) for call in met)
        yield name, ModelFigures.measured(len(urls), in_flight, len(met), seconds)
