"""What other systems are told of a run: its job, what it starts from, how much it made."""

import uuid
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shared.job import JobSpec
from shared.store.keys import judgement_key
from shared.store.tables.origins import OriginFile
from shared.store.tables.records import Example
from shared.store.tables.runs import Run, RunSeed


@dataclass(frozen=True, slots=True)
class Column:
    """A column as Postgres describes it."""

    name: str
    type: str
    description: str | None


@dataclass(frozen=True, slots=True)
class File:
    """A file that was imported, with what was said of it, and how many records it holds."""

    name: str
    sha256: str
    source: str | None
    licence: str | None
    records: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """`files` are what the run was imported from, if it was; `examples` counts those of its own judgement, surplus left
    out."""

    name: str
    job: JobSpec
    fingerprint: str
    seeds: int
    files: list[File]
    examples: int
    columns: list[Column]


def run_facts(session: Session, run_id: uuid.UUID) -> RunFacts:
    """The facts of a run that is there."""
    run = session.get_one(Run, run_id)
    seeds = select(func.count()).where(RunSeed.run_id == run_id)
    examples = select(func.count()).where(Example.judgement_id == judgement_key(run_id), ~Example.surplus)
    return RunFacts(
        name=run.name,
        job=JobSpec.model_validate(run.job),
        fingerprint=run.fingerprint,
        seeds=session.scalar(seeds) or 0,
        files=_files(session, run_id),
        examples=session.scalar(examples) or 0,
        columns=_columns(session),
    )


def _files(session: Session, run_id: uuid.UUID) -> list[File]:
    told = select(OriginFile.name, OriginFile.sha256, OriginFile.source, OriginFile.licence, OriginFile.records)
    return [File(*row) for row in session.execute(told.where(OriginFile.run_id == run_id).order_by(OriginFile.number))]


def _columns(session: Session) -> list[Column]:
    rows = session.execute(
        text(
            """
            SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute
            WHERE attrelid = CAST('lineage.examples' AS regclass) AND attnum > 0 ORDER BY attnum
            """
        )
    )
    return [Column(*row) for row in rows]
