"""Measured figures: what calls take, what comes of them, what a record takes in Postgres."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from shared.job import Name, Section
from shared.lm.errors import Fault
from shared.method.simulation.spread import Spread
from shared.method.tasks import Stage, TaskType

# docs/performance.md, "Ten million examples": bytes for an example, over rows for one.
BYTES_PER_ROW = {
    "generations": 4645.0,
    "work_items": 821.0,
    "instructions": 1463.0,
    "candidates": 346.0,
    "instances": 568.0,
    "examples": 721.0,
    "verdicts": 523.0,
}

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Count = Annotated[int, Field(ge=0)]


class Latency(Section):
    """Seconds from sending a call to its answer: the mean, and quantiles by their share (0.5 is the median)."""

    mean: Seconds
    quantiles: dict[Share, Seconds] = Field({})

    @model_validator(mode="after")
    def _rise(self) -> "Latency":
        values = [self.quantiles[share] for share in sorted(self.quantiles)]
        if any(later < earlier for earlier, later in pairwise(values)):
            raise ValueError("quantiles should rise with their shares")
        return self

    @property
    def spread(self) -> Spread:
        """To draw from."""
        return Spread(self.quantiles, self.mean) if self.quantiles else Spread.of(self.mean)


def _as_latency(given: Any) -> Any:
    if isinstance(given, int | float):
        return {"mean": given}
    return _or_mapping(given, "seconds, or a mapping with their mean and quantiles")


def _or_mapping(given: Any, told: str) -> Any:
    if not isinstance(given, Mapping | Section):
        raise ValueError(f"should be {told}")
    return given


class FaultFigures(Section):
    """Calls that met with a fault: which part of all, and after how many seconds."""

    fault: Fault
    share: Annotated[float, Field(ge=0, lt=1)]
    latency_s: Seconds = 0.0


class CallFigures(Section):
    """LM calls of one kind, as one model answered them. Without a task type they stand for both, without a template
    (a prompt's id) for any; `calls` is how many were measured."""

    stage: Literal[Stage.INSTRUCTION, Stage.INSTANCE, Stage.OUTPUT]
    task_type: TaskType | None = None
    model: Name
    template: str | None = None
    calls: Count | None = None
    prompt_tokens: float | None = Field(None, ge=0)
    completion_tokens: float | None = Field(None, ge=0)
    latency_s: Annotated[Latency, BeforeValidator(_as_latency)]
    faults: tuple[FaultFigures, ...] = ()

    @model_validator(mode="after")
    def _some_succeed(self) -> "CallFigures":
        if sum(each.share for each in self.faults) >= 1:
            raise ValueError("no call is left that is answered; the shares of the faults should add up to less than 1")
        return self


class Yield(Section):
    """Which part is kept of what a stage made (`of` so many, if that is known), and why the rest was not."""

    share: float = Field(ge=0, le=20)
    of: Count | None = None
    reasons: dict[str, Count] = Field({})


def _as_yield(given: Any) -> Any:
    if isinstance(given, int | float):
        return {"share": given}
    return _or_mapping(given, "the share that is kept, or a mapping with it")


Kept = Annotated[Yield, BeforeValidator(_as_yield)]


class Yields(Section):
    """What comes of a task type: accepted instructions of a proposal, accepted instances of an instruction, examples
    of an instance that all voices answered."""

    instructions: Kept | None = None
    instances: Kept | None = None
    verdicts: Kept | None = None

    @model_validator(mode="after")
    def _are_shares(self) -> "Yields":
        for name in ("instances", "verdicts"):
            kept: Yield | None = getattr(self, name)
            if kept and kept.share > 1:
                raise ValueError(f"{name}: at most 1, for no more than all are kept")
        return self


class ModelFigures(Section):
    """A model's servers while they were measured: calls that one of them had at once, as a call saw it, and how many
    it answered in a second. `most_calls_per_s` is the most that one can, if that is known."""

    servers: int = Field(1, ge=1)
    in_flight: float | None = Field(None, gt=0)
    calls_per_s: float | None = Field(None, gt=0)
    most_calls_per_s: float | None = Field(None, gt=0)

    @classmethod
    def measured(cls, servers: int, in_flight: float, calls: int, seconds: float) -> "ModelFigures":
        """Of so many `calls`, which took these seconds in all, while there were `in_flight` on all servers at once."""
        of_one = in_flight / servers
        return cls(servers=servers, in_flight=_shortened(of_one), calls_per_s=_shortened(of_one * calls / seconds))


def _shortened(number: float) -> float:
    """To four digits, wherever they begin: what is little is not nothing."""
    return float(f"{number:.4g}")


class WorkerFigures(Section):
    """CPU of a worker's process, in milliseconds: for a call, and for a transaction."""

    call_ms: float = Field(1.1, ge=0)
    transaction_ms: float = Field(14.0, ge=0)


def _some(calls: tuple[CallFigures, ...]) -> tuple[CallFigures, ...]:
    if not calls:
        raise ValueError("there should be one at least")
    return calls


class Figures(Section):
    """All that a plan is made from. `source` tells where they come from."""

    version: Literal[1] = 1
    source: str = "by hand"
    calls: Annotated[tuple[CallFigures, ...], AfterValidator(_some)]
    yields: dict[TaskType, Yields] = Field({})
    models: dict[Name, ModelFigures] = Field({})
    worker: WorkerFigures = WorkerFigures()
    bytes_per_row: dict[str, Annotated[float, Field(gt=0)]] = Field({})

    def call(self, stage: Stage, task_type: TaskType, model: str, template: str) -> CallFigures | None:
        """The figures that fit a call best, of its own model and stage."""
        fitting = [
            each
            for each in self.calls
            if (each.stage, each.model) == (stage, model) and each.task_type in (None, task_type)
        ]
        return max(
            fitting,
            key=lambda each: (each.template == template, each.template is None, each.task_type is not None),
            default=None,
        )

    def row_bytes(self) -> Mapping[str, float]:
        """Bytes that a row takes, by table: as measured, else docs/performance.md's."""
        return {**BYTES_PER_ROW, **self.bytes_per_row}
