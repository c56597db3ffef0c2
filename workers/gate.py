"""The one serial point of a run: what is novel, how much more to propose, whether the target is met.

What is decided is decided under a Postgres lock for one run and task type, in one short transaction,
and never during an LM call. What can be known before is worked out before the lock is taken.
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice

import structlog
from sqlalchemy.orm import Session

from shared.method.filters import Rejection, instruction_rejection
from shared.method.novelty import NoveltyIndex, Ranking
from shared.method.pace import MOST_PROPOSALS
from shared.method.parsing import parse_instructions
from shared.method.planning import barren
from shared.method.tasks import TaskType
from shared.queue import follow, names
from shared.store import budgets, gate
from shared.store.copying import insert_records
from shared.store.keys import key, ordinal, position
from shared.store.loading import RunContext
from shared.store.locks import lock
from shared.store.new_records import NewInstruction
from shared.store.runs import Target, is_running, targets_of
from shared.store.sweeping import drop_ready_work
from shared.store.tables.records import RecordState
from shared.store.tables.work import WorkItem
from shared.store.work import add_work
from workers.endings import end_if_due
from workers.measuring import GatePassage
from workers.novelty_indexes import SyncedIndex
from workers.runtime import Runtime
from workers.tracing import tell_gate

log = structlog.get_logger()


def advance(runtime: Runtime, context: RunContext) -> None:
    """Bring every task type of a run as far as it can go without another LM call."""
    runtime.gates.do(context.run_id, lambda: _advance(runtime, context))


def advance_or_leave(runtime: Runtime, context: RunContext) -> None:
    """The same, for those whose own work is written: what can't be done now is left to the reconciler."""
    try:
        advance(runtime, context)
    except Exception:
        log.exception("run not advanced, the reconciler will", run_id=str(context.run_id))


def _advance(runtime: Runtime, context: RunContext) -> None:
    """A type that fails keeps neither the others nor the run's end from coming; what it raised is raised at last."""
    with ExitStack() as despite_errors:
        despite_errors.callback(end_if_due, runtime, context)
        for task_type in reversed(context.job.targets):
            despite_errors.callback(_advance_type, runtime, context, task_type)


def _advance_type(runtime: Runtime, context: RunContext, task_type: TaskType) -> None:
    while _advance_once(runtime, context, task_type):
        pass


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """One instruction of an answer, as far as it can be judged outside the gate's lock."""

    text: str
    reason: Rejection | None
    ranking: Ranking | None = None


def _advance_once(runtime: Runtime, context: RunContext, task_type: TaskType) -> bool:
    """One transaction under the lock; returns whether there may be more to gate."""
    with runtime.indexes.turn(context.run_id, task_type):
        foreseen = _foresee(runtime, context, task_type)
        with GatePassage(task_type) as passage, runtime.sessions.begin() as session:
            lock(session, "gate", context.run_id, task_type)
            passage.begin()
            if not is_running(session, context.run_id) or _is_closed(session, context, task_type):
                return False
            # Whoever ends a proposal in the meantime comes here, too.
            began = time.time()
            gated, judged = _gate(runtime, session, context, task_type, foreseen) if foreseen else (0, [])
            passage.size = gated
            planned = _conclude_or_plan(session, context, task_type)
    if runtime.traces:
        tell_gate(runtime.traces, context, judged, began, time.time())
    queues = [names.INSTANCES] * bool(gated) + [names.INSTRUCTIONS] * bool(planned)
    runtime.hinting.hint(context.run_id, runtime.wake(context.run_id, queues))
    return gated == MOST_PROPOSALS


def _foresee(runtime: Runtime, context: RunContext, task_type: TaskType) -> dict[uuid.UUID, list[_Foreseen]]:
    """Parse, filter and compare whatever the gate is about to judge with all that is known by now."""
    with runtime.sessions.begin() as session:
        proposals = gate.proposals_in_turn(session, context.run_id, task_type, MOST_PROPOSALS)
        if not proposals:
            return {}
        index = runtime.indexes.current(session, context, task_type).index
    seen = {proposal.work_id: _seen(context, proposal) for proposal in proposals}
    compared = iter(_compared([each for of_proposal in seen.values() for each in of_proposal], index))
    return {work_id: list(islice(compared, len(of_proposal))) for work_id, of_proposal in seen.items()}


def _seen(context: RunContext, proposal: gate.Proposal) -> list[_Foreseen]:
    if proposal.response is None:
        return []
    job = context.job.instructions
    truncated = proposal.finish_reason == "length"
    parsed = parse_instructions(proposal.response, job.harvest, truncated=truncated)
    return [
        _Foreseen(each.text, instruction_rejection(each.text, job.limits, truncated=each.truncated)) for each in parsed
    ]


def _compared(seen: Sequence[_Foreseen], index: NoveltyIndex) -> list[_Foreseen]:
    """Those that no filter rejects with what they are most like; all at once, which costs a fraction."""
    rankings = iter(index.rank_all([each.text for each in seen if not each.reason]))
    return [each if each.reason else replace(each, ranking=next(rankings)) for each in seen]


def _gate(
    runtime: Runtime,
    session: Session,
    context: RunContext,
    task_type: TaskType,
    foreseen: Mapping[uuid.UUID, list[_Foreseen]],
) -> tuple[int, list[NewInstruction]]:
    """Judge the proposals whose turn it is; returns how many, and the instructions that they held."""
    # What had no answer may have got one since: it was given up, and put back.
    known = {work_id: seen for work_id, seen in foreseen.items() if seen}
    ended = gate.proposals_in_turn(session, context.run_id, task_type, MOST_PROPOSALS, known)
    if not ended:
        return 0, []
    synced = runtime.indexes.current(session, context, task_type)
    already = synced.synced
    records: list[NewInstruction] = []
    for proposal in ended:
        seen = known.get(proposal.work_id) or _compared(_seen(context, proposal), synced.index)
        records += _judged(context, task_type, proposal, seen, synced)
    insert_records(session, records)
    accepted = [record for record in records if record.state == RecordState.ACCEPTED]
    add_work(session, [follow.instance_work(context.job, record) for record in accepted])
    gate.mark_gated(session, [proposal.work_id for proposal in ended])
    gate.count(session, context.run_id, task_type, gated=len(ended), accepted=synced.synced - already)
    return len(ended), records


def _judged(
    context: RunContext, task_type: TaskType, proposal: gate.Proposal, seen: Sequence[_Foreseen], synced: SyncedIndex
) -> Iterator[NewInstruction]:
    """The instructions of one answer, each accepted or with the reason why not."""
    if proposal.generation_id is None:
        return
    for offset, each in enumerate(seen):
        record = NewInstruction(
            id=key("instruction", proposal.generation_id, offset),
            run_id=context.run_id,
            task_type=task_type,
            position=position(ordinal(proposal.position), offset),
            generation_id=proposal.generation_id,
            text=each.text,
        )
        _judge(record, each, synced)
        yield record


def _judge(record: NewInstruction, seen: _Foreseen, synced: SyncedIndex) -> None:
    reason = seen.reason
    if seen.ranking:
        novelty = synced.index.decide(synced.index.updated(seen.text, seen.ranking))
        record.max_similarity = novelty.max_similarity
        record.most_similar = [{"id": match.key, "score": match.score} for match in novelty.most_similar]
        reason = None if novelty.accepted else Rejection.NOT_NOVEL
    record.state = RecordState.REJECTED if reason else RecordState.ACCEPTED
    record.reason = reason
    if reason is None:
        record.accepted_order = synced.synced
        synced.index.add(str(record.id), record.text)
        synced.synced += 1


def _is_closed(session: Session, context: RunContext, task_type: TaskType) -> bool:
    """Whether the task type's target is met: what still comes of it is needed by nobody, and not judged any more."""
    if targets_of(session, context.run_id)[task_type].completed_at is None:
        return False
    drop_ready_work(session, context.run_id, WorkItem.task_type == task_type, ~WorkItem.late)
    return True


def _conclude_or_plan(session: Session, context: RunContext, task_type: TaskType) -> int:
    """Close the task type if its target is met; otherwise propose as much as it still needs."""
    target = targets_of(session, context.run_id)[task_type]
    if target.examples >= target.target:
        _conclude(session, context, target)
        return 0
    if budgets.spent(session, context.run_id, context.job.budget):
        return 0
    if barren(follow.progress_of(target), context.job.instructions.patience):
        return 0
    return follow.propose(session, context.job, target)


def _conclude(session: Session, context: RunContext, target: Target) -> None:
    """The examples are the first of their order, so what stands before the last one must end first."""
    task_type = target.task_type
    last = gate.last_wanted_position(session, context.run_id, task_type, target.target)
    if last is None:
        return
    of_type = (WorkItem.task_type == task_type) & ~WorkItem.late
    drop_ready_work(session, context.run_id, of_type, WorkItem.position > last)
    if gate.open_before(session, context.run_id, task_type, last):
        return
    gate.complete_target(session, context.run_id, task_type, last)
    drop_ready_work(session, context.run_id, of_type)
