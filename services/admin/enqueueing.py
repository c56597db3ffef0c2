"""Starting a run: in one transaction, then a hint to the workers."""

from collections.abc import Callable

from celery import Celery
from sqlalchemy.orm import Session

from services.admin.planning import Plan
from services.admin.retracted_parts import refuse_retracted
from shared.queue import follow, names
from shared.queue.hints import publish
from shared.store.loading import runs_in_scope
from shared.store.runs import RunNameTakenError, begin_run, targets_of
from shared.store.tables.runs import Run


def start_run(
    session: Session,
    broker: Celery,
    plan: Plan,
    name: str | None = None,
    *,
    begins: Callable[[Run], object] = lambda _: None,
) -> Run:
    """Write a run with its first work and commit it, then tell the workers; `begins` is told before anybody sees it.

    Raises `RunNameTakenError`, `RetractedPartsError`, or `RunNotFoundError` for a run that the job's `novelty_scope`
    names.
    """
    runs_in_scope(session, plan.job)
    refuse_retracted(session, plan)
    run = _begin(session, plan, name)
    for target in targets_of(session, run.id).values():
        follow.propose(session, plan.job, target)
    begins(run)
    session.commit()
    publish(broker, run.id, [names.INSTRUCTIONS, names.CONTROL])
    return run


def _begin(session: Session, plan: Plan, name: str | None) -> Run:
    while True:
        try:
            return begin_run(session, plan.new_run(session, name))
        except RunNameTakenError:
            if name:
                raise  # else another command has just taken the number that was free
