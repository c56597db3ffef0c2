"""How long a worker that was restarted takes to bring its novelty index up to date."""

import tempfile
import time
import uuid
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import psycopg
from sqlalchemy import func, select

from benchmarks.instruction_texts import instructions
from benchmarks.resident import most_resident_mb, resident_mb
from services.admin.planning import plan_job
from services.local.postgres import Postgres
from shared.job import JobSpec
from shared.method.tasks import Stage, TaskType
from shared.queue import names
from shared.store.keys import key
from shared.store.loading import load_run
from shared.store.migrate import upgrade
from shared.store.runs import begin_run
from shared.store.session import Sessions, make_engine, make_sessions
from shared.store.tables.records import Generation
from shared.store.tables.runs import Model, RunPrompt
from shared.store.tables.work import WorkItem
from workers.novelty_indexes import NoveltyIndexes

TYPE = TaskType.OUTPUT_ONLY
JOB = JobSpec.model_validate(
    {
        "name": "catch-up",
        "targets": {TYPE: 2_000_000},
        "models": {"lm": {"protocol": "tgi", "kind": "vanilla", "endpoints": ["http://127.0.0.1:1"]}},
        "instructions": {"model": "lm"},
        "instances": {"model": "lm"},
        "outputs": [{"model": "lm"}],
    }
)
COLUMNS = "id, run_id, task_type, position, generation_id, text, state, accepted_order"


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """`memory_mb`: what the process grew by; `peak_mb`: the most it grew by meanwhile."""

    accepted: int
    catch_up_s: float
    memory_mb: float
    peak_mb: float
    once_more_ms: float


def catch_up(rows: int) -> CaughtUp:
    """Plant a run with so many accepted instructions in a Postgres of its own; read them as the gate does."""
    with tempfile.TemporaryDirectory(prefix="catch-up-") as folder, Postgres(Path(folder) / "postgres") as postgres:
        engine = make_engine(postgres.url)
        upgrade(engine)
        sessions = make_sessions(engine)
        run_id, generation_id = _plant(sessions)
        _copy(postgres.url, run_id, generation_id, rows)
        try:
            return _measure(sessions, run_id)
        finally:
            engine.dispose()


def _measure(sessions: Sessions, run_id: uuid.UUID) -> CaughtUp:
    indexes = NoveltyIndexes()
    with sessions.begin() as session:
        context = load_run(session, run_id)
        assert context
        session.scalar(select(func.count()).select_from(Generation))
        before = resident_mb()
        started = time.perf_counter()
        synced = indexes.current(session, context, TYPE)
        seconds = time.perf_counter() - started
        after = resident_mb()
        peak = max(after, most_resident_mb())
        started = time.perf_counter()
        indexes.current(session, context, TYPE)
        once_more = time.perf_counter() - started
    return CaughtUp(synced.synced, seconds, after - before, peak - before, 1e3 * once_more)


def _plant(sessions: Sessions) -> tuple[uuid.UUID, uuid.UUID]:
    """A run with one call, which all its instructions are said to come from."""
    with sessions.begin() as session:
        run = begin_run(session, plan_job(JOB).new_run(session, None))
        work = WorkItem(
            id=key("work", run.id), run_id=run.id, stage=Stage.INSTRUCTION, task_type=TYPE, queue=names.INSTRUCTIONS
        )
        work.position = 0
        session.add(work)
        session.flush()
        generation = Generation(
            id=key("generation", work.id),
            run_id=run.id,
            work_item_id=work.id,
            attempt=1,
            stage=Stage.INSTRUCTION,
            task_type=TYPE,
            model_id=session.scalars(select(Model.id).where(Model.run_id == run.id)).one(),
            endpoint="",
            template_id=session.scalars(select(RunPrompt.template_id).where(RunPrompt.run_id == run.id)).first(),
            seed_task_ids=[],
            instruction_ids=[],
            prompt="",
            parameters={},
            response="",
            latency_s=0.0,
            worker="",
        )
        session.add(generation)
        return run.id, generation.id


def _copy(url: str, run_id: uuid.UUID, generation_id: uuid.UUID, rows: int) -> None:
    with psycopg.connect(url) as connection:
        with connection.cursor().copy(f"COPY instructions ({COLUMNS}) FROM STDIN") as copy:
            for order, text in enumerate(islice(instructions(), rows)):
                copy.write_row((uuid.uuid4(), run_id, TYPE, order, generation_id, text, "accepted", order))
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE instructions")
