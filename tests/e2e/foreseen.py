"""Runs on fake LMs, foreseen by the figures of an earlier run: how long they took, and how many calls."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.admin.enqueueing import start_run
from services.admin.planning import plan_job
from services.local.processes import stop_together
from services.local.worker_pools import WorkerPool, answering
from shared.capacity.from_run import figures_of
from shared.capacity.plan import JobPlan, Options, plan
from shared.job import JobSpec
from shared.lm.fake import FakeServer, varying
from shared.lm.fake_responder import Sparing, respond
from shared.queue.app import make_app
from shared.store.session import Sessions, make_engine, make_sessions
from shared.store.tables.records import Generation
from shared.store.tables.runs import Run, RunState
from tests.e2e.stack import a_job, all_queues

SPREAD = 0.3  # by which share of it a latency varies
THREADS = 8
START_TIMEOUT_S = 120.0
POLL_S = 0.2
SETTLED_S = 1.5  # in which no call came any more
STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class LM:
    """A fake LM: seconds of an answer, and calls at once in the run and in the earlier one. One in `sparing` of its
    proposals is worth anything."""

    latency_s: float
    slots: int
    earlier_slots: int
    sparing: int = 1

    def server(self) -> FakeServer:
        """To be entered."""
        return FakeServer(
            Sparing(self.sparing) if self.sparing > 1 else respond, latency=varying(self.latency_s, SPREAD)
        )


@dataclass(frozen=True)
class Scene:
    """A run to be foreseen. The first LM proposes and makes instances, and all of them answer.

    `settings` are further ones of the job. With `workers` there are so many, each on all queues; without, one for each
    queue.
    """

    name: str
    lms: Mapping[str, LM]
    targets: Mapping[str, int]
    earlier: Mapping[str, int]
    workers: int | None = 1
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def queues(self) -> tuple[str, ...]:
        """Those of the job."""
        return all_queues(list(self.lms))

    @property
    def pools(self) -> list[WorkerPool]:
        """The worker processes, if they have nothing else to do."""
        if self.workers is None:
            return [WorkerPool(f"of-{queue.replace('.', '-')}", (queue,), THREADS) for queue in self.queues]
        return [WorkerPool(f"worker-{number}", self.queues, THREADS) for number in range(1, self.workers + 1)]

    def job(self, urls: Mapping[str, str], *, earlier: bool) -> JobSpec:
        """The run's job, or the earlier one's: the same with other targets, another seed, and wider windows."""
        models = {
            name: {
                "protocol": "openai",
                "kind": "vanilla",
                "endpoints": [urls[name]],
                "max_in_flight": lm.earlier_slots if earlier else lm.slots,
            }
            for name, lm in self.lms.items()
        }
        settings = dict(self.settings)
        lookahead = 2 * max(lm.earlier_slots if earlier else lm.slots for lm in self.lms.values())
        instructions = {"lookahead": lookahead, **settings.pop("instructions", {})}
        targets = dict(self.earlier if earlier else self.targets)
        job = a_job(models, targets, instructions=instructions, seed=1 if earlier else 2, **settings)
        return JobSpec.model_validate(job)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was foreseen, and what came: seconds from the run's beginning to its end, and LM calls.

    From `low_s` to `high_s` nine of ten runs were to take.
    """

    scene: str
    foreseen_s: float
    low_s: float
    high_s: float
    real_s: float
    foreseen_calls: int
    real_calls: int

    @property
    def seconds_off(self) -> float:
        """By which part of the real time the foreseen one is longer."""
        return self.foreseen_s / self.real_s - 1

    @property
    def calls_off(self) -> float:
        """By which part of the real calls the foreseen ones are more."""
        return self.foreseen_calls / self.real_calls - 1


@contextmanager
def workers_of(pools: Sequence[WorkerPool], database_url: str, redis_url: str, folder: Path) -> Iterator[None]:
    """Worker processes that listen already."""
    environment = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    children = [pool.start(folder / f"{pool.name}.log", folder, environment) for pool in pools]
    try:
        names = {pool.name for pool in pools}
        for child in children:
            child.wait_ready(lambda: answering(redis_url, names) == names, START_TIMEOUT_S)
        yield
    finally:
        stop_together(children, STOP_S)


def compare(scene: Scene, database_url: str, redis_url: str, tell: Callable[[str], None]) -> Comparison:
    """Run the earlier job, foresee the other by its figures, and then run that one.

    The database has its tables, and the scene's workers are at work.
    """
    engine = make_engine(database_url)
    sessions = make_sessions(engine)
    with ExitStack() as parts:
        parts.callback(engine.dispose)
        urls = {name: parts.enter_context(lm.server()).url for name, lm in scene.lms.items()}
        made = _foreseen(sessions, redis_url, scene, urls, tell)
        tell(f"{scene.name}: {made.seconds:.1f} s and {made.calls.calls} calls foreseen")
        run_id = _run(sessions, redis_url, scene.job(urls, earlier=False))
        with sessions() as session:
            real = _seconds(session.get_one(Run, run_id)), _settled_calls(session, run_id)
    tell(f"{scene.name}: {real[0]:.1f} s and {real[1]} calls in fact")
    return Comparison(scene.name, made.seconds, made.low_s, made.high_s, real[0], made.calls.calls, real[1])


def _foreseen(
    sessions: Sessions, redis_url: str, scene: Scene, urls: Mapping[str, str], tell: Callable[[str], None]
) -> JobPlan:
    earlier = _run(sessions, redis_url, scene.job(urls, earlier=True))
    with sessions() as session:
        run = session.get_one(Run, earlier)
        figures = figures_of(session, run)
        tell(f"{scene.name}: measured by a run of {_seconds(run):.1f} s, {figures.source}")
    return plan(scene.job(urls, earlier=False), figures, Options(workers=scene.workers))


def _run(sessions: Sessions, redis_url: str, job: JobSpec) -> UUID:
    with closing(make_app(redis_url)) as broker, sessions() as session:
        run_id = start_run(session, broker, plan_job(job)).id
    while True:
        with sessions() as session:
            run = session.get_one(Run, run_id)
            if run.state == RunState.COMPLETED:
                return run_id
            if run.state != RunState.RUNNING:
                raise RuntimeError(f"run {run.name} is {run.state}: {run.reason}")
        time.sleep(POLL_S)


def _seconds(run: Run) -> float:
    if run.finished_at is None:
        raise RuntimeError(f"run {run.name} has not ended")
    return (run.finished_at - run.created_at).total_seconds()


def _settled_calls(session: Session, run_id: UUID) -> int:
    """How many calls a run made, those that were under way when it ended included."""
    count, before = select(func.count()).select_from(Generation).where(Generation.run_id == run_id), -1
    while (now := session.scalar(count) or 0) != before:
        before = now
        session.rollback()
        time.sleep(SETTLED_S)
    return now
