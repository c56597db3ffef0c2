"""Work that was given up, with all that is known of it, and how it is put back."""

import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, literal_column, select, update
from sqlalchemy.orm import Session, aliased

from shared.method.tasks import Stage, TaskType
from shared.store.arrays import any_of
from shared.store.gate import count
from shared.store.keys import judgement_key
from shared.store.tables.records import Candidate, Instance, Instruction, Verdict
from shared.store.tables.runs import RunTarget
from shared.store.tables.work import TRIED, WorkItem, WorkState, in_state


@dataclass(frozen=True, slots=True)
class DeadWork:
    """A piece of work that was given up: what it was for, how often it was tried, what it met with last."""

    id: uuid.UUID
    stage: Stage
    task_type: TaskType
    model: str | None
    voice: str | None
    position: int
    instruction: str | None
    fault: str | None
    detail: str | None
    failures: int
    timeouts: int
    overloads: int
    crashes: int
    earlier_tries: int
    worker: str | None
    given_up_at: datetime | None

    @property
    def tries(self) -> int:
        """How often it was tried in all."""
        return self.failures + self.timeouts + self.overloads + self.crashes + self.earlier_tries


def dead_work(session: Session, run_id: uuid.UUID) -> Sequence[DeadWork]:
    """A run's dead work, in the run's order."""
    instruction = func.coalesce(WorkItem.instruction_id, Instance.instruction_id)
    rows = session.execute(
        select(
            *(WorkItem.id, WorkItem.stage, WorkItem.task_type, WorkItem.model, WorkItem.voice, WorkItem.position),
            *(Instruction.text.label("instruction"), WorkItem.fault, WorkItem.detail),
            *(WorkItem.failures, WorkItem.timeouts, WorkItem.overloads, WorkItem.crashes, WorkItem.earlier_tries),
            *(WorkItem.worker, WorkItem.finished_at.label("given_up_at")),
        )
        .outerjoin(Instance, Instance.id == WorkItem.instance_id)
        .outerjoin(Instruction, Instruction.id == instruction)
        .where(WorkItem.run_id == run_id, in_state(WorkState.FAILED))
        .order_by(WorkItem.position, WorkItem.stage, WorkItem.voice)
    )
    return [DeadWork(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class PutBack:
    """How much dead work is ready again; `late` of it are outputs for instances that have their verdict already."""

    count: int
    late: int


def put_back(session: Session, run_id: uuid.UUID, ids: Collection[uuid.UUID] | None = None) -> PutBack:
    """Have a run's dead work tried anew, all of it or the pieces named, but none of a complete type unless it is late.

    Its caller holds the run (`states.hold_run`), so that no type is completed meanwhile. What stood for a record that
    could not be made goes, and counters that took it for ended go back. Who still holds an older lease can't write for
    it. A verdict stands, though an output may come late.
    """
    open_types = select(RunTarget.task_type).where(RunTarget.run_id == run_id, RunTarget.completed_at.is_(None))
    dead = [WorkItem.run_id == run_id, in_state(WorkState.FAILED)]
    if ids is not None:
        dead.append(WorkItem.id == any_of(ids))
    items = session.scalars(
        select(WorkItem)
        .where(*dead, WorkItem.late | WorkItem.task_type.in_(open_types.scalar_subquery()))
        .order_by(WorkItem.id)
        .with_for_update()
    ).all()
    _forget_stand_ins(session, run_id, items)
    session.execute(
        update(WorkItem)
        .where(WorkItem.id == any_of(item.id for item in items))
        .values(
            state=WorkState.READY,
            ready_at=func.now(),
            finished_at=None,
            gated=False,
            earlier_tries=literal_column(TRIED),
            **dict.fromkeys(("failures", "timeouts", "overloads", "crashes"), 0),
        )
        .execution_options(synchronize_session=False)
    )
    return PutBack(len(items), _make_late(session, run_id, items))


def _forget_stand_ins(session: Session, run_id: uuid.UUID, items: Sequence[WorkItem]) -> None:
    by_stage: dict[Stage, list[WorkItem]] = {stage: [] for stage in Stage}
    for item in items:
        by_stage[Stage(item.stage)].append(item)
    gated = [item for item in by_stage[Stage.INSTRUCTION] if item.gated]
    _count_down(session, run_id, "gated", gated)
    instructions = [item.instruction_id for item in by_stage[Stage.INSTANCE] if item.instruction_id]
    session.execute(delete(Instance).where(Instance.instruction_id == any_of(instructions)))
    _forget_candidates(session, [item.id for item in by_stage[Stage.OUTPUT]])
    verdicts = [item.instance_id for item in by_stage[Stage.CONSENSUS] if item.instance_id]
    of_run = Verdict.judgement_id == judgement_key(run_id)
    session.execute(delete(Verdict).where(of_run, Verdict.instance_id == any_of(verdicts)))
    _count_down(session, run_id, "concluded", [*by_stage[Stage.INSTANCE], *by_stage[Stage.CONSENSUS]])


def _forget_candidates(session: Session, work_ids: Sequence[uuid.UUID]) -> None:
    of_work = WorkItem.id == any_of(work_ids)
    session.execute(
        delete(Candidate)
        .where(of_work, WorkItem.instance_id == Candidate.instance_id, WorkItem.voice == Candidate.voice)
        .execution_options(synchronize_session=False)
    )
    awaited = (
        select(WorkItem.instance_id, func.count().label("outputs"))
        .where(of_work)
        .group_by(WorkItem.instance_id)
        .subquery()
    )
    in_order = select(Instance.id).join(awaited, awaited.c.instance_id == Instance.id).order_by(Instance.id)
    session.execute(in_order.with_for_update(key_share=True, of=Instance))
    session.execute(
        update(Instance)
        .where(Instance.id == awaited.c.instance_id)
        .values(pending_outputs=Instance.pending_outputs + awaited.c.outputs)
        .execution_options(synchronize_session=False)
    )


def _count_down(session: Session, run_id: uuid.UUID, counter: str, items: Sequence[WorkItem]) -> None:
    for task_type, times in sorted(Counter(TaskType(item.task_type) for item in items).items()):
        count(session, run_id, task_type, **{counter: -times})


def _make_late(session: Session, run_id: uuid.UUID, items: Sequence[WorkItem]) -> int:
    judging = aliased(WorkItem)
    judged = select(judging.instance_id).where(judging.run_id == run_id, judging.stage == Stage.CONSENSUS)
    made = session.scalars(
        update(WorkItem)
        .where(WorkItem.id == any_of(item.id for item in items), WorkItem.stage == Stage.OUTPUT)
        .where(WorkItem.instance_id.in_(judged))
        .values(late=True)
        .returning(WorkItem.id)
        .execution_options(synchronize_session=False)
    )
    return len(made.all())
