"""Which models and imported files examples came from, over their whole ancestry, for many at once.

It is what `lineage.ancestors` finds of these for each of them: whoever wrote the instruction, the input or an output
that was compared, and whoever wrote an instruction that was shown to one of those, and so on. A run shows none but its
own instructions, and none that was imported.
"""

import uuid
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.store.tables.exports import LeftOut

# Instructions with the models that they came from. A run's are mostly of one model, and then a step adds nothing.
_HERITAGE = """
    CREATE TEMPORARY TABLE heritage ON COMMIT DROP AS
    WITH RECURSIVE proposed AS MATERIALIZED (
      SELECT i.id, g.model_id, g.instruction_ids FROM instructions i JOIN generations g ON g.id = i.generation_id
      WHERE i.run_id = ANY (:runs) AND i.state = 'accepted'
    ), shown AS MATERIALIZED (
      SELECT p.id, d.id AS shown_id FROM proposed p CROSS JOIN LATERAL unnest(p.instruction_ids) AS d (id)
    ), came_from (instruction_id, model_id) AS (
      SELECT id, model_id FROM proposed
      UNION SELECT s.id, c.model_id FROM came_from c JOIN shown s ON s.shown_id = c.instruction_id
    )
    SELECT instruction_id, model_id FROM came_from
"""
_AUTHORS = """
    SELECT chosen.example_id, h.model_id FROM chosen JOIN examples e ON e.id = chosen.example_id
    JOIN instances n ON n.id = e.instance_id JOIN heritage h ON h.instruction_id = n.instruction_id
    UNION SELECT made.example_id, g.model_id FROM made JOIN generations g ON g.id = made.generation_id
    UNION SELECT made.example_id, h.model_id FROM made JOIN generations g ON g.id = made.generation_id
    CROSS JOIN LATERAL unnest(g.instruction_ids) AS d (id) JOIN heritage h ON h.instruction_id = d.id
"""
_MADE = """
    made AS MATERIALIZED (
      SELECT chosen.example_id, n.generation_id FROM chosen JOIN examples e ON e.id = chosen.example_id
      JOIN instances n ON n.id = e.instance_id WHERE n.generation_id IS NOT NULL
      UNION SELECT chosen.example_id, c.generation_id FROM chosen JOIN examples e ON e.id = chosen.example_id
      JOIN verdicts v ON v.id = e.verdict_id CROSS JOIN LATERAL unnest(v.candidate_ids) AS u (id)
      JOIN candidates c ON c.id = u.id WHERE c.generation_id IS NOT NULL
    )
"""

_BROUGHT = """
    SELECT chosen.example_id, o.file_id FROM chosen JOIN examples e ON e.id = chosen.example_id
    JOIN instances n ON n.id = e.instance_id JOIN instructions i ON i.id = n.instruction_id
    JOIN origins o ON o.id IN (i.origin_id, n.origin_id)
    UNION SELECT chosen.example_id, o.file_id FROM chosen JOIN examples e ON e.id = chosen.example_id
    JOIN verdicts v ON v.id = e.verdict_id CROSS JOIN LATERAL unnest(v.candidate_ids) AS u (id)
    JOIN candidates c ON c.id = u.id JOIN origins o ON o.id = c.origin_id
"""


class DeclaredModel(NamedTuple):
    """A model by its name in the job, how its server knows it, and the licence that the job declares."""

    id: uuid.UUID
    run: str
    name: str
    served_model: str | None
    licence: str | None


class DeclaredFile(NamedTuple):
    """An imported file by its name, and the licence that was declared of it."""

    id: uuid.UUID
    run: str
    name: str
    licence: str | None


def declared_models(session: Session, run_ids: Collection[uuid.UUID]) -> list[DeclaredModel]:
    """The models of these runs."""
    rows = session.execute(
        text(
            "SELECT m.id, r.name, m.name, m.served_model, m.licence FROM models m JOIN runs r ON r.id = m.run_id "
            "WHERE m.run_id = ANY (:runs) ORDER BY r.name, m.name"
        ),
        {"runs": list(run_ids)},
    )
    return [DeclaredModel(*row) for row in rows]


def declared_files(session: Session, run_ids: Collection[uuid.UUID]) -> list[DeclaredFile]:
    """The files that these runs were imported from."""
    rows = session.execute(
        text(
            "SELECT f.id, r.name, f.name, f.licence FROM origin_files f JOIN runs r ON r.id = f.run_id "
            "WHERE f.run_id = ANY (:runs) ORDER BY r.name, f.number"
        ),
        {"runs": list(run_ids)},
    )
    return [DeclaredFile(*row) for row in rows]


def trace(session: Session, run_ids: Collection[uuid.UUID]) -> None:
    """Find out, once in a transaction, which models the instructions of these runs came from."""
    if not session.scalar(text("SELECT to_regclass('pg_temp.heritage')")):
        session.execute(text(_HERITAGE), {"runs": list(run_ids)})
        session.execute(text("CREATE INDEX ON heritage (instruction_id)"))
        session.execute(text("ANALYZE heritage"))


def authors_of(session: Session, example_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, set[uuid.UUID]]:
    """The models that each of these examples came from, of runs that were traced."""
    source = "unnest(CAST(:examples AS uuid[])) AS s (example_id)"
    authors: dict[uuid.UUID, set[uuid.UUID]] = {id: set() for id in example_ids}
    for example_id, model_id in session.execute(text(_authors(source)), {"examples": list(example_ids)}):
        authors[example_id].add(model_id)
    return authors


def count_by_model(session: Session, export_id: uuid.UUID) -> dict[uuid.UUID, int]:
    """How many of an export's examples came from each model, of runs that were traced."""
    authors = _authors("export_rows AS s", "s.export_id = :export")
    counts = text(f"SELECT a.model_id, count(*) FROM ({authors}) a GROUP BY 1")  # noqa: S608 - our names
    return dict(session.execute(counts, {"export": export_id}).all())


def count_by_file(session: Session, export_id: uuid.UUID) -> dict[uuid.UUID, int]:
    """How many of an export's examples came from each imported file."""
    chosen = _chosen("export_rows AS s", "s.export_id = :export")
    counts = text(f"WITH {chosen}, came AS ({_BROUGHT}) SELECT file_id, count(*) FROM came GROUP BY 1")  # noqa: S608 - our names
    return dict(session.execute(counts, {"export": export_id}).all())


def leave_out_unlicensed(session: Session, models: Collection[uuid.UUID]) -> None:
    """Leave out of the selection whatever came from one of these models, of runs that were traced."""
    _leave_out(session, _authors(*_KEPT), "model_id", models)


def leave_out_files(session: Session, files: Collection[uuid.UUID]) -> None:
    """Leave out of the selection whatever came from one of these imported files."""
    _leave_out(session, f"WITH {_chosen(*_KEPT)} {_BROUGHT}", "file_id", files)


_KEPT = ("selection AS s", "s.reason IS NULL")


def _leave_out(session: Session, sources: str, column: str, refused: Collection[uuid.UUID]) -> None:
    session.execute(
        text(
            f"""
            UPDATE selection SET reason = :reason WHERE reason IS NULL AND example_id IN (
              SELECT came.example_id FROM ({sources}) came WHERE came.{column} = ANY (:refused)
            )
            """  # noqa: S608 - our names
        ),
        {"reason": LeftOut.LICENCE, "refused": list(refused)},
    )


def _authors(source: str, condition: str = "true") -> str:
    return f"WITH {_chosen(source, condition)}, {_MADE} {_AUTHORS}"


def _chosen(source: str, condition: str) -> str:
    return f"chosen AS MATERIALIZED (SELECT s.example_id FROM {source} WHERE {condition})"  # noqa: S608 - our names
