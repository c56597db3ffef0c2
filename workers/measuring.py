"""What a worker counts as it works. Some ten microseconds for a batch, and one for each call in it."""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from uuid import UUID

from prometheus_client import Counter as Series
from prometheus_client import Histogram

from shared.lm.errors import Fault, LMError
from shared.lm.protocol import Answer
from shared.method.tasks import Stage, TaskType
from shared.telemetry.histogram import Observations
from shared.telemetry.metrics import (
    ANSWERED,
    BATCH,
    CALLS,
    GATE_HOLD,
    GATE_WAIT,
    LATENCY,
    LOST,
    TOKENS,
    TRANSACTION,
    Direction,
    Operation,
)
from workers.calls import Outcome

KEPT_S = 900.0  # for how long the series of a model that nobody uses are still told, so that none is missed

_TRANSACTIONS = {operation: TRANSACTION.labels(operation) for operation in Operation}
_BATCHES: dict[Operation, Histogram] = {
    operation: BATCH.labels(operation) for operation in Operation if operation is not Operation.AGREE
}
_WAITS = {task_type: GATE_WAIT.labels(task_type) for task_type in TaskType}
_HOLDS = {task_type: GATE_HOLD.labels(task_type) for task_type in TaskType}


class Timed:
    """Tells how long the block took, and of how many pieces of work it was, if of any; `size` may be set within."""

    __slots__ = ("_began", "_operation", "size")

    def __init__(self, operation: Operation, size: int = 0) -> None:
        self._operation = operation
        self.size = size

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _TRANSACTIONS[self._operation].observe(time.perf_counter() - self._began)
        if self.size and kind is None:
            _BATCHES[self._operation].observe(self.size)


class GatePassage(Timed):
    """Tells how long a gate was waited for, until it begins, and how long it was then held."""

    __slots__ = ("_held_since", "_task_type")

    def __init__(self, task_type: TaskType) -> None:
        super().__init__(Operation.GATE)
        self._task_type = task_type
        self._held_since: float | None = None

    def begin(self) -> None:
        """The gate is this worker's."""
        self._held_since = time.perf_counter()
        _WAITS[self._task_type].observe(self._held_since - self._began)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        super().__exit__(kind, error, at)
        if self._held_since is not None:
            _HOLDS[self._task_type].observe(time.perf_counter() - self._held_since)


@dataclass(slots=True)
class _Meter:
    """The series of one model and stage, all of which begin at zero, so that the first fault is seen as such."""

    model: str
    stage: Stage
    calls: Mapping[str, Series]
    latency: Observations
    read: Series
    written: Series
    used_at: float = 0.0

    @classmethod
    def of(cls, model: str, stage: Stage) -> Self:
        return cls(
            model,
            stage,
            {outcome: CALLS.labels(model, stage, outcome) for outcome in (ANSWERED, LOST, *Fault)},
            latency=LATENCY.labels(model, stage),
            read=TOKENS.labels(model, stage, Direction.READ),
            written=TOKENS.labels(model, stage, Direction.WRITTEN),
        )

    def forget(self) -> None:
        LATENCY.remove(self.model, self.stage)
        for metric in (CALLS, TOKENS):
            metric.remove_by_labels({"model": self.model, "stage": self.stage})


_meters: dict[tuple[str, Stage], _Meter] = {}


def count_calls(stage: Stage, outcomes: Sequence[Outcome], held: Collection[UUID]) -> None:
    """Count a model's calls once they are written; whose work is not among those `held` was another's by then."""
    model = outcomes[0].prepared.model
    meter = _meters.get((model, stage)) or _meters.setdefault((model, stage), _Meter.of(model, stage))
    meter.used_at = time.monotonic()
    kept = [each for each in outcomes if each.prepared.claim.id in held]
    meter.calls[LOST].inc(len(outcomes) - len(kept))
    answered = [(each.latency_s, each.result) for each in kept if isinstance(each.result, Answer)]
    if answered:
        meter.calls[ANSWERED].inc(len(answered))
        meter.latency.add([latency_s for latency_s, _ in answered])
        meter.read.inc(sum([answer.prompt_tokens or 0 for _, answer in answered]))
        meter.written.inc(sum([answer.completion_tokens or 0 for _, answer in answered]))
    if len(answered) < len(kept):
        for fault, calls in Counter(each.result.fault for each in kept if isinstance(each.result, LMError)).items():
            meter.calls[fault].inc(calls)


def forget_unused(models: Collection[str], now: float) -> None:
    """Tell no more of models that are none of these, and were not called for some time."""
    for key, meter in list(_meters.items()):
        if meter.model not in models and now - meter.used_at > KEPT_S:
            del _meters[key]
            meter.forget()
