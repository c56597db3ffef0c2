"""A run and what it was started with: its job, models, seeds and prompt templates."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.method.tasks import Stage, TaskType
from shared.store.base import Base, CreatedAt, Key, RunId, one_of


class RunState(StrEnum):
    """Where a run stands. Only `running` runs are worked on; a `paused` one has not ended."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    SPENT = "spent"
    CANCELLED = "cancelled"
    FAILED = "failed"


GOING_ON = (RunState.RUNNING, RunState.PAUSED)


class Run(Base):
    """One execution of a job.

    It was at work for `active_s` seconds up to `active_since`, when it last began to run. `revision` counts the
    changes of its job.
    """

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint(one_of("state", RunState), name="state"),
        Index(None, "state", postgresql_where="state = 'running'"),
    )

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(Text, unique=True)
    job: Mapped[dict[str, Any]]
    fingerprint: Mapped[str]
    state: Mapped[RunState] = mapped_column(Text, server_default=RunState.RUNNING.value)
    reason: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
    active_s: Mapped[float] = mapped_column(server_default="0")
    active_since: Mapped[CreatedAt]
    revision: Mapped[int] = mapped_column(server_default="0")


class RunSpending(Base):
    """What the calls that a worker wrote have cost a run: how many there were, and tokens read and written."""

    __tablename__ = "run_spending"

    run_id: Mapped[RunId] = mapped_column(primary_key=True)
    worker: Mapped[str] = mapped_column(Text, primary_key=True)
    generations: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[int] = mapped_column(BigInteger)


class RunTarget(Base):
    """How far a run is with one task type.

    `proposed` proposals exist, `gated` of them have passed the novelty gate, in order; `accepted`
    instructions came of them, `concluded` of those have reached their end, `examples` as examples.
    """

    __tablename__ = "run_targets"
    __table_args__ = (CheckConstraint(one_of("task_type", TaskType), name="task_type"),)

    run_id: Mapped[RunId] = mapped_column(primary_key=True)
    task_type: Mapped[TaskType] = mapped_column(Text, primary_key=True)
    target: Mapped[int]
    proposed: Mapped[int] = mapped_column(server_default="0")
    gated: Mapped[int] = mapped_column(server_default="0")
    accepted: Mapped[int] = mapped_column(server_default="0")
    concluded: Mapped[int] = mapped_column(server_default="0")
    examples: Mapped[int] = mapped_column(server_default="0")
    gated_at_last_example: Mapped[int] = mapped_column(server_default="0")
    completed_at: Mapped[datetime | None]


class Model(Base):
    """A language model as a run's job names it."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("run_id", "name"),)

    id: Mapped[Key]
    run_id: Mapped[RunId]
    name: Mapped[str]
    protocol: Mapped[str]
    kind: Mapped[str]
    served_model: Mapped[str | None]
    licence: Mapped[str | None]


class Server(Base):
    """What a model's server said of itself when it answered: a new revision or version is a new row.

    Limits are in tokens, and missing where the protocol has no place for them.
    """

    __tablename__ = "servers"
    __table_args__ = (Index(None, "model_id"),)

    id: Mapped[Key]
    model_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("models.id"))
    endpoint: Mapped[str]
    served_model: Mapped[str | None]
    model_revision: Mapped[str | None]
    server_version: Mapped[str | None]
    max_input_tokens: Mapped[int | None]
    max_total_tokens: Mapped[int | None]
    seen_at: Mapped[CreatedAt]


class SeedTask(Base):
    """A human-written task; its key is its content's, so runs on the same seeds share the rows."""

    __tablename__ = "seed_tasks"
    __table_args__ = (CheckConstraint(one_of("task_type", TaskType), name="task_type"),)

    id: Mapped[Key]
    source_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    task_type: Mapped[TaskType] = mapped_column(Text)
    instruction: Mapped[str]
    instances: Mapped[list[Any]]
    is_classification: Mapped[bool]


class RunSeed(Base):
    """A seed task that a run draws demonstrations from; `position` is its place in the seed file."""

    __tablename__ = "run_seeds"
    __table_args__ = (Index(None, "seed_task_id"),)

    run_id: Mapped[RunId] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    seed_task_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("seed_tasks.id"))


class PromptTemplate(Base):
    """A prompt template, word for word; its key is that of its source's sha256."""

    __tablename__ = "prompt_templates"
    __table_args__ = (CheckConstraint(one_of("stage", Stage), name="stage"),)

    id: Mapped[Key]
    sha256: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(index=True)
    version: Mapped[int]
    stage: Mapped[Stage] = mapped_column(Text)
    task_type: Mapped[TaskType | None] = mapped_column(Text)
    source: Mapped[str]


class RunPrompt(Base):
    """A prompt template that a run uses."""

    __tablename__ = "run_prompts"
    __table_args__ = (Index(None, "template_id"),)

    run_id: Mapped[RunId] = mapped_column(primary_key=True)
    template_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("prompt_templates.id"), primary_key=True)
