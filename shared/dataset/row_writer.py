"""Records of several kinds, written while the next are made: Postgres has as much to do with them as we have."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from sqlalchemy.orm import Session

from shared.store.copying import insert_records
from shared.store.new_records import NewRecord


class RowWriter:
    """Writes new records with COPY, kinds in the order given, for each refers to those before it.

    Whoever uses the session meanwhile has to `settle` first: only one thread may.
    """

    def __init__(self, session: Session, kinds: Sequence[type[NewRecord]]) -> None:
        self._session, self._kinds = session, kinds
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

    def add(self, record: NewRecord) -> None:
        """Have a record written at the next flush."""
        self._rows[type(record)].append(record)

    def count(self, kind: type[NewRecord]) -> int:
        """How many records of a kind wait for the next flush."""
        return len(self._rows[kind])

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

    def _write(self, rows: dict[type[NewRecord], list[NewRecord]]) -> None:
        for kind in self._kinds:
            insert_records(self._session, rows[kind])

    def _none(self) -> dict[type[NewRecord], list[NewRecord]]:
        return {kind: [] for kind in self._kinds}
