"""How much there is of everything, counted by triggers as it is written.

Each database session counts in rows of its own, named by its `backend`, so nobody waits for anybody; what is to be
known is their sum.
"""

import uuid

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.method.tasks import Stage, TaskType
from shared.store.base import Base, RunId


class GenerationTotals(Base):
    """LM calls of one kind: how many, tokens read and written, seconds waited. `fault` is none for those answered."""

    __tablename__ = "generation_totals"
    __table_args__ = (
        UniqueConstraint(
            *("run_id", "backend", "stage", "task_type", "model_id", "template_id", "fault"),
            name="uq_generation_totals",
            postgresql_nulls_not_distinct=True,
        ),
        Index(None, "model_id"),
        Index(None, "template_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    run_id: Mapped[RunId]
    backend: Mapped[int]
    stage: Mapped[Stage] = mapped_column(Text)
    task_type: Mapped[TaskType] = mapped_column(Text)
    model_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("models.id"))
    template_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("prompt_templates.id"))
    fault: Mapped[str | None]
    calls: Mapped[int] = mapped_column(BigInteger)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    latency_s: Mapped[float]


class RecordTotals(Base):
    """Records of one kind that came to the same: how many.

    `judgement_id` is there for verdicts and examples, `voice` for candidates and examples, model and template where
    an LM wrote the record. An example's `state` is `wanted` or `surplus`.
    """

    __tablename__ = "record_totals"
    __table_args__ = (
        UniqueConstraint(
            *("run_id", "backend", "kind", "judgement_id", "task_type", "voice", "model_id", "template_id"),
            *("state", "reason"),
            name="uq_record_totals",
            postgresql_nulls_not_distinct=True,
        ),
        Index(None, "judgement_id"),
        Index(None, "model_id"),
        Index(None, "template_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    run_id: Mapped[RunId]
    backend: Mapped[int]
    kind: Mapped[str]
    judgement_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("judgements.id"))
    task_type: Mapped[TaskType] = mapped_column(Text)
    voice: Mapped[str | None]
    model_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("models.id"))
    template_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("prompt_templates.id"))
    state: Mapped[str]
    reason: Mapped[str | None]
    records: Mapped[int] = mapped_column(BigInteger)


class SeedTotals(Base):
    """How many of a judgement's wanted examples have an instruction that was written with a seed task in the prompt."""

    __tablename__ = "seed_totals"
    __table_args__ = (Index(None, "seed_task_id"),)

    judgement_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("judgements.id"), primary_key=True)
    seed_task_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("seed_tasks.id"), primary_key=True)
    examples: Mapped[int] = mapped_column(BigInteger)
