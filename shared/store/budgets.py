"""What a run has cost, and what its budget leaves.

The calls are counted in the transaction that writes them, as the last thing in it, in a row for each worker, so that no
worker waits for another.
"""

import uuid
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.job import Budget
from shared.store.driver import driver_sql
from shared.store.locks import lock
from shared.store.tables.runs import Run, RunSpending, RunState
from shared.store.tables.work import WorkItem, WorkState, in_state


@dataclass(frozen=True, slots=True)
class Spending:
    """What a run has cost so far: calls that a server took, tokens read and written, hours at work."""

    generations: int
    tokens: int
    hours: float


def spend(session: Session, run_id: uuid.UUID, worker: str, generations: int, tokens: int) -> None:
    """Count what a worker writes."""
    driver_sql(session, _SPEND, run_id=run_id, worker=worker, generations=generations, tokens=tokens)


_SPEND = """
    INSERT INTO run_spending AS s (run_id, worker, generations, tokens)
    VALUES (%(run_id)s, %(worker)s, %(generations)s, %(tokens)s)
    ON CONFLICT (run_id, worker) DO UPDATE SET
      generations = s.generations + excluded.generations, tokens = s.tokens + excluded.tokens
"""


def spending(session: Session, run_id: uuid.UUID) -> Spending:
    """What a run has cost so far."""
    since = func.extract("epoch", func.now() - Run.active_since)
    state, active_s, since_s = session.execute(select(Run.state, Run.active_s, since).where(Run.id == run_id)).one()
    calls, read_and_written = func.sum(RunSpending.generations), func.sum(RunSpending.tokens)
    sums = select(func.coalesce(calls, 0), func.coalesce(read_and_written, 0)).where(RunSpending.run_id == run_id)
    generations, tokens = session.execute(sums).one()
    seconds = active_s + (float(since_s) if state == RunState.RUNNING else 0)
    return Spending(int(generations), int(tokens), seconds / 3600)


def spent(session: Session, run_id: uuid.UUID, budget: Budget) -> str | None:
    """Which part of a run's budget is spent, in words; `None` while there is some left of each."""
    if not budget.limited:
        return None
    so_far = spending(session, run_id)
    if budget.generations is not None and so_far.generations >= budget.generations:
        return f"{so_far.generations:,} of {budget.generations:,} generations"
    if budget.tokens is not None and so_far.tokens >= budget.tokens:
        return f"{so_far.tokens:,} of {budget.tokens:,} tokens"
    if budget.hours is not None and so_far.hours >= budget.hours:
        return f"{so_far.hours:.2f} of {budget.hours:g} hours"
    return None


def affordable(session: Session, run_id: uuid.UUID, budget: Budget, calls: int) -> int:
    """How many of so many further calls the budget leaves room for, counting each call under way as one.

    Whoever asks holds a lock until its claims are committed, so that calls never exceed their number together.
    What tokens calls will take is known only afterwards: those under way may exceed theirs.
    """
    if not budget.limited:
        return calls
    if budget.generations is None:
        return 0 if spent(session, run_id, budget) else calls
    lock(session, "budget", run_id)
    if spent(session, run_id, budget):
        return 0
    under_way = session.scalar(
        select(func.count()).where(WorkItem.run_id == run_id, WorkItem.model.is_not(None), in_state(WorkState.LEASED))
    )
    left = budget.generations - spending(session, run_id).generations - (under_way or 0)
    return max(0, min(calls, left))
