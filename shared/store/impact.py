"""What came of a seed task, a model, a prompt, an instruction, an example or an import: every example downstream."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.store.descent import Root, Told, trace


@dataclass(frozen=True, slots=True)
class AffectedExample:
    """An example that came from a root; `distance` is the fewest edges between them."""

    id: uuid.UUID
    run: str
    judgement: int
    distance: int
    surplus: bool
    instruction: str


def examples_from(session: Session, roots: Sequence[Root], told: Told = lambda _: None) -> list[AffectedExample]:
    """Every example that came from any of them, the nearest first."""
    trace(session, roots, told)
    return traced_examples(session)


def traced_examples(session: Session, most: int | None = None) -> list[AffectedExample]:
    """The examples that `trace` has just found, the nearest first, `most` of them at most."""
    rows = session.execute(
        text(
            """
            SELECT e.id, r.name AS run, j.number AS judgement, d.distance, e.surplus, e.instruction
            FROM descent_example d JOIN examples e ON e.id = d.id
            JOIN runs r ON r.id = e.run_id JOIN judgements j ON j.id = e.judgement_id
            ORDER BY d.distance, r.name, j.number, e.task_type, e.position LIMIT :most
            """
        ),
        {"most": most},
    )
    return [AffectedExample(**row._mapping) for row in rows]
