"""The part of an export that holds the examples: a file, or several, for each format and split."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from shared.dataset.export_folder import Folder
from shared.dataset.export_record import Column, ExportFormat, ExportRecord
from shared.dataset.parquet_format import ParquetFile
from shared.dataset.text_formats import TextFile
from shared.store.authorship import authors_of, declared_models, trace
from shared.store.exports import Row, row_pages, rows_by_split
from shared.store.judgements import Told

NAMES = {
    ExportFormat.JSONL: ("examples", "jsonl"),
    ExportFormat.ALPACA: ("alpaca", "json"),
    ExportFormat.MESSAGES: ("messages", "jsonl"),
    ExportFormat.PARQUET: ("examples", "parquet"),
}
COLUMNAR = (ExportFormat.PARQUET, ExportFormat.HF)
SHARD_ROWS = 500_000
WHOLE = "train"  # what `datasets` calls the only split


class ExampleFile(Protocol):
    """A file that is being filled with examples."""

    def write(self, rows: Sequence[Row]) -> None:
        """Append some."""

    def complete(self) -> None:
        """End it."""


def write_examples(session: Session, record: ExportRecord, folder: Folder, told: Told = lambda _: None) -> None:
    """Write an export's examples into its folder, in all formats at once; `told` is called with each page's rows.

    A split without an example has no file. Raises `ExportFailedError`, `PyarrowMissingError`.
    """
    counts = rows_by_split(session, record.id)
    splits = [name for name in (record.options.splits.names if record.options.splits else [None]) if counts.get(name)]
    writers = {
        (form, split): _Sharded(record, folder, form, split, counts[split])
        for form in record.options.formats
        for split in splits
    }
    for page in _pages(session, record):
        by_split: defaultdict[str | None, list[Row]] = defaultdict(list)
        for row in page:
            by_split[row.split].append(row)
        for split, rows in by_split.items():
            for form in record.options.formats:
                writers[form, split].write(rows)
        told(len(page))
    for writer in writers.values():
        writer.complete()


def path_of(form: ExportFormat, split: str | None, shard: int = 0, shards: int = 1) -> str:
    """Where a format's examples of a split lie in the folder.

    `hf` is what `datasets.load_dataset(FOLDER)` opens: it reads the splits off the names.
    """
    if form is ExportFormat.HF:
        return f"data/{split or WHOLE}-{shard:05}-of-{shards:05}.parquet"
    stem, suffix = NAMES[form]
    return f"{stem}-{split}.{suffix}" if split else f"{stem}.{suffix}"


class _Sharded:
    """The files of one format and split; only `hf` has more than one."""

    def __init__(self, record: ExportRecord, folder: Folder, form: ExportFormat, split: str | None, rows: int) -> None:
        self._record, self._folder, self._form, self._split = record, folder, form, split
        self._shards = -(-rows // SHARD_ROWS) if form is ExportFormat.HF else 1
        self._rows_each = SHARD_ROWS if form is ExportFormat.HF else rows
        self._written = 0
        self._file = self._open(0)

    def write(self, rows: Sequence[Row]) -> None:
        """Append some examples, in the next file where one is full."""
        places = enumerate(rows, start=self._written)
        for shard, group in groupby(places, key=lambda each: each[0] // self._rows_each):
            if shard and self._written == shard * self._rows_each:
                self._file.complete()
                self._file = self._open(shard)
            mine = [row for _, row in group]
            self._file.write(mine)
            self._written += len(mine)

    def complete(self) -> None:
        """End the last file."""
        self._file.complete()

    def _open(self, shard: int) -> ExampleFile:
        path = path_of(self._form, self._split, shard, self._shards)
        if self._form in COLUMNAR:
            return ParquetFile(self._folder, path, self._form, self._split)
        return TextFile(self._folder, path, self._form, self._split, self._record.options)


def _pages(session: Session, record: ExportRecord) -> Iterator[list[Row]]:
    """The rows with as much as the formats have a place for."""
    columnar = any(form in COLUMNAR for form in record.options.formats)
    wanted = set(Column) if columnar else set(record.options.columns)
    names = model_names(session, record) if Column.MODELS in wanted else None
    for page in row_pages(session, record.id, agreement=Column.AGREEMENT in wanted):
        yield page if names is None else _with_models(session, page, names)


def model_names(session: Session, record: ExportRecord) -> Mapping[UUID, str]:
    """What each model of the runs is called: as its server knows it if the job says so, else as in the job."""
    run_ids = [run.run_id for run in record.runs]
    trace(session, run_ids)
    return {model.id: model.served_model or model.name for model in declared_models(session, run_ids)}


def _with_models(session: Session, page: Sequence[Row], names: Mapping[UUID, str]) -> list[Row]:
    authors = authors_of(session, [row.id for row in page])
    return [row.with_models(sorted({names[model] for model in authors[row.id]})) for row in page]
