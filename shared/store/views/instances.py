"""What was said for an instance, and what was decided on it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

Verdict = Mapping[str, Any]
"""A row of `lineage.verdicts`."""


@dataclass(frozen=True, slots=True)
class Output:
    """A voice's output, or why there is none."""

    id: uuid.UUID
    voice: str
    model: str | None
    output: str | None
    state: str
    reason: str | None
    generation_id: uuid.UUID | None


def outputs_for(session: Session, instance_id: uuid.UUID) -> list[Output]:
    """Every voice's output, the instance's own first."""
    rows = session.execute(
        text(
            """
            SELECT id, voice, model, output, state, reason, generation_id FROM lineage.candidates
            WHERE instance_id = :id ORDER BY number
            """
        ),
        {"id": instance_id},
    )
    return [Output(**row._mapping) for row in rows]


def verdicts_on(session: Session, instance_id: uuid.UUID) -> Sequence[Verdict]:
    """Every judgement's verdict, the run's own first."""
    statement = text("SELECT * FROM lineage.verdicts WHERE instance_id = :id ORDER BY judgement")
    return [dict(row) for row in session.execute(statement, {"id": instance_id}).mappings()]


def sums_of_scores(verdict: Verdict) -> dict[uuid.UUID, float]:
    """How alike each candidate that was compared is to all others together."""
    return {
        id: sum(score for column, score in enumerate(row) if column != place)
        for place, (id, row) in enumerate(zip(verdict["candidate_ids"], verdict["scores"], strict=True))
    }
