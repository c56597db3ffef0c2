"""Rows of several tables, written while the next are made: Postgres has as much to do with them as we have."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from sqlalchemy.orm import Session

from shared.store.base import Base
from shared.store.copying import Row, copy_rows


class RowWriter:
    """Writes new rows with COPY, tables in the order given, for each refers to those before it.

    Whoever uses the session meanwhile has to `settle` first: only one thread may.
    """

    def __init__(self, session: Session, tables: Sequence[type[Base]]) -> None:
        self._session, self._tables = session, tables
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rows")
        self._under_way: Future[None] | None = None
        self._rows = self._none()

    def __enter__(self) -> Self:
        """To be left before the transaction ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is left, unless something failed; Postgres is asked nothing more either way."""
        try:
            if error is None:
                self.flush()
                self.settle()
        finally:
            self._thread.shutdown()

    def add(self, table: type[Base], *rows: Row) -> None:
        """Have rows written at the next flush."""
        self._rows[table].extend(rows)

    def count(self, table: type[Base]) -> int:
        """How many rows of a table wait for the next flush."""
        return len(self._rows[table])

    def flush(self) -> None:
        """Have what waits written, when what was flushed before is."""
        self.settle()
        rows, self._rows = self._rows, self._none()
        self._under_way = self._thread.submit(self._write, rows)

    def settle(self) -> None:
        """Wait until what was flushed is written. Raises what writing it raised."""
        if self._under_way:
            self._under_way.result()
            self._under_way = None

    def _write(self, rows: dict[type[Base], list[Row]]) -> None:
        for table in self._tables:
            copy_rows(self._session, table, rows[table])

    def _none(self) -> dict[type[Base], list[Row]]:
        return {table: [] for table in self._tables}
