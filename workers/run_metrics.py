"""How the runs stand, for Prometheus: read from Postgres when somebody asks, by every process on `control`."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from threading import Lock

import structlog
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import WorldError
from shared.queue import names
from shared.store.run_figures import WORK_STATES, RunFigures, run_figures
from shared.store.session import Sessions, cause
from shared.store.tables.runs import RunState
from shared.telemetry import metrics
from shared.telemetry.in_time import InTime
from shared.telemetry.metrics import ANSWERED, Direction, Family, Observed, Sample

log = structlog.get_logger()

FRESH_S = 5.0  # for how long what was read is told again: more than one may ask
PATIENCE_S = 8.0  # Prometheus waits for 10


class RunMetrics(Collector):
    """The metrics of `shared.telemetry.metrics.OF_RUNS`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._reading = InTime("Postgres", self._read, PATIENCE_S)
        self._lock = Lock()
        self._known: tuple[float, list[RunFigures]] | None = None

    def describe(self) -> Iterator[Family]:
        """What it tells, without looking."""
        for each in metrics.OF_RUNS:
            yield each.told()

    def collect(self) -> Iterator[Family]:
        """All of it; only that it can't be read, while Postgres does not answer."""
        runs = self._figures()
        yield metrics.READABLE.told([((), runs is not None)])
        for metric, samples in _OF_RUN.items():
            yield metric.told(chain.from_iterable(samples(run) for run in runs or ()))

    def _figures(self) -> list[RunFigures] | None:
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > FRESH_S:
                self._known = self._read_anew()
            return self._known and self._known[1]

    def _read_anew(self) -> tuple[float, list[RunFigures]] | None:
        try:
            return time.monotonic(), self._reading.ask()
        except SQLAlchemyError as error:
            log.warning("figures of runs not read", error=cause(error))
        except WorldError as error:
            log.warning("figures of runs not read", error=str(error))
        return None

    def _read(self) -> list[RunFigures]:
        with self._sessions() as session:
            session.execute(text(f"SET LOCAL statement_timeout = '{PATIENCE_S:.0f}s'"))
            return run_figures(session)


def _states(run: RunFigures) -> Iterator[Sample]:
    yield from (((run.name, state), run.state is state) for state in RunState)


def _targets(run: RunFigures) -> Iterator[Sample]:
    yield from (((run.name, each.task_type), each.target) for each in run.targets)


def _examples(run: RunFigures) -> Iterator[Sample]:
    yield from (((run.name, each.task_type), each.examples) for each in run.targets)


def _proposals(run: RunFigures) -> Iterator[Sample]:
    for each in run.targets:
        steps = {"proposed": each.proposed, "gated": each.gated, "accepted": each.accepted, "concluded": each.concluded}
        yield from (((run.name, each.task_type, step), count) for step, count in steps.items())


def _queues(run: RunFigures) -> list[str]:
    """All of them, so that one that is empty is told to be."""
    outputs = [names.outputs(model) for model in run.outputs]
    return list(dict.fromkeys([names.INSTRUCTIONS, names.INSTANCES, *outputs, names.CONSENSUS]))


def _work(run: RunFigures) -> Iterator[Sample]:
    items = {(each.queue, each.state): each.items for each in run.queues}
    for queue in _queues(run):
        yield from (((run.name, queue, state), items.get((queue, state), 0)) for state in WORK_STATES)


def _oldest(run: RunFigures) -> Iterator[Sample]:
    for queue in _queues(run):
        ages = [each.oldest_s or 0.0 for each in run.queues if each.queue == queue]
        yield (run.name, queue), max(ages, default=0.0)


def _records(run: RunFigures) -> Iterator[Sample]:
    for each in run.records:
        yield (run.name, each.kind, each.task_type, each.state, each.reason or ""), each.records


def _calls(run: RunFigures) -> Iterator[Sample]:
    yield from (((run.name, each.model, each.stage, each.fault or ANSWERED), each.calls) for each in run.calls)


def _tokens(run: RunFigures) -> Iterator[Sample]:
    sums: defaultdict[Sequence[str], int] = defaultdict(int)
    for each in run.calls:
        sums[run.name, each.model, each.stage, Direction.READ] += each.read
        sums[run.name, each.model, each.stage, Direction.WRITTEN] += each.written
    yield from sums.items()


def _spent(run: RunFigures) -> Iterator[Sample]:
    yield (run.name, "generations"), run.spending.generations
    yield (run.name, "tokens"), run.spending.tokens
    yield (run.name, "hours"), run.spending.hours


def _budget(run: RunFigures) -> Iterator[Sample]:
    limits = {"generations": run.budget.generations, "tokens": run.budget.tokens, "hours": run.budget.hours}
    yield from (((run.name, resource), limit) for resource, limit in limits.items() if limit is not None)


def _failing(run: RunFigures) -> Iterator[Sample]:
    yield from (((run.name, model), seconds) for model, seconds in run.failing_s.items())


_OF_RUN: dict[Observed, Callable[[RunFigures], Iterator[Sample]]] = {
    metrics.STATE: _states,
    metrics.TARGET: _targets,
    metrics.EXAMPLES: _examples,
    metrics.PROPOSALS: _proposals,
    metrics.WORK: _work,
    metrics.OLDEST: _oldest,
    metrics.RECORDS: _records,
    metrics.RUN_CALLS: _calls,
    metrics.RUN_TOKENS: _tokens,
    metrics.SPENT: _spent,
    metrics.BUDGET: _budget,
    metrics.FAILING: _failing,
}
