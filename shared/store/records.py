"""What the workers read of the records they build on."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Integer, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.method.tasks import TaskType
from shared.store.arrays import any_of, uuids
from shared.store.gate import AcceptedInstruction
from shared.store.marks import retracted_among
from shared.store.tables.records import Candidate, Instance, Instruction
from shared.store.tables.runs import RunTarget, Server


@dataclass(frozen=True, slots=True)
class Question:
    """What a voice is asked. `accepted_order` is the instruction's number among its run's accepted ones."""

    instance_id: uuid.UUID
    instruction: str
    input: str
    accepted_order: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What a verdict is on; `position` is its place in the run."""

    instance_id: uuid.UUID
    task_type: TaskType
    position: int
    instruction: str
    input: str


def remember_servers(session: Session, servers: Sequence[dict[str, Any]]) -> None:
    """Note what servers said of themselves; what is known already stays as it is."""
    if servers:
        rows = sorted(servers, key=lambda row: row["id"])  # one order for all workers, lest they deadlock
        session.execute(insert(Server).on_conflict_do_nothing(), rows)


def instructions(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, AcceptedInstruction]:
    """The accepted instructions with these keys."""
    rows = session.execute(
        select(Instruction.id, Instruction.accepted_order, Instruction.text).where(Instruction.id == any_of(ids))
    )
    return {id: AcceptedInstruction(id, order, text) for id, order, text in rows if order is not None}


def questions(session: Session, instance_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Question]:
    """The instruction and input of each of these instances."""
    rows = session.execute(
        select(
            Instance.id,
            Instruction.text,
            func.coalesce(Instance.input, ""),
            func.coalesce(Instruction.accepted_order, 0),
        )
        .join(Instruction, Instruction.id == Instance.instruction_id)
        .where(Instance.id == any_of(instance_ids))
    )
    return {row[0]: Question(*row) for row in rows}


def subjects(session: Session, instance_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Subject]:
    """What there is to know of each of these instances for an example to be made of it."""
    rows = session.execute(
        select(
            Instance.id, Instance.task_type, Instruction.position, Instruction.text, func.coalesce(Instance.input, "")
        )
        .join(Instruction, Instruction.id == Instance.instruction_id)
        .where(Instance.id == any_of(instance_ids))
    )
    return {row[0]: Subject(row[0], TaskType(row[1]), *row[2:]) for row in rows}


def candidates(session: Session, instance_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[Candidate]]:
    """The candidates of each of these instances, number 0 first."""
    found: dict[uuid.UUID, list[Candidate]] = defaultdict(list)
    rows = select(Candidate).where(Candidate.instance_id == any_of(instance_ids)).order_by(Candidate.number)
    for row in session.scalars(rows):
        found[row.instance_id].append(row)
    return found


def retracted_with(session: Session, candidates: Mapping[uuid.UUID, Sequence[Candidate]]) -> set[uuid.UUID]:
    """Which of some instances, and of their candidates, are retracted."""
    return retracted_among(session, [*candidates, *(each.id for of_one in candidates.values() for each in of_one)])


def count_outputs(session: Session, instance_ids: Sequence[uuid.UUID]) -> list[Instance]:
    """Note one output more for each mention of an instance; returns those now complete.

    The rows are locked in one order, so two workers that finish the last two outputs of an instance
    neither deadlock nor both overlook that it is complete. Each holds their keys for a new candidate's
    sake, so a lock on the keys too (a full FOR UPDATE) would have the two wait for each other.
    """
    counts = Counter(instance_ids)
    spoken = (
        func.unnest(uuids(counts), bindparam(None, list(counts.values()), ARRAY(Integer)))
        .table_valued("id", "outputs", name="spoken")
        .render_derived()
    )
    in_order = (
        select(Instance.id, spoken.c.outputs)
        .join(spoken, spoken.c.id == Instance.id)
        .order_by(Instance.id)
        .with_for_update(key_share=True, of=Instance)
        .cte("in_order")
        .prefix_with("MATERIALIZED")
    )
    counted = session.scalars(
        update(Instance)
        .where(Instance.id == in_order.c.id)
        .values(pending_outputs=Instance.pending_outputs - in_order.c.outputs)
        .returning(Instance)
        .execution_options(synchronize_session=False)
    )
    return [instance for instance in counted if instance.pending_outputs == 0]


def completed_types(session: Session, run_id: uuid.UUID) -> set[TaskType]:
    """The task types whose target is met, so that further examples are surplus.

    None is met until the transaction ends: an example would be written as wanted just as its type closes.
    """
    targets = select(RunTarget).where(RunTarget.run_id == run_id).order_by(RunTarget.task_type).with_for_update()
    return {TaskType(row.task_type) for row in session.scalars(targets) if row.completed_at is not None}
