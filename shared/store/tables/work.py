"""Work to do: one LM call or one verdict each, claimed by a lease."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ColumnElement, ForeignKey, Index, Integer, Text, bindparam, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from shared.method.tasks import Stage, TaskType
from shared.store.base import Base, Key, RunId, one_of


class WorkState(StrEnum):
    """Where a piece of work stands."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"


TRIED = "failures + timeouts + overloads + crashes + earlier_tries"  # how often it was tried in vain
SUSPECT = "crashes >= 2"  # it may be what makes its workers vanish


class WorkItem(Base):
    """One LM call or one verdict to make.

    A piece of work is for an instruction or an instance; a proposal has only its `position`, and is
    `gated` once its answer has passed the novelty gate. What went wrong is counted apart: the call's
    failures and time-outs, the server's lack of room, and the crashes of workers. A result must present
    `lease_token`. Work put back after it was given up counts anew, on top of its `earlier_tries`.
    `late` work is an output for an instance that has its verdict, and is done though its task type is complete.
    """

    __tablename__ = "work_items"
    __table_args__ = (
        CheckConstraint(one_of("stage", Stage), name="stage"),
        CheckConstraint(one_of("task_type", TaskType), name="task_type"),
        CheckConstraint(one_of("state", WorkState), name="state"),
        Index("ix_work_items_ready", "run_id", "queue", "position", postgresql_where="state = 'ready'"),
        Index("ix_work_items_late", "run_id", "state", postgresql_where="late"),
        Index("ix_work_items_dead", "run_id", postgresql_where="state = 'failed'"),
        Index(
            "ix_work_items_suspect", "run_id", "queue", "position", postgresql_where=f"state = 'ready' AND {SUSPECT}"
        ),
        Index("ix_work_items_leased", "run_id", "model", postgresql_where="state = 'leased'"),
        Index("ix_work_items_lease_expiry", "lease_expires_at", postgresql_where="state = 'leased'"),
        Index("ix_work_items_order", "run_id", "task_type", "stage", "position"),
        Index(
            "ix_work_items_ungated",
            *("run_id", "task_type", "position"),
            postgresql_where="stage = 'instruction' AND NOT gated",
        ),
        Index(None, "instruction_id", postgresql_where="instruction_id IS NOT NULL"),
        Index(None, "instance_id", postgresql_where="instance_id IS NOT NULL"),
    )

    id: Mapped[Key]
    run_id: Mapped[RunId]
    stage: Mapped[Stage] = mapped_column(Text)
    task_type: Mapped[TaskType] = mapped_column(Text)
    queue: Mapped[str]
    model: Mapped[str | None]
    voice: Mapped[str | None]
    position: Mapped[int] = mapped_column(BigInteger)
    instruction_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("instructions.id", use_alter=True))
    instance_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("instances.id", use_alter=True))
    state: Mapped[WorkState] = mapped_column(Text, server_default=WorkState.READY.value)
    ready_at: Mapped[datetime] = mapped_column(server_default=func.now())
    failures: Mapped[int] = mapped_column(server_default="0")
    timeouts: Mapped[int] = mapped_column(server_default="0")
    overloads: Mapped[int] = mapped_column(server_default="0")
    crashes: Mapped[int] = mapped_column(server_default="0")
    earlier_tries: Mapped[int] = mapped_column(server_default="0")
    lease_token: Mapped[uuid.UUID | None]
    lease_expires_at: Mapped[datetime | None]
    worker: Mapped[str | None]
    fault: Mapped[str | None]
    detail: Mapped[str | None]
    finished_at: Mapped[datetime | None]
    gated: Mapped[bool] = mapped_column(server_default="false")
    late: Mapped[bool] = mapped_column(server_default="false")


def in_state(*states: WorkState) -> ColumnElement[bool]:
    """The condition that work is in one of these, as text: what is planned for any state can't use one's index."""
    return WorkItem.state.in_(bindparam(None, states, expanding=True, literal_execute=True))


class ModelShare(Base):
    """How many calls of a model a worker may have under way in a run, and how many it has use for.

    All of a `pool` share one window; `size` is the run's own limit, `weight` its part. `wanted` counts by stage, in
    the stages' order. A row that is not renewed expires: its worker is gone.
    """

    __tablename__ = "model_shares"

    run_id: Mapped[RunId] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(Text, primary_key=True)
    worker: Mapped[str] = mapped_column(Text, primary_key=True)
    pool: Mapped[uuid.UUID]
    size: Mapped[int]
    weight: Mapped[float]
    wanted: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    slots: Mapped[int]
    expires_at: Mapped[datetime]
