"""Runs that use what is retracted: they show its seed tasks no more, and say what else of it they go on with."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, all_, exists, false, select, update
from sqlalchemy.orm import Session

from shared.method.tasks import TaskType
from shared.store.arrays import any_of, uuids
from shared.store.descent import Root
from shared.store.marks import is_retracted
from shared.store.states import pause_run
from shared.store.tables.retractions import RootKind
from shared.store.tables.runs import GOING_ON, Model, Run, RunPrompt, RunSeed, RunTarget, SeedTask

EXHAUSTED = "every seed task of type {} is retracted, so there is none to show"


@dataclass(frozen=True, slots=True)
class Using:
    """A run that has not ended and uses something that is retracted, or would be.

    `exhausted` is a task type that it works on and has no seed task left for.
    """

    run_id: uuid.UUID
    run: str
    state: str
    exhausted: TaskType | None


def runs_using(session: Session, roots: Sequence[Root]) -> list[Using]:
    """The runs going on whose job has any of these among its models, prompt templates or seed tasks."""
    ids = {root.id for root in roots}
    going_on = select(Run.id, Run.name, Run.state).where(_uses(roots), Run.state.in_(GOING_ON)).order_by(Run.name)
    return [Using(*row, exhausted_type(session, row[0], without=ids)) for row in session.execute(going_on).all()]


def _uses(roots: Sequence[Root]) -> ColumnElement[bool]:
    ids = [root.id for root in roots]
    match roots[0].kind:
        case RootKind.MODEL:
            return exists().where(Model.run_id == Run.id, Model.id == any_of(ids))
        case RootKind.PROMPT:
            return exists().where(RunPrompt.run_id == Run.id, RunPrompt.template_id == any_of(ids))
        case RootKind.SEED:
            return exists().where(RunSeed.run_id == Run.id, RunSeed.seed_task_id == any_of(ids))
        case _:
            return false()


def reload_seeds(session: Session, roots: Sequence[Root]) -> None:
    """Have workers load the seed tasks anew of every run that draws on these; one that has none left is paused."""
    if roots[0].kind is not RootKind.SEED:
        return
    in_order = select(Run.id).where(_uses(roots)).order_by(Run.id)
    ids = session.scalars(in_order.with_for_update(key_share=True)).all()  # whoever writes records holds the runs' keys
    session.execute(
        update(Run)
        .where(Run.id == any_of(ids))
        .values(revision=Run.revision + 1)
        .execution_options(synchronize_session=False)
    )
    for run_id in ids:
        if task_type := exhausted_type(session, run_id):
            pause_run(session, run_id, EXHAUSTED.format(task_type))


def exhausted_type(session: Session, run_id: uuid.UUID, *, without: Collection[uuid.UUID] = ()) -> TaskType | None:
    """A task type that a run still works on, though all its seed tasks are retracted, or `without` these would be."""
    left = (
        exists()
        .where(RunSeed.run_id == run_id, RunSeed.seed_task_id == SeedTask.id)
        .where(SeedTask.task_type == RunTarget.task_type, SeedTask.id != all_(uuids(without)))
        .where(~is_retracted(SeedTask.id))
    )
    found = session.scalars(
        select(RunTarget.task_type)
        .where(RunTarget.run_id == run_id, RunTarget.completed_at.is_(None), ~left)
        .order_by(RunTarget.task_type)
    ).first()
    return None if found is None else TaskType(found)
