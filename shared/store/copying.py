"""Rows written with COPY: a fraction of INSERT's cost on both sides, and one call of a trigger for all of them."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import orjson
import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import ARRAY, Column, Uuid, exc
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from shared.store.arrays import uuid_array
from shared.store.base import Base

Row = Mapping[str, Any]
"""A row's values by the names of their columns."""

Dump = Callable[[Any], object]


def insert_rows(session: Session, rows: Sequence[Base]) -> None:
    """Insert new rows of one table. What none of them sets is left to the column's default."""
    if rows:
        copy_rows(session, type(rows[0]), [vars(row) for row in rows])


def copy_rows(session: Session, kind: type[Base], rows: Sequence[Row]) -> None:
    """Insert new rows of a table, as `insert_rows` does, without an object for each."""
    if not rows:
        return
    columns = [(name, dump) for name, has_default, dump in _columns(kind) if name in rows[0] or not has_default]
    names = ", ".join(f'"{name}"' for name, _ in columns)
    statement = f'COPY "{kind.__tablename__}" ({names}) FROM STDIN'
    connection = session.connection()
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row([_written(row.get(name), dump) for name, dump in columns])
    except psycopg.Error as error:
        raise exc.DBAPIError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error


def _written(value: object, dump: Dump | None) -> object:
    return value if dump is None or value is None else dump(value)


@lru_cache
def _columns(kind: type[Base]) -> list[tuple[str, bool, Dump | None]]:
    """The name of each column, whether Postgres knows a default for it, and how a value of it is written."""
    table = Base.metadata.tables[kind.__tablename__]
    return [(column.key, column.server_default is not None, _dump(column)) for column in table.columns]


def _dump(column: Column[Any]) -> Dump | None:
    if isinstance(column.type, JSONB):
        return partial(Jsonb, dumps=orjson.dumps)
    if isinstance(column.type, ARRAY) and isinstance(column.type.item_type, Uuid):
        return uuid_array
    return None
