"""The work that should follow from a run's records and is not there, since the run had ended when they were written."""

import uuid
from collections.abc import Iterator

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from shared.job import JobSpec
from shared.method.tasks import Stage
from shared.queue import follow
from shared.store.tables.records import Instance, Instruction, RecordState
from shared.store.tables.runs import RunTarget
from shared.store.tables.work import WorkItem
from shared.store.work import NewWork, add_work


def add_missing_work(session: Session, job: JobSpec, run_id: uuid.UUID) -> None:
    """Plan it, for the task types that are not complete."""
    add_work(session, [*_instances(session, job, run_id), *_outputs(session, job, run_id), *_verdicts(session, run_id)])


def _instances(session: Session, job: JobSpec, run_id: uuid.UUID) -> Iterator[NewWork]:
    found = session.scalars(
        select(Instruction).where(
            Instruction.run_id == run_id,
            Instruction.state == RecordState.ACCEPTED,
            Instruction.task_type.in_(_going_on(run_id)),
            ~exists().where(WorkItem.instruction_id == Instruction.id),
        )
    )
    return (follow.instance_work(job, instruction) for instruction in found)


def _outputs(session: Session, job: JobSpec, run_id: uuid.UUID) -> Iterator[NewWork]:
    for instance, position in _accepted(session, run_id, ~exists().where(WorkItem.instance_id == Instance.id)):
        yield from follow.after_instance(job, instance, position)


def _verdicts(session: Session, run_id: uuid.UUID) -> Iterator[NewWork]:
    asked = exists().where(WorkItem.instance_id == Instance.id, WorkItem.stage == Stage.CONSENSUS)
    any_work = exists().where(WorkItem.instance_id == Instance.id)
    for instance, position in _accepted(session, run_id, Instance.pending_outputs == 0, any_work, ~asked):
        yield follow.consensus_work(instance, position)


def _accepted(session: Session, run_id: uuid.UUID, *conditions: ColumnElement[bool]) -> Iterator[tuple[Instance, int]]:
    rows = session.execute(
        select(Instance, Instruction.position)
        .join(Instruction, Instruction.id == Instance.instruction_id)
        .where(
            Instance.run_id == run_id,
            Instance.state == RecordState.ACCEPTED,
            Instance.task_type.in_(_going_on(run_id)),
            *conditions,
        )
    )
    return ((instance, position) for instance, position in rows)


def _going_on(run_id: uuid.UUID) -> ColumnElement[str]:
    completed = RunTarget.completed_at.is_not(None)
    return select(RunTarget.task_type).where(RunTarget.run_id == run_id, ~completed).scalar_subquery()
