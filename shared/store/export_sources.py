"""What an export's examples were made by: models, LM calls, and the runs with what became of their proposals."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.method.tasks import TaskType
from shared.store.authorship import count_by_file, count_by_model, trace
from shared.store.exports import ExportedRun


@dataclass(frozen=True, slots=True)
class ModelBehind:
    """A model, its licence as the job declares it, and how many examples have it in their ancestry."""

    run: str
    model: str
    kind: str
    served_model: str | None
    licence: str | None
    examples: int


@dataclass(frozen=True, slots=True)
class FileBehind:
    """An imported file, what was said of it, and how many examples have a record of it in their ancestry."""

    run: str
    voice: str
    file: str
    sha256: str
    source: str | None
    licence: str | None
    records: int
    examples: int


@dataclass(frozen=True, slots=True)
class Calls:
    """How many of the LM calls that wrote an instruction, an input or an output compared were alike in these.

    `served_model`, `revision` and `version` are what the server said of itself.
    """

    run: str
    stage: str
    task_type: TaskType
    model: str
    served_model: str | None
    revision: str | None
    version: str | None
    template: str
    template_version: int
    template_sha256: str
    parameters: Mapping[str, Any]
    calls: int


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """How many records a step of a run made with this result."""

    step: int
    kind: str
    task_type: TaskType
    state: str
    reason: str | None
    records: int


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as it stands: how many LM calls it made, and how many tokens these read and wrote."""

    job: Mapping[str, Any]
    fingerprint: str
    state: str
    created_at: datetime
    calls: int
    prompt_tokens: int
    completion_tokens: int


def models_behind(session: Session, export_id: uuid.UUID, runs: Sequence[ExportedRun]) -> list[ModelBehind]:
    """The models that an export's examples came from, over their whole ancestry."""
    run_ids = [run.run_id for run in runs]
    trace(session, run_ids)
    counts = count_by_model(session, export_id)
    rows = session.execute(
        text(
            """
            SELECT m.run, m.model, m.kind, m.served_model, m.licence, m.id
            FROM unnest(CAST(:runs AS uuid[])) WITH ORDINALITY AS a (id, place)
            JOIN lineage.models m ON m.run_id = a.id ORDER BY a.place, m.model
            """
        ),
        {"runs": run_ids},
    )
    return [
        ModelBehind(row.run, row.model, row.kind, row.served_model, row.licence, counts[row.id])
        for row in rows
        if row.id in counts
    ]


def files_behind(session: Session, export_id: uuid.UUID, runs: Sequence[ExportedRun]) -> list[FileBehind]:
    """The imported files that an export's examples came from."""
    counts = count_by_file(session, export_id)
    rows = session.execute(
        text(
            """
            SELECT f.run, f.voice, f.file, f.sha256, f.source, f.licence, f.records, f.id
            FROM unnest(CAST(:runs AS uuid[])) WITH ORDINALITY AS a (id, place)
            JOIN lineage.origin_files f ON f.run_id = a.id ORDER BY a.place, f.number
            """
        ),
        {"runs": [run.run_id for run in runs]},
    )
    return [
        FileBehind(row.run, row.voice, row.file, row.sha256, row.source, row.licence, row.records, counts[row.id])
        for row in rows
        if row.id in counts
    ]


def calls_behind(session: Session, export_id: uuid.UUID) -> list[Calls]:
    """The LM calls that wrote what an export's examples are made of."""
    rows = session.execute(
        text(
            """
            WITH chosen AS MATERIALIZED (
              SELECT e.instance_id, e.verdict_id FROM export_rows x JOIN examples e ON e.id = x.example_id
              WHERE x.export_id = :export
            ), made (generation_id) AS (
              SELECT i.generation_id FROM chosen JOIN instances n ON n.id = chosen.instance_id
              JOIN instructions i ON i.id = n.instruction_id
              UNION SELECT n.generation_id FROM chosen JOIN instances n ON n.id = chosen.instance_id
              UNION SELECT c.generation_id FROM chosen JOIN verdicts v ON v.id = chosen.verdict_id
              CROSS JOIN LATERAL unnest(v.candidate_ids) AS u (id) JOIN candidates c ON c.id = u.id
            )
            SELECT r.name, g.stage, g.task_type, m.name, s.served_model, s.model_revision, s.server_version,
              t.name, t.version, t.sha256, g.parameters, count(*)
            FROM made JOIN generations g ON g.id = made.generation_id JOIN runs r ON r.id = g.run_id
            JOIN models m ON m.id = g.model_id JOIN prompt_templates t ON t.id = g.template_id
            LEFT JOIN servers s ON s.id = g.server_id
            GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
            ORDER BY 1, array_position(ARRAY['instruction', 'instance', 'output'], g.stage), 3, 4, 8, 9, 10, 11, 5, 6, 7
            """
        ),
        {"export": export_id},
    )
    return [Calls(run, stage, TaskType(kind), *rest) for run, stage, kind, *rest in rows]


def funnel_of(session: Session, run: ExportedRun) -> list[FunnelStep]:
    """What became of a run's proposals, up to the examples of the judgement asked for."""
    rows = session.execute(
        text(
            """
            SELECT step, kind, task_type, state, reason, records FROM lineage.funnel WHERE run_id = :run
            AND judgement = CASE WHEN kind IN ('verdict', 'example') THEN :judgement ELSE 0 END
            ORDER BY step, task_type, state, records DESC, reason
            """
        ),
        {"run": run.run_id, "judgement": run.judgement},
    )
    return [FunnelStep(step, kind, TaskType(task_type), *rest) for step, kind, task_type, *rest in rows]


def run_states(session: Session, runs: Sequence[ExportedRun]) -> list[RunState]:
    """The runs in their order."""
    rows = session.execute(
        text(
            """
            SELECT r.job, r.fingerprint, r.state, r.created_at, coalesce(u.calls, 0), coalesce(u.prompt_tokens, 0),
              coalesce(u.completion_tokens, 0)
            FROM unnest(CAST(:runs AS uuid[])) WITH ORDINALITY AS a (id, place) JOIN lineage.runs r ON r.id = a.id
            LEFT JOIN LATERAL (
              SELECT CAST(sum(calls) AS bigint) AS calls, CAST(sum(prompt_tokens) AS bigint) AS prompt_tokens,
                CAST(sum(completion_tokens) AS bigint) AS completion_tokens
              FROM lineage.usage WHERE run_id = r.id
            ) u ON true ORDER BY a.place
            """
        ),
        {"runs": [run.run_id for run in runs]},
    )
    return [RunState(*row) for row in rows]
