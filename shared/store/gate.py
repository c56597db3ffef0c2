"""What the novelty gate reads and writes. Its caller holds the gate's lock."""

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from shared.method.tasks import Stage, TaskType
from shared.store.arrays import int_array, uuid_array
from shared.store.driver import driver_sql
from shared.store.keys import judgement_key
from shared.store.tables.records import Example, Instruction, RecordState
from shared.store.tables.runs import Run, RunTarget
from shared.store.tables.work import TRIED, WorkItem, WorkState, in_state

OPEN = (WorkState.READY, WorkState.LEASED)
PAGE = 10_000  # rows


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal that has come to its end; one that failed has neither generation nor response."""

    work_id: uuid.UUID
    position: int
    generation_id: uuid.UUID | None
    response: str | None
    finish_reason: str | None


def proposals_in_turn(
    session: Session, run_id: uuid.UUID, task_type: TaskType, most: int, known: Collection[uuid.UUID] = ()
) -> list[Proposal]:
    """The ended proposals that the gate has not seen, in order, up to the first still on its first try.

    Waiting for first tries makes the order, and so the outcome, the same however many workers ran;
    a proposal that is being retried is passed over, and seen when it comes. Of those `known` the response is left out.
    """
    rows = driver_sql(session, _IN_TURN, run_id=run_id, task_type=task_type.value, most=most, known=uuid_array(known))
    return [Proposal(*row) for row in rows]


_UNGATED = "run_id = %(run_id)s AND task_type = %(task_type)s AND stage = 'instruction' AND NOT gated"
_IN_TURN = f"""
    SELECT w.id, w.position, g.id, CASE WHEN w.id <> ALL (%(known)s::uuid[]) THEN g.response END, g.finish_reason
    FROM (
      SELECT id, position FROM work_items WHERE {_UNGATED} AND state NOT IN ('ready', 'leased') AND position < coalesce(
        (SELECT min(position) FROM work_items WHERE {_UNGATED} AND state IN ('ready', 'leased') AND {TRIED} = 0),
        {2**62}
      )
      ORDER BY position LIMIT %(most)s
    ) w LEFT JOIN generations g ON g.work_item_id = w.id AND g.response IS NOT NULL
    ORDER BY w.position
"""  # noqa: S608 - our words


def mark_gated(session: Session, work_ids: Sequence[uuid.UUID]) -> None:
    """Remember that the gate has seen these proposals."""
    driver_sql(session, _MARK_GATED, ids=uuid_array(work_ids))


_MARK_GATED = "UPDATE work_items SET gated = true WHERE id = ANY (%(ids)s::uuid[])"


@dataclass(frozen=True, slots=True)
class AcceptedInstruction:
    """An accepted instruction's key and text; `order` counts from 0 within its run and type."""

    id: uuid.UUID
    order: int
    text: str


def accepted_since(
    session: Session, run_id: uuid.UUID, task_type: TaskType, order: int
) -> Iterator[AcceptedInstruction]:
    """The accepted instructions from number `order` on, in the order of their acceptance.

    They are read page by page: as a rule there are few, and after a restart a million.
    """
    while True:
        rows = driver_sql(session, _ACCEPTED_SINCE, run_id=run_id, task_type=task_type.value, order=order, page=PAGE)
        yield from (AcceptedInstruction(*row) for row in rows)
        if len(rows) < PAGE:
            return
        order = rows[-1][1] + 1


_ACCEPTED_SINCE = """
    SELECT id, accepted_order, text FROM instructions
    WHERE run_id = %(run_id)s AND task_type = %(task_type)s AND accepted_order >= %(order)s
    ORDER BY accepted_order LIMIT %(page)s
"""


def accepted_elsewhere(
    session: Session, run_id: uuid.UUID, task_type: TaskType, others: Collection[uuid.UUID] | None
) -> Iterator[tuple[uuid.UUID, str]]:
    """Keys and texts of what other runs had accepted when this one began: `others`, or with `None` all.

    What they accept afterwards is left out, so that a run can be repeated.
    """
    began = select(Run.created_at).where(Run.id == run_id).scalar_subquery()
    rows = (
        select(Instruction.id, Instruction.text)
        .join(Run, Run.id == Instruction.run_id)
        .where(
            Instruction.run_id != run_id,
            Instruction.task_type == task_type,
            Instruction.state == RecordState.ACCEPTED,
            Instruction.created_at < began,
        )
        .order_by(Run.created_at, Run.id, Instruction.accepted_order)
        .execution_options(yield_per=PAGE)
    )
    if others is not None:
        rows = rows.where(Instruction.run_id.in_(others))
    with session.execute(rows) as result:
        yield from ((id, text) for id, text in result)


def shown_at(
    session: Session, run_id: uuid.UUID, task_type: TaskType, orders: Collection[int]
) -> dict[int, AcceptedInstruction]:
    """The accepted instructions of these numbers, but for those that are retracted."""
    if not orders:
        return {}
    rows = driver_sql(
        session,
        _SHOWN_AT,
        run_id=run_id,
        task_type=task_type.value,
        orders=int_array(orders),
    )
    return {order: AcceptedInstruction(id, order, text) for id, order, text in rows}


_SHOWN_AT = """
    SELECT id, accepted_order, text FROM instructions i
    WHERE run_id = %(run_id)s AND task_type = %(task_type)s AND accepted_order = ANY (%(orders)s::int[])
      AND NOT EXISTS (
        SELECT FROM retracted_records m JOIN retractions t ON t.id = m.retraction_id
        WHERE m.record_id = i.id AND m.kind = 'instruction' AND t.undone_at IS NULL
      )
"""


def accepted_before(
    session: Session, run_id: uuid.UUID, task_type: TaskType, positions: Collection[int]
) -> dict[int, int]:
    """How many instructions had been accepted when the gate came to each of these positions."""
    rows = driver_sql(
        session, _ACCEPTED_BEFORE, run_id=run_id, task_type=task_type.value, positions=int_array(positions)
    )
    return {position: 0 if order is None else order + 1 for position, order in rows}


_ACCEPTED_BEFORE = """
    SELECT asked.position, (
      SELECT accepted_order FROM instructions
      WHERE run_id = %(run_id)s AND task_type = %(task_type)s AND position < asked.position AND state = 'accepted'
      ORDER BY position DESC LIMIT 1
    )
    FROM unnest(%(positions)s::bigint[]) AS asked (position)
"""


def count(session: Session, run_id: uuid.UUID, task_type: TaskType, **added: int) -> None:
    """Add to a run's counters for a task type, e.g. `count(..., concluded=3, examples=2)`."""
    changes = [f"{name} = {name} + %({name})s" for name in added]
    if added.get("examples"):
        changes.append("gated_at_last_example = gated")
    statement = f"UPDATE run_targets SET {', '.join(changes)} WHERE run_id = %(run_id)s AND task_type = %(task_type)s"  # noqa: S608 - our words
    driver_sql(session, statement, run_id=run_id, task_type=task_type.value, **added)


def count_each(session: Session, run_id: uuid.UUID, **added: Sequence[TaskType]) -> None:
    """Add one to a counter for each task type in its list, e.g. `count_each(..., concluded=types)`."""
    for task_type in TaskType:
        amounts = {name: list(types).count(task_type) for name, types in added.items()}
        if any(amounts.values()):
            count(session, run_id, task_type, **amounts)


def last_wanted_position(
    session: Session, run_id: uuid.UUID, task_type: TaskType, target: int, *, judgement: int = 0
) -> int | None:
    """Where the `target`-th example of a judgement stands; `None` while there are fewer."""
    return session.scalar(
        select(Example.position)
        .where(Example.judgement_id == judgement_key(run_id, judgement), Example.task_type == task_type)
        .order_by(Example.position)
        .offset(target - 1)
        .limit(1)
    )


def mark_surplus(
    session: Session, run_id: uuid.UUID, task_type: TaskType, position: int, *, judgement: int = 0
) -> None:
    """A judgement's examples of a type end at `position`: later ones are surplus."""
    session.execute(
        update(Example)
        .where(
            Example.judgement_id == judgement_key(run_id, judgement),
            Example.task_type == task_type,
            Example.position > position,
        )
        .values(surplus=True)
        .execution_options(synchronize_session=False)
    )


def open_before(session: Session, run_id: uuid.UUID, task_type: TaskType, position: int) -> bool:
    """Whether an accepted instruction before `position` may still become an example."""
    return bool(
        session.scalar(
            select(
                exists().where(
                    WorkItem.run_id == run_id,
                    WorkItem.task_type == task_type,
                    WorkItem.stage != Stage.INSTRUCTION,
                    in_state(*OPEN),
                    ~WorkItem.late,
                    WorkItem.position < position,
                )
            )
        )
    )


def under_way(session: Session, run_id: uuid.UUID) -> bool:
    """Whether anything of a run is being worked on, or could be without a further LM call."""
    at_work = in_state(WorkState.LEASED) | (in_state(WorkState.READY) & (WorkItem.stage == Stage.CONSENSUS))
    return bool(session.scalar(select(exists().where(WorkItem.run_id == run_id, at_work))))


def awaits_late_outputs(session: Session, run_id: uuid.UUID) -> bool:
    """Whether late outputs of a run are still to come."""
    awaited = (WorkItem.run_id == run_id, WorkItem.late, in_state(*OPEN))
    return bool(session.scalar(select(exists().where(*awaited))))


def has_late_work(session: Session, run_id: uuid.UUID) -> bool:
    """Whether late outputs were ever asked for in a run."""
    return bool(session.scalar(select(exists().where(WorkItem.run_id == run_id, WorkItem.late))))


def is_open(session: Session, run_id: uuid.UUID, stage: Stage, model: str) -> bool:
    """Whether work of a stage waits for a model."""
    waits = (WorkItem.run_id == run_id, WorkItem.stage == stage, WorkItem.model == model, in_state(*OPEN))
    return bool(session.scalar(select(exists().where(*waits))))


def complete_target(session: Session, run_id: uuid.UUID, task_type: TaskType, position: int) -> None:
    """Close a task type: its examples end at `position`, later ones are surplus."""
    session.execute(
        update(RunTarget)
        .where(RunTarget.run_id == run_id, RunTarget.task_type == task_type)
        .values(completed_at=func.now())
        .execution_options(synchronize_session=False)
    )  # first, since it waits for whoever is writing examples (records.completed_types)
    mark_surplus(session, run_id, task_type, position)
