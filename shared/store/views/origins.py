"""The files that a run was imported from."""

import uuid
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class FileView:
    """A file whose outputs are a voice, with what was said of it."""

    id: uuid.UUID
    name: str
    voice: str
    records: int
    source: str | None
    licence: str | None


def files_of(session: Session, run_id: uuid.UUID) -> list[FileView]:
    """A run's files in their order; none if its models made all of it."""
    rows = session.execute(
        text(
            """
            SELECT id, file AS name, voice, records, source, licence FROM lineage.origin_files
            WHERE run_id = :run ORDER BY number
            """
        ),
        {"run": run_id},
    )
    return [FileView(**row._mapping) for row in rows]
