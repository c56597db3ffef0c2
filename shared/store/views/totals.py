"""What a run's records and calls add up to, read from the totals that are counted as they are written."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

LAST_STEP_OF_ALL = 4  # of the funnel: what comes later is each judgement's own


@dataclass(frozen=True, slots=True)
class Step:
    """How many records of a step of the funnel came to the same."""

    step: int
    kind: str
    task_type: str
    state: str
    reason: str | None
    records: int


@dataclass(frozen=True, slots=True)
class Usage:
    """A model's calls in a stage: how many, how many of them failed, tokens, and seconds from call to end, summed."""

    model_id: uuid.UUID
    model: str
    stage: str
    calls: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    latency_s: float


@dataclass(frozen=True, slots=True)
class Influence:
    """In how many wanted examples a seed task had a direct part."""

    seed_task_id: uuid.UUID
    source_id: str
    name: str
    examples: int


def funnel(session: Session, run_id: uuid.UUID, judgement: int) -> list[Step]:
    """From proposals to examples of a judgement, step by step."""
    rows = session.execute(
        text(
            """
            SELECT step, kind, task_type, state, reason, records FROM lineage.funnel
            WHERE run_id = :run AND (judgement = :judgement AND step > :last OR judgement = 0 AND step <= :last)
            ORDER BY step, task_type, records DESC, reason
            """
        ),
        {"run": run_id, "judgement": judgement, "last": LAST_STEP_OF_ALL},
    )
    return [Step(**row._mapping) for row in rows]


def usage(session: Session, run_id: uuid.UUID) -> list[Usage]:
    """What was asked of each model in each stage."""
    rows = session.execute(
        text(
            """
            SELECT
              m.id AS model_id, u.model, u.stage, CAST(sum(u.calls) AS bigint) AS calls,
              CAST(coalesce(sum(u.calls) FILTER (WHERE u.fault IS NOT NULL), 0) AS bigint) AS failed,
              CAST(sum(u.prompt_tokens) AS bigint) AS prompt_tokens,
              CAST(sum(u.completion_tokens) AS bigint) AS completion_tokens, sum(u.latency_s) AS latency_s
            FROM lineage.usage u JOIN lineage.models m ON m.run_id = u.run_id AND m.model = u.model
            WHERE u.run_id = :run GROUP BY m.id, u.model, u.stage
            ORDER BY u.model, array_position(ARRAY['instruction', 'instance', 'output'], u.stage)
            """
        ),
        {"run": run_id},
    )
    return [Usage(**row._mapping) for row in rows]


def faults(session: Session, run_id: uuid.UUID) -> Sequence[tuple[str, str, int]]:
    """How many of each model's calls met with each fault, the most frequent first."""
    rows = session.execute(
        text(
            """
            SELECT model, fault, CAST(sum(calls) AS bigint) FROM lineage.usage
            WHERE run_id = :run AND fault IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
            """
        ),
        {"run": run_id},
    )
    return [(model, fault, calls) for model, fault, calls in rows]


def most_influential(session: Session, run_id: uuid.UUID, judgement: int, most: int) -> list[Influence]:
    """The seed tasks that had a part in the most examples."""
    rows = session.execute(
        text(
            """
            SELECT seed_task_id, source_id, name, examples FROM lineage.seed_influence
            WHERE run_id = :run AND judgement = :judgement ORDER BY examples DESC, source_id LIMIT :most
            """
        ),
        {"run": run_id, "judgement": judgement, "most": most},
    )
    return [Influence(**row._mapping) for row in rows]
