"""What a run makes: generations, and the records that came of them. Nothing is ever deleted.

Runs, models, prompt templates and judgements are no foreign keys here but in the totals, in which each record is
counted as it is written.
"""

import uuid
from enum import StrEnum
from typing import Annotated, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from shared.method.tasks import Stage, TaskType
from shared.store.base import Base, CreatedAt, Key, RunId, one_of


class RecordState(StrEnum):
    """Whether a record goes on to the next stage; a rejected one says why in `reason`."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


ACCEPTED_WITHOUT_REASON = "(state = 'accepted') = (reason IS NULL)"
ONE_ORIGIN_AT_MOST = "num_nonnulls(generation_id, origin_id) <= 1"

OriginId = Annotated[uuid.UUID | None, mapped_column(ForeignKey("origins.id"))]
"""The record of an imported file that this one was brought in from; none if an LM made it."""


def _of_origin(table: str) -> Index:
    return Index(f"ix_{table}_origin_id", "origin_id", postgresql_where="origin_id IS NOT NULL")


class Generation(Base):
    """One LM call that reached a server: all that is needed to send it again, and what came back.

    Demonstrations are shown in order, first the seed tasks, then the instructions; both arrays are
    checked against their tables by a trigger, as one row for each would be 24 rows a call.
    """

    __tablename__ = "generations"
    __table_args__ = (
        UniqueConstraint("work_item_id", "attempt"),
        CheckConstraint(one_of("stage", Stage), name="stage"),
        CheckConstraint("(response IS NULL) <> (fault IS NULL)", name="response_or_fault"),
        Index(None, "run_id", "stage"),
        Index(None, "model_id"),
        Index(None, "template_id"),
        Index(None, "server_id"),
        Index("ix_generations_seed_task_ids", "seed_task_ids", postgresql_using="gin"),
        Index("ix_generations_instruction_ids", "instruction_ids", postgresql_using="gin"),
    )

    id: Mapped[Key]
    run_id: Mapped[uuid.UUID]
    work_item_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("work_items.id"))
    attempt: Mapped[int]
    stage: Mapped[Stage] = mapped_column(Text)
    task_type: Mapped[TaskType] = mapped_column(Text)
    model_id: Mapped[uuid.UUID]
    endpoint: Mapped[str]
    server_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("servers.id"))
    template_id: Mapped[uuid.UUID]
    seed_task_ids: Mapped[list[uuid.UUID]] = mapped_column(ARRAY(Uuid))
    instruction_ids: Mapped[list[uuid.UUID]] = mapped_column(ARRAY(Uuid))
    prompt: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    seed: Mapped[int | None] = mapped_column(BigInteger)
    response: Mapped[str | None]
    finish_reason: Mapped[str | None]
    fault: Mapped[str | None]
    detail: Mapped[str | None]
    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    latency_s: Mapped[float]
    worker: Mapped[str]
    created_at: Mapped[CreatedAt]


class Instruction(Base):
    """A proposed task text, or one that was imported. `accepted_order` counts a run's accepted ones of a type, without
    gaps."""

    __tablename__ = "instructions"
    __table_args__ = (
        UniqueConstraint("run_id", "task_type", "position"),
        UniqueConstraint("run_id", "task_type", "accepted_order"),
        CheckConstraint(ACCEPTED_WITHOUT_REASON, name="reason"),
        CheckConstraint("(state = 'accepted') = (accepted_order IS NOT NULL)", name="accepted_order"),
        CheckConstraint(one_of("state", RecordState), name="state"),
        CheckConstraint("num_nonnulls(generation_id, origin_id) = 1", name="origin"),
        Index(None, "generation_id"),
        _of_origin("instructions"),
        Index(
            "ix_instructions_accepted",
            "run_id",
            "task_type",
            "position",
            postgresql_where="state = 'accepted'",
        ),
    )

    id: Mapped[Key]
    run_id: Mapped[uuid.UUID]
    task_type: Mapped[TaskType] = mapped_column(Text)
    position: Mapped[int] = mapped_column(BigInteger)
    generation_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("generations.id"))
    origin_id: Mapped[OriginId]
    text: Mapped[str]
    state: Mapped[RecordState] = mapped_column(Text)
    reason: Mapped[str | None]
    accepted_order: Mapped[int | None]
    max_similarity: Mapped[float | None]
    most_similar: Mapped[list[Any] | None]
    created_at: Mapped[CreatedAt]


class Instance(Base):
    """An instruction with its input, or why there is none; `pending_outputs` voices are still to speak."""

    __tablename__ = "instances"
    __table_args__ = (
        UniqueConstraint("instruction_id"),
        CheckConstraint(ACCEPTED_WITHOUT_REASON, name="reason"),
        CheckConstraint(one_of("state", RecordState), name="state"),
        CheckConstraint(ONE_ORIGIN_AT_MOST, name="origin"),
        Index(None, "run_id", "state"),
        Index(None, "generation_id"),
        _of_origin("instances"),
        {"postgresql_with": {"fillfactor": 60}},  # each is changed once for every voice
    )

    id: Mapped[Key]
    run_id: Mapped[uuid.UUID]
    task_type: Mapped[TaskType] = mapped_column(Text)
    instruction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instructions.id"))
    generation_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("generations.id"))
    origin_id: Mapped[OriginId]
    input: Mapped[str | None]
    state: Mapped[RecordState] = mapped_column(Text)
    reason: Mapped[str | None]
    pending_outputs: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[CreatedAt]


class Candidate(Base):
    """One voice's output for an instance; number 0 is the instance's own."""

    __tablename__ = "candidates"
    __table_args__ = (
        UniqueConstraint("instance_id", "number"),
        CheckConstraint(ACCEPTED_WITHOUT_REASON, name="reason"),
        CheckConstraint(one_of("state", RecordState), name="state"),
        CheckConstraint(ONE_ORIGIN_AT_MOST, name="origin"),
        Index(None, "generation_id"),
        _of_origin("candidates"),
        Index(None, "run_id"),
    )

    id: Mapped[Key]
    run_id: Mapped[uuid.UUID]
    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instances.id"))
    number: Mapped[int]
    voice: Mapped[str]
    generation_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("generations.id"))
    origin_id: Mapped[OriginId]
    output: Mapped[str | None]
    state: Mapped[RecordState] = mapped_column(Text)
    reason: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class Judgement(Base):
    """One decision on all of a run's instances, by a rule with its parameters: the run's own is number 0.

    `weights` and `families` are by voice; a voice without a family is not named.
    """

    __tablename__ = "judgements"
    __table_args__ = (UniqueConstraint("run_id", "number"),)

    id: Mapped[Key]
    run_id: Mapped[RunId]
    number: Mapped[int]
    rule: Mapped[str]
    threshold: Mapped[float]
    min_candidates: Mapped[int]
    weights: Mapped[dict[str, Any]]
    families: Mapped[dict[str, Any]]
    created_at: Mapped[CreatedAt]


class Verdict(Base):
    """A judgement's decision on an instance: the candidates compared, every pair's score, the choice.

    `candidate_ids` names the rows and columns of `scores`, in order.
    """

    __tablename__ = "verdicts"
    __table_args__ = (
        UniqueConstraint("judgement_id", "instance_id"),
        CheckConstraint(ACCEPTED_WITHOUT_REASON, name="reason"),
        CheckConstraint("(state = 'accepted') = (choice_id IS NOT NULL)", name="choice"),
        CheckConstraint(one_of("state", RecordState), name="state"),
        Index(None, "run_id"),
        Index(None, "instance_id"),
        Index(None, "choice_id"),
    )

    id: Mapped[Key]
    run_id: Mapped[uuid.UUID]
    judgement_id: Mapped[uuid.UUID]
    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instances.id"))
    candidate_ids: Mapped[list[uuid.UUID]] = mapped_column(ARRAY(Uuid))
    scores: Mapped[list[Any]]
    exact_match: Mapped[bool]
    margin: Mapped[float | None]
    choice_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("candidates.id"))
    state: Mapped[RecordState] = mapped_column(Text)
    reason: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class Example(Base):
    """One row of the dataset. A judgement's examples stand in the order of `position`; those past the target
    are surplus."""

    __tablename__ = "examples"
    __table_args__ = (
        UniqueConstraint("judgement_id", "task_type", "position"),
        UniqueConstraint("verdict_id"),
        CheckConstraint(one_of("task_type", TaskType), name="task_type"),
        Index(None, "run_id"),
        Index(None, "instance_id"),
        Index(None, "candidate_id"),
    )

    id: Mapped[Key]
    run_id: Mapped[uuid.UUID]
    judgement_id: Mapped[uuid.UUID]
    task_type: Mapped[TaskType] = mapped_column(Text)
    position: Mapped[int] = mapped_column(BigInteger)
    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instances.id"))
    verdict_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("verdicts.id"))
    candidate_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("candidates.id"))
    instruction: Mapped[str]
    input: Mapped[str]
    output: Mapped[str]
    surplus: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[CreatedAt]
