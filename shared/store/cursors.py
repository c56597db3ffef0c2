"""Rows from a cursor of the server's, a page at a time: memory stays flat, however many there are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session


def pages(session: Session, statement: str, size: int, **parameters: object) -> Iterator[Sequence[Sequence[Any]]]:
    """The rows of a statement in pages; others may be executed in the session meanwhile."""
    with session.execute(text(statement), parameters, execution_options=streamed(size)) as rows:
        yield from rows.partitions(size)  # a size of its own: `yield_per` is not heeded for statements written as text


def streamed(size: int) -> Mapping[str, object]:
    """The execution options for a cursor of the server's that is read in pages of this size."""
    return {"stream_results": True, "max_row_buffer": size}
