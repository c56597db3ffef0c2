"""What the workers read of the records they build on."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.method.tasks import TaskType
from shared.store.arrays import int_array, uuid_array
from shared.store.driver import driver_sql
from shared.store.gate import AcceptedInstruction
from shared.store.marks import retracted_among
from shared.store.tables.records import RecordState
from shared.store.tables.runs import Server


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


@dataclass(frozen=True, slots=True)
class StoredCandidate:
    """What a voice said on an instance, or that it was rejected."""

    id: uuid.UUID
    instance_id: uuid.UUID
    number: int
    voice: str
    output: str | None
    state: RecordState


@dataclass(frozen=True, slots=True)
class Complete:
    """An instance whose voices have all spoken."""

    id: uuid.UUID
    run_id: uuid.UUID
    task_type: TaskType


def remember_servers(session: Session, servers: Sequence[dict[str, Any]]) -> None:
    """Note what servers said of themselves; what is known already stays as it is."""
    if servers:
        rows = sorted(servers, key=lambda row: row["id"])  # one order for all workers, lest they deadlock
        session.execute(insert(Server).on_conflict_do_nothing(), rows)


def instructions(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, AcceptedInstruction]:
    """The accepted instructions with these keys."""
    rows = driver_sql(session, _INSTRUCTIONS, ids=uuid_array(ids))
    return {id: AcceptedInstruction(id, order, text) for id, order, text in rows}


_INSTRUCTIONS = """
    SELECT id, accepted_order, text FROM instructions WHERE id = ANY (%(ids)s::uuid[]) AND state = 'accepted'
"""


def questions(session: Session, instance_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Question]:
    """The instruction and input of each of these instances."""
    rows = driver_sql(session, _QUESTIONS, ids=uuid_array(instance_ids))
    return {row[0]: Question(*row) for row in rows}


_QUESTIONS = """
    SELECT n.id, i.text, coalesce(n.input, ''), coalesce(i.accepted_order, 0)
    FROM instances n JOIN instructions i ON i.id = n.instruction_id WHERE n.id = ANY (%(ids)s::uuid[])
"""


def subjects(session: Session, instance_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Subject]:
    """What there is to know of each of these instances for an example to be made of it."""
    rows = driver_sql(session, _SUBJECTS, ids=uuid_array(instance_ids))
    return {row[0]: Subject(row[0], TaskType(row[1]), *row[2:]) for row in rows}


_SUBJECTS = """
    SELECT n.id, n.task_type, i.position, i.text, coalesce(n.input, '')
    FROM instances n JOIN instructions i ON i.id = n.instruction_id WHERE n.id = ANY (%(ids)s::uuid[])
"""


def candidates(session: Session, instance_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[StoredCandidate]]:
    """The candidates of each of these instances, number 0 first."""
    found: dict[uuid.UUID, list[StoredCandidate]] = defaultdict(list)
    rows = driver_sql(session, _CANDIDATES, ids=uuid_array(instance_ids))
    for id, instance_id, number, voice, output, state in rows:
        found[instance_id].append(StoredCandidate(id, instance_id, number, voice, output, _STATES[state]))
    return found


_CANDIDATES = """
    SELECT id, instance_id, number, voice, output, state FROM candidates
    WHERE instance_id = ANY (%(ids)s::uuid[]) ORDER BY number
"""
_STATES = {state.value: state for state in RecordState}


def retracted_with(session: Session, candidates: Mapping[uuid.UUID, Sequence[StoredCandidate]]) -> set[uuid.UUID]:
    """Which of some instances, and of their candidates, are retracted."""
    return retracted_among(session, [*candidates, *(each.id for of_one in candidates.values() for each in of_one)])


def count_outputs(session: Session, instance_ids: Sequence[uuid.UUID]) -> list[Complete]:
    """Note one output more for each mention of an instance; returns those now complete.

    The rows are locked in one order, so two workers that finish the last two outputs of an instance
    neither deadlock nor both overlook that it is complete. Each holds their keys for a new candidate's
    sake, so a lock on the keys too (a full FOR UPDATE) would have the two wait for each other.
    """
    counts = Counter(instance_ids)
    rows = driver_sql(session, _COUNT, ids=uuid_array(counts), outputs=int_array(counts.values()))
    return [Complete(id, run_id, TaskType(task_type)) for id, run_id, task_type, pending in rows if pending == 0]


_COUNT = """
    WITH in_order AS MATERIALIZED (
      SELECT n.id, spoken.outputs FROM unnest(%(ids)s::uuid[], %(outputs)s::int[]) AS spoken (id, outputs)
      JOIN instances n ON n.id = spoken.id ORDER BY n.id FOR NO KEY UPDATE OF n
    )
    UPDATE instances n SET pending_outputs = n.pending_outputs - in_order.outputs
    FROM in_order WHERE n.id = in_order.id
    RETURNING n.id, n.run_id, n.task_type, n.pending_outputs
"""


def completed_types(session: Session, run_id: uuid.UUID) -> set[TaskType]:
    """The task types whose target is met, so that further examples are surplus.

    None is met until the transaction ends: an example would be written as wanted just as its type closes. The run is
    held first, as by all who change both, since the first example of a kind refers to it.
    """
    driver_sql(session, "SELECT FROM runs WHERE id = %(run_id)s FOR KEY SHARE", run_id=run_id)
    targets = driver_sql(session, _COMPLETED, run_id=run_id)
    return {TaskType(task_type) for task_type, completed in targets if completed}


_COMPLETED = """
    SELECT task_type, completed_at IS NOT NULL FROM run_targets WHERE run_id = %(run_id)s ORDER BY task_type FOR UPDATE
"""
