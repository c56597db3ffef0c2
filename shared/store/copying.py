"""Rows written with COPY: a fraction of INSERT's cost on both sides, and one call of a trigger for all of them."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Column, exc
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from shared.store.base import Base


def insert_rows(session: Session, rows: Sequence[Base]) -> None:
    """Insert new rows of one table. What none of them sets is left to the column's default."""
    if not rows:
        return
    table = Base.metadata.tables[rows[0].__tablename__]
    columns = [column for column in table.columns if column.key in rows[0].__dict__ or column.server_default is None]
    names = ", ".join(f'"{column.key}"' for column in columns)
    statement = f'COPY "{table.name}" ({names}) FROM STDIN'
    connection = session.connection()
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row([_value(row, column) for column in columns])
    except psycopg.Error as error:
        raise exc.DBAPIError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error


def _value(row: Base, column: Column[Any]) -> object:
    value = getattr(row, column.key)
    return Jsonb(value) if isinstance(column.type, JSONB) and value is not None else value
