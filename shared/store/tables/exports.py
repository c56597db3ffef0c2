"""What left the system: which rows an export holds, in which order, what was left out of it, and its files."""

import uuid
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.store.base import Base, CreatedAt, Key, one_of


class LeftOut(StrEnum):
    """Why an example of the runs and judgements asked for is not in an export; the first that holds is kept."""

    RETRACTED = "retracted"
    WHERE = "where"
    LICENCE = "licence"
    AGREEMENT = "agreement"
    CONTAMINATED = "contaminated"
    LIMIT = "limit"


class Export(Base):
    """A dataset that was written. Its key derives from `fingerprint`: the options, the rows and what was left out.

    `facts` are what its card tells; it may have none.
    """

    __tablename__ = "exports"

    id: Mapped[Key]
    fingerprint: Mapped[str]
    options: Mapped[dict[str, Any]]
    rows: Mapped[int] = mapped_column(BigInteger)
    left_out: Mapped[dict[str, Any]]
    files: Mapped[list[Any]]
    facts: Mapped[dict[str, Any] | None]
    created_at: Mapped[CreatedAt]


class ExportJudgement(Base):
    """A judgement whose examples were asked for, in the order of the command."""

    __tablename__ = "export_judgements"
    __table_args__ = (UniqueConstraint("judgement_id", "export_id"),)

    export_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("exports.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    judgement_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("judgements.id"))


class ExportRow(Base):
    """An example in an export; `place` counts from 0 over all splits."""

    __tablename__ = "export_rows"
    __table_args__ = (UniqueConstraint("example_id", "export_id"),)

    export_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("exports.id"), primary_key=True)
    place: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    example_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("examples.id"))
    split: Mapped[str | None]


class ExportExclusion(Base):
    """An example that an export leaves out, and what is known of why."""

    __tablename__ = "export_exclusions"
    __table_args__ = (CheckConstraint(one_of("reason", LeftOut), name="reason"), Index(None, "example_id"))

    export_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("exports.id"), primary_key=True)
    example_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("examples.id"), primary_key=True)
    reason: Mapped[str]
    detail: Mapped[dict[str, Any] | None]
