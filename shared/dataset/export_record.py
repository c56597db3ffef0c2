"""What an export is: all that was asked for, which examples came of it, and the files. A value, and as it is kept."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from shared.dataset.card_facts import CardFacts, facts_from_json
from shared.dataset.evaluation_sets import EvaluationFile
from shared.dataset.splits import Splits
from shared.store.exports import ExportedRun, find_export, runs_of
from shared.store.keys import key
from shared.store.tables.exports import Export, LeftOut

SCHEME = 1  # of the fingerprint, and of how files follow from a record: another one makes other exports


class ExportFormat(StrEnum):
    """The formats that examples can be written in."""

    JSONL = "jsonl"
    ALPACA = "alpaca"
    MESSAGES = "messages"
    PARQUET = "parquet"
    HF = "hf"


class Column(StrEnum):
    """What can be told of an example beside its id and texts."""

    TASK_TYPE = "task_type"
    RUN = "run"
    MODELS = "models"
    AGREEMENT = "agreement"


class ExportOptions(BaseModel):
    """All that can change an export's rows or bytes. `as_of`: the export whose rows it holds but for the retracted.

    `card`, `provenance` and `prov` say what the folder holds beside the examples: a dataset card with Croissant
    metadata, where each example came from as Parquet, and the same in the W3C's words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    formats: tuple[ExportFormat, ...] = (ExportFormat.JSONL,)
    columns: tuple[Column, ...] = ()
    alpaca_prompt: bool = False
    surplus: bool = False
    where: str | None = None
    licences: tuple[str, ...] = ()
    min_agreement: float | None = None
    split: tuple[tuple[str, Decimal], ...] = ()
    limit: int | None = None
    shuffle: int | None = None
    decontaminate: tuple[EvaluationFile, ...] = ()
    card: bool = False
    provenance: bool = False
    prov: bool = False
    as_of: uuid.UUID | None = None

    @property
    def splits(self) -> Splits | None:
        """The splits, if there are any."""
        return Splits(self.split) if self.split else None


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file of an export, by its path in the folder; `rows` are examples, `written_by` names a library's version."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None
    format: str | None = None
    split: str | None = None
    written_by: str | None = None


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """One export: what it holds is `export_rows`, what it leaves out `export_exclusions`, by its id.

    `facts` are there if it has a card.
    """

    id: uuid.UUID
    fingerprint: str
    runs: tuple[ExportedRun, ...]
    options: ExportOptions
    rows: int
    left_out: Mapping[LeftOut, int]
    created_at: datetime
    files: tuple[ExportedFile, ...] = ()
    facts: CardFacts | None = None


@dataclass(slots=True)
class Fingerprint:
    """Grows with the rows of an export and with what it leaves out; nothing else but its options decides its bytes."""

    options: ExportOptions
    runs: tuple[ExportedRun, ...]
    _rows: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _left_out: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, rows: Iterable[tuple[uuid.UUID, str | None]]) -> None:
        """Take in the next examples, with their splits."""
        for example_id, split in rows:
            self._rows.update(example_id.bytes + (split or "").encode() + b"\n")

    def leave_out(self, rows: Iterable[tuple[uuid.UUID, str]]) -> None:
        """Take in the next of the examples that stay out, with their reasons."""
        for example_id, reason in rows:
            self._left_out.update(example_id.bytes + reason.encode() + b"\n")

    def digest(self) -> str:
        """The whole as 64 hex digits."""
        whole = {
            "scheme": SCHEME,
            "judgements": [str(run.judgement_id) for run in self.runs],
            "options": self.options.model_dump(mode="json"),
            "rows": self._rows.hexdigest(),
            "left_out": self._left_out.hexdigest(),
        }
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def export_key(fingerprint: str) -> uuid.UUID:
    """The key of the export with this fingerprint."""
    return key("export", fingerprint)


def record_of(session: Session, export: Export) -> ExportRecord:
    """An export that is kept, as a value."""
    return ExportRecord(
        id=export.id,
        fingerprint=export.fingerprint,
        runs=runs_of(session, export.id),
        options=ExportOptions.model_validate(export.options),
        rows=export.rows,
        left_out={LeftOut(reason): count for reason, count in export.left_out.items()},
        created_at=export.created_at,
        files=tuple(ExportedFile(**each) for each in export.files),
        facts=facts_from_json(export.facts) if export.facts else None,
    )


def find_record_of(session: Session, id: str) -> ExportRecord:
    """The export whose id begins so. Raises `ExportNotFoundError`, `ExportAmbiguousError`."""
    return record_of(session, find_export(session, id))
