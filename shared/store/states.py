"""A run's states: paused, resumed, ended."""

import uuid

from sqlalchemy import ColumnElement, Float, case, cast, func, select, update
from sqlalchemy.orm import Session

from shared.job import JobSpec
from shared.method.tasks import TaskType
from shared.store.gate import last_wanted_position, mark_surplus
from shared.store.locks import lock
from shared.store.runs import targets_of
from shared.store.sweeping import drop_ready_work
from shared.store.tables.runs import GOING_ON, Run, RunState, RunTarget
from shared.store.tables.work import WorkItem, WorkState, in_state
from shared.store.transitions import Transition, announce

RESUMABLE = (RunState.PAUSED, RunState.SPENT, RunState.FAILED)


def _at_work() -> ColumnElement[float]:
    """How many seconds a run has been at work, in every stretch of it."""
    stretch = cast(func.extract("epoch", func.now() - Run.active_since), Float)
    return Run.active_s + case((Run.state == RunState.RUNNING, stretch), else_=0.0)


def pause_run(session: Session, run_id: uuid.UUID, reason: str) -> bool:
    """Have a running run wait; `False` if it is not running. Calls under way are still answered and kept."""
    paused = session.execute(
        update(Run)
        .where(Run.id == run_id, Run.state == RunState.RUNNING)
        .values(state=RunState.PAUSED, reason=reason, active_s=_at_work())
        .returning(Run.id)
    )
    return paused.first() is not None


def end_run(session: Session, run_id: uuid.UUID, state: RunState, reason: str) -> bool:
    """Put a run to its end, drop the work that nobody has begun; `False` if it had ended before.

    What a type has made beyond its target is surplus, however the run ends.
    """
    ended = session.execute(
        update(Run)
        .where(Run.id == run_id, Run.state.in_(GOING_ON))
        .values(state=state, reason=reason, finished_at=func.now(), active_s=_at_work())
        .returning(func.now())
    ).scalar()
    if ended is None:
        return False
    announce(session, Transition(run_id, state, reason, ended))
    drop_ready_work(session, run_id)
    mark_beyond_targets(session, run_id)
    return True


def mark_beyond_targets(session: Session, run_id: uuid.UUID) -> None:
    """Mark what an ended run's types have made beyond their targets as surplus, verdicts of this moment included."""
    of_run = select(RunTarget.task_type).where(RunTarget.run_id == run_id)
    session.execute(of_run.order_by(RunTarget.task_type).with_for_update())  # whoever writes examples holds these
    for task_type, target in targets_of(session, run_id).items():
        last = last_wanted_position(session, run_id, task_type, target.target)
        if last is not None:
            mark_surplus(session, run_id, task_type, last)


def hold_run(session: Session, run_id: uuid.UUID) -> RunState:
    """Have the run's gates, and whoever would change or end it, wait until the transaction ends; returns its state."""
    for task_type in sorted(TaskType):
        lock(session, "gate", run_id, task_type)
    return RunState(session.scalars(select(Run.state).where(Run.id == run_id).with_for_update()).one())


def change_job(session: Session, run_id: uuid.UUID, job: JobSpec) -> None:
    """Give a run another job; workers take it up when they begin with the run again."""
    values = {"job": job.model_dump(mode="json"), "revision": Run.revision + 1}
    session.execute(update(Run).where(Run.id == run_id).values(values))


def resume_run(session: Session, run_id: uuid.UUID) -> bool:
    """Have a run go on that is paused, has spent its budget, or has failed; `False` if it is none of these.

    The work that its end dropped is ready again, and the patience with proposals that lead nowhere begins anew.
    What was answered after its end has not led to work: `missing_work` is to be added.
    """
    resumed = session.execute(
        update(Run)
        .where(Run.id == run_id, Run.state.in_(RESUMABLE))
        .values(state=RunState.RUNNING, reason=None, finished_at=None, active_since=func.now())
        .returning(func.now())
    ).scalar()
    if resumed is None:
        return False
    announce(session, Transition(run_id, RunState.RUNNING, None, resumed))
    going_on = select(RunTarget.task_type).where(RunTarget.run_id == run_id, RunTarget.completed_at.is_(None))
    session.execute(
        update(WorkItem)
        .where(
            WorkItem.run_id == run_id,
            in_state(WorkState.DROPPED),
            ~WorkItem.gated,
            WorkItem.late | WorkItem.task_type.in_(going_on.scalar_subquery()),
        )
        .values(state=WorkState.READY, ready_at=func.now(), finished_at=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(RunTarget)
        .where(RunTarget.run_id == run_id, RunTarget.completed_at.is_(None))
        .values(gated_at_last_example=RunTarget.gated)
        .execution_options(synchronize_session=False)
    )
    return True
