"""Exports as they are kept: find one, list them, write one, read its rows."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shared.errors import UserError
from shared.method.tasks import TaskType
from shared.store.copying import copy_rows
from shared.store.cursors import pages, streamed
from shared.store.tables.exports import Export, ExportExclusion, ExportJudgement, ExportRow
from shared.store.tables.records import Judgement
from shared.store.tables.runs import Run

MIN_PREFIX = 6
ROWS_AT_ONCE = 1000


class ExportNotFoundError(UserError):
    """There is no export '{id}'. `ensemble-instruct exports` lists those there are; the first {least} characters of an
    id or more will do."""


class ExportAmbiguousError(UserError):
    """'{id}' begins the ids of {count} exports; write more of it."""


@dataclass(frozen=True, slots=True)
class ExportedRun:
    """A run whose examples were asked for, and the judgement that made them."""

    run_id: uuid.UUID
    run: str
    judgement_id: uuid.UUID
    judgement: int


@dataclass(frozen=True, slots=True)
class Row:
    """One example, as it leaves the system; `input` is empty for `output_only`.

    `models` are the names of those that it came from; they, and `agreement`, are there if they were asked for.
    """

    id: uuid.UUID
    split: str | None
    task_type: TaskType
    run: str
    instruction: str
    input: str
    output: str
    agreement: float | None = None
    models: tuple[str, ...] = ()

    def with_models(self, models: Iterable[str]) -> "Row":
        """The same row, with the names of the models that it came from."""
        return replace(self, models=tuple(models))


def find_export(session: Session, id: str) -> Export:
    """The export whose id is, or begins with, `id`. Raises `ExportNotFoundError`, `ExportAmbiguousError`."""
    digits = id.strip().lower().replace("-", "")
    if not MIN_PREFIX <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
        raise ExportNotFoundError(id=id, least=MIN_PREFIX)
    least, most = uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))
    found = session.scalars(select(Export).where(Export.id.between(least, most))).all()
    if not found:
        raise ExportNotFoundError(id=id, least=MIN_PREFIX)
    if len(found) > 1:
        raise ExportAmbiguousError(id=id, count=len(found))
    return found[0]


def list_exports(session: Session) -> Sequence[Export]:
    """Every export, the newest first."""
    return session.scalars(select(Export).order_by(Export.created_at.desc(), Export.id)).all()


def runs_of(session: Session, export_id: uuid.UUID) -> tuple[ExportedRun, ...]:
    """What an export was asked to take, in the order of the command."""
    rows = session.execute(
        select(Run.id, Run.name, Judgement.id, Judgement.number)
        .join(Judgement, Judgement.run_id == Run.id)
        .join(ExportJudgement, ExportJudgement.judgement_id == Judgement.id)
        .where(ExportJudgement.export_id == export_id)
        .order_by(ExportJudgement.place)
    )
    return tuple(ExportedRun(*row) for row in rows)


def write_export(session: Session, export: Export, judgement_ids: Sequence[uuid.UUID]) -> None:
    """Write a new export without its rows, and, from the transaction's selection, what it leaves out."""
    session.add(export)
    session.flush()
    for place, judgement_id in enumerate(judgement_ids):
        session.add(ExportJudgement(export_id=export.id, place=place, judgement_id=judgement_id))
    session.flush()
    session.execute(
        text(
            f"INSERT INTO {ExportExclusion.__tablename__} (export_id, example_id, reason, detail) "  # noqa: S608 - ours
            "SELECT :export, example_id, reason, detail FROM selection WHERE reason IS NOT NULL ORDER BY example_id"
        ),
        {"export": export.id},
    )


def write_rows(session: Session, export_id: uuid.UUID, kept: Iterable[Sequence[tuple[uuid.UUID, str | None]]]) -> None:
    """Write an export's examples in their order, each with its split."""
    place = 0
    for page in kept:
        rows = [
            {"export_id": export_id, "place": place + number, "example_id": example_id, "split": split}
            for number, (example_id, split) in enumerate(page)
        ]
        copy_rows(session, ExportRow, rows)
        place += len(page)


def rows_by_split(session: Session, export_id: uuid.UUID) -> dict[str | None, int]:
    """How many examples each of an export's splits has; they are all in the split `None` if there is none."""
    counts = select(ExportRow.split, func.count()).where(ExportRow.export_id == export_id).group_by(ExportRow.split)
    return dict(session.execute(counts).all())


def example_ids(session: Session, export_id: uuid.UUID) -> Iterator[uuid.UUID]:
    """An export's examples in their order, from a cursor of the server's."""
    ids = select(ExportRow.example_id).where(ExportRow.export_id == export_id).order_by(ExportRow.place)
    yield from session.scalars(ids, execution_options=streamed(10 * ROWS_AT_ONCE))


def row_pages(session: Session, export_id: uuid.UUID, *, agreement: bool = False) -> Iterator[list[Row]]:
    """An export's examples in their order, from a cursor of the server's: memory stays flat."""
    columns = "e.id, x.split, e.task_type, e.run, e.instruction, e.input, e.output"
    statement = (
        f"SELECT {columns}, {'e.agreement' if agreement else 'NULL'} "  # noqa: S608 - our names
        "FROM export_rows x JOIN lineage.examples e ON e.id = x.example_id WHERE x.export_id = :export ORDER BY x.place"
    )
    for page in pages(session, statement, ROWS_AT_ONCE, export=export_id):
        yield [Row(row[0], row[1], TaskType(row[2]), *row[3:]) for row in page]
