"""Writing a run's examples to a file that trainers read."""

import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Select, case, exists, literal, or_, select
from sqlalchemy.orm import Session

from shared.errors import UserError, WorldError
from shared.method.tasks import TaskType
from shared.store.judgements import count_wanted
from shared.store.keys import judgement_key
from shared.store.marks import is_retracted
from shared.store.retractions import renew_marks
from shared.store.tables.records import Example

ROWS_AT_ONCE = 1000


class ExportFormat(StrEnum):
    """The formats that examples can be written in."""

    JSONL = "jsonl"
    ALPACA = "alpaca"


class NothingToExportError(UserError):
    """Run '{run}' has no examples yet; `ensemble-instruct status {run}` shows how far it is."""


class JudgementEmptyError(UserError):
    """Judgement {number} of run '{run}' kept no example, so there is nothing to export."""


class AllRetractedError(UserError):
    """All {count} examples of judgement {number} of run '{run}' are retracted, so there is nothing to export;
    `ensemble-instruct retractions` says why. If only outputs were, decide anew without them: ensemble-instruct rejudge
    {run}"""


class ExportExistsError(UserError):
    """{path} exists already; name another folder with --out, or remove it."""


class ExportFailedError(WorldError):
    """{path} can't be written: {reason}"""


@dataclass(frozen=True, slots=True)
class Row:
    """One example, as it leaves the system; `input` is empty for `output_only`."""

    id: uuid.UUID
    task_type: TaskType
    instruction: str
    input: str
    output: str


def examples_of(session: Session, run_id: uuid.UUID, judgement: int = 0, *, surplus: bool = False) -> Iterator[Row]:
    """A judgement's examples in their order, with or without surplus, read in pages: memory stays flat.

    Those that are retracted are left out.
    """
    input_first = case((Example.task_type == TaskType.INPUT_OUTPUT, 0), else_=1)
    rows = session.execute(
        _exported(run_id, judgement, surplus=surplus)
        .order_by(input_first, Example.position)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    return (Row(row[0], TaskType(row[1]), *row[2:]) for row in rows)


def _exported(run_id: uuid.UUID, judgement: int, *, surplus: bool) -> Select[uuid.UUID, TaskType, str, str, str]:
    return select(Example.id, Example.task_type, Example.instruction, Example.input, Example.output).where(
        Example.judgement_id == judgement_key(run_id, judgement),
        or_(~Example.surplus, literal(surplus)),
        ~is_retracted(Example.id),
    )


def _jsonl(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        record = {"id": str(row.id), "instruction": row.instruction, "input": row.input, "output": row.output}
        yield json.dumps(record, ensure_ascii=False) + "\n"


def _alpaca(rows: Iterable[Row]) -> Iterator[str]:
    """One JSON array of instruction, input and output, the form of Stanford Alpaca's data file."""
    opening = "[\n"
    for row in rows:
        record = {"instruction": row.instruction, "input": row.input, "output": row.output}
        yield opening + json.dumps(record, ensure_ascii=False)
        opening = ",\n"
    yield "\n]\n"


WRITERS: dict[ExportFormat, tuple[str, Callable[[Iterable[Row]], Iterator[str]]]] = {
    ExportFormat.JSONL: ("examples.jsonl", _jsonl),
    ExportFormat.ALPACA: ("alpaca.json", _alpaca),
}


def export(
    session: Session,
    run_id: uuid.UUID,
    run: str,
    form: ExportFormat,
    out: Path,
    *,
    judgement: int = 0,
    surplus: bool = False,
) -> Path:
    """Write a judgement's examples into the folder `out` and return the file; it appears only when whole.

    `surplus` examples, which came after the target was met, are left out unless asked for.
    Retracted ones are always left out. Raises `NothingToExportError`, `JudgementEmptyError`, `AllRetractedError`,
    `ExportExistsError`, `ExportFailedError`.
    """
    name, lines = WRITERS[form]
    path = out / name
    if os.path.lexists(path):
        raise ExportExistsError(path=path)
    renew_marks(session)
    wanted = count_wanted(session, judgement_key(run_id, judgement))
    if not wanted:
        raise JudgementEmptyError(number=judgement, run=run) if judgement else NothingToExportError(run=run)
    if not session.scalar(select(exists(_exported(run_id, judgement, surplus=surplus)))):
        raise AllRetractedError(count=sum(wanted.values()), number=judgement, run=run)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write(path, lines(examples_of(session, run_id, judgement, surplus=surplus)))
    except (FileExistsError, NotADirectoryError) as error:
        raise ExportFailedError(path=path, reason="something in its path is a file, not a folder") from error
    except OSError as error:
        raise ExportFailedError(path=path, reason=error.strerror) from error
    return path


def _write(path: Path, lines: Iterator[str]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    finally:
        with suppress(OSError):  # renamed, or never there
            partial.unlink()
