"""Examples as Parquet: columns, compressed, in groups of rows that are read apart."""

from collections.abc import Sequence
from typing import Any

from shared.dataset.export_folder import Folder, told
from shared.dataset.export_record import Column, ExportFormat
from shared.dataset.text_formats import column
from shared.errors import UserError
from shared.store.exports import Row

ROWS_OF_A_GROUP = 5_000
# A group is held in memory while it is filled, and what is known of each to the end: neither large nor many.
BYTES_OF_A_GROUP = 8 << 20
LEVEL = 3


class PyarrowMissingError(UserError):
    """The formats parquet and hf, and --provenance, need pyarrow: pip install 'ensemble-instruct[dataset]' (or pip
    install pyarrow)."""


def require_pyarrow() -> Any:
    """The library, which is not among those that every machine has. Raises `PyarrowMissingError`."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise PyarrowMissingError from error
    return pyarrow


class GroupedFile:
    """A file of Parquet that grows by groups of rows."""

    def __init__(self, folder: Folder, path: str, schema: Any) -> None:
        self._arrow = require_pyarrow()
        self._folder, self._path, self._schema = folder, path, schema
        self._file = folder.create(path)
        self._writer = self._arrow.parquet.ParquetWriter(
            self._file, schema, compression="zstd", compression_level=LEVEL
        )
        self._rows = 0
        self._batches: list[Any] = []

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        """Append rows, given as the values of each column, to a group. Raises `ExportFailedError`."""
        arrays = [self._arrow.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self._batches.append(self._arrow.record_batch(arrays, schema=self._schema))
        if sum(batch.nbytes for batch in self._batches) >= BYTES_OF_A_GROUP:
            self.end_group()

    def end_group(self) -> None:
        """Whatever comes next is in another group. Raises `ExportFailedError`."""
        group = self._arrow.Table.from_batches(self._batches, schema=self._schema)
        if group.num_rows:
            with told(self._folder.out / self._path):
                self._writer.write_table(group, row_group_size=group.num_rows)
        self._rows += group.num_rows
        self._batches = []

    def complete(self, form: ExportFormat | None = None, split: str | None = None) -> None:
        """End it. Raises `ExportFailedError`."""
        self.end_group()
        with told(self._folder.out / self._path):
            self._writer.close()
        version = f"pyarrow {self._arrow.__version__}"
        self._folder.add(self._path, self._file, rows=self._rows, format=form, split=split, written_by=version)


class ParquetFile:
    """A file of examples with all their columns, written a page at a time."""

    def __init__(self, folder: Folder, path: str, form: ExportFormat, split: str | None) -> None:
        self._form, self._split = form, split
        self._schema = _schema(require_pyarrow())
        self._file = GroupedFile(folder, path, self._schema)
        self._group: list[Row] = []
        self._bytes = 0

    def write(self, rows: Sequence[Row]) -> None:
        """Append some examples. Raises `ExportFailedError`."""
        for row in rows:
            self._group.append(row)
            self._bytes += len(row.instruction) + len(row.input) + len(row.output)
            if len(self._group) >= ROWS_OF_A_GROUP or self._bytes >= BYTES_OF_A_GROUP:
                self._write_group()

    def complete(self) -> None:
        """End it. Raises `ExportFailedError`."""
        if self._group:
            self._write_group()
        self._file.complete(self._form, self._split)

    def _write_group(self) -> None:
        self._file.write([[_value(row, name) for row in self._group] for name in self._schema.names])
        self._file.end_group()
        self._group, self._bytes = [], 0


def _schema(arrow: Any) -> Any:
    texts = [(name, arrow.string()) for name in ("id", "instruction", "input", "output")]
    types = {
        Column.TASK_TYPE: arrow.string(),
        Column.RUN: arrow.string(),
        Column.MODELS: arrow.list_(arrow.string()),
        Column.AGREEMENT: arrow.float64(),
    }
    return arrow.schema([*texts, *((str(name), types[name]) for name in Column)])


def _value(row: Row, name: str) -> Any:
    match name:
        case "id":
            return str(row.id)
        case "instruction" | "input" | "output":
            return getattr(row, name)
        case _:
            return column(row, Column(name))
