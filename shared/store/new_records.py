"""Records that are about to be written. The mapper's objects take longer to make than COPY takes to write them."""

import uuid
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from shared.method.tasks import TaskType
from shared.store.base import Base
from shared.store.tables import records as tables
from shared.store.tables.origins import Origin
from shared.store.tables.records import RecordState


@dataclass(slots=True, kw_only=True, eq=False)
class NewOrigin:
    """A row of `origins`; the record is JSON."""

    TABLE: ClassVar[type[Base]] = Origin

    id: uuid.UUID
    file_id: uuid.UUID
    number: int
    line: int
    record: str


@dataclass(slots=True, kw_only=True, eq=False)
class NewInstruction:
    """A row of `instructions`."""

    TABLE: ClassVar[type[Base]] = tables.Instruction

    id: uuid.UUID
    run_id: uuid.UUID
    task_type: TaskType
    position: int
    generation_id: uuid.UUID | None
    origin_id: uuid.UUID | None = None
    text: str
    state: RecordState = RecordState.ACCEPTED
    reason: str | None = None
    accepted_order: int | None = None
    max_similarity: float | None = None
    most_similar: list[Any] | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class NewInstance:
    """A row of `instances`."""

    TABLE: ClassVar[type[Base]] = tables.Instance

    id: uuid.UUID
    run_id: uuid.UUID
    task_type: TaskType
    instruction_id: uuid.UUID
    generation_id: uuid.UUID | None
    origin_id: uuid.UUID | None = None
    input: str | None = None
    state: RecordState = RecordState.ACCEPTED
    reason: str | None = None
    pending_outputs: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class NewCandidate:
    """A row of `candidates`."""

    TABLE: ClassVar[type[Base]] = tables.Candidate

    id: uuid.UUID
    run_id: uuid.UUID
    instance_id: uuid.UUID
    number: int
    voice: str
    generation_id: uuid.UUID | None
    origin_id: uuid.UUID | None = None
    output: str | None = None
    state: RecordState = RecordState.ACCEPTED
    reason: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class NewVerdict:
    """A row of `verdicts`."""

    TABLE: ClassVar[type[Base]] = tables.Verdict

    id: uuid.UUID
    run_id: uuid.UUID
    judgement_id: uuid.UUID
    instance_id: uuid.UUID
    candidate_ids: list[uuid.UUID]
    scores: list[list[float]]
    exact_match: bool
    margin: float | None
    choice_id: uuid.UUID | None
    state: RecordState
    reason: str | None


@dataclass(slots=True, kw_only=True, eq=False)
class NewExample:
    """A row of `examples`."""

    TABLE: ClassVar[type[Base]] = tables.Example

    id: uuid.UUID
    run_id: uuid.UUID
    judgement_id: uuid.UUID
    task_type: TaskType
    position: int
    instance_id: uuid.UUID
    verdict_id: uuid.UUID
    candidate_id: uuid.UUID
    instruction: str
    input: str
    output: str
    surplus: bool


NewRecord: TypeAlias = NewOrigin | NewInstruction | NewInstance | NewCandidate | NewVerdict | NewExample
