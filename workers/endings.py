"""How a run ends by itself: with its targets met, its budget spent, or its patience."""

import structlog
from sqlalchemy.orm import Session

from shared.dataset.rejudging import rejudge
from shared.method.planning import barren, drained
from shared.method.tasks import TaskType
from shared.queue.follow import progress_of
from shared.store import budgets, gate
from shared.store.judgements import by_terms, judgements
from shared.store.loading import RunContext
from shared.store.locks import lock
from shared.store.runs import Target, is_going_on, is_running, rejection_counts, targets_of
from shared.store.states import end_run
from shared.store.sweeping import drop_stragglers
from shared.store.tables.runs import RunState
from workers.runtime import Runtime

log = structlog.get_logger()


def end_if_due(runtime: Runtime, context: RunContext) -> None:
    """End a run that has nothing left to do. Its caller has committed what may have been the last of it.

    What others added just as it ended is dropped in a transaction of its own, which sees all that the end did not.
    """
    with runtime.sessions.begin() as session:
        targets = targets_of(session, context.run_id).values()
        if all(each.completed_at for each in targets) and not gate.awaits_late_outputs(session, context.run_id):
            _complete(session, context)
        elif spent := budgets.spent(session, context.run_id, context.job.budget):
            _stop(session, context, spent)
        elif nowhere := [each.task_type for each in targets if _leads_nowhere(context, each)]:
            _fail(session, context, nowhere[0])
    with runtime.sessions.begin() as session:
        if not is_going_on(session, context.run_id):
            drop_stragglers(session, context.run_id)


def end(session: Session, context: RunContext, state: RunState, reason: str) -> None:
    """Put a run to its end, unless it has ended, and say so."""
    if end_run(session, context.run_id, state, reason):
        log.info("run ends", state=state, reason=reason)


def _complete(session: Session, context: RunContext) -> None:
    """Late outputs are judged with the others, as a further judgement."""
    lock(session, "end", context.run_id)
    if not is_running(session, context.run_id):
        return
    end(session, context, RunState.COMPLETED, _judged_anew(session, context) or "every target is met")


def _judged_anew(session: Session, context: RunContext) -> str | None:
    """Have late outputs judged, if there are any; which judgement takes them into account, in words."""
    if not gate.has_late_work(session, context.run_id):
        return None
    terms = context.job.terms
    made = by_terms(session, context.run_id, terms)
    number = made.number if made else judgements(session, context.run_id)[-1].number + 1
    if not made:
        rejudge(session, context.run_id, number, terms)
    return f"all late outputs are there, and judgement {number} takes them into account"


def _stop(session: Session, context: RunContext, spent: str) -> None:
    """Once the calls under way have been answered and judged, unless that meets a target, which the gate is to see."""
    if is_running(session, context.run_id) and not gate.under_way(session, context.run_id):
        targets = targets_of(session, context.run_id)
        if any(_is_met(session, each) for each in targets.values()):
            return
        made = ", ".join(f"{each.examples:,} of {each.target:,} examples of {name}" for name, each in targets.items())
        end(session, context, RunState.SPENT, f"the budget is spent, {spent}; made {made}")


def _is_met(session: Session, target: Target) -> bool:
    """Whether the gate can complete a target."""
    if target.completed_at or target.examples < target.target:
        return False
    last = gate.last_wanted_position(session, target.run_id, target.task_type, target.target)
    return last is not None and not gate.open_before(session, target.run_id, target.task_type, last)


def _leads_nowhere(context: RunContext, target: Target) -> bool:
    """Whether no more is proposed for a type that lacks examples, and nothing of it is under way."""
    progress = progress_of(target)
    lacking = target.completed_at is None and target.examples < target.target
    return lacking and barren(progress, context.job.instructions.patience) and drained(progress)


def _fail(session: Session, context: RunContext, task_type: TaskType) -> None:
    """Behind the gate, where nobody puts work back at this moment."""
    lock(session, "gate", context.run_id, task_type)
    target = targets_of(session, context.run_id)[task_type]
    if is_running(session, context.run_id) and _leads_nowhere(context, target):
        end(session, context, RunState.FAILED, _why_barren(session, target))


def _why_barren(session: Session, target: Target) -> str:
    counts = rejection_counts(session, target.run_id, target.task_type)
    most = ", ".join(f"{reason} {count}" for reason, count in counts[:4]) or "none"
    barren_for = target.gated - target.gated_at_last_example
    return (
        f"{barren_for} proposals in a row of type {target.task_type} led to no example; most frequent reasons: {most}"
    )
