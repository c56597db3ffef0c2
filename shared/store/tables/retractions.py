"""What was retracted: by whom, why, and every record that came of it. Nothing is deleted, not even by undoing."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from shared.store.base import Base, CreatedAt, one_of


class RootKind(StrEnum):
    """What examples can be traced to, and what can be retracted; each is a kind of node in the lineage."""

    SEED = "seed_task"
    MODEL = "model"
    PROMPT = "prompt_template"
    INSTRUCTION = "instruction"
    EXAMPLE = "example"
    ORIGIN = "origin"
    ORIGIN_FILE = "origin_file"


class Retraction(Base):
    """One retraction. It is live until it is undone.

    Its marks were made in its own transaction; what comes later is marked as it is written. Transactions that were
    under way may not have seen a mark: all those before `barrier`, which is another after more marks were made.
    `marked_at` is when their records had marks, too.
    """

    __tablename__ = "retractions"
    __table_args__ = (
        CheckConstraint(one_of("kind", RootKind), name="kind"),
        CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name="undone"),
        Index("ix_retractions_live", "id", postgresql_where="undone_at IS NULL"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[RootKind] = mapped_column(Text)
    what: Mapped[str]
    reason: Mapped[str]
    retracted_by: Mapped[str]
    created_at: Mapped[CreatedAt]
    barrier: Mapped[int | None] = mapped_column(BigInteger)
    marked_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str | None]
    undone_reason: Mapped[str | None]


class RetractionRoot(Base):
    """What a retraction names. A model is a record of its own in each run."""

    __tablename__ = "retraction_roots"
    __table_args__ = (Index(None, "record_id"),)

    retraction_id: Mapped[int] = mapped_column(ForeignKey("retractions.id"), primary_key=True)
    record_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[RootKind] = mapped_column(Text)


class RetractedRecord(Base):
    """A record that a retraction marks, `distance` edges below what it names; that itself is at distance 0.

    It refers to its retraction without a foreign key, which would make marking a million records half as slow
    again: retractions stay for ever.
    """

    __tablename__ = "retracted_records"
    __table_args__ = (Index(None, "retraction_id", "kind"),)

    record_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    retraction_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    distance: Mapped[int]
