"""What was measured while a run went on: how long calls took, what came of them, how many there were at once."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shared.method.tasks import Stage, TaskType
from shared.store.budgets import spending
from shared.store.tables.runs import RunTarget
from shared.store.tables.work import WorkItem, WorkState, in_state

MOST_SAMPLED = 20_000  # calls whose latency is looked at one by one


@dataclass(frozen=True, slots=True)
class CallKind:
    """Calls that are alike: of one stage, task type, model and prompt template."""

    stage: Stage
    task_type: TaskType
    model: str
    template: str


@dataclass(frozen=True, slots=True)
class CallTotals:
    """Calls of a kind that were answered, or met with the same fault: how many, their tokens and seconds in all."""

    kind: CallKind
    fault: str | None
    calls: int
    prompt_tokens: int
    completion_tokens: int
    latency_s: float


@dataclass(frozen=True, slots=True)
class SampledCall:
    """One answered call: seconds that it took, and its end in seconds since the epoch."""

    kind: CallKind
    latency_s: float
    ended_at: float


@dataclass(frozen=True, slots=True)
class RecordCount:
    """Records of a kind and type that came to the same."""

    kind: str
    task_type: TaskType
    state: str
    reason: str | None
    records: int


@dataclass(frozen=True, slots=True)
class Measures:
    """All of it. `sampled` is the share of the calls that `sample` has; `overloads` are the calls that servers had no
    room for, over those tried, by stage and model; `gated` has how many answered proposals passed the gate of a type.
    """

    totals: Sequence[CallTotals]
    sample: Sequence[SampledCall]
    sampled: float
    records: Sequence[RecordCount]
    gated: dict[TaskType, int]
    overloads: dict[tuple[Stage, str], float]
    servers: dict[str, int]
    active_s: float


_TOTALS = text("""
    SELECT stage, task_type, model, template, fault, sum(calls)::bigint, sum(prompt_tokens)::bigint,
      sum(completion_tokens)::bigint, sum(latency_s)
    FROM lineage.usage WHERE run_id = :run GROUP BY 1, 2, 3, 4, 5
""")
_RECORDS = text("""
    SELECT kind, task_type, state, reason, sum(records)::bigint
    FROM lineage.yields WHERE run_id = :run AND judgement = 0 GROUP BY 1, 2, 3, 4
""")
_SAMPLE = text("""
    SELECT g.stage, g.task_type, m.name, p.name, g.latency_s, extract(epoch FROM g.created_at)::float
    FROM generations g TABLESAMPLE SYSTEM (:percent) REPEATABLE (0)
    JOIN models m ON m.id = g.model_id JOIN prompt_templates p ON p.id = g.template_id
    WHERE g.run_id = :run AND g.response IS NOT NULL
""")
_OVERLOADS = text("""
    SELECT stage, model, sum(overloads)::float / sum(1 + failures + timeouts + overloads)
    FROM work_items TABLESAMPLE SYSTEM (:percent) REPEATABLE (0)
    WHERE run_id = :run AND model IS NOT NULL AND state = 'done' GROUP BY 1, 2 HAVING sum(overloads) > 0
""")
_SERVERS = text("""
    SELECT m.name, count(DISTINCT s.endpoint) FROM servers s JOIN models m ON m.id = s.model_id
    WHERE m.run_id = :run GROUP BY 1
""")


def measures(session: Session, run_id: uuid.UUID) -> Measures:
    """What a run measured; it may still go on. Reads totals, and of large runs a sample."""
    totals = [_totals(*row) for row in session.execute(_TOTALS, {"run": run_id})]
    calls = sum(each.calls for each in totals)
    sampled = min(1.0, MOST_SAMPLED / calls) if calls else 1.0
    sample = {"run": run_id, "percent": 100 * sampled}
    return Measures(
        totals=totals,
        sample=[
            SampledCall(CallKind(Stage(stage), TaskType(task_type), model, template), latency_s, ended_at)
            for stage, task_type, model, template, latency_s, ended_at in session.execute(_SAMPLE, sample)
        ],
        sampled=sampled,
        records=[
            RecordCount(kind, TaskType(task_type), *rest)
            for kind, task_type, *rest in session.execute(_RECORDS, {"run": run_id})
        ],
        gated=_gated(session, run_id),
        overloads={(Stage(stage), model): share for stage, model, share in session.execute(_OVERLOADS, sample)},
        servers=dict(session.execute(_SERVERS, {"run": run_id}).all()),
        active_s=spending(session, run_id).hours * 3600,
    )


def _totals(stage: str, task_type: str, model: str, template: str, fault: str | None, *sums: float) -> CallTotals:
    calls, read, written, latency_s = sums
    kind = CallKind(Stage(stage), TaskType(task_type), model, template)
    return CallTotals(kind, fault, int(calls), int(read), int(written), float(latency_s))


def _gated(session: Session, run_id: uuid.UUID) -> dict[TaskType, int]:
    """Answered proposals that passed the gate, by type; those that were given up passed it without an answer."""
    lost = dict(  # looked at first: a run that goes on loses more, and counts them as gated in the same transaction
        session.execute(
            select(WorkItem.task_type, func.count())
            .where(
                WorkItem.run_id == run_id,
                in_state(WorkState.FAILED),
                WorkItem.stage == Stage.INSTRUCTION,
                WorkItem.gated,
            )
            .group_by(WorkItem.task_type)
        ).all()
    )
    counted = dict(
        session.execute(select(RunTarget.task_type, RunTarget.gated).where(RunTarget.run_id == run_id)).all()
    )
    return {TaskType(task_type): gated - lost.get(task_type, 0) for task_type, gated in counted.items()}
