"""Records that were made elsewhere: the files that they were brought in from, and each as it stood there."""

import uuid
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Mapped, mapped_column

from shared.store.base import Base, CreatedAt, Key, RunId


class OriginFile(Base):
    """A file that a run's records were brought in from; its outputs are what `voice` says.

    File 0 holds the instances and their own outputs. `sha256` is of the file's bytes, `records` how many it holds;
    `source` and `licence` are what was said of it when it was brought in.
    """

    __tablename__ = "origin_files"
    __table_args__ = (UniqueConstraint("run_id", "number"), Index(None, "name"))

    id: Mapped[Key]
    run_id: Mapped[RunId]
    number: Mapped[int]
    voice: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str]
    source: Mapped[str | None]
    licence: Mapped[str | None]
    records: Mapped[int]
    created_at: Mapped[CreatedAt]


class Origin(Base):
    """One record of such a file, word for word. It is the file's `number`-th from 1, and begins in line `line`.

    It is kept as text that is JSON: what jsonb would keep has other spaces, and some of it jsonb refuses.
    """

    __tablename__ = "origins"
    __table_args__ = (UniqueConstraint("file_id", "number"),)

    id: Mapped[Key]
    file_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("origin_files.id"))
    number: Mapped[int]
    line: Mapped[int]
    record: Mapped[Any] = mapped_column(JSON)
