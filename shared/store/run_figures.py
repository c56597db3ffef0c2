"""How all runs stand, in figures that are quick to read: no row of a record is looked at, only totals and open work."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import TextClause, func, or_, select, text
from sqlalchemy.orm import Session

from shared.job import Budget
from shared.store.budgets import Spending, spending
from shared.store.endpoints import failing_models
from shared.store.keys import judgement_key
from shared.store.tables.runs import GOING_ON, Model, Run, RunState, RunTarget

T = TypeVar("T")

WORK_STATES = ("ready", "postponed", "leased", "dead")
ENDED_KEPT = timedelta(hours=1)  # for how long an ended run is told of: long enough for people to hear of its end


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Work in a run's queue that is in one of `WORK_STATES`.

    `oldest_s` is for how long the oldest unfinished piece has been due.
    """

    queue: str
    state: str
    items: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class RecordFigures:
    """How many records of a kind came to the same."""

    kind: str
    task_type: str
    state: str
    reason: str | None
    records: int


@dataclass(frozen=True, slots=True)
class CallFigures:
    """A model's calls in one stage that were answered, or met with the same fault, and their tokens."""

    model: str
    stage: str
    fault: str | None
    calls: int
    read: int
    written: int


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One run; `outputs` are the models that its outputs are asked of.

    `failing_s` has its models, and for how long nobody has got an answer of each: 0 if all is well.
    """

    name: str
    state: RunState
    outputs: Sequence[str]
    budget: Budget
    spending: Spending
    targets: Sequence[RunTarget]
    queues: Sequence[QueueFigures]
    records: Sequence[RecordFigures]
    calls: Sequence[CallFigures]
    failing_s: Mapping[str, float]


# Each state of work has an index of its own, so that what is done is not looked at.
_QUEUES = text("""
    SELECT run_id, queue, CASE WHEN ready_at > now() THEN 'postponed' ELSE 'ready' END AS state, count(*),
      extract(epoch FROM now() - min(ready_at) FILTER (WHERE ready_at <= now()))::float
    FROM work_items WHERE run_id = ANY (:runs) AND state = 'ready' GROUP BY 1, 2, 3
    UNION ALL SELECT run_id, queue, 'leased', count(*), extract(epoch FROM now() - min(ready_at))::float
    FROM work_items WHERE run_id = ANY (:runs) AND state = 'leased' GROUP BY 1, 2
    UNION ALL SELECT run_id, queue, 'dead', count(*), NULL
    FROM work_items WHERE run_id = ANY (:runs) AND state = 'failed' GROUP BY 1, 2
""")
_RECORDS = text("""
    SELECT run_id, kind, task_type, state, reason, sum(records)::bigint FROM record_totals
    WHERE run_id = ANY (:runs) AND (judgement_id IS NULL OR judgement_id = ANY (:judgements))
    GROUP BY 1, 2, 3, 4, 5 HAVING sum(records) > 0
""")
_CALLS = text("""
    SELECT t.run_id, m.name, t.stage, t.fault, sum(t.calls)::bigint, sum(t.prompt_tokens)::bigint,
      sum(t.completion_tokens)::bigint
    FROM generation_totals t JOIN models m ON m.id = t.model_id WHERE t.run_id = ANY (:runs) GROUP BY 1, 2, 3, 4
""")


def run_figures(session: Session) -> list[RunFigures]:
    """The runs that have not ended, and those that ended a short while ago. Records are those of the run's own
    judgement."""
    told = or_(Run.state.in_(GOING_ON), Run.finished_at > func.now() - ENDED_KEPT)
    parts = (Run.job["outputs"], Run.job["budget"])
    found = session.execute(select(Run.id, Run.name, Run.state, *parts).where(told).order_by(Run.created_at)).all()
    ids = [run_id for run_id, *_ in found]
    targets: defaultdict[uuid.UUID, list[RunTarget]] = defaultdict(list)
    for target in session.scalars(select(RunTarget).where(RunTarget.run_id.in_(ids))):
        targets[target.run_id].append(target)
    queues = _read(session, _QUEUES, QueueFigures, runs=ids)
    records = _read(session, _RECORDS, RecordFigures, runs=ids, judgements=[judgement_key(each) for each in ids])
    calls = _read(session, _CALLS, CallFigures, runs=ids)
    return [
        RunFigures(
            name=name,
            state=RunState(state),
            outputs=[voice["model"] for voice in outputs or ()],
            budget=Budget.model_validate(budget or {}),
            spending=spending(session, run_id),
            targets=targets[run_id],
            queues=queues[run_id],
            records=records[run_id],
            calls=calls[run_id],
            failing_s=_failing_s(session, run_id) if state == RunState.RUNNING else {},
        )
        for run_id, name, state, outputs, budget in found
    ]


def _read(
    session: Session, statement: TextClause, kind: Callable[..., T], **values: object
) -> dict[uuid.UUID, list[T]]:
    """Rows by run, which is their first column, as values of a kind."""
    grouped: defaultdict[uuid.UUID, list[T]] = defaultdict(list)
    for run_id, *row in session.execute(statement, values):
        grouped[run_id].append(kind(*row))
    return grouped


def _failing_s(session: Session, run_id: uuid.UUID) -> dict[str, float]:
    now = session.scalars(select(func.now())).one()
    failing = failing_models(session, run_id)
    names = session.scalars(select(Model.name).where(Model.run_id == run_id))
    return {name: (now - failing[name].since).total_seconds() if name in failing else 0.0 for name in names}
