"""How far a run is: counts by stage and task type, tokens by model, what stands in the way."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from shared.job import Budget, JobSpec
from shared.method.tasks import Stage, TaskType
from shared.store.budgets import Spending, spending
from shared.store.endpoints import EndpointView, endpoint_views
from shared.store.judgements import count_retracted, count_wanted, judgements
from shared.store.keys import judgement_key
from shared.store.runs import Target, targets_of
from shared.store.tables.records import Candidate, Generation, Instance, Instruction, RecordState, Verdict
from shared.store.tables.runs import Model, Run
from shared.store.tables.work import WorkItem, WorkState, in_state


@dataclass(slots=True)
class StageCounts:
    """Records of one stage and type; `open` pieces of work are still to be done."""

    accepted: int = 0
    rejected: int = 0
    open: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelCounts:
    """What a model did: `calls` that reached it, tokens read and written, `busy` calls now under way.

    `waiting` pieces of work are to be tried again; `fault` and `detail` say what the latest met with.
    """

    name: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    busy: int
    waiting: int
    fault: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class TypeProgress:
    """One task type of a run."""

    target: int
    examples: int
    proposed: int
    gated: int
    completed: bool
    stages: dict[Stage, StageCounts]


@dataclass(frozen=True, slots=True)
class FurtherJudgement:
    """How many examples one of a run's later judgements made, those past the target left out."""

    number: int
    examples: int


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A run at one moment; `now` is the database's clock. What is counted is of the run's own judgement.

    `oldest_open_s` is for how long the oldest piece of work that could be done has waited or been worked on.
    `retracted` examples are no part of exports, though they count towards the targets.
    """

    run_id: uuid.UUID
    name: str
    owner: str | None
    share: float
    state: str
    reason: str | None
    fingerprint: str
    created_at: datetime
    finished_at: datetime | None
    now: datetime
    types: dict[TaskType, TypeProgress]
    models: list[ModelCounts]
    oldest_open_s: float | None
    budget: Budget
    spending: Spending
    endpoints: list[EndpointView]
    retracted: int
    further: list[FurtherJudgement]

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.finished_at is not None

    @property
    def seconds(self) -> float:
        """How long the run has been going, or went."""
        return ((self.finished_at or self.now) - self.created_at).total_seconds()


def run_progress(session: Session, run_id: uuid.UUID) -> RunProgress:
    """How far a run is now. The run must exist."""
    run = session.get_one(Run, run_id, populate_existing=True)
    stages = _stages(session, run_id)
    targets = targets_of(session, run_id)
    job = JobSpec.model_validate(run.job)
    return RunProgress(
        run_id=run.id,
        name=run.name,
        owner=job.owner,
        share=job.share,
        state=run.state,
        reason=run.reason,
        fingerprint=run.fingerprint,
        created_at=run.created_at,
        finished_at=run.finished_at,
        now=session.scalars(select(func.now())).one(),
        types={task_type: _type(target, stages[task_type]) for task_type, target in targets.items()},
        models=_models(session, run_id),
        oldest_open_s=oldest_open_s(session, run_id),
        budget=job.budget,
        spending=spending(session, run_id),
        endpoints=endpoint_views(session, run_id),
        retracted=count_retracted(session, judgement_key(run_id)),
        further=[
            FurtherJudgement(each.number, sum(count_wanted(session, each.id).values()))
            for each in judgements(session, run_id)[1:]
        ],
    )


def oldest_open_s(session: Session, run_id: uuid.UUID) -> float | None:
    """For how long the oldest unfinished piece of a run's work has been due, in seconds; `None` if none is."""
    earliest = select(func.min(WorkItem.ready_at)).where(WorkItem.run_id == run_id, WorkItem.ready_at <= func.now())
    # Each state has an index of its own.
    by_state = [earliest.where(in_state(state)) for state in (WorkState.READY, WorkState.LEASED)]
    oldest = func.least(*(statement.scalar_subquery() for statement in by_state))
    found = session.scalar(select(func.extract("epoch", func.now() - oldest)))
    return None if found is None else float(found)


def _type(target: Target, stages: dict[Stage, StageCounts]) -> TypeProgress:
    return TypeProgress(
        target=target.target,
        examples=target.examples,
        proposed=target.proposed,
        gated=target.gated,
        completed=target.completed_at is not None,
        stages=stages,
    )


Counted = Select[TaskType, RecordState, str | None, int]


def _record_counts(run_id: uuid.UUID) -> dict[Stage, Counted]:
    of_instance = Instance.task_type
    return {
        Stage.INSTRUCTION: select(Instruction.task_type, Instruction.state, Instruction.reason, func.count()).where(
            Instruction.run_id == run_id
        ),
        Stage.INSTANCE: select(of_instance, Instance.state, Instance.reason, func.count()).where(
            Instance.run_id == run_id
        ),
        Stage.OUTPUT: select(of_instance, Candidate.state, Candidate.reason, func.count())
        .join(Instance, Instance.id == Candidate.instance_id)
        .where(Candidate.run_id == run_id, Candidate.number > 0),
        Stage.CONSENSUS: select(of_instance, Verdict.state, Verdict.reason, func.count())
        .join(Instance, Instance.id == Verdict.instance_id)
        .where(Verdict.judgement_id == judgement_key(run_id)),
    }


def _stages(session: Session, run_id: uuid.UUID) -> dict[TaskType, dict[Stage, StageCounts]]:
    counts = {task_type: {stage: StageCounts() for stage in Stage} for task_type in TaskType}
    for stage, statement in _record_counts(run_id).items():
        columns = list(statement.selected_columns)[:3]
        for task_type, state, reason, count in session.execute(statement.group_by(*columns)):
            cell = counts[TaskType(task_type)][stage]
            if state == RecordState.ACCEPTED:
                cell.accepted += count
            else:
                cell.rejected += count
                cell.reasons[reason or ""] = count
    still_open = (
        select(WorkItem.task_type, WorkItem.stage, func.count())
        .where(WorkItem.run_id == run_id, in_state(WorkState.READY, WorkState.LEASED))
        .group_by(WorkItem.task_type, WorkItem.stage)
    )
    for task_type, stage, count in session.execute(still_open):
        counts[TaskType(task_type)][Stage(stage)].open = count
    return counts


def _models(session: Session, run_id: uuid.UUID) -> list[ModelCounts]:
    tokens = session.execute(
        select(
            Model.name,
            func.count(Generation.id),
            func.coalesce(func.sum(Generation.prompt_tokens), 0),
            func.coalesce(func.sum(Generation.completion_tokens), 0),
        )
        .outerjoin(Generation, Generation.model_id == Model.id)
        .where(Model.run_id == run_id)
        .group_by(Model.name)
        .order_by(Model.name)
    ).all()
    trouble = _trouble(session, run_id)
    return [
        ModelCounts(name, calls, read or 0, written or 0, *trouble.get(name, (0, 0, None, None)))
        for name, calls, read, written in tokens
    ]


def _trouble(session: Session, run_id: uuid.UUID) -> dict[str, tuple[int, int, str | None, str | None]]:
    rows: Sequence[WorkItem] = session.scalars(
        select(WorkItem)
        .where(
            WorkItem.run_id == run_id,
            WorkItem.model.is_not(None),
            in_state(WorkState.LEASED) | (in_state(WorkState.READY) & WorkItem.fault.is_not(None)),
        )
        .order_by(WorkItem.ready_at)
        .limit(10_000)
    ).all()
    by_model: dict[str, list[WorkItem]] = defaultdict(list)
    for row in rows:
        by_model[row.model or ""].append(row)
    return {model: _trouble_of(items) for model, items in by_model.items()}


def _trouble_of(items: Sequence[WorkItem]) -> tuple[int, int, str | None, str | None]:
    waiting = [item for item in items if item.state == WorkState.READY]
    fault, detail = (waiting[-1].fault, waiting[-1].detail) if waiting else (None, None)
    return len(items) - len(waiting), len(waiting), fault, detail
