"""Work that is nobody's any more, or nobody's yet: leases that ran out, what ended runs left, what is due."""

import uuid
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session

from shared.store.arrays import any_of
from shared.store.tables.runs import GOING_ON, Run, RunState
from shared.store.tables.work import WorkItem, WorkState, in_state


@dataclass(frozen=True, slots=True)
class ExpiredLease:
    """A piece of work that `worker` held, and vanished."""

    run_id: uuid.UUID
    queue: str
    worker: str | None
    work_id: uuid.UUID


def expire_leases(session: Session) -> list[ExpiredLease]:
    """Take back leases that ran out, since their worker is gone, and count the crash.

    One whose result is being written at this moment is passed over.
    """
    ran_out = (
        select(WorkItem.id)
        .where(in_state(WorkState.LEASED), WorkItem.lease_expires_at < func.now())
        .with_for_update(skip_locked=True)
    )
    result = session.execute(
        update(WorkItem)
        .where(WorkItem.id.in_(ran_out.scalar_subquery()))
        .values(
            crashes=WorkItem.crashes + 1,
            state=WorkState.READY,
            ready_at=func.now(),
            lease_token=None,
            lease_expires_at=None,
        )
        .returning(WorkItem.run_id, WorkItem.queue, WorkItem.worker, WorkItem.id)
        .execution_options(synchronize_session=False)
    )
    return [ExpiredLease(*row) for row in result]


def drop_ready_work(session: Session, run_id: uuid.UUID, *conditions: ColumnElement[bool]) -> None:
    """End the work of a run that nobody has begun and nobody needs.

    What others claim or drop at this moment is passed over, or they might wait for each other.
    """
    _drop(session, WorkItem.run_id == run_id, *conditions)


def _drop(session: Session, *conditions: ColumnElement[bool]) -> None:
    ready = (
        select(WorkItem.id)
        .where(in_state(WorkState.READY), *conditions)
        .with_for_update(skip_locked=True)
        .cte("ready")
        .prefix_with("MATERIALIZED")
    )
    session.execute(
        update(WorkItem)
        .where(WorkItem.id == ready.c.id)
        .values(state=WorkState.DROPPED, finished_at=func.now())
        .execution_options(synchronize_session=False)
    )


def drop_stragglers(session: Session, run_id: uuid.UUID | None = None) -> None:
    """End the work that was added, or taken from who vanished, just as its run ended; that of one run, or of all.

    Nobody resumes such a run in the meantime, and one that is being resumed is passed over: work that is dropped in a
    run that goes on would be done by nobody.
    """
    ready = exists().where(WorkItem.run_id == Run.id, in_state(WorkState.READY))
    ended = select(Run.id).where(Run.state.not_in(GOING_ON), ready).order_by(Run.id)
    if run_id:
        ended = ended.where(Run.id == run_id)
    ids = session.scalars(ended.with_for_update(read=True, key_share=True, skip_locked=True)).all()
    if ids:
        _drop(session, WorkItem.run_id == any_of(ids))


@dataclass(frozen=True, slots=True)
class DueWork:
    """A queue of a run in which work is due."""

    run_id: uuid.UUID
    queue: str


def due_queues(session: Session) -> list[DueWork]:
    """The queues, by run, that hold work which could be claimed now."""
    rows = session.execute(
        select(WorkItem.run_id, WorkItem.queue)
        .join(Run, Run.id == WorkItem.run_id)
        .where(in_state(WorkState.READY), WorkItem.ready_at <= func.now(), Run.state == RunState.RUNNING)
        .distinct()
    )
    return [DueWork(*row) for row in rows]
