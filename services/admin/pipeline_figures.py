"""What the pipeline does under a load, measured in its steady state."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.admin.pipeline_parts import Load, Pipeline, pipeline
from services.local.cpu_time import cpu_seconds
from services.local.worker_pools import WorkerPool
from shared.lm.fake_usage import Usage
from shared.store.sizes import TableSize, table_sizes
from shared.store.tables.records import Example, Generation

WARM_UP_S = 6.0


@dataclass(frozen=True, slots=True)
class Figures:
    """A load's figures over `seconds`: `busy` is a share of the slots, CPU is in ms for each call.

    `profile` has the CPU seconds of the workers by what they went for, since their start, and `tables` what Postgres
    held in the end beside `all_examples`; both are empty unless wanted.
    """

    load: Load
    seconds: float
    calls: int
    examples: int
    busy: float | None
    workers_ms: float
    postgres_ms: float
    fake_ms: float
    profile: dict[str, float]
    tables: list[TableSize]
    all_examples: int

    @property
    def calls_per_s(self) -> float:
        """LM calls a second, each stored."""
        return self.calls / self.seconds

    @property
    def examples_per_s(self) -> float:
        """Examples a second."""
        return self.examples / self.seconds


@dataclass(frozen=True, slots=True)
class _Look:
    """A pipeline at one time: rows, seconds of CPU, and how busy its LM was."""

    at: float
    calls: int
    examples: int
    workers_s: float
    postgres_s: float
    fake_s: float
    usage: Usage


def measure(
    load: Load,
    pools: Sequence[WorkerPool],
    seconds: float,
    *,
    detailed: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> Figures:
    """Put the load on workers of these pools, wait until it flows, and measure; `detailed` adds profile and tables."""
    report(f"{load.name}: starting")
    with pipeline(load, pools, profiled=detailed) as made:
        made.wait(WARM_UP_S)
        report(f"{load.name}: measuring for {seconds:g} s")
        before = _look(made)
        made.wait(seconds)
        after = _look(made)
        profile = made.finish()
        with made.sessions() as session:
            tables = table_sizes(session) if detailed else []
            all_examples = _count(session, Example)
    return _figures(load, before, after, profile, tables, all_examples)


def _look(made: Pipeline) -> _Look:
    workers_s = sum(cpu_seconds(worker.pid) for worker in made.workers)
    postgres_s, fake_s = cpu_seconds(made.postgres.pid), cpu_seconds(made.lm.child.pid)
    usage, at = made.lm.usage(), time.monotonic()
    with made.sessions() as session:
        calls, examples = _count(session, Generation), _count(session, Example)
    return _Look(at, calls, examples, workers_s, postgres_s, fake_s, usage)


def _count(session: Session, table: type[Generation] | type[Example]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def _figures(
    load: Load, before: _Look, after: _Look, profile: dict[str, float], tables: list[TableSize], all_examples: int
) -> Figures:
    calls = after.calls - before.calls

    def ms(spent_s: float) -> float:
        return spent_s * 1000 / max(calls, 1)

    return Figures(
        load=load,
        seconds=after.at - before.at,
        calls=calls,
        examples=after.examples - before.examples,
        busy=after.usage.mean_in_flight(before.usage) / load.slots if load.latency_s else None,
        workers_ms=ms(after.workers_s - before.workers_s),
        postgres_ms=ms(after.postgres_s - before.postgres_s),
        fake_ms=ms(after.fake_s - before.fake_s),
        profile=profile,
        tables=tables,
        all_examples=all_examples,
    )
