"""All that a measurement of the pipeline needs, on this machine, and nothing of it left afterwards."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from sqlalchemy.orm import Session

from services.admin.enqueueing import start_run
from services.admin.planning import plan_job
from services.local.fake_lm import FakeLM
from services.local.interruption import endings_raise, undisturbed
from services.local.postgres import Postgres
from services.local.processes import Child, stop_together
from services.local.valkey import Valkey
from services.local.worker_pools import WorkerPool
from shared.errors import WorldError
from shared.job import JobSpec
from shared.queue.app import make_app
from shared.store.migrate import upgrade
from shared.store.runs import is_running
from shared.store.session import Sessions, make_engine, make_sessions
from shared.store.states import end_run
from shared.store.tables.runs import RunState

MODEL = "lm"
QUEUES = ("instructions", "instances", f"outputs.{MODEL}", "consensus", "control")
SPREAD = 0.3  # by which share of it an answer's latency varies
LOOKAHEAD = 4  # proposals ahead of the gate, for each slot
MOST_LOOKAHEAD = 4096
FAR_OFF = 10_000_000
START_TIMEOUT_S = 90.0
STOP_S = 20.0

Report = Callable[[str], None]


class NothingToMeasureError(WorldError):
    """{what} ended by itself, so there is nothing to measure"""


@dataclass(frozen=True, slots=True)
class Load:
    """What the LM is like: how many calls it takes at once, and the seconds of an answer, ± 30 %."""

    slots: int
    latency_s: float

    @property
    def name(self) -> str:
        """As a table's row says it."""
        answer = f"{self.latency_s:g} s ± {SPREAD:.0%}" if self.latency_s else "at once"
        return f"{self.slots} slots, {answer}"

    def job(self, url: str) -> JobSpec:
        """A job that is far from its end, with one voice."""
        model = {"protocol": "openai", "kind": "vanilla", "endpoints": [url], "max_in_flight": self.slots}
        return JobSpec.model_validate(
            {
                "name": "bench",
                "targets": {"input_output": FAR_OFF, "output_only": FAR_OFF},
                "models": {MODEL: model},
                "instructions": {"model": MODEL, "lookahead": min(LOOKAHEAD * self.slots, MOST_LOOKAHEAD)},
                "instances": {"model": MODEL},
                "outputs": [{"model": MODEL}],
            }
        )


@dataclass(frozen=True)
class Pipeline:
    """A pipeline at work."""

    postgres: Child
    lm: FakeLM
    workers: Sequence[Child]
    profiles: Sequence[Path]
    sessions: Sessions
    run_id: UUID

    def wait(self, seconds: float) -> None:
        """Let it work for some seconds. Raises `NotReady`, `NothingToMeasureError`."""
        time.sleep(seconds)
        for child in (self.postgres, self.lm.child, *self.workers):
            child.require_alive()
        with self.sessions() as session:
            if not is_running(session, self.run_id):
                raise NothingToMeasureError(what="the run")

    def finish(self) -> dict[str, float]:
        """Cancel the run and end the workers; returns what CPU they used for what, if that was wanted."""
        with self.sessions.begin() as session:
            end_run(session, self.run_id, RunState.CANCELLED, "measured")
        stop_together(self.workers, STOP_S)
        found = [json.loads(path.read_text()) for path in self.profiles if path.exists()]
        return {part: sum(each[part] for each in found) for part in (found[0] if found else ())}


@contextmanager
def pipeline(load: Load, pools: Sequence[WorkerPool], *, profiled: bool = False) -> Iterator[Pipeline]:
    """A Postgres, a Valkey, a fake LM and workers at work; ended with their folder, whatever happens."""
    with endings_raise():
        parts = ExitStack()
        try:
            yield _begun(parts, load, pools, profiled)
        finally:
            with undisturbed():
                parts.close()


def _begun(parts: ExitStack, load: Load, pools: Sequence[WorkerPool], profiled: bool) -> Pipeline:
    folder = Path(parts.enter_context(TemporaryDirectory(prefix="ensemble-instruct-bench-")))
    postgres = parts.enter_context(Postgres(folder / "postgres"))
    valkey = parts.enter_context(Valkey(folder / "valkey"))
    lm = FakeLM(folder / "lm.log", load.latency_s, SPREAD)
    parts.callback(lm.child.stop)
    engine = make_engine(postgres.url)
    parts.callback(engine.dispose)
    upgrade(engine)
    sessions = make_sessions(engine)
    with sessions() as session:
        run_id = _started(session, valkey.url, load.job(lm.wait()))
    environment = {"DATABASE_URL": postgres.url, "REDIS_URL": valkey.url}
    workers: list[Child] = []
    parts.callback(stop_together, workers, STOP_S)
    profiles = [folder / f"{pool.name}.json" for pool in pools if profiled]
    for number, pool in enumerate(pools):
        profile = {"CPU_PROFILE": str(profiles[number])} if profiled else {}
        workers.append(pool.start(folder / f"{pool.name}.log", folder, environment | profile))
    if postgres.child is None:
        raise NothingToMeasureError(what="PostgreSQL")
    made = Pipeline(postgres.child, lm, workers, profiles, sessions, run_id)
    for worker in workers:
        worker.wait_ready(lambda: lm.usage().answered > 0, START_TIMEOUT_S)
    return made


def _started(session: Session, redis_url: str, job: JobSpec) -> UUID:
    broker = make_app(redis_url)
    try:
        return start_run(session, broker, plan_job(job)).id
    finally:
        broker.close()
